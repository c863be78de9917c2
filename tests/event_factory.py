"""Short events for the tests of bus and handlers: `n` tells them apart, the topic says whether they may be dropped."""

from __future__ import annotations

import asyncio

from marketstream.market.events import MarketEvent, Topic

SOFT = Topic.MARKET_DELTA
CONTROL = Topic.PROVIDER_STATUS


def event(n: int = 0, topic: Topic = CONTROL, subject: str = "a", *, ts: int = 0, id: str = "") -> MarketEvent:  # noqa: A002  # the field's name
    """Return an event with `n` in its data."""
    return MarketEvent(ts=ts, topic=topic, subject=subject, message=f"Event {n}.", data={"n": n}, id=id)


def soft(n: int, subject: str = "a") -> MarketEvent:
    """Return an event that may be dropped."""
    return event(n, SOFT, subject)


def numbers(events: object) -> list[object]:
    """Return the numbers of events."""
    return [e.data["n"] for e in events]  # type: ignore[attr-defined]


async def turns(n: int = 5) -> None:
    """Let tasks that are ready go on, without any time passing."""
    for _ in range(n):
        await asyncio.sleep(0)
