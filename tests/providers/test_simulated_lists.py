"""The built-in worlds keep what they promise: sizes and rates, no edge in `null`, fair z-scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from provider_fakes import SECOND_NS, START_NS, rows_of, simulated

from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.instruments import Kind
from marketstream.market.quotes import QuoteState
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_spec import WorldSpec
from marketstream.providers.simulated_world import World

WINDOW = 256


def test_demo_has_the_promised_size() -> None:
    world, catalog, rows = rows_of(make_world_spec("demo"), 60.0)
    assets = [i for i in catalog.instruments if i.kind is Kind.ASSET]
    assert len(assets) >= 24
    assert {i.quote_currency for i in assets} == {"USD", "EUR"}
    assert len(catalog.markets) == 10
    assert sorted(len(m.outcomes) for m in catalog.markets) == [2] * 4 + [3] * 6
    assert [m.line for m in catalog.markets if m.line is not None] == [24.5, 9.5]
    assert len(world.spec.asset_venues) == len(world.spec.outcome_venues) == 4
    assert 800 <= len(rows) / 60.0 <= 1500
    hours = [world.spec.markets[i].settles_after_s / 3600 for i in range(10)]
    assert 2.0 <= min(hours) < max(hours) <= 72.0


def test_demo_venues_differ_in_every_way() -> None:
    spec = make_world_spec("demo")
    for venues in (spec.asset_venues, spec.outcome_venues):
        for name in ("rate", "lag_s", "latency_s", "error", "dropouts_per_hour", "size"):
            assert len({getattr(v, name) for v in venues}) == 4, name
    assert len({v.spread_bps for v in spec.asset_venues}) == 4
    assert len({v.fees.per_trade for v in spec.asset_venues}) == 4
    assert len({v.method for v in spec.outcome_venues}) == 4
    exchange = [v for v in spec.outcome_venues if v.fees.commission > 0]
    assert [v.id for v in exchange] == ["tidemark"]


def test_demo_shows_chances_now_and_then() -> None:
    assert tradable(make_world_spec("demo"), 120) > 0


def test_volatility_of_coins_is_between_forty_and_ninety_per_cent() -> None:
    coins = [a for a in make_world_spec("demo").assets if a.cross is None and a.id != "EUR-USD"]
    assert all(0.4 <= a.volatility <= 0.9 for a in coins)


@pytest.mark.parametrize("name", ["demo", "null", "planted"])
def test_ticks_are_finer_than_a_tenth_of_a_basis_point(name: str) -> None:
    # Coarser ticks would make most changes zero, and a z-score of changes meaningless.
    assert all(a.tick / a.price < 3e-5 for a in make_world_spec(name).assets)


def test_a_scale_world_has_as_many_as_asked() -> None:
    world, catalog, rows = rows_of(make_world_spec("scale", n_instruments=500, n_venues=4), 5.0)
    assert (catalog.n_instruments, catalog.n_venues) == (500, 4)
    assert catalog.instruments[0].id == "A0001-USD"
    assert len(world.asset_ids) == 500
    assert len(rows) / 5.0 == pytest.approx(2000 + 2000 / 5.0, rel=0.1)  # a snapshot of all pairs comes first


@pytest.mark.parametrize("size", [(0, 4), (10_000, 4), (5, 0), (5, 100)])
def test_a_scale_world_of_an_impossible_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="1 to 9999 instruments and 1 to 99 venues"):
        make_world_spec("scale", n_instruments=size[0], n_venues=size[1])


def test_sizes_belong_to_scale_and_names_must_be_known() -> None:
    with pytest.raises(InvalidInputError, match="belong to the world 'scale'"):
        make_world_spec("demo", n_venues=2)
    with pytest.raises(InvalidInputError, match="there are demo, null, planted, scale"):
        make_world_spec("live")


def tradable(spec: WorldSpec, seconds: int, seed: int = 7) -> int:
    """Count, once a second, standing prices that earn money after fees at the true price."""
    world, catalog = World(spec, seed=seed, start_ns=START_NS), Catalog()
    providers = simulated(world, catalog)
    bid = np.full((catalog.n_instruments, catalog.n_venues), np.nan)
    ask = bid.copy()
    outcome = catalog.is_outcome()[:, None]
    per_trade = np.array([v.fees.per_trade for v in catalog.venues])
    commission = np.array([v.fees.commission for v in catalog.venues])
    found = 0
    for second in range(1, seconds + 1):
        now = START_NS + second * SECOND_NS
        for rows in (p.drain(now) for p in providers):
            bid[rows["instrument"], rows["venue"]] = rows["bid"]
            ask[rows["instrument"], rows["venue"]] = rows["ask"]
        truth = world.truth(now)
        p = np.array([truth[i.id] for i in catalog.instruments])[:, None]
        buy = np.where(outcome, p * (1 - ask) * (1 - commission) - (1 - p) * ask, p - ask * (1 + per_trade))
        sell = np.where(outcome, (1 - p) * bid * (1 - commission) - p * (1 - bid), bid * (1 - per_trade) - p)
        found += int(np.sum(buy > 0) + np.sum(sell > 0))
    return found


def test_null_leaves_no_edge_after_fees() -> None:
    assert tradable(make_world_spec("null"), 240) == 0


def test_null_leaves_no_arbitrage_between_venues() -> None:
    _, catalog, rows = rows_of(make_world_spec("null"), 60.0)
    rows = rows[rows["state"] == QuoteState.LIVE]
    cost = np.array([v.fees.per_trade for v in catalog.venues])[rows["venue"]]
    frame = pd.DataFrame(
        {
            "instrument": rows["instrument"],
            "second": (rows["ts_received"] - START_NS) // SECOND_NS,
            "bid": rows["bid"] * (1 - cost),
            "ask": rows["ask"] * (1 + cost),
        }
    )
    best = frame.groupby(["instrument", "second"]).agg(bid=("bid", "max"), ask=("ask", "min"))
    assert not (best["bid"] > best["ask"]).any()


def test_the_search_that_finds_nothing_in_null_finds_planted_edges() -> None:
    assert tradable(make_world_spec("planted"), 60) > 50


def reference_mids(rows: np.ndarray) -> np.ndarray:
    """Return after each quote the mean mid of the venues, weighted by sqrt(size) * (1 - age / 10 s)."""
    newest: dict[int, tuple[float, float, int]] = {}
    mids = []
    for bid, ask, bid_size, ask_size, ts, venue in zip(
        *(rows[c].tolist() for c in ("bid", "ask", "bid_size", "ask_size", "ts_received", "venue")),
        strict=True,
    ):
        mid = ask if np.isnan(bid) else (bid + ask) / 2
        newest[venue] = (mid, (bid_size + ask_size) ** 0.5, ts)
        weights = [size * max(0.0, 1 - (ts - then) / 10e9) for _, size, then in newest.values()]
        mids.append(sum(w * m for w, (m, _, _) in zip(weights, newest.values(), strict=True)) / sum(weights))
    return np.array(mids)


def z_scores(mids: np.ndarray) -> tuple[pd.Series, pd.Series]:
    """Return z of each change and of each level against those before it, window 256."""
    level = pd.Series(mids)
    change = level.diff()
    found = []
    for series, n in ((change, WINDOW - 1), (level, WINDOW)):
        before = series.shift(1).rolling(n)
        found.append(((series - before.mean()) / before.std(ddof=0)).dropna())
    return found[0], found[1]


def test_on_null_changes_beyond_two_deviations_are_as_rare_as_they_should_be() -> None:
    _, catalog, rows = rows_of(make_world_spec("null"), 120.0)
    rows = rows[rows["state"] == QuoteState.LIVE]
    changes, levels = [], []
    for code in range(0, catalog.n_instruments, 3):
        change, level = z_scores(reference_mids(rows[rows["instrument"] == code]))
        changes.append(change)
        levels.append(level)
    share = (pd.concat(changes).abs() > 2).mean()
    assert 0.03 <= share <= 0.07
    # The level of a random walk is beyond two deviations of its window far more often: 0.147 in theory.
    assert 0.12 <= (pd.concat(levels).abs() > 2).mean() <= 0.18
