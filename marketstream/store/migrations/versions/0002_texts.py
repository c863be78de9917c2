"""Rationales with their feedback, dead letters, remembered answers and handled effects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketstream.store.migrations.parking import park, take_back_or_make

revision = "0002"
down_revision = "0001"

ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make rationales, feedback, dead_letters, answers and handled."""
    take_back_or_make(
        revision,
        rationales=_rationales,
        feedback=_feedback,
        dead_letters=_dead_letters,
        answers=_answers,
        handled=_handled,
    )


def downgrade() -> None:
    """Park them."""
    park(revision, "rationales", "feedback", "dead_letters", "answers", "handled")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _long(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _rationales() -> None:
    op.create_table(
        "rationales",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        *map(_text, ("id", "event_id", "kind")),
        sa.Column("subject", sa.Text(), nullable=True),
        _text("status"),
        _long("created_at"),
        _text("record"),
        sa.PrimaryKeyConstraint("row", name="pk_rationales"),
        sa.UniqueConstraint("id", name="uq_rationales_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rationales_kind_row", "rationales", ["kind", "row"])
    op.create_index("ix_rationales_created_at", "rationales", ["created_at"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        _text("rationale_id"),
        sa.Column("rating", sa.Integer(), nullable=False),
        *map(_text, ("reason", "comment")),
        _long("at"),
        sa.PrimaryKeyConstraint("row", name="pk_feedback"),
        sa.ForeignKeyConstraint(
            ["rationale_id"], ["rationales.id"], name="fk_feedback_rationale_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_rationale_id_row", "feedback", ["rationale_id", "row"])


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        *map(_text, ("id", "handler", "event_id", "topic", "subject", "payload", "error_type", "error")),
        *map(_long, ("attempts", "failed_at")),
        _text("status"),
        sa.PrimaryKeyConstraint("row", name="pk_dead_letters"),
        sa.UniqueConstraint("id", name="uq_dead_letters_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dead_letters_status_row", "dead_letters", ["status", "row"])


def _answers() -> None:
    op.create_table(
        "answers",
        *map(_text, ("key", "fingerprint")),
        sa.Column("status", sa.Integer(), nullable=False),
        _text("headers"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _long("at"),
        sa.PrimaryKeyConstraint("key", name="pk_answers"),
    )
    op.create_index("ix_answers_at", "answers", ["at"])


def _handled() -> None:
    op.create_table(
        "handled",
        *map(_text, ("handler", "event_id")),
        _long("at"),
        sa.PrimaryKeyConstraint("handler", "event_id", name="pk_handled"),
    )
    op.create_index("ix_handled_at", "handled", ["at"])
