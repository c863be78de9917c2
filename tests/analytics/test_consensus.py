"""The pool of opinions, against plain loops and against errors of known correlation."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.analytics.consensus import COMMON_SHARE, Opinions, masked_median, pool


def opinions(values: Any, **changed: Any) -> Opinions:
    """Return one row of one-legged opinions with equal weights and half spreads of 1."""
    value = np.atleast_2d(np.asarray(values, dtype=np.float64))
    shape = value.shape
    fields: dict[str, Any] = {
        "value": value[:, None, :],
        "half": np.ones(shape)[:, None, :],
        "alone": np.full(shape, 5.0)[:, None, :],
        "recency": np.ones(shape),
        "width": np.ones(shape),
        "size": np.full(shape, np.nan),
        "age_s": np.zeros(shape),
        "usable": np.ones(shape, dtype=bool),
        "is_leg": np.ones((shape[0], 1), dtype=bool),
        "drift": np.zeros((shape[0], 1)),
    }
    return Opinions(**{**fields, **changed})


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), min_size=1, max_size=9))
def test_the_masked_median_is_that_of_the_standard_library(pairs: list[tuple[float, bool]]) -> None:
    values, mask = np.array([v for v, _ in pairs]), np.array([m for _, m in pairs])
    found = masked_median(values, mask).item()
    if mask.any():
        assert found == pytest.approx(statistics.median(values[mask].tolist()))
    else:
        assert np.isnan(found)


def test_a_median_of_no_venues_is_unknown() -> None:
    assert np.isnan(masked_median(np.zeros((3, 0)), np.zeros((3, 0), dtype=bool))).all()


def test_the_centre_is_the_weighted_mean_and_without_each_venue_that_of_the_others() -> None:
    pooled = pool(opinions([10.0, 11.0, 13.0], recency=np.array([[0.1, 0.2, 0.3]])), outlier_sd=20.0)
    assert pooled.centre[:, 0, 0] == pytest.approx([71 / 6, 61 / 5, 49 / 4, 32 / 3])


def test_the_variance_by_hand() -> None:
    pooled = pool(opinions([10.0, 12.0], age_s=np.array([[2.0, 4.0]]), drift=np.array([[0.1]])), outlier_sd=4.0)
    dispersion = 2.0 * (COMMON_SHARE / (1 - COMMON_SHARE) + 1 / 2)  # sample variance of 10 and 12 is 2
    assert pooled.sd[0, 0, 0] ** 2 == pytest.approx(dispersion + 1.0 / 3.0 + 0.1 * 3.0)
    assert pooled.sd[1, 0, 0] ** 2 == pytest.approx(25.0 + 0.1 * 4.0)  # 12 alone


def test_an_outlier_is_rejected_by_the_median_not_by_a_mean_that_it_has_moved() -> None:
    pooled = pool(opinions([100.0, 100.5, 99.5, 400.0]), outlier_sd=4.0)
    assert pooled.keep[0, 0].tolist() == [True, True, True, False]
    assert pooled.centre[0, 0, 0] == pytest.approx(100.0)
    assert pooled.distance[0, 3] > 100.0


def test_of_two_venues_neither_is_the_outlier() -> None:
    pooled = pool(opinions([100.0, 400.0]), outlier_sd=4.0)
    assert pooled.keep[0].all()
    assert pooled.sd[0, 0, 0] > 150.0


def test_a_venue_is_no_outlier_within_its_own_spread() -> None:
    half = np.array([[0.1, 0.1, 0.1, 5.0]])[:, None, :]
    pooled = pool(opinions([100.0, 100.0, 100.1, 104.0], half=half), outlier_sd=4.0)
    assert pooled.keep[0].all()


def test_one_leg_far_off_rejects_the_venue_from_the_whole_market() -> None:
    value = np.array([[[0.0, 0.0, 0.0], [1.0, 1.0, 9.0]]])
    wide = opinions(
        np.zeros((1, 3)),
        value=value,
        half=np.full((1, 2, 3), 0.1),
        alone=np.ones((1, 2, 3)),
        is_leg=np.ones((1, 2), dtype=bool),
        drift=np.zeros((1, 2)),
    )
    assert pool(wide, outlier_sd=4.0).keep[0, 0].tolist() == [True, True, False]


def test_nobody_usable_is_no_value_and_not_an_error() -> None:
    pooled = pool(opinions([1.0, 2.0], usable=np.zeros((1, 2), dtype=bool)), outlier_sd=4.0)
    assert np.isnan(pooled.centre).all() and np.isnan(pooled.sd).all() and not pooled.keep.any()


def test_values_of_unusable_venues_do_not_matter_even_when_they_are_nan() -> None:
    usable = np.array([[True, True, False]])
    one = pool(opinions([1.0, 2.0, np.nan], usable=usable, alone=np.full((1, 1, 3), np.nan)), outlier_sd=4.0)
    other = pool(opinions([1.0, 2.0, 1e9], usable=usable), outlier_sd=4.0)
    assert one.centre[0] == other.centre[0] == pytest.approx(1.5)
    assert one.sd[0] == other.sd[0]


def coverage(bands: np.ndarray, errors: np.ndarray) -> float:
    return float((np.abs(errors) < 1.645 * bands).mean())


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_band_holds_when_venues_share_their_errors(correlation: float) -> None:
    # Eight venues, errors of sd 1.5 half spreads: a band that takes them for independent covers half of what
    # it promises at a correlation of .8 (the twin below).
    rng = np.random.default_rng(3)
    common, own = rng.normal(0, 1.5, (4000, 1)), rng.normal(0, 1.5, (4000, 8))
    values = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    pooled = pool(opinions(values), outlier_sd=20.0)
    floor = {0.0: 0.9, 0.5: 0.85, 0.8: 0.7}[correlation]
    assert coverage(pooled.sd[0, :, 0], pooled.centre[0, :, 0]) >= floor
    naive = values.std(axis=1, ddof=1) / np.sqrt(8)
    if correlation > 0.0:
        assert coverage(naive, values.mean(axis=1)) < floor
