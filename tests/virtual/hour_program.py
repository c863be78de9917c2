"""The real parts of marketstream under test in virtual time, wired so that each output goes into the trace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from hour_trace import FEEDS, KRAKEN, Cycle, Outcome, Trace
from virtual_exchange import Gateway
from virtual_kraken import PAIRS, VirtualKraken
from virtual_time import VirtualMachine, current_loop

from marketstream.analytics.analysis import Analysis
from marketstream.clock import Clock, SystemClock
from marketstream.errors import PermanentError, TransientError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.events import MarketEvent
from marketstream.market.handling import DeadLetter, RetryPolicy
from marketstream.market.instruments import Kind, Venue
from marketstream.market.quotes import QuoteBatch, QuoteState, empty_quotes
from marketstream.market.state import MarketState
from marketstream.providers.base import Provider
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.streaming.deltas import DeltaGraph
from marketstream.streaming.detector import DeltaDetector
from marketstream.streaming.event_bus import EventBus
from marketstream.streaming.handlers import DeltaBatch, DeltaHandlerManager
from marketstream.streaming.streamer import MarketStreamer

STALE_AFTER_S = 10.0
HEALTH_INTERVAL_S = 1.0
FAILBACK_AFTER_S = 30.0
CYCLE_S = 1.0
ANALYSIS_NS = 20_000_000_000
LEDGER_TOPICS = ("provider.#", "feed.#", "market.delta.detected")
LEDGER_TIMEOUT_S = 5.0
SYMBOLS = ("BTCUSDT", "ETHBTC")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the program is put together from; a planted bug changes one of them.

    Attributes:
        spoil_feed: Called with each feed of Binance.
        spoil_kraken: Called with the feed of Kraken.
        spoil_graph: Called with the graph.
        spoil_catalog: Called with the catalogue.
        registry: Makes the registry.
        bus: Makes the bus.
        failback_after_s: How long a feed must have been well to be trusted again.
        analysis: Makes the house analysis.
        clock: Makes the program's clock.
        handlers: Makes the handlers.
    """

    spoil_feed: Callable[[BinanceProvider], None] = lambda _: None
    spoil_kraken: Callable[[KrakenProvider], None] = lambda _: None
    spoil_graph: Callable[[DeltaGraph], None] = lambda _: None
    spoil_catalog: Callable[[Catalog], None] = lambda _: None
    registry: Callable[..., ProviderRegistry] = ProviderRegistry
    bus: Callable[[Clock], EventBus] = EventBus
    failback_after_s: float = FAILBACK_AFTER_S
    analysis: Callable[[], Analysis] = Analysis
    clock: Callable[[VirtualMachine], SystemClock] = VirtualMachine.clock
    handlers: Callable[..., DeltaHandlerManager] = DeltaHandlerManager


class OtherVenue(Provider):
    """A second venue for the first pair, without a network: a quote every two seconds, and pauses of up to a minute."""

    kind = "other"

    def __init__(self, clock: Clock, twin: Provider, seed: int) -> None:
        super().__init__(name="other", clock=clock, stale_after_s=STALE_AFTER_S)
        self._instrument = twin.listing().instruments[0]
        self._rng = random.Random(f"other {seed}")
        self._next = 0

    def listing(self) -> Listing:
        """Return the first pair of the venue beside it."""
        venue = Venue(id="other", name="Other", code="OTH", kind=Kind.ASSET, stale_after_s=STALE_AFTER_S)
        return Listing(instruments=(self._instrument,), venues=(venue,), pairs=((self._instrument.id, venue.id),))

    def collect(self, now: int) -> np.ndarray:
        """Return a quote when one is due."""
        if self.clock.monotonic_ns() < self._next:
            return empty_quotes()
        pause_s = 2.0 if self._rng.random() < 0.95 else self._rng.uniform(10.0, 60.0)
        self._next = self.clock.monotonic_ns() + round(pause_s * 1e9)
        rows = empty_quotes(1)
        middle = 64_000 + self._rng.uniform(-5.0, 5.0)
        rows["instrument"], rows["venue"] = self.catalog.code(self._instrument.id), self.catalog.venue_code("other")
        rows["bid"], rows["ask"], rows["bid_size"], rows["ask_size"] = middle - 1, middle + 1, 1.0, 1.0
        rows["ts_event"] = rows["ts_received"] = now
        return rows


