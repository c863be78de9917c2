"""Events as plain JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.errors import InvalidInputError
from marketstream.market.events import MarketEvent, Topic, event_from_json, event_to_json

SCALARS = st.one_of(
    st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()
)
DATA = st.dictionaries(
    st.text(), st.recursive(SCALARS, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8)
)
EVENTS = st.builds(
    MarketEvent,
    ts=st.integers(-(2**63), 2**63 - 1),
    topic=st.sampled_from(Topic),
    subject=st.text(),
    message=st.text(),
    data=DATA,
    id=st.text(),
)


@given(EVENTS)
def test_an_event_comes_back_whole_from_json_text(event: MarketEvent) -> None:
    text = json.dumps(event_to_json(event), allow_nan=False)
    assert event_from_json(json.loads(text)) == event


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_number_outside_data_is_one_that_a_browser_would_round(ts: int) -> None:
    event = MarketEvent(ts=ts, topic=Topic.FEED_GAP, subject="kraken", message="Gap.")
    assert not any(isinstance(value, int) for value in event_to_json(event).values())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ts": 5}, "ts of an event must be text, was 5"),
        ({"ts": "soon"}, "ts of an event is whole UTC ns"),
        ({"topic": "market.data.forgotten"}, "topic one of the known ones"),
        ({"subject": None}, "subject of an event must be text, was None"),
        ({"data": [1]}, "data of an event must be an object"),
        ({"extra": 1}, "an event has the keys"),
    ],
)
def test_what_is_no_event_is_refused_with_what_is_wrong(change: dict[str, Any], complaint: str) -> None:
    event = MarketEvent(ts=5, topic=Topic.FEED_GAP, subject="kraken", message="Gap.")
    with pytest.raises(InvalidInputError, match=complaint):
        event_from_json({**event_to_json(event), **change})


def test_only_market_data_and_deltas_may_be_dropped() -> None:
    soft = {t for t in Topic if not MarketEvent(ts=0, topic=t, subject="", message="").is_control}
    assert soft == {Topic.MARKET_DATA, Topic.MARKET_DELTA}
