"""Events with the allocations and provider states they told of, and providers that were configured at run time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketstream.store.migrations.parking import park, take_back_or_make

revision = "0001"
down_revision = None

ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make events, providers, provider_states and allocations."""
    take_back_or_make(
        revision, events=_events, providers=_providers, provider_states=_provider_states, allocations=_allocations
    )


def downgrade() -> None:
    """Park them."""
    park(revision, "events", "providers", "provider_states", "allocations")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _long(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        _text("event_id"),
        _long("ts"),
        *map(_text, ("topic", "subject", "message", "data")),
        sa.PrimaryKeyConstraint("row", name="pk_events"),
        sa.UniqueConstraint("event_id", name="uq_events_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_topic_row", "events", ["topic", "row"])
    op.create_index("ix_events_subject_row", "events", ["subject", "row"])
    op.create_index("ix_events_ts", "events", ["ts"])


def _providers() -> None:
    op.create_table(
        "providers",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        *map(_text, ("name", "kind")),
        sa.Column("options", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("stale_after_s", sa.Double(), nullable=False),
        _long("updated_at"),
        sa.PrimaryKeyConstraint("row", name="pk_providers"),
        sa.UniqueConstraint("name", name="uq_providers_name"),
        sqlite_autoincrement=True,
    )


def _provider_states() -> None:
    op.create_table(
        "provider_states",
        *map(_text, ("name", "status", "message")),
        _long("ts"),
        _text("event_id"),
        _long("event_row"),
        sa.PrimaryKeyConstraint("name", name="pk_provider_states"),
    )


def _allocations() -> None:
    op.create_table(
        "allocations",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        _text("event_id"),
        *map(_long, ("ts", "sequence")),
        *map(_text, ("status", "method")),
        sa.Column("turnover", sa.Double(), nullable=False),
        *map(_text, ("weights", "previous_weights", "stakes", "cause")),
        sa.PrimaryKeyConstraint("row", name="pk_allocations"),
        sa.UniqueConstraint("event_id", name="uq_allocations_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_allocations_ts", "allocations", ["ts"])
