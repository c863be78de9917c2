"""Edges against plain loops over the rows, in the units they are promised in, judged by the other venues only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from market_factory import NOW, SECOND, Q, large_market, make_catalog, make_market

from marketstream.analytics.edges import EdgeFinder, EdgeInputs, EdgeState
from marketstream.analytics.valuation import Consensus, FairValue
from marketstream.market.catalog import Catalog
from marketstream.market.frames import EDGES, check_frame
from marketstream.market.instruments import Fees, Kind
from marketstream.market.quotes import QuoteState
from marketstream.market.state import MarketState

BTC = "BTC-USD"
LEGS = ["M:yes", "M:no"]


def inputs_of(market: MarketState) -> EdgeInputs:
    fair, state = FairValue().apply(market, None)
    return EdgeInputs(market=market, fair=fair, consensus=state.consensus)


def found(market: MarketState, state: EdgeState | None = None, **knobs: float) -> tuple[pd.DataFrame, EdgeState]:
    return EdgeFinder(**knobs).apply(inputs_of(market), state)


def edges_of(market: MarketState, **knobs: float) -> pd.DataFrame:
    return found(market, **knobs)[0]


def btc(fees: dict[str, Fees] | None = None, now: int = NOW, **quotes: Q) -> MarketState:
    catalog = make_catalog([BTC], fees=fees)
    return make_market(catalog, {(BTC, venue): quote for venue, quote in quotes.items()}, now=now)


def yes_no(fees: dict[str, Fees] | None = None, **asks: tuple[float, float]) -> MarketState:
    catalog = make_catalog(markets={"M": ("yes", "no")}, fees=fees)
    quotes = {(leg, v): Q(ask=a) for v, p in asks.items() for leg, a in zip(LEGS, p, strict=True)}
    return make_market(catalog, quotes)


def by_hand(row: pd.Series, key: tuple[str, str, str], fair: float, catalog: Catalog) -> tuple[float, float]:
    """Return (edge, capital locked) of one contract, from the formulas of the design, one row at a time."""
    instrument, venue, side = key
    fees, price = catalog.venue(venue).fees, float(row["price"])
    fee, c = price * fees.per_trade, fees.commission
    if catalog.instrument(instrument).kind is Kind.ASSET:
        return (fair - price if side == "buy" else price - fair) - fee, price
    if side == "buy":
        return fair * (1 - price) * (1 - c) - (1 - fair) * price - fee, price
    return (1 - fair) * price * (1 - c) - fair * (1 - price) - fee, 1 - price


def test_every_row_is_what_the_formulas_say_row_by_row() -> None:
    market = large_market(8, 5, seed=2)
    quotes = {}
    for leg in ("M000:home", "M000:draw", "M000:away"):
        quotes[leg] = market.catalog.code(leg), market.catalog.venue_code("ace")
    book = market.book.copy()
    for code, venue in quotes.values():
        book["bid"][code, venue], book["bid_size"][code, venue] = book["ask"][code, venue] - 0.02, 50.0
    market = replace(market, book=book)
    inputs = inputs_of(market)
    frame, _ = EdgeFinder().apply(inputs, None)
    check_frame(frame, EDGES)
    catalog = market.catalog
    assert set(frame.index.get_level_values("side")) == {"buy", "sell", "lay"}
    for key, row in frame.iterrows():
        code, venue = catalog.code(key[0]), catalog.venue_code(key[1])
        fair = float(inputs.consensus.without[code, venue])
        edge, locked = by_hand(row, key, fair, catalog)
        assert row["edge"] == pytest.approx(edge, abs=1e-12)
        assert row["roi"] == pytest.approx(edge / locked, abs=1e-12)
        quote = market.book[code, venue]
        if key[2] in ("buy", "sell") and catalog.instrument(key[0]).kind is Kind.ASSET:
            mid = 0.5 * (quote["bid"] + quote["ask"])
            assert row["gap_bps"] == pytest.approx((mid / fair - 1.0) * 1e4, abs=1e-9)
        else:
            assert math.isnan(row["gap_bps"])
        slope = (by_hand(row, key, fair + 1e-6, catalog)[0] - edge) / 1e-6
        assert row["se"] == pytest.approx(abs(slope) * inputs.consensus.without_sd[code, venue], rel=1e-6)


def judged_by_others(gap: Callable[[MarketState], float]) -> None:
    """Fail unless a venue's gap is measured from what the others say: moving it by x moves the gap by x."""
    near = btc(alpha=Q(99.9, 100.1), beta=Q(99.9, 100.1), gamma=Q(99.9, 100.1))
    moved = btc(alpha=Q(100.0, 100.2), beta=Q(99.9, 100.1), gamma=Q(99.9, 100.1))
    assert gap(moved) - gap(near) == pytest.approx(10.0, abs=1e-9)


