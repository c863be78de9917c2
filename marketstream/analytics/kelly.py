"""Kelly stakes on one market of outcomes that exclude each other, exactly. Used by optimizer.py."""

from __future__ import annotations

import numpy as np

from marketstream.errors import InvalidInputError


def kelly_stakes(probabilities: np.ndarray, net_odds: np.ndarray) -> np.ndarray:
    """Return the shares of the bankroll that maximise its expected logarithm, over all outcomes of a market.

    The algorithm is exact: M. Smoczynski and D. Tomkins (2010), "An explicit solution to the problem of
    optimizing the allocations of a bettor's wealth when wagering on horse races". Outcomes are taken in order
    of probability times payoff while that is above the reserve rate R = (1 - sum p) / (1 - sum 1/payoff) of
    those taken before; the stake on each is p - R / payoff. An outcome with a losing price may be among them,
    as a hedge. Where backing everything wins for sure (sum 1/payoff < 1), all is staked in proportion to p.

    Args:
        probabilities: (..., n) of all outcomes of each market, those without a price included; they sum to 1.
        net_odds: (..., n) profit per unit staked if the outcome wins, after commission and fees: the best of
            several books. NaN or <= 0 where there is no price.

    Returns:
        (..., n) shares, >= 0, with a sum of at most 1 per market.

    Raises:
        InvalidInputError: Shapes differ, or a probability is outside [0, 1], or they do not sum to 1.

    >>> kelly_stakes(np.array([0.6, 0.4]), np.array([1.0, np.nan])).round(12).tolist()
    [0.2, 0.0]
    """
    p, odds = np.asarray(probabilities, dtype=np.float64), np.asarray(net_odds, dtype=np.float64)
    if p.shape != odds.shape or p.ndim == 0:
        raise InvalidInputError(f"a probability per price is needed, had {p.shape} and {odds.shape}")
    if not (np.all((p >= 0.0) & (p <= 1.0)) and np.allclose(p.sum(axis=-1), 1.0, rtol=0.0, atol=1e-9)):
        raise InvalidInputError("the probabilities of a market must be in [0, 1] and sum to 1")
    priced = np.isfinite(odds) & (odds > 0.0)
    payoff = 1.0 + np.where(priced, odds, 0.0)
    order = np.argsort(np.where(priced, -p * payoff, np.inf), axis=-1, kind="stable")
    p_in_order = np.take_along_axis(p, order, axis=-1)
    payoff_in_order = np.take_along_axis(payoff, order, axis=-1)
    priced_in_order = np.take_along_axis(priced, order, axis=-1)
    reserve = _reserve(p_in_order, payoff_in_order, priced_in_order)
    stakes = np.maximum(p_in_order - reserve / payoff_in_order, 0.0) * priced_in_order
    result = np.zeros_like(p)
    np.put_along_axis(result, order, stakes, axis=-1)
    return result


def _reserve(p: np.ndarray, payoff: np.ndarray, priced: np.ndarray) -> np.ndarray:
    """Return (..., 1) the reserve rate after the last outcome worth taking, in the order given."""
    left = 1.0 - np.cumsum(p * priced, axis=-1)
    room = 1.0 - np.cumsum(priced / payoff, axis=-1)
    # Rounding leaves -1e-17 where everything is taken; without room the reserve would be no rate.
    rate = np.divide(np.maximum(left, 0.0), room, out=np.full_like(left, np.inf), where=room > 0.0)
    before = np.concatenate([np.ones_like(rate[..., :1]), rate[..., :-1]], axis=-1)
    take = np.logical_and.accumulate(priced & (p * payoff > before), axis=-1)
    n_taken = take.sum(axis=-1, keepdims=True)
    last = np.take_along_axis(rate, np.maximum(n_taken - 1, 0), axis=-1)
    return np.asarray(np.where(n_taken > 0, last, 1.0))
