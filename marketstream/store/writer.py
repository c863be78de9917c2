"""The one thread that writes: what waits is committed together, and nobody hears "done" before the commit returned."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from marketstream.clock import Clock
from marketstream.errors import MarketStreamError, PermanentError, TransientError
from marketstream.store.database import CLOSE_S, CONNECT_TIMEOUT_S, Database
from marketstream.store.room import Room

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
Row = Mapping[str, object]

GROUP_ROWS = 1_000
"""Rows after which a group is committed at once."""
GROUP_WAIT_S = 0.02
"""How long the first write of a group waits for company."""
MAX_WAITING_ROWS = 20_000
"""Rows that may wait; who brings more waits for room."""
_NS_PER_MS = 1e6
_TIMES_KEPT = 1024


class Transaction:
    """What a write may do while its group is being written."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.added: Counter[str] = Counter()
        self.touched: set[str] = set()

    def insert(self, statement: sa.Insert, rows: Sequence[Row]) -> int:
        """Insert rows by a statement that leaves what is there already as it is; return how many were new."""
        options = {"preserve_rowcount": True}
        new = self.connection.execute(statement, rows, execution_options=options).rowcount
        self.added[statement.table.name] += new
        return new


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Write(Generic[T]):
    """What one caller wants kept, all or nothing.

    Attributes:
        rows: How much it is.
        inserts: Statements for `Transaction.insert` with their rows; those of neighbours are executed together.
        apply: Done after them. It may raise one of our errors only before it has changed anything.
        touches: Tables whose rows must be counted anew after it.
    """

    rows: int
    inserts: Sequence[tuple[sa.Insert, Sequence[Row]]] = ()
    apply: Callable[[Transaction], T] | None = None
    touches: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterReport:
    """What the writer has done since it was started; times in ms, of whole transactions."""

    rows: Mapping[str, int] = field(default_factory=dict)
    written: int = 0
    commits: int = 0
    errors: int = 0
    commit_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    write: Write[Any]
    future: asyncio.Future[Any]


