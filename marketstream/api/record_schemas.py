"""What the API takes and gives about what the store keeps: events, allocations, and the store itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from marketstream.api.listing import Listed, Listing, Moment
from marketstream.api.schemas import Output, Timestamp

MAX_TOPICS = 20
TopicPattern = Annotated[str, Field(min_length=1, max_length=100)]


class EventQuery(Listing):
    """Filters of /streaming/events; all that are given must hold."""

    topic: list[TopicPattern] = Field(
        default_factory=list,
        max_length=MAX_TOPICS,
        description="Topic pattern: `*` stands for one word, `#` for any number of words. Given several times, "
        "any of them may hold.",
        examples=[["provider.#"]],
    )
    subject: str | None = Field(
        default=None, max_length=200, description="Whom the event is about.", examples=["alder"]
    )
    since: Moment | None = Field(default=None, description="Events at or after this time.")
    until: Moment | None = Field(default=None, description="Events before this time.")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must be before until")
        return self


class EventInfo(Output):
    """One fact: what happened, when, to whom."""

    id: str = Field(description="Unique for ever.")
    ts: Timestamp = Field(description="When it happened, UTC.")
    topic: str = Field(description="What it is about, as dotted words.")
    subject: str = Field(description="Whom it is about: a provider, an instrument, a text, engine.")
    message: str = Field(description="The same in a sentence. Plain text: escape it for a page.")
    data: dict[str, Any] = Field(description="Values beside the sentence; docs/events.md lists them by topic.")


class EventPage(Listed):
    """Events, newest first."""

    rows: list[EventInfo] = Field(description="The events.")


class AllocationInfo(Output):
    """One allocation that was worth keeping, with what led to it."""

    event_id: str = Field(description="Id of the event that told of it.")
    ts: Timestamp = Field(description="Moment of the snapshot, UTC.")
    sequence: int = Field(description="Cycle of the snapshot.", ge=0)
    status: str = Field(description="Of the weights, as in /portfolio.")
    method: str = Field(description="Solver and covariance.")
    turnover: float = Field(description="Sum of absolute changes against what is held, as a fraction of capital.")
    weights: dict[str, Any] = Field(description="Target weight by instrument, fraction of capital.")
    previous_weights: dict[str, Any] = Field(description="The targets of the allocation that was told before this one.")
    stakes: dict[str, Any] = Field(description="Stake in USD by instrument@venue.")
    cause: dict[str, Any] = Field(description="What led to it: fair values, edges, knobs, limits that hold.")


class AllocationPage(Listed):
    """Allocations, newest first."""

    rows: list[AllocationInfo] = Field(description="The allocations.")


class StoreInfo(Output):
    """How the store fares."""

    kind: Literal["sqlite", "postgresql", "memory"] = Field(description="Where records are kept.")
    location: str = Field(description="File or server, without any password.")
    revision: str = Field(description="Schema revision.")
    fallback: str = Field(description="Why it is not the store that was asked for; else empty.")
    rows: dict[str, int] = Field(description="Rows by table, as of the last commit.")
    written: int = Field(description="Rows committed since it was opened.", ge=0)
    commits: int = Field(description="Transactions since it was opened.", ge=0)
    waiting: int = Field(description="Rows not committed yet.", ge=0)
    commit_ms_p50: float | None = Field(description="Median time of a commit, milliseconds; null before the first.")
    commit_ms_p99: float | None = Field(description="99th percentile of the same, milliseconds.")
    errors: int = Field(description="Transactions that failed.", ge=0)
    size_bytes: int | None = Field(description="Size on disk, bytes; null where there is none.")
