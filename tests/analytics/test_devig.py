"""The multiplicative method, against hand calculation and closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marketstream.analytics.devig import devig, normalised
from marketstream.errors import InvalidInputError


def test_a_two_way_book_by_hand() -> None:
    # Decimal odds 1.80 and 2.10: 1/1.8 = 0.5556, 1/2.1 = 0.4762, sum 1.0317.
    assert devig([1 / 1.8, 1 / 2.1]) == pytest.approx([2.1 / 3.9, 1.8 / 3.9], abs=1e-15)


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(0.001, 0.999)))
def test_probabilities_sum_to_one_and_keep_the_ratios_of_the_prices(prices: np.ndarray) -> None:
    probability = devig(prices)
    assert probability.sum(axis=-1) == pytest.approx(np.ones(4), abs=1e-12)
    assert probability[:, 0] / probability[:, 1] == pytest.approx(prices[:, 0] / prices[:, 1], rel=1e-12)


def test_rows_do_not_touch_each_other() -> None:
    rows = np.array([[0.6, 0.5], [0.2, 0.9]])
    assert np.array_equal(devig(rows)[1], devig(rows[1]))


@pytest.mark.parametrize("prices", [[0.5], 0.5, [0.5, 0.0], [0.5, 1.0], [0.5, float("nan")], [0.5, -0.1]])
def test_what_is_no_market_is_refused(prices: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        devig(prices)


def test_the_unchecked_form_passes_a_missing_price_on() -> None:
    assert np.isnan(normalised(np.array([0.5, np.nan]))).all()
