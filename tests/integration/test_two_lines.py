"""Two lines to one venue over real sockets: when the first is lost, the second carries the same prices."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
from kraken_market import KrakenMarket
from kraken_venue import KrakenVenue
from loopback_venue import idle, until

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent, ProviderStatus, Topic
from marketstream.market.quotes import QuoteState
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.venues.kraken import KrakenProvider

SYMBOLS = ("BTC/USD", "ETH/USD")


@dataclass
class Lines:
    """A venue's market on two servers, and a registry with a provider at each."""

    clock: ManualClock
    venues: tuple[KrakenVenue, KrakenVenue]
    registry: ProviderRegistry
    events: list[MarketEvent]
    tops: dict[str, tuple[float, float]] = field(default_factory=dict)

    def providers(self) -> list[KrakenProvider]:
        return [p for p in self.registry if isinstance(p, KrakenProvider)]

    async def move(self, seconds: float = 1.0) -> np.ndarray:
        """Let time pass; each line that is open gets the market's changes. Returns what the registry lets through."""
        await idle()
        self.clock.advance(seconds)
        await idle()
        for venue, provider in zip(self.venues, self.providers(), strict=True):
            frames = venue.changes()
            if provider.transport.connected:
                await until(lambda p=provider: not p.decoder.wanted, "books in step")
                awaited = provider.stats.frames + len(frames)
                await venue.send(*frames)
                await until(lambda p=provider, n=awaited: p.stats.frames >= n, "the frames")
        now = self.clock.now_ns()
        self.registry.check_health(now)
        rows = self.registry.drain(now)
        for row in rows[rows["state"] == QuoteState.LIVE]:
            self.tops[SYMBOLS[row["instrument"]]] = (float(row["bid"]), float(row["ask"]))
        return rows

    def switches(self) -> list[tuple[object, object]]:
        told = [e.data for e in self.events if e.topic is Topic.PROVIDER_SWITCH]
        return [(data["from"], data["to"]) for data in told if data is not None]


@contextlib.asynccontextmanager
async def lines() -> AsyncIterator[Lines]:
    """Open both lines; the first is trusted."""
    clock, events = ManualClock(), list[MarketEvent]()
    async with contextlib.AsyncExitStack() as stack:
        venues = []
        registry = ProviderRegistry(Catalog(), clock, events.append)
        for seed, name in enumerate(("first", "second")):
            market = KrakenMarket(SYMBOLS, start_ns=clock.now_ns())
            venue = await stack.enter_async_context(KrakenVenue(market, clock=clock))
            venues.append(venue)
            registry.add(
                KrakenProvider(name=name, clock=clock, symbols=SYMBOLS, ws_url=venue.ws_url, rng=random.Random(seed))
            )
        await registry.start()
        stack.push_async_callback(registry.stop)
        both = Lines(clock, (venues[0], venues[1]), registry, events)
        await until(lambda: all(p.transport.connected and not p.decoder.wanted for p in both.providers()), "both lines")
        await both.move()
        yield both


async def test_the_second_line_carries_on_when_the_first_is_lost() -> None:
    async with lines() as both:
        assert both.registry.trusted("BTC-USD", "kraken") == "first"
        rows = await both.move()
        assert set(rows["provider"].tolist()) == {0}
        first = both.venues[0]
        first.behaviour.handshake_status = 503
        first.abort()
        await until(lambda: not both.providers()[0].transport.connected, "the loss")
        await both.move()
        assert both.registry.trusted("BTC-USD", "kraken") == "second"
        assert both.switches() == [("first", "second")]
        rows = await both.move()
        assert set(rows["provider"].tolist()) == {1}
        # Both lines see one market: the prices are those of the venue, as if nothing had been.
        assert both.tops == both.venues[1].market.tops()


async def test_the_first_line_is_trusted_again_when_it_has_been_sound_for_a_while() -> None:
    async with lines() as both:
        first = both.venues[0]
        first.behaviour.handshake_status = 503
        first.abort()
        await until(lambda: not both.providers()[0].transport.connected, "the loss")
        for _ in range(5):
            await both.move()
        assert both.registry.trusted("ETH-USD", "kraken") == "second"
        first.behaviour.handshake_status = None
        for _ in range(120):
            await both.move()
            if both.registry.trusted("ETH-USD", "kraken") == "first":
                break
        assert both.switches() == [("first", "second"), ("second", "first")]
        assert both.providers()[0].status is ProviderStatus.RUNNING
        await both.move()
        assert both.tops == first.market.tops()
