"""Facts are what the frames say, counted again here by other means."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshot_factory import World, random_snapshot

from marketstream.analytics.analysis import Snapshot
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.allocation import AllocationStatus
from marketstream.market.quotes import QuoteState
from marketstream.market.rationale import MAX_FACTS, Fact, FactSheet, RationaleKind
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.sheet import apportion

KINDS = [(RationaleKind.PORTFOLIO_SUMMARY, None), (RationaleKind.RISK_REVIEW, None), (RationaleKind.EDGE_NOTE, None)]


def snapshot(seed: int = 3, **changes: object) -> Snapshot:
    return random_snapshot(World(seed=seed, n_assets=7, n_markets=3, **changes))


def values(sheet: FactSheet) -> dict[str, float]:
    return {fact.id: fact.value for fact in sheet.facts}


@given(
    st.lists(st.floats(0, 1e4), min_size=1, max_size=60),
    st.integers(0, 3),
)
def test_apportioned_parts_add_up_and_stay_within_a_unit(parts: list[float], decimals: int) -> None:
    exact = np.array(parts)
    shown = apportion(exact, decimals)
    unit = 10.0**-decimals
    assert round(float(shown.sum()), decimals) == pytest.approx(
        round(float(exact.sum()), decimals), abs=unit * 1.01e-6 + 1e-9
    )
    assert np.all(np.abs(shown - exact) < unit + 1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_shown_weights_add_up_to_the_shown_total(seed: int) -> None:
    sheet = fact_sheet(snapshot(seed), "portfolio_summary")
    weights = sorted((f.value for f in sheet.facts if f.metric == "weight" and f.value > 0), reverse=True)
    known = values(sheet)
    assert sum(weights[:3]) + known["portfolio.other_weight"] == pytest.approx(known["portfolio.invested"], abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_shown_changes_are_the_difference_of_the_shown_weights(seed: int) -> None:
    facts = fact_sheet(snapshot(seed), "portfolio_summary").by_id()
    for change in [f for f in facts.values() if f.metric == "weight_change"]:
        weight, before = (facts[f"{change.subject}.{m}"].value for m in ("weight", "weight_before"))
        assert change.value == pytest.approx(weight - before, abs=1e-9)


def test_equal_weights_share_the_first_place_however_their_figures_are_rounded() -> None:
    made = snapshot(3)
    frame = made.allocation.frame.copy()
    assets = frame.index.get_level_values("venue") == ""
    frame.loc[assets, "target"] = 1.0 / 7.0  # 14.2857 %: so that seven add up to 100, some are shown as 14.3
    sheet = fact_sheet(replace(made, allocation=replace(made.allocation, frame=frame)), "portfolio_summary")
    known = values(sheet)
    assert known["portfolio.n_largest_weight"] == 7 and known["portfolio.largest_weight"] == 14.3
    assert len({f.value for f in sheet.facts if f.metric == "weight"}) == 2
    assert not [f for f in sheet.facts if f.metric == "weight_rank"]


@pytest.mark.parametrize("seed", range(12))
def test_a_rank_is_given_only_where_nothing_ties(seed: int) -> None:
    made = snapshot(seed)
    facts = fact_sheet(made, "portfolio_summary").by_id()
    shown = apportion(made.allocation.weights.to_numpy() * 100, 1)
    for fact in [f for f in facts.values() if f.metric == "weight_rank"]:
        weight = facts[f"{fact.subject}.weight"].value
        assert fact.value == 1 + (shown > weight).sum()
        assert (np.isclose(shown, weight)).sum() == 1


@pytest.mark.parametrize("seed", range(6))
def test_quotes_are_counted_by_their_state(seed: int) -> None:
    made = snapshot(seed, late=0.4)
    known = values(fact_sheet(made, "risk_review"))
    states = made.market.books["state"].value_counts()
    assert known["feeds.n_live"] == states.get("LIVE", 0)
    assert known["feeds.n_late"] == states.get("STALE", 0)
    assert known["feeds.n_interrupted"] == states.get("GAP", 0)
    assert known["feeds.n_quotes"] == len(made.market.books)
    assert known["feeds.n_no_source"] == (made.market.best_quotes["n_live"] == 0).sum()


def test_a_closed_market_is_no_late_feed() -> None:
    made = snapshot(late=0.0, dark=0.0)
    before = values(fact_sheet(made, "risk_review"))
    made.market.book["state"][0][made.market.book["state"][0] != QuoteState.NO_DATA] = QuoteState.CLOSED
    for name in ("state", "fresh", "books", "best_quotes"):
        made.market.__dict__.pop(name, None)
    after = values(fact_sheet(made, "risk_review"))
    assert after["feeds.n_quotes"] == before["feeds.n_quotes"] - 4
    assert after["feeds.n_interrupted"] == after["feeds.n_no_source"] == 0
    assert after["feeds.n_instruments"] == before["feeds.n_instruments"] - 1


def test_a_late_price_is_no_edge() -> None:
    made = snapshot(late=0.4)
    known = fact_sheet(made, "edge_note")
    fresh = {(i, v) for (i, v), state in made.market.books["state"].items() if state == "LIVE"}
    rows = made.edges[[(i, v) in fresh for i, v, _ in made.edges.index]].dropna(subset=["edge", "roi"])
    assert values(known)["edges.n_prices"] == len(rows)
    assert {(f.subject, f.venue) for f in known.facts if f.metric == "roi"} <= fresh


def test_the_move_is_that_of_the_reference_price() -> None:
    made = next(s for s in map(snapshot, range(40)) if len(s.market.history.times) == 960)
    sheet = values(fact_sheet(made, "position_explanation", "SOL-USD"))
    mids = made.market.history.ref_mid[made.market.catalog.code("SOL-USD")]
    assert sheet["SOL-USD.price_window"] == 15
    assert sheet["SOL-USD.price_change"] == pytest.approx((mids[-1] / mids[-901] - 1) * 100, abs=0.005)


def test_returns_and_risks_are_shown_in_bps() -> None:
    made = snapshot()
    known = values(fact_sheet(made, "risk_review"))
    assert known["portfolio.risk"] == round(made.allocation.risk * 10_000, 1)
    assert known["portfolio.worst_loss"] == round(made.allocation.worst_loss * 10_000, 1)


@pytest.mark.parametrize("status", [s for s in AllocationStatus if s is not AllocationStatus.OPTIMAL])
def test_without_an_allocation_there_are_no_facts_of_weights(status: AllocationStatus) -> None:
    sheet = fact_sheet(snapshot(status=status), "portfolio_summary")
    assert not [f for f in sheet.facts if f.metric in ("weight", "risk", "expected_return", "invested")]
    assert next(f for f in sheet.facts if f.metric == "status").text == status.value


@pytest.mark.parametrize("seed", range(8))
def test_no_fact_is_a_negative_zero_or_lacks_its_origin(seed: int) -> None:
    for kind, subject in [*KINDS, (RationaleKind.POSITION_EXPLANATION, "M0:home")]:
        sheet = fact_sheet(snapshot(seed, hostile=True), kind, subject)
        assert len(sheet.facts) <= MAX_FACTS
        for fact in sheet.facts:
            assert math.copysign(1, fact.value) > 0 or fact.value < 0
            assert fact.source
            assert fact.as_of == sheet.as_of


def test_a_rounded_negative_zero_is_plain_zero() -> None:
    made = snapshot()
    made.allocation.frame["current"] = made.allocation.frame["target"] + 1e-9
    facts = fact_sheet(made, "portfolio_summary").facts
    changes: list[Fact] = [f for f in facts if f.metric == "weight_change"]
    assert changes
    assert all(str(f.value) == "0.0" for f in changes)


def test_the_sheet_of_a_wide_market_stays_small() -> None:
    wide = random_snapshot(World(seed=1, n_assets=380, n_markets=40))
    for kind, subject in [*KINDS, (RationaleKind.POSITION_EXPLANATION, "A20-USD")]:
        assert len(fact_sheet(wide, kind, subject).facts) < 200


def test_an_unknown_subject_or_kind_is_refused() -> None:
    with pytest.raises(NotFoundError, match="NOPE"):
        fact_sheet(snapshot(), "position_explanation", "NOPE")
    with pytest.raises(InvalidInputError, match="poem"):
        fact_sheet(snapshot(), "poem")


def test_the_same_snapshot_gives_the_same_sheet() -> None:
    assert fact_sheet(snapshot(5), "portfolio_summary") == fact_sheet(snapshot(5), "portfolio_summary")
