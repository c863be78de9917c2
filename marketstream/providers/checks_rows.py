"""Checks of what a provider lists and delivers; each raises when a promise is broken. checks.py runs them."""

from __future__ import annotations

from functools import partial

import numpy as np

from marketstream.market.instruments import Kind
from marketstream.market.quotes import MAX_EVENT_AHEAD_NS, QUOTE_DTYPE, QuoteState, Refusal, empty_quotes
from marketstream.providers.checks_bench import Bench, Rig, joined, live, pairs_of, require, same_rows


async def listing_is_well_formed(rig: Rig) -> None:
    """Pairs are unique and name only what is listed; markets and outcomes belong together."""
    bench = Bench(rig)
    listing = bench.provider.listing()
    require(listing == bench.provider.listing(), "two calls of listing() differ")
    require(len(listing.pairs) > 0, "it lists no pair")
    require(len(set(listing.pairs)) == len(listing.pairs), "a pair is listed twice")
    instruments = {i.id: i for i in listing.instruments}
    venues = {v.id: v for v in listing.venues}
    for instrument, venue in listing.pairs:
        require(
            instrument in instruments and venue in venues,
            f"pair {instrument!r}, {venue!r} names an unlisted thing",
        )
        require(
            instruments[instrument].kind is venues[venue].kind,
            f"{venue!r} quotes another kind than {instrument!r}",
        )
    require({i for i, _ in listing.pairs} == set(instruments), "an instrument is listed that no pair names")
    require({v for _, v in listing.pairs} == set(venues), "a venue is listed that no pair names")
    outcomes = {o: m.id for m in listing.markets for o in m.outcomes}
    for i in listing.instruments:
        if i.kind is Kind.OUTCOME:
            require(outcomes.get(i.id) == i.market_id, f"outcome {i.id!r} is in no listed market {i.market_id!r}")


async def attach_gives_codes(rig: Rig) -> None:
    """The provider has its code in the catalogue, and its rows carry it."""
    bench = Bench(rig)
    provider = bench.provider
    require(
        0 <= provider.code < len(bench.catalog.providers) and bench.catalog.providers[provider.code] == provider.name,
        "its code is not the catalogue's",
    )
    await provider.start()
    rows = joined(await bench.run())
    await provider.stop()
    require(bool(np.all(rows["provider"] == provider.code)), "its rows carry another provider's code")


async def delivers_valid_rows(rig: Rig) -> None:
    """LIVE rows can be priced, state rows have no price, and all belong to listed pairs."""
    bench = Bench(rig)
    await bench.provider.start()
    rows = joined(await bench.run())
    await bench.provider.stop()
    require(rows.dtype == QUOTE_DTYPE, f"rows are of {rows.dtype}, not of QUOTE_DTYPE")
    require(len(live(rows)) > 0, f"no LIVE row came in {rig.seconds:g} s")
    strange = pairs_of(rows) - bench.pair_codes()
    require(not strange, f"rows of pairs that are not listed: {sorted(strange)[:3]}")
    _require_priced(live(rows), bench.catalog.is_outcome())
    stated = rows[rows["state"] != QuoteState.LIVE]
    blank = np.isnan(stated["bid"]) & np.isnan(stated["ask"])
    require(bool(np.all(blank)), "a state row carries a price")


async def drains_in_order_of_receipt(rig: Rig) -> None:
    """Receipt times never go back, within a drain or from one to the next, and never pass its now."""
    bench = Bench(rig)
    await bench.provider.start()
    drains = await bench.run()
    await bench.provider.stop()
    received = joined(drains)["ts_received"]
    require(bool(np.all(np.diff(received) >= 0)), "receipt times go back")
    for drained in drains:
        times = drained.rows["ts_received"]
        require(bool(np.all(times <= drained.now)), "a row was received after the drain's now")
        ahead = drained.rows["ts_event"] > times + MAX_EVENT_AHEAD_NS
        require(not bool(np.any(ahead & (drained.rows["state"] == QuoteState.LIVE))), "an event time lies ahead")
    require(
        not len(received) or int(received[0]) > 10**18,
        "receipt times are not UTC nanoseconds of this century",
    )


async def drains_each_row_once(rig: Rig) -> None:
    """A second drain of the same moment is empty, and no row comes twice."""
    bench = Bench(rig)
    await bench.provider.start()
    rows = joined(await bench.run())
    again = bench.provider.drain(bench.clock.now_ns())
    await bench.provider.stop()
    require(len(again) == 0, f"draining the same moment again gave {len(again)} rows")
    quotes = live(rows)
    distinct = np.unique(
        quotes[["instrument", "venue", "ts_received", "ts_event", "seq", "bid", "ask"]], equal_nan=False
    )
    identity = {tuple(map(str, r)) for r in distinct.tolist()}
    require(len(identity) == len(quotes), f"{len(quotes) - len(identity)} rows came twice")


