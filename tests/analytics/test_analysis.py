"""One house, many sessions: what is shared is the same object, and what a session moves never reaches the house."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from market_factory import NOW, SECOND, large_market, make_catalog, make_market

from marketstream.analytics.analysis import Analysis, AnalysisState, Snapshot
from marketstream.market.frames import ALLOCATION, EDGES, FAIR, check_frame
from marketstream.market.state import MarketState

FIRST = large_market(20, 10, seed=4)


def later(seconds: float) -> MarketState:
    book = FIRST.book.copy()
    book["ts_received"] += round(seconds * SECOND)
    return replace(FIRST, sequence=FIRST.sequence + round(seconds * 10), now=NOW + round(seconds * SECOND), book=book)


SECOND_ONE = later(0.5)


@pytest.fixture
def house() -> Analysis:
    return Analysis()


def same_figures(one: Snapshot, other: Snapshot) -> bool:
    frames = [(one.fair, other.fair), (one.edges, other.edges), (one.allocation.frame, other.allocation.frame)]
    return all(a.equals(b) for a, b in frames)


class TestHouse:
    def test_a_step_is_a_snapshot_of_the_market_with_its_frames_and_knobs(self, house: Analysis) -> None:
        snapshot = house.step(FIRST)
        assert (snapshot.sequence, snapshot.now, snapshot.market) == (FIRST.sequence, FIRST.now, FIRST)
        check_frame(snapshot.fair, FAIR)
        check_frame(snapshot.edges, EDGES)
        check_frame(snapshot.allocation.frame, ALLOCATION)
        assert snapshot.knobs["optimizer"]["max_weight"] == 0.2
        assert snapshot.reused == ()

    def test_states_go_from_step_to_step(self, house: Analysis) -> None:
        first, second = house.step(FIRST), house.step(SECOND_ONE)
        assert second.before is first.after
        assert house.state is second.after
        open_edges = second.edges[second.edges.executable]
        assert len(open_edges) and (open_edges.opened == NOW).all()

    def test_before_the_first_step_there_is_no_state(self, house: Analysis) -> None:
        state = house.state
        assert isinstance(state, AnalysisState)
        assert state.fair is None and state.edges is None and state.portfolio is None

    def test_the_same_market_again_is_the_same_snapshot(self, house: Analysis) -> None:
        first = house.step(FIRST)
        assert house.step(FIRST) is first

    def test_a_moved_knob_is_worked_out_anew_on_the_same_market_from_the_same_state(self, house: Analysis) -> None:
        house.step(FIRST)
        one = house.step(SECOND_ONE)
        house.optimizer.turnover_cost_bps = 0.0
        two = house.step(SECOND_ONE)
        assert two is not one
        assert two.before is one.before
        assert two.fair is one.fair and two.edges is one.edges
        assert not two.allocation.weights.equals(one.allocation.weights)

    def test_the_knobs_of_a_snapshot_do_not_follow_later_moves(self, house: Analysis) -> None:
        snapshot = house.step(FIRST)
        house.fair_value.half_life_s = 20.0
        house.optimizer.views = {"A000-USD": 0.1}
        assert snapshot.knobs["fair_value"]["half_life_s"] == 8.0
        assert snapshot.knobs["optimizer"]["views"] == {}

    def test_two_houses_see_the_same_stream_alike_bit_for_bit(self) -> None:
        one, other = Analysis(), Analysis()
        for market in (FIRST, SECOND_ONE, later(300.5), later(301.0)):
            a, b = one.step(market), other.step(market)
        assert same_figures(a, b)


class TestSession:
    def test_an_untouched_session_reads_the_house(self, house: Analysis) -> None:
        shared = house.step(FIRST)
        mine = Analysis().follow(shared)
        assert mine.fair is shared.fair and mine.edges is shared.edges and mine.allocation is shared.allocation
        assert mine.reused == ("fair_value", "edge_finder", "optimizer")

    @pytest.mark.parametrize(
        ("stage", "knob", "value", "reused"),
        [
            ("fair_value", "half_life_s", 2.0, ()),
            ("edge_finder", "min_edge_se", 0.2, ("fair_value",)),
            ("optimizer", "turnover_cost_bps", 0.0, ("fair_value", "edge_finder")),
        ],
    )
    def test_a_moved_knob_recomputes_from_its_stage_on(
        self, house: Analysis, stage: str, knob: str, value: float, reused: tuple[str, ...]
    ) -> None:
        shared = house.step(FIRST)
        session = Analysis()
        setattr(session.stages[stage], knob, value)
        mine = session.follow(shared)
        assert mine.reused == reused
        assert (mine.fair is shared.fair) == ("fair_value" in reused)
        assert (mine.edges is shared.edges) == ("edge_finder" in reused)
        assert mine.allocation is not shared.allocation
        assert mine.knobs[stage][knob] == value

    def test_a_session_never_changes_the_house(self, house: Analysis) -> None:
        untouched = Analysis()
        session = Analysis()
        session.fair_value.half_life_s = 1.0
        session.edge_finder.min_edge_se = 0.0
        session.optimizer.set_knobs({"max_weight": 0.1, "turnover_cost_bps": 0.0, "rebalance_s": 1.0})
        for market in (FIRST, SECOND_ONE, later(2.0), later(300.5), later(301.0)):
            shared = house.step(market)
            session.follow(shared)
            alone = untouched.step(market)
        assert same_figures(shared, alone)
        ours, theirs = house.state.portfolio, untouched.state.portfolio
        assert ours is not None and theirs is not None
        assert np.array_equal(ours.weights, theirs.weights)

    def test_the_check_above_catches_a_session_that_shares_its_knobs_with_the_house(self, house: Analysis) -> None:
        untouched, session = Analysis(), house
        session.optimizer.turnover_cost_bps = 0.0
        assert not same_figures(house.step(FIRST), untouched.step(FIRST))

    def test_it_steps_from_what_the_house_holds(self, house: Analysis) -> None:
        session = Analysis()
        session.optimizer.turnover_cost_bps = 0.0
        for market in (FIRST, later(300.0)):
            session.follow(house.step(market))
        shared = house.step(later(300.5))
        mine = session.follow(shared)
        assert mine.before is shared.before
        assert mine.allocation.previous_weights.equals(shared.allocation.previous_weights)

    def test_nothing_new_is_the_same_snapshot_again(self, house: Analysis) -> None:
        shared = house.step(FIRST)
        session = Analysis()
        assert session.follow(shared) is session.follow(shared)
        session.optimizer.max_weight = 0.15
        mine = session.follow(shared)
        assert session.follow(shared) is mine
        assert session.follow(house.step(SECOND_ONE)) is not mine

    def test_moving_a_later_knob_keeps_the_own_results_of_earlier_stages(self, house: Analysis) -> None:
        shared = house.step(FIRST)
        session = Analysis()
        session.fair_value.half_life_s = 2.0
        one = session.follow(shared)
        session.optimizer.turnover_cost_bps = 0.0
        two = session.follow(shared)
        assert two.fair is one.fair and two.edges is one.edges
        assert two.allocation is not one.allocation

    def test_the_covariance_of_the_house_is_not_estimated_again(self, house: Analysis) -> None:
        shared = house.step(FIRST)
        session = Analysis()
        session.optimizer.risk_aversion = 3.0
        mine, ours = session.follow(shared).after.portfolio, shared.after.portfolio
        assert mine is not None and ours is not None and ours.estimate is not None
        assert mine.estimate is ours.estimate

    def test_a_knob_moved_back_reads_the_house_again(self, house: Analysis) -> None:
        shared = house.step(FIRST)
        session = Analysis()
        session.optimizer.max_weight = 0.15
        session.follow(shared)
        session.optimizer.reset()
        assert session.follow(shared).allocation is shared.allocation

    def test_equal_knobs_give_equal_figures_however_they_were_reached(self, house: Analysis) -> None:
        shared = house.step(FIRST)
        session = Analysis()
        session.fair_value.half_life_s = 2.0
        mine = session.follow(shared)
        session.fair_value.half_life_s = 8.0
        session.edge_finder.extra_fee_bps = 1.0
        session.follow(shared)
        session.edge_finder.extra_fee_bps = 0.0
        session.fair_value.half_life_s = 2.0
        again = session.follow(shared)
        pd.testing.assert_frame_equal(mine.fair, again.fair, check_exact=True)
        pd.testing.assert_frame_equal(mine.edges, again.edges, check_exact=True)


def test_an_empty_market_goes_through_all_stages() -> None:
    for catalog in (make_catalog(), make_catalog(["BTC-USD"], {"M": ("yes", "no")})):
        snapshot = Analysis().step(make_market(catalog, {}))
        assert snapshot.allocation.reason


def test_analytics_can_be_imported_without_a_page_a_model_or_a_stream() -> None:
    script = "import sys, marketstream.analytics.analysis; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    for library in ("panel", "bokeh", "holoviews", "openai", "streamz", "fastapi", "websockets", "sqlalchemy"):
        assert library not in loaded
