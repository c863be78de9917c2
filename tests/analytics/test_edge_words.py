"""Figures in a reason can be told apart; the reasons themselves are tested with the edges they belong to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.analytics import edge_words


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [(2.61, 1.7, ("2.6", "1.7")), (0.98, 1.0, ("0.98", "1.00")), (5.0, 5.0, ("5.000000", "5.000000"))],
)
def test_two_figures_get_as_many_decimals_as_it_takes(one: float, other: float, shown: tuple[str, str]) -> None:
    assert edge_words._apart(one, other, 1) == shown


@given(st.floats(-1e3, 1e3), st.floats(1e-5, 1e3))
def test_what_is_shown_has_the_order_of_what_is_meant(low: float, more: float) -> None:
    small, large = edge_words._apart(low, low + more, 1)
    assert float(small) < float(large)
