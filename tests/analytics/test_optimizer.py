"""The allocation as a whole: figures that add up, limits that hold, and bad input that is answered, not raised."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_factory import NOW, SECOND, Q, large_market, make_catalog, make_market, random_history

from marketstream.analytics.edges import EdgeFinder, EdgeInputs
from marketstream.analytics.holdings import PortfolioState
from marketstream.analytics.optimizer import PortfolioInputs, PortfolioOptimizer
from marketstream.analytics.valuation import FairValue
from marketstream.market.allocation import Allocation, AllocationStatus
from marketstream.market.frames import ALLOCATION, check_frame
from marketstream.market.instruments import Fees
from marketstream.market.quotes import QuoteState
from marketstream.market.state import MarketState


def inputs_of(market: MarketState) -> PortfolioInputs:
    fair, state = FairValue().apply(market, None)
    edges, edge_state = EdgeFinder().apply(EdgeInputs(market=market, fair=fair, consensus=state.consensus), None)
    return PortfolioInputs(market=market, fair=fair, edges=edges, returns=market.returns(30), legs=edge_state.legs)


def allocate(
    market: MarketState, state: PortfolioState | None = None, **knobs: Any
) -> tuple[Allocation, PortfolioState]:
    return PortfolioOptimizer(**knobs).apply(inputs_of(market), state)


MARKET = large_market(20, 10, seed=4)


def test_the_frame_has_its_schema_and_the_parts_add_up() -> None:
    found, _ = allocate(MARKET)
    check_frame(found.frame, ALLOCATION)
    assert found.status is AllocationStatus.OPTIMAL
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.frame.change.to_numpy() == pytest.approx((found.frame.target - found.frame.current).to_numpy())
    assets = found.frame[found.frame.index.get_level_values("venue") == ""]
    assert assets.contribution.sum() == pytest.approx(1.0)
    assert assets[["stake", "locked"]].isna().all(axis=None)
    assert found.turnover == pytest.approx(assets.change.abs().sum())
    assert found.cost == pytest.approx(found.turnover * 8e-4)
    assert len(found.stakes) > 0
    assert found.stake_total == pytest.approx(found.stakes.stake.sum())
    assert found.outcome_profit == pytest.approx(found.stakes.contribution.sum())
    assert 0.0 < found.outcome_worst_loss <= found.stake_total + 1e-9


def test_risk_and_loss_are_those_of_the_weights_over_the_horizon() -> None:
    history = random_history(4, 3601, seed=2)
    catalog = make_catalog([f"A{i}" for i in range(4)])
    quotes = {(f"A{i}", v): Q(99.9, 100.1) for i in range(4) for v in ("alpha", "beta")}
    market = make_market(catalog, quotes, history=history)
    found, _ = allocate(market, max_weight=1.0, horizon_s=3600.0, views={"A0": 0.001})
    returns = np.diff(np.log(history[:, ::30]), axis=1)
    weights = found.weights.to_numpy()
    variance = float(weights @ np.cov(returns) @ weights) * 3600.0 / 30.0
    assert found.risk == pytest.approx(math.sqrt(variance), rel=0.1)
    assert found.expected_return == pytest.approx(0.001 * weights[0])
    assert found.worst_loss == pytest.approx(2.3263 * found.risk - found.expected_return + found.cost, rel=1e-4)
    doubled, _ = allocate(market, max_weight=1.0, horizon_s=7200.0, views={"A0": 0.001})
    assert doubled.horizon_s == 7200.0
    assert doubled.risk / found.risk == pytest.approx(math.sqrt(2.0), rel=0.05)


def test_a_gap_between_venues_never_enters_the_expected_return() -> None:
    book = MARKET.book.copy()
    for side in ("bid", "ask"):
        book[side][3, 1] *= 0.99  # beta quotes one asset 1 % below all others
    gapped, _ = allocate(replace(MARKET, book=book))
    plain, _ = allocate(MARKET)
    assert gapped.expected_return == plain.expected_return == 0.0
    assert gapped.weights.to_numpy() == pytest.approx(plain.weights.to_numpy(), abs=1e-12)


def test_the_check_above_catches_an_optimizer_that_takes_the_gap_for_a_return() -> None:
    book = MARKET.book.copy()
    for side in ("bid", "ask"):
        book[side][3, 1] *= 0.99
    market = replace(MARKET, book=book)
    gap = float(inputs_of(market).edges.gap_bps["A003-USD", "beta", "buy"])
    naive, _ = allocate(market, views={"A003-USD": -gap / 1e4})
    plain, _ = allocate(MARKET)
    assert abs(naive.weights["A003-USD"] - plain.weights["A003-USD"]) > 0.01


def test_views_move_weights_and_unknown_names_are_left_out_aloud() -> None:
    found, _ = allocate(MARKET, views={"A003-USD": 0.01, "DOGE-USD": 0.5})
    assert found.weights["A003-USD"] == pytest.approx(0.2)
    assert "views on no listed asset are left out: DOGE-USD" in found.binding


def test_what_binds_is_counted() -> None:
    found, _ = allocate(MARKET, views={"A003-USD": 0.01})
    assert "largest weight: 1 asset" in found.binding
    assert any(words.startswith("no trade band: ") for words in found.binding)


class TestTrouble:
    def test_infeasible_limits_are_a_value_with_a_reason(self) -> None:
        found, state = allocate(MARKET, max_weight=0.01)
        assert found.status is AllocationStatus.INFEASIBLE
        assert "raise the largest weight to at least 5.0%" in found.reason
        assert found.turnover == 0.0
        assert (found.frame.binding[found.frame.index.get_level_values("venue") == ""] == "").all()
        assert not state.adopted

    def test_an_infeasible_problem_does_not_keep_bets_from_being_placed(self) -> None:
        found, _ = allocate(MARKET, max_weight=0.01)
        assert found.stake_total > 0.0

    def test_everything_stale_keeps_weights_and_stakes_nothing(self) -> None:
        _, state = allocate(MARKET)
        stale = replace(MARKET, now=NOW + 60 * SECOND)
        found, _ = allocate(stale, state)
        assert found.status is AllocationStatus.NO_DATA
        assert found.weights.to_numpy() == pytest.approx(np.full(20, 0.05))
        assert found.stake_total == 0.0

    @pytest.mark.parametrize("catalog", [make_catalog(), make_catalog(["A"]), make_catalog(markets={"M": ("x", "y")})])
    def test_a_market_without_quotes_is_an_answer_without_weights(self, catalog: Any) -> None:
        found, _ = allocate(make_market(catalog, {}))
        check_frame(found.frame, ALLOCATION)
        assert found.status is AllocationStatus.NO_DATA
        assert found.risk == found.worst_loss == found.stake_total == 0.0

    def test_frames_that_do_not_match_the_catalogue_are_aligned_by_name(self) -> None:
        inputs = inputs_of(MARKET)
        shuffled = replace(inputs, fair=inputs.fair.iloc[::-1], returns=inputs.returns.iloc[:, ::-1])
        one, _ = PortfolioOptimizer().apply(inputs, None)
        other, _ = PortfolioOptimizer().apply(shuffled, None)
        pd.testing.assert_frame_equal(one.frame, other.frame)

    def test_returns_that_are_missing_or_nan_leave_a_prior_and_say_so(self) -> None:
        inputs = inputs_of(MARKET)
        for returns in (inputs.returns.iloc[:0], inputs.returns * np.nan):
            found, _ = PortfolioOptimizer().apply(replace(inputs, returns=returns), None)
            assert found.status is AllocationStatus.OPTIMAL
            assert "prior volatility" in found.method

    def test_the_same_inputs_give_the_same_allocation_bit_for_bit(self) -> None:
        one, _ = allocate(MARKET)
        other, _ = allocate(MARKET)
        pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)


def obeys(found: Allocation, knobs: dict[str, float]) -> None:
    """Fail unless every limit holds to 1e-8."""
    if found.status is AllocationStatus.OPTIMAL:
        assert abs(found.weights.sum() - knobs["invested_share"]) <= 1e-8
        assert found.weights.min() >= -1e-8
        assert found.weights.max() <= knobs["max_weight"] + 1e-8
    else:
        assert found.reason
        assert found.turnover == 0.0
    assert found.stake_total <= knobs["bankroll"] + 1e-8
    if len(found.stakes):
        assert found.stakes.stake.max() <= knobs["max_stake"] * knobs["bankroll"] + 1e-8
    for name in ("expected_return", "risk", "worst_loss", "turnover", "cost", "outcome_profit", "outcome_worst_loss"):
        assert math.isfinite(getattr(found, name))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1000),
    dead=st.floats(0.0, 1.0),
    holes=st.sampled_from([0.0, 0.3, 1.0]),
    knobs=st.fixed_dictionaries(
        {
            "risk_aversion": st.floats(0.1, 200.0),
            "max_weight": st.floats(0.001, 1.0),
            "invested_share": st.floats(0.0, 1.0),
            "turnover_cost_bps": st.floats(0.0, 200.0),
            "horizon_s": st.floats(60.0, 86400.0),
            "holding_s": st.floats(60.0, 2592000.0),
            "kelly_fraction": st.floats(0.0, 1.0),
            "max_stake": st.floats(0.0, 1.0),
            "bankroll": st.floats(0.0, 1e9),
        }
    ),
    view=st.floats(-1.0, 1.0),
)
def test_the_limits_hold_for_any_knobs_and_any_market(
    seed: int, dead: float, holes: float, knobs: dict[str, float], view: float
) -> None:
    market = large_market(8, 4, seed=seed % 7)
    rng = np.random.default_rng(seed)
    book = market.book.copy()
    book["state"][rng.random(book.shape) < dead] = QuoteState.GAP
    inputs = inputs_of(replace(market, book=book))
    inputs = replace(inputs, returns=inputs.returns.where(rng.random(inputs.returns.shape) >= holes))
    found, state = PortfolioOptimizer(views={"A001-USD": view}, **knobs).apply(inputs, None)
    obeys(found, knobs)
    state = replace(state, weights=np.r_[rng.dirichlet(np.ones(8)), np.zeros(12)], adopted=True)
    again, _ = PortfolioOptimizer(views={"A001-USD": view}, **knobs).apply(inputs, state)
    obeys(again, knobs)


def test_fees_are_part_of_what_a_bet_costs() -> None:
    def staked(fees: dict[str, Fees]) -> float:
        catalog = make_catalog(markets={"M": ("yes", "no")}, fees=fees)
        quotes = {("M:yes", "ace"): Q(ask=0.44), ("M:no", "ace"): Q(ask=0.58)}
        quotes |= {(f"M:{leg}", v): Q(ask=0.52) for leg in ("yes", "no") for v in ("bet", "cup")}
        return allocate(make_market(catalog, quotes), max_stake=1.0, bankroll=100.0)[0].stake_total

    free, charged = staked({}), staked({"ace": Fees(commission=0.05)})
    assert 0.0 < charged < free
