"""Which changes become events: far moves and crossed books, each at most once in a while."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_factory import NOW, SECOND, Q, make_catalog, make_market

from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.quotes import QuoteBatch, empty_quotes
from marketstream.market.state import DELTA_DTYPE, MarketState
from marketstream.streaming.deltas import DeltaGraph
from marketstream.streaming.detector import DeltaDetector
from marketstream.streaming.handlers import DeltaBatch

NAMES = ("A-USD", "B-USD", "C-USD")


def moment(at_s: float, z: dict[int, float] | None = None, crossed: Sequence[int] = ()) -> DeltaBatch:
    """A cycle `at_s` seconds on, with these z-scores of changes by instrument code and these crossed books."""
    market = make_market(
        make_catalog(NAMES, venues=("alpha", "beta")),
        {
            (name, venue): Q(100.0 + shift, 101.0 + shift, age=age)
            for name in NAMES
            for venue, shift, age in (("alpha", 0.0, 0.0), ("beta", 2.0, 11.0 if name == "C-USD" else 0.0))
        },
        now=NOW + round(at_s * SECOND),
    )
    changed = np.zeros(len(z or {}), dtype=DELTA_DTYPE)
    for row, (code, score) in zip(changed, (z or {}).items(), strict=True):
        row["instrument"], row["z_change"] = code, score
        row["ref_mid"], row["change"], row["rel_change"] = 101.5, score / 10, score / 1000
    best = market.best.copy()
    best["bid_venue"], best["ask_venue"], best["best_bid"], best["best_ask"] = 1, 0, 102.0, 101.0
    best["crossed"][list(crossed)] = True
    market = replace(market, changed=changed, best=best)
    return DeltaBatch(batch=QuoteBatch(empty_quotes(0), market.now), market=market, previous=None)


def told(events: Sequence[MarketEvent]) -> list[tuple[str, object]]:
    return [(one.subject, one.data.get("crossed", one.data.get("z_change"))) for one in events]


def test_a_far_move_is_told_with_its_figures_and_the_venues_it_rests_on() -> None:
    (one,) = DeltaDetector()(moment(0, {2: -5.0, 1: 3.9}))
    assert one == MarketEvent(
        ts=NOW,
        topic=Topic.MARKET_DELTA,
        subject="C-USD",
        message="Moved by -0.50 to 101.50, -5.0 of its standard deviations.",
        data={
            "kind": "move",
            "change": -0.5,
            "rel_change": -0.005,
            "z_change": -5.0,
            "ref_mid": 101.5,
            "venues": ["alpha"],  # beta is 11 s old, and 10 s is the limit
        },
    )


def test_a_threshold_is_reached_at_its_value_and_nan_reaches_none() -> None:
    detector = DeltaDetector(z_min=2.0)
    assert told(detector(moment(0, {0: 2.0, 1: math.nan, 2: -2.0}))) == [("A-USD", 2.0), ("C-USD", -2.0)]


def test_moves_are_told_by_instrument_code_in_whatever_order_they_changed() -> None:
    assert told(DeltaDetector()(moment(0, {2: 9.0, 0: 8.0}))) == [("A-USD", 8.0), ("C-USD", 9.0)]


def test_an_instrument_is_quiet_for_a_while_and_others_are_not() -> None:
    detector = DeltaDetector(quiet_s=10.0)
    assert told(detector(moment(0, {0: 5.0}))) == [("A-USD", 5.0)]
    assert told(detector(moment(9.9, {0: 6.0, 1: 7.0}))) == [("B-USD", 7.0)]
    assert told(detector(moment(10.0, {0: 8.0, 1: 8.0}))) == [("A-USD", 8.0)]


def test_a_book_that_becomes_crossed_is_told_once_and_its_end_too() -> None:
    detector = DeltaDetector(quiet_s=1.0, lasting_s=0.0)
    (start,) = detector(moment(0, crossed=[1]))
    assert start.data == {
        "kind": "crossed",
        "crossed": True,
        "best_bid": 102.0,
        "bid_venue": "beta",
        "best_ask": 101.0,
        "ask_venue": "alpha",
    }
    assert start.message == "Crossed: bid 102.00 at beta above ask 101.00 at alpha."
    assert detector(moment(1, crossed=[1])) == []
    (end,) = detector(moment(2))
    assert (end.subject, end.data, end.message) == (
        "B-USD",
        {"kind": "crossed", "crossed": False},
        "Crossed no longer.",
    )


def crossings(detector: DeltaDetector, crossed: str) -> list[tuple[int, object]]:
    """When it was told that a book is crossed (x) and no longer, a cycle a second."""
    events = [(at, told(detector(moment(at, crossed=[0] if now == "x" else [])))) for at, now in enumerate(crossed)]
    return [(at, one) for at, them in events for _, one in them]


def test_a_book_that_flickers_is_no_news() -> None:
    assert crossings(DeltaDetector(lasting_s=2.0), "x.x.xx.x.xx..") == []
    assert crossings(DeltaDetector(lasting_s=0.0, quiet_s=0.0), "x.x")  # a planted detector that does not wait tells


def test_a_crossing_is_told_when_it_has_lasted_and_its_end_at_once() -> None:
    assert crossings(DeltaDetector(lasting_s=2.0), ".xxxxx.") == [(3, True), (6, False)]


def test_the_next_crossing_is_told_when_the_quiet_is_over() -> None:
    assert crossings(DeltaDetector(lasting_s=1.0, quiet_s=6.0), "xx.xxxxxxx") == [(1, True), (2, False), (7, True)]


def test_a_move_and_a_crossing_of_one_instrument_do_not_hush_each_other() -> None:
    assert told(DeltaDetector(lasting_s=0.0)(moment(0, {0: 5.0}, [0]))) == [("A-USD", 5.0), ("A-USD", True)]


def test_a_catalogue_may_grow() -> None:
    detector = DeltaDetector(lasting_s=0.0)
    small = moment(0, {0: 5.0})
    small = replace(small, market=replace(small.market, best=small.market.best[:1], book=small.market.book[:1]))
    assert told(detector(small)) == [("A-USD", 5.0)]
    assert told(detector(moment(1, {0: 5.0, 2: 6.0}, [2]))) == [("C-USD", 6.0), ("C-USD", True)]


Z = st.dictionaries(st.integers(0, 2), st.floats(-9, 9), max_size=3)


@given(st.lists(st.tuples(st.floats(0.1, 8.0), Z, st.sets(st.integers(0, 2))), max_size=30))
def test_the_events_are_those_of_the_rule_read_row_by_row(
    cycles: list[tuple[float, dict[int, float], set[int]]],
) -> None:
    detector, at = DeltaDetector(z_min=4.0, quiet_s=10.0, lasting_s=5.0), 0.0
    moved: dict[int, int] = {}
    said: dict[int, int] = {}
    since: dict[int, int] = {}
    open_: set[int] = set()
    for wait, z, crossed in cycles:
        at += wait
        delta = moment(at, z, sorted(crossed))
        now, expected = delta.market.now, list[tuple[str, object]]()
        for code in sorted(z):
            if abs(z[code]) >= 4.0 and (code not in moved or now - moved[code] >= 10 * SECOND):
                moved[code] = now
                expected.append((NAMES[code], z[code]))
        since = {code: since.get(code, now) for code in crossed}
        for code in range(3):
            if code in open_ and code not in crossed:
                open_.discard(code)
                expected.append((NAMES[code], False))
                continue
            lasting = code in crossed and code not in open_ and now - since[code] >= 5 * SECOND
            if lasting and (code not in said or now - said[code] >= 10 * SECOND):
                said[code] = now
                open_.add(code)
                expected.append((NAMES[code], True))
        assert told(detector(delta)) == expected


def test_it_finds_a_jump_in_the_stream_itself() -> None:
    catalog: Catalog = make_catalog(("A-USD",), venues=("alpha", "beta"))
    states: list[MarketState] = []
    graph, detector, rng = DeltaGraph(catalog, states.append), DeltaDetector(), np.random.default_rng(3)
    found: list[MarketEvent] = []
    for second in range(120):
        rows = empty_quotes(2)
        mid = 100.0 + rng.normal(0, 0.01) + (1.0 if second >= 100 else 0.0)
        rows["venue"] = [0, 1]
        rows["bid"], rows["ask"] = mid - 0.01, mid + 0.01
        # Both venues at one moment, and in one cycle.
        rows["ts_received"] = rows["ts_event"] = NOW + second * SECOND
        batch = QuoteBatch(rows, NOW + second * SECOND)
        graph.emit(batch)
        found += detector(DeltaBatch(batch=batch, market=states[-1], previous=None))
    graph.close()
    assert [(one.ts - NOW) // SECOND for one in found if one.data["kind"] == "move"] == [100]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"z_min": 0.0}, "z_min must be > 0 standard deviations, was 0.0"),
        ({"z_min": math.nan}, "z_min must be > 0"),
        ({"quiet_s": -1.0}, "quiet_s must be >= 0 seconds, was -1.0"),
        ({"quiet_s": math.inf}, "quiet_s must be >= 0"),
        ({"lasting_s": math.nan}, "lasting_s must be >= 0"),
    ],
)
def test_a_knob_out_of_range_is_refused(wrong: dict[str, float], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        DeltaDetector(**wrong)
