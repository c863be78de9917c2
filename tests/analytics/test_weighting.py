"""Limits that cannot hold together are explained; assets without a feed are neither bought nor sold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketstream.analytics import weighting
from marketstream.analytics.covariance import estimate
from marketstream.analytics.quadratic import WeightSolution
from marketstream.analytics.weighting import Weighting, WeightLimits, weigh
from marketstream.market.allocation import AllocationStatus


def limits(**changed: float) -> WeightLimits:
    fields: dict[str, float] = {
        "risk_aversion": 6.0,
        "max_weight": 0.2,
        "invested_share": 1.0,
        "turnover_cost": 8e-4,
        "holding_s": 86_400.0,
    }
    return WeightLimits(**{**fields, **changed})


def run(n: int = 10, *, held: Any = None, live: Any = None, mean: Any = None, **changed: float) -> Weighting:
    rng = np.random.default_rng(1)
    factor = rng.normal(0.0, 3e-4, (60, 1)) * np.linspace(0.5, 2.0, max(n, 1))[:n]
    covariance = estimate(factor + rng.normal(0.0, 3e-4, (60, n))).scaled_to(1800.0)
    return weigh(
        np.full(n, 1.0 / max(n, 1)) if held is None else np.asarray(held, dtype=np.float64),
        np.ones(n, dtype=bool) if live is None else np.asarray(live),
        np.zeros(n) if mean is None else np.asarray(mean, dtype=np.float64),
        covariance,
        limits(**changed),
    )


def test_a_feasible_problem_is_solved_and_names_its_method() -> None:
    found = run()
    assert found.status is AllocationStatus.OPTIMAL and found.reason == ""
    assert found.target.sum() == pytest.approx(1.0, abs=1e-12)
    assert "PIQP" in found.method and "factor" in found.method


def test_less_risky_assets_get_more_where_trading_is_free() -> None:
    found = run(turnover_cost=0.0)
    assert found.target[0] == pytest.approx(0.2)
    assert found.target[0] > found.target[-1]


def test_a_view_draws_weight_and_a_gap_between_venues_has_no_way_in() -> None:
    mean = np.zeros(10)
    mean[7] = 0.01
    assert run(mean=mean).target[7] == pytest.approx(0.2)
    assert run().target[7] <= 0.1


def test_more_aversion_to_risk_means_less_risk() -> None:
    risks = [run(risk_aversion=a).target @ np.arange(10) for a in (0.5, 6.0, 100.0)]
    assert risks[0] > risks[1] > risks[2]


def test_too_small_a_largest_weight_is_infeasible_and_the_reason_names_both_limits_and_what_would_help() -> None:
    found = run(max_weight=0.05)
    assert found.status is AllocationStatus.INFEASIBLE
    assert found.reason == (
        "10 live assets at the largest weight 5.0% make at most 50.0%, less than the invested share 100.0%; "
        "raise the largest weight to at least 10.0% or lower the invested share to at most 50.0%; "
        "weights stay as held"
    )
    assert (found.target == 0.1).all()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 12),
    dead=st.integers(0, 3),
    max_weight=st.floats(0.01, 0.3),
    share=st.floats(0.1, 1.0),
)
def test_what_an_infeasible_reason_advises_does_help(n: int, dead: int, max_weight: float, share: float) -> None:
    live = np.arange(n) >= min(dead, n - 1)
    found = run(n, live=live, held=np.full(n, share / n), max_weight=max_weight, invested_share=share)
    if found.status is AllocationStatus.OPTIMAL:
        return
    assert found.status is AllocationStatus.INFEASIBLE
    more = re.search(r"largest weight to at least ([\d.]+)%", found.reason)
    less = re.search(r"invested share to at most ([\d.]+)%", found.reason)
    assert less is not None
    lowered = float(less[1]) / 100.0
    held = np.full(n, share / n)
    assert run(n, live=live, held=held, max_weight=max_weight, invested_share=lowered).status == "optimal"
    if more is not None:
        raised = min(float(more[1]) / 100.0, 1.0)
        assert run(n, live=live, held=held, max_weight=raised, invested_share=share).status == "optimal"


class TestNoFeed:
    def test_an_asset_without_a_live_source_stays_at_what_is_held(self) -> None:
        live = np.arange(10) != 3
        found = run(live=live, turnover_cost=0.0)
        assert found.target[3] == 0.1
        assert found.binding[3] == "no live source"
        assert found.target.sum() == pytest.approx(1.0, abs=1e-12)

    def test_one_that_was_never_held_gets_no_money(self) -> None:
        held = np.full(10, 1.0 / 9.0)
        held[3] = 0.0
        assert run(held=held, live=np.arange(10) != 3, turnover_cost=0.0).target[3] == 0.0

    def test_it_obeys_the_largest_weight_all_the_same(self) -> None:
        held = np.full(10, 0.05)
        held[3] = 0.55
        assert run(held=held, live=np.arange(10) != 3).target[3] == 0.2

    def test_no_feed_at_all_keeps_everything_and_says_so(self) -> None:
        found = run(live=np.zeros(10, dtype=bool))
        assert found.status is AllocationStatus.NO_DATA
        assert found.reason == "no asset has a live source; weights stay as held"
        assert (found.target == 0.1).all()

    def test_no_asset_at_all_is_no_data(self) -> None:
        assert run(0).reason == "no assets are listed; weights stay as held"

    def test_more_held_without_a_feed_than_may_be_invested_is_a_conflict(self) -> None:
        held = np.r_[np.full(5, 0.2), np.zeros(5)]
        found = run(held=held, live=np.arange(10) >= 5, invested_share=0.5)
        assert found.status is AllocationStatus.INFEASIBLE
        assert found.reason.startswith("assets without a live source hold 100.0%, more than the invested share 50.0%")


class TestEdgesOfTheFeasible:
    def test_exactly_enough_room_puts_every_asset_at_its_limit(self) -> None:
        found = run(5)
        assert found.target == pytest.approx(np.full(5, 0.2), abs=1e-12)
        assert set(found.binding) == {"largest weight"}

    @pytest.mark.parametrize("excess", [1e-12, 1e-10, 1e-8, 1e-6])
    def test_hardly_more_room_than_that_is_no_obstacle(self, excess: float) -> None:
        found = run(5, max_weight=0.2 + excess)
        assert found.status is AllocationStatus.OPTIMAL
        assert found.target.sum() == pytest.approx(1.0, abs=1e-8)
        assert found.target.max() <= 0.2 + excess + 1e-8

    def test_nothing_to_invest_is_all_cash(self) -> None:
        assert (run(invested_share=0.0).target == 0.0).all()


def test_what_holds_each_weight_is_named() -> None:
    mean = np.zeros(10)
    mean[0], mean[9] = 0.05, -0.05
    found = run(mean=mean)
    assert found.binding[0] == "largest weight"
    assert found.binding[9] == "not below zero"
    assert "no trade band" in found.binding
    assert all(found.target[i] == 0.1 for i in np.flatnonzero(found.binding == "no trade band"))


def test_a_solver_that_fails_leaves_the_last_weights_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> WeightSolution:
        return WeightSolution(weights=None, reason="solver stopped: numerics", iterations=3)

    monkeypatch.setattr(weighting, "solve_weights", broken)
    found = run()
    assert found.status is AllocationStatus.FAILED
    assert found.reason == "solver stopped: numerics; weights stay as held"
    assert (found.target == 0.1).all()
