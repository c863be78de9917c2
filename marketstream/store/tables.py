"""The tables as they are now; migrations/ says how they came about, docs/store.md what each column means."""

from __future__ import annotations

import sqlalchemy as sa

from marketstream.store.columns import JsonText, Words

METADATA = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _row() -> sa.Column[int]:
    # Order of arrival, never used twice: what pages are cut by.
    return sa.Column("row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _words(name: str, *, unique: bool = False, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, Words(), unique=unique, nullable=nullable)


def _long(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _json(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, JsonText(), nullable=nullable)


EVENTS = sa.Table(
    "events",
    METADATA,
    _row(),
    _words("event_id", unique=True),
    _long("ts"),
    _words("topic"),
    _words("subject"),
    _words("message"),
    _json("data"),
    sa.Index(None, "ts", "row"),
    sa.Index(None, "topic", "ts", "row"),
    sa.Index(None, "subject", "ts", "row"),
    sa.Index(None, "topic", "subject", "ts", "row"),
    sqlite_autoincrement=True,
)
PROVIDERS = sa.Table(
    "providers",
    METADATA,
    _row(),
    _words("name", unique=True),
    _words("kind"),
    _json("options", nullable=True),
    sa.Column("enabled", sa.Boolean(), nullable=False),
    sa.Column("removed", sa.Boolean(), nullable=False),
    sa.Column("stale_after_s", sa.Double(), nullable=False),
    _long("updated_at"),
    sqlite_autoincrement=True,
)
PROVIDER_STATES = sa.Table(
    "provider_states",
    METADATA,
    sa.Column("name", Words(), primary_key=True),
    _words("status"),
    _words("message"),
    _long("ts"),
    _words("event_id"),
    _long("event_row"),
)
ALLOCATIONS = sa.Table(
    "allocations",
    METADATA,
    _row(),
    _words("event_id", unique=True),
    _long("ts"),
    _long("sequence"),
    _words("status"),
    _words("method"),
    sa.Column("turnover", sa.Double(), nullable=False),
    _json("weights"),
    _json("previous_weights"),
    _json("stakes"),
    _json("cause"),
    sa.Index(None, "ts"),
    sqlite_autoincrement=True,
)
RATIONALES = sa.Table(
    "rationales",
    METADATA,
    _row(),
    _words("id", unique=True),
    _words("event_id"),
    _words("kind"),
    _words("subject", nullable=True),
    _words("status"),
    _long("created_at"),
    _json("record"),
    sa.Index(None, "kind", "row"),
    sa.Index(None, "created_at"),
    sqlite_autoincrement=True,
)
FEEDBACK = sa.Table(
    "feedback",
    METADATA,
    _row(),
    sa.Column("rationale_id", Words(), sa.ForeignKey("rationales.id", ondelete="CASCADE"), nullable=False),
    sa.Column("rating", sa.Integer(), nullable=False),
    _words("reason"),
    _words("comment"),
    _long("at"),
    sa.Index(None, "rationale_id", "row"),
    sqlite_autoincrement=True,
)
DEAD_LETTERS = sa.Table(
    "dead_letters",
    METADATA,
    _row(),
    _words("id", unique=True),
    _words("handler"),
    _words("event_id"),
    _words("topic"),
    _words("subject"),
    _json("payload"),
    _words("error_type"),
    _words("error"),
    sa.Column("attempts", sa.BigInteger(), nullable=False),
    _long("failed_at"),
    _words("status"),
    sa.Index(None, "status", "row"),
    sqlite_autoincrement=True,
)
ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column("key", Words(), primary_key=True),
    _words("fingerprint"),
    sa.Column("status", sa.Integer(), nullable=False),
    _json("headers"),
    sa.Column("body", sa.LargeBinary(), nullable=False),
    _long("at"),
    sa.Index(None, "at"),
)
HANDLED = sa.Table(
    "handled",
    METADATA,
    sa.Column("handler", Words(), primary_key=True),
    sa.Column("event_id", Words(), primary_key=True),
    _long("at"),
    sa.Index(None, "at"),
)
