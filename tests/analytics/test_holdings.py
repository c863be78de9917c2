"""What is held on paper: equal weights first, then what was adopted; bets until their market settles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from market_factory import NOW, SECOND, Q, large_market, make_catalog, make_market

from marketstream.analytics.edges import EdgeFinder, EdgeInputs
from marketstream.analytics.holdings import PortfolioState
from marketstream.analytics.optimizer import PortfolioInputs, PortfolioOptimizer
from marketstream.analytics.valuation import FairValue
from marketstream.market.allocation import Allocation
from marketstream.market.quotes import QuoteState
from marketstream.market.state import MarketState

MARKET = large_market(20, 10, seed=4)


def inputs_of(market: MarketState) -> PortfolioInputs:
    fair, state = FairValue().apply(market, None)
    edges, edge_state = EdgeFinder().apply(EdgeInputs(market=market, fair=fair, consensus=state.consensus), None)
    return PortfolioInputs(market=market, fair=fair, edges=edges, returns=market.returns(30), legs=edge_state.legs)


def allocate(
    market: MarketState, state: PortfolioState | None = None, **knobs: Any
) -> tuple[Allocation, PortfolioState]:
    return PortfolioOptimizer(**knobs).apply(inputs_of(market), state)


def at(market: MarketState, seconds: float) -> MarketState:
    """Return the same quotes, as fresh, some seconds later."""
    book = market.book.copy()
    book["ts_received"] += round(seconds * SECOND)
    return replace(market, now=market.now + round(seconds * SECOND), book=book, sequence=market.sequence + 1)


def test_it_starts_with_equal_weights_of_what_is_live() -> None:
    found, state = allocate(MARKET)
    assert found.previous_weights.to_numpy() == pytest.approx(np.full(20, 0.05))
    assert state.rebalanced_at == NOW and not state.adopted


def test_between_rebalances_current_stays_and_the_target_is_a_proposal() -> None:
    first, state = allocate(MARKET)
    later, state = allocate(at(MARKET, 299.0), state)
    assert later.previous_weights.equals(first.previous_weights)
    assert (later.stakes.current == 0.0).all()
    assert not state.adopted


def test_at_a_rebalance_the_target_is_shown_against_the_old_and_then_held() -> None:
    first, state = allocate(MARKET)
    due, state = allocate(at(MARKET, 300.0), state)
    assert due.previous_weights.equals(first.previous_weights)
    assert state.adopted and state.rebalanced_at == NOW + 300 * SECOND
    after, state = allocate(at(MARKET, 301.0), state)
    assert after.previous_weights.to_numpy() == pytest.approx(due.weights.to_numpy())
    assert after.turnover < 0.05
    held = after.stakes.current
    assert held[due.stakes.index].to_numpy() == pytest.approx(due.stakes.stake.to_numpy())


def test_a_late_feed_joins_the_equal_weights_before_the_first_rebalance() -> None:
    catalog = make_catalog(["A", "B"])
    quotes = {("A", "alpha"): Q(99.9, 100.1)}
    _, state = allocate(make_market(catalog, quotes), max_weight=1.0)
    both = {**quotes, ("B", "alpha"): Q(9.9, 10.1)}
    found, _ = allocate(make_market(catalog, both, now=NOW + SECOND), state, max_weight=1.0)
    assert found.previous_weights.tolist() == [0.5, 0.5]


def test_a_feed_that_is_lost_keeps_what_is_held_of_it() -> None:
    _, state = allocate(MARKET)
    book = MARKET.book.copy()
    book["state"][3] = QuoteState.GAP
    found, _ = allocate(replace(MARKET, book=book, now=NOW + 1), state)
    assert found.weights["A003-USD"] == 0.05
    assert found.frame.binding["A003-USD", ""] == "no live source"
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_bet_on_a_market_that_has_settled_drops_out() -> None:
    _, state = allocate(MARKET)
    _, state = allocate(at(MARKET, 300.0), state)
    placed = len(state.slip.stake)
    assert placed > 0
    book = at(MARKET, 301.0).book.copy()
    leg = int(state.slip.instrument[0])
    outcomes = MARKET.catalog.market_codes(MARKET.catalog.instruments[leg].market_id or "")
    book["state"][outcomes] = np.where(
        book["state"][outcomes] == QuoteState.NO_DATA, QuoteState.NO_DATA, QuoteState.CLOSED
    )
    found, state = allocate(replace(at(MARKET, 301.0), book=book), state)
    assert not np.isin(state.slip.instrument, outcomes).any()
    assert not set(found.stakes.index.get_level_values("instrument")) & set(MARKET.catalog.index[outcomes])


def test_a_bet_is_over_when_its_time_has_come() -> None:
    catalog = make_catalog(markets={"M": ("yes", "no")}, settles_at=NOW + 400 * SECOND)
    quotes = {(f"M:{leg}", v): Q(ask=a) for leg, v, a in [("yes", "ace", 0.4), ("no", "ace", 0.58)]}
    quotes |= {(f"M:{leg}", v): Q(ask=0.52) for leg in ("yes", "no") for v in ("bet", "cup")}
    market = make_market(catalog, quotes)
    _, state = allocate(market)
    _, state = allocate(at(market, 300.0), state)
    assert len(state.slip.stake) == 1
    closed = make_market(catalog, {}, now=NOW + 400 * SECOND)
    found, state = allocate(closed, state)
    assert len(state.slip.stake) == 0 and found.stake_total == 0.0


def test_the_state_before_is_not_touched() -> None:
    _, state = allocate(MARKET)
    weights = state.weights.copy()
    allocate(at(MARKET, 300.0), state)
    assert np.array_equal(state.weights, weights)
