"""Room lets callers in while they fit, in order, and forgets those who leave."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketstream.store.room import Room


class Guest:
    """Somebody who holds room until told to leave."""

    def __init__(self, room: Room, rows: int, inside: list[Guest]) -> None:
        self.rows = rows
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._stay(room, inside))

    async def _stay(self, room: Room, inside: list[Guest]) -> None:
        async with room.take(self.rows):
            inside.append(self)
            try:
                await self.leave.wait()
            finally:
                inside.remove(self)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_does_not_fit_waits_until_somebody_leaves() -> None:
    room, inside = Room(10), []
    first, second = Guest(room, 6, inside), Guest(room, 5, inside)
    await settle()
    assert (inside, room.held) == ([first], 6)
    first.leave.set()
    await settle()
    assert (inside, room.held) == ([second], 5)
    second.leave.set()
    await second.task


async def test_nobody_small_slips_past_somebody_large_who_waits() -> None:
    room, inside = Room(10), []
    first, large, small = Guest(room, 6, inside), Guest(room, 8, inside), Guest(room, 1, inside)
    await settle()
    assert inside == [first]
    first.leave.set()
    await settle()
    assert inside == [large, small]
    for guest in (large, small):
        guest.leave.set()
    await settle()


async def test_who_is_larger_than_the_room_gets_in_alone() -> None:
    room, inside = Room(10), []
    large, small = Guest(room, 50, inside), Guest(room, 1, inside)
    await settle()
    assert inside == [large]
    large.leave.set()
    small.leave.set()
    await settle()
    assert room.held == 0


async def test_who_gives_up_waiting_lets_the_next_one_in() -> None:
    room, inside = Room(10), []
    first, large, small = Guest(room, 6, inside), Guest(room, 8, inside), Guest(room, 1, inside)
    await settle()
    large.task.cancel()
    await settle()
    assert (inside, room.held) == ([first, small], 7)
    for guest in (first, small):
        guest.leave.set()
    await settle()


async def test_who_is_let_in_and_gives_up_at_the_same_moment_holds_nothing() -> None:
    room, inside = Room(10), []
    first, second = Guest(room, 10, inside), Guest(room, 10, inside)
    await settle()
    first.leave.set()
    await asyncio.sleep(0)
    second.task.cancel()
    await settle()
    assert room.held == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("come"), st.integers(1, 15)),
            st.tuples(st.just("leave"), st.integers(0, 5)),
            st.tuples(st.just("cancel"), st.integers(0, 30)),
            st.tuples(st.just("settle"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_whatever_happens_the_room_is_never_overfull_and_ends_empty(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        room, inside, guests = Room(10), [], []
        for what, number in steps:
            if what == "come":
                guests.append(Guest(room, number, inside))
            elif what == "leave" and number < len(inside):
                inside[number].leave.set()
            elif what == "cancel" and number < len(guests):
                guests[number].task.cancel()
            elif what == "settle":
                await settle()
            assert room.held <= 10
            assert sum(guest.rows for guest in inside) <= 10 or len(inside) == 1
        for guest in guests:
            guest.leave.set()
        await asyncio.gather(*(guest.task for guest in guests), return_exceptions=True)
        assert (room.held, inside) == (0, [])

    asyncio.run(play())


async def test_a_room_that_lets_in_whoever_comes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    room, inside = Room(10), []
    monkeypatch.setattr(room, "_limit", 1_000)
    guests = [Guest(room, 8, inside) for _ in range(2)]
    await settle()
    assert sum(guest.rows for guest in inside) > 10
    for guest in guests:
        guest.leave.set()
    await settle()
