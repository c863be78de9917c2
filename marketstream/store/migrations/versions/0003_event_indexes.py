"""Events by the moment they happened: an index for every way in which lists are asked for."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

BEFORE = (("topic", "row"), ("subject", "row"), ("ts",))
AFTER = (("ts", "row"), ("topic", "ts", "row"), ("subject", "ts", "row"), ("topic", "subject", "ts", "row"))


def upgrade() -> None:
    """Take the indexes by arrival for those by moment."""
    _drop(BEFORE)
    _make(AFTER)


def downgrade() -> None:
    """Take them back."""
    _drop(AFTER)
    _make(BEFORE)


def _make(indexes: tuple[tuple[str, ...], ...]) -> None:
    for columns in indexes:
        op.create_index(_name(columns), "events", list(columns))


def _drop(indexes: tuple[tuple[str, ...], ...]) -> None:
    for columns in indexes:
        op.drop_index(_name(columns), "events")


def _name(columns: tuple[str, ...]) -> str:
    return f"ix_events_{'_'.join(columns)}"
