"""Events per CPU-second through the bus to 1, 10 and 100 subscribers, beside a plain loop, streamz and param."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import param
from streamz import Stream

from marketstream.clock import SystemClock
from marketstream.market.events import MarketEvent, Topic
from marketstream.streaming.event_bus import EventBus

Send = Callable[[MarketEvent], object]

GOALS = {1: 1e6, 10: 0.5e6}
"""Least events per CPU-second to so many subscribers."""
UNIT = "events per CPU-second"


class Counter:
    """A subscriber that does the least there is to do."""

    def __init__(self) -> None:
        self.seen = 0

    def take(self, event: MarketEvent) -> None:
        self.seen += 1


def bus(counters: Sequence[Counter]) -> Send:
    """The bus, with patterns that have both wildcards."""
    made = EventBus(SystemClock())
    for counter in counters:
        made.subscribe("market.*.#", counter.take)
    return made.publish


def plain_loop(counters: Sequence[Counter]) -> Send:
    """A loop over callables: no topics, no isolation, no counts, no history."""
    calls = [counter.take for counter in counters]

    def send(event: MarketEvent) -> None:
        for call in calls:
            call(event)

    return send


def streamz_sinks(counters: Sequence[Counter]) -> Send:
    """One streamz source with a sink per subscriber."""
    source = Stream()
    for counter in counters:
        source.sink(counter.take)
    return source.emit  # type: ignore[no-any-return]


def param_watchers(counters: Sequence[Counter]) -> Send:
    """One param parameter with a watcher per subscriber."""

    class Source(param.Parameterized):
        event = param.Parameter()

    source = Source()
    for counter in counters:
        source.param.watch(lambda change, counter=counter: counter.take(change.new), "event", onlychanged=False)

    def send(event: MarketEvent) -> None:
        source.event = event

    return send


PEERS: Mapping[str, Callable[[Sequence[Counter]], Send]] = {
    "plain loop": plain_loop,
    "streamz sinks": streamz_sinks,
    "param watchers": param_watchers,
}


def rate(build: Callable[[Sequence[Counter]], Send], n_subscribers: int, n_events: int) -> float:
    """Events per CPU-second; checks that every subscriber got every event."""
    counters = [Counter() for _ in range(n_subscribers)]
    send = build(counters)
    topics = (Topic.MARKET_DATA, Topic.MARKET_DELTA)
    events = [MarketEvent(ts=n, topic=topics[n % 2], subject="a", message="") for n in range(n_events)]
    started = time.process_time()
    for event in events:
        send(event)
    spent = time.process_time() - started
    assert all(counter.seen == n_events for counter in counters), "not every subscriber got every event"
    return n_events / spent


def queued_rate(n_events: int) -> float:
    """Events per CPU-second to one subscriber with a queue and a task, publishing included."""

    async def run() -> float:
        made, counter = EventBus(SystemClock()), Counter()
        made.start()
        made.subscribe("market.#", counter.take, capacity=n_events)
        events = [MarketEvent(ts=n, topic=Topic.MARKET_DATA, subject="a", message="") for n in range(n_events)]
        started = time.process_time()
        for event in events:
            made.publish(event)
        await made.stop(drain_s=60.0)
        assert counter.seen == n_events
        return n_events / (time.process_time() - started)

    return asyncio.run(run())


def bus_figures(repeats: int) -> dict[str, Any]:
    """Return the figures of `make bench`: by what was measured, median, range, goal, and peers as ratios."""
    figures: dict[str, Any] = {}
    for n_subscribers, n_events in ((1, 200_000), (10, 50_000), (100, 5_000)):
        rates = [rate(bus, n_subscribers, n_events) for _ in range(repeats)]
        median = statistics.median(rates)
        figures[f"bus, wildcard topics, {n_subscribers} subscribers"] = {
            "median": median,
            "min": min(rates),
            "max": max(rates),
            "unit": UNIT,
            **({"goal": GOALS[n_subscribers], "met": median >= GOALS[n_subscribers]} if n_subscribers in GOALS else {}),
        }
        for name, peer in PEERS.items():
            its = max(rate(peer, n_subscribers, max(n_events // 10, 500)) for _ in range(2))
            figures[f"peer: {name}, {n_subscribers} subscribers"] = {
                "median": its,
                "unit": UNIT,
                "marketstream is faster by": median / its,
            }
    rates = [queued_rate(20_000) for _ in range(repeats)]
    figures["bus, one subscriber behind a queue"] = {
        "median": statistics.median(rates),
        "min": min(rates),
        "max": max(rates),
        "unit": UNIT,
    }
    return figures


if __name__ == "__main__":
    for what, row in bus_figures(5).items():
        ratio = row.get("marketstream is faster by")
        print(f"{what:<45}{row['median']:>14,.0f} {UNIT}" + (f"   bus x {ratio:,.2f}" if ratio else ""))
