"""DeltaHandlerManager: cycles through analyses, events through lanes, dead letters kept."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from event_factory import SOFT, event, numbers, soft, turns
from market_factory import Q, make_catalog, make_market

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter, HandlerKind, HandlerOutcome, RetryPolicy
from marketstream.market.quotes import QuoteBatch, empty_quotes
from marketstream.market.state import MarketState
from marketstream.streaming.event_bus import EventBus
from marketstream.streaming.handlers import DeltaBatch, DeltaHandlerManager
from marketstream.streaming.waiting import Overflow


class Stage:
    """A manager with a market that a test moves on, and a place for dead letters."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.market: MarketState | None = None
        self.letters: list[DeadLetter] = []
        self.keeping = True
        self.refused: set[str] = set()
        self.seen: list[MarketEvent] = []
        self.poison: set[object] = set()
        self.handlers = DeltaHandlerManager(
            clock=self.clock,
            market=lambda: self.market,
            on_dead_letter=self.keep,
            rng=random.Random(1),
            run="run",
        )

    async def keep(self, letter: DeadLetter) -> None:
        if not self.keeping:
            raise TransientError("the store is away")
        if letter.id in self.refused:
            raise InvalidInputError("payload must be plain JSON")
        self.letters.append(letter)

    async def see(self, events: Sequence[MarketEvent]) -> None:
        """An effect; idempotent, and some events are poison to it."""
        for one in events:
            if one.data.get("n") in self.poison:
                raise PermanentError("poison")
            if one.id not in {known.id for known in self.seen}:
                self.seen.append(one)

    def move_on(self, n_quotes: int = 0) -> QuoteBatch:
        """Make the next moment of the market and return its batch."""
        sequence = 1 if self.market is None else self.market.sequence + 1
        self.market = make_market(make_catalog(["A-USD"]), {("A-USD", "alpha"): Q(1, 2)}, sequence=sequence)
        return QuoteBatch(empty_quotes(n_quotes), self.market.now)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.handlers.start()
    yield stage
    await stage.handlers.stop(drain_s=0)


async def test_analyses_run_after_each_cycle_in_order_of_registration(stage: Stage) -> None:
    looked: list[tuple[str, int, int | None, int]] = []

    def look(name: str) -> None:
        def handle(delta: DeltaBatch) -> None:
            before = None if delta.previous is None else delta.previous.sequence
            looked.append((name, delta.market.sequence, before, len(delta.batch)))

        stage.handlers.add_analysis(name, handle)

    look("second by name, first by registration"), look("a")
    await stage.handlers.dispatch(stage.move_on(3))
    await stage.handlers.dispatch(stage.move_on(0))
    first, second = "second by name, first by registration", "a"
    assert looked == [(first, 1, None, 3), (second, 1, None, 3), (first, 2, 1, 0), (second, 2, 1, 0)]


async def test_what_analyses_tell_of_is_submitted_and_then_the_cycle_itself(stage: Stage) -> None:
    stage.handlers.add_analysis("tells", lambda delta: (soft(n) for n in range(2)))
    stage.handlers.add_effect("sees", stage.see)
    batch = stage.move_on(4)
    await stage.handlers.dispatch(batch)
    await stage.handlers.settle()
    assert [(one.topic, one.id) for one in stage.seen] == [
        (SOFT, "run-00000001"),
        (SOFT, "run-00000002"),
        (Topic.MARKET_DATA, "run-00000003"),
    ]
    cycle = stage.seen[-1]
    assert cycle.data == {"sequence": 1, "n_quotes": 4, "n_changed": 0}
    assert (cycle.subject, cycle.ts) == ("market", batch.now)
    assert cycle.message == "Cycle 1: 4 quotes, 0 instruments changed."


