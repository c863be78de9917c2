"""Small facts that something happened: a provider changed state, a price gapped, a fault was played."""

from __future__ import annotations

from dataclasses import dataclass
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
    """What an event is about."""

    PROVIDER_STATUS = "provider.status.changed"
    PROVIDER_FAULT = "provider.fault.played"
    FEED_GAP = "feed.gap"
    ENGINE_STATUS = "engine.status.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketEvent:
    """One fact: when (UTC ns), about what, whom, and in a sentence."""

    ts: int
    topic: Topic
    subject: str
    message: str
