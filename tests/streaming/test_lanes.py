"""One lane: order, retries, time limits, batches taken apart, dead letters, replays."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from event_factory import CONTROL, event, numbers, soft, turns

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError, PermanentError, TransientError
from marketstream.market.events import MarketEvent, event_from_json
from marketstream.market.handling import DeadLetter, HandlerOutcome, HandlerResult, RetryPolicy
from marketstream.streaming.lanes import Lane, LaneSpec, describe, passing
from marketstream.streaming.waiting import end_tasks

RETRY = RetryPolicy(max_attempts=3, first_s=1.0, cap_s=4.0)


class Effect:
    """A handler that fails as told, and writes down every call and every effect."""

    def __init__(self, clock: ManualClock, **faults: list[BaseException | float]) -> None:
        self.clock = clock
        # By number of the event: what its next calls do, an error or seconds it takes.
        self.faults = {int(n.removeprefix("n")): list(them) for n, them in faults.items()}
        self.calls: list[tuple[float, list[object]]] = []
        self.done: list[MarketEvent] = []

    async def __call__(self, events: Sequence[MarketEvent]) -> None:
        self.calls.append((self.clock.monotonic_ns() / 1e9, numbers(events)))
        for one in events:
            n = one.data["n"]
            fault = self.faults[n].pop(0) if isinstance(n, int) and self.faults.get(n) else None
            if isinstance(fault, BaseException):
                raise fault
            if fault is not None:
                await self.clock.sleep(fault)
            self.done.append(one)


class Graveyard:
    """Keeps dead letters; fails as often as told before, and refuses some for ever."""

    def __init__(self, failures: int = 0, refuses: str = "") -> None:
        self.failures = failures
        self.refuses = refuses
        self.letters: list[DeadLetter] = []
        self.refused: list[DeadLetter] = []

    def set_aside(self, letter: DeadLetter, error: BaseException) -> None:
        self.refused.append(letter)

    async def bury(self, letter: DeadLetter) -> None:
        if letter.event_id == self.refuses:
            raise InvalidInputError("payload must be plain JSON")
        if self.failures:
            self.failures -= 1
            raise TransientError("the store is busy")
        self.letters.append(letter)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def graveyard() -> Graveyard:
    return Graveyard()


def lane_for(
    handle: Callable[[Sequence[MarketEvent]], Awaitable[object]],
    clock: ManualClock,
    graveyard: Graveyard,
    **options: Any,
) -> Lane:
    known: dict[str, Any] = {"topics": ("#",), "retry": RETRY, "max_batch": 1, "capacity": 100, "timeout_s": 10.0}
    spec = LaneSpec(name="store", handle=handle, **(known | options))
    return Lane(spec, clock=clock, rng=random.Random(1), bury=graveyard.bury, refused=graveyard.set_aside)


async def run(lane: Lane, clock: ManualClock, *events: MarketEvent, seconds: float = 1000.0) -> None:
    """Start the lane, hand it events, let time pass, and end it."""
    lane.start()
    for one in events:
        lane.put(one)
    await clock.run_for(seconds)
    await end(lane)


async def end(lane: Lane) -> None:
    task = lane.finish()
    assert task is not None
    await asyncio.wait_for(task, 5)


def made(*ns: int) -> list[MarketEvent]:
    return [event(n, id=f"r-{n}") for n in ns]


async def test_a_passing_fault_is_retried_with_jittered_waits_while_later_events_wait(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[TransientError("busy"), OSError("gone")])
    lane = lane_for(effect, clock, graveyard)
    await run(lane, clock, *made(0, 1, 2))
    assert [ns for _, ns in effect.calls] == [[0], [1], [1], [1], [2]] and numbers(effect.done) == [0, 1, 2]
    rng = random.Random(1)
    waits = [effect.calls[i + 1][0] - effect.calls[i][0] for i in (1, 2)]
    assert waits == pytest.approx([rng.uniform(0, 1.0), rng.uniform(0, 2.0)])
    report = lane.report()
    assert (report.done, report.retries, report.errors, report.dead_lettered) == (3, 2, 2, 0)
    assert report.last_error == "OSError: gone" and report.retrying == "" and graveyard.letters == []


async def test_a_fault_that_does_not_pass_in_time_becomes_a_dead_letter_and_the_next_event_goes_on(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[TransientError("busy")] * 3)
    await run(lane_for(effect, clock, graveyard), clock, *made(1, 2))
    assert [ns for _, ns in effect.calls] == [[1], [1], [1], [2]]
    (letter,) = graveyard.letters
    assert (letter.id, letter.handler, letter.event_id, letter.attempts) == ("store:r-1", "store", "r-1", 3)
    assert (letter.topic, letter.subject, letter.error_type, letter.error) == (CONTROL, "a", "TransientError", "busy")
    assert event_from_json(letter.payload) == made(1)[0]
    assert letter.failed_at == round(effect.calls[2][0] * 1e9) + ManualClock().now_ns()


@pytest.mark.parametrize("error", [PermanentError("no such instrument"), KeyError("price"), asyncio.CancelledError()])
async def test_what_no_retry_helps_becomes_a_dead_letter_at_once(
    error: BaseException, clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[error])
    await run(lane_for(effect, clock, graveyard), clock, *made(1, 2), seconds=0)
    assert [ns for _, ns in effect.calls] == [[1], [2]]
    assert [(letter.error_type, letter.attempts) for letter in graveyard.letters] == [(type(error).__name__, 1)]


async def test_a_letter_that_is_refused_for_good_is_set_aside_and_the_lane_goes_on(clock: ManualClock) -> None:
    graveyard = Graveyard(refuses="r-1")
    effect = Effect(clock, n1=[PermanentError("bad")], n2=[PermanentError("bad")])
    lane = lane_for(effect, clock, graveyard)
    await run(lane, clock, *made(1, 2, 3), seconds=0)
    assert [letter.event_id for letter in graveyard.refused] == ["r-1"]
    assert [letter.event_id for letter in graveyard.letters] == ["r-2"] and numbers(effect.done) == [3]
    report = lane.report()
    assert (report.dead_lettered, report.errors, report.waiting, report.retrying) == (2, 3, 0, "")


async def test_a_call_that_takes_too_long_is_cancelled_and_counts_as_a_passing_fault(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[60.0, 9.0])
    lane = lane_for(effect, clock, graveyard)
    await run(lane, clock, *made(1, 2))
    assert numbers(effect.done) == [1, 2] and 10.0 <= effect.calls[1][0] <= 11.0
    assert lane.report().last_error == "TimeoutError: no answer within 10 s"
    assert lane.report().ms_p99 == pytest.approx(9980.0)


async def test_a_handler_that_raises_when_called_is_fenced_too(clock: ManualClock, graveyard: Graveyard) -> None:
    def broken(events: Sequence[MarketEvent]) -> Awaitable[None]:
        raise TypeError("not a coroutine function")

    await run(lane_for(broken, clock, graveyard), clock, *made(1))
    assert [letter.error for letter in graveyard.letters] == ["not a coroutine function"]


async def test_a_batch_is_what_waits_up_to_its_limit(clock: ManualClock, graveyard: Graveyard) -> None:
    effect = Effect(clock, n0=[1.0])
    await run(lane_for(effect, clock, graveyard, max_batch=3), clock, *made(0, 1, 2, 3, 4, 5, 6))
    assert [ns for _, ns in effect.calls] == [[0, 1, 2], [3, 4, 5], [6]]


async def test_a_batch_that_fails_is_taken_apart_so_that_only_the_bad_event_is_lost(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n2=[PermanentError("poison"), PermanentError("poison")])
    lane = lane_for(effect, clock, graveyard, max_batch=4)
    await run(lane, clock, *made(1, 2, 3, 4, 5))
    assert [ns for _, ns in effect.calls] == [[1, 2, 3, 4], [1], [2], [3], [4], [5]]
    assert [(letter.event_id, letter.attempts) for letter in graveyard.letters] == [("r-2", 2)]
    assert (lane.report().done, lane.report().dead_lettered, lane.report().retries) == (4, 1, 4)


async def test_a_batch_that_meets_a_passing_fault_is_called_again_as_it_is(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[TransientError("busy")])
    lane = lane_for(effect, clock, graveyard, max_batch=4)
    await run(lane, clock, *made(1, 2, 3))
    assert [ns for _, ns in effect.calls] == [[1, 2, 3]] * 2
    report = lane.report()
    assert (report.done, report.retries, report.errors, report.retrying) == (3, 1, 1, "")


async def test_the_last_attempt_of_a_batch_is_one_by_one(clock: ManualClock, graveyard: Graveyard) -> None:
    effect = Effect(clock, n2=[TransientError("busy")] * 9)
    await run(lane_for(effect, clock, graveyard, max_batch=4), clock, *made(1, 2, 3))
    assert [ns for _, ns in effect.calls] == [[1, 2, 3], [1, 2, 3], [1], [2], [3]]
    assert [(letter.event_id, letter.attempts) for letter in graveyard.letters] == [("r-2", 3)]


async def test_a_passing_fault_of_one_event_of_a_batch_taken_apart_is_retried(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n2=[PermanentError("poison")] * 2, n3=[TransientError("busy")])
    await run(lane_for(effect, clock, graveyard, max_batch=4), clock, *made(1, 2, 3))
    assert [ns for _, ns in effect.calls] == [[1, 2, 3], [1], [2], [3], [3]]
    assert {one.data["n"] for one in effect.done} == {1, 3}


async def test_where_one_attempt_is_all_every_event_has_one_call_of_its_own(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n2=[TransientError("busy")] * 9)
    await run(lane_for(effect, clock, graveyard, max_batch=4, retry=RetryPolicy(max_attempts=1)), clock, *made(1, 2, 3))
    assert [ns for _, ns in effect.calls] == [[1], [2], [3]]
    assert [(letter.event_id, letter.attempts) for letter in graveyard.letters] == [("r-2", 1)]


@pytest.mark.parametrize("max_batch", [1, 2])
async def test_a_handler_that_swallows_the_end_of_its_lane_does_not_keep_it(
    clock: ManualClock, graveyard: Graveyard, max_batch: int
) -> None:
    calls: list[list[object]] = []

    async def stubborn(events: Sequence[MarketEvent]) -> None:
        calls.append(numbers(events))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    lane = lane_for(stubborn, clock, graveyard, max_batch=max_batch)
    lane.start()
    for one in made(*range(5)):
        lane.put(one)
    await turns()
    task = lane.finish()
    assert task is not None
    await end_tasks([task], clock, 0.0)
    assert len(calls) == 1 and lane.report().done == max_batch
    assert [letter.event_id for letter in lane.abandon()] == [f"r-{n}" for n in range(max_batch, 5)]


async def test_a_handler_that_makes_an_error_of_the_end_of_its_lane_is_not_called_again(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    calls: list[list[object]] = []

    async def stubborn(events: Sequence[MarketEvent]) -> None:
        calls.append(numbers(events))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise TransientError("the line was cut") from None

    lane = lane_for(stubborn, clock, graveyard, max_batch=2)
    lane.start()
    for one in made(1, 2):
        lane.put(one)
    await turns()
    task = lane.finish()
    assert task is not None
    await asyncio.wait_for(end_tasks([task], clock, 0.0), 5)
    assert calls == [[1, 2]]
    assert [(letter.event_id, letter.attempts) for letter in lane.abandon()] == [("r-1", 1), ("r-2", 1)]


async def test_control_events_beyond_the_capacity_of_a_lane_are_counted(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    lane = lane_for(Effect(clock), clock, graveyard, capacity=2)
    for one in (*made(1, 2, 3), soft(4)):
        lane.put(one)
    assert (lane.report().overflow, lane.report().dropped) == (1, 1)


async def test_a_lane_does_not_go_on_before_the_dead_letter_is_kept(clock: ManualClock) -> None:
    graveyard = Graveyard(failures=50)
    effect = Effect(clock, n1=[KeyError("price")])
    lane = lane_for(effect, clock, graveyard)
    lane.start()
    for one in made(1, 2):
        lane.put(one)
    await clock.run_for(20.0)
    assert numbers(effect.done) == [] and graveyard.failures > 0 and lane.waiting == 2
    assert lane.report().retrying == "TransientError: the store is busy"
    await clock.run_for(500.0)
    assert numbers(effect.done) == [2] and [letter.event_id for letter in graveyard.letters] == ["r-1"]
    assert lane.report().retrying == ""
    await end(lane)


async def test_a_full_lane_lets_go_of_the_oldest_that_may_be_dropped_and_never_of_control_events(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock)
    lane = lane_for(effect, clock, graveyard, capacity=2)
    await run(lane, clock, soft(0), event(1), soft(2), event(3), event(4))
    assert numbers(effect.done) == [1, 3, 4] and lane.report().dropped == 2


async def test_a_replay_waits_for_its_turn_and_tells_what_became_of_it(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[KeyError("price"), TransientError("busy")], n2=[5.0])
    lane = lane_for(effect, clock, graveyard, max_batch=10)
    lane.start()
    lane.put(made(1)[0])
    await turns()
    for one in made(2, 3):
        lane.put(one)
    await turns()
    replay = asyncio.create_task(lane.replay(graveyard.letters[0]))
    await turns()
    lane.put(made(4)[0])
    assert lane.waiting == 4
    await clock.run_for(60.0)
    result = await replay
    # Behind 2 and 3, which waited already; before 4, which came later.
    assert [ns for _, ns in effect.calls] == [[1], [2, 3], [1], [1], [4]]
    assert result == HandlerResult(
        handler="store", event_id="r-1", outcome=HandlerOutcome.DONE, attempts=3, duration_ms=0.0, error=""
    )
    await end(lane)


async def test_a_replay_that_fails_again_says_so_with_attempts_raised(clock: ManualClock, graveyard: Graveyard) -> None:
    effect = Effect(clock, n1=[KeyError("price"), KeyError("size")])
    lane = lane_for(effect, clock, graveyard)
    lane.start()
    lane.put(made(1)[0])
    await turns(20)
    result = await lane.replay(graveyard.letters[0])
    assert (result.outcome, result.attempts) == (HandlerOutcome.DEAD_LETTERED, 2)
    assert result.error == "KeyError: 'size'"
    # The letter is where it was; whoever keeps it notes the new attempts.
    assert len(graveyard.letters) == 1
    await end(lane)


async def test_a_replay_nobody_waits_for_any_more_is_done_all_the_same(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[KeyError("price")])
    lane = lane_for(effect, clock, graveyard)
    lane.start()
    lane.put(made(1)[0])
    await turns(20)
    replay = asyncio.create_task(lane.replay(graveyard.letters[0]))
    await asyncio.sleep(0)
    replay.cancel()
    await turns(20)
    assert numbers(effect.done) == [1]
    await end(lane)


async def test_a_replay_needs_a_lane_that_runs_and_a_payload_that_is_an_event(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[KeyError("price")], n2=[5.0])
    lane = lane_for(effect, clock, graveyard)
    await run(lane, clock, *made(1))
    (letter,) = graveyard.letters
    with pytest.raises(TransientError, match="handler 'store' does not run"):
        await lane.replay(letter)
    lane.start()
    with pytest.raises(InvalidInputError, match="an event has the keys"):
        await lane.replay(DeadLetter(**{**as_fields(letter), "payload": {}}))
    lane.put(made(2)[0])
    replay = asyncio.create_task(lane.replay(letter))
    await turns()
    task = lane.finish()
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    lane.abandon()
    with pytest.raises(TransientError, match="ended before it came to this"):
        await replay


def as_fields(letter: DeadLetter) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in DeadLetter.__slots__}


async def test_what_a_lane_did_not_come_to_becomes_letters_but_for_what_may_be_dropped(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[TransientError("busy")] * 9)
    lane = lane_for(effect, clock, graveyard)
    lane.start()
    for one in (event(1, id="r-1"), soft(2), event(3, id="r-3")):
        lane.put(one)
    await turns()
    task = lane.finish()
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    letters = lane.abandon()
    assert [(letter.event_id, letter.attempts) for letter in letters] == [("r-1", 1), ("r-3", 0)]
    assert letters[0].error == "the handler ended before it came to this"
    report = lane.report()
    assert (report.dead_lettered, report.dropped, report.waiting) == (2, 1, 0)
    assert lane.abandon() == []


async def test_letters_of_a_batch_count_the_calls_made_with_it(clock: ManualClock, graveyard: Graveyard) -> None:
    effect = Effect(clock, n2=[TransientError("busy")] * 9)
    lane = lane_for(effect, clock, graveyard, max_batch=2)
    lane.start()
    for one in made(1, 2, 3):
        lane.put(one)
    await turns(10)
    task = lane.finish()
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [letter.attempts for letter in lane.abandon()] == [1, 1, 0]


async def test_a_letter_that_was_being_kept_when_the_lane_ended_keeps_its_reason(clock: ManualClock) -> None:
    effect = Effect(clock, n1=[KeyError("price")])
    lane = lane_for(effect, clock, Graveyard(failures=9))
    lane.start()
    for one in made(1, 2):
        lane.put(one)
    await turns()
    task = lane.finish()
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    letters = lane.abandon()
    assert [(letter.event_id, letter.error_type) for letter in letters] == [
        ("r-1", "KeyError"),
        ("r-2", "TransientError"),
    ]


async def test_settled_waits_for_the_event_in_work_and_fails_where_nobody_works(
    clock: ManualClock, graveyard: Graveyard
) -> None:
    effect = Effect(clock, n1=[5.0])
    lane = lane_for(effect, clock, graveyard)
    await lane.settled()
    lane.put(made(1)[0])
    with pytest.raises(TransientError, match="handler 'store' does not run; 1 events wait for it"):
        await lane.settled()
    lane.start(), lane.start()
    settled = asyncio.create_task(lane.settled())
    await clock.run_for(4.0)
    assert not settled.done()
    await clock.run_for(2.0)
    await asyncio.wait_for(settled, 5)
    assert numbers(effect.done) == [1]
    await end(lane)


async def test_one_run_of_equal_errors_is_logged_once_with_its_traceback(
    clock: ManualClock, graveyard: Graveyard, caplog: pytest.LogCaptureFixture
) -> None:
    effect = Effect(clock, n1=[TransientError("busy")] * 3, n2=[KeyError("price")])
    await run(lane_for(effect, clock, graveyard), clock, *made(1, 2))
    assert [r.getMessage() for r in caplog.records] == ["handler 'store' failed with 1 events"] * 2
    assert all(r.exc_info is not None for r in caplog.records)


async def test_a_lane_that_dies_of_a_fault_of_its_own_is_heard(
    clock: ManualClock, graveyard: Graveyard, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = lane_for(Effect(clock), clock, graveyard)
    monkeypatch.setattr(lane, "_call", None)
    lane.start()
    lane.put(made(1)[0])
    await turns(10)
    assert not lane.running and lane.waiting == 1
    assert "lane-store ended; its events wait for a new start" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"max_batch": 0}, "max_batch must be >= 1 event, was 0"),
        ({"timeout_s": 0.0}, "timeout_s must be > 0 seconds, was 0.0"),
        ({"timeout_s": float("nan")}, "timeout_s must be > 0 seconds, was nan"),
        ({"topics": ()}, "needs a topic pattern"),
        ({"topics": ("a..b",)}, "a topic pattern is words"),
        ({"capacity": 0}, "capacity must be >= 1 event, was 0"),
    ],
)
def test_a_lane_that_cannot_work_is_refused(
    wrong: dict[str, Any], complaint: str, clock: ManualClock, graveyard: Graveyard
) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        lane_for(Effect(clock), clock, graveyard, **wrong)


def test_the_exception_tree_is_the_retry_policy() -> None:
    assert all(passing(error) for error in (TransientError(), TimeoutError(), ConnectionResetError()))
    assert not any(passing(error) for error in (PermanentError(), ValueError(), InvalidInputError()))
    assert describe(ValueError("x" * 9999)) == ("ValueError: " + "x" * 488)