class Ledger:
    """A handler with an effect, and with every kind of fault: seeded by the event, so the same one fails the same way.

    The first calls for an event may be refused, time out after the work was done, or raise for good.
    """

    def __init__(self, clock: Clock, trace: Trace, seed: int) -> None:
        self._clock = clock
        self._trace = trace
        self._seed = seed
        self._calls: dict[str, int] = {}
        self._done: set[str] = set()

    async def book(self, events: Sequence[MarketEvent]) -> None:
        """Book each event once."""
        for event in events:
            calls = self._calls[event.id] = self._calls.get(event.id, 0) + 1
            mood = random.Random(f"ledger {self._seed} {event.id}").random()
            if mood < 0.06:
                raise PermanentError("poison") if mood < 0.04 else ValueError("a bug of the handler")
            if mood < 0.20 and calls <= 2:
                raise TransientError("busy")
            self._apply(event)
            if mood > 0.96 and calls == 1:
                await self._clock.sleep(4 * LEDGER_TIMEOUT_S)  # the work is done, the answer does not come

    def _apply(self, event: MarketEvent) -> None:
        if event.id not in self._done:
            self._done.add(event.id)
            self._trace.booked.append(Outcome(event_id=event.id, what="done"))

    async def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter, at the second try where the first does not work."""
        calls = self._calls[letter.id] = self._calls.get(letter.id, 0) + 1
        if calls == 1 and random.Random(f"bury {self._seed} {letter.id}").random() < 0.5:
            raise TransientError("the shelf is full")
        self._trace.booked.append(Outcome(event_id=letter.event_id, what="dead"))


class Program:
    """Feeds, registry, streamer, graph, analysis, handlers and bus on one clock."""

    def __init__(
        self,
        machine: VirtualMachine,
        gateways: list[Gateway],
        kraken: VirtualKraken,
        trace: Trace,
        seed: int,
        parts: Parts,
    ) -> None:
        self.clock = parts.clock(machine)
        self._loop = current_loop()
        self._trace = trace
        self._state: MarketState | None = None
        self._rows = empty_quotes()
        self._analysis = parts.analysis()
        self._analysed_at = 0
        self._health: asyncio.Task[None] | None = None
        self._add_handlers(seed, parts)
        self._add_feeds(gateways, seed, parts)
        self._add_kraken(kraken, seed, parts)
        self._add_stream(parts)

    def _add_handlers(self, seed: int, parts: Parts) -> None:
        ledger = Ledger(self.clock, self._trace, seed)
        self.bus = parts.bus(self.clock)
        self.bus.subscribe("#", self._trace.published.append, name="trace")
        self.handlers = parts.handlers(
            clock=self.clock, market=lambda: self._state, on_dead_letter=ledger.bury, rng=random.Random(seed), run="v"
        )
        self.handlers.add_analysis("house", self._analyse)
        self.handlers.add_analysis("deltas", DeltaDetector())
        self.handlers.add_effect("bus", self.bus.handle, max_batch=100)
        self.handlers.add_effect(
            "ledger", ledger.book, topics=LEDGER_TOPICS, max_batch=3, timeout_s=LEDGER_TIMEOUT_S,
            retry=RetryPolicy(max_attempts=5, first_s=0.5, cap_s=4.0),
        )  # fmt: skip

    def _add_feeds(self, gateways: list[Gateway], seed: int, parts: Parts) -> None:
        catalog = self._trace.catalog
        parts.spoil_catalog(catalog)
        self.registry = parts.registry(catalog, self.clock, self._submit, failback_after_s=parts.failback_after_s)
        for gateway in gateways:
            feed = BinanceProvider(
                name=gateway.name,
                clock=self.clock,
                symbols=SYMBOLS,
                ws_url=f"ws://127.0.0.1:{gateway.port}",
                rest_url=f"http://127.0.0.1:{gateway.rest_port}",
                rng=random.Random(f"jitter {gateway.name} {seed}"),
                stale_after_s=STALE_AFTER_S,
            )
            parts.spoil_feed(feed)
            self._watch_drains(feed)
            self.registry.add(feed)
        self.registry.add(OtherVenue(self.clock, self.registry.get(FEEDS[0]), seed))

    def _add_kraken(self, kraken: VirtualKraken, seed: int, parts: Parts) -> None:
        feed = KrakenProvider(
            name=KRAKEN,
            clock=self.clock,
            symbols=PAIRS,
            ws_url=kraken.ws_url,
            rng=random.Random(f"jitter kraken {seed}"),
            stale_after_s=STALE_AFTER_S,
        )
        parts.spoil_kraken(feed)
        self._watch_drains(feed)
        self.registry.add(feed)

    def _add_stream(self, parts: Parts) -> None:
        self.graph = DeltaGraph(self._trace.catalog, self._keep, history_s=120)
        parts.spoil_graph(self.graph)
        self.streamer = MarketStreamer(
            drain=self._drain, emit=self.graph.emit, dispatch=self._dispatch, clock=self.clock, cycle_s=CYCLE_S
        )

    async def start(self) -> None:
        """Start everything, sinks before sources."""
        self.bus.start()
        await self.handlers.start()
        await self.registry.start()
        self.streamer.start()
        self._health = asyncio.create_task(self._watch_health())

    async def stop(self) -> None:
        """Stop in the opposite order and let the lanes come to their end."""
        assert self._health is not None
        await self.streamer.stop()
        self._health.cancel()
        await asyncio.gather(self._health, return_exceptions=True)
        await self.registry.stop()
        await self.handlers.stop(drain_s=600.0)
        await self.bus.stop()
        self.graph.close()

    def _watch_drains(self, feed: Provider) -> None:
        delivered = self._trace.delivered.setdefault(feed.name, [])
        drain = feed.drain

        def watched(now: int) -> np.ndarray:
            rows = drain(now)
            if np.any(rows["state"] == QuoteState.LIVE):
                delivered.append(self._loop.time())
            return rows

        feed.drain = watched  # type: ignore[method-assign]

    def _drain(self, now: int) -> np.ndarray:
        self._rows = self.registry.drain(now).copy()
        return self._rows

    def _keep(self, state: MarketState) -> None:
        self._state = state

    async def _dispatch(self, batch: QuoteBatch) -> None:
        state = self._state
        assert state is not None
        self._trace.cycles.append(
            Cycle(
                at=self._loop.time(),
                now=batch.now,
                rows=self._rows,
                book=state.book,
                best=state.best,
                changed=state.changed,
            )
        )
        await self.handlers.dispatch(batch)

    def _analyse(self, delta: DeltaBatch) -> None:
        if delta.market.now - self._analysed_at >= ANALYSIS_NS:
            self._analysed_at = delta.market.now
            self._trace.fair.append((delta.market.now, self._analysis.step(delta.market).fair))

    async def _watch_health(self) -> None:
        while True:
            self.registry.check_health(self.clock.now_ns())
            await self.clock.sleep(HEALTH_INTERVAL_S)

    def _submit(self, event: MarketEvent) -> None:
        self._trace.submitted.append((self._loop.time(), self.handlers.submit(event)))
