"""Fetch: a value that takes a while to get, such as rows of the store, brought up while its view is looked at."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from marketstream.clock import SECOND_NS
from marketstream.dashboard.views.view import Context
from marketstream.errors import MarketStreamError

log = logging.getLogger(__name__)
T = TypeVar("T")

EVERY_NS = 2 * SECOND_NS


class Fetch(Generic[T]):
    """Hold the newest answer of `load`; `refresh` asks again when it has grown old, without waiting for it.

    Args:
        context: Runs the question and is touched when the answer is there.
        load: Asks.
        every_ns: Age at which an answer is asked for again.
    """

    def __init__(self, context: Context, load: Callable[[], Awaitable[T]], *, every_ns: int = EVERY_NS) -> None:
        self.value: T | None = None
        self.error = ""
        self._context = context
        self._load = load
        self._every_ns = every_ns
        self._asked_at: int | None = None
        self._asking = False

    def refresh(self) -> None:
        """Ask again if the answer is old and nobody asks already."""
        now = self._context.engine.stopwatch.monotonic_ns()
        if self._asking or (self._asked_at is not None and now - self._asked_at < self._every_ns):
            return
        self._asked_at, self._asking = now, True
        self._context.run(self._ask())

    def forget(self) -> None:
        """Let the next refresh ask again; the answer stays until then."""
        self._asked_at = None

    async def _ask(self) -> None:
        try:
            self.value, self.error = await self._load(), ""
        except MarketStreamError as error:
            self.error = str(error)
        except Exception as error:  # fence: a card without an answer says so, the page goes on
            log.warning("a view could not be given its rows", exc_info=True)
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self._asking = False
        self._context.touch()
