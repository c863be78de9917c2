"""Whatever is valid comes back as it went in: events, texts and dead letters of any content."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import PostgresServer
from store_records import fact, rationale

from marketstream.clock import ManualClock
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter, DeadLetterStatus
from marketstream.market.rationale import (
    Fact,
    Issue,
    IssueKind,
    Rationale,
    RationaleKind,
    RationaleStatus,
    Span,
    SpanKind,
)
from marketstream.market.records import EventFilter, PageRequest
from marketstream.store.repository import Store

# NUL and lone surrogates are replaced, see test_columns.py.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)
WHOLE = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FLOAT | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DATA = st.dictionaries(TEXT, JSON, max_size=4)
# Those that carry a record keep only a reference to it.
TOPICS = st.sampled_from([topic for topic in Topic if topic not in {Topic.ALLOCATION, Topic.RATIONALE}])
EVENTS = st.builds(
    MarketEvent, ts=WHOLE, topic=TOPICS, subject=TEXT, message=TEXT, data=DATA, id=NAMES
)  # fmt: skip
LETTERS = st.builds(
    DeadLetter,
    id=NAMES,
    handler=TEXT,
    event_id=TEXT,
    topic=TEXT,
    subject=TEXT,
    payload=DATA,
    error_type=TEXT,
    error=TEXT,
    attempts=WHOLE,
    failed_at=WHOLE,
    status=st.sampled_from(DeadLetterStatus),
)


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    decimals = draw(st.integers(0, 6))
    value = round(draw(st.floats(-1e9, 1e9)), decimals) + 0.0
    return fact(
        id=draw(NAMES),
        subject=draw(TEXT),
        subject_name=draw(TEXT),
        venue=draw(st.none() | TEXT),
        value=0.0 if value == 0 else value,
        decimals=decimals,
        directional=draw(st.booleans()),
        as_of=draw(WHOLE),
        age_ms=draw(st.none() | FLOAT),
        exact=draw(FLOAT),
        text=draw(TEXT),
    )


SPANS = st.lists(st.builds(Span, start=WHOLE, end=WHOLE, fact_id=TEXT, kind=st.sampled_from(SpanKind)), max_size=3).map(
    tuple
)
ISSUES = st.lists(
    st.builds(Issue, kind=st.sampled_from(IssueKind), start=WHOLE, end=WHOLE, message=TEXT), max_size=3
).map(tuple)
TEXTS = st.builds(
    rationale,
    id=NAMES,
    kind=st.sampled_from(RationaleKind),
    subject=st.none() | TEXT,
    status=st.sampled_from(RationaleStatus),
    headline=TEXT,
    headline_spans=SPANS,
    text=TEXT,
    spans=SPANS,
    facts=st.lists(facts(), max_size=3).map(tuple),
    issues=ISSUES,
    n_figures=WHOLE,
    written_by=TEXT,
    created_at=WHOLE,
    as_of=WHOLE,
    sequence=WHOLE,
    reason=TEXT,
)

NEW = itertools.count()
"""Makes the ids of one example differ from those of the examples before it."""
Play = Callable[[Callable[[Store], Any]], Any]


@pytest.fixture(params=["memory", "postgresql"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Play]:
    """Run an asynchronous function on a store that stays open between examples."""
    url = "memory"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.without_rows()
    with asyncio.Runner() as runner:
        store = Store(url, clock=ManualClock(), data_dir=tmp_path)
        runner.run(store.open())
        yield lambda act: runner.run(act(store))
        runner.run(store.close())


def examples(number: int) -> Any:
    return settings(max_examples=number, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@examples(40)
@given(event=EVENTS)
def test_any_event_comes_back_as_it_was(play: Play, event: MarketEvent) -> None:
    event = replace(event, id=f"{event.id}{next(NEW)}")

    async def act(store: Store) -> None:
        before = store.status().rows["events"]
        await store.handle([event])
        await store.handle([event])
        # Of one moment and subject, since lists are by time and other events are there already.
        until = event.ts + 1 if event.ts < 2**63 - 1 else None
        wanted = EventFilter(topics=(event.topic.value,), subject=event.subject, since=event.ts, until=until)
        rows = (await store.events(wanted, PageRequest(limit=1000))).rows
        found = [one for one in rows if one.id == event.id]
        # repr tells -0.0 from 0.0 and 1 from 1.0, which == does not.
        assert repr(found[0]) == repr(event)
        assert store.status().rows["events"] == before + 1

    play(act)


@examples(40)
@given(text=TEXTS)
def test_any_text_comes_back_as_it_was(play: Play, text: Rationale) -> None:
    text = replace(text, id=f"{text.id}{next(NEW)}")

    async def act(store: Store) -> None:
        told = {"rationale": text.to_json()}
        await store.handle([MarketEvent(ts=0, topic=Topic.RATIONALE, subject="", message="", data=told, id=text.id)])
        found = await store.rationale(text.id)
        assert found == text and repr(found) == repr(text)

    play(act)


@examples(40)
@given(letter=LETTERS)
def test_any_dead_letter_comes_back_as_it_was(play: Play, letter: DeadLetter) -> None:
    async def act(store: Store) -> None:
        await store.save_dead_letter(letter)
        await store.save_dead_letter(letter)
        found = await store.dead_letter(letter.id)
        assert repr(found) == repr(letter)
        listed = await store.dead_letters(letter.status, letter.handler, PageRequest())
        assert found in listed.rows

    play(act)
