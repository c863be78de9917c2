"""Small facts that something happened: a provider changed state, trust moved, the allocation changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class ProviderStatus(StrEnum):
    """What a provider is doing."""

    READY = "READY"
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"
    FAULTED = "FAULTED"
    STOPPED = "STOPPED"
    DISABLED = "DISABLED"


class Absence(StrEnum):
    """Why there is no data; never an empty list that could mean anything."""

    NO_DATA = "NO_DATA"
    THROTTLED = "THROTTLED"
    GEO_BLOCKED = "GEO_BLOCKED"
    AUTH = "AUTH"
    STALE = "STALE"
    GAP = "GAP"
    ERROR = "ERROR"


class Topic(StrEnum):
    """What an event is about; the dotted names are what bus subscribers match, with `*` and `#` as wildcards."""

    MARKET_DATA = "market.data.updated"
    MARKET_DELTA = "market.delta.detected"
    PROVIDER_STATUS = "provider.status.changed"
    PROVIDER_SWITCH = "provider.trust.switched"
    PROVIDER_CONFIG = "provider.config.changed"
    PROVIDER_FAULT = "provider.fault.played"
    FEED_GAP = "feed.gap.found"
    ALLOCATION = "portfolio.allocation.changed"
    RATIONALE = "rationale.text.finished"
    DEAD_LETTER = "handler.event.dead_lettered"
    STORE_STATUS = "store.status.changed"
    ENGINE_STATUS = "engine.status.changed"


CONFLATABLE = frozenset({Topic.MARKET_DATA, Topic.MARKET_DELTA})
"""Topics whose newest event makes older ones pointless. All others are control events, which nobody may drop."""

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketEvent:
    """One fact, small enough to be sent to everybody.

    Attributes:
        ts: When it happened, UTC ns.
        topic: What it is about.
        subject: Whom it is about: a provider, an instrument, a text, `engine`.
        message: The same in a sentence.
        data: Plain JSON values beside the sentence: finite numbers, no frames.
        id: Unique for ever; given by the engine when it takes the event in, empty before.
    """

    ts: int
    topic: Topic
    subject: str
    message: str
    data: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""

    @property
    def is_control(self) -> bool:
        """Return whether this event may never be dropped or replaced by a newer one."""
        return self.topic not in CONFLATABLE
