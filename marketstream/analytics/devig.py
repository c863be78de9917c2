"""Devig: from the prices of a whole market to probabilities. Odds conversions are in market/odds.py."""

from __future__ import annotations

import numpy as np

from marketstream.errors import InvalidInputError


def devig(prices: np.ndarray | list[float]) -> np.ndarray:
    """Return the probabilities behind the prices of a whole market by the multiplicative method.

    Every price is divided by their sum, so that the overround (sum - 1) is spread in proportion to the price.

    Args:
        prices: (..., n) probability-prices of n >= 2 outcomes that exclude each other, each in (0, 1).

    Returns:
        Probabilities of the same shape; the last axis sums to 1.

    Raises:
        InvalidInputError: Fewer than two outcomes, or a price outside (0, 1).

    >>> devig([0.525, 0.525]).tolist()
    [0.5, 0.5]
    >>> devig([[0.6, 0.3, 0.3], [0.5, 0.25, 0.25]]).tolist()
    [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]
    """
    prices = np.asarray(prices, dtype=np.float64)
    if prices.ndim == 0 or prices.shape[-1] < 2:
        raise InvalidInputError(f"a market has two or more outcomes, the prices had shape {prices.shape}")
    good = (prices > 0.0) & (prices < 1.0)
    if not good.all():
        raise InvalidInputError(f"a probability-price must be in (0, 1), was {prices[~good].flat[0]}")
    return normalised(prices)


def normalised(prices: np.ndarray) -> np.ndarray:
    """Return (..., n) prices divided by their sums, unchecked; NaN where one is NaN."""
    return np.asarray(prices / prices.sum(axis=-1, keepdims=True))
