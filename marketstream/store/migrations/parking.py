"""Taking a step back without losing what it holds: tables are renamed, and taken up again by the next step forward."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op


def park(revision: str, *tables: str) -> None:
    """Rename tables to `parked_<revision>_<table>`, with all their rows and indexes."""
    for table in tables:
        op.rename_table(table, _parked(revision, table))


def take_back_or_make(revision: str, **makers: Callable[[], None]) -> None:
    """Rename each table back where an earlier step back parked it, else make it anew."""
    there = set(sa.inspect(op.get_bind()).get_table_names())
    for table, make in makers.items():
        if _parked(revision, table) in there:
            op.rename_table(_parked(revision, table), table)
        else:
            make()


def _parked(revision: str, table: str) -> str:
    return f"parked_{revision}_{table}"
