"""The bus: a million events per CPU-second to one subscriber with wildcards, half a million to ten."""

from __future__ import annotations

import time

import pytest

from marketstream.clock import SystemClock
from marketstream.market.events import MarketEvent, Topic
from marketstream.streaming.event_bus import EventBus

pytestmark = [pytest.mark.performance, pytest.mark.timeout(90)]

N_EVENTS = 200_000
ROUNDS = 5
PATTERNS = ("market.#", "market.data.*", "market.*.updated", "#", "market.*.*")


class Counter:
    """A subscriber that counts what it gets."""

    def __init__(self) -> None:
        self.got = 0

    def __call__(self, event: MarketEvent) -> None:
        self.got += 1


def events_per_cpu_s(n_subscribers: int) -> float:
    """Return events published per CPU-second, in the best of some rounds; each subscriber gets all of them."""
    bus = EventBus(SystemClock())
    counters = [Counter() for _ in range(n_subscribers)]
    for i, counter in enumerate(counters):
        bus.subscribe(PATTERNS[i % len(PATTERNS)], counter)
    event = MarketEvent(ts=0, topic=Topic.MARKET_DATA, subject="engine", message="A cycle.", id="e")
    publish = bus.publish
    took = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(N_EVENTS):
            publish(event)
        took.append(time.process_time() - started)
    assert [counter.got for counter in counters] == [N_EVENTS * ROUNDS] * n_subscribers
    return N_EVENTS / min(took)


@pytest.mark.parametrize(("n_subscribers", "least"), [(1, 1e6), (10, 0.5e6)])
def test_the_bus_is_as_fast_as_promised(n_subscribers: int, least: float) -> None:
    speed = events_per_cpu_s(n_subscribers)
    print(f"{speed:,.0f} events per CPU-second to {n_subscribers}")
    assert speed >= least
