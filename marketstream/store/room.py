"""Back-pressure: callers wait in order until there is room for what they bring."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Room:
    """Let callers in while what they hold together stays within `limit`; the others wait, first come, first in.

    Something larger than the limit gets in alone. For one loop.

    Args:
        limit: Rows at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.held = 0
        """Rows that are inside now."""

    @contextlib.asynccontextmanager
    async def take(self, rows: int) -> AsyncIterator[None]:
        """Wait for room for `rows` and hold it inside the block."""
        rows = min(rows, self._limit)
        if self._waiting or self.held + rows > self._limit:
            await self._queue(rows)
        else:
            self.held += rows
        try:
            yield
        finally:
            self._leave(rows)

    async def _queue(self, rows: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # The entry is gone already where others were let in past it.
                with contextlib.suppress(ValueError):
                    self._waiting.remove((rows, turn))
                self._admit()
            else:
                # Let in and cancelled at the same time.
                self._leave(rows)
            raise

    def _leave(self, rows: int) -> None:
        self.held -= rows
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.held + self._waiting[0][0] <= self._limit:
            rows, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.held += rows
                turn.set_result(None)
