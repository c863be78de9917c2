"""Small real providers for tests: quotes come from a queue that the test fills."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import empty_quotes
from marketstream.providers.base import HealthReport, Provider
from marketstream.providers.changes import RegistryChange
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.simulated import SimulatedProvider
from marketstream.providers.simulated_spec import WorldSpec
from marketstream.providers.simulated_world import World

START_NS = 1_767_225_600_000_000_000
SECOND_NS = 1_000_000_000


class QueueProvider(Provider):
    """Deliver the rows that a test enqueued, once their time has come."""

    kind = "queue"

    def __init__(
        self,
        name: str,
        clock: ManualClock,
        instruments: tuple[str, ...] = ("BTC-USD",),
        venue: str = "kraken",
        *,
        stale_after_s: float = 10.0,
    ) -> None:
        super().__init__(name=name, clock=clock, stale_after_s=stale_after_s)
        self.instruments = instruments
        self.venue = venue
        self.queue: list[np.ndarray] = []
        self.calls: list[str] = []

    def listing(self) -> Listing:
        return Listing(
            instruments=tuple(Instrument(id=i, kind=Kind.ASSET) for i in self.instruments),
            venues=(Venue(id=self.venue, name=self.venue.title(), code="QUE", kind=Kind.ASSET),),
            pairs=tuple((i, self.venue) for i in self.instruments),
        )

    async def start(self) -> None:
        self.calls.append("start")
        await super().start()

    async def stop(self) -> None:
        self.calls.append("stop")
        await super().stop()

    def enqueue(self, ts: int, bid: float = 100.0, ask: float = 101.0, instrument: str | None = None) -> None:
        row = empty_quotes(1)
        row["instrument"] = self.catalog.code(instrument or self.instruments[0])
        row["venue"] = self.catalog.venue_code(self.venue)
        row["ts_event"] = row["ts_received"] = ts
        row["bid"], row["ask"], row["bid_size"], row["ask_size"] = bid, ask, 1.0, 1.0
        self.queue.append(row)

    def collect(self, now: int) -> np.ndarray:
        due = [r for r in self.queue if r["ts_received"][0] <= now]
        self.queue = [r for r in self.queue if r["ts_received"][0] > now]
        due.sort(key=lambda row: int(row["ts_received"][0]))
        self.stats.frames += len(due)
        return np.concatenate(due) if due else empty_quotes()


class HangingProvider(QueueProvider):
    """Never finishes to start, or to stop."""

    def __init__(self, name: str, clock: ManualClock, hangs_in: str, venue: str = "slow") -> None:
        super().__init__(name, clock, venue=venue)
        self.hangs_in = hangs_in

    async def start(self) -> None:
        if self.hangs_in == "start":
            await asyncio.Event().wait()
        await super().start()

    async def stop(self) -> None:
        if self.hangs_in == "stop":
            await asyncio.Event().wait()
        await super().stop()


class RaisingProvider(QueueProvider):
    """Raises in the method that the test names."""

    raises_in = "collect"

    def collect(self, now: int) -> np.ndarray:
        if self.raises_in == "collect":
            raise ValueError("bad frame")
        return super().collect(now)

    async def start(self) -> None:
        if self.raises_in == "start":
            raise OSError("no route")
        await super().start()


class Desk:
    """A registry with its clock, the events and the changes it told."""

    def __init__(self, **options: float) -> None:
        self.clock = ManualClock(START_NS)
        self.events: list[MarketEvent] = []
        self.changes: list[RegistryChange] = []
        self.registry = ProviderRegistry(Catalog(), self.clock, self.events.append, **options)
        self.registry.on_change = self.changes.append

    def add(self, name: str, *, enabled: bool = True, **options: Any) -> QueueProvider:
        provider = QueueProvider(name, self.clock, **options)
        self.registry.add(provider, enabled=enabled)
        return provider

    def drain(self, after_s: float = 1.0) -> np.ndarray:
        self.clock.advance(after_s)
        return self.registry.drain(self.clock.now_ns())

    def check(self) -> dict[str, HealthReport]:
        return self.registry.check_health(self.clock.now_ns())

    def told(self, name: str) -> list[str]:
        return [e.message for e in self.events if e.subject == name]

    def switches(self) -> list[MarketEvent]:
        return [e for e in self.events if e.topic is Topic.PROVIDER_SWITCH]


def simulated(world: World, catalog: Catalog | None = None) -> list[SimulatedProvider]:
    """Return one attached and started provider per venue of a world."""
    catalog = Catalog() if catalog is None else catalog
    clock = ManualClock(world.start_ns)
    providers = [SimulatedProvider(name=v.id, clock=clock, world=world, venue=v.id) for v in world.spec.venues]
    for provider in providers:
        provider.attach(catalog)
    return providers


def rows_of(spec: WorldSpec, seconds: float, *, seed: int = 7) -> tuple[World, Catalog, np.ndarray]:
    """Return what all venues of a new world send in its first seconds, in order of receipt."""
    world, catalog = World(spec, seed=seed, start_ns=START_NS), Catalog()
    now = START_NS + round(seconds * SECOND_NS)
    rows = np.concatenate([p.drain(now) for p in simulated(world, catalog)])
    return world, catalog, rows[np.argsort(rows["ts_received"], kind="stable")]
