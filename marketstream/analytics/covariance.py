"""FactorCovariance: risk as a few common factors plus what is each asset's own. Used by optimizer.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marketstream.analytics.consensus import MAD_TO_SD, masked_median
from marketstream.errors import InvalidInputError

RETURN_STEP_S = 30
"""Seconds between the samples of the returns: at shorter steps correlations are biased towards 0 (Epps)."""

MAX_FACTORS = 10
MIN_SAMPLES = 8
PRIOR_SAMPLES = 10.0
"""The typical variance counts as much as this many samples of an asset's own."""

PRIOR_YEARLY_VOLATILITY = 0.6
"""Volatility assumed where there are no returns at all; a cautious figure for a liquid coin."""

_YEAR_S = 365.25 * 86_400.0
WINSOR_SD = 8.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FactorCovariance:
    """Sigma = loadings loadings' + diag(idiosyncratic), of log returns over `horizon_s`.

    Attributes:
        loadings: (n, k), k <= 10; k may be 0.
        idiosyncratic: (n,) variances, all > 0.
        horizon_s: Seconds that the returns span.
        n_samples: Samples of the shorter returns it was made of.
        method: How it was made, in words.
    """

    loadings: np.ndarray
    idiosyncratic: np.ndarray
    horizon_s: float
    n_samples: int
    method: str

    def scaled_to(self, horizon_s: float) -> FactorCovariance:
        """Return the same for another horizon; variances grow with time (returns without memory)."""
        if not horizon_s > 0:
            raise InvalidInputError(f"horizon_s must be > 0, was {horizon_s}")
        ratio = horizon_s / self.horizon_s
        return replace(
            self,
            loadings=self.loadings * np.sqrt(ratio),
            idiosyncratic=self.idiosyncratic * ratio,
            horizon_s=horizon_s,
        )

    def take(self, order: np.ndarray) -> FactorCovariance:
        """Return the covariance of the assets `order`, in that order."""
        return replace(self, loadings=self.loadings[order], idiosyncratic=self.idiosyncratic[order])

    def times(self, weights: np.ndarray) -> np.ndarray:
        """Return Sigma w without making Sigma."""
        return np.asarray(self.loadings @ (self.loadings.T @ weights) + self.idiosyncratic * weights)

    def variance(self, weights: np.ndarray) -> float:
        """Return w' Sigma w."""
        return float(weights @ self.times(weights))

    def matrix(self) -> np.ndarray:
        """Return Sigma itself, (n, n)."""
        return np.asarray(self.loadings @ self.loadings.T + np.diag(self.idiosyncratic))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Estimate:
    """A covariance and the returns that it was made of, to be used again while they are the same."""

    returns: np.ndarray
    covariance: FactorCovariance

    @classmethod
    def of(cls, returns: np.ndarray, previous: Estimate | None = None) -> Estimate:
        """Return the covariance of (T, n) returns; the previous one where not a figure has changed."""
        if previous is not None and np.array_equal(returns, previous.returns, equal_nan=True):
            return previous
        return cls(returns=returns, covariance=estimate(returns))


