"""Every knob of every stage has a face worked out from its own metadata."""

from __future__ import annotations

import pytest

from marketstream.analytics.analysis import Analysis
from marketstream.analytics.stage import Knob
from marketstream.dashboard.faces import HOUSE_ONLY, face_of, grouped

STAGES = Analysis().stages
KNOBS = [
    (key, name)
    for key, stage in STAGES.items()
    for name in stage.units
    if name not in HOUSE_ONLY and isinstance(stage.param[name], Knob)
]


def test_every_number_that_a_session_can_feel_is_offered_once() -> None:
    offered = [row for rows in grouped(STAGES).values() for row in rows]
    assert sorted(offered) == sorted(KNOBS)
    assert list(grouped(STAGES)) == ["Fair value", "Edges", "Optimizer", "Outcomes"]


@pytest.mark.parametrize(("key", "name"), KNOBS)
def test_the_default_and_every_choice_lie_within_the_bounds_of_the_stage(key: str, name: str) -> None:
    stage = STAGES[key]
    face = face_of(stage, name)
    low, high = stage.param[name].bounds
    default = stage.defaults[name]
    assert face.low <= default * face.factor <= face.high
    for choice in face.ladder or (face.low, face.high):
        assert low - 1e-9 <= choice / face.factor <= high + 1e-9


def test_fractions_show_as_percent_and_long_times_in_the_unit_that_reads_best() -> None:
    optimizer = STAGES["optimizer"]
    assert face_of(optimizer, "max_stake").words(2.0) == "2 % of bankroll"
    assert face_of(optimizer, "horizon_s").words(30.0) == "30 min"
    assert face_of(optimizer, "holding_s").words(1440.0) == "24 h"
    assert face_of(optimizer, "risk_aversion").words(6.0) == "6"
