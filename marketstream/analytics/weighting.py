"""Weighting: the asset half of an allocation; limits and covariance to weights, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketstream.analytics.covariance import FactorCovariance
from marketstream.analytics.quadratic import WeightProblem, WeightSolution, solve_weights
from marketstream.market.allocation import AllocationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightLimits:
    """The knobs that weights obey; shares are fractions of capital, `turnover_cost` of the amount traded."""

    risk_aversion: float
    max_weight: float
    invested_share: float
    turnover_cost: float
    holding_s: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Weighting:
    """Target weights (n,), the limit that holds each, and whether they can be used."""

    target: np.ndarray
    binding: np.ndarray
    status: AllocationStatus
    reason: str
    method: str


def weigh(
    held: np.ndarray, live: np.ndarray, mean: np.ndarray, covariance: FactorCovariance, limits: WeightLimits
) -> Weighting:
    """Return the best weights of n assets.

    An asset that is not live stays at what is held of it, or at the largest weight if that is less. Where no
    weights obey the limits, or the solver fails, the target is what is held and the status and reason say so.

    Args:
        held: (n,) weights held.
        live: (n,) whether the asset has a fair value and can be traded.
        mean: (n,) expected log returns over the covariance's horizon.
        covariance: Of the same n assets.
        limits: The knobs.
    """
    upper = np.full(int(live.sum()), limits.max_weight)
    fixed = np.minimum(held[~live], limits.max_weight)
    budget = limits.invested_share - float(fixed.sum())
    reason = _conflict(len(upper), float(fixed.sum()), limits)
    if not len(upper):
        reason = "no asset has a live source" if len(held) else "no assets are listed"
        return _unchanged(held, AllocationStatus.NO_DATA, reason)
    if reason:
        return _unchanged(held, AllocationStatus.INFEASIBLE, reason)
    order = np.concatenate([np.flatnonzero(live), np.flatnonzero(~live)])
    problem = WeightProblem(
        covariance=covariance.take(order),
        mean=mean[live],
        current=held[live],
        upper=upper,
        fixed=fixed,
        budget=budget,
        gamma=limits.risk_aversion * limits.holding_s / covariance.horizon_s,
        cost=limits.turnover_cost,
    )
    solution = _solved(problem)
    if solution.weights is None:
        return _unchanged(held, AllocationStatus.FAILED, solution.reason)
    target = np.empty_like(held)
    target[live], target[~live] = solution.weights, fixed
    return Weighting(
        target=target,
        binding=_binding(target, held, live, limits),
        status=AllocationStatus.OPTIMAL,
        reason="",
        method=f"mean-variance, PIQP {solution.iterations} iterations; {covariance.method}",
    )


def _solved(problem: WeightProblem) -> WeightSolution:
    # A budget that leaves no choice leaves the solver no interior either.
    if problem.budget <= 1e-12:
        return WeightSolution(weights=np.zeros_like(problem.current), reason="", iterations=0)
    if problem.budget >= problem.upper.sum() - 1e-9:
        return WeightSolution(weights=problem.upper * (problem.budget / problem.upper.sum()), reason="", iterations=0)
    return solve_weights(problem)


def _conflict(n_live: int, fixed: float, limits: WeightLimits) -> str:
    """Return which limits cannot hold together and what would help, or "" where they can."""
    share = limits.invested_share
    if fixed > share + 1e-12:
        return (
            f"assets without a live source hold {fixed:.1%}, more than the invested share {share:.1%}; "
            f"raise the invested share to at least {fixed:.1%} or wait for their feeds"
        )
    most = n_live * limits.max_weight + fixed
    if n_live == 0 or most >= share - 1e-12:
        return ""
    kept = f" and {fixed:.1%} held without a live source" if fixed > 0 else ""
    needed = (share - fixed) / n_live
    help_ = f"raise the largest weight to at least {_up(needed)} or " if needed <= 1.0 else ""
    return (
        f"{n_live} live assets at the largest weight {limits.max_weight:.1%}{kept} make at most {most:.1%}, "
        f"less than the invested share {share:.1%}; {help_}lower the invested share to at most {_down(most)}"
    )


def _up(share: float) -> str:
    return f"{np.ceil(share * 1000.0 - 1e-9) / 1000.0:.1%}"


def _down(share: float) -> str:
    return f"{np.floor(share * 1000.0 + 1e-9) / 1000.0:.1%}"


def _binding(target: np.ndarray, held: np.ndarray, live: np.ndarray, limits: WeightLimits) -> np.ndarray:
    binding = np.full(len(target), "", dtype=object)
    binding[target <= 0.0] = "not below zero"
    if limits.turnover_cost > 0.0:
        binding[(target == held) & (target > 0.0)] = "no trade band"
    binding[target >= limits.max_weight - 1e-12] = "largest weight"
    binding[~live] = "no live source"
    return binding


def _unchanged(held: np.ndarray, status: AllocationStatus, reason: str) -> Weighting:
    binding = np.full(len(held), "", dtype=object)
    return Weighting(
        target=held.copy(),
        binding=binding,
        status=status,
        reason=f"{reason}; weights stay as held",
        method="none",
    )