def test_a_venue_is_judged_by_the_others_only() -> None:
    judged_by_others(lambda market: float(edges_of(market).gap_bps[BTC, "alpha", "buy"]))


def test_the_check_above_catches_a_judge_that_listens_to_the_accused() -> None:
    def naive(market: MarketState) -> float:
        fair = FairValue().apply(market, None)[0].fair[BTC]
        return float((0.5 * (market.book["bid"][0, 0] + market.book["ask"][0, 0]) / fair - 1.0) * 1e4)

    with pytest.raises(AssertionError):
        judged_by_others(naive)


def test_a_lone_venue_has_no_edge_because_nobody_can_judge_it() -> None:
    frame = edges_of(btc(alpha=Q(99.9, 100.1)))
    assert frame.edge.isna().all()
    assert set(frame.reason) == {"no fair value without this venue"}


def test_a_tradable_edge_has_no_reason_and_the_time_it_opened() -> None:
    frame = edges_of(btc(alpha=Q(97.9, 98.1), beta=Q(99.95, 100.05), gamma=Q(99.95, 100.05)))
    row = frame.loc[BTC, "alpha", "buy"]
    assert row["executable"] and row["reason"] == "" and row["opened"] == NOW
    assert row["edge"] == pytest.approx(1.9)


@pytest.mark.parametrize(
    ("quotes", "fees", "knobs", "reason"),
    [
        ({"alpha": Q(98.0, 98.2, 12.3)}, {}, {}, "stale 12.3 s"),
        ({"alpha": Q(98.0, 98.2, 1.0, QuoteState.SUSPENDED)}, {}, {}, "suspended"),
        ({"alpha": Q(98.0, 98.2, 1.0, QuoteState.GAP)}, {}, {}, "gap"),
        ({"alpha": Q(bid=98.0)}, {}, {}, "no ask"),
        ({"alpha": Q(98.0, 98.2, 6.2)}, {}, {}, "oldest leg 6.2 s > 5.0 s"),
        ({"alpha": Q(98.0, 98.2, 6.2)}, {}, {"max_leg_age_s": 6.19}, "oldest leg 6.20 s > 6.19 s"),
        ({"beta": Q(99.95, 100.05, 7.0), "alpha": Q(98.0, 98.2)}, {}, {}, "oldest leg 7.0 s > 5.0 s"),
        ({"alpha": Q(99.9, 100.2)}, {}, {}, "ask above fair value"),
        ({"alpha": Q(99.8, 99.983)}, {"alpha": Fees(per_trade=0.00026)}, {}, "fees 2.6 > gap 1.7 bps"),
        ({"alpha": Q(99.8, 99.983)}, {}, {"extra_fee_bps": 2.6}, "fees 2.6 > gap 1.7 bps"),
        ({"alpha": Q(99.8, 99.99)}, {}, {}, "edge 0.3 < 1.0 standard error"),
        ({"alpha": Q(99.8, 99.99)}, {}, {"min_edge_se": 2.0}, "edge 0.3 < 2.0 standard errors"),
        ({"alpha": Q(98.0, 98.2, ask_size=0.0)}, {}, {}, "no size at this price"),
    ],
)
def test_what_is_not_tradable_says_why(
    quotes: dict[str, Q], fees: dict[str, Fees], knobs: dict[str, float], reason: str
) -> None:
    others = {"beta": Q(99.95, 100.05), "gamma": Q(99.95, 100.05), "delta": Q(99.95, 100.05)}
    frame = edges_of(btc(fees, **{**others, **quotes}), **knobs)
    row = frame.loc[BTC, "alpha", "buy"]
    assert not row["executable"]
    assert row["reason"] == reason
    assert row["opened"] == 0


def test_commission_can_eat_an_outcome_edge() -> None:
    frame = edges_of(yes_no({"ace": Fees(commission=0.10)}, ace=(0.48, 0.58), bet=(0.53, 0.53), cup=(0.53, 0.53)))
    assert frame.reason["M:yes", "ace", "buy"] == "fees 0.0260 > gap 0.0200"


def test_every_row_that_is_not_tradable_has_a_reason_and_no_other_has() -> None:
    frame = edges_of(large_market(40, 20, seed=4))
    assert frame.executable.any()
    assert ((frame.reason == "") == frame.executable).all()


def test_a_stale_venue_is_never_tradable_however_good_it_looks() -> None:
    market = large_market(30, 10, seed=4)
    book = market.book.copy()
    book["ask"][:, 0] *= 0.5
    book["ts_received"][:, 0] -= 60 * SECOND
    frame = edges_of(replace(market, book=book), max_leg_age_s=300.0)
    stale = frame[frame.index.get_level_values("venue") == market.catalog.venues[0].id]
    assert len(stale) and not stale.executable.any()
    assert stale.reason.str.startswith("stale").all()


