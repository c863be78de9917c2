"""PortfolioRationaleService: takes orders for texts, writes them later and shows none that was not verified."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace

from marketstream.analytics.analysis import Snapshot
from marketstream.clock import Clock
from marketstream.errors import MarketStreamError, NotFoundError, TransientError
from marketstream.market.rationale import (
    FactSheet,
    Issue,
    Rationale,
    RationaleKind,
    RationaleRequest,
    RationaleStatus,
)
from marketstream.rationale.facts import sheet_for
from marketstream.rationale.narrator import narrate, safe_draft
from marketstream.rationale.prose import Draft
from marketstream.rationale.verifier import count_figures, verify

_LOG = logging.getLogger(__name__)


class PortfolioRationaleService:
    """Keep the newest texts, and one worker task that writes them in the order they were asked for.

    `request`, `get`, `newest` and `history` may be called from any thread; `start` and `stop` belong to one loop.

    Args:
        snapshot: Returns the newest snapshot, None before there is one.
        clock: Stamps orders.
        write: What turns a sheet into a draft; the narrator unless told otherwise.
        max_pending: Orders that may wait.
        max_history: Texts kept, the oldest finished ones go first.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        clock: Clock,
        *,
        write: Callable[[FactSheet], Draft] = narrate,
        max_pending: int = 64,
        max_history: int = 256,
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self._write = write
        self._max_pending = max_pending
        self._max_history = max_history
        self._texts: OrderedDict[str, Rationale] = OrderedDict()
        self._waiting: deque[str] = deque()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self.errors = 0
        self.refused = 0

    def request(self, request: RationaleRequest) -> str:
        """Enter an order and return its id at once; the text is pending until the worker has written it.

        Raises:
            NotFoundError: Nobody lists the subject.
            TransientError: `max_pending` orders wait already.
        """
        self._check_subject(request)
        with self._lock:
            if len(self._waiting) >= self._max_pending:
                raise TransientError(f"{self._max_pending} rationales are waiting already; ask again in a moment")
            text = self._order(request)
            self._texts[text.id] = text
            self._waiting.append(text.id)
            self._forget()
        self._notify()
        return text.id

    def get(self, rationale_id: str) -> Rationale:
        """Return a text by id; NotFoundError when there is none or it was forgotten."""
        with self._lock:
            try:
                return self._texts[rationale_id]
            except KeyError:
                raise NotFoundError(f"no rationale {rationale_id!r}; the newest {self._max_history} are kept") from None

    def newest(self, kind: RationaleKind | None = None) -> Rationale | None:
        """Return the newest ready text, of one kind or of any."""
        ready = (t for t in self.history() if t.status is RationaleStatus.READY)
        return next((t for t in ready if kind is None or t.kind is kind), None)

    def history(self) -> tuple[Rationale, ...]:
        """Return all texts kept, newest first."""
        with self._lock:
            return tuple(reversed(self._texts.values()))

    def write_now(self, snapshot: Snapshot, kind: str, subject: str | None = None) -> Rationale:
        """Write a text about a caller's own snapshot at once; it enters no history.

        Raises:
            InvalidInputError: As RationaleRequest.
            NotFoundError: Nobody lists the subject.
        """
        request = RationaleRequest.of(kind, subject)
        if request.subject is not None:
            snapshot.market.catalog.instrument(request.subject)
        return self._written(self._order(request), snapshot)

    async def start(self) -> None:
        """Start the worker; a second start changes nothing."""
        if self._task is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._wake.set()
        self._task = asyncio.create_task(self._work(), name="rationale")

    async def stop(self) -> None:
        """Stop the worker and fail what still waits, so that nobody waits for ever."""
        task, self._task, self._loop = self._task, None, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        with self._lock:
            while self._waiting:
                waiting = self._texts[self._waiting.popleft()]
                self._texts[waiting.id] = _failed(waiting, "the service was stopped")

    # The worker ---------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (text := self._next()) is not None:
                done = self._written(text, self._snapshot())
                with self._lock:
                    if text.id in self._texts:
                        self._texts[text.id] = done
                # One text takes milliseconds; let the engine's cycle run between two.
                await asyncio.sleep(0)

    def _next(self) -> Rationale | None:
        with self._lock:
            return self._texts[self._waiting.popleft()] if self._waiting else None

    def _written(self, text: Rationale, snapshot: Snapshot | None) -> Rationale:
        if snapshot is None:
            return _failed(text, "there is no snapshot of the market yet")
        try:
            return self._finished(text, snapshot)
        except MarketStreamError as error:
            return _failed(text, str(error))
        except Exception as error:  # noqa: BLE001 - a fence: one bad text must not end the worker
            self.errors += 1
            _LOG.error("rationale %s failed", text.id, exc_info=True)
            return _failed(text, f"the text could not be written ({type(error).__name__})")

    def _finished(self, text: Rationale, snapshot: Snapshot) -> Rationale:
        sheet = sheet_for(snapshot, RationaleRequest(kind=text.kind, subject=text.subject))
        dated = replace(text, facts=sheet.facts, as_of=sheet.as_of, sequence=sheet.sequence)
        ready, issues = publish(dated, self._write(sheet), sheet, "narrator")
        if not issues:
            return ready
        self.refused += 1
        _LOG.warning("rationale %s was refused: %s", text.id, "; ".join(issue.message for issue in issues[:5]))
        safe, more = publish(dated, safe_draft(sheet), sheet, "safe sentence")
        if not more:
            return replace(safe, issues=issues)
        return _failed(replace(dated, issues=(*issues, *more)), "the text did not pass the verifier")

    # Orders -------------------------------------------------------------------------------------------------

    def _check_subject(self, request: RationaleRequest) -> None:
        snapshot = self._snapshot() if request.subject is not None else None
        if snapshot is not None and request.subject is not None:
            snapshot.market.catalog.instrument(request.subject)

    def _order(self, request: RationaleRequest) -> Rationale:
        return Rationale(
            id=f"rationale-{next(self._numbers):06d}",
            kind=request.kind,
            subject=request.subject,
            status=RationaleStatus.PENDING,
            created_at=self._clock.now_ns(),
        )

    def _forget(self) -> None:
        while len(self._texts) > self._max_history:
            done = (i for i, t in self._texts.items() if t.status is not RationaleStatus.PENDING)
            oldest = next(done, None)
            if oldest is None:
                return
            del self._texts[oldest]

    def _notify(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)


def publish(text: Rationale, draft: Draft, sheet: FactSheet, written_by: str) -> tuple[Rationale, tuple[Issue, ...]]:
    """Return a draft as a ready text, and what the verifier found; the text may be shown only if that is nothing."""
    headline, headline_spans = draft.render_headline()
    body, spans = draft.render_text()
    issues = (*verify(headline, headline_spans, sheet), *verify(body, spans, sheet))
    ready = replace(
        text,
        status=RationaleStatus.READY,
        headline=headline,
        headline_spans=headline_spans,
        text=body,
        spans=spans,
        n_figures=count_figures(headline, sheet) + count_figures(body, sheet),
        written_by=written_by,
    )
    return ready, issues


def _failed(text: Rationale, reason: str) -> Rationale:
    return replace(text, status=RationaleStatus.FAILED, reason=reason)
