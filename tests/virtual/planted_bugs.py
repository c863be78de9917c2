"""Bugs to plant in the program of a virtual hour, each with the faults that bring it to light and who must see it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hour_program import SYMBOLS, Parts
from virtual_time import VirtualMachine

from marketstream.analytics.analysis import Analysis
from marketstream.clock import SECOND_NS, SystemClock
from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent, ProviderStatus
from marketstream.providers.base import HealthReport
from marketstream.providers.peer import FeedLostError
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.transport import Reception, WebSocketTransport
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.binance_book import Delta, LocalBook
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.providers.venues.kraken_decoder import KrakenDecoder
from marketstream.providers.venues.kraken_messages import BookChange
from marketstream.streaming.deltas import DeltaGraph
from marketstream.streaming.event_bus import EventBus
from marketstream.streaming.handlers import DeltaHandlerManager
from marketstream.streaming.kernel import RollingKernel


@dataclass(frozen=True, kw_only=True)
class Plant:
    """One bug.

    Attributes:
        name: What is wrong.
        parts: The program with it.
        faults: What is played.
        seen_by: The check that must complain.
        seed: Of a run that brings it to light.
    """

    name: str
    parts: Parts
    faults: tuple[str, ...]
    seen_by: str
    seed: int = 1


class TransportWithoutWatchdog(WebSocketTransport):
    """Takes an open socket for a live one."""

    async def _watch(self) -> None:
        await asyncio.Event().wait()


class TransportWithoutReturn(WebSocketTransport):
    """Takes the first loss for the last."""

    async def _run(self) -> None:
        with contextlib.suppress(FeedLostError):
            await self._connection()


class RegistryWithoutTrust(ProviderRegistry):
    """Lets everybody's rows out."""

    def drain(self, now: int) -> np.ndarray:
        """Return the rows of every provider."""
        return np.concatenate([provider.drain(now) for provider in self])


class SilentRegistry(ProviderRegistry):
    """Lets nobody's rows out."""

    def drain(self, now: int) -> np.ndarray:
        """Return nothing."""
        return super().drain(now)[:0]


class ForgetfulBus(EventBus):
    """Leaves an event out now and then."""

    async def handle(self, events: Sequence[MarketEvent]) -> None:
        """Publish most events."""
        await super().handle([event for event in events if not event.id.endswith("7")])


class DecoderWithoutChecksum(KrakenDecoder):
    """Takes every book for the venue's."""

    def _change(self, place: int, change: BookChange, *, anew: bool) -> bool:
        super()._change(place, change, anew=anew)
        return True


class TrustingBook(LocalBook):
    """Applies whatever update comes next."""

    def _follows(self, delta: Delta) -> bool:
        return True


def without_watchdog(feed: BinanceProvider) -> None:
    """Let a feed wait for ever on a silent connection."""
    feed.transport.__class__ = TransportWithoutWatchdog


def without_screen(feed: BinanceProvider) -> None:
    """Let everything that a feed decodes go further."""

    def drain(now: int) -> np.ndarray:
        rows = feed.collect(now)
        rows["provider"] = feed.code
        return rows

    feed.drain = drain  # type: ignore[method-assign]


def without_return(feed: BinanceProvider) -> None:
    """Let a feed stay away after the first loss."""
    feed.transport.__class__ = TransportWithoutReturn


def dated_by_the_wall_clock(feed: BinanceProvider) -> None:
    """Let a feed forget when it was last drained, so that a step of the wall clock makes the next quote an hour old."""
    drain = feed.drain

    def drain_as_if_first(now: int) -> np.ndarray:
        feed._drained_at = None
        return drain(now)

    feed.drain = drain_as_if_first  # type: ignore[method-assign]


def without_checksums(feed: KrakenProvider) -> None:
    """Let Kraken's feed miss that a frame is missing."""
    feed.decoder.__class__ = DecoderWithoutChecksum


def without_gap_check(feed: BinanceProvider) -> None:
    """Let a feed miss that an update is missing."""
    for symbol in SYMBOLS:
        feed.decoder.book(symbol).__class__ = TrustingBook


def leaking(feed: BinanceProvider) -> None:
    """Hand tickers of an older connection on while a newer one is there. No bug while epochs are checked.

    Tickers, since a book would not join on to the updates of another connection, but believes the newest ticker.
    """
    received, held = feed.received, deque[tuple[int, bytes]](maxlen=30)

    def late(epoch: int, frame: bytes, ts_received: int) -> Reception:
        if b"bookTicker" in frame:
            held.append((epoch, frame))
        answer = received(epoch, frame, ts_received)
        while held and held[0][0] < epoch:
            received(*held.popleft(), ts_received)
        return answer

    feed.received = late  # type: ignore[method-assign]


def leaking_without_epochs(feed: BinanceProvider) -> None:
    """Take every frame for one of the newest connection, and let those of older ones come."""
    received = feed.received

    def any_epoch(epoch: int, frame: bytes, ts_received: int) -> Reception:
        return received(feed.transport.epoch, frame, ts_received)

    feed.received = any_epoch  # type: ignore[method-assign]
    leaking(feed)