class TestRows:
    def test_an_asset_has_both_sides_a_bookmaker_only_the_ask(self) -> None:
        market = large_market(1, 1)
        sides = edges_of(market).index
        assert sides.get_level_values("side").value_counts().to_dict() == {"buy": 16, "sell": 4}

    def test_a_pair_that_never_quoted_has_no_row(self) -> None:
        assert len(edges_of(btc(alpha=Q(99.9, 100.1)))) == 2

    def test_the_row_of_a_lay_stays_when_the_exchange_has_no_bid_for_a_moment(self) -> None:
        catalog = make_catalog(markets={"M": ("yes", "no")})
        both = make_market(catalog, {(leg, "ace"): Q(bid=0.48, ask=0.52) for leg in LEGS})
        ask = make_market(catalog, {(leg, "ace"): Q(ask=0.52) for leg in LEGS})
        frame, state = found(both)
        later, after = found(ask, state)
        assert later.index.equals(frame.index)
        assert after.rows is state.rows
        assert later.reason["M:yes", "ace", "lay"] == "no bid"

    def test_a_new_pair_gets_a_row_and_open_edges_keep_their_time(self) -> None:
        one = btc(alpha=Q(97.9, 98.1), beta=Q(99.95, 100.05))
        _, state = found(one)
        quotes = {"alpha": Q(97.9, 98.1), "beta": Q(99.95, 100.05), "gamma": Q(99.95, 100.05)}
        two = make_market(one.catalog, {(BTC, v): q for v, q in quotes.items()}, now=NOW + SECOND)
        frame, _ = found(two, state)
        assert len(frame) == 6
        assert frame.opened[BTC, "alpha", "buy"] == NOW

    def test_nothing_quoted_is_an_empty_frame(self) -> None:
        for catalog in (make_catalog(), make_catalog([BTC])):
            frame = edges_of(make_market(catalog, {}))
            check_frame(frame, EDGES)
            assert len(frame) == 0


class TestLegs:
    def test_they_are_the_tradable_outcome_prices_with_what_they_win_and_cost(self) -> None:
        market = yes_no(
            {"ace": Fees(commission=0.02, per_trade=0.001)}, ace=(0.40, 0.58), bet=(0.53, 0.53), cup=(0.53, 0.53)
        )
        frame, state = found(market)
        legs = state.legs
        assert [market.catalog.index[i] for i in legs.instrument] == ["M:yes"]
        assert legs.cost[0] == pytest.approx(0.40 * 1.001)
        assert legs.gain[0] == pytest.approx(0.60 * 0.98 - 0.0004)
        p = legs.probability[0]
        assert p == pytest.approx(0.5)
        assert frame.edge["M:yes", "ace", "buy"] == pytest.approx(p * legs.gain[0] - (1 - p) * legs.cost[0])

    def test_assets_and_lays_are_no_legs(self) -> None:
        _, state = found(btc(alpha=Q(97.9, 98.1), beta=Q(99.95, 100.05)))
        assert len(state.legs.instrument) == 0


def test_the_same_inputs_give_the_same_frame_and_the_state_before_is_not_touched() -> None:
    market = large_market(10, 5, seed=4)
    _, state = found(market)
    opened = state.lifetimes.opened.copy()
    one, _ = found(market, state)
    other, _ = found(market, state)
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert np.array_equal(state.lifetimes.opened, opened)


def test_a_consensus_of_nan_everywhere_raises_nothing() -> None:
    market = large_market(4, 2)
    inputs = inputs_of(market)
    blank = {name: np.full(market.shape, np.nan) for name in ("without", "without_sd", "without_age_s")}
    consensus: Consensus = replace(inputs.consensus, **blank)
    frame, _ = EdgeFinder().apply(replace(inputs, consensus=consensus), None)
    assert not frame.executable.any()


@pytest.mark.parametrize(("price", "side"), [(1e9, "sell"), (0.01, "buy"), (112.0, "sell"), (88.0, "buy")])
def test_a_price_a_tenth_away_from_all_others_is_a_fault_and_not_an_offer(price: float, side: str) -> None:
    honest = {venue: Q(99.99, 100.01) for venue in ("alpha", "beta", "gamma")}
    row = edges_of(btc(**honest, delta=Q(price * 0.9999, price * 1.0001))).loc[(BTC, "delta", side)]
    assert row["edge"] > 0 and not row["executable"]
    assert "from fair value: more likely wrong than a bargain" in row["reason"]


def test_a_price_that_is_well_off_but_thinkable_is_still_offered() -> None:
    honest = {venue: Q(99.99, 100.01) for venue in ("alpha", "beta", "gamma")}
    assert edges_of(btc(**honest, delta=Q(94.0, 95.0))).loc[(BTC, "delta", "buy"), "executable"]
