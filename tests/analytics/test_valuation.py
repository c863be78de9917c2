"""Fair values, against plain loops over the quotes; and that nothing stale, broken or odd gets into them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_factory import Q, large_market, make_catalog, make_market

from marketstream.analytics.valuation import METHODS, FairValue
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.frames import FAIR, check_frame
from marketstream.market.instruments import Instrument, Kind
from marketstream.market.quotes import QuoteState
from marketstream.market.state import MarketState

BTC = "BTC-USD"
MATCH = "ARS-CHE"
LEGS = [f"{MATCH}:{name}" for name in ("home", "draw", "away")]


def fair_of(market: MarketState, **knobs: float) -> pd.DataFrame:
    return FairValue(**knobs).apply(market, None)[0]


def btc(**quotes: Q) -> MarketState:
    return make_market(make_catalog([BTC]), {(BTC, venue): quote for venue, quote in quotes.items()})


def match(**asks: tuple[float, ...]) -> MarketState:
    return make_market(
        match_catalog(), {(leg, v): Q(ask=a) for v, p in asks.items() for leg, a in zip(LEGS, p, strict=True)}
    )


def match_catalog() -> Catalog:
    return make_catalog(markets={MATCH: ("home", "draw", "away")})


class TestAssets:
    def test_the_consensus_is_the_weighted_mid_by_plain_arithmetic(self) -> None:
        quotes = {
            "alpha": Q(99.0, 101.0, 1.0),
            "beta": Q(99.5, 100.1, 5.0),
            "gamma": Q(99.8, 100.6, 0.0, ask_size=400.0),
        }
        mids, halves, weights = [], [], []
        for quote in quotes.values():
            mids.append((quote.bid + quote.ask) / 2)
            halves.append((quote.ask - quote.bid) / 2)
        usual = sorted(halves)[1]
        for quote, half in zip(quotes.values(), halves, strict=True):
            size = min(quote.bid_size, quote.ask_size) / 100.0
            weights.append(math.sqrt(size) * 0.5 ** (quote.age / 8.0) / (half**2 + usual**2))
        expected = sum(w * m for w, m in zip(weights, mids, strict=True)) / sum(weights)
        frame = fair_of(btc(**quotes))
        assert frame.fair[BTC] == pytest.approx(expected, rel=1e-14)
        assert frame.n_venues[BTC] == 3
        assert frame.method[BTC] == "weighted mid"
        assert frame.left_out[BTC] == ""

    def test_a_single_source_is_its_mid_with_a_wide_band_and_says_so(self) -> None:
        frame = fair_of(btc(alpha=Q(99.0, 101.0)))
        assert frame.fair[BTC] == 100.0
        assert frame.fair_sd[BTC] == pytest.approx(math.hypot(100.0 * 25e-4, 1.0))
        assert frame.method[BTC] == "single source"

    def test_the_single_source_band_is_a_knob(self) -> None:
        market = btc(alpha=Q(99.99, 100.01))
        assert fair_of(market, single_source_band_bps=100.0).fair_sd[BTC] == pytest.approx(1.0, rel=1e-3)

    def test_more_agreeing_venues_never_divide_the_common_error_away(self) -> None:
        one_spread = Q(99.9, 100.1)
        frame = fair_of(btc(alpha=one_spread, beta=one_spread, gamma=one_spread, delta=one_spread))
        assert frame.fair_sd[BTC] >= 0.1 / math.sqrt(3) - 1e-12

    def test_a_recent_quote_weighs_more(self) -> None:
        market = btc(alpha=Q(99.9, 100.1, 0.0), beta=Q(101.9, 102.1, 8.0))
        assert fair_of(market).fair[BTC] == pytest.approx((100.0 + 0.5 * 102.0) / 1.5)

    def test_a_huge_size_is_capped(self) -> None:
        market = btc(alpha=Q(98.0, 102.0, bid_size=1e9, ask_size=1e9), beta=Q(100.0, 104.0), gamma=Q(100.0, 104.0))
        assert fair_of(market).fair[BTC] == pytest.approx((2 * 100.0 + 2 * 102.0) / 4)

    def test_an_outlier_is_left_out_and_named_with_its_distance(self) -> None:
        frame = fair_of(btc(alpha=Q(99.9, 100.1), beta=Q(99.8, 100.0), gamma=Q(109.9, 110.1), delta=Q(100.0, 100.2)))
        assert 99.9 <= frame.fair[BTC] <= 100.1
        assert frame.n_venues[BTC] == 3
        assert frame.left_out[BTC].startswith("gamma: outlier ")
        assert frame.left_out[BTC].endswith(" sd")

    def test_a_venue_with_one_side_counts_with_that_side_moved_by_the_usual_half_spread(self) -> None:
        market = btc(alpha=Q(99.9, 100.1), beta=Q(ask=100.1), gamma=Q(bid=99.9))
        frame = fair_of(market)
        assert frame.fair[BTC] == pytest.approx(100.0)
        assert frame.n_venues[BTC] == 3

    def test_one_side_only_is_said(self) -> None:
        frame = fair_of(btc(alpha=Q(ask=100.1)))
        assert frame.fair[BTC] == 100.1
        assert frame.method[BTC] == "one side only"
        assert frame.fair_sd[BTC] >= 0.25

    def test_too_few_venues_give_no_value_and_the_reason(self) -> None:
        frame = fair_of(btc(alpha=Q(99.9, 100.1)), min_venues=2)
        assert math.isnan(frame.fair[BTC])
        assert frame.method[BTC] == "none"
        assert frame.left_out[BTC] == "needs 2 venues, has 1"

    def test_quote_currencies_are_never_mixed(self) -> None:
        catalog = make_catalog([BTC, "BTC-USDT"])
        frame = fair_of(make_market(catalog, {(BTC, "alpha"): Q(99.9, 100.1), ("BTC-USDT", "beta"): Q(89.9, 90.1)}))
        assert frame.fair.tolist() == [pytest.approx(100.0), pytest.approx(90.0)]

    def test_the_band_grows_with_the_age_of_the_quotes_as_fast_as_the_price_moves(self) -> None:
        history = 100.0 + np.cumsum(np.random.default_rng(1).normal(0.0, 0.05, (1, 301)), axis=1)
        catalog = make_catalog([BTC])
        young, old = (
            fair_of(make_market(catalog, {(BTC, v): Q(99.9, 100.1, age) for v in ("alpha", "beta")}, history=history))
            for age in (0.0, 9.0)
        )
        moved = np.diff(history[0, ::10]) ** 2
        gained = old.fair_sd[BTC] ** 2 - young.fair_sd[BTC] ** 2
        assert gained == pytest.approx(9.0 * moved.mean() / 10.0)


def consensus_ignores(make: Callable[[MarketState], float], spoiled: Q) -> None:
    """Fail unless a quote that may not be used leaves the consensus exactly as it is without that venue."""
    good = {"alpha": Q(99.9, 100.1), "beta": Q(99.8, 100.0)}
    with_it, without_it = make(btc(**good, gamma=spoiled)), make(btc(**good))
    assert with_it == without_it


UNUSABLE = [
    Q(98.0, 98.2, 10.1),
    Q(98.0, 98.2, 3600.0),
    Q(98.0, 98.2, 1.0, QuoteState.GAP),
    Q(98.0, 98.2, 0.0, QuoteState.RESYNCING),
    Q(98.0, 98.2, 0.0, QuoteState.SUSPENDED),
    Q(98.0, 98.2, 0.0, QuoteState.CROSSED),
    Q(98.0, 98.2, 0.0, QuoteState.CLOSED),
    Q(98.0, 98.2, 0.0, QuoteState.STALE),
    Q(age=0.0),
]


class TestFreshness:
    @pytest.mark.parametrize("spoiled", UNUSABLE)
    def test_what_is_not_fresh_never_feeds_the_consensus(self, spoiled: Q) -> None:
        consensus_ignores(lambda market: float(fair_of(market).fair[BTC]), spoiled)
        consensus_ignores(lambda market: float(fair_of(market).fair_sd[BTC]), spoiled)

    def test_the_check_above_catches_a_consensus_that_uses_stale_venues(self) -> None:
        def naive(market: MarketState) -> float:
            return float(np.nanmean(0.5 * (market.book["bid"] + market.book["ask"])))

        for spoiled in UNUSABLE[:-1]:
            with pytest.raises(AssertionError):
                consensus_ignores(naive, spoiled)

    def test_the_own_limit_of_the_stage_is_stricter_than_the_venue(self) -> None:
        market = btc(alpha=Q(99.9, 100.1), beta=Q(98.0, 98.2, 4.0))
        frame = fair_of(market, stale_after_s=3.0)
        assert frame.fair[BTC] == pytest.approx(100.0)
        assert frame.left_out[BTC] == "beta: stale 4.0 s"

    def test_the_venue_limit_holds_when_the_stage_would_allow_more(self) -> None:
        market = btc(alpha=Q(99.9, 100.1), beta=Q(98.0, 98.2, 12.34))
        assert fair_of(market, stale_after_s=300.0).left_out[BTC] == "beta: stale 12.3 s"

    def test_a_market_that_is_stale_altogether_has_no_value_and_a_reason_for_every_venue(self) -> None:
        frame = fair_of(
            btc(alpha=Q(99.9, 100.1, 11.0), beta=Q(state=QuoteState.SUSPENDED), gamma=Q(state=QuoteState.GAP))
        )
        assert math.isnan(frame.fair[BTC]) and math.isnan(frame.fair_sd[BTC])
        assert frame.left_out[BTC] == "alpha: stale 11.0 s; beta: suspended; gamma: gap"
        assert frame.n_venues[BTC] == 0

    def test_an_instrument_that_nobody_quoted_says_so(self) -> None:
        frame = fair_of(make_market(make_catalog([BTC]), {}))
        assert frame.left_out[BTC] == "no venue has quoted"


class TestOutcomes:
    def test_one_book_is_devigged_by_its_sum(self) -> None:
        frame = fair_of(match(ace=(0.525, 0.315, 0.21)))
        assert frame.fair.to_numpy() == pytest.approx([0.5, 0.3, 0.2])
        assert set(frame.method) == {"devigged, single source"}

    def test_the_pool_by_plain_loops_over_log_odds(self) -> None:
        asks = {"ace": (0.50, 0.33, 0.25), "bet": (0.54, 0.30, 0.24)}
        pooled = []
        half = {}
        chances = {v: [a / sum(p) for a in p] for v, p in asks.items()}
        for venue, prices in asks.items():
            far = [logit(a) - logit(c) for a, c in zip(prices, chances[venue], strict=True)]
            half[venue] = sum(far) / 3
        usual = sum(half.values()) / 2
        weight = {v: 1.0 / (half[v] ** 2 + usual**2) for v in asks}
        for leg in range(3):
            mean = sum(weight[v] * logit(chances[v][leg]) for v in asks) / sum(weight.values())
            pooled.append(1.0 / (1.0 + math.exp(-mean)))
        frame = fair_of(match(**asks))
        assert frame.fair.to_numpy() == pytest.approx([p / sum(pooled) for p in pooled], rel=1e-12)
        assert set(frame.method) == {"devigged pool"}

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(*(st.floats(0.01, 0.98) for _ in LEGS), st.floats(0.0, 15.0)), min_size=1, max_size=4))
    def test_probabilities_of_a_market_sum_to_one_or_there_are_none(self, books: list[tuple[float, ...]]) -> None:
        quotes = {
            (leg, venue): Q(ask=ask, age=book[3])
            for venue, book in zip(("ace", "bet", "cup", "dot"), books, strict=False)
            for leg, ask in zip(LEGS, book, strict=False)
        }
        frame = fair_of(make_market(match_catalog(), quotes))
        if any(book[3] <= 10.0 for book in books):
            assert frame.fair.sum() == pytest.approx(1.0, abs=1e-12)
            assert ((frame.fair > 0) & (frame.fair < 1) & (frame.fair_sd > 0)).all()
        else:
            assert frame.fair.isna().all() and (frame.left_out != "").all()

    def test_a_book_with_a_missing_leg_is_left_out_whole_and_the_reason_names_the_leg(self) -> None:
        market = match(ace=(0.525, 0.315, 0.21), bet=(0.6, 0.3, 0.2))
        quotes = {(leg, "ace"): Q(ask=a) for leg, a in zip(LEGS, (0.525, 0.315, 0.21), strict=True)}
        quotes |= {
            (LEGS[0], "bet"): Q(ask=0.6),
            (LEGS[1], "bet"): Q(state=QuoteState.SUSPENDED),
            (LEGS[2], "bet"): Q(ask=0.2),
        }
        whole, partly = fair_of(market), fair_of(make_market(match_catalog(), quotes))
        assert whole.n_venues.tolist() == [2, 2, 2]
        assert partly.n_venues.tolist() == [1, 1, 1]
        assert partly.fair.to_numpy() == pytest.approx([0.5, 0.3, 0.2])
        assert partly.left_out[LEGS[0]] == f"bet: no whole market, {LEGS[1]} suspended"
        assert partly.left_out[LEGS[1]] == "bet: suspended"

    def test_a_leg_without_an_ask_leaves_the_exchange_out(self) -> None:
        quotes = {(leg, "ace"): Q(bid=0.3, ask=0.34) for leg in LEGS[:2]} | {(LEGS[2], "ace"): Q(bid=0.3)}
        frame = fair_of(make_market(match_catalog(), quotes))
        assert frame.fair.isna().all()
        assert frame.left_out[LEGS[0]] == f"ace: no whole market, {LEGS[2]} has no ask"
        assert frame.left_out[LEGS[2]] == "ace: no ask"

    def test_an_exchange_counts_with_its_mids(self) -> None:
        quotes = {(leg, "ace"): Q(bid=m - 0.01, ask=m + 0.01) for leg, m in zip(LEGS, (0.5, 0.3, 0.2), strict=True)}
        assert fair_of(make_market(match_catalog(), quotes)).fair.to_numpy() == pytest.approx([0.5, 0.3, 0.2])

    def test_a_stale_leg_takes_its_book_out(self) -> None:
        quotes = {(leg, v): Q(ask=a) for v in ("ace", "bet") for leg, a in zip(LEGS, (0.5, 0.33, 0.22), strict=True)}
        quotes[LEGS[2], "bet"] = Q(ask=0.9, age=10.5)
        frame = fair_of(make_market(match_catalog(), quotes))
        assert frame.n_venues.tolist() == [1, 1, 1]
        assert frame.left_out[LEGS[2]] == "bet: stale 10.5 s"
        assert frame.left_out[LEGS[0]] == f"bet: no whole market, {LEGS[2]} stale 10.5 s"

    def test_markets_of_different_width_stand_side_by_side(self) -> None:
        catalog = make_catalog(markets={"THREE": ("a", "b", "c"), "TWO": ("over", "under")})
        quotes = {(leg, "ace"): Q(ask=0.35) for leg in ("THREE:a", "THREE:b", "THREE:c")}
        quotes |= {("TWO:over", "ace"): Q(ask=0.63), ("TWO:under", "ace"): Q(ask=0.42)}
        frame = fair_of(make_market(catalog, quotes))
        assert frame.fair.to_numpy() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.6, 0.4])

    def test_an_outcome_of_a_market_that_nobody_lists_says_so(self) -> None:
        catalog = match_catalog()
        market = make_market(catalog, {}, size=(2, 4))  # the moment is older than the market's third outcome
        assert fair_of(market).left_out.tolist() == ["its market is not listed"] * 2


class TestFrame:
    def test_it_has_its_schema_and_one_row_per_instrument(self) -> None:
        market = large_market(20, 5)
        frame = fair_of(market)
        check_frame(frame, FAIR)
        assert frame.index.equals(market.catalog.index)
        assert set(frame.method) <= set(METHODS)

    @pytest.mark.parametrize("catalog", [make_catalog(), make_catalog([BTC], venues=()), make_catalog(venues=())])
    def test_an_empty_market_is_an_empty_frame(self, catalog: Catalog) -> None:
        frame = fair_of(make_market(catalog, {}))
        check_frame(frame, FAIR)
        assert frame.fair.isna().all()

    def test_the_same_moment_gives_the_same_frame_bit_for_bit_and_changes_nothing(self) -> None:
        market = large_market(10, 5)
        book = market.book.copy()
        one, state = FairValue().apply(market, None)
        other, _ = FairValue().apply(market, state)
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        for name in book.dtype.names:
            assert np.array_equal(book[name], market.book[name], equal_nan=book[name].dtype.kind == "f")

    def test_without_each_venue_is_what_a_market_without_that_venue_would_say(self) -> None:
        market = large_market(6, 4, seed=5)
        _, state = FairValue().apply(market, None)
        for venue in range(market.shape[1]):
            blind = make_market(market.catalog, {}, history=market.history.ref_mid)
            book = market.book.copy()
            book["state"][:, venue] = QuoteState.NO_DATA
            object.__setattr__(blind, "book", book)
            alone, _ = FairValue().apply(blind, None)
            assert state.consensus.without[:, venue] == pytest.approx(alone.fair.to_numpy(), rel=1e-12)
            assert state.consensus.without_sd[:, venue] == pytest.approx(alone.fair_sd.to_numpy(), rel=1e-12)

    def test_the_layout_follows_a_catalogue_that_grows(self) -> None:
        catalog = make_catalog([BTC])
        first = make_market(catalog, {(BTC, "alpha"): Q(99.9, 100.1)})
        _, state = FairValue().apply(first, None)
        catalog.add(_listing_of("ETH-USD"))
        second = make_market(catalog, {(BTC, "alpha"): Q(99.9, 100.1), ("ETH-USD", "alpha"): Q(9.9, 10.1)})
        frame, _ = FairValue().apply(second, state)
        assert frame.fair.to_numpy() == pytest.approx([100.0, 10.0])
        again, _ = FairValue().apply(first, None)
        assert list(again.index) == [BTC]


def _listing_of(name: str) -> Listing:
    return Listing(instruments=(Instrument(id=name, kind=Kind.ASSET),), venues=(), pairs=())


def logit(p: float) -> float:
    return math.log(p / (1.0 - p))
