"""What the API takes and gives about providers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from marketstream.api.schemas import Input, Output, Timestamp

MAX_FAULT_S = 3600.0
MAX_STALE_S = 3600.0
MAX_NAME = 64

ProviderState = Literal["READY", "RUNNING", "DEGRADED", "FAULTED", "STOPPED", "DISABLED"]
AbsenceReason = Literal["NO_DATA", "THROTTLED", "GEO_BLOCKED", "AUTH", "STALE", "GAP", "ERROR"]
StaleAfter = Annotated[float, Field(gt=0, le=MAX_STALE_S, strict=True)]
STALE_AFTER = "Silence after which it counts as degraded, seconds."


class FaultOrder(Input):
    """A fault for a simulated provider to play."""

    kind: Literal["stall", "gap", "crossed", "spike", "disconnect"] = Field(description="What goes wrong.")
    duration_s: float = Field(default=10.0, gt=0, le=MAX_FAULT_S, strict=True, description="For how long, in seconds.")


class ProviderOrder(Input):
    """A provider to add to the running engine; it is there again after a restart."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "spare",
                    "kind": "simulated",
                    "options": {"world": "demo", "venue": "alder"},
                    "enabled": True,
                    "stale_after_s": 5.0,
                }
            ]
        }
    )

    name: str = Field(
        min_length=1,
        max_length=MAX_NAME,
        pattern=r"^[!-.0-~]([ -.0-~]*[!-.0-~])?$",
        description="Unique; printable ASCII without '/', with no space at either end.",
    )
    kind: str = Field(max_length=MAX_NAME, description="Kind of feed, such as simulated or binance.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of that kind, as a declaration file has them (docs/providers.md)."
    )
    enabled: bool = Field(default=True, strict=True, description="Whether it may feed prices.")
    stale_after_s: StaleAfter = Field(default=10.0, description=STALE_AFTER)

    @field_validator("name")
    @classmethod
    def _fits_an_address(cls, name: str) -> str:
        if name in (".", ".."):
            raise ValueError("must be a name that an address can hold: . and .. are taken for folders")
        return name


class ProviderChange(Input):
    """What to change about a provider; at least one of these."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"enabled": False},
                {"fault": {"kind": "stall", "duration_s": 10}},
                {"stale_after_s": 5.0},
            ]
        }
    )

    enabled: bool | None = Field(default=None, strict=True, description="Whether it may feed prices.")
    fault: FaultOrder | None = Field(default=None, description="A fault to play; simulated providers only.")
    options: dict[str, Any] | None = Field(
        default=None, description="All options of its kind anew; it is built again and starts from nothing."
    )
    stale_after_s: StaleAfter | None = Field(default=None, description=STALE_AFTER)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if all(value is None for value in (self.enabled, self.fault, self.options, self.stale_after_s)):
            raise ValueError("give at least one of enabled, fault, options and stale_after_s")
        return self


class ProviderInfo(Output):
    """One provider: what it is doing and what it has counted."""

    name: str = Field(description="Unique name.")
    kind: str = Field(description="Kind of feed, such as simulated or binance.")
    status: ProviderState = Field(description="What it is doing, judged by progress.")
    absence: AbsenceReason | None = Field(description="Why there is no data; null while there is.")
    detail: str = Field(description="The same in a sentence.")
    enabled: bool = Field(description="Whether it may feed prices.")
    age_s: float | None = Field(description="Seconds since its last valid quote; null before the first.")
    stale_after_s: float = Field(description=STALE_AFTER)
    options: dict[str, Any] | None = Field(
        description="Options of its kind, without secrets; null for one that was not made from a configuration."
    )
    frames: int = Field(description="Frames received.", ge=0)
    quotes: int = Field(description="Valid quotes delivered.", ge=0)
    refused: dict[str, int] = Field(description="Refused quotes or frames, by reason.")
    errors: int = Field(description="Exceptions caught while it was read.", ge=0)
    reconnects: int = Field(description="Connections opened anew.", ge=0)
    success_rate: float | None = Field(description="Valid quotes as a fraction of all, 0 to 1; null before any.")
    rate: float | None = Field(description="Valid quotes per second.")
    venues: list[str] = Field(description="Venues it quotes.")
    n_instruments: int = Field(description="Instruments it quotes.", ge=0)
    trusted_pairs: int = Field(description="Pairs of instrument and venue whose price it feeds now.", ge=0)
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