def without_progress(feed: BinanceProvider) -> None:
    """Call a feed healthy because it was started."""

    def health(now: int) -> HealthReport:
        return HealthReport(status=ProviderStatus.RUNNING, absence=None, detail="", age_s=0.0)

    feed.health = health  # type: ignore[method-assign]


def without_age_limit(graph: DeltaGraph) -> None:
    """Let the kernel use a quote for a day."""
    n_instruments, n_venues = graph.kernel.shape
    graph.kernel = RollingKernel(np.full(n_venues, 86_400 * SECOND_NS), n_instruments, history_s=120)


def with_patient_venues(catalog: Catalog) -> None:
    """Let everything downstream of the registry take quotes of a day ago for fresh."""
    limits = catalog.stale_after_ns
    catalog.stale_after_ns = lambda: limits() * 10_000  # type: ignore[method-assign]


def patient_analysis() -> Analysis:
    """Take the second lock off too: fair values have an age limit of their own."""
    analysis = Analysis()
    analysis.fair_value.stale_after_s = analysis.fair_value.param.stale_after_s.bounds[1]
    return analysis


def with_wall_clock(machine: VirtualMachine) -> SystemClock:
    """Measure intervals by the wall clock."""
    return SystemClock(machine.wall_ns, machine.wall_ns)


def without_letters(**arguments: Any) -> DeltaHandlerManager:
    """Let go of what a handler could not deal with."""

    async def forget(_: object) -> None:
        pass

    return DeltaHandlerManager(**(arguments | {"on_dead_letter": forget}))


PLANTS = (
    Plant(
        name="no watchdog",
        parts=Parts(spoil_feed=without_watchdog),
        faults=("silence_with_pings", "outage", "black_hole"),
        seen_by="deaf_connections",
    ),
    Plant(
        name="no reconnection",
        parts=Parts(spoil_feed=without_return),
        faults=("close_1006", "close_1000"),
        seen_by="late_dials",
    ),
    Plant(
        name="no screen at the edge",
        parts=Parts(spoil_feed=without_screen),
        faults=("clock_ahead",),
        seen_by="impossible_quotes",
    ),
    Plant(
        name="progress by the wall clock",
        parts=Parts(spoil_feed=dated_by_the_wall_clock),
        faults=("wall_clock_step",),
        seen_by="false_alarms",
        seed=2,
    ),
    Plant(
        name="rows of everybody",
        parts=Parts(registry=RegistryWithoutTrust),
        faults=("close_1006",),
        seen_by="untrusted_quotes",
    ),
    Plant(
        name="rows of nobody",
        parts=Parts(registry=SilentRegistry),
        faults=("close_1006",),
        seen_by="withheld_quotes",
    ),
    Plant(
        name="a bus that forgets",
        parts=Parts(bus=ForgetfulBus),
        faults=("close_1006", "outage"),
        seen_by="lost_on_the_bus",
    ),
    Plant(
        name="no age limit",
        parts=Parts(spoil_graph=without_age_limit),
        faults=("outage", "silence_with_pings"),
        seen_by="old_quotes",
    ),
    Plant(
        name="a fair value of old quotes",
        parts=Parts(spoil_catalog=with_patient_venues, analysis=patient_analysis),
        faults=("outage", "silence_with_pings"),
        seen_by="old_fair_values",
    ),
    Plant(
        name="no hysteresis",
        parts=Parts(failback_after_s=0.0),
        faults=("silence_with_pings", "black_hole"),
        seen_by="hasty_returns",
    ),
    Plant(
        name="no check of epochs",
        parts=Parts(spoil_feed=leaking_without_epochs),
        faults=("restart",),
        seen_by="false_quotes",
    ),
    Plant(
        name="no check of gaps",
        parts=Parts(spoil_feed=without_gap_check),
        faults=("gap",),
        seen_by="false_quotes",
    ),
    Plant(
        name="no check of checksums",
        parts=Parts(spoil_kraken=without_checksums),
        faults=("kraken_lost_frames",),
        seen_by="false_quotes",
    ),
    Plant(
        name="health without progress",
        parts=Parts(spoil_feed=without_progress),
        faults=("silence_with_pings", "rest_refuses"),
        seen_by="unnoticed_silence",
    ),
    Plant(
        name="no failover",
        parts=Parts(spoil_feed=without_progress),
        faults=("silence_with_pings", "black_hole"),
        seen_by="misplaced_trust",
    ),
    Plant(
        name="a watchdog on the wall clock",
        parts=Parts(clock=with_wall_clock),
        faults=("wall_clock_step",),
        seen_by="standstills",
    ),
    Plant(
        name="dead letters thrown away",
        parts=Parts(handlers=without_letters),
        faults=("outage", "close_1006", "restart"),
        seen_by="lost_events",
    ),
)
"""Every bug, with the faults and the check that bring it to light."""
