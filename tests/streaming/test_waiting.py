"""Waiting rooms, the doorbell and the end of tasks."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from event_factory import event, numbers, soft
from hypothesis import given
from hypothesis import strategies as st

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.events import MarketEvent
from marketstream.streaming.waiting import Doorbell, Overflow, WaitingRoom, being_cancelled, end_tasks

KINDS = ((1, "crossed"), (2, "move"), (3, "move"))


def room(capacity: int, policy: Overflow, *events: MarketEvent) -> WaitingRoom:
    made = WaitingRoom(capacity, policy)
    for one in events:
        made.offer(one)
    return made


def waiting(made: WaitingRoom) -> list[object]:
    return numbers(one for _, one in made.take(1000))


def test_a_full_room_lets_go_of_the_oldest_event_that_may_be_dropped() -> None:
    made = room(3, Overflow.DROP_OLDEST, event(1), soft(2), soft(3), soft(4), event(5))
    assert (made.dropped, made.overflow) == (2, 0)
    assert waiting(made) == [1, 4, 5]


def test_a_room_full_of_control_events_takes_in_more_of_them_and_counts_it() -> None:
    made = room(2, Overflow.DROP_OLDEST, event(1), event(2), event(3))
    assert (made.dropped, made.overflow) == (0, 1)
    assert waiting(made) == [1, 2, 3]


def test_where_only_control_events_wait_the_newcomer_is_dropped() -> None:
    made = room(2, Overflow.DROP_OLDEST, event(1), event(2), soft(3))
    assert made.dropped == 1
    assert waiting(made) == [1, 2]


def test_a_newer_event_of_a_key_replaces_the_older_and_stands_at_the_end() -> None:
    # In the place of the older one it would overtake 2, which has the same topic.
    made = room(9, Overflow.CONFLATE, soft(1, "a"), soft(2, "b"), soft(3, "a"), event(4, subject="a"), soft(5, "b"))
    assert (made.conflated, made.dropped) == (2, 0)
    assert waiting(made) == [3, 4, 5]


def test_a_newer_event_replaces_none_of_another_kind_of_news() -> None:
    crossed, move, again = (replace(soft(n), data={"n": n, "kind": kind}) for n, kind in KINDS)
    made = room(9, Overflow.CONFLATE, crossed, move, again)
    assert made.conflated == 1
    assert waiting(made) == [1, 3]


def test_conflation_over_more_keys_than_fit_lets_go_of_the_oldest() -> None:
    made = room(2, Overflow.CONFLATE, soft(1, "a"), soft(2, "b"), soft(3, "c"), soft(4, "b"))
    assert (made.conflated, made.dropped) == (1, 1)
    assert waiting(made) == [3, 4]


def test_a_key_that_raises_or_cannot_be_compared_leaves_the_event_alone(caplog: pytest.LogCaptureFixture) -> None:
    for key in (lambda one: one.data["missing"], lambda one: [one]):
        made = WaitingRoom(2, Overflow.CONFLATE, key)
        for n in range(3):
            made.offer(soft(n))
        assert (made.conflated, made.dropped, waiting(made)) == (0, 1, [1, 2])
    assert "no conflation key" in caplog.text


def test_only_a_blocking_room_refuses_and_control_events_only_on_request() -> None:
    blocking = room(1, Overflow.BLOCK, soft(1))
    assert not blocking.has_room(soft(2))
    assert blocking.has_room(event(2)) and not blocking.has_room(event(2), control_too=True)
    assert room(1, Overflow.DROP_OLDEST, soft(1)).has_room(event(2), control_too=True)


def test_numbers_rise_by_one_and_an_event_can_be_taken_up_to_one() -> None:
    made = room(9, Overflow.DROP_OLDEST, *(soft(n) for n in range(1, 6)))
    assert made.accepted == 5
    assert [number for number, _ in made.take(9, up_to=3)] == [1, 2, 3]
    assert made.take(9, up_to=3) == []
    made.clear()
    assert len(made) == 0


def test_a_room_without_room_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="capacity must be >= 1 event, was 0"):
        WaitingRoom(0, Overflow.BLOCK)


STEPS = st.lists(st.one_of(st.tuples(st.booleans(), st.sampled_from("abc")), st.just("take")), max_size=60)


@given(STEPS, st.integers(1, 5), st.sampled_from([Overflow.DROP_OLDEST, Overflow.CONFLATE]))
def test_a_room_does_what_a_plain_list_does_step_by_step(
    steps: list[tuple[bool, str] | str], capacity: int, policy: Overflow
) -> None:
    made, model = WaitingRoom(capacity, policy), list[MarketEvent]()
    for n, step in enumerate(steps):
        if step == "take":
            assert [one for _, one in made.take()] == model[:1]
            del model[:1]
            continue
        newcomer = event(n, subject=step[1]) if step[0] else soft(n, step[1])
        made.offer(newcomer)
        if policy is Overflow.CONFLATE and not newcomer.is_control:
            model = [e for e in model if e.is_control or e.subject != newcomer.subject]
        model.append(newcomer)
        if len(model) > capacity:
            droppable = [e for e in model if not e.is_control]
            # A control event never makes room for another, and is never the one to go.
            model = [e for e in model if not droppable or e is not droppable[0]]
    assert waiting(made) == numbers(model)


async def test_a_ring_from_another_thread_wakes_the_one_who_waits() -> None:
    bell = Doorbell()
    task = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    thread = threading.Thread(target=bell.ring)
    thread.start()
    await task
    thread.join()


async def test_a_ring_while_nobody_waits_is_kept_once() -> None:
    bell = Doorbell()
    bell.ring(), bell.ring()
    await bell.wait()
    second = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    assert not second.done()
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    bell.ring()
    await bell.wait()


def test_a_ring_after_the_loop_of_the_waiter_was_closed_harms_nobody() -> None:
    bell, loop = Doorbell(), asyncio.new_event_loop()
    task = loop.create_task(bell.wait())
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    bell.ring()


async def test_tasks_that_end_in_time_are_awaited_and_the_others_cancelled() -> None:
    clock = ManualClock()
    ended: list[str] = []

    async def work(name: str, seconds: float) -> None:
        try:
            await clock.sleep(seconds)
            ended.append(name)
        except asyncio.CancelledError:
            assert being_cancelled()
            ended.append(f"{name} cancelled")
            raise

    tasks = [asyncio.create_task(work("short", 1.0)), asyncio.create_task(work("long", 9.0))]
    ending = asyncio.create_task(end_tasks(tasks, clock, 2.0))
    await clock.run_for(1.5)
    assert ended == ["short"] and not ending.done()
    await clock.run_for(1.0)
    await ending
    assert ended == ["short", "long cancelled"] and all(task.done() for task in tasks)


async def test_a_cancelled_error_of_others_is_told_from_being_cancelled() -> None:
    other = asyncio.create_task(asyncio.Event().wait())
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert not being_cancelled()
