"""Stakes against the exact Kelly solution, their limits, and what they can lose by trying every result."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_factory import make_catalog, make_market

from marketstream.analytics.edges import Legs
from marketstream.analytics.kelly import kelly_stakes
from marketstream.analytics.layout import Layout
from marketstream.analytics.staking import Slip, StakeLimits, Staking, empty_slip, stake, worst_loss

MARKETS = {"A": ("x", "y", "z"), "B": ("over", "under"), "C": ("x", "y", "z")}
LAYOUT = Layout.of(make_market(make_catalog(["BTC-USD"], MARKETS), {}))
IDS = list(LAYOUT.index)
FAIR = np.array([65_000.0, 0.5, 0.3, 0.2, 0.6, 0.4, 0.4, 0.35, 0.25])


def legs(*rows: tuple[str, str, float, float], size: float = 1e9) -> Legs:
    """Return legs of (outcome, venue, price, probability) without fees."""
    price = np.array([row[2] for row in rows], dtype=np.float64)
    return Legs(
        instrument=np.array([IDS.index(row[0]) for row in rows], dtype=np.int64),
        venue=np.array([list(LAYOUT.venue_ids).index(row[1]) for row in rows], dtype=np.int64),
        price=price,
        size=np.full(len(rows), size),
        probability=np.array([row[3] for row in rows], dtype=np.float64),
        gain=1.0 - price,
        cost=price,
    )


def run(found: Legs, held: Slip | None = None, *, fair: Any = None, **changed: float) -> Staking:
    fields = {"kelly_fraction": 1.0, "max_stake": 1.0, "bankroll": 1000.0}
    return stake(
        found,
        empty_slip() if held is None else held,
        FAIR if fair is None else fair,
        LAYOUT,
        StakeLimits(**{**fields, **changed}),
    )


def test_one_leg_gets_the_kelly_stake_times_the_fraction() -> None:
    full = (0.6 * 0.5 - 0.4 * 0.5) / 0.5  # even money at 60 %
    assert run(legs(("A:x", "ace", 0.5, 0.6))).slip.stake == pytest.approx([1000.0 * full])
    assert run(legs(("A:x", "ace", 0.5, 0.6)), kelly_fraction=0.25).slip.stake == pytest.approx([250.0 * full])


def test_a_leg_keeps_its_probability_and_the_rest_share_what_is_left() -> None:
    found = run(legs(("A:x", "ace", 0.5, 0.6), ("A:y", "bet", 0.25, 0.3)))
    p, odds = np.array([0.6, 0.3, 0.1]), np.array([1.0, 3.0, np.nan])
    assert found.slip.stake == pytest.approx(1000.0 * kelly_stakes(p, odds)[:2])
    profit = p[:2] * found.slip.win - (1 - p[:2]) * found.slip.stake
    assert found.profit == pytest.approx(profit)
    assert found.expected_profit == pytest.approx(profit.sum())


def test_of_several_books_the_best_price_is_taken() -> None:
    found = run(legs(("B:over", "ace", 0.55, 0.62), ("B:over", "bet", 0.50, 0.61), ("B:over", "cup", 0.56, 0.6)))
    assert [LAYOUT.venue_ids[v] for v in found.slip.venue] == ["bet"]


def test_an_unknown_fair_value_in_a_market_means_no_new_stake_there() -> None:
    fair = FAIR.copy()
    fair[3] = np.nan
    found = run(legs(("A:x", "ace", 0.5, 0.6), ("B:over", "ace", 0.5, 0.6)), fair=fair)
    assert [IDS[i] for i in found.slip.instrument] == ["B:over"]


class TestLimits:
    def test_the_largest_stake_binds_by_name(self) -> None:
        found = run(legs(("A:x", "ace", 0.5, 0.6)), max_stake=0.02)
        assert found.slip.stake == pytest.approx([20.0])
        assert found.binding.tolist() == ["largest stake"]

    def test_the_size_on_offer_binds_by_name(self) -> None:
        found = run(legs(("A:x", "ace", 0.5, 0.6), size=30.0))
        assert found.slip.stake == pytest.approx([15.0])
        assert found.binding.tolist() == ["size at the price"]

    def test_all_stakes_together_never_exceed_the_bankroll(self) -> None:
        rows = [(leg, "ace", 0.3, 0.9) for leg in ("A:x", "B:over", "C:x")]
        found = run(legs(*rows))
        assert found.slip.stake.sum() == pytest.approx(1000.0)
        assert set(found.binding) == {"bankroll"}

    def test_no_bankroll_no_stakes(self) -> None:
        assert len(run(legs(("A:x", "ace", 0.5, 0.6)), bankroll=0.0).slip.stake) == 0

    def test_no_legs_no_stakes(self) -> None:
        found = run(legs())
        assert len(found.slip.stake) == 0
        assert found.expected_profit == found.worst_loss == 0.0


class TestHeld:
    def test_a_placed_bet_stays_when_its_edge_is_gone(self) -> None:
        placed = run(legs(("A:x", "ace", 0.5, 0.6))).slip
        later = run(legs(), placed)
        assert later.slip.stake == pytest.approx(placed.stake)
        assert later.held == pytest.approx(placed.stake)
        assert later.binding.tolist() == ["placed bet stays"]
        assert later.profit == pytest.approx(FAIR[1] * placed.win - (1 - FAIR[1]) * placed.stake)

    def test_more_of_it_is_added_at_the_new_price_only(self) -> None:
        placed = run(legs(("A:x", "ace", 0.5, 0.6)), kelly_fraction=0.5).slip
        later = run(legs(("A:x", "ace", 0.4, 0.6)), placed)
        target = 1000.0 * (0.6 * 1.5 - 0.4) / 1.5
        assert later.slip.stake == pytest.approx([target])
        assert later.slip.win == pytest.approx(placed.win + (target - placed.stake) * 1.5)

    def test_a_worse_price_adds_nothing(self) -> None:
        placed = run(legs(("A:x", "ace", 0.5, 0.6))).slip
        assert run(legs(("A:x", "ace", 0.55, 0.6)), placed).slip.stake == pytest.approx(placed.stake)

    def test_what_is_placed_leaves_less_of_the_bankroll(self) -> None:
        placed = run(legs(("A:x", "ace", 0.1, 0.9))).slip
        later = run(legs(("B:over", "ace", 0.3, 0.9)), placed)
        assert later.slip.stake.sum() == pytest.approx(1000.0)

    def test_without_a_fair_value_the_probability_at_which_it_was_placed_counts(self) -> None:
        placed = run(legs(("A:x", "ace", 0.5, 0.6))).slip
        later = run(legs(), placed, fair=np.full(9, np.nan))
        assert later.profit == pytest.approx(0.6 * placed.win - 0.4 * placed.stake)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 8), st.floats(1.0, 500.0), st.floats(0.1, 9.0)), max_size=8))
def test_the_worst_loss_is_that_of_trying_every_combination_of_results(rows: list[tuple[int, float, float]]) -> None:
    slip = Slip(
        instrument=np.array([row[0] for row in rows], dtype=np.int64),
        venue=np.arange(len(rows), dtype=np.int64),
        stake=np.array([row[1] for row in rows], dtype=np.float64),
        win=np.array([row[1] * row[2] for row in rows], dtype=np.float64),
        probability=np.full(len(rows), 0.5),
    )
    worst = 0.0
    for results in itertools.product([1, 2, 3], [4, 5], [6, 7, 8]):
        profit = sum(
            win if i in results else -put for i, put, win in zip(slip.instrument, slip.stake, slip.win, strict=True)
        )
        worst = min(worst, profit)
    assert worst_loss(slip, LAYOUT) == pytest.approx(-worst, abs=1e-9)


def test_the_sum_of_stakes_is_not_the_worst_loss_when_bets_hedge_each_other() -> None:
    found = run(legs(("B:over", "ace", 0.45, 0.6), ("B:under", "bet", 0.45, 0.4)))
    # All is staked 600 : 400; the worse result returns 400 / 0.45 of it.
    assert found.slip.stake.sum() == pytest.approx(1000.0)
    assert found.worst_loss == pytest.approx(1000.0 - 400.0 / 0.45)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.floats(0.02, 0.95), st.floats(0.02, 0.95)), min_size=1, max_size=12),
    st.floats(0.0, 1.0),
    st.floats(0.0, 0.3),
    st.floats(0.0, 1e5),
)
def test_the_limits_hold_for_any_legs(
    rows: list[tuple[int, float, float]], fraction: float, largest: float, bankroll: float
) -> None:
    found = run(
        legs(*((IDS[i], "ace", price, chance) for i, price, chance in rows), size=1e4),
        kelly_fraction=fraction,
        max_stake=largest,
        bankroll=bankroll,
    )
    assert (found.slip.stake >= 0.0).all()
    assert found.slip.stake.sum() <= bankroll + 1e-8
    assert (found.slip.stake <= largest * bankroll + 1e-8).all()
    assert found.worst_loss <= found.slip.stake.sum() + 1e-9
    assert np.isfinite(found.profit).all()
