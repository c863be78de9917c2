"""What the API takes and gives about handlers of effects and the events they could not deal with."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from marketstream.api.listing import Listed, Listing
from marketstream.api.schemas import Output, Timestamp

LetterStatus = Literal["waiting", "replayed", "discarded"]


class DeadLetterQuery(Listing):
    """Filters of /streaming/dead-letters; all that are given must hold."""

    status: LetterStatus | None = Field(default=None, description="Where the letter stands.")
    handler: str | None = Field(default=None, max_length=64, description="Name of the handler that failed.")


class DeadLetterInfo(Output):
    """An event that a handler could not deal with."""

    id: str = Field(description="handler:event_id; in a path its colon may be written %3A.")
    handler: str = Field(description="Who failed.")
    event_id: str = Field(description="Id of the event; the effect is idempotent by it.")
    topic: str = Field(description="Topic of the event.")
    subject: str = Field(description="Subject of the event.")
    error_type: str = Field(description="Class of the last exception.")
    error: str = Field(description="Its message, at most 500 characters. Plain text: escape it for a page.")
    attempts: int = Field(description="Calls made in all, replays included.", ge=0)
    failed_at: Timestamp = Field(description="When it last failed, UTC.")
    status: LetterStatus = Field(description="Where it stands.")


class DeadLetterWhole(DeadLetterInfo):
    """A dead letter with the event that a replay hands in again."""

    payload: dict[str, Any] = Field(description="The event as plain JSON.")


class DeadLetterPage(Listed):
    """Dead letters, newest first."""

    rows: list[DeadLetterInfo] = Field(description="The letters, without their payload.")


class HandlerInfo(Output):
    """How one handler fares."""

    name: str = Field(description="Its name.")
    kind: Literal["analysis", "effect"] = Field(
        description="analysis: runs after each cycle, never again; effect: takes events in order and is retried."
    )
    topics: list[str] = Field(description="Patterns of the topics it takes; none for an analysis.")
    waiting: int = Field(description="Events in its lane.", ge=0)
    done: int = Field(description="Events dealt with.", ge=0)
    retries: int = Field(description="Calls that were made again.", ge=0)
    dead_lettered: int = Field(description="Events it could not deal with.", ge=0)
    dropped: int = Field(description="Events a full lane let go of; never a control event.", ge=0)
    overflow: int = Field(description="Control events a full lane took in beyond its capacity.", ge=0)
    ms_p50: float | None = Field(description="Median time of a call, milliseconds; null before the first.")
    ms_p99: float | None = Field(description="99th percentile of the same, milliseconds.")
    errors: int = Field(description="Calls that raised.", ge=0)
    last_error: str = Field(description="What the last of them said; else empty.")
    retrying: str = Field(description="The error that is being retried now; else empty.")


class HandlerList(Output):
    """The handlers that events go to."""

    as_of: Timestamp = Field(description="The engine's time, UTC.")
    count: int = Field(description="How many there are.", ge=0)
    handlers: list[HandlerInfo] = Field(description="In the order in which they were registered.")
