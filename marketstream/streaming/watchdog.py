"""A time limit for calls on the program's own clock, so that tests can turn it; one sleeping task for all calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from marketstream.clock import SECOND_NS, Clock
from marketstream.streaming.waiting import Doorbell


class Watchdog:
    """End calls that take longer than `limit_s` seconds, one call at a time.

    asyncio's own timeouts read the loop's clock, and a timer per call would cost more than most calls do.
    """

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._due_ns: int | None = None
        self._scope = asyncio.Timeout(None)
        self._armed = Doorbell()

    async def call(self, work: Callable[[], Awaitable[object]]) -> None:
        """Await what `work` returns; while `watch` runs in another task, for the limit at most.

        Between the end of the work and the return nothing is awaited: who is cancelled then still learns of the end.

        Raises:
            TimeoutError: It took too long and was cancelled.
        """
        async with asyncio.timeout(None) as self._scope:
            self._due_ns = self._clock.monotonic_ns() + round(self._limit_s * SECOND_NS)
            self._armed.ring()
            try:
                await work()
            finally:
                self._due_ns = None
        if self._scope.expired():
            # The work took the cancellation for an end of its own.
            raise TimeoutError

    async def watch(self) -> None:
        """Watch over calls until cancelled."""
        while True:
            if self._due_ns is None:
                await self._armed.wait()
            elif (left_ns := self._due_ns - self._clock.monotonic_ns()) > 0:
                # A later call has a later end, so this never sleeps past one.
                await self._clock.sleep(left_ns / SECOND_NS)
            else:
                self._due_ns = None
                self._scope.reschedule(asyncio.get_running_loop().time())
