"""The simulated provider: one invented venue of a World as a feed, with faults on demand."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.instruments import Instrument, Kind, Market, Venue
from marketstream.market.quotes import Refusal
from marketstream.providers.base import Fault, HealthReport, Input, InputKind, Provider
from marketstream.providers.simulated_assets import AssetFeed
from marketstream.providers.simulated_faults import FaultPlayer
from marketstream.providers.simulated_feed import Feed
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_outcomes import OutcomeFeed
from marketstream.providers.simulated_planting import Planted
from marketstream.providers.simulated_world import World

_OUTCOME_TICK = 0.0001

MAX_DELAY_S = 60.0
JOIN_AFTER_S = 300
"""Seconds behind after which a feed joins with a snapshot in place of making all that it missed."""


class SimulatedProvider(Provider):
    """A venue of a simulated world.

    Its time is the `now` that it is drained with, which may run through the past faster than the clock:
    the engine warms up by draining from the world's start to the present. What it sends depends on the
    world's seed and the faults played, not on how often it is drained. Started again after a stop, it
    joins at the next drain with a snapshot, as a real client would.

    Args:
        name: Unique in a registry.
        clock: Used only for the start of a fault played before the first drain.
        world: The truth, shared with the other venues.
        venue: Id of the venue in the world.
        stale_after_s: Without a valid quote for this long, the provider counts as degraded.
        delay_s: How much later everything arrives than over the venue's fastest line, seconds. Several providers of
            one venue send the same quotes, each over a line of its own, and each plays its own faults.
    """

    kind = "simulated"
    _FAULTS: ClassVar[tuple[Fault, ...]] = tuple(Fault)

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        world: World,
        venue: str,
        stale_after_s: float = 10.0,
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(name=name, clock=clock, stale_after_s=stale_after_s)
        if not 0 <= delay_s <= MAX_DELAY_S:
            raise InvalidInputError(f"delay_s must be 0 to {MAX_DELAY_S:g} seconds, was {delay_s}")
        self.world = world
        spec = world.spec.venue(venue)
        self._feed: Feed = AssetFeed(world, spec) if spec.kind is Kind.ASSET else OutcomeFeed(world, spec)
        self._faults = FaultPlayer(self._feed)
        # The feed's own time runs `delay` behind; all below is in that time.
        self._delay = round(delay_s * SECOND_NS)
        self._position: int | None = None
        self._joins = False

    def listing(self) -> Listing:
        """Return the venue and what it quotes."""
        spec, ids = self._feed.venue, self._feed.instruments
        venue = Venue(id=spec.id, name=spec.name, code=spec.code, kind=spec.kind, fees=spec.fees)
        if spec.kind is Kind.ASSET:
            instruments = _asset_instruments(self.world, spec.id)
        else:
            instruments = _outcome_instruments(self.world)
        markets = _markets(self.world) if spec.kind is Kind.OUTCOME else ()
        return Listing(
            instruments=instruments, venues=(venue,), pairs=tuple((i, spec.id) for i in ids), markets=markets
        )

    def attach(self, catalog: Catalog) -> None:
        """Enter the listing into `catalog` and take codes from it."""
        super().attach(catalog)
        codes = np.array([catalog.code(i) for i in self._feed.instruments], dtype=np.int32)
        self._feed.bind(codes, catalog.venue_code(self._feed.venue.id))

    async def start(self) -> None:
        """Begin at the world's start the first time, at the next drain after a stop."""
        self._joins = self._position is not None
        if self._joins:
            self._faults.clear()
        await super().start()

    def collect(self, now: int) -> np.ndarray:
        """Return what the venue sent up to `now`, with the faults put on."""
        rows = self._received(now)
        self.stats.frames += len(rows)
        if self.tap is not None and len(rows):
            self.tap(Input(provider=self.name, kind=InputKind.ROWS, epoch=0, ts=now, body=rows.tobytes()))
        return rows

    def health(self, now: int) -> HealthReport:
        """Judge by progress, and say so when a fault is being played."""
        report = super().health(now)
        if self.status not in (ProviderStatus.RUNNING, ProviderStatus.DEGRADED):
            return report
        own = now - self._delay
        active = self._faults.active(own)
        if Fault.DISCONNECT in active:
            return self._lost(report, Absence.NO_DATA, "connection lost", Fault.DISCONNECT, own)
        if Fault.GAP in active:
            return self._lost(report, Absence.GAP, "sequence gap, waiting for a snapshot", Fault.GAP, own)
        return report

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Return the faults this provider can play: all of them."""
        return self._FAULTS

    def play_fault(self, fault: Fault, duration_s: float) -> None:
        """Play a fault on what is received from now on for `duration_s` seconds."""
        begin = self.clock.now_ns() - self._delay if self._position is None else self._position
        self._faults.play(Fault(fault), begin, duration_s)

    def truth(self, now: int) -> dict[str, float]:
        """Return the true prices and probabilities at `now` of what this venue quotes."""
        values = self.world.truth(now)
        return {name: values[name] for name in self._feed.instruments}

    def planted(self, until: int | None = None) -> list[Planted]:
        """Return this venue's planted mispricings that began before `until` (UTC ns), by default so far."""
        if until is None:
            until = self.world.start_ns if self._position is None else self._position
        return self._feed.planting.between(self.world.start_ns, until, self._feed.venue.id)

    def _received(self, now: int) -> np.ndarray:
        rows = self._made(now - self._delay)
        rows["ts_received"] += self._delay
        return rows

    def _made(self, now: int) -> np.ndarray:
        since = self._position
        if since is None:
            since = self.world.start_ns - 1
        if now <= since:
            return self._feed.blank_rows(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        rows = self._rows(since, now)
        self._position = now
        rows, lost = self._faults.apply(rows, since, now)
        if lost:
            self.stats.refuse(Refusal.OUT_OF_SEQUENCE, lost)
        return rows

    def _rows(self, since: int, now: int) -> np.ndarray:
        feed = self._feed
        if self._joins or now - since > JOIN_AFTER_S * SECOND_NS:
            self._joins = False
            feed.skip_to(now)
            return feed.snapshot(now, feed.seq)
        rows = feed.take(now)
        if since < self.world.start_ns:
            return np.concatenate([feed.snapshot(self.world.start_ns, 0), rows])
        return rows

    def _lost(self, report: HealthReport, why: Absence, what: str, fault: Fault, now: int) -> HealthReport:
        left = ((self._faults.ends_at(fault) or now) - now) / SECOND_NS
        self.status = ProviderStatus.DEGRADED
        return HealthReport(
            status=self.status,
            absence=why,
            detail=f"{what}; back in {left:.1f} s (played fault)",
            age_s=report.age_s,
        )

    def _tick(self, now: int) -> int:
        # Silence is counted on the feed's own time, which the clock knows nothing of during a warm-up.
        return now


def make_world(
    name: str, *, seed: int, start_ns: int, n_instruments: int | None = None, n_venues: int | None = None
) -> World:
    """Return a built-in world; the sizes are for `scale` only.

    >>> world = make_world("demo", seed=7, start_ns=0)
    >>> len(world.asset_ids), len(world.spec.markets), len(world.spec.venues)
    (26, 10, 8)
    """
    return World(make_world_spec(name, n_instruments=n_instruments, n_venues=n_venues), seed=seed, start_ns=start_ns)


def _asset_instruments(world: World, venue: str) -> tuple[Instrument, ...]:
    return tuple(
        Instrument(id=a.id, kind=Kind.ASSET, quote_currency=a.quote_currency, tick=a.tick)
        for a in world.spec.assets_of(venue)
    )


def _outcome_instruments(world: World) -> tuple[Instrument, ...]:
    return tuple(
        Instrument(id=m.outcome_id(short), kind=Kind.OUTCOME, name=name, tick=_OUTCOME_TICK, market_id=m.id)
        for m in world.spec.markets
        for short, name, _ in m.outcomes
    )


def _markets(world: World) -> tuple[Market, ...]:
    return tuple(
        Market(
            id=m.id,
            name=m.name,
            outcomes=tuple(m.outcome_id(short) for short, _, _ in m.outcomes),
            line=m.line,
            settles_at=world.settles_at(i),
        )
        for i, m in enumerate(world.spec.markets)
    )
