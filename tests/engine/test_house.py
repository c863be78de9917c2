"""The house analysis on the stream, and the events of allocations that moved."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest

import marketstream as ms
from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.clock import ManualClock
from marketstream.engine.house import HouseHandler, allocation_event, distance
from marketstream.market.events import Topic
from marketstream.market.quotes import QuoteBatch, empty_quotes
from marketstream.streaming.handlers import DeltaBatch


@pytest.fixture
async def snapshot() -> Snapshot:
    """Return what the house found after a minute of the demo."""
    engine = ms.connect("demo", clock=ManualClock(), warmup_s=60)
    await engine.run_for(1.0)
    found = engine.snapshot
    await engine.close()
    assert found is not None
    return found


def delta(snapshot: Snapshot, later_s: float = 0.0) -> DeltaBatch:
    now = snapshot.now + round(later_s * 1e9)
    market = replace(snapshot.market, now=now, sequence=snapshot.sequence + round(later_s * 10))
    return DeltaBatch(batch=QuoteBatch(empty_quotes(), now), market=market, previous=None)


def handler(**given: Any) -> HouseHandler:
    return HouseHandler(Analysis(), ManualClock(), **({"interval_s": 0.5, "move": 0.02} | given))


async def test_it_looks_no_more_often_than_the_interval(snapshot: Snapshot) -> None:
    house = handler()
    list(house(delta(snapshot)))
    first = house.snapshot
    list(house(delta(snapshot, 0.4)))
    assert house.snapshot is first
    list(house(delta(snapshot, 0.5)))
    assert house.snapshot is not first


async def test_the_first_allocation_is_told_and_the_same_again_is_not(snapshot: Snapshot) -> None:
    house = handler()
    told = list(house(delta(snapshot)))
    assert [event.topic for event in told] == [Topic.ALLOCATION]
    assert not list(house(delta(snapshot, 1.0)))


async def test_an_allocation_that_moved_is_told_with_what_it_was_before(snapshot: Snapshot) -> None:
    analysis = Analysis()
    house = HouseHandler(analysis, ManualClock(), interval_s=0.5, move=0.02)
    (first,) = house(delta(snapshot))
    analysis.optimizer.invested_share = 0.5
    (second,) = house(delta(snapshot, 1.0))
    weights, before = second.data["weights"], second.data["previous_weights"]
    assert isinstance(weights, dict) and before == first.data["weights"]
    assert sum(weights.values()) == pytest.approx(0.5)


async def test_planted_a_threshold_of_nothing_tells_every_time(snapshot: Snapshot) -> None:
    house = handler(move=0.0)
    assert list(house(delta(snapshot))) and list(house(delta(snapshot, 1.0)))


async def test_the_event_holds_what_led_to_the_allocation_as_plain_finite_json(snapshot: Snapshot) -> None:
    event = allocation_event(snapshot, None)
    plain = msgspec.json.decode(msgspec.json.encode(event.data))
    assert plain == event.data
    cause: Any = plain["cause"]
    assert {name: fair["method"] for name, fair in cause["fair"].items()} == snapshot.fair["method"].to_dict()
    assert cause["knobs"]["optimizer"].keys() == snapshot.knobs["optimizer"].keys()
    assert len(cause["edges"]) == min(20, int(snapshot.edges["executable"].sum()))
    numbers = [value for value in plain["weights"].values() if value is not None]
    assert numbers and all(math.isfinite(value) for value in numbers)


async def test_the_distance_of_two_allocations_is_that_of_a_hand_calculation(snapshot: Snapshot) -> None:
    before = snapshot.allocation
    frame = before.frame.copy()
    asset = frame.index[frame.index.get_level_values("venue") == ""][0]
    frame.loc[asset, "target"] += 0.05
    after = replace(before, frame=frame)
    assert distance(before, before) == 0.0
    assert distance(before, after) == pytest.approx(0.05)


async def test_a_weight_that_does_not_exist_counts_as_none(snapshot: Snapshot) -> None:
    frame = snapshot.allocation.frame.copy()
    frame["target"] = math.nan
    unknown = replace(snapshot.allocation, frame=frame)
    assert distance(unknown, unknown) == 0.0
    # Else each look at a book without weights would be told as a move.
    assert distance(snapshot.allocation, unknown) == pytest.approx(1.0)


async def test_an_instrument_that_came_or_went_counts_whole(snapshot: Snapshot) -> None:
    before = snapshot.allocation
    gone = before.weights.index[0]
    frame = before.frame[before.frame.index.get_level_values("instrument") != gone]
    assert distance(before, replace(before, frame=frame)) == pytest.approx(abs(before.weights[gone]))


async def test_an_analysis_that_raises_leaves_the_last_good_snapshot(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = Analysis()
    house = HouseHandler(analysis, ManualClock(), interval_s=0.5, move=0.02)
    list(house(delta(snapshot)))
    good = house.snapshot

    def fail(_: object) -> Snapshot:
        raise RuntimeError("planted")

    monkeypatch.setattr(analysis, "step", fail)
    with pytest.raises(RuntimeError, match="planted"):
        list(house(delta(snapshot, 1.0)))
    assert house.snapshot is good
