"""Sliders and stages say the same; moves can be undone; a session's knobs are its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from marketstream.analytics.analysis import Analysis
from marketstream.clock import ManualClock
from marketstream.dashboard.knobs import MARKED, Knob, KnobPanel


class Bench:
    """A panel over stages of its own, counting how often it said that something changed."""

    def __init__(self) -> None:
        self.clock, self.analysis, self.changes = ManualClock(), Analysis(), 0
        self.panel = KnobPanel(self.analysis, self.clock, self._count)

    def _count(self) -> None:
        self.changes += 1

    def knob(self, name: str) -> Knob:
        return next(k for knobs in self.panel.groups.values() for k in knobs if k.name == name)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.panel.close()


def test_a_moved_slider_moves_its_knob_in_the_knobs_own_unit(bench: Bench) -> None:
    bench.knob("max_weight").slider.value = 35.0
    assert bench.analysis.optimizer.max_weight == pytest.approx(0.35)
    bench.knob("horizon_s").slider.value = 60.0
    assert bench.analysis.optimizer.horizon_s == pytest.approx(3600.0)
    assert bench.changes == 2


def test_a_whole_knob_stays_whole(bench: Bench) -> None:
    bench.knob("min_venues").slider.value = 2.0
    assert bench.analysis.fair_value.min_venues == 2


def test_a_knob_moved_elsewhere_moves_its_slider_and_is_marked(bench: Bench) -> None:
    bench.analysis.optimizer.max_weight = 0.1
    knob = bench.knob("max_weight")
    assert knob.slider.value == pytest.approx(10.0)
    assert knob.slider.sx is MARKED and knob.changed


def test_undo_takes_moves_back_one_by_one(bench: Bench) -> None:
    before = bench.analysis.edge_finder.min_edge_se
    bench.knob("min_edge_se").slider.value = 2.0
    bench.clock.advance(5)
    bench.knob("min_edge_se").slider.value = 3.0
    bench.panel.undo()
    assert bench.analysis.edge_finder.min_edge_se == pytest.approx(2.0)
    bench.panel.undo()
    assert bench.analysis.edge_finder.min_edge_se == before
    bench.panel.undo()


def test_one_drag_is_one_step_of_undo(bench: Bench) -> None:
    before = bench.analysis.edge_finder.min_edge_se
    for value in (1.2, 1.4, 1.9):
        bench.knob("min_edge_se").slider.value = value
        bench.clock.advance(0.1)
    bench.panel.undo()
    assert bench.analysis.edge_finder.min_edge_se == before


def test_a_group_is_reset_alone_and_the_reset_can_be_undone(bench: Bench) -> None:
    bench.knob("max_weight").slider.value = 35.0
    bench.knob("half_life_s").slider.value = 20.0
    bench.clock.advance(5)
    bench.panel.reset("Optimizer")
    assert bench.analysis.optimizer.changed_knobs() == ()
    assert bench.analysis.fair_value.changed_knobs() == ("half_life_s",)
    bench.panel.undo()
    assert bench.analysis.optimizer.max_weight == pytest.approx(0.35)
    bench.panel.reset()
    assert not any(knob.changed for knobs in bench.panel.groups.values() for knob in knobs)


def test_a_closed_panel_no_longer_hears_its_stages(bench: Bench) -> None:
    bench.panel.close()
    bench.analysis.optimizer.max_weight = 0.1
    assert bench.changes == 0
