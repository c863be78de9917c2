"""Each check of listing and rows catches the bug it is there for: a broken twin of the simulated provider."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Instrument, Kind
from marketstream.providers.base import Provider
from marketstream.providers.checks import ConformanceError, check_provider
from marketstream.providers.simulated import SimulatedProvider, make_world


class Twin(SimulatedProvider):
    """A good provider; each subclass has one bug."""

    venue_id = "alder"

    def __init__(self, clock: ManualClock) -> None:
        world = make_world("demo", seed=7, start_ns=clock.now_ns())
        super().__init__(name=self.venue_id, clock=clock, world=world, venue=self.venue_id)


class ListsAPairTwice(Twin):
    def listing(self) -> Listing:
        good = super().listing()
        return replace(good, pairs=(*good.pairs, good.pairs[0]))


class ListsWithoutAPair(Twin):
    def listing(self) -> Listing:
        good = super().listing()
        return replace(good, instruments=(*good.instruments, Instrument(id="GHOST", kind=Kind.ASSET)))


class ForgetsItsMarkets(Twin):
    venue_id = "quayside"

    def listing(self) -> Listing:
        return replace(super().listing(), markets=())


class TakesAForeignCode(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        rows["provider"] = self.code + 1
        return rows


class SkipsTheScreen(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = self.collect(now)
        rows["provider"] = self.code
        good = rows["state"] == 0
        if good.any():
            self.stats.quotes += int(good.sum())
            self.stats.last_data_ns = int(rows["ts_received"][good].max())
            self._progress_at = self.stats.last_data_ns
        return rows


class SendsCrossedAsLive(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        rows["bid"][:3] = rows["ask"][:3] * 1.01
        return rows


class SendsNegativeSizes(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        rows["bid_size"][:3] = -1.0
        return rows


class SendsCertainties(Twin):
    venue_id = "quayside"

    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        rows["ask"][:3] = 1.0
        return rows


class LeavesThePriceInStateRows(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        rows["state"][:3] = 2
        return rows


class IsOutOfOrder(Twin):
    def collect(self, now: int) -> np.ndarray:
        return super().collect(now)[::-1].copy()


class DeliversTheFuture(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        rows["ts_received"] += 60_000_000_000
        return rows


class StampsMilliseconds(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        rows["ts_received"] //= 1_000_000
        rows["ts_event"] //= 1_000_000
        return rows


class DeliversTwice(Twin):
    def collect(self, now: int) -> np.ndarray:
        new = super().collect(now).copy()
        old = getattr(self, "_old", new[:0])
        self._old = new
        return np.concatenate([old, new])


class IgnoresWhatWasTaken(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now).copy()
        if len(rows):
            self._kept = rows
        return self._kept.copy()


class MiscountsQuotes(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        self.stats.quotes += 1
        return rows


class CountsNoFrames(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        self.stats.frames = 0
        return rows


class SwallowsRefusals(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        return rows[rows["state"] == 0]


class IsSilent(Twin):
    def collect(self, now: int) -> np.ndarray:
        return super().collect(now)[:0]


class DependsOnTheCadence(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        rows["ask_size"] += len(rows)
        return rows


class RollsDice(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        rows["ask_size"] += np.random.default_rng().random(len(rows))
        return rows


class AttachesWithoutCode(Twin):
    def attach(self, catalog: Catalog) -> None:
        super().attach(catalog)
        self._code = -1


TWINS: list[tuple[type[Twin], str, str]] = [
    (ListsAPairTwice, "listing_is_well_formed", "listed twice"),
    (ListsWithoutAPair, "listing_is_well_formed", "no pair names"),
    (ForgetsItsMarkets, "listing_is_well_formed", "in no listed market"),
    (TakesAForeignCode, "attach_gives_codes", "another provider's code"),
    (AttachesWithoutCode, "attach_gives_codes", "not the catalogue's"),
    (SkipsTheScreen, "screens_bad_rows", "stayed LIVE"),
    (SwallowsRefusals, "screens_bad_rows", "vanished"),
    (SendsCrossedAsLive, "delivers_valid_rows", "crossed"),
    (SendsNegativeSizes, "delivers_valid_rows", "bid_size is negative"),
    (SendsCertainties, "delivers_valid_rows", "not below 1"),
    (LeavesThePriceInStateRows, "delivers_valid_rows", "state row carries a price"),
    (IsSilent, "delivers_valid_rows", "no LIVE row"),
    (IsOutOfOrder, "drains_in_order_of_receipt", "go back"),
    (DeliversTheFuture, "drains_in_order_of_receipt", "after the drain's now"),
    (StampsMilliseconds, "drains_in_order_of_receipt", "nanoseconds"),
    (DeliversTwice, "drains_each_row_once", ""),
    (IgnoresWhatWasTaken, "drains_each_row_once", "again gave"),
    (MiscountsQuotes, "counts_what_it_delivers", "LIVE rows were delivered"),
    (CountsNoFrames, "counts_what_it_delivers", "no frame"),
    (DependsOnTheCadence, "repeats_itself", "five times as often"),
    (RollsDice, "repeats_itself", "two equal providers differ: column ask_size"),
]


async def test_the_twin_without_a_bug_passes() -> None:
    assert (await check_provider(Twin, deterministic=True)).skipped == {}


@pytest.mark.parametrize(("twin", "check", "says"), TWINS, ids=[t.__name__ for t, _, _ in TWINS])
async def test_the_bug_is_caught(twin: type[Provider], check: str, says: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        await check_provider(twin, deterministic=True)
    assert says in caught.value.failures[check]
