"""Small facts that something happened: a provider changed state, trust moved, the allocation changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from marketstream.errors import InvalidInputError


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


def event_to_json(event: MarketEvent) -> dict[str, Json]:
    """Return the event as plain JSON, enough to hand it in again; `ts` as text, since browsers round such integers."""
    return {
        "id": event.id,
        "ts": str(event.ts),
        "topic": event.topic.value,
        "subject": event.subject,
        "message": event.message,
        "data": dict(event.data),
    }


def event_from_json(payload: Mapping[str, Json]) -> MarketEvent:
    """Return the event that `event_to_json` wrote.

    Raises:
        InvalidInputError: It is no such payload.

    >>> event = MarketEvent(ts=5, topic=Topic.FEED_GAP, subject="kraken", message="Gap.", data={"n": 3}, id="a-1")
    >>> event_from_json(event_to_json(event)) == event
    True
    """
    wanted = {"id", "ts", "topic", "subject", "message", "data"}
    if set(payload) != wanted:
        raise InvalidInputError(f"an event has the keys {sorted(wanted)}, these were {sorted(payload)}")
    texts = {name: payload[name] for name in ("id", "ts", "topic", "subject", "message")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise InvalidInputError(f"{name} of an event must be text, was {text!r}")
    data = payload["data"]
    if not isinstance(data, Mapping):
        raise InvalidInputError(f"data of an event must be an object, was {data!r}")
    try:
        ts, topic = int(str(texts["ts"])), Topic(str(texts["topic"]))
    except ValueError as error:
        raise InvalidInputError(f"ts of an event is whole UTC ns, topic one of the known ones: {error}") from None
    return MarketEvent(
        ts=ts,
        topic=topic,
        subject=str(texts["subject"]),
        message=str(texts["message"]),
        data=data,
        id=str(texts["id"]),
    )