async def counts_what_it_delivers(rig: Rig) -> None:
    """The statistics agree with the rows."""
    bench = Bench(rig)
    await bench.provider.start()
    rows = joined(await bench.run())
    await bench.provider.stop()
    stats, n = bench.provider.stats, len(live(rows))
    require(stats.quotes == n, f"stats count {stats.quotes} quotes, {n} LIVE rows were delivered")
    require(stats.frames > 0, "stats count no frame")
    newest = int(live(rows)["ts_received"].max()) if n else None
    require(stats.last_data_ns == newest, "stats.last_data_ns is not the newest LIVE row's")


async def screens_bad_rows(rig: Rig) -> None:
    """What no price can be made of leaves `drain` as a state row and is counted with its reason."""
    for reason, change in _BAD.items():
        bench = Bench(rig)
        await bench.provider.start()
        good = await _one_good_row(bench)
        bad = good.copy()
        for column, value in change.items():
            bad[column] = value if column != "ts_event" else bench.clock.now_ns() + 10 * MAX_EVENT_AHEAD_NS
        # The provider under test is made to collect one bad row, as if its venue had sent it.
        bench.provider.collect = partial(_hand_over, bad)  # type: ignore[method-assign]
        out = bench.provider.drain(bench.clock.now_ns())
        await bench.provider.stop()
        require(len(out) == 1, f"a row that is {reason.value} vanished instead of becoming a state row")
        require(int(out["state"][0]) != QuoteState.LIVE, f"a row that is {reason.value} stayed LIVE")
        require(
            bool(np.isnan(out["bid"][0]) and np.isnan(out["ask"][0])),
            f"{reason.value}: its price is still there",
        )
        require(bench.provider.stats.refused[reason.value] == 1, f"a row that is {reason.value} was not counted")


async def repeats_itself(rig: Rig) -> None:
    """Equal providers deliver equal rows bit for bit, however often they are drained."""
    runs = []
    for step_s in (rig.step_s, rig.step_s, rig.step_s / 5, rig.seconds):
        bench = Bench(rig)
        await bench.provider.start()
        runs.append(joined(await bench.run(rig.seconds, step_s)))
        await bench.provider.stop()
    first, second, finer, at_once = runs
    require(not (what := same_rows(first, second)), f"two equal providers differ: {what}")
    require(not (what := same_rows(first, finer)), f"draining five times as often changes the rows: {what}")
    require(not (what := same_rows(first, at_once)), f"draining all at once changes the rows: {what}")


_BAD: dict[Refusal, dict[str, float]] = {
    Refusal.NOT_FINITE: {"ask": np.inf},
    Refusal.NEGATIVE_SIZE: {"ask_size": -1.0},
    Refusal.NOT_POSITIVE: {"bid": -0.5, "bid_size": 1.0},
    Refusal.CROSSED: {"bid": 0.6, "ask": 0.5, "bid_size": 1.0},
    Refusal.EVENT_TIME_AHEAD: {"ts_event": 0.0},
}


def _hand_over(rows: np.ndarray, now: int) -> np.ndarray:
    return rows


async def _one_good_row(bench: Bench) -> np.ndarray:
    rows = live(joined(await bench.run()))
    require(len(rows) > 0, f"no LIVE row came in {bench.rig.seconds:g} s")
    row = empty_quotes(1)
    row[:] = rows[-1:]
    return row


def _require_priced(rows: np.ndarray, is_outcome: np.ndarray) -> None:
    for side in ("bid", "ask"):
        price, size = rows[side], rows[f"{side}_size"]
        there = ~np.isnan(price)
        require(
            bool(np.all(np.isfinite(price[there]) & (price[there] > 0))),
            f"a LIVE {side} is not a positive number",
        )
        require(bool(np.all(np.isfinite(size) & (size >= 0))), f"a LIVE {side}_size is negative or not finite")
        require(bool(np.all(size[~there] == 0)), f"a missing {side} has a size")
        too_high = is_outcome[rows["instrument"]] & there & (price >= 1.0)
        require(not bool(np.any(too_high)), f"an outcome's {side} is not below 1")
    require(not bool(np.any(rows["bid"] > rows["ask"])), "a LIVE row is crossed")
    require(not bool(np.any(np.isnan(rows["bid"]) & np.isnan(rows["ask"]))), "a LIVE row has no side at all")