class Writer:
    """Commit what callers bring in groups: after 20 ms or 1,000 rows, whichever comes first.

    A row that the database refuses fails only its caller: the group is written again, each write under a savepoint.
    A database that is not available fails the whole group with TransientError.

    Args:
        database: Where to write.
        clock: Measures commits.
        probe: Called with the name of each point that a group passes: `before_effect`, `after_effect`,
            `before_commit`, `after_commit`, `before_ack`, `after_ack`. A test stops the process there.
        wait_s: How long the first write of a group waits for company, seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        probe: Callable[[str], None],
        wait_s: float = GROUP_WAIT_S,
    ) -> None:
        self._database = database
        self._clock = clock
        self._probe = probe
        self._wait_s = wait_s
        self._room = Room(MAX_WAITING_ROWS)
        self._queue: deque[_Entry] = deque()
        self._queued_rows = 0
        self._changed = threading.Condition()
        self._hurry = False
        self._closing = False
        self._times: deque[float] = deque(maxlen=_TIMES_KEPT)
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self.report = WriterReport()
        """Replaced after each group, never changed."""

    @property
    def waiting(self) -> int:
        """Return the rows that are not acknowledged yet."""
        return self._room.held

    def start(self, rows: Mapping[str, int]) -> None:
        """Start the thread; `rows` says how many rows each table holds."""
        self.report = WriterReport(rows=dict(rows))
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end the thread; blocks until it is done.

        Where nothing is committed for CLOSE_S the database is cut, and what waits then fails with TransientError.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        commits = -1
        while self._thread.is_alive() and self.report.commits > commits:
            commits = self.report.commits
            self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            _LOG.error("the store does not answer: %d rows that wait are given up", self.waiting)
            self._database.cut()
            self._thread.join(CLOSE_S + CONNECT_TIMEOUT_S)

    async def submit(self, write: Write[T]) -> T:
        """Return what the write returned, after its transaction was committed.

        Raises:
            TransientError: The database is not available, or the writer is stopped.
            PermanentError: The database, or the write, refused.
        """
        async with self._room.take(write.rows):
            return cast("T", await self._put(write))

    async def flush(self) -> None:
        """Wait until everything submitted before is committed."""
        await self._put(Write(rows=0), hurry=True)

    # The callers' side --------------------------------------------------------------------------------------

    def _put(self, write: Write[Any], *, hurry: bool = False) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._closing or not self._thread.is_alive():
                raise TransientError("the store is closed")
            self._queue.append(_Entry(write, future))
            self._queued_rows += write.rows
            self._hurry = self._hurry or hurry
            if len(self._queue) == 1 or self._full():
                self._changed.notify()
        return future

    def _full(self) -> bool:
        return self._hurry or self._closing or self._queued_rows >= GROUP_ROWS

    # The thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while group := self._next_group():
            # Who was cancelled while waiting is not written.
            group = [entry for entry in group if not entry.future.cancelled()]
            outcomes = self._kept(group)
            self._probe("before_ack")
            self._acknowledge(group, outcomes)
            self._probe("after_ack")

    def _next_group(self) -> list[_Entry]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            self._changed.wait_for(self._full, timeout=self._wait_s)
            group: list[_Entry] = []
            rows = 0
            while self._queue and rows < GROUP_ROWS:
                group.append(self._queue.popleft())
                rows += group[-1].write.rows
            self._queued_rows -= rows
            self._hurry = self._hurry and bool(self._queue)
            return group

    def _acknowledge(self, group: Sequence[_Entry], outcomes: Sequence[Any]) -> None:
        if group:
            # A closed loop has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                group[0].future.get_loop().call_soon_threadsafe(_tell, group, outcomes)

    def _kept(self, group: Sequence[_Entry]) -> list[Any]:
        """Return the outcome of each entry, an exception where it failed, once all the others are committed."""
        if all(entry.write.rows == 0 for entry in group):
            return [None] * len(group)
        # Fences: a fault, of ours too, must end no thread and leave nobody waiting.
        try:
            return self._committed(group, self._together)
        except Exception as error:  # noqa: BLE001
            failed = self._failed(error)
        if isinstance(failed, PermanentError):
            try:
                return self._committed(group, self._one_by_one)
            except Exception as error:  # noqa: BLE001
                failed = self._failed(error)
        # An exception of its own for each: raised in several tasks, one would gather the traces of all.
        return [type(failed)(str(failed)) for _ in group]

    def _failed(self, error: Exception) -> MarketStreamError:
        self.report = replace(self.report, errors=self.report.errors + 1)
        judged = self._judged(error)
        _LOG.warning("%s", judged)
        return judged

    def _judged(self, error: Exception) -> MarketStreamError:
        if isinstance(error, SQLAlchemyError):
            return self._database.judge(error)
        if isinstance(error, MarketStreamError):
            return error
        _LOG.error("the store failed to write", exc_info=error)
        return PermanentError(f"the store failed: {type(error).__name__}")

    def _committed(
        self, group: Sequence[_Entry], execute: Callable[[Transaction, Sequence[_Entry]], list[Any]]
    ) -> list[Any]:
        started = self._clock.monotonic_ns()
        with self._database.writing() as connection:
            transaction = Transaction(connection)
            self._probe("before_effect")
            outcomes = execute(transaction, group)
            self._probe("after_effect")
            counts = self._counted(transaction)
            self._probe("before_commit")
        self._probe("after_commit")
        self._times.append((self._clock.monotonic_ns() - started) / _NS_PER_MS)
        kept = sum(entry.write.rows for entry, o in zip(group, outcomes, strict=True) if not isinstance(o, Exception))
        report = self.report
        self.report = replace(
            report,
            rows={**report.rows, **counts},
            written=report.written + kept,
            commits=report.commits + 1,
            commit_ms=tuple(self._times),
        )
        return outcomes

    def _together(self, transaction: Transaction, group: Sequence[_Entry]) -> list[Any]:
        outcomes: list[Any] = []
        gathered: dict[sa.Insert, list[Row]] = {}
        for entry in group:
            for statement, rows in entry.write.inserts:
                gathered.setdefault(statement, []).extend(rows)
            if entry.write.apply is not None:
                _insert_all(transaction, gathered)
            outcomes.append(_applied(transaction, entry.write))
        _insert_all(transaction, gathered)
        return outcomes

    def _one_by_one(self, transaction: Transaction, group: Sequence[_Entry]) -> list[Any]:
        outcomes: list[Any] = []
        for entry in group:
            before = transaction.added.copy()
            try:
                with transaction.connection.begin_nested():
                    _insert_all(transaction, dict(entry.write.inserts))
                    outcomes.append(_applied(transaction, entry.write))
            except Exception as error:
                judged = self._judged(error)
                if isinstance(judged, TransientError):
                    raise
                transaction.added = before
                outcomes.append(judged)
        return outcomes

    def _counted(self, transaction: Transaction) -> dict[str, int]:
        counts = {name: self.report.rows.get(name, 0) + new for name, new in transaction.added.items()}
        for name in transaction.touched:
            counts[name] = count_rows(transaction.connection, name)
        return counts


def count_rows(connection: sa.Connection, table: str) -> int:
    """Return how many rows a table holds."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table))) or 0)


def _tell(group: Sequence[_Entry], outcomes: Sequence[Any]) -> None:
    for entry, outcome in zip(group, outcomes, strict=True):
        if entry.future.done():
            continue
        if isinstance(outcome, Exception):
            entry.future.set_exception(outcome)
        else:
            entry.future.set_result(outcome)


def _insert_all(transaction: Transaction, gathered: dict[sa.Insert, Any]) -> None:
    for statement, rows in gathered.items():
        transaction.insert(statement, rows)
    gathered.clear()


def _applied(transaction: Transaction, write: Write[Any]) -> Any:
    transaction.touched.update(write.touches)
    if write.apply is None:
        return None
    try:
        return write.apply(transaction)
    except MarketStreamError as error:
        return error
