"""The fence of time: work side by side, each no longer than allowed."""

from __future__ import annotations

import asyncio
import logging

import pytest

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.providers.fence import Fence


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def value_after(clock: ManualClock, seconds: float, value: int) -> int:
    await clock.sleep(seconds)
    return value


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_fence_needs_some_time(clock: ManualClock, timeout_s: float) -> None:
    with pytest.raises(InvalidInputError, match="timeout_s must be > 0"):
        Fence(clock, timeout_s)


async def test_outcomes_come_in_the_order_of_the_works(clock: ManualClock) -> None:
    works = [lambda: value_after(clock, 1.9, 1), lambda: value_after(clock, 0.1, 2)]
    running = asyncio.ensure_future(Fence(clock, 2.0).outcomes(works))
    await clock.run_for(1.9)
    assert await running == [1, 2]


async def test_no_work_is_done_at_once(clock: ManualClock) -> None:
    assert await Fence(clock, 2.0).outcomes([]) == []


async def test_what_fails_before_it_waits_is_an_outcome(clock: ManualClock) -> None:
    def fail() -> asyncio.Future[int]:
        raise OSError("no route")

    outcomes = await Fence(clock, 2.0).outcomes([fail, lambda: value_after(clock, 0.0, 3)])
    assert isinstance(outcomes[0], OSError)
    assert outcomes[1] == 3


async def test_work_that_is_too_slow_is_cancelled_and_does_not_keep_the_others(clock: ManualClock) -> None:
    cancelled = []

    async def hang() -> int:
        try:
            await clock.sleep(60.0)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return 0

    running = asyncio.ensure_future(Fence(clock, 2.0).outcomes([hang, lambda: value_after(clock, 1.0, 5)]))
    await clock.run_for(2.0)
    late, good = await running
    assert isinstance(late, TimeoutError)
    assert str(late) == "took longer than 2 s"
    assert good == 5
    await asyncio.sleep(0)
    assert cancelled == [True]


async def test_work_that_cancels_itself_is_an_outcome(clock: ManualClock) -> None:
    async def cancel() -> int:
        raise asyncio.CancelledError

    (outcome,) = await Fence(clock, 2.0).outcomes([cancel])
    assert isinstance(outcome, asyncio.CancelledError)


async def test_what_fails_after_it_was_given_up_is_logged(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        try:
            await clock.sleep(60.0)
        except asyncio.CancelledError:
            raise OSError("socket gone") from None

    with caplog.at_level(logging.WARNING):
        running = asyncio.ensure_future(Fence(clock, 2.0).outcomes([work]))
        await clock.run_for(2.0)
        assert isinstance((await running)[0], TimeoutError)
        for _ in range(3):
            await asyncio.sleep(0)
    assert "after it was given up" in caplog.text
