"""Store: what is kept, behind one writing thread and a few reading ones. Nothing happens before `open`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import NotFoundError, TransientError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter, DeadLetterStatus
from marketstream.market.rationale import Rationale, RationaleHead, RationaleKind, RationaleStatus
from marketstream.market.records import (
    AllocationRecord,
    EventFilter,
    Feedback,
    Page,
    PageRequest,
    ProviderConfig,
    ProviderState,
    StoredAnswer,
    StoreStatus,
)
from marketstream.store import reading, rows
from marketstream.store.address import read_address
from marketstream.store.columns import whole
from marketstream.store.database import CLOSE_S, Database
from marketstream.store.opened import Opened
from marketstream.store.pruning import prune_slice, prunings
from marketstream.store.statements import Statements
from marketstream.store.tables import ANSWERS, DEAD_LETTERS, PROVIDERS
from marketstream.store.writer import GROUP_ROWS, Transaction, Write, WriterReport

T = TypeVar("T")

ANSWER_AGE_S = 24 * 3600
"""How long an answer is remembered for its idempotency key, seconds."""


class Store:
    """Keep events and what they tell of, dead letters, configurations, feedback and answers.

    Every method that writes returns only after the transaction was committed: what is acknowledged is kept. All
    raise TransientError while the database is not available or the store is not open, and another PermanentError
    than they name where it refuses. While it is open a store belongs to one loop.

    Args:
        url: `sqlite` (the file `store.db` in `data_dir`), `memory`, `sqlite:///path/to/file.db` or
            `postgresql://user:password@host/database`.
        clock: Dates what is remembered and measures commits.
        data_dir: Folder of the file, made when it is opened.
        fallback: Why this is not the store that was asked for, shown in its status.
        probe: Called with the name of each point that a group of writes passes, see Writer; for tests.

    Raises:
        ConfigurationError: The URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        data_dir: Path,
        fallback: str = "",
        probe: Callable[[str], None] = lambda point: None,
    ) -> None:
        self._address = read_address(url, data_dir)
        self._clock = clock
        self._fallback = fallback
        self._probe = probe
        # Taken in threads only: opening and closing block, and belong to no loop.
        self._turn = threading.Lock()
        self._opened: Opened | None = None
        self._opening: Database | None = None

    def __repr__(self) -> str:
        return f"Store({self._address.location})"

    async def open(self) -> None:
        """Take the file, bring an empty database to the newest revision and start the threads.

        Opening an open store changes nothing.

        Raises:
            StoreBusyError: Another process has the file; a ConfigurationError too.
            ConfigurationError: The database is at another revision (the message says what to run), is none, or
                cannot be reached.
        """
        await _to_the_end(self._open, self._give_up_opening)

    async def close(self) -> None:
        """Write what waits, end the threads and let go of the file; closing a closed store changes nothing.

        A database that commits nothing for five seconds is given up, with what waits for it.
        """
        await _to_the_end(self._close)

    @property
    def is_open(self) -> bool:
        """Return whether it can be written and read."""
        return self._opened is not None

    async def flush(self) -> None:
        """Wait until everything that was handed in before is committed."""
        await self._now().writer.flush()

    def status(self) -> StoreStatus:
        """Return how the store fares; reads no table."""
        opened = self._opened
        report = WriterReport() if opened is None else opened.writer.report
        times = sorted(report.commit_ms)
        return StoreStatus(
            kind=self._address.kind,
            location=self._address.location,
            revision="" if opened is None else opened.revision,
            fallback=self._fallback,
            rows=report.rows,
            written=report.written,
            commits=report.commits,
            waiting=0 if opened is None else opened.writer.waiting,
            commit_ms_p50=times[len(times) // 2] if times else None,
            commit_ms_p99=times[len(times) * 99 // 100] if times else None,
            errors=report.errors,
            size_bytes=self._address.size_bytes(),
        )

    # Events -------------------------------------------------------------------------------------------------

    async def handle(self, events: Sequence[MarketEvent]) -> None:
        """Keep events and, in the same transaction, what they tell of; one that is there already changes nothing.

        An event about an allocation carries the fields of AllocationRecord but `event_id` and `ts`, one about a text
        `rationale`; these go to their own tables, and the event keeps a reference. One about the status of a provider
        becomes its state. Every 1,000 events are all or nothing.

        Raises:
            InvalidInputError: An event without an id, or whose data are not what its topic carries or no plain JSON.
        """
        for start in range(0, len(events), GROUP_ROWS):
            await self._write(_event_write(self._now().statements, events[start : start + GROUP_ROWS]))

    async def events(self, wanted: EventFilter, page: PageRequest) -> Page[MarketEvent]:
        """Return events, newest first.

        Raises:
            InvalidInputError: A topic pattern or a bound of time that is none.
        """
        return await self._read(lambda connection: reading.events(connection, wanted, page))

    async def allocations(self, page: PageRequest) -> Page[AllocationRecord]:
        """Return allocations, newest first."""
        return await self._read(lambda connection: reading.allocations(connection, page))

    async def mark_handled(self, handler: str, event_ids: Iterable[str]) -> frozenset[str]:
        """Note that a handler has dealt with events; return those that were new.

        For handlers whose effect lies outside: who is told that an event is not new must not repeat its effect.
        """
        now = self._clock.now_ns()
        marks = [rows.handled_row(handler, event_id, now) for event_id in dict.fromkeys(event_ids)]
        if not marks:
            return frozenset()
        statement = self._now().statements.mark_handled

        def apply(transaction: Transaction) -> frozenset[str]:
            new = frozenset(transaction.connection.execute(statement, marks).scalars())
            transaction.added["handled"] += len(new)
            return new

        return await self._write(Write(rows=len(marks), apply=apply))

    async def handled(self, handler: str, event_ids: Iterable[str]) -> frozenset[str]:
        """Return those of some events that a handler has dealt with."""
        asked = list(event_ids)
        return await self._read(lambda connection: reading.handled(connection, handler, asked))

    async def prune(self, before_ts: int, *, records_before_ts: int | None = None) -> int:
        """Remove what is older and return how many rows that was; dead letters that wait are never removed.

        Args:
            before_ts: Events, marks of handled ones and settled dead letters of before this go, UTC ns.
            records_before_ts: Allocations, and texts with their feedback, of before this go; None keeps all.
        """
        removed = 0
        for pruning in prunings(whole(before_ts, "before_ts"), records_before_ts):
            write = Write(rows=1, apply=partial(prune_slice, pruning), touches=pruning.touches)
            # In slices, so that other writers need not wait for long.
            while gone := await self._write(write):
                removed += gone
        return removed

    # Dead letters -------------------------------------------------------------------------------------------

    async def save_dead_letter(self, letter: DeadLetter) -> None:
        """Keep a dead letter; one of the same id is replaced."""
        row = rows.dead_letter_row(letter)
        await self._set(self._now().statements.set_dead_letter, row, "dead_letters")

    async def dead_letters(
        self, status: DeadLetterStatus | None, handler: str | None, page: PageRequest
    ) -> Page[DeadLetter]:
        """Return dead letters of a status and of a handler, where given; newest first."""
        return await self._read(lambda connection: reading.dead_letters(connection, status, handler, page))

    async def dead_letter(self, letter_id: str) -> DeadLetter:
        """Return a dead letter; NotFoundError when there is none."""
        return await self._read(lambda connection: reading.dead_letter(connection, letter_id))

    async def mark_dead_letter(self, letter_id: str, status: DeadLetterStatus, attempts: int) -> None:
        """Note what became of a dead letter after `attempts` calls in all; NotFoundError when there is none."""
        change = (
            sa.update(DEAD_LETTERS)
            .where(DEAD_LETTERS.c.id == letter_id)
            .values(status=status.value, attempts=whole(attempts, "attempts"))
        )

        def apply(transaction: Transaction) -> None:
            if transaction.connection.execute(change).rowcount == 0:
                raise NotFoundError(f"no dead letter {letter_id!r}")

        await self._write(Write(rows=1, apply=apply))

    async def renew_dead_letter(self, letter: DeadLetter) -> DeadLetter:
        """Note how a dead letter that waits failed again; one that was settled meanwhile stays so.

        Returns:
            The letter as it stands now.

        Raises:
            NotFoundError: There is none of this id.
        """
        row = rows.dead_letter_row(letter)
        change = (
            sa.update(DEAD_LETTERS)
            .where(DEAD_LETTERS.c.id == letter.id, DEAD_LETTERS.c.status == DeadLetterStatus.WAITING.value)
            .values({name: row[name] for name in ("error_type", "error", "attempts", "failed_at")})
        )

        def apply(transaction: Transaction) -> DeadLetter:
            transaction.connection.execute(change)
            return reading.dead_letter(transaction.connection, letter.id)

        return await self._write(Write(rows=1, apply=apply))

    # Providers ----------------------------------------------------------------------------------------------

    async def save_provider(self, config: ProviderConfig) -> None:
        """Keep what somebody configured; a configuration of the same name is replaced."""
        await self._set(self._now().statements.set_provider, rows.provider_row(config), "providers")

    async def providers(self) -> tuple[ProviderConfig, ...]:
        """Return what was configured, in the order the names were first saved."""
        return await self._read(reading.providers)

    async def forget_provider(self, name: str) -> None:
        """Forget what was configured of a provider; where there is nothing this changes nothing."""
        forget = sa.delete(PROVIDERS).where(PROVIDERS.c.name == name)

        def apply(transaction: Transaction) -> None:
            transaction.connection.execute(forget)

        await self._write(Write(rows=1, apply=apply, touches=("providers",)))

    async def provider_states(self) -> tuple[ProviderState, ...]:
        """Return what the newest event said of each provider's status, by name."""
        return await self._read(reading.provider_states)

    # Texts --------------------------------------------------------------------------------------------------

    async def rationale(self, rationale_id: str) -> Rationale:
        """Return a text; NotFoundError when there is none."""
        return await self._read(lambda connection: reading.rationale(connection, rationale_id))

    async def rationales(
        self, kind: RationaleKind | None, page: PageRequest, *, status: RationaleStatus | None = None
    ) -> Page[RationaleHead]:
        """Return texts of a kind and of a status, where given, without what stands behind them; newest first."""
        return await self._read(lambda connection: reading.rationales(connection, kind, status, page))

    async def kept_rationales(self, ids: Iterable[str], *, before: int | None = None) -> tuple[frozenset[str], int]:
        """Return which of some texts a walk through `rationales` from the cursor `before` on meets, and that cursor.

        None stands for a walk that begins now.
        """
        asked = list(ids)
        return await self._read(lambda connection: reading.kept_rationales(connection, asked, before))

    async def save_feedback(self, feedback: Feedback) -> None:
        """Keep a reader's judgement; NotFoundError when there is no such text."""
        row = rows.feedback_row(feedback)
        statement = self._now().statements.add_feedback

        def apply(transaction: Transaction) -> None:
            if transaction.insert(statement, [row]) == 0:
                raise NotFoundError(f"no rationale {feedback.rationale_id!r}")

        await self._write(Write(rows=1, apply=apply))

    async def feedback(self, rationale_id: str) -> tuple[Feedback, ...]:
        """Return what readers thought of a text, oldest first; nothing where there is no such text."""
        return await self._read(lambda connection: reading.feedback(connection, rationale_id))

    # Answers ------------------------------------------------------------------------------------------------

    async def remember(self, answer: StoredAnswer) -> StoredAnswer:
        """Keep the answer to a request for ANSWER_AGE_S and return what is kept under its key: the first one."""
        row = rows.answer_row(answer)
        since = self._since()
        statement = self._now().statements.add_answer
        forget = sa.delete(ANSWERS).where(ANSWERS.c.at < since)

        def apply(transaction: Transaction) -> StoredAnswer:
            transaction.connection.execute(forget)
            transaction.connection.execute(statement, row)
            return reading.answer(transaction.connection, answer.key, since) or answer

        return await self._write(Write(rows=1, apply=apply, touches=("answers",)))

    async def recall(self, key: str) -> StoredAnswer | None:
        """Return the answer that was given under a key within ANSWER_AGE_S, None where there is none."""
        since = self._since()
        return await self._read(lambda connection: reading.answer(connection, key, since))

    def _since(self) -> int:
        return self._clock.now_ns() - ANSWER_AGE_S * SECOND_NS

    # The threads --------------------------------------------------------------------------------------------

    def _open(self) -> None:
        with self._turn:
            if self._opened is None:
                self._opening = Database(self._address)
                opened = Opened(self._opening, clock=self._clock, probe=self._probe)
                if self._opening.is_cut:
                    # It answered after all, when nobody waited any more.
                    opened.close()
                else:
                    self._opened = opened

    def _close(self) -> None:
        with self._turn:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.close()

    def _give_up_opening(self) -> None:
        if self._opening is not None:
            self._opening.cut()

    def _now(self) -> Opened:
        if self._opened is None:
            raise TransientError(f"the store at {self._address.location} is not open")
        return self._opened

    async def _write(self, write: Write[T]) -> T:
        return await self._now().writer.submit(write)

    async def _read(self, query: Callable[[sa.Connection], T]) -> T:
        return await self._now().read(query)

    async def _set(self, statement: sa.Insert, row: dict[str, Any], table: str) -> None:
        def apply(transaction: Transaction) -> None:
            transaction.connection.execute(statement, row)

        await self._write(Write(rows=1, apply=apply, touches=(table,)))


async def _to_the_end(work: Callable[[], None], give_up: Callable[[], None] = lambda: None) -> None:
    # A thread cannot be stopped half way: a caller that is cancelled still waits, so that nothing is left half open.
    # `give_up` makes work fail that waits for a server which does not answer.
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if (await asyncio.wait({task}, timeout=CLOSE_S))[1]:
            give_up()
            await asyncio.wait({task})
        task.exception()
        raise


def _event_write(statements: Statements, events: Sequence[MarketEvent]) -> Write[None]:
    audit, allocations, texts, states = [], [], [], []
    for event in events:
        if event.topic is Topic.ALLOCATION:
            allocations.append(rows.allocation_row(event))
        elif event.topic is Topic.RATIONALE:
            texts.append(rows.rationale_row(event))
        elif event.topic is Topic.PROVIDER_STATUS:
            states.append(rows.state_row(event))
        audit.append(rows.event_row(event))
    found = (
        (statements.add_event, audit),
        (statements.add_allocation, allocations),
        (statements.add_rationale, texts),
        (statements.set_provider_state, states),
    )
    return Write(
        rows=len(events),
        inserts=tuple((statement, new) for statement, new in found if new),
        touches=("provider_states",) if states else (),
    )
