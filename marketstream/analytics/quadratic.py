"""The quadratic program behind the asset weights, solved by PIQP. The only place that knows the solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import piqp
from scipy import sparse

from marketstream.analytics.covariance import FactorCovariance

MAX_ITERATIONS = 250
"""Budget of the solver; iterations, not seconds, so that the same inputs give the same weights."""

_EPS = 1e-10
_SNAP = 1e-6
_PROVEN = 1e-6


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WeightProblem:
    """Maximise mu'w - gamma/2 w'Sigma w - cost sum|w - current|, with sum w = budget and 0 <= w <= upper.

    Attributes:
        covariance: Sigma of the n free and the fixed assets, free ones first.
        mean: (n,) expected log returns, over the horizon of the covariance.
        current: (n,) weights held before.
        upper: (n,) largest weights.
        fixed: (f,) weights that cannot be traded; they only add risk.
        budget: What the n weights sum to.
        gamma: Price of variance.
        cost: Of a weight change, as a fraction.
    """

    covariance: FactorCovariance
    mean: np.ndarray
    current: np.ndarray
    upper: np.ndarray
    fixed: np.ndarray
    budget: float
    gamma: float
    cost: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WeightSolution:
    """(n,) weights, or None with the reason why the solver has none; `iterations` it took."""

    weights: np.ndarray | None
    reason: str
    iterations: int


def solve_weights(problem: WeightProblem) -> WeightSolution:
    """Return the best weights; they obey the limits to 1e-12 and are optimal to about 1e-9 in scaled units.

    The problem must be feasible (0 <= budget <= sum of upper). It is handed to the solver in units of the
    mean weight and the mean variance: with returns of 1e-4, unscaled, a solver's tolerances mean nothing.
    """
    finite = np.isfinite(problem.mean).all() and np.isfinite(problem.covariance.idiosyncratic).all()
    if not (finite and np.isfinite(problem.covariance.loadings).all()):
        return WeightSolution(weights=None, reason="solver not called: a mean or variance is no number", iterations=0)
    n = len(problem.current)
    unit = max(problem.budget, 1e-9) / n
    solver = piqp.SparseSolver()
    solver.settings.eps_abs = solver.settings.eps_rel = _EPS
    solver.settings.max_iter = MAX_ITERATIONS
    solver.settings.verbose = False
    solver.setup(**_matrices(problem, unit))
    status = solver.solve()
    iterations = int(solver.result.info.iter)
    # A budget that ran out is no failure where what was reached is proven below to be as good as any.
    if status not in (piqp.PIQP_SOLVED, piqp.PIQP_MAX_ITER_REACHED):
        name = str(status).rsplit(".", maxsplit=1)[-1].removeprefix("PIQP_").lower().replace("_", " ")
        return WeightSolution(weights=None, reason=f"solver stopped: {name}", iterations=iterations)
    solution = np.array(solver.result.x)
    weights = _clean(problem, solution[:n] * unit, unit)
    if not _proven(problem, weights):
        reason = f"solver returned no optimum after {iterations} iterations"
        return WeightSolution(weights=None, reason=reason, iterations=iterations)
    return WeightSolution(weights=weights, reason="", iterations=iterations)


def objective(problem: WeightProblem, weights: np.ndarray) -> float:
    """Return what is maximised, for weights of the free assets."""
    every = np.concatenate([weights, problem.fixed])
    variance = problem.covariance.variance(every)
    turnover = float(np.abs(weights - problem.current).sum())
    return float(problem.mean @ weights) - 0.5 * problem.gamma * variance - problem.cost * turnover


def optimality_gap(problem: WeightProblem, weights: np.ndarray) -> float:
    """Return by how much the objective could still grow at most; 0 for the optimum.

    The objective is concave, so it lies below its own linearisation, and the best weights for that are found by
    filling up the budget with the most valuable pieces: each asset below and above what is held of it.
    """
    n = len(weights)
    every = np.concatenate([weights, problem.fixed])
    slope = problem.mean - problem.gamma * problem.covariance.times(every)[:n]
    kink = np.minimum(problem.current, problem.upper)
    value = np.concatenate([slope + problem.cost, slope - problem.cost])
    room = np.concatenate([kink, problem.upper - kink])
    order = np.argsort(-value, kind="stable")
    filled = np.clip(problem.budget - (np.cumsum(room[order]) - room[order]), 0.0, room[order])
    below = np.minimum(weights, kink)
    reached = float(value @ np.concatenate([below, weights - below]))
    return max(float(value[order] @ filled) - reached, 0.0)


def _proven(problem: WeightProblem, weights: np.ndarray) -> bool:
    """Tell whether weights are finite, on the budget and as good as any but for a millionth of what is at stake."""
    if not (np.isfinite(weights).all() and abs(weights.sum() - problem.budget) <= 1e-9):
        return False
    every = np.concatenate([weights, problem.fixed])
    at_stake = problem.gamma * problem.covariance.variance(every) + float(np.abs(problem.mean) @ weights)
    at_stake += problem.cost * float(np.abs(weights - problem.current).sum())
    return optimality_gap(problem, weights) <= _PROVEN * at_stake + 1e-14


def _matrices(problem: WeightProblem, unit: float) -> dict[str, object]:
    """Return the program in (weights, bought, factor exposure), which makes the turnover cost linear."""
    n = len(problem.current)
    covariance = problem.covariance
    mean_variance = float((covariance.loadings**2).sum(axis=1).mean() + covariance.idiosyncratic.mean())
    loadings = covariance.loadings / np.sqrt(mean_variance)
    own = covariance.idiosyncratic[:n] / mean_variance
    k = loadings.shape[1]
    price = 1.0 / (problem.gamma * mean_variance * unit)
    cost = problem.cost * price
    # sum|w - held| = sum(2 bought - w) + a constant, with bought >= 0 and bought >= w - held.
    ones, none = sparse.eye_array(n), sparse.csc_array((n, k))
    exposure = np.hstack([np.vstack([np.ones(n), loadings[:n].T]), np.zeros((k + 1, n)), -np.eye(k + 1, k, -1)])
    linear = np.concatenate([-problem.mean * price - cost, np.full(n, 2.0 * cost), np.zeros(k)])
    # Where views or costs outweigh risk by far, their size is the unit of the objective.
    scale = 1.0 / max(1.0, float(np.abs(linear).max()))
    return {
        "P": scale * sparse.csc_matrix(sparse.diags_array(np.concatenate([own, np.zeros(n), np.ones(k)]))),
        "c": scale * linear,
        "A": sparse.csc_matrix(exposure),
        "b": np.concatenate([[problem.budget], -loadings[n:].T @ problem.fixed]) / unit,
        "G": sparse.csc_matrix(sparse.hstack([ones, -ones, none])),
        "h_u": problem.current / unit,
        "x_l": np.concatenate([np.zeros(2 * n), np.full(k, -np.inf)]),
        "x_u": np.concatenate([problem.upper, problem.upper, np.full(k, np.inf)]) / unit,
    }


def _clean(problem: WeightProblem, weights: np.ndarray, unit: float) -> np.ndarray:
    """Put weights that are at a limit, or where they were, exactly there, and the rest on the budget."""
    near = _SNAP * unit
    weights = np.clip(weights, 0.0, problem.upper)
    weights = np.where(weights < near, 0.0, weights)
    weights = np.where(weights > problem.upper - near, problem.upper, weights)
    kept = problem.current <= problem.upper
    weights = np.where(kept & (np.abs(weights - problem.current) < near), problem.current, weights)
    free = (weights > 0.0) & (weights < problem.upper) & (weights != problem.current)
    for among in (free, np.ones_like(free)):
        weights = _onto_budget(weights, problem.upper, problem.budget, among)
    return weights


def _onto_budget(weights: np.ndarray, upper: np.ndarray, budget: float, among: np.ndarray) -> np.ndarray:
    # Each round either ends or puts at least one more weight at its limit.
    for _ in range(len(weights) + 1):
        gap = budget - float(weights.sum())
        room = among & ((weights < upper) if gap > 0 else (weights > 0.0))
        n_room = int(room.sum())
        if abs(gap) <= 1e-14 or not n_room:
            break
        weights = np.where(room, np.clip(weights + gap / n_room, 0.0, upper), weights)
    return weights