def estimate(returns: pd.DataFrame | np.ndarray, *, step_s: float = RETURN_STEP_S) -> FactorCovariance:
    """Return the factor covariance of returns over `step_s` seconds.

    Each variance is drawn toward the typical one. Of the correlations only the principal components above the
    edge of pure noise (Marchenko and Pastur) are kept, shrunk for the noise that is in them. What they leave
    is each asset's own, so that variances are right.

    Args:
        returns: (T, n) log returns, NaN where unknown; an asset with fewer than 8 gets the typical variance
            and no correlation.
        step_s: Seconds between the samples.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2:
        raise InvalidInputError(f"returns are (samples, assets), had {values.ndim} dimensions")
    counts = np.isfinite(values).sum(axis=0)
    enough = counts >= MIN_SAMPLES
    moves = _moves(values[:, enough])
    own = np.nansum(moves**2, axis=0) / np.maximum(counts[enough] - 1, 1)
    typical = float(np.median(own[own > 0])) if (own > 0).any() else PRIOR_YEARLY_VOLATILITY**2 * step_s / _YEAR_S
    variance = np.full(len(enough), typical)
    variance[enough] = (counts[enough] * own + PRIOR_SAMPLES * typical) / (counts[enough] + PRIOR_SAMPLES)
    common = _factors(moves, own)
    loadings = np.zeros((len(enough), common.shape[1]))
    loadings[enough] = common
    return FactorCovariance(
        loadings=loadings * np.sqrt(variance)[:, None],
        idiosyncratic=variance * (1.0 - (loadings**2).sum(axis=1)),
        horizon_s=float(step_s),
        n_samples=int(counts.max(initial=0)),
        method=_method(common.shape[1], counts, enough, bool((own > 0).any()), step_s),
    )


def _moves(values: np.ndarray) -> np.ndarray:
    """Return the returns less their means, a spike cut at 8 robust standard deviations; NaN stays NaN."""
    known = np.isfinite(values.T)
    middle = masked_median(values.T, known)
    off = values.T - middle[:, None]
    limit = WINSOR_SD * MAD_TO_SD * masked_median(np.abs(off), known)
    limit = np.where(limit > 0, limit, np.inf)[:, None]
    cut = np.where(known, np.clip(off, -limit, limit), 0.0)
    mean = cut.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known, cut - mean[:, None], np.nan).T


def _factors(moves: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the loadings (n, k) of the correlation matrix."""
    n_samples, n = moves.shape
    if n < 2 or n_samples < MIN_SAMPLES:
        return np.zeros((n, 0))
    counts = np.isfinite(moves).sum(axis=0)
    scale = np.sqrt(variance * np.maximum(counts - 1, 1))
    unit = np.divide(moves, scale, out=np.zeros_like(moves), where=scale > 0)
    unit = np.where(np.isfinite(unit), unit, 0.0)
    values, axes = _components(unit)
    n_strong = int((values[:MAX_FACTORS] > (1.0 + np.sqrt(n / n_samples)) ** 2).sum())
    noise = max((n - float(values[:n_strong].sum())) / max(n - n_strong, 1), 0.01)
    loadings = axes[:, :n_strong] * np.sqrt(_strength(values[:n_strong] / noise, n / n_samples) * noise)
    # At least 5 % of every variance stays the asset's own: no portfolio may look free of risk.
    explained = (loadings**2).sum(axis=1, keepdims=True)
    return np.asarray(loadings * np.sqrt(np.minimum(1.0, 0.95 / np.maximum(explained, 0.95))))


def _strength(values: np.ndarray, aspect: float) -> np.ndarray:
    """Return what sample eigenvalues above unit noise are worth: the shrinkage of least squared error.

    D. Donoho, M. Gavish and I. Johnstone (2018), "Optimal shrinkage of eigenvalues in the spiked covariance
    model", Frobenius norm; `aspect` is assets per sample.
    """
    sums = np.maximum(values + 1.0 - aspect, 0.0)
    spike = np.maximum(0.5 * (sums + np.sqrt(np.maximum(sums**2 - 4.0 * values, 0.0))) - 1.0, 1e-9)
    aligned = np.maximum(1.0 - aspect / spike**2, 0.0) / (1.0 + aspect / spike)
    return np.asarray(spike * aligned)


def _components(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of unit'unit, the largest first, and their axes; by way of the smaller matrix."""
    n_samples, n = unit.shape
    if n <= n_samples:
        values, axes = np.linalg.eigh(unit.T @ unit)
        return values[::-1], axes[:, ::-1]
    values, vectors = np.linalg.eigh(unit @ unit.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    return values, unit.T @ vectors / np.sqrt(np.maximum(values, 1e-300))


def _method(n_factors: int, counts: np.ndarray, enough: np.ndarray, moved: bool, step_s: float) -> str:
    if not moved:
        return f"prior volatility of {PRIOR_YEARLY_VOLATILITY:.0%} a year, no correlation: too few returns"
    words = f"{n_factors} factor{'' if n_factors == 1 else 's'}, {int(counts.max())} returns of {step_s:g} s"
    thin = int((~enough).sum())
    return f"{words}; {thin} assets with too few returns get the typical variance" if thin else words
