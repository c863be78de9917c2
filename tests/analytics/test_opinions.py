"""From quotes to opinions: mids, half spreads, drift; bad numbers stay where they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from market_factory import Q, make_catalog, make_market

from marketstream.analytics.layout import Layout
from marketstream.analytics.opinions import (
    LOGIT_HALF_FLOOR,
    Evidence,
    asset_opinions,
    drift,
    log_odds,
    outcome_opinions,
)
from marketstream.market.state import History, MarketState


def evidence(market: MarketState, *, half_life_s: float = 8.0) -> Evidence:
    return Evidence(
        market=market,
        layout=Layout.of(market),
        usable=market.fresh,
        age_s=market.age_ns / 1e9,
        half_life_s=half_life_s,
        band=0.0025,
    )


def btc(**quotes: Q) -> Evidence:
    return evidence(make_market(make_catalog(["BTC"]), {("BTC", venue): quote for venue, quote in quotes.items()}))


def test_a_venue_speaks_with_its_mid_and_half_spread() -> None:
    said = asset_opinions(btc(alpha=Q(99.0, 101.0, 8.0)), np.array([0]))
    assert said.value[0, 0, 0] == 100.0 and said.half[0, 0, 0] == 1.0
    assert said.recency[0, 0] == 0.5
    assert said.alone[0, 0, 0] == pytest.approx(math.hypot(0.25, 1.0))


def test_a_locked_quote_is_not_certain() -> None:
    said = asset_opinions(btc(alpha=Q(100.0, 100.0)), np.array([0]))
    assert said.half[0, 0, 0] == pytest.approx(0.005)  # half a tick


def test_a_tick_that_does_not_fit_the_price_is_no_half_spread() -> None:
    said = asset_opinions(btc(alpha=Q(0.0001, 0.0001)), np.array([0]))
    assert said.half[0, 0, 0] == pytest.approx(1e-8)


def test_a_lone_side_is_moved_by_the_usual_half_spread_and_trusted_less() -> None:
    said = asset_opinions(btc(alpha=Q(99.0, 101.0), beta=Q(ask=101.0), gamma=Q(bid=99.0)), np.array([0]))
    assert said.value[0, 0, :3].tolist() == [100.0, 100.0, 100.0]
    assert said.half[0, 0, :3].tolist() == [1.0, 3.0, 3.0]


def test_a_book_is_devigged_and_its_half_spread_is_the_way_from_the_probability_to_the_ask() -> None:
    catalog = make_catalog(markets={"M": ("yes", "no")})
    said = outcome_opinions(
        evidence(make_market(catalog, {("M:yes", "ace"): Q(ask=0.63), ("M:no", "ace"): Q(ask=0.42)}))
    )
    assert said.value[0, :, 0] == pytest.approx([math.log(0.6 / 0.4), math.log(0.4 / 0.6)])
    assert said.half[0, 0, 0] == pytest.approx(math.log(0.63 / 0.37) - math.log(0.6 / 0.4))
    assert said.usable[0].tolist() == [True, False, False, False]


def test_an_exchange_has_the_half_spread_between_its_sides() -> None:
    catalog = make_catalog(markets={"M": ("yes", "no")})
    quotes = {("M:yes", "ace"): Q(bid=0.58, ask=0.62), ("M:no", "ace"): Q(bid=0.38, ask=0.42)}
    said = outcome_opinions(evidence(make_market(catalog, quotes)))
    assert said.value[0, :, 0] == pytest.approx([math.log(0.6 / 0.4), math.log(0.4 / 0.6)])
    assert said.half[0, 0, 0] == pytest.approx(0.5 * (math.log(0.62 / 0.38) - math.log(0.58 / 0.42)))


def test_no_margin_is_taken_for_certainty() -> None:
    catalog = make_catalog(markets={"M": ("yes", "no")})
    said = outcome_opinions(evidence(make_market(catalog, {("M:yes", "ace"): Q(ask=0.6), ("M:no", "ace"): Q(ask=0.4)})))
    assert (said.half[0, :, 0] == LOGIT_HALF_FLOOR).all()


class TestDrift:
    def test_it_is_the_variance_per_second_of_moves_over_ten_seconds(self) -> None:
        prices = 100.0 + np.cumsum(np.random.default_rng(0).normal(0.0, 0.1, 301))
        found = drift(History(times=np.arange(301), ref_mid=prices[None, :]), np.array([0]), in_log_odds=False)
        assert found[0] == pytest.approx(np.mean(np.diff(prices[::10]) ** 2) / 10.0)

    def test_gaps_in_the_history_are_skipped(self) -> None:
        prices = np.arange(301.0)
        prices[::40] = np.nan
        found = drift(History(times=np.arange(301), ref_mid=prices[None, :]), np.array([0]), in_log_odds=False)
        assert found[0] == pytest.approx(10.0)

    def test_no_history_is_no_drift(self) -> None:
        for length in (0, 1, 5):
            history = History(times=np.arange(length), ref_mid=np.full((2, length), np.nan))
            assert drift(history, np.array([0, 1]), in_log_odds=True).tolist() == [0.0, 0.0]


def test_log_odds_of_a_half_are_zero() -> None:
    assert log_odds(np.array([0.5, 0.75])).tolist() == [0.0, pytest.approx(math.log(3.0))]
