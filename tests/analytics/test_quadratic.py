"""The weights of the quadratic program, against cvxpy with Clarabel, and their limits to 1e-8."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketstream.analytics.covariance import FactorCovariance
from marketstream.analytics.quadratic import WeightProblem, objective, optimality_gap, solve_weights


def problem(n: int, *, seed: int = 0, k: int | None = None, **changed: Any) -> WeightProblem:
    rng = np.random.default_rng(seed)
    k = min(10, n) if k is None else k
    covariance = FactorCovariance(
        loadings=rng.normal(0.0, 3e-3, (n, k)),
        idiosyncratic=rng.uniform(1e-6, 2e-5, n),
        horizon_s=1800.0,
        n_samples=30,
        method="test",
    )
    fields: dict[str, Any] = {
        "covariance": covariance,
        "mean": np.zeros(n),
        "current": np.full(n, 1.0 / n),
        "upper": np.full(n, min(1.0, 4.0 / n)),
        "fixed": np.zeros(0),
        "budget": 1.0,
        "gamma": 288.0,
        "cost": 8e-4,
    }
    return WeightProblem(**{**fields, **changed})


def reference(p: WeightProblem) -> tuple[np.ndarray, float]:
    """Return the optimum of the same program as cvxpy and Clarabel see it, in the natural form."""
    scale = 1e4
    w = cp.Variable(len(p.current))
    every = cp.hstack([w, p.fixed]) if len(p.fixed) else w
    risk = cp.sum_squares(p.covariance.loadings.T @ every)
    risk += cp.sum(cp.multiply(p.covariance.idiosyncratic, cp.square(every)))
    value = p.mean @ w - 0.5 * p.gamma * risk - p.cost * cp.norm1(w - p.current)
    program = cp.Problem(cp.Maximize(scale * value), [cp.sum(w) == p.budget, w >= 0, w <= p.upper])
    program.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return np.asarray(w.value), float(program.value) / scale


def views(n: int, size: float) -> np.ndarray:
    return np.random.default_rng(9).normal(0.0, size, n)


@pytest.mark.parametrize(
    "p",
    [
        problem(1, upper=np.ones(1)),
        problem(2, upper=np.ones(2)),
        problem(8),
        problem(8, cost=0.0),
        problem(8, mean=views(8, 1e-3)),
        problem(8, mean=views(8, 0.5)),
        problem(12, k=0),
        problem(30, current=np.zeros(30)),
        problem(30, budget=0.3),
        problem(30, current=np.r_[0.4, 0.2, np.full(28, 0.4 / 28)]),
        problem(30, gamma=0.6),
        problem(30, gamma=1e6),
        problem(120, cost=2e-4),
    ],
)
def test_the_weights_are_those_of_another_solver(p: WeightProblem) -> None:
    found = solve_weights(p)
    assert found.weights is not None, found.reason
    weights, value = reference(p)
    assert objective(p, found.weights) == pytest.approx(value, abs=1e-8)
    assert found.weights == pytest.approx(weights, abs=1e-6)
    assert optimality_gap(p, found.weights) < 1e-8


def test_weights_that_cannot_be_traded_are_taken_into_the_risk() -> None:
    whole = problem(10)
    p = replace(
        whole,
        mean=np.zeros(7),
        current=np.full(7, 0.1),
        upper=np.full(7, 0.3),
        fixed=np.array([0.2, 0.1, 0.05]),
        budget=0.65,
        cost=0.0,
    )
    found = solve_weights(p).weights
    assert found is not None
    assert found == pytest.approx(reference(p)[0], abs=1e-6)


def test_the_solution_does_not_depend_on_the_unit_of_the_variance() -> None:
    # Returns of 1e-5 and of 1: the program is the same once the price of risk and the cost are scaled with them.
    base = problem(20)
    small = replace(base, covariance=scaled(base, 1e-6), gamma=base.gamma * 1e6)
    large = replace(base, covariance=scaled(base, 1e6), gamma=base.gamma * 1e-6)
    one, two, three = (solve_weights(p).weights for p in (base, small, large))
    assert one is not None and two is not None and three is not None
    assert two == pytest.approx(one, abs=1e-9)
    assert three == pytest.approx(one, abs=1e-9)


def scaled(p: WeightProblem, factor: float) -> FactorCovariance:
    return replace(
        p.covariance,
        loadings=p.covariance.loadings * np.sqrt(factor),
        idiosyncratic=p.covariance.idiosyncratic * factor,
    )


def test_a_cost_keeps_weights_exactly_where_they_are_when_trading_is_not_worth_it() -> None:
    found = solve_weights(problem(20, cost=1.0)).weights
    assert found is not None
    assert (found == 0.05).all()


def test_two_assets_without_correlation_by_closed_form() -> None:
    # With no cost and no views the weights of least variance go as 1 / variance.
    covariance = FactorCovariance(
        loadings=np.zeros((2, 0)), idiosyncratic=np.array([1e-4, 3e-4]), horizon_s=1.0, n_samples=0, method=""
    )
    p = problem(2, covariance=covariance, upper=np.ones(2), cost=0.0)
    assert solve_weights(p).weights == pytest.approx([0.75, 0.25], abs=1e-9)


def test_a_singular_covariance_is_no_obstacle() -> None:
    loadings = np.full((6, 1), 1e-3)
    covariance = FactorCovariance(
        loadings=loadings, idiosyncratic=np.full(6, 1e-300), horizon_s=1.0, n_samples=0, method=""
    )
    found = solve_weights(problem(6, covariance=covariance)).weights
    assert found is not None
    assert found.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_end_in_a_reason_not_in_an_exception(bad: float) -> None:
    p = problem(5)
    for spoiled in (
        replace(p, mean=np.full(5, bad)),
        replace(p, covariance=replace(p.covariance, idiosyncratic=np.full(5, bad))),
    ):
        found = solve_weights(spoiled)
        assert found.weights is None
        assert found.reason.startswith("solver")


def obeys(weights: np.ndarray, p: WeightProblem) -> None:
    assert abs(weights.sum() - p.budget) <= 1e-8
    assert weights.min() >= -1e-8
    assert (weights - p.upper).max() <= 1e-8


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(1, 25),
    seed=st.integers(0, 10_000),
    room=st.floats(1.0001, 30.0),
    budget=st.floats(0.01, 1.0),
    cost=st.sampled_from([0.0, 1e-5, 8e-4, 0.02]),
    gamma=st.floats(1e-2, 1e6),
    size=st.sampled_from([0.0, 1e-4, 1e-2, 1.0]),
)
def test_the_limits_hold_and_nothing_better_is_near(
    n: int, seed: int, room: float, budget: float, cost: float, gamma: float, size: float
) -> None:
    rng = np.random.default_rng(seed)
    current = rng.dirichlet(np.ones(n)) * rng.uniform(0.0, 1.0)
    p = problem(
        n,
        seed=seed,
        k=int(rng.integers(0, min(n, 10) + 1)),
        current=current,
        upper=np.full(n, min(budget / n * room, 1.0)),
        budget=budget,
        cost=cost,
        gamma=gamma,
        mean=rng.normal(0.0, size, n) if size else np.zeros(n),
    )
    found = solve_weights(p)
    assert found.weights is not None, found.reason
    obeys(found.weights, p)
    best = objective(p, found.weights)
    for _ in range(5):
        i, j = rng.integers(0, n, 2)
        step = min(1e-3, found.weights[i], p.upper[j] - found.weights[j])
        moved = found.weights.copy()
        moved[i] -= step
        moved[j] += step
        assert objective(p, moved) <= best + 1e-8 * max(1.0, abs(best))


def test_the_check_of_the_limits_catches_weights_that_are_merely_normalised() -> None:
    p = problem(8, upper=np.full(8, 0.2))
    naive = np.array([5.0, 1, 1, 1, 1, 1, 1, 1]) / 12.0
    with pytest.raises(AssertionError):
        obeys(naive, p)


def test_the_optimality_check_catches_weights_that_are_feasible_only() -> None:
    p = problem(8, cost=0.0)
    even = np.full(8, 0.125)
    best = reference(p)[1]
    assert optimality_gap(p, even) >= best - objective(p, even) > 1e-5


def test_the_least_volatile_portfolio_of_a_published_case_is_found(shared_data: Path) -> None:
    folder = shared_data / "portfolio"
    (case,) = (c for c in json.loads((folder / "CASES.json").read_text())["cases"] if c["id"] == 2)
    prices = pd.read_csv(folder / "stock_prices.csv.gz", index_col="date")
    sigma = 252.0 * prices.pct_change(fill_method=None).cov().to_numpy()
    values, vectors = np.linalg.eigh(sigma)
    own = 0.5 * values[0]
    covariance = FactorCovariance(
        loadings=vectors * np.sqrt(values - own),
        idiosyncratic=np.full(len(sigma), own),
        horizon_s=1.0,
        n_samples=len(prices),
        method="sample",
    )
    n = len(sigma)
    found = solve_weights(problem(n, covariance=covariance, upper=np.ones(n), cost=0.0, gamma=1.0)).weights
    assert found is not None
    assert math.sqrt(found @ sigma @ found) == pytest.approx(case["expected"][1], abs=1e-7)
