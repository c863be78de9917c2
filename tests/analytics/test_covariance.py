"""The factor covariance, against the sample covariance where samples abound and against the truth where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marketstream.analytics.covariance import (
    MAX_FACTORS,
    PRIOR_YEARLY_VOLATILITY,
    Estimate,
    FactorCovariance,
    estimate,
)
from marketstream.errors import InvalidInputError


def one_factor(n_samples: int, n: int, *, correlation: float = 0.5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0, 1.0, (n_samples, 1))
    own = rng.normal(0.0, 1.0, (n_samples, n))
    return 1e-3 * (np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own)


def test_with_many_samples_it_is_the_sample_covariance_but_for_the_factor_structure() -> None:
    returns = one_factor(20_000, 6)
    found = estimate(returns).matrix()
    assert found == pytest.approx(np.cov(returns.T), abs=2e-8)


def test_with_few_samples_it_is_nearer_to_the_truth_than_the_sample_covariance() -> None:
    truth = 1e-6 * (0.5 + 0.5 * np.eye(40))
    ours, naive = [], []
    for seed in range(20):
        returns = one_factor(29, 40, seed=seed)
        ours.append(np.linalg.norm(estimate(returns).matrix() - truth))
        naive.append(np.linalg.norm(np.cov(returns.T) - truth))
    assert np.mean(ours) < 0.9 * np.mean(naive)
    assert np.mean(np.array(ours) < np.array(naive)) >= 0.8


def test_the_total_risk_of_a_market_is_not_understated() -> None:
    # Equal weights carry the common factor alone; shrinking it away would hide half of the risk.
    truth = 1e-6 * (0.5 + 0.5 / 40)
    even = np.full(40, 1.0 / 40)
    found = [estimate(one_factor(29, 40, seed=seed)).variance(even) for seed in range(40)]
    assert np.mean(found) == pytest.approx(truth, rel=0.15)


def test_its_pieces_agree_with_the_matrix_they_stand_for() -> None:
    found = estimate(one_factor(40, 15))
    weights = np.random.default_rng(1).uniform(0.0, 1.0, 15)
    matrix = found.matrix()
    assert found.times(weights) == pytest.approx(matrix @ weights)
    assert found.variance(weights) == pytest.approx(weights @ matrix @ weights)
    order = np.array([3, 0, 7])
    assert found.take(order).matrix() == pytest.approx(matrix[np.ix_(order, order)])


def test_variance_grows_with_the_horizon() -> None:
    found = estimate(one_factor(40, 5))
    longer = found.scaled_to(1800.0)
    assert longer.matrix() == pytest.approx(60.0 * found.matrix())
    assert longer.horizon_s == 1800.0
    with pytest.raises(InvalidInputError):
        found.scaled_to(0.0)


@pytest.mark.parametrize("n_samples", [0, 1, 7])
def test_too_few_samples_fall_back_to_a_prior_volatility_and_say_so(n_samples: int) -> None:
    found = estimate(one_factor(n_samples, 4))
    yearly = found.scaled_to(365.25 * 86_400.0).matrix()
    assert yearly == pytest.approx(PRIOR_YEARLY_VOLATILITY**2 * np.eye(4))
    assert "prior volatility of 60% a year" in found.method
    assert found.loadings.shape == (4, 0)


def test_an_asset_without_returns_gets_the_typical_variance_and_no_correlation() -> None:
    returns = one_factor(60, 5)
    returns[:, 2] = np.nan
    found = estimate(returns)
    typical = np.median(np.delete(returns, 2, axis=1).var(axis=0, ddof=1))
    assert found.matrix()[2, 2] == pytest.approx(typical)
    assert found.matrix()[2, [0, 1, 3, 4]] == pytest.approx(np.zeros(4))
    assert "1 assets with too few returns" in found.method


def test_missing_returns_here_and_there_leave_the_rest_usable() -> None:
    returns = one_factor(400, 6)
    holes = np.random.default_rng(2).random(returns.shape) < 0.2
    found = estimate(np.where(holes, np.nan, returns)).matrix()
    assert found == pytest.approx(estimate(returns).matrix(), rel=0.35)


def test_a_price_that_never_moves_still_has_some_variance() -> None:
    returns = one_factor(40, 4)
    returns[:, 0] = 0.0
    found = estimate(returns)
    assert found.matrix()[0, 0] > 0.1 * found.matrix()[1, 1]


def test_one_spike_does_not_make_an_asset_a_hundred_times_as_risky() -> None:
    returns = one_factor(29, 6)
    calm = estimate(returns).matrix()[0, 0]
    returns[10, 0] = 0.5
    assert np.var(returns[:, 0]) > 1000 * calm
    assert estimate(returns).matrix()[0, 0] < 10 * calm


def test_factors_are_few_and_every_asset_keeps_a_variance_of_its_own() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 1e-3, (300, 20)) @ rng.normal(0, 1, (20, 200))
    found = estimate(returns)
    assert 1 <= found.loadings.shape[1] <= MAX_FACTORS
    assert (found.idiosyncratic > 0.0).all()


def test_pure_noise_has_no_factors() -> None:
    assert estimate(one_factor(120, 30, correlation=0.0)).loadings.shape[1] <= 1


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 14), st.integers(0, 6)),
        elements=st.one_of(st.floats(-0.2, 0.2), st.sampled_from([np.nan, np.inf, -np.inf, 0.0])),
    )
)
def test_any_returns_give_a_positive_definite_matrix(returns: np.ndarray) -> None:
    found = estimate(returns)
    assert isinstance(found, FactorCovariance)
    matrix = found.matrix()
    assert np.isfinite(matrix).all()
    if len(matrix):
        assert np.linalg.eigvalsh(matrix).min() > 0.0


def test_a_frame_is_as_good_as_an_array_and_a_row_alone_is_refused() -> None:
    returns = one_factor(30, 3)
    assert np.array_equal(estimate(pd.DataFrame(returns)).matrix(), estimate(returns).matrix())
    with pytest.raises(InvalidInputError, match="dimensions"):
        estimate(returns[0])


def test_an_estimate_is_used_again_only_while_its_returns_are_the_same() -> None:
    returns = one_factor(30, 3)
    returns[4, 1] = np.nan
    first = Estimate.of(returns)
    assert Estimate.of(returns.copy(), first) is first
    changed = returns.copy()
    changed[0, 0] += 1e-12
    assert Estimate.of(changed, first) is not first
    assert Estimate.of(returns[1:], first) is not first
