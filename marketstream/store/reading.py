"""What is read, on a connection that sees one state: pages newest first, cut at a row, and single records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter, DeadLetterStatus
from marketstream.market.rationale import Rationale, RationaleHead, RationaleKind, RationaleStatus
from marketstream.market.records import (
    AllocationRecord,
    EventFilter,
    Feedback,
    FeedbackReason,
    Page,
    PageRequest,
    ProviderConfig,
    ProviderState,
    StoredAnswer,
)
from marketstream.market.topics import TopicPattern
from marketstream.store.columns import whole
from marketstream.store.tables import (
    ALLOCATIONS,
    ANSWERS,
    DEAD_LETTERS,
    EVENTS,
    FEEDBACK,
    HANDLED,
    PROVIDER_STATES,
    PROVIDERS,
    RATIONALES,
)

T = TypeVar("T")
_IDS_AT_ONCE = 1_000
_TOPICS = frozenset(topic.value for topic in Topic)
Conditions = list[sa.ColumnElement[bool]]


def events(connection: sa.Connection, wanted: EventFilter, page: PageRequest) -> Page[MarketEvent]:
    """Return a page of events, newest first by the moment they happened, and by arrival within one moment.

    In this order every filter is one stretch of an index, however far back its bounds lie.

    Raises:
        InvalidInputError: A topic pattern is none, or a bound of time is no UTC ns.
    """
    conditions: Conditions = []
    if wanted.subject is not None:
        conditions.append(EVENTS.c.subject == wanted.subject)
    if wanted.since is not None:
        conditions.append(EVENTS.c.ts >= whole(wanted.since, "since"))
    until = None if wanted.until is None else whole(wanted.until, "until")
    if page.cursor is not None:
        last = connection.scalar(sa.select(EVENTS.c.ts).where(EVENTS.c.row == page.cursor))
        if last is None:
            # Retention took the row that the page before ended with, and so all that is older.
            return Page(rows=())
        conditions.append(sa.tuple_(EVENTS.c.ts, EVENTS.c.row) < (last, page.cursor))
        # A second upper bound says nothing new, and leads SQLite to another index.
        until = None if until is None or last < until else until
    if until is not None:
        conditions.append(EVENTS.c.ts < until)
    topics = _matched(wanted.topics)
    if len(topics) == 1:
        conditions.append(EVENTS.c.topic == topics[0].value)
    if len(topics) in (1, len(Topic)):
        return _page(connection, _latest(EVENTS, conditions, page), page, _event)
    if not topics:
        return Page(rows=())
    # Each topic gives its newest rows by its own index: one search over all of them would sort whatever they ever said.
    parts = [_latest(EVENTS, [*conditions, EVENTS.c.topic == topic.value], page).subquery() for topic in topics]
    found = sa.union_all(*(part.select() for part in parts)).subquery()
    return _page(connection, _latest(found, [], page), page, _event)


def allocations(connection: sa.Connection, page: PageRequest) -> Page[AllocationRecord]:
    """Return a page of allocations."""
    return _page(connection, _newest(ALLOCATIONS, [], page), page, lambda row: _noun(AllocationRecord, row))


def dead_letters(
    connection: sa.Connection, status: DeadLetterStatus | None, handler: str | None, page: PageRequest
) -> Page[DeadLetter]:
    """Return a page of dead letters."""
    conditions: Conditions = []
    if status is not None:
        conditions.append(DEAD_LETTERS.c.status == status.value)
    if handler is not None:
        conditions.append(DEAD_LETTERS.c.handler == handler)
    return _page(connection, _newest(DEAD_LETTERS, conditions, page), page, _dead_letter)


def dead_letter(connection: sa.Connection, letter_id: str) -> DeadLetter:
    """Return a dead letter; NotFoundError when there is none."""
    row = _one(connection, sa.select(DEAD_LETTERS).where(DEAD_LETTERS.c.id == letter_id))
    if row is None:
        raise NotFoundError(f"no dead letter {letter_id!r}")
    return _dead_letter(row)


def rationales(
    connection: sa.Connection, kind: RationaleKind | None, status: RationaleStatus | None, page: PageRequest
) -> Page[RationaleHead]:
    """Return a page of texts without what stands behind them."""
    conditions: Conditions = []
    if kind is not None:
        conditions.append(RATIONALES.c.kind == kind.value)
    if status is not None:
        conditions.append(RATIONALES.c.status == status.value)
    # As the text that it is: a record holds hundreds of facts, of which a list shows none.
    record = sa.type_coerce(RATIONALES.c.record, sa.Text).label("record")
    texts = _newest(RATIONALES, conditions, page).with_only_columns(RATIONALES.c.row, record)
    return _page(connection, texts, page, _head)


def kept_rationales(connection: sa.Connection, ids: list[str], before: int | None) -> tuple[frozenset[str], int]:
    """Return which of some texts stand in rows before `before`, and that row; None stands for the one after all."""
    if before is None:
        before = (connection.scalar(sa.select(sa.func.max(RATIONALES.c.row))) or 0) + 1
    return _among(connection, RATIONALES.c.id, ids, RATIONALES.c.row < before), before


def rationale(connection: sa.Connection, rationale_id: str) -> Rationale:
    """Return a text; NotFoundError when there is none."""
    row = _one(connection, sa.select(RATIONALES.c.record).where(RATIONALES.c.id == rationale_id))
    text = None if row is None else _text(row)
    if text is None:
        raise NotFoundError(f"no rationale {rationale_id!r}")
    return text


def feedback(connection: sa.Connection, rationale_id: str) -> tuple[Feedback, ...]:
    """Return what readers thought of a text, oldest first."""
    wanted = sa.select(FEEDBACK).where(FEEDBACK.c.rationale_id == rationale_id).order_by(FEEDBACK.c.row)
    rows = connection.execute(wanted).mappings()
    return tuple(_noun(Feedback, {**row, "reason": FeedbackReason(row["reason"])}) for row in rows)


def providers(connection: sa.Connection) -> tuple[ProviderConfig, ...]:
    """Return the configurations, in the order they were first saved."""
    rows = connection.execute(sa.select(PROVIDERS).order_by(PROVIDERS.c.row)).mappings()
    return tuple(_noun(ProviderConfig, row) for row in rows)


def provider_states(connection: sa.Connection) -> tuple[ProviderState, ...]:
    """Return what was last said of each provider, by name."""
    rows = connection.execute(sa.select(PROVIDER_STATES).order_by(PROVIDER_STATES.c.name)).mappings()
    return tuple(_noun(ProviderState, row) for row in rows)


def answer(connection: sa.Connection, key: str, since: int) -> StoredAnswer | None:
    """Return the answer under a key that is not older than `since` (UTC ns), None where there is none."""
    row = _one(connection, sa.select(ANSWERS).where(ANSWERS.c.key == key, ANSWERS.c.at >= since))
    return None if row is None else _noun(StoredAnswer, row)


def handled(connection: sa.Connection, handler: str, event_ids: list[str]) -> frozenset[str]:
    """Return those of some events that a handler has dealt with."""
    return _among(connection, HANDLED.c.event_id, event_ids, HANDLED.c.handler == handler)


def _among(
    connection: sa.Connection, column: sa.Column[Any], ids: list[str], condition: sa.ColumnElement[bool]
) -> frozenset[str]:
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        wanted = sa.select(column).where(condition, column.in_(ids[start : start + _IDS_AT_ONCE]))
        found.update(connection.execute(wanted).scalars())
    return frozenset(found)


def _matched(patterns: Sequence[str]) -> list[Topic]:
    # Patterns become the known topics that they match, so that nothing of them reaches a statement.
    wanted = [TopicPattern(text) for text in patterns or ("#",)]
    return [topic for topic in Topic if any(pattern.matches(topic) for pattern in wanted)]


def _latest(events: sa.FromClause, conditions: Conditions, page: PageRequest) -> sa.Select[Any]:
    newest_first = (events.c.ts.desc(), events.c.row.desc())
    return sa.select(events).where(*conditions).order_by(*newest_first).limit(page.limit + 1)


def _newest(table: sa.Table, conditions: Conditions, page: PageRequest) -> sa.Select[Any]:
    if page.cursor is not None:
        conditions = [*conditions, table.c.row < page.cursor]
    # One more than asked for tells whether there is a page after this.
    return sa.select(table).where(*conditions).order_by(table.c.row.desc()).limit(page.limit + 1)


def _page(
    connection: sa.Connection,
    wanted: sa.Select[Any],
    page: PageRequest,
    noun: Callable[[Mapping[Any, Any]], T | None],
) -> Page[T]:
    rows = connection.execute(wanted).mappings().all()
    shown = rows[: page.limit]
    cursor = int(shown[-1]["row"]) if len(rows) > len(shown) else None
    return Page(rows=tuple(found for row in shown if (found := noun(row)) is not None), next_cursor=cursor)


def _one(connection: sa.Connection, wanted: sa.Select[Any]) -> Mapping[Any, Any] | None:
    return connection.execute(wanted).mappings().one_or_none()


def _event(row: Mapping[Any, Any]) -> MarketEvent | None:
    if row["topic"] not in _TOPICS:
        # A newer program wrote it; this one has no word for it.
        return None
    return MarketEvent(
        ts=row["ts"],
        topic=Topic(row["topic"]),
        subject=row["subject"],
        message=row["message"],
        data=row["data"],
        id=row["event_id"],
    )


def _head(row: Mapping[Any, Any]) -> RationaleHead | None:
    try:
        return RationaleHead.from_record(row["record"])
    except InvalidInputError:
        # As in _text.
        return None


def _text(row: Mapping[Any, Any]) -> Rationale | None:
    try:
        return Rationale.from_json(row["record"])
    except InvalidInputError:
        # A newer program wrote it, with words that this one does not know.
        return None


def _dead_letter(row: Mapping[Any, Any]) -> DeadLetter:
    return _noun(DeadLetter, {**row, "status": DeadLetterStatus(row["status"])})


def _noun(kind: type[T], row: Mapping[Any, Any]) -> T:
    # Columns are named like the fields of the noun; those that only the table needs are left out.
    return kind(**{name: row[name] for name in kind.__dataclass_fields__})  # type: ignore[attr-defined]
