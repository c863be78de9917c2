"""What every body, query and answer of the API shares, and what it takes and gives about the streaming itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-01T00:00:00.100000Z"])]
"""UTC, RFC 3339 with microseconds: nanoseconds since 1970 do not fit a browser's numbers."""


def timestamp(ns: int) -> str:
    """Return a UTC stamp in nanoseconds as RFC 3339 text, cut to microseconds.

    >>> timestamp(1_767_225_600_100_000_999)
    '2026-01-01T00:00:00.100000Z'
    """
    moment = EPOCH + timedelta(microseconds=ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Input(BaseModel):
    """A body or query: strict types, finite numbers, no unknown fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Output(BaseModel):
    """An answer: exactly the fields that are declared."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Control(Input):
    """What to do with the streaming."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"action": "pause"}]})

    action: Literal["start", "stop", "pause", "resume"] = Field(
        description="start: begin to stream; stop: end it (the API keeps answering); pause: keep the feeds, "
        "stop the cycles; resume: go on. Asking for what is so already changes nothing."
    )


class ReplayInfo(Output):
    """How far a recording has been played."""

    name: str = Field(description="Of the file.")
    speed: float | None = Field(description="Seconds of the recording per second; null for as fast as it goes.")
    begin: Timestamp = Field(description="Time of its first cycle, UTC.")
    end: Timestamp = Field(description="Time of its last cycle, UTC.")
    position: Timestamp = Field(description="Time of the newest cycle, UTC.")
    fraction: float = Field(description="Share of the file that is behind it, 0 to 1.")
    cycles: int = Field(description="Cycles made so far.", ge=0)
    cycles_per_s: float = Field(description="Of the last fifty, per second; it falls while the recording stands.", ge=0)
    ended: bool = Field(description="Whether nothing is left to play.")
    diverged_at: int | None = Field(
        description="Cycle before which what was computed differs from the recording; null while it is the same."
    )
    failure: str = Field(description="Why it stopped before its end; empty where it did not.")


class StreamingStatus(Output):
    """What the engine is doing."""

    state: Literal["stopped", "running", "paused"] = Field(description="State of the streaming.")
    profile: str = Field(description="Which set of providers was started, such as demo or live.")
    simulated: bool = Field(description="True when every price comes from the simulator.")
    started_at: Timestamp | None = Field(description="When streaming began, UTC; null before.")
    now: Timestamp = Field(description="The engine's time, UTC.")
    sequence: int = Field(description="Number of the newest cycle; 0 before the first.", ge=0)
    cycle_s: float = Field(description="Time from one cycle to the next, seconds.")
    cycle_ms_p50: float | None = Field(description="Median work per cycle, milliseconds.")
    cycle_ms_p99: float | None = Field(description="99th percentile of the work per cycle, milliseconds.")
    quotes_per_s: float | None = Field(description="Valid quotes per second over all providers.")
    refused_share: float | None = Field(description="Refused quotes as a fraction of all, 0 to 1.")
    n_instruments: int = Field(description="Instruments in the catalogue.", ge=0)
    n_venues: int = Field(description="Venues in the catalogue.", ge=0)
    n_providers: int = Field(description="Registered providers.", ge=0)
    analysis_ms: float | None = Field(description="Time of the newest house analysis, milliseconds.")
    errors: int = Field(description="Exceptions that were caught and counted since the start.", ge=0)
    events_waiting: int = Field(description="Events that wait in the lanes of handlers.", ge=0)
    dead_lettered: int = Field(description="Events that a handler could not deal with, since the start.", ge=0)
    store: Literal["sqlite", "postgresql", "memory"] = Field(description="Where records are kept.")
    replay: ReplayInfo | None = Field(description="How far a recording has been played; null where the stream is live.")
