"""Engine: one stream, one house analysis, one rationale service, and every task that they need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from streamz.dataframe import DataFrame as StreamingDataFrame

from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.clock import SECOND_NS, Clock, ManualClock, SystemClock
from marketstream.engine.backbone import Backbone
from marketstream.engine.feeds import Feeds, declarations_of, provider_factory, scope_of
from marketstream.engine.house import HouseHandler
from marketstream.engine.status import EngineStatus
from marketstream.engine.texts import make_rationale
from marketstream.errors import ConfigurationError, InvalidInputError, TransientError
from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter
from marketstream.market.state import MarketState
from marketstream.providers.base import Provider
from marketstream.providers.registry import ProviderRegistry
from marketstream.settings import Settings
from marketstream.store.repository import Store
from marketstream.streaming.deltas import DeltaGraph
from marketstream.streaming.detector import DeltaDetector
from marketstream.streaming.streamer import MarketStreamer, StreamerState

logger = logging.getLogger(__name__)

TOLD_AGAIN_S = 60.0
"""An instrument's large moves and crossings are told no more often than this: the list is for people to read."""


class Engine:
    """One stream, one house analysis, one rationale service, shared by all who look.

    Args:
        settings: What to build.
        clock: The only source of time; the machine's by default.
        providers: Feeds in place of the declared ones.

    Raises:
        ConfigurationError: A declaration cannot be used.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, providers: Iterable[Provider] | None = None
    ) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock() if clock is None else clock
        self.stopwatch: Clock = self._make_stopwatch()
        """Times what is done, as opposed to what it is about: pages, lanes, work. The clock itself but in a replay."""
        self.catalog = Catalog()
        self.market: MarketState | None = None
        self._begin_ns = self.clock.now_ns() - settings.warmup_s * SECOND_NS
        self._backbone = self._make_backbone()
        self.bus = self._backbone.bus
        self.handlers = self._backbone.handlers
        self.house = Analysis()
        self._house = HouseHandler(
            self.house, self.stopwatch, interval_s=settings.analysis_interval_s, move=settings.allocation_move
        )
        self.handlers.add_analysis("house", self._house)
        self.handlers.add_analysis("detector", DeltaDetector(z_min=settings.delta_z_min, quiet_s=TOLD_AGAIN_S))
        self.registry = ProviderRegistry(
            self.catalog, self.clock, self.handlers.submit, failback_after_s=settings.failback_after_s
        )
        self.feeds = self._make_feeds(providers)
        self.graph = DeltaGraph(self.catalog, self._keep, window=settings.window, history_s=settings.history_s)
        self.streamer = self._make_streamer()
        self.rationale = make_rationale(
            settings, self.clock, lambda: self.snapshot, self.handlers.submit, stopwatch=self.stopwatch
        )
        self._started_at: int | None = None
        self._warm = False
        self._restored = False
        self._closed = False
        self._changing = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._health: asyncio.Task[None] | None = None

    @property
    def deltas(self) -> StreamingDataFrame:
        """Return the streamz DataFrame of rolling deltas; hang your own nodes on it."""
        return self.graph.deltas

    @property
    def events(self) -> Sequence[MarketEvent]:
        """Return what the bus remembers of each topic but the passing of cycles, newest last."""
        return tuple(event for event in self.bus.history() if event.topic is not Topic.MARKET_DATA)

    @property
    def snapshot(self) -> Snapshot | None:
        """Return the newest snapshot of the house analysis; None before there is one."""
        return self._house.snapshot

    @property
    def store(self) -> Store:
        """Return what keeps events, allocations, texts and dead letters."""
        return self._backbone.store

    @property
    def started_at(self) -> int | None:
        """Return when the stream was started, UTC ns; None while it is stopped or starts."""
        return self._started_at

    @property
    def simulated(self) -> bool:
        """Tell whether the prices are made by the simulator."""
        return any(provider.kind == "simulated" for provider in self.registry)

    def start(self) -> None:
        """Start on the running event loop; without one, the first `ensure_running` starts it.

        Raises:
            InvalidInputError: The engine was closed.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._begin(loop)

    async def ensure_running(self) -> None:
        """Start if that has not happened yet, and wait until quotes flow.

        Raises:
            TransientError: Somebody stopped the engine while it started.
            InvalidInputError: The engine was closed.
        """
        async with self._changing:
            opening = self._begin(asyncio.get_running_loop())
        if opening is None:
            return
        # Waiting, not awaiting: a caller that gives up (a page that is closed) does not end the start for others.
        await asyncio.wait({opening})
        if opening.cancelled():
            raise TransientError("the engine was stopped while it started")
        opening.result()

    async def stop(self) -> None:
        """Stop intake, then everything behind it, and wait for it; the newest snapshot stays readable."""
        async with self._changing:
            opening, self._opening = self._opening, None
            if opening is not None and not opening.done():
                opening.cancel()
                await asyncio.wait({opening})
            if self._started_at is not None:
                await self._shut()
                self._note("stopped")

    async def close(self) -> None:
        """Stop for good: what is on its way is kept first, then the store is closed and the streamz graph let go of."""
        self._closed = True
        await self.stop()
        await self._backbone.close()
        self.graph.close()

    async def replay_dead_letter(self, letter_id: str) -> DeadLetter:
        """Hand a dead letter to its handler again and return how it stands after that.

        Raises:
            NotFoundError: There is no such letter, or its handler is gone.
            InvalidInputError: It does not wait any more.
        """
        return await self._backbone.replay_dead_letter(letter_id)

    async def discard_dead_letter(self, letter_id: str) -> DeadLetter:
        """Give a dead letter up; it stays listed. Raises as `replay_dead_letter`."""
        return await self._backbone.discard_dead_letter(letter_id)

    def pause(self) -> None:
        """Stop taking quotes into the stream; feeds stay connected."""
        if self.streamer.state is StreamerState.RUNNING:
            self.streamer.pause()
            self._note("paused")

    def resume(self) -> None:
        """Take quotes again."""
        if self.streamer.state is StreamerState.PAUSED:
            self.streamer.resume()
            self._note("resumed")

    async def run_for(self, seconds: float) -> None:
        """Start if need be, then let `seconds` of this engine's time pass; a manual clock is moved on at once."""
        await self.ensure_running()
        if isinstance(self.clock, ManualClock):
            await self.clock.run_for(seconds)
        else:
            await self.clock.sleep(seconds)

    def truth(self) -> dict[str, float]:
        """Return true prices by instrument as the simulator knows them; empty for real feeds."""
        moment = self.clock.now_ns() if self.market is None else self.market.now
        known: dict[str, float] = {}
        for provider in self.registry:
            if not known.keys() >= {i.id for i in provider.listing().instruments}:
                known.update(provider.truth(moment))
        return known

    def status(self) -> EngineStatus:
        """Return how the engine fares."""
        loop = self.streamer.status()
        good = sum(provider.stats.quotes for provider in self.registry)
        refused = sum(sum(provider.stats.refused.values()) for provider in self.registry)
        return EngineStatus(
            state=loop.state,
            profile=self.settings.profile,
            simulated=self.simulated,
            started_at=self._started_at,
            now=self.clock.now_ns(),
            sequence=0 if self.market is None else self.market.sequence,
            cycle_s=self.settings.cycle_s,
            cycle_ms_p50=loop.cycle_ms_p50,
            cycle_ms_p99=loop.cycle_ms_p99,
            quotes_per_s=loop.quotes_per_s,
            refused_share=refused / (good + refused) if good + refused else 0.0,
            n_instruments=self.catalog.n_instruments,
            n_venues=self.catalog.n_venues,
            n_providers=len(self.registry.names),
            analysis_ms=self._house.duration_ms,
            out_of_order=self.graph.kernel.out_of_order,
            errors=loop.errors + self.graph.errors + self.handlers.analysis_errors,
        )

    def _begin(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
        # The task that starts, a new one if none is at it; None when the engine runs.
        if self._closed:
            raise InvalidInputError("this engine was closed; build a new one")
        if self._started_at is not None:
            return None
        if self._opening is None or self._opening.done():
            self._opening = loop.create_task(self._open(), name="engine-start")
            self._opening.add_done_callback(_log_failure)
        return self._opening

    async def _open(self) -> None:
        try:
            await self._backbone.open()
            await self._open_feeds()
            self.streamer.start()
            await self.rationale.start()
            self._health = asyncio.get_running_loop().create_task(self._watch_health(), name="engine-health")
        except BaseException:
            # Half a start is none: what runs already is ended before anyone hears of it.
            await self._shut()
            raise
        self._started_at = self.clock.now_ns()
        self._note("started")

    async def _shut(self) -> None:
        await self.streamer.stop()
        if self._health is not None:
            self._health.cancel()
            await asyncio.gather(self._health, return_exceptions=True)
            self._health = None
        await self._close_feeds()
        await self.rationale.stop()
        self._started_at = None

    async def _warm_up(self) -> None:
        # Only a simulated past can be played: the stream walks through it in steps of one second, once.
        if self._warm or not self.simulated:
            return
        end = self.clock.now_ns()
        # Where the start comes long after the engine was built, the time between is skipped.
        begin = max(self._begin_ns, end - self.settings.warmup_s * SECOND_NS)
        for moment in range(begin + SECOND_NS, end, SECOND_NS):
            self.streamer.emit_up_to(moment)
            await asyncio.sleep(0)
        self._warm = True

    async def _watch_health(self) -> None:
        judged = -1
        while True:
            # Feeds are judged by what was taken from them: while the stream is paused there is nothing to go by.
            drained, before = self.registry.drained_at, judged
            judged = drained
            try:
                if drained != before:
                    self.registry.check_health(self.clock.now_ns())
            except Exception:  # fence: a health check that fails is tried again
                logger.exception("the health check failed")
            await self.clock.sleep(self.settings.health_interval_s)

    def _make_stopwatch(self) -> Clock:
        return self.clock

    def _make_backbone(self) -> Backbone:
        return Backbone(self.settings, self.clock, lambda: self.market, lane_clock=self.stopwatch)

    def _make_feeds(self, given: Iterable[Provider] | None) -> Feeds:
        return Feeds(
            scope=scope_of(self.settings),
            registry=self.registry,
            factory=provider_factory(self.settings, self.clock, self._begin_ns),
            store=lambda: self.store,
            clock=self.clock,
            on_event=self.handlers.submit,
            declared=declarations_of(self.settings) if given is None else (),
            given=given or (),
        )

    def _make_streamer(self) -> MarketStreamer:
        return MarketStreamer(
            drain=self.registry.drain,
            emit=self.graph.emit,
            dispatch=self.handlers.dispatch,
            clock=self.clock,
            cycle_s=self.settings.cycle_s,
        )

    async def _open_feeds(self) -> None:
        # What an earlier run configured is applied once: a later start finds the registry as it was left.
        if not self._restored:
            await self.feeds.restore()
            self._restored = True
        await self.registry.start()
        await self._warm_up()

    async def _close_feeds(self) -> None:
        await self.registry.stop()

    def _keep(self, market: MarketState) -> None:
        self.market = market

    def _note(self, what: str) -> None:
        self._backbone.tell(Topic.ENGINE_STATUS, "engine", f"Stream {what}.")


def _log_failure(opening: asyncio.Task[None]) -> None:
    # Also where nobody waits for the start, its failure is heard.
    error = None if opening.cancelled() else opening.exception()
    if isinstance(error, ConfigurationError):
        logger.error("the engine could not start: %s", error)  # it says what to do; where it was raised is no matter
    elif error is not None:
        logger.error("the engine could not start", exc_info=error)
