"""The time limit of calls, on a manual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from marketstream.clock import ManualClock
from marketstream.streaming.watchdog import Watchdog


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def dog(clock: ManualClock) -> AsyncIterator[Watchdog]:
    dog = Watchdog(clock, 10.0)
    watch = asyncio.create_task(dog.watch())
    yield dog
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_a_call_within_the_limit_is_left_alone(clock: ManualClock, dog: Watchdog) -> None:
    call = asyncio.create_task(dog.call(lambda: clock.sleep(9.9)))
    await clock.run_for(60.0)
    await call


async def test_each_call_has_the_whole_limit(clock: ManualClock, dog: Watchdog) -> None:
    async def calls() -> None:
        for _ in range(5):
            await dog.call(lambda: clock.sleep(9.0))

    task = asyncio.create_task(calls())
    await clock.run_for(60.0)
    await task


async def test_a_call_beyond_the_limit_is_cancelled(clock: ManualClock, dog: Watchdog) -> None:
    ended: list[int] = []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(clock.monotonic_ns())

    for start_s in (0, 15):
        call = asyncio.create_task(dog.call(hangs))
        await clock.run_for(15.0)
        with pytest.raises(TimeoutError):
            await call
        assert ended.pop() == (start_s + 10) * 1_000_000_000


async def test_a_call_that_swallows_its_cancellation_still_took_too_long(clock: ManualClock, dog: Watchdog) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    call = asyncio.create_task(dog.call(stubborn))
    await clock.run_for(15.0)
    with pytest.raises(TimeoutError):
        await call


async def test_what_a_call_raises_comes_through(dog: Watchdog) -> None:
    async def broken() -> None:
        raise KeyError("price")

    with pytest.raises(KeyError):
        await dog.call(broken)


async def test_who_is_cancelled_as_the_work_ends_still_learns_of_the_end(dog: Watchdog) -> None:
    # Else an effect that is done, or a letter that is kept, would be taken for one that is not.
    done, learnt = asyncio.Event(), list[str]()

    async def lane() -> None:
        await dog.call(done.wait)
        learnt.append("the end of the work")

    task = asyncio.create_task(lane())
    await asyncio.sleep(0)
    done.set()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert learnt == ["the end of the work"]