async def test_an_analysis_that_raises_is_counted_and_the_next_one_and_the_next_cycle_run(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []

    def bad(delta: DeltaBatch) -> Iterable[MarketEvent]:
        yield soft(1)
        raise ZeroDivisionError("no quotes")

    stage.handlers.add_analysis("bad", bad)
    stage.handlers.add_analysis("good", lambda delta: ran.append(delta.market.sequence))
    stage.handlers.add_effect("sees", stage.see)
    for _ in range(3):
        await stage.handlers.dispatch(stage.move_on())
    await stage.handlers.settle()
    assert ran == [1, 2, 3]
    # Half of what it had to tell is nothing.
    assert {one.topic for one in stage.seen} == {Topic.MARKET_DATA}
    report = stage.handlers.report()[0]
    assert (report.kind, report.done, report.errors) == (HandlerKind.ANALYSIS, 0, 3)
    assert report.last_error == "ZeroDivisionError: no quotes"
    assert [r.getMessage() for r in caplog.records] == ["analysis 'bad' failed at cycle 1"]


async def test_a_cycle_that_made_no_new_moment_is_passed_over(stage: Stage) -> None:
    ran: list[int] = []
    stage.handlers.add_analysis("counts", lambda delta: ran.append(delta.market.sequence))
    await stage.handlers.dispatch(QuoteBatch(empty_quotes(0), 0))
    batch = stage.move_on()
    await stage.handlers.dispatch(batch)
    await stage.handlers.dispatch(batch)
    assert ran == [1]


async def test_an_event_goes_into_every_lane_that_takes_its_topic_and_keeps_an_id_it_has(stage: Stage) -> None:
    lanes: dict[str, list[MarketEvent]] = {"market": [], "all": []}

    for name, topics in (("market", ("market.#",)), ("all", ("provider.#", "*.delta.*"))):

        async def take(events: Sequence[MarketEvent], into: list[MarketEvent] = lanes[name]) -> None:
            into.extend(events)

        stage.handlers.add_effect(name, take, topics=topics)
    given = stage.handlers.submit(event(1, id="other-7"))
    made = stage.handlers.submit(soft(2))
    await stage.handlers.settle()
    assert (given.id, made.id) == ("other-7", "run-00000002")
    assert lanes == {"market": [made], "all": [given, made]}


async def test_one_lane_that_fails_delays_no_other(stage: Stage) -> None:
    async def away(events: Sequence[MarketEvent]) -> None:
        raise TransientError("away")

    stage.handlers.add_effect("away", away, retry=RetryPolicy(max_attempts=9))
    stage.handlers.add_effect("sees", stage.see)
    for n in range(3):
        stage.handlers.submit(event(n))
    await turns(20)
    assert numbers(stage.seen) == [0, 1, 2]
    away_report, sees_report = stage.handlers.report()
    assert away_report.retrying == "TransientError: away" and away_report.waiting == 3
    assert (sees_report.done, sees_report.waiting, sees_report.kind) == (3, 0, HandlerKind.EFFECT)


async def test_handlers_come_and_go_while_the_stream_runs(stage: Stage) -> None:
    stage.handlers.add_analysis("tells", lambda delta: None)
    stage.handlers.submit(event(0))
    stage.handlers.add_effect("sees", stage.see)
    assert stage.handlers.names == ("tells", "sees")
    stage.handlers.submit(event(1))
    await stage.handlers.remove("sees")
    stage.handlers.submit(event(2))
    await stage.handlers.remove("tells")
    # What waited was dealt with; what came before and after was not for it.
    assert numbers(stage.seen) == [1] and stage.handlers.names == () and stage.letters == []
    stage.handlers.add_effect("sees", stage.see)
    stage.handlers.submit(event(3))
    await stage.handlers.settle()
    assert numbers(stage.seen) == [1, 3]


async def test_what_a_removed_handler_cannot_deal_with_in_time_becomes_dead_letters(stage: Stage) -> None:
    async def hangs(events: Sequence[MarketEvent]) -> None:
        await asyncio.Event().wait()

    stage.handlers.add_effect("hangs", hangs)
    for n in range(2):
        stage.handlers.submit(event(n))
    stage.handlers.submit(soft(2))
    removing = asyncio.create_task(stage.handlers.remove("hangs", drain_s=3.0))
    await stage.clock.run_for(5.0)
    await removing
    assert [letter.id for letter in stage.letters] == ["hangs:run-00000001", "hangs:run-00000002"]


async def test_a_stop_lets_lanes_empty_and_keeps_what_is_left(stage: Stage) -> None:
    async def slow(events: Sequence[MarketEvent]) -> None:
        await stage.clock.sleep(1.0)
        await stage.see(events)

    stage.handlers.add_effect("slow", slow)
    for n in range(5):
        stage.handlers.submit(event(n))
    stopping = asyncio.create_task(stage.handlers.stop(drain_s=5.0))
    await stage.clock.run_for(5.0)
    await stopping
    assert numbers(stage.seen) == [0, 1]
    assert [letter.event_id for letter in stage.letters] == [f"run-{n:08d}" for n in (3, 4, 5)]
    assert stage.handlers.unsaved == [] and stage.handlers.report()[0].waiting == 0


async def test_letters_that_cannot_be_kept_at_the_stop_are_told_of_and_kept_at_the_next_start(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.handlers.add_effect("sees", stage.see)
    stage.poison, stage.keeping = {0}, False
    for n in range(2):
        stage.handlers.submit(event(n))
    stopping = asyncio.create_task(stage.handlers.stop(drain_s=2.0))
    await stage.clock.run_for(10.0)
    await stopping
    assert [letter.error for letter in stage.handlers.unsaved] == ["poison", "the handler ended before it came to this"]
    assert "2 dead letters could not be kept: sees:run-00000001, sees:run-00000002" in caplog.text
    stage.keeping = True
    await stage.handlers.start()
    assert stage.handlers.unsaved == [] and len(stage.letters) == 2


async def test_a_letter_that_is_refused_is_told_of_and_holds_up_neither_its_lane_nor_other_letters(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.handlers.add_effect("sees", stage.see)
    stage.poison, stage.refused = {0, 1}, {"sees:run-00000001"}
    for n in range(3):
        stage.handlers.submit(event(n))
    await stage.handlers.settle()
    assert numbers(stage.seen) == [2] and [letter.id for letter in stage.letters] == ["sees:run-00000002"]
    assert [letter.id for letter in stage.handlers.unsaved] == ["sees:run-00000001"]
    assert "dead letter sees:run-00000001 was refused and is kept in memory only" in caplog.text
    await stage.handlers.stop()
    stage.handlers.unsaved.append(replace(stage.letters.pop(), id="sees:later"))
    await stage.handlers.start()
    assert [letter.id for letter in stage.letters] == ["sees:later"]
    assert [letter.id for letter in stage.handlers.unsaved] == ["sees:run-00000001"]


async def test_what_a_handler_tells_of_is_plain_json_before_anybody_gets_it(stage: Stage) -> None:
    stage.handlers.add_effect("sees", stage.see)
    data: Any = {"n": np.int64(3), "edge": math.nan, "ok": np.bool_(True)}
    submitted = stage.handlers.submit(replace(event(0), data=data))
    await stage.handlers.settle()
    assert [one.data for one in stage.seen] == [submitted.data] == [{"n": 3, "edge": None, "ok": True}]


async def test_a_stop_takes_no_longer_than_told_where_handler_and_letters_hang(stage: Stage) -> None:
    async def hangs(it: object) -> None:
        await asyncio.Event().wait()

    handlers = DeltaHandlerManager(clock=stage.clock, market=lambda: None, on_dead_letter=hangs, run="x")
    handlers.add_effect("hangs", hangs)
    await handlers.start()
    handlers.submit(event(1))
    stopping = asyncio.create_task(handlers.stop(drain_s=2.0))
    await stage.clock.run_for(2.0)
    await asyncio.wait_for(stopping, 5)
    assert [letter.event_id for letter in handlers.unsaved] == ["x-00000001"]


async def test_what_was_submitted_before_the_start_is_dealt_with_then() -> None:
    stage = Stage()
    stage.handlers.add_effect("sees", stage.see)
    stage.handlers.submit(event(1))
    with pytest.raises(TransientError, match="handler 'sees' does not run"):
        await stage.handlers.settle()
    await stage.handlers.start()
    await stage.handlers.settle()
    await stage.handlers.stop()
    assert numbers(stage.seen) == [1]


def test_handlers_and_bus_may_be_started_on_another_loop_than_before() -> None:
    stage = Stage()
    bus, heard = EventBus(stage.clock), list[MarketEvent]()
    bus.subscribe("#", heard.append, capacity=9)
    stage.handlers.add_effect("bus", bus.handle)

    async def once(n: int) -> None:
        bus.start()
        await stage.handlers.start()
        stage.handlers.submit(event(n))
        await stage.handlers.settle()
        stage.handlers.submit(event(n + 10))
        await stage.handlers.stop()
        await bus.stop()

    for n in range(3):
        asyncio.run(once(n))
    assert numbers(heard) == [0, 10, 1, 11, 2, 12]


async def test_replaying_a_letter_twice_does_its_effect_once(stage: Stage) -> None:
    stage.handlers.add_effect("sees", stage.see)
    stage.poison = {1}
    for n in range(3):
        stage.handlers.submit(event(n))
    await stage.handlers.settle()
    (letter,) = stage.letters
    stage.poison = set()
    results = await asyncio.gather(stage.handlers.replay(letter), stage.handlers.replay(letter))
    assert [(r.outcome, r.attempts) for r in results] == [(HandlerOutcome.DONE, 2)] * 2
    assert numbers(stage.seen) == [0, 2, 1]


async def test_an_effect_that_is_not_idempotent_is_what_that_test_would_catch(stage: Stage) -> None:
    done: list[MarketEvent] = []

    async def append(events: Sequence[MarketEvent]) -> None:
        if stage.poison:
            raise PermanentError("poison")
        done.extend(events)

    stage.handlers.add_effect("appends", append)
    stage.poison = {1}
    stage.handlers.submit(event(1))
    await stage.handlers.settle()
    stage.poison = set()
    for _ in range(2):
        await stage.handlers.replay(stage.letters[0])
    assert numbers(done) == [1, 1]


async def test_a_letter_of_a_handler_that_is_gone_says_so(stage: Stage) -> None:
    stage.handlers.add_effect("sees", stage.see)
    stage.poison = {1}
    stage.handlers.submit(event(1))
    await stage.handlers.settle()
    await stage.handlers.remove("sees")
    with pytest.raises(NotFoundError, match="handler 'sees' is gone; there are none"):
        await stage.handlers.replay(stage.letters[0])


async def test_names_are_unique_over_both_kinds_and_unknown_ones_are_told(stage: Stage) -> None:
    stage.handlers.add_analysis("one", lambda delta: None)
    for add in (lambda: stage.handlers.add_effect("one", stage.see), lambda: stage.handlers.add_analysis("", print)):
        with pytest.raises(InvalidInputError, match="a handler needs a name of its own"):
            add()
    with pytest.raises(NotFoundError, match="unknown handler 'two'; there are one"):
        await stage.handlers.remove("two")


async def test_threads_may_submit_and_ids_rise_in_every_lane(stage: Stage) -> None:
    stage.handlers.add_effect("sees", stage.see, max_batch=50)

    def submit() -> None:
        for n in range(300):
            stage.handlers.submit(event(n))

    await asyncio.gather(*(asyncio.to_thread(submit) for _ in range(3)))
    await stage.handlers.settle()
    assert [one.id for one in stage.seen] == [f"run-{n:08d}" for n in range(1, 901)]


async def test_the_bus_behind_a_lane_gets_every_event_in_order_and_a_blocked_one_holds_its_lane_alone(
    stage: Stage,
) -> None:
    bus, heard, slow = EventBus(stage.clock), list[MarketEvent](), list[MarketEvent]()

    async def slowly(one: MarketEvent) -> None:
        await stage.clock.sleep(1.0)
        slow.append(one)

    bus.start()
    bus.subscribe("#", heard.append)
    bus.subscribe("#", slowly, capacity=1, policy=Overflow.BLOCK)
    stage.handlers.add_effect("bus", bus.handle, max_batch=10, timeout_s=2.5)
    stage.handlers.add_effect("sees", stage.see)
    for n in range(8):
        stage.handlers.submit(event(n))
    await turns(30)
    assert numbers(stage.seen) == list(range(8)) and len(heard) < 8
    await stage.clock.run_for(120.0)
    # The call timed out more than once on the way; still nobody heard anything twice.
    assert numbers(heard) == numbers(slow) == list(range(8))
    assert stage.handlers.report()[0].errors > 0 and stage.letters == []
    await bus.stop()


async def test_reports_tell_timings_on_the_clock_given(stage: Stage) -> None:
    async def slow(events: Sequence[MarketEvent]) -> None:
        await stage.clock.sleep(0.25)

    stage.handlers.add_analysis("slow analysis", lambda delta: stage.clock.advance(0.5))
    stage.handlers.add_effect("slow", slow, topics=("provider.#",))
    assert [(r.ms_p50, r.ms_p99) for r in stage.handlers.report()] == [(None, None)] * 2
    await stage.handlers.dispatch(stage.move_on())
    stage.handlers.submit(event(1))
    await stage.clock.run_for(1.0)
    analysis, effect = stage.handlers.report()
    assert (analysis.ms_p50, analysis.topics, analysis.done) == (500.0, (), 1)
    assert (effect.ms_p50, effect.topics, effect.done) == (250.0, ("provider.#",), 1)


def test_a_run_of_its_own_makes_ids_that_no_other_run_makes() -> None:
    runs = {
        DeltaHandlerManager(clock=ManualClock(), market=lambda: None, on_dead_letter=Stage().keep).submit(event(1)).id
        for _ in range(20)
    }
    assert len(runs) == 20
