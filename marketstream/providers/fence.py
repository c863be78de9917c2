"""The fence of time around what a provider does: its start, its stop and its active checks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from marketstream.clock import Clock
from marketstream.errors import InvalidInputError

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class Fence:
    """Let work take its time, but no longer than `timeout_s` seconds of the clock."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        if timeout_s <= 0:
            raise InvalidInputError(f"timeout_s must be > 0, was {timeout_s}")
        self._clock = clock
        self._timeout_s = timeout_s
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def outcomes(self, works: Sequence[Callable[[], Awaitable[_T]]]) -> list[_T | BaseException]:
        """Do all works side by side; return in their order what each gave, or the exception it ended with.

        One that takes too long is cancelled and is a TimeoutError; the others do not wait for it any longer.
        """
        tasks = [asyncio.ensure_future(_run(work)) for work in works]
        everything = asyncio.gather(*tasks, return_exceptions=True)
        timer = asyncio.ensure_future(self._clock.sleep(self._timeout_s))
        try:
            waited: set[asyncio.Future[Any]] = {everything, timer}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for task in tasks:
                if not task.done():
                    self._abandon(task)
        return [self._outcome(task) for task in tasks]

    def _outcome(self, task: asyncio.Task[_T]) -> _T | BaseException:
        if task in self._abandoned:
            return TimeoutError(f"took longer than {self._timeout_s:g} s")
        if task.cancelled():
            return asyncio.CancelledError("was cancelled")
        error = task.exception()
        return task.result() if error is None else error

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        # One that ignores its cancellation is kept only so that the loop does not lose it.
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.warning("a provider's task failed after it was given up", exc_info=task.exception())


async def _run(work: Callable[[], Awaitable[_T]]) -> _T:
    # Calls inside the task, so that what is raised before the first await is caught as well.
    return await work()
