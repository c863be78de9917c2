"""Clocks: the only place that reads the time. Stamps are UTC int64 ns; intervals are monotonic ns."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

SECOND_NS = 1_000_000_000


class Clock(Protocol):
    """What the rest of the program knows of time."""

    def now_ns(self) -> int:
        """Return the UTC wall time in nanoseconds since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock's time; 0 or less only yields to the loop."""
        ...


class SystemClock:
    """The machine's own clock, without its steps back: a wall clock that is set back would make every quote look young.

    A step forward of more than a second is taken over: after a suspend, or where the clock was slow at the start, the
    stamps of venues would else lie in our future and be refused for ever.

    Args:
        wall: Reads the machine's wall clock, UTC ns.
        monotonic: Reads its monotonic clock, ns.
    """

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset_ns = wall() - monotonic()

    def now_ns(self) -> int:
        """Return the UTC wall time in nanoseconds since 1970; it never goes back."""
        wall, monotonic = self._wall(), self._monotonic()
        if wall - (self._offset_ns + monotonic) > SECOND_NS:
            self._offset_ns = wall - monotonic
        return self._offset_ns + monotonic

    def monotonic_ns(self) -> int:
        """Return nanoseconds on a clock that never goes back."""
        return self._monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of real time."""
        await asyncio.sleep(max(seconds, 0.0))


class ManualClock:
    """A clock that moves only when told to, for tests, notebooks and replays.

    >>> clock = ManualClock(start_ns=0)
    >>> clock.advance(1.5)
    >>> clock.now_ns()
    1500000000
    """

    def __init__(self, start_ns: int = 1_767_225_600_000_000_000) -> None:
        # The default start is 2026-01-01T00:00:00Z: a fixed, readable moment.
        self._now_ns = start_ns
        self._elapsed_ns = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        """Return the wall time that this clock was moved to."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Return how far the clock was advanced; a wall clock jump does not change it."""
        return self._elapsed_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        due = self._elapsed_ns + round(seconds * SECOND_NS)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move the clock forward and wake every sleeper that is due, in order of their times."""
        if seconds < 0:
            raise ValueError(f"a clock only moves forward: seconds must be >= 0, was {seconds}")
        target = self._elapsed_ns + round(seconds * SECOND_NS)
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, woken = heapq.heappop(self._sleepers)
            self._move(due)
            if not woken.done():
                woken.set_result(None)
        self._move(target)

    async def run_for(self, seconds: float, *, settle: int = 20) -> None:
        """Advance step by step, letting woken tasks run (and sleep again) before time goes on."""
        target = self._elapsed_ns + round(seconds * SECOND_NS)
        await _yield(settle)
        while self._sleepers and self._sleepers[0][0] <= target:
            self.advance((self._sleepers[0][0] - self._elapsed_ns) / SECOND_NS)
            await _yield(settle)
        self._move(target)

    def jump_wall(self, seconds: float) -> None:
        """Step the wall clock alone, as NTP or an operator would."""
        self._now_ns += round(seconds * SECOND_NS)

    def _move(self, elapsed_ns: int) -> None:
        if elapsed_ns > self._elapsed_ns:
            self._now_ns += elapsed_ns - self._elapsed_ns
            self._elapsed_ns = elapsed_ns


async def _yield(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)
