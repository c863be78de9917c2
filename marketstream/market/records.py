"""What the store keeps and gives back: values that store, engine, API and page exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from marketstream.errors import InvalidInputError
from marketstream.market.events import Json

T = TypeVar("T")

MAX_PAGE = 1000
"""Rows of one page at most."""
MAX_COMMENT_LENGTH = 500
"""Characters of a reader's comment at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which part of a list to read, newest first.

    Attributes:
        limit: Rows at most, 1 to MAX_PAGE.
        cursor: `next_cursor` of the page before; None starts at the newest.
    """

    limit: int = 100
    cursor: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_PAGE:
            raise InvalidInputError(f"limit must be 1 to {MAX_PAGE}, was {self.limit}")
        if self.cursor is not None and not 0 <= self.cursor < 2**63:
            raise InvalidInputError("cursor must be the next_cursor of a page")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One part of a list.

    Attributes:
        rows: Newest first.
        next_cursor: Names the page after this; None where this is the last.
    """

    rows: tuple[T, ...]
    next_cursor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events: those of any of `topics` (bus patterns), of `subject`, in `since <= ts < until` (UTC ns)."""

    topics: tuple[str, ...] = ()
    subject: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """What somebody configured at run time, applied again at the next start.

    Attributes:
        name: Unique; in the store the profile or file it belongs to stands before it, as in `demo/elm`.
        kind: Kind of feed, such as `kraken`.
        options: Of that kind; None where only `enabled` or `removed` overrides a declared provider.
        enabled: Whether it may feed prices.
        removed: A declared provider that was deleted.
        stale_after_s: Silence after which it counts as degraded, seconds.
        updated_at: UTC ns.
    """

    name: str
    kind: str
    options: Mapping[str, Json] | None
    enabled: bool
    removed: bool = False
    stale_after_s: float = 10.0
    updated_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """What was last said of a provider: the newest event about its status.

    Attributes:
        name: Of the provider.
        status: As the event's data gave it (`status`), else empty.
        message: The same in a sentence.
        ts: When it happened, UTC ns.
        event_id: Of that event.
    """

    name: str
    status: str
    message: str
    ts: int
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRecord:
    """One allocation that was worth keeping, with what led to it.

    Attributes:
        event_id: Of the event that told of it.
        ts: Moment of the snapshot, UTC ns.
        sequence: Cycle of the snapshot.
        status: Of the weights.
        method: Solver and covariance.
        turnover: Sum of absolute changes of weights against what is held.
        weights: Target weight by instrument, fraction of capital.
        previous_weights: The targets of the allocation that was told before.
        stakes: USD by `instrument@venue`.
        cause: What led to it: fair values with their methods, edges, knobs, limits that hold.
    """

    event_id: str
    ts: int
    sequence: int
    status: str
    method: str
    turnover: float
    weights: Mapping[str, Json]
    previous_weights: Mapping[str, Json]
    stakes: Mapping[str, Json]
    cause: Mapping[str, Json]


class FeedbackReason(StrEnum):
    """What a reader thought of a text."""

    USEFUL = "useful"
    WRONG_FIGURE = "wrong_figure"
    UNCLEAR = "unclear"
    TOO_LONG = "too_long"
    MISSING = "missing"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A reader's judgement of a text.

    Attributes:
        rationale_id: Of the text.
        rating: -1 bad, 0 neither, 1 good.
        reason: Why.
        comment: At most MAX_COMMENT_LENGTH characters.
        at: UTC ns.
    """

    rationale_id: str
    rating: int
    reason: FeedbackReason
    comment: str
    at: int

    def __post_init__(self) -> None:
        if self.rating not in (-1, 0, 1):
            raise InvalidInputError(f"rating must be -1, 0 or 1, was {self.rating}")
        if len(self.comment) > MAX_COMMENT_LENGTH:
            raise InvalidInputError(
                f"comment must have at most {MAX_COMMENT_LENGTH} characters, had {len(self.comment)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What a request with an idempotency key was answered, so that a repetition gets the same.

    Attributes:
        key: The idempotency key, scoped by whoever made it.
        fingerprint: Of the request; another one under the same key is a mistake.
        status: HTTP status.
        headers: Those that belong to the answer.
        body: As it was sent, before any compression.
        at: UTC ns.
    """

    key: str
    fingerprint: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    at: int


class StoreKind(StrEnum):
    """Where records are kept."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """How the store fares.

    Attributes:
        kind: SQLite, PostgreSQL or memory.
        location: File or server, without any password.
        revision: Schema revision.
        fallback: Why it is not the store that was asked for, else empty.
        rows: Rows by table, as of the last commit.
        written: Rows committed since it was opened.
        commits: Transactions since it was opened.
        waiting: Rows not committed yet.
        commit_ms_p50: Median time of a commit, ms; None before the first.
        commit_ms_p99: 99th percentile of the same.
        errors: Transactions that failed.
        size_bytes: Size of the files; None where there are none.
    """

    kind: StoreKind
    location: str
    revision: str
    fallback: str
    rows: Mapping[str, int]
    written: int
    commits: int
    waiting: int
    commit_ms_p50: float | None
    commit_ms_p99: float | None
    errors: int
    size_bytes: int | None
