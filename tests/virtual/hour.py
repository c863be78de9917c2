"""One run in virtual time: two gateways of one venue, a second venue, registry, streamer and graph, and a saboteur.

`run_hour(seed)` returns the raw trace of everything that came out. What must hold for it is in hour_checks.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from fault_plan import Saboteur, plan
from virtual_exchange import Exchange, Gateway, Session
from virtual_network import Dial
from virtual_time import VirtualMachine, current_loop, run

from marketstream.clock import Clock
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.events import MarketEvent
from marketstream.market.instruments import Kind, Venue
from marketstream.market.quotes import QuoteBatch, QuoteState, empty_quotes
from marketstream.market.state import MarketState
from marketstream.providers.base import Provider
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.streaming.deltas import DeltaGraph
from marketstream.streaming.streamer import MarketStreamer

STALE_AFTER_S = 10.0
HEALTH_INTERVAL_S = 1.0
CYCLE_S = 0.5
FEEDS = ("binance", "binance-reserve")
SYMBOLS = ("BTCUSDT", "ETHBTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What one cycle put out: `at` in virtual seconds, `now` in UTC ns as the program has it."""

    at: float
    now: int
    rows: np.ndarray
    book: np.ndarray
    best: np.ndarray
    changed: np.ndarray
    trusted: tuple[str | None, ...]


@dataclass(kw_only=True, repr=False)  # asyncio shows the result of a task, which would take as long as the run
class Trace:
    """Everything that came out of a run, and what an observer outside the program saw."""

    catalog: Catalog
    cycles: list[Cycle] = field(default_factory=list)
    events: list[tuple[float, MarketEvent]] = field(default_factory=list)
    delivered: dict[str, list[float]] = field(default_factory=dict)
    sessions: dict[str, list[Session]] = field(default_factory=dict)
    dials: dict[str, list[Dial]] = field(default_factory=dict)
    faults: list[tuple[float, str, str]] = field(default_factory=list)
    exchange: Exchange
    ended_at: float = 0.0

    def digest(self) -> str:
        """Return a hash over every output, bit by bit."""
        total = hashlib.sha256()
        for cycle in self.cycles:
            total.update(repr((cycle.at, cycle.now, cycle.trusted)).encode())
            for array in (cycle.rows, cycle.book, cycle.best, cycle.changed):
                for column in array.dtype.names or ():  # not the padding between them, which is anything
                    total.update(array[column].tobytes())
        for at, event in self.events:
            total.update(repr((at, event)).encode())
        return total.hexdigest()


class OtherVenue(Provider):
    """A second venue for the same pair, without a network: quotes every two seconds, with pauses of up to a minute."""

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


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the program is put together from; a planted bug changes one of them."""

    feed: Callable[..., BinanceProvider] = BinanceProvider
    spoil_feed: Callable[[BinanceProvider], None] = lambda _: None
    spoil_graph: Callable[[DeltaGraph], None] = lambda _: None


def run_hour(seed: int, *, length_s: float = 3600.0, parts: Parts | None = None) -> Trace:
    """Run the scenario and return its trace."""
    return run(_hour(seed, length_s, parts or Parts()), seed=seed)


async def _hour(seed: int, length_s: float, parts: Parts) -> Trace:
    loop = current_loop()
    machine = VirtualMachine(loop)
    exchange = Exchange(random.Random(f"exchange {seed}"))
    gateways = [Gateway(name, exchange, loop.network) for name in FEEDS]
    for gateway in gateways:
        await gateway.open()
    trace = Trace(catalog=Catalog(), exchange=exchange)
    program = Program(machine, gateways, trace, seed, parts)
    saboteur = Saboteur(gateways, machine, loop, seed)
    trading = asyncio.create_task(exchange.trade(lambda: machine.true_ns() // 1_000_000))
    await program.start()
    playing = [asyncio.create_task(_later(saboteur, planned)) for planned in plan(seed, length_s)]
    await asyncio.sleep(length_s)
    await program.stop()
    trace.ended_at = loop.time()
    for task in (trading, *playing):
        task.cancel()
    await asyncio.gather(trading, *playing, return_exceptions=True)
    for gateway in gateways:
        await gateway.close()
        trace.sessions[gateway.name] = gateway.sessions
        trace.dials[gateway.name] = [dial for dial in loop.network.dials if dial.port == gateway.port]
    trace.faults = saboteur.log
    return trace


async def _later(saboteur: Saboteur, planned: object) -> None:
    await asyncio.sleep(planned.at_s)
    await saboteur.play(planned)


class Program:
    """The real parts of marketstream under test, each output of which goes into the trace."""

    def __init__(self, machine: VirtualMachine, gateways: list[Gateway], trace: Trace, seed: int, parts: Parts) -> None:
        self.clock = machine.clock()
        self._loop = current_loop()
        self._trace = trace
        self.registry = ProviderRegistry(trace.catalog, self.clock, self._tell)
        for gateway in gateways:
            self.registry.add(self._feed(gateway, seed, parts))
        self.registry.add(OtherVenue(self.clock, self.registry.get(FEEDS[0]), seed))
        self.graph = DeltaGraph(trace.catalog, self._keep, history_s=60)
        parts.spoil_graph(self.graph)
        self.streamer = MarketStreamer(
            drain=self._drain, emit=self.graph.emit, dispatch=self._dispatch, clock=self.clock, cycle_s=CYCLE_S
        )
        self._pairs = [(i.id, "binance") for i in self.registry.get(FEEDS[0]).listing().instruments]
        self._rows = empty_quotes()
        self._state: MarketState | None = None
        self._health: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start feeds, streamer and health checks."""
        await self.registry.start()
        self.streamer.start()
        self._health = asyncio.create_task(self._watch_health())

    async def stop(self) -> None:
        """Stop them in the opposite order."""
        assert self._health is not None
        await self.streamer.stop()
        self._health.cancel()
        await asyncio.gather(self._health, return_exceptions=True)
        await self.registry.stop()
        self.graph.close()

    def _feed(self, gateway: Gateway, seed: int, parts: Parts) -> BinanceProvider:
        feed = parts.feed(
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
        return feed

    def _watch_drains(self, feed: BinanceProvider) -> None:
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
                trusted=tuple(self.registry.trusted(*pair) for pair in self._pairs),
            )
        )

    async def _watch_health(self) -> None:
        while True:
            self.registry.check_health(self.clock.now_ns())
            await self.clock.sleep(HEALTH_INTERVAL_S)

    def _tell(self, event: MarketEvent) -> None:
        self._trace.events.append((self._loop.time(), event))
