"""Retention: what goes by age, a slice at a time."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from marketstream.market.handling import DeadLetterStatus
from marketstream.store.columns import whole
from marketstream.store.tables import ALLOCATIONS, DEAD_LETTERS, EVENTS, HANDLED, RATIONALES
from marketstream.store.writer import Transaction

SLICE_ROWS = 2_000
"""Rows removed in one transaction at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """One table to prune: which rows go, and which tables lose rows by it."""

    table: sa.Table
    gone: sa.ColumnElement[bool]
    touches: tuple[str, ...]


def prunings(before_ts: int, records_before_ts: int | None) -> list[Pruning]:
    """Return what goes: events, handled marks and settled dead letters of before one moment, records of before another.

    Args:
        before_ts: UTC ns.
        records_before_ts: The same for allocations and texts; None keeps all of them.
    """
    settled = DEAD_LETTERS.c.status != DeadLetterStatus.WAITING.value
    found = [
        _by_age(EVENTS, EVENTS.c.ts < before_ts),
        _by_age(HANDLED, HANDLED.c.at < before_ts),
        _by_age(DEAD_LETTERS, sa.and_(settled, DEAD_LETTERS.c.failed_at < before_ts)),
    ]
    if records_before_ts is not None:
        before = whole(records_before_ts, "records_before_ts")
        found.append(_by_age(ALLOCATIONS, ALLOCATIONS.c.ts < before))
        found.append(_by_age(RATIONALES, RATIONALES.c.created_at < before, "feedback"))
    return found


def prune_slice(pruning: Pruning, transaction: Transaction) -> int:
    """Remove at most SLICE_ROWS rows and return how many there were."""
    key = sa.tuple_(*pruning.table.primary_key)
    gone = sa.select(*pruning.table.primary_key).where(pruning.gone).limit(SLICE_ROWS)
    return transaction.connection.execute(sa.delete(pruning.table).where(key.in_(gone))).rowcount


def _by_age(table: sa.Table, gone: sa.ColumnElement[bool], *along: str) -> Pruning:
    return Pruning(table=table, gone=gone, touches=(table.name, *along))
