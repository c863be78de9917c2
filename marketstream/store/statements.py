"""The statements that write, in the words of one dialect. All may run twice: the second time changes nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from marketstream.store.columns import Words
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


class Statements:
    """Made once per store.

    Args:
        dialect: `sqlite` or `postgresql`.
    """

    def __init__(self, dialect: str) -> None:
        self._insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect]
        self.add_event = self._new(EVENTS)
        self.add_allocation = self._new(ALLOCATIONS)
        self.add_rationale = self._new(RATIONALES)
        self.add_answer = self._new(ANSWERS)
        self.mark_handled = self._new(HANDLED).returning(HANDLED.c.event_id)
        self.set_provider = self._latest(PROVIDERS, "name")
        self.set_dead_letter = self._latest(DEAD_LETTERS, "id")
        self.set_provider_state = self._state()
        self.add_feedback = _feedback()

    def _new(self, table: sa.Table) -> Any:
        return self._insert(table).on_conflict_do_nothing()

    def _latest(self, table: sa.Table, key: str) -> Any:
        insert = self._insert(table)
        changed = {c.name: insert.excluded[c.name] for c in table.c if c.name not in ("row", key)}
        return insert.on_conflict_do_update(index_elements=[key], set_=changed)

    def _state(self) -> Any:
        # Read back from the event: one that comes a second time has its old row number, and changes nothing. One that
        # comes late, out of a dead letter, has a new row number and an old time.
        names = ["name", "status", "message", "ts", "event_id", "event_row"]
        event = sa.select(
            EVENTS.c.subject,
            sa.cast(sa.bindparam("state"), Words()),
            EVENTS.c.message,
            EVENTS.c.ts,
            EVENTS.c.event_id,
            EVENTS.c.row,
        ).where(EVENTS.c.event_id == sa.bindparam("of_event"))
        insert = self._insert(PROVIDER_STATES).from_select(names, event)
        return insert.on_conflict_do_update(
            index_elements=["name"],
            set_={name: insert.excluded[name] for name in names[1:]},
            where=sa.tuple_(insert.excluded.ts, insert.excluded.event_row)
            > sa.tuple_(PROVIDER_STATES.c.ts, PROVIDER_STATES.c.event_row),
        )


def _feedback() -> sa.Insert:
    # Nothing is inserted for a text that is not there.
    columns = [c for c in FEEDBACK.c if c.name != "row"]
    values = sa.select(*(sa.cast(sa.bindparam(f"new_{c.name}"), c.type) for c in columns))
    there = sa.exists().where(RATIONALES.c.id == sa.bindparam("new_rationale_id"))
    return sa.insert(FEEDBACK).from_select([c.name for c in columns], values.where(there))
