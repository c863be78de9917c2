"""What the API takes and gives about streaming and providers. The live tables are in table_schemas.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_FAULT_S = 3600.0
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


class FaultOrder(Input):
    """A fault for a simulated provider to play."""

    kind: Literal["stall", "gap", "crossed", "spike", "disconnect"] = Field(description="What goes wrong.")
    duration_s: float = Field(default=10.0, gt=0, le=MAX_FAULT_S, strict=True, description="For how long, in seconds.")


class ProviderChange(Input):
    """What to change about a provider; at least one of the two."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"enabled": False}, {"fault": {"kind": "stall", "duration_s": 10}}]}
    )

    enabled: bool | None = Field(default=None, strict=True, description="Whether it may feed prices.")
    fault: FaultOrder | None = Field(default=None, description="A fault to play; simulated providers only.")

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.enabled is None and self.fault is None:
            raise ValueError("give enabled, fault, or both")
        return self


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


ProviderState = Literal["READY", "RUNNING", "DEGRADED", "FAULTED", "STOPPED", "DISABLED"]
AbsenceReason = Literal["NO_DATA", "THROTTLED", "GEO_BLOCKED", "AUTH", "STALE", "GAP", "ERROR"]


class ProviderInfo(Output):
    """One provider: what it is doing and what it has counted."""

    name: str = Field(description="Unique name.")
    kind: str = Field(description="Kind of feed, such as simulated or binance.")
    status: ProviderState = Field(description="What it is doing, judged by progress.")
    absence: AbsenceReason | None = Field(description="Why there is no data; null while there is.")
    detail: str = Field(description="The same in a sentence.")
    enabled: bool = Field(description="Whether it may feed prices.")
    age_s: float | None = Field(description="Seconds since its last valid quote; null before the first.")
    frames: int = Field(description="Frames received.", ge=0)
    quotes: int = Field(description="Valid quotes delivered.", ge=0)
    refused: dict[str, int] = Field(description="Refused quotes or frames, by reason.")
    errors: int = Field(description="Exceptions caught while it was read.", ge=0)
    success_rate: float | None = Field(description="Valid quotes as a fraction of all, 0 to 1; null before any.")
    rate: float | None = Field(description="Valid quotes per second.")
    venues: list[str] = Field(description="Venues it quotes.")
    n_instruments: int = Field(description="Instruments it quotes.", ge=0)
    faults: list[str] = Field(description="Faults it can play on demand; empty for a real feed.")


class ProviderList(Output):
    """All providers, in the order in which they are trusted."""

    as_of: Timestamp = Field(description="The engine's time, UTC.")
    count: int = Field(description="How many there are.", ge=0)
    providers: list[ProviderInfo] = Field(description="The first enabled one wins where two quote the same.")


class HealthItem(Output):
    """Health of one provider."""

    status: ProviderState = Field(description="What it is doing.")
    absence: AbsenceReason | None = Field(description="Why there is no data; null while there is.")
    detail: str = Field(description="The same in a sentence.")
    age_s: float | None = Field(description="Seconds since its last valid quote; null before the first.")


class Health(Output):
    """Whether prices can be relied on now. Always status 200: the API itself answered."""

    status: Literal["ok", "degraded", "down"] = Field(
        description="ok: running and every enabled provider delivers; degraded: some do not; "
        "down: not running, or none delivers."
    )
    reasons: list[str] = Field(description="Why it is not ok, in sentences; empty when it is.")
    state: Literal["stopped", "running", "paused"] = Field(description="State of the streaming.")
    now: Timestamp = Field(description="The engine's time, UTC.")
    cycle_age_s: float | None = Field(description="Seconds since the newest cycle; null before the first.")
    analysis_age_s: float | None = Field(description="Seconds since the newest snapshot; null before the first.")
    engine_errors: int = Field(description="Exceptions caught and counted by the engine.", ge=0)
    api_errors: int = Field(description="Requests that this API failed to answer.", ge=0)
    api_refused: int = Field(description="Requests refused for a foreign Host or Origin.", ge=0)
    providers: dict[str, HealthItem] = Field(description="Health by provider name.")
