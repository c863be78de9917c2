"""Engine: one stream, one house analysis, one rationale service, and every task that they need."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from streamz.dataframe import DataFrame as StreamingDataFrame

from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.clock import SECOND_NS, Clock, ManualClock, SystemClock
from marketstream.engine.feeds import declared_providers
from marketstream.engine.status import EngineStatus
from marketstream.errors import InvalidInputError, TransientError
from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.quotes import QuoteBatch
from marketstream.market.state import MarketState
from marketstream.providers.base import Provider
from marketstream.providers.registry import ProviderRegistry
from marketstream.rationale.service import PortfolioRationaleService
from marketstream.settings import Settings, load_settings
from marketstream.streaming.deltas import DeltaGraph
from marketstream.streaming.streamer import MarketStreamer, StreamerState

logger = logging.getLogger(__name__)

KEPT_EVENTS = 200


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
        self.catalog = Catalog()
        self.house = Analysis()
        self.market: MarketState | None = None
        self.snapshot: Snapshot | None = None
        self._events: deque[MarketEvent] = deque(maxlen=KEPT_EVENTS)
        self._begin_ns = self.clock.now_ns() - settings.warmup_s * SECOND_NS
        self.registry = ProviderRegistry(self.catalog, self.clock, self._events.append)
        for provider, enabled in self._declared(providers):
            self.registry.add(provider, enabled=enabled)
        self.graph = DeltaGraph(self.catalog, self._keep, window=settings.window, history_s=settings.history_s)
        self.streamer = self._make_streamer()
        self.rationale = PortfolioRationaleService(lambda: self.snapshot, self.clock)
        self._started_at: int | None = None
        self._analysed_at: int | None = None
        self._analysis_ms = 0.0
        self._analysis_errors = 0
        self._warm = False
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
        """Return the last 200 events, newest last."""
        return tuple(self._events)

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
        """Stop for good and let go of the streamz graph."""
        self._closed = True
        await self.stop()
        self.graph.close()

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
            analysis_ms=self._analysis_ms,
            out_of_order=self.graph.kernel.out_of_order,
            errors=loop.errors + self.graph.errors + self._analysis_errors,
        )

    def _declared(self, given: Iterable[Provider] | None) -> list[tuple[Provider, bool]]:
        # Each feed to take in, with whether it is enabled.
        return declared_providers(self.settings, self.clock, self._begin_ns, given)

    def _make_streamer(self) -> MarketStreamer:
        return MarketStreamer(
            drain=self.registry.drain,
            emit=self.graph.emit,
            dispatch=self._dispatch,
            clock=self.clock,
            cycle_s=self.settings.cycle_s,
        )

    async def _open_feeds(self) -> None:
        await self.registry.start()
        await self._warm_up()

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
        await self.registry.stop()
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

    async def _dispatch(self, batch: QuoteBatch) -> None:
        interval = round(self.settings.analysis_interval_s * SECOND_NS)
        if self.market is None or (self._analysed_at is not None and batch.now - self._analysed_at < interval):
            return
        self._analysed_at = batch.now
        started = self.clock.monotonic_ns()
        try:
            self.snapshot = self.house.step(self.market)
        except Exception:  # fence: the stream goes on, the last good snapshot stays with its time
            self._analysis_errors += 1
            logger.exception("the house analysis failed at cycle %d", self.market.sequence)
        self._analysis_ms = (self.clock.monotonic_ns() - started) / 1e6

    async def _watch_health(self) -> None:
        while True:
            try:
                self.registry.check_health(self.clock.now_ns())
            except Exception:  # fence: a health check that fails is tried again
                logger.exception("the health check failed")
            await self.clock.sleep(self.settings.health_interval_s)

    def _keep(self, market: MarketState) -> None:
        self.market = market

    def _note(self, what: str) -> None:
        self._events.append(
            MarketEvent(ts=self.clock.now_ns(), topic=Topic.ENGINE_STATUS, subject="engine", message=f"Stream {what}.")
        )


def _log_failure(opening: asyncio.Task[None]) -> None:
    # Also where nobody waits for the start, its failure is heard.
    if not opening.cancelled() and opening.exception() is not None:
        logger.error("the engine could not start", exc_info=opening.exception())


def connect(profile: str = "demo", *, clock: Clock | None = None, **settings: Any) -> Engine:
    """Build an engine for a notebook, and start it where an event loop runs.

    Args:
        profile: `demo`, `null`, `planted` or `live`.
        clock: A `ManualClock` makes a simulated profile repeatable.
        settings: Any other setting by its name, such as `seed=7`.

    Raises:
        ConfigurationError: A setting cannot be used.
    """
    engine = Engine(load_settings(profile=profile, **settings), clock=clock)
    engine.start()
    return engine
