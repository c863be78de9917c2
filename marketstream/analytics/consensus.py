"""Consensus: pool what several venues say of the same thing, with and without each. Used by valuation.py.

An asset is treated as a market with one leg, so that one function serves both kinds. Shapes: S scenarios
(0 = all venues, 1 + v = without venue v), M markets, n legs, V venues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COMMON_SHARE = 0.5
"""Share of a venue's error variance that all venues have in common: more venues do not average it away."""

MAD_TO_SD = 1.4826
"""Median absolute deviation to standard deviation under a normal law."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Opinions:
    """What every venue says.

    Attributes:
        value: (M, n, V) prices of assets, log-odds of outcomes.
        half: (M, n, V) half spreads in the same unit, > 0.
        alone: (M, n, V) standard deviation of a value that no second venue confirms.
        recency: (M, V) weight by age, in (0, 1].
        width: (M, V) half spread of the venue over all legs, > 0.
        size: (M, V) contracts on offer, NaN where unknown.
        age_s: (M, V) age of the oldest quote of the venue.
        usable: (M, V) whether the venue may feed the consensus at all.
        is_leg: (M, n) False where the market has fewer than n legs.
        drift: (M, n) variance that a value gains per second of age.
    """

    value: np.ndarray
    half: np.ndarray
    alone: np.ndarray
    recency: np.ndarray
    width: np.ndarray
    size: np.ndarray
    age_s: np.ndarray
    usable: np.ndarray
    is_leg: np.ndarray
    drift: np.ndarray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pool:
    """The consensus of every scenario.

    Attributes:
        centre: (S, M, n) weighted means, NaN where no venue is left.
        sd: (S, M, n) their standard deviations.
        keep: (S, M, V) venues that were used.
        distance: (M, V) of each venue from the median of all, in robust standard deviations.
        oldest_s: (S, M) age of the oldest quote used.
    """

    centre: np.ndarray
    sd: np.ndarray
    keep: np.ndarray
    distance: np.ndarray
    oldest_s: np.ndarray


def pool(opinions: Opinions, outlier_sd: float) -> Pool:
    """Return the weighted mean of the venues that are no outliers, for all venues and without each one.

    The variance adds up: the spread of opinions, of which a share is common to all venues and does not shrink
    with their number; the half spread, within which every mid may be off in the same direction (uniform, so
    its square over 3); and what the price has moved since it was quoted.
    """
    usable = _without_each(opinions.usable)
    keep, distance = _reject(opinions, usable, outlier_sd)
    weight = np.where(keep, _weights(opinions, usable), 0.0)
    total = weight.sum(axis=-1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)[:, :, None, :]
    value = np.where(keep[:, :, None, :], opinions.value, 0.0)
    centre = (share * value).sum(axis=-1)
    squares = (share * (value - centre[..., None]) ** 2).sum(axis=-1)
    known = total > 0
    variance = np.where(
        keep.sum(axis=-1)[..., None] > 1,
        _dispersion(squares, share) + (share * _finite(opinions.half)).sum(axis=-1) ** 2 / 3.0,
        (share * _finite(opinions.alone) ** 2).sum(axis=-1),
    )
    variance = variance + opinions.drift * (share[:, :, 0, :] * _finite(opinions.age_s)).sum(axis=-1)[..., None]
    return Pool(
        centre=np.where(known, centre, np.nan),
        sd=np.where(known, np.sqrt(variance), np.nan),
        keep=keep,
        distance=distance,
        oldest_s=np.where(keep, _finite(opinions.age_s), 0.0).max(axis=-1, initial=0.0),
    )


def masked_median(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the median over the last axis of the values where `mask` holds; NaN where it holds nowhere.

    >>> masked_median(np.array([3.0, 1.0, 100.0]), np.array([True, True, False])).item()
    2.0
    """
    values, mask = np.broadcast_arrays(values, mask)
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(np.where(mask, values, np.inf), axis=-1)
    n = mask.sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(n - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(n // 2, values.shape[-1] - 1), axis=-1)
    return np.asarray(np.where(n > 0, 0.5 * low + 0.5 * high, np.nan)[..., 0])


def _without_each(usable: np.ndarray) -> np.ndarray:
    n_venues = usable.shape[-1]
    seen = np.concatenate([np.ones((1, n_venues), dtype=bool), ~np.eye(n_venues, dtype=bool)])
    return np.asarray(usable[None] & seen[:, None, :])


def _weights(opinions: Opinions, usable: np.ndarray) -> np.ndarray:
    # A narrow spread speaks for a venue, but none counts more than twice the typical one for it; the size has
    # the square root of its ratio to the typical, within [1/2, 2], for a size is cheap to show.
    usual_width = masked_median(opinions.width[None], usable)[..., None]
    usual_size = masked_median(opinions.size[None], usable & np.isfinite(opinions.size))[..., None]
    ratio = np.divide(opinions.size, usual_size, out=np.ones(usable.shape), where=usual_size > 0.0)
    by_size = np.clip(np.sqrt(np.where(np.isfinite(ratio), ratio, 1.0)), 0.5, 2.0)
    return np.asarray(by_size * opinions.recency / (opinions.width**2 + usual_width**2))


def _reject(opinions: Opinions, usable: np.ndarray, outlier_sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the venues to keep and the distances from the median; of two venues neither is the outlier."""
    mask = usable[:, :, None, :]
    middle = masked_median(opinions.value[None], mask)[..., None]
    off = np.abs(opinions.value[None] - middle)
    spread = MAD_TO_SD * masked_median(off, mask)[..., None]
    typical = masked_median(opinions.half[None], mask)[..., None]
    scale = np.fmax(np.fmax(spread, typical), opinions.half[None])
    judged = mask & opinions.is_leg[None, :, :, None]
    distance = np.divide(off, scale, out=np.zeros_like(scale), where=judged & (scale > 0)).max(axis=2, initial=0.0)
    outlier = (distance > outlier_sd) & (usable.sum(axis=-1, keepdims=True) >= 3)
    return usable & ~outlier, distance[0]


def _dispersion(squares: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the variance of the mean that the spread of opinions speaks of, its common part included."""
    n = 1.0 / np.maximum((share**2).sum(axis=-1), 1e-12)
    own = squares * n / np.maximum(n - 1.0, 0.25)  # the quarter keeps one dominant venue from blowing it up
    return np.asarray(own * (COMMON_SHARE / (1.0 - COMMON_SHARE) + 1.0 / n))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0.0)
