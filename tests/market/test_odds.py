"""Odds conversions against published tables and their own inverses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.errors import InvalidInputError
from marketstream.market import odds

# decimal, American, fractional, implied probability in percent: rows of the conversion tables bookmakers print.
TABLE = [
    (1.2, -500, "1/5", 83.33),
    (1.5, -200, "1/2", 66.67),
    (1.909, -110, "10/11", 52.38),
    (2.0, 100, "1/1", 50.00),
    (2.5, 150, "3/2", 40.00),
    (4.0, 300, "3/1", 25.00),
    (11.0, 1000, "10/1", 9.09),
]


@pytest.mark.parametrize(("decimal", "american", "fractional", "percent"), TABLE)
def test_the_printed_tables_agree(decimal: float, american: int, fractional: str, percent: float) -> None:
    assert 100 * odds.price_from_decimal(decimal) == pytest.approx(percent, abs=0.011)
    assert 100 * odds.price_from_american(american) == pytest.approx(percent, abs=0.005)
    assert 100 * odds.price_from_fractional(fractional) == pytest.approx(percent, abs=0.005)
    assert odds.fractional_from_price(odds.price_from_fractional(fractional)) == fractional


@given(st.floats(0.0002, 0.9998))
def test_every_conversion_has_an_inverse(price: float) -> None:
    assert odds.price_from_decimal(odds.decimal_from_price(price)) == pytest.approx(price, rel=1e-12)
    assert odds.price_from_american(odds.american_from_price(price)) == pytest.approx(price, rel=1e-9)


@pytest.mark.parametrize("bad", [1.0, 0.0, -2.0, math.nan, math.inf, 10_001.0])
def test_decimal_odds_out_of_range_are_refused(bad: float) -> None:
    with pytest.raises(InvalidInputError, match="decimal odds must be > 1"):
        odds.price_from_decimal(bad)


@pytest.mark.parametrize("bad", [0.0, 99.0, -99.9, math.nan, math.inf])
def test_american_odds_between_minus_and_plus_100_are_refused(bad: float) -> None:
    with pytest.raises(InvalidInputError, match="American odds"):
        odds.price_from_american(bad)


@pytest.mark.parametrize("bad", ["", "3", "0/1", "-1/2", "1/0", "three to one", "1/2/3"])
def test_fractional_odds_that_are_none_are_refused(bad: str) -> None:
    with pytest.raises(InvalidInputError):
        odds.price_from_fractional(bad)


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_a_price_outside_zero_to_one_has_no_odds(bad: float) -> None:
    for convert in (odds.decimal_from_price, odds.american_from_price, odds.fractional_from_price):
        with pytest.raises(InvalidInputError, match="probability-price"):
            convert(bad)


def test_overround_is_what_the_prices_sum_to_beyond_one() -> None:
    # A 1X2 book at 2.10 / 3.40 / 3.60.
    assert odds.overround([1 / 2.10, 1 / 3.40, 1 / 3.60]) == pytest.approx(0.0480859, abs=1e-6)
