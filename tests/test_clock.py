"""Clocks."""

from __future__ import annotations

import asyncio

import pytest

from marketstream.clock import ManualClock, SystemClock


def test_a_manual_clock_moves_only_when_told_to() -> None:
    clock = ManualClock(start_ns=5)
    assert (clock.now_ns(), clock.monotonic_ns()) == (5, 0)
    clock.advance(2.0)
    assert (clock.now_ns(), clock.monotonic_ns()) == (2_000_000_005, 2_000_000_000)
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(-1)


def test_a_wall_clock_jump_leaves_intervals_alone() -> None:
    clock = ManualClock(start_ns=0)
    clock.jump_wall(-3600)
    assert (clock.now_ns(), clock.monotonic_ns()) == (-3_600_000_000_000, 0)


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock, woken = ManualClock(start_ns=0), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.now_ns()))

    tasks = [asyncio.create_task(sleeper(s)) for s in (3.0, 1.0, 2.0)]
    await clock.run_for(2.5)
    assert woken == [(1.0, 1_000_000_000), (2.0, 2_000_000_000)]
    await clock.run_for(0.5)
    assert woken[-1] == (3.0, 3_000_000_000)
    await asyncio.gather(*tasks)


async def test_a_periodic_task_runs_once_per_period() -> None:
    clock, ticks = ManualClock(start_ns=0), []

    async def tick() -> None:
        while True:
            ticks.append(clock.now_ns())
            await clock.sleep(0.1)

    task = asyncio.create_task(tick())
    await clock.run_for(1.0)
    task.cancel()
    assert ticks == [round(i * 1e8) for i in range(11)]


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = ManualClock(start_ns=0)
    task = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.run_for(2.0)
    assert clock.monotonic_ns() == 2_000_000_000


async def test_no_time_passes_in_a_sleep_of_nothing() -> None:
    clock = ManualClock(start_ns=0)
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic_ns() == 0
    await SystemClock().sleep(0)


HOUR_NS = 3_600_000_000_000


class Hardware:
    """The two clocks of a machine, moved by the test."""

    def __init__(self) -> None:
        self.wall = 1_767_225_600_000_000_000
        self.monotonic = 77

    def pass_time(self, ns: int) -> None:
        self.wall += ns
        self.monotonic += ns


def test_a_wall_clock_that_is_set_back_is_not_seen() -> None:
    machine = Hardware()
    clock = SystemClock(lambda: machine.wall, lambda: machine.monotonic)
    before = clock.now_ns()
    machine.wall -= HOUR_NS
    machine.pass_time(5)
    assert (clock.now_ns() - before, clock.monotonic_ns()) == (5, 82)


def test_a_step_forward_as_after_a_suspend_is_taken_over_and_kept() -> None:
    machine = Hardware()
    clock = SystemClock(lambda: machine.wall, lambda: machine.monotonic)
    before = clock.now_ns()
    machine.wall += HOUR_NS
    assert clock.now_ns() - before == HOUR_NS
    machine.wall -= HOUR_NS
    machine.pass_time(5)
    assert clock.now_ns() - before == HOUR_NS + 5


def test_the_system_clock_gives_whole_nanoseconds_since_1970() -> None:
    clock = SystemClock()
    assert isinstance(clock.now_ns(), int) and clock.now_ns() > 1_700_000_000_000_000_000
    assert clock.monotonic_ns() <= clock.monotonic_ns()
