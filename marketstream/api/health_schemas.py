"""What the API says about health: of everything, of the process alone, and of the prices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from marketstream.api.provider_schemas import HealthItem
from marketstream.api.schemas import Output, Timestamp


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


class Liveness(Output):
    """The process answers; nothing else was looked at."""

    live: Literal[True] = Field(description="Always true.")


class Readiness(Output):
    """Prices can be relied on now; where they cannot, the answer is a problem with status 503."""

    ready: Literal[True] = Field(description="Always true.")
    now: Timestamp = Field(description="The engine's time, UTC.")
    analysis_age_s: float = Field(description="Seconds since the newest snapshot.")
    delivering: int = Field(description="Enabled providers that deliver.", ge=1)
