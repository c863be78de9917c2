"""Figures read as a person would write them."""

from __future__ import annotations

import math

import pytest

from marketstream.dashboard import formats


@pytest.mark.parametrize("value", [-0.04, -0.0, 0.0, 0.049])
def test_a_figure_that_rounds_to_zero_has_neither_sign_nor_direction(value: float) -> None:
    assert formats.number(value, 1, signed=True) == "0.0"
    assert formats.direction(value, 1) == ""


def test_the_minus_is_a_true_one_and_thousands_have_commas() -> None:
    assert formats.number(-1234567.891, 2) == "−1,234,567.89"
    assert "-" not in formats.number(-5.0, 1, signed=True)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_missing_figure_is_a_dash_everywhere(value: float | None) -> None:
    assert formats.number(value, 2) == formats.age(value) == "–"
    assert formats.direction(value, 2) == ""
    assert "–" in formats.aligned(value, 3)


@pytest.mark.parametrize(("seconds", "look"), [(2.9, "muted"), (3.0, "late"), (9.9, "late"), (10.0, "late bold")])
def test_an_age_turns_amber_at_three_seconds_and_bold_at_ten(seconds: float, look: str) -> None:
    assert formats.age_class(seconds) == look


@pytest.mark.parametrize(("seconds", "text"), [(9.94, "9.9"), (9.96, "10"), (37.4, "37"), (4000.0, "4,000")])
def test_an_age_is_whole_from_ten_seconds(seconds: float, text: str) -> None:
    assert formats.age(seconds) == text


def test_decimal_points_line_up_because_the_fraction_is_a_box_of_its_own() -> None:
    assert formats.aligned(64173.4, 1) == '64,173<span class="frac">.4</span>'
    assert formats.aligned(7.0, 0) == '7<span class="frac"></span>'


def test_an_uncertainty_gets_more_decimals_only_where_it_would_show_as_nothing() -> None:
    assert formats.uncertainty_decimals(1, 6.94) == 1
    assert formats.uncertainty_decimals(1, 0.04) == 2
    assert formats.uncertainty_decimals(2, math.nan) == 2
