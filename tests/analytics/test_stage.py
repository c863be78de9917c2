"""A stage refuses what is no value for its knobs, and tells which it has moved."""

from __future__ import annotations

import math
from typing import Any

import pytest

from marketstream.analytics.analysis import Analysis
from marketstream.analytics.stage import Knob, Stage, Views, WholeKnob
from marketstream.errors import InvalidInputError


class Sample(Stage):
    """A stage with one knob of each kind."""

    pace_s = Knob(default=2.0, bounds=(0.5, 3.0), doc="Pace.", metadata={"unit": "s"})
    count = WholeKnob(default=2, bounds=(1, 3), doc="Count.", metadata={"unit": "venues"})
    views = Views(default={}, doc="Views.", metadata={"unit": "log return"})


def test_knobs_come_back_by_name_with_their_units() -> None:
    assert Sample().knobs() == {"pace_s": 2.0, "count": 2, "views": {}}
    assert Sample.units == {"pace_s": "s", "count": "venues", "views": "log return"}


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"pace_s": math.nan}, "finite"),
        ({"pace_s": math.inf}, "finite"),
        ({"pace_s": 3.1}, r"\[0.5, 3\]"),
        ({"pace_s": "2"}, "finite"),
        ({"pace_s": True}, "finite"),
        ({"pace_s": None}, "finite"),
        ({"pace_s": lambda: 1.0}, "finite"),
        ({"count": 1.5}, "whole"),
        ({"views": {"BTC": math.nan}}, "BTC"),
        ({"views": {"BTC": 2.0}}, "BTC"),
        ({"views": {1: 0.1}}, "1"),
        ({"views": [("BTC", 0.1)]}, "dict"),
        ({"speed": 1.0}, "unknown knobs"),
    ],
)
def test_a_value_that_is_none_for_its_knob_is_refused_in_every_way_of_setting_it(
    knobs: dict[str, Any], words: str
) -> None:
    stage = Sample()
    with pytest.raises(InvalidInputError, match=words):
        Sample(**knobs)
    with pytest.raises(InvalidInputError, match=words):
        stage.set_knobs(knobs)
    assert stage.knobs() == Sample().knobs()


def test_setting_several_knobs_is_all_or_none() -> None:
    stage = Sample()
    with pytest.raises(InvalidInputError):
        stage.set_knobs({"pace_s": 1.0, "count": 99})
    assert stage.pace_s == 2.0
    stage.set_knobs({"pace_s": 1.0, "count": 3})
    assert stage.changed_knobs() == ("pace_s", "count")


def test_reset_puts_every_knob_back() -> None:
    stage = Sample(pace_s=1.0, views={"BTC": 0.1})
    assert stage.changed_knobs() == ("pace_s", "views")
    stage.reset()
    assert stage.changed_knobs() == ()
    assert stage.knobs() == stage.defaults


def test_knobs_are_private_to_their_stage() -> None:
    one, other = Sample(), Sample()
    one.views["BTC"] = 0.1
    one.pace_s = 1.0
    assert other.knobs() == Sample().knobs()
    assert one.defaults == other.defaults == {"pace_s": 2.0, "count": 2, "views": {}}


def test_the_key_tells_equal_knobs_from_different_ones() -> None:
    one, other = Sample(views={"A": 0.1, "B": 0.2}), Sample(views={"B": 0.2, "A": 0.1})
    assert one.knob_key() == other.knob_key()
    assert hash(one.knob_key()) == hash(other.knob_key())
    other.views["A"] = 0.3
    assert one.knob_key() != other.knob_key()


def test_a_copy_of_the_knobs_does_not_follow_later_moves() -> None:
    stage = Sample(views={"A": 0.1})
    before = stage.knobs()
    stage.views["A"] = 0.2
    assert before["views"] == {"A": 0.1}


@pytest.mark.parametrize("name", ["fair_value", "edge_finder", "optimizer"])
def test_every_knob_of_the_analysis_has_a_doc_bounds_a_unit_and_a_label(name: str) -> None:
    stage = Analysis().stages[name]
    assert stage.knobs()
    for knob in stage.knobs():
        parameter = stage.param[knob]
        assert parameter.doc and parameter.label and stage.units[knob]
        if knob != "views":
            lower, upper = parameter.bounds
            assert lower <= parameter.default <= upper
            assert parameter.label != knob


def test_a_bare_stage_does_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Stage().apply(None, None)
