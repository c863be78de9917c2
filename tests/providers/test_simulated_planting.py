"""Planted mispricings: where they are listed, quotes earn exactly that after fees, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, rows_of, simulated

from marketstream.errors import InvalidInputError
from marketstream.market.quotes import QuoteState
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_planting import Planting
from marketstream.providers.simulated_spec import PlantingSpec
from marketstream.providers.simulated_world import World

PLANTED = make_world_spec("planted")


def profit(row: np.void, truth: float, side: str, per_trade: float, commission: float, outcome: bool) -> float:
    """Return net profit per unit of trading this row at the true price: fraction of it, or per contract."""
    bid, ask = float(row["bid"]), float(row["ask"])
    if not outcome:
        return (truth - ask) / truth - per_trade if side == "buy" else (bid - truth) / truth - per_trade
    if side == "buy":
        return truth * (1 - ask) * (1 - commission) - (1 - truth) * ask
    return (1 - truth) * bid * (1 - commission) - truth * (1 - bid)


def measured(seconds: float = 120.0) -> tuple[list[tuple[object, float]], int]:
    """Return (planted, profit - size) for each row within a window, and how many rows are outside of all."""
    world, catalog, rows = rows_of(PLANTED, seconds)
    rows = rows[rows["state"] == QuoteState.LIVE]
    plan = Planting(world).between(START_NS, START_NS + round(seconds * SECOND_NS))
    inside, names = [], [v.id for v in catalog.venues]
    fees = {v.id: v.fees for v in world.spec.venues}
    for planted in plan:
        mine = rows[
            (rows["instrument"] == catalog.code(planted.instrument))
            & (rows["venue"] == names.index(planted.venue))
            & (rows["ts_event"] >= planted.begins_at)
            & (rows["ts_event"] < planted.ends_at)
        ]
        outcome = ":" in planted.instrument
        for row in mine:
            truth = world.truth(int(row["ts_event"]))[planted.instrument]
            fee = fees[planted.venue]
            gain = profit(row, truth, planted.side, fee.per_trade, fee.commission, outcome)
            inside.append((planted, gain - (planted.size if outcome else planted.size * 1e-4)))
    return inside, len(rows) - len(inside)


def test_every_quote_in_a_window_earns_exactly_the_planted_size() -> None:
    inside, outside = measured()
    assert len(inside) > 1000
    assert outside > len(inside)
    for planted, error in inside:
        # prices of assets are whole ticks, those of planted outcomes exact
        assert abs(error) < (1e-9 if ":" in planted.instrument else 1e-5), planted  # type: ignore[attr-defined]
    assert {p.side for p, _ in inside} == {"buy", "sell"}  # type: ignore[attr-defined]
    assert len({p.venue for p, _ in inside}) >= 6  # type: ignore[attr-defined]


def test_no_quote_outside_the_windows_earns_anything() -> None:
    world, catalog, rows = rows_of(PLANTED, 120.0)
    windows = {(p.instrument, p.venue): p for p in Planting(world).between(START_NS, START_NS + 60 * SECOND_NS - 1)}
    checked = 0
    for row in rows[(rows["state"] == QuoteState.LIVE) & (rows["ts_event"] < START_NS + 60 * SECOND_NS)][::20]:
        instrument, venue = catalog.instruments[row["instrument"]].id, catalog.venues[row["venue"]]
        planted = windows.get((instrument, venue.id))
        if planted is not None and planted.begins_at <= row["ts_event"] < planted.ends_at:
            continue
        truth = world.truth(int(row["ts_event"]))[instrument]
        for side in ("buy", "sell"):
            gain = profit(row, truth, side, venue.fees.per_trade, venue.fees.commission, ":" in instrument)
            # without a bid there is nothing to sell to
            assert np.isnan(gain) or gain < 0.0
        checked += 1
    assert checked > 1000


def test_planted_quotes_are_valid() -> None:
    _, _, rows = rows_of(PLANTED, 60.0)
    live = rows[rows["state"] == QuoteState.LIVE]
    assert not np.any(live["bid"] > live["ask"])
    assert not np.any(rows["state"] == QuoteState.CROSSED)


def test_the_plan_is_a_function_of_the_seed_and_the_time_alone() -> None:
    first, again = (Planting(World(PLANTED, seed=5, start_ns=START_NS)) for _ in range(2))
    other = Planting(World(PLANTED, seed=6, start_ns=START_NS))
    span = (START_NS + 600 * SECOND_NS, START_NS + 700 * SECOND_NS)
    assert first.between(*span) == again.between(*span)
    assert first.between(*span) != other.between(*span)


def test_each_slot_has_its_number_of_windows_on_different_instruments() -> None:
    plan = Planting(World(PLANTED, seed=5, start_ns=START_NS))
    for slot in range(20):
        begin = START_NS + slot * 60 * SECOND_NS
        windows = plan.between(begin, begin + 60 * SECOND_NS - 1)
        assert len(windows) == 8
        assert len({w.instrument for w in windows}) == 8
        assert all(w.begins_at == begin + 5 * SECOND_NS for w in windows)
        assert all(w.ends_at == begin + 50 * SECOND_NS for w in windows)


def test_sizes_are_within_the_specified_range() -> None:
    plan = Planting(World(PLANTED, seed=5, start_ns=START_NS)).between(START_NS, START_NS + 3600 * SECOND_NS)
    outcomes = [p.size for p in plan if ":" in p.instrument]
    assets = [p.size for p in plan if ":" not in p.instrument]
    assert 0.02 <= min(outcomes) <= max(outcomes) <= 0.05
    assert 15.0 <= min(assets) <= max(assets) <= 40.0


def test_bookmakers_are_only_bought_from() -> None:
    plan = Planting(World(PLANTED, seed=5, start_ns=START_NS)).between(START_NS, START_NS + 3600 * SECOND_NS)
    assert {p.venue for p in plan if p.side == "sell"} == {"alder", "birch", "cedar", "damson", "tidemark"}


def test_a_provider_tells_its_own_plan_so_far() -> None:
    world = World(PLANTED, seed=7, start_ns=START_NS)
    providers = simulated(world)
    assert [p.planted() for p in providers] == [[]] * 8
    now = START_NS + 300 * SECOND_NS
    for provider in providers:
        provider.drain(now)
    told = [planted for provider in providers for planted in provider.planted()]
    assert len(told) == 5 * 8
    assert sorted(map(repr, told)) == sorted(map(repr, Planting(world).between(START_NS, now)))
    assert all(planted.venue == p.name for p in providers for planted in p.planted(now))


def test_a_world_without_planting_has_none() -> None:
    plan = Planting(World(make_world_spec("demo"), seed=7, start_ns=START_NS))
    assert plan.between(START_NS, START_NS + 3600 * SECOND_NS) == []
    assert Planting(World(PLANTED, seed=7, start_ns=START_NS)).between(0, START_NS - 1) == []


def test_a_window_longer_than_its_slot_is_refused() -> None:
    spec = replace(PLANTED, planting=PlantingSpec(lead_s=30.0, length_s=45.0))
    with pytest.raises(InvalidInputError, match="end within its slot"):
        Planting(World(spec, seed=1, start_ns=START_NS))
