"""PortfolioRationaleService: takes orders for texts, writes them later and shows none that was not verified."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from marketstream.analytics.analysis import Snapshot
from marketstream.clock import Clock
from marketstream.errors import InvalidInputError, MarketStreamError, NotFoundError, TransientError
from marketstream.market.rationale import (
    FactSheet,
    Rationale,
    RationaleKind,
    RationaleRequest,
    RationaleStatus,
)
from marketstream.rationale.backends import Backend
from marketstream.rationale.chain import Chain
from marketstream.rationale.facts import sheet_for
from marketstream.rationale.holdings import check_request
from marketstream.rationale.narrator import narrate
from marketstream.rationale.prose import Draft
from marketstream.rationale.publishing import failed

_LOG = logging.getLogger(__name__)

STOPPED = "the service was stopped"


class ServiceStoppedError(TransientError):
    """Nobody writes any more, so an order would wait for ever; a start changes that."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for: about the newest snapshot, or about a caller's own, which enters no history."""

    request: RationaleRequest
    snapshot: Snapshot | None = None


class PortfolioRationaleService:
    """Keep the newest texts, and write them in the order they were asked for.

    With the narrator alone one text is written at a time; with backends up to `in_flight` are in work at once.
    `request`, `get`, `newest` and `history` may be called from any thread; `start`, `stop`, `cancel` and
    `call_off` belong to one loop.

    Args:
        snapshot: Returns the newest snapshot, None before there is one.
        clock: Stamps orders.
        stopwatch: Measures what models and narrator take, and holds models to their deadline; `clock` unless given.
        backends: Models to ask, in order; the narrator writes where there is none or none can.
        write: The narrator.
        deadline_s: Seconds that the backends may take for one text.
        in_flight: Texts in work at once where there are backends.
        max_pending: Orders that may wait.
        max_history: Texts kept, the oldest finished ones go first.
        make_id: Returns a new id at each call; by default one that no other service gives.
        on_finished: Called once with every text that ends, ready, failed or cancelled; what it raises is logged.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        clock: Clock,
        *,
        stopwatch: Clock | None = None,
        backends: Sequence[Backend] = (),
        write: Callable[[FactSheet], Draft] = narrate,
        deadline_s: float = 20.0,
        in_flight: int = 32,
        max_pending: int = 64,
        max_history: int = 256,
        make_id: Callable[[], str] | None = None,
        on_finished: Callable[[Rationale], None] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self._chain = Chain(clock if stopwatch is None else stopwatch, backends, write=write, deadline_s=deadline_s)
        self._in_flight = in_flight if backends else 1
        self._max_pending = max_pending
        self._max_history = max_history
        self._make_id = rationale_ids(_run(clock)) if make_id is None else make_id
        self._on_finished = on_finished
        self._texts: OrderedDict[str, Rationale] = OrderedDict()
        self._counter = itertools.count(1)
        self._numbers: dict[str, int] = {}
        self._orders: dict[str, _Order] = {}
        self._private: set[str] = set()
        self._waiting: deque[str] = deque()
        self._working: dict[str, asyncio.Task[None]] = {}
        self._lock = threading.Lock()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._wake = asyncio.Event()
        self.errors = 0
        self.refused = 0

    @property
    def writers(self) -> tuple[str, ...]:
        """Return the names of the models that are asked, in order; empty where the narrator writes alone."""
        return self._chain.writers

    def request(self, request: RationaleRequest, *, snapshot: Snapshot | None = None) -> str:
        """Enter an order and return its id at once; the text is pending until it has been written.

        Before the first start an order waits for it.

        Args:
            request: What to write.
            snapshot: A caller's own moment; such a text is found by `own` alone, it is in no history and nobody
                else is told of it.

        Raises:
            NotFoundError: Nobody lists the subject, or a holding.
            InvalidInputError: A holding is no asset.
            ServiceStoppedError: The service was stopped and not started again.
            TransientError: `max_pending` orders wait already.
        """
        self._check(request, snapshot)
        with self._lock:
            if self._stopped:
                raise ServiceStoppedError("nobody writes rationales while the stream is stopped; start it first")
            if len(self._waiting) >= self._max_pending:
                raise TransientError(f"{self._max_pending} rationales are waiting already; ask again in a moment")
            text = self._new(request)
            self._texts[text.id] = text
            self._numbers[text.id] = next(self._counter)
            self._orders[text.id] = _Order(request, snapshot)
            if snapshot is not None:
                self._private.add(text.id)
            self._waiting.append(text.id)
            self._forget()
        self._notify()
        return text.id

    def get(self, rationale_id: str) -> Rationale:
        """Return a text of the history by id; NotFoundError when there is none or it was forgotten."""
        if rationale_id in self._private:
            raise self._unknown(rationale_id)
        return self.own(rationale_id)

    def own(self, rationale_id: str) -> Rationale:
        """Return a text by id, also one about a caller's own moment; NotFoundError as in `get`."""
        with self._lock:
            text = self._texts.get(rationale_id)
        if text is None:
            raise self._unknown(rationale_id)
        return text

    def newest(self, kind: RationaleKind | None = None) -> Rationale | None:
        """Return the newest ready text, of one kind or of any."""
        return next(iter(self.history(kind, RationaleStatus.READY)), None)

    def history(
        self, kind: RationaleKind | None = None, status: RationaleStatus | None = None
    ) -> tuple[Rationale, ...]:
        """Return the texts kept, newest first; of one kind or in one state where these are given."""
        return tuple(text for _, text in self.numbered(kind) if status in (None, text.status))

    def numbered(
        self, kind: RationaleKind | None = None, *, before: int | None = None
    ) -> Sequence[tuple[int, Rationale]]:
        """Return the texts kept with the numbers of their orders, newest first; those ordered before one, where given.

        A number stays the same whatever becomes of the text, so it is what a list of texts can be cut by.
        """
        with self._lock:
            texts = [
                (self._numbers[text.id], text)
                for text in reversed(self._texts.values())
                if text.id not in self._private
            ]
        return [(n, t) for n, t in texts if kind in (None, t.kind) and (before is None or n < before)]

    def write_now(self, snapshot: Snapshot, kind: str, subject: str | None = None) -> Rationale:
        """Have the narrator write about a caller's own snapshot at once; the text enters no history.

        Raises:
            InvalidInputError: As RationaleRequest.
            NotFoundError: Nobody lists the subject.
        """
        request = RationaleRequest.of(kind, subject)
        if request.subject is not None:
            snapshot.market.catalog.instrument(request.subject)
        text = self._new(request)
        try:
            dated, sheet = _dated(text, request, snapshot)
            return self._counted(self._chain.narrated(dated, sheet))
        except Exception as error:  # noqa: BLE001 - a fence: one bad text must not end its page
            return self._fault(text, error)

    async def cancel(self, rationale_id: str) -> Rationale:
        """End an order that waits or is in work, and return it cancelled once nothing of it runs any more.

        Raises:
            NotFoundError: There is no such text, or it was forgotten.
            InvalidInputError: It has ended already.
        """
        self.own(rationale_id)  # raises where there is none
        with self._lock:
            if rationale_id in self._waiting:
                self._waiting.remove(rationale_id)
        task = self._working.get(rationale_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        text = self.own(rationale_id)
        if text.status is not RationaleStatus.PENDING:
            raise InvalidInputError(f"{rationale_id} is {text.status} already; only a pending text can be cancelled")
        return self._end(_cancelled(text))

    def call_off(self, rationale_id: str) -> None:
        """End an order as `cancel` does, for one who cannot wait for its work to end; what has ended stays as it is."""
        with self._lock:
            if rationale_id in self._waiting:
                self._waiting.remove(rationale_id)
            text = self._texts.get(rationale_id)
        task = self._working.get(rationale_id)
        if task is not None:
            task.cancel()
        if text is not None and text.status is RationaleStatus.PENDING:
            self._end(_cancelled(text))

    async def start(self) -> None:
        """Start to write; a second start changes nothing."""
        if self._task is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._wake = asyncio.Event()
        self._wake.set()
        self._task = asyncio.create_task(self._work(), name="rationale")

    async def stop(self) -> None:
        """Stop writing, fail what waits or is in work and refuse orders from now on, so that nobody waits for ever."""
        task, self._task, self._loop = self._task, None, None
        if task is not None:
            tasks = {task, *self._working.values()}
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
            await self._chain.close()
        with self._lock:
            self._stopped = self._stopped or task is not None
            self._waiting.clear()
            pending = [text for text in self._texts.values() if text.status is RationaleStatus.PENDING]
        for text in pending:
            self._end(failed(text, STOPPED))

    # The work -----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while len(self._working) < self._in_flight and (text := self._next()) is not None:
                task = asyncio.create_task(self._write(text), name=f"rationale {text.id}")
                self._working[text.id] = task
                task.add_done_callback(partial(self._done, text.id))

    def _next(self) -> Rationale | None:
        with self._lock:
            return self._texts[self._waiting.popleft()] if self._waiting else None

    def _done(self, rationale_id: str, task: asyncio.Task[None]) -> None:
        # One text takes milliseconds; the engine's cycle runs before the next is begun.
        del task
        self._working.pop(rationale_id, None)
        self._wake.set()

    async def _write(self, text: Rationale) -> None:
        order = self._orders[text.id]
        snapshot = self._snapshot() if order.snapshot is None else order.snapshot
        if snapshot is None:
            self._end(failed(text, "there is no snapshot of the market yet"))
            return
        try:
            dated, sheet = _dated(text, order.request, snapshot)
            done = self._counted(await self._chain.written(dated, sheet, order.request.context))
        except Exception as error:  # noqa: BLE001 - a fence: one bad text must not end the work
            done = self._fault(text, error)
        self._end(done)

    def _end(self, text: Rationale) -> Rationale:
        with self._lock:
            self._orders.pop(text.id, None)
            if text.id in self._texts:
                self._texts[text.id] = text
            is_private = text.id in self._private
        if self._on_finished is not None and not is_private:
            try:
                self._on_finished(text)
            except Exception:  # noqa: BLE001 - a fence: who listens cannot end the work
                self.errors += 1
                _LOG.exception("the listener of finished rationales failed at %s", text.id)
        return text

    def _fault(self, text: Rationale, error: Exception) -> Rationale:
        if isinstance(error, MarketStreamError):
            return failed(text, str(error))
        self.errors += 1
        _LOG.error("rationale %s failed", text.id, exc_info=error)
        return failed(text, f"the text could not be written ({type(error).__name__})")

    def _counted(self, text: Rationale) -> Rationale:
        self.refused += bool(text.issues)
        return text

    # Orders -------------------------------------------------------------------------------------------------

    def _unknown(self, rationale_id: str) -> NotFoundError:
        return NotFoundError(f"no rationale {rationale_id!r}; the newest {self._max_history} are kept")

    def _check(self, request: RationaleRequest, snapshot: Snapshot | None) -> None:
        snapshot = self._snapshot() if snapshot is None else snapshot
        if snapshot is not None:
            check_request(request, snapshot.market.catalog)

    def _new(self, request: RationaleRequest) -> Rationale:
        return Rationale(
            id=self._make_id(),
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
            del self._texts[oldest], self._numbers[oldest]
            self._private.discard(oldest)

    def _notify(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)


def rationale_ids(run: str) -> Callable[[], str]:
    """Return what makes the ids of one run of the program, in order.

    >>> make = rationale_ids("20260101-000000")
    >>> make(), make()
    ('rationale-20260101-000000-000001', 'rationale-20260101-000000-000002')
    """
    numbers = itertools.count(1)
    return lambda: f"rationale-{run}-{next(numbers):06d}"


def _run(clock: Clock) -> str:
    # The moment is for people. Two runs can start at the same one: a replay does so each time, a ManualClock too.
    seconds, rest = divmod(clock.now_ns(), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y%m%d-%H%M%S}{rest // 1_000_000:03d}-{secrets.token_hex(4)}"


def _cancelled(text: Rationale) -> Rationale:
    return replace(text, status=RationaleStatus.CANCELLED, reason="cancelled on request")


def _dated(text: Rationale, request: RationaleRequest, snapshot: Snapshot) -> tuple[Rationale, FactSheet]:
    sheet = sheet_for(snapshot, request)
    return replace(text, facts=sheet.facts, as_of=sheet.as_of, sequence=sheet.sequence), sheet
