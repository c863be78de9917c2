"""Kelly stakes, against closed forms and against a convex solver that knows nothing of the algorithm."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.analytics.kelly import kelly_stakes
from marketstream.errors import InvalidInputError


def growth(p: np.ndarray, odds: np.ndarray, stakes: np.ndarray) -> float:
    """Return the expected logarithm of the bankroll."""
    wealth = 1.0 - stakes.sum() + stakes * (1.0 + np.nan_to_num(odds))
    with np.errstate(divide="ignore"):
        return float(np.where(p > 0, p * np.log(wealth), 0.0).sum())


def solved(p: np.ndarray, odds: np.ndarray) -> np.ndarray:
    stakes = cp.Variable(len(p))
    payoff = 1.0 + np.nan_to_num(odds)
    wealth = 1.0 - cp.sum(stakes) + cp.multiply(payoff, stakes)
    limits = [stakes >= 0, cp.sum(stakes) <= 1, stakes[np.isnan(odds)] == 0]
    cp.Problem(cp.Maximize(p @ cp.log(wealth)), limits).solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11)
    return np.asarray(stakes.value)


def test_one_bet_is_the_textbook_formula() -> None:
    # f = (bp - q) / b
    assert kelly_stakes(np.array([0.55, 0.45]), np.array([1.2, np.nan])) == pytest.approx(
        [(1.2 * 0.55 - 0.45) / 1.2, 0.0]
    )


def test_a_bet_without_an_edge_gets_nothing() -> None:
    assert kelly_stakes(np.array([0.5, 0.5]), np.array([0.99, 0.99])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("p", "payoff"),
    [
        ([0.5, 0.3, 0.2], [2.3, 3.6, 4.0]),
        ([0.5, 0.3, 0.2], [2.3, 3.0, 6.0]),
        ([0.4, 0.35, 0.25], [3.0, 3.2, 3.4]),
        ([0.6, 0.3, 0.1], [1.5, 2.0, 3.0]),
        ([0.25, 0.25, 0.25, 0.25], [5.0, 4.5, 3.9, 3.0]),
        ([0.9, 0.06, 0.04], [1.2, 14.0, 30.0]),
    ],
)
def test_several_outcomes_are_what_a_convex_solver_finds(p: list[float], payoff: list[float]) -> None:
    chance, odds = np.array(p), np.array(payoff) - 1.0
    stakes = kelly_stakes(chance, odds)
    assert stakes.sum() <= 1.0 + 1e-12
    best = solved(chance, odds)
    assert growth(chance, odds, stakes) >= growth(chance, odds, best) - 1e-10
    if (1.0 / np.array(payoff)).sum() >= 1.0:  # with an arbitrage many stakes are equally good
        assert stakes == pytest.approx(best, abs=1e-4)


def test_a_losing_price_may_be_taken_as_a_hedge() -> None:
    stakes = kelly_stakes(np.array([0.5, 0.3, 0.2]), np.array([3.0, 2.2, np.nan]))
    assert 0.3 * 3.2 < 1.0
    assert stakes[1] > 0.0


def test_a_sure_win_stakes_everything_in_proportion_to_the_probabilities() -> None:
    p = np.array([0.5, 0.3, 0.2])
    assert kelly_stakes(p, np.array([2.2, 2.9, 5.5])) == pytest.approx(p)


@given(
    st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(1.01, 40.0), st.booleans()), min_size=2, max_size=6),
    st.randoms(use_true_random=False),
)
def test_no_small_change_of_the_stakes_is_better(rows: list[tuple[float, float, bool]], rng: object) -> None:
    p = np.array([row[0] for row in rows])
    p /= p.sum()
    odds = np.array([row[1] - 1.0 if row[2] else np.nan for row in rows])
    stakes = kelly_stakes(p, odds)
    assert (stakes >= 0.0).all() and stakes.sum() <= 1.0 + 1e-9
    assert (stakes[np.isnan(odds)] == 0.0).all()
    best = growth(p, odds, stakes)
    for i in np.flatnonzero(np.isfinite(odds)):
        for step in (1e-4, -1e-4):
            moved = stakes.copy()
            moved[i] = max(moved[i] + step, 0.0)
            if moved.sum() <= 1.0:
                assert growth(p, odds, moved) <= best + 1e-12


def test_markets_side_by_side_are_what_they_are_alone() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.4, 0.6, 0.0]])
    odds = np.array([[1.3, 2.6, 5.0], [2.0, 0.9, np.nan]])
    both = kelly_stakes(p, odds)
    assert both[0] == pytest.approx(kelly_stakes(p[0], odds[0]))
    assert both[1] == pytest.approx(kelly_stakes(p[1], odds[1]))


@pytest.mark.parametrize(
    ("p", "odds"),
    [([0.5, 0.6], [1.0, 1.0]), ([1.2, -0.2], [1.0, 1.0]), ([np.nan, 0.5], [1.0, 1.0]), ([0.5, 0.5], [1.0])],
)
def test_what_is_no_distribution_is_refused(p: list[float], odds: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        kelly_stakes(np.array(p), np.array(odds))
