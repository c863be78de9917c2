"""A health check of a thousand providers that take 50 ms each: side by side, within half a second."""

from __future__ import annotations

import asyncio
import time

import pytest
from provider_fakes import QueueProvider

from marketstream.clock import SystemClock
from marketstream.market.catalog import Catalog
from marketstream.market.events import ProviderStatus
from marketstream.providers.base import HealthReport
from marketstream.providers.registry import ProviderRegistry

pytestmark = [pytest.mark.performance, pytest.mark.timeout(90)]

N = 1_000
TAKES_S = 0.05
WITHIN_S = 0.5
ROUNDS = 5


class SlowToAnswer(QueueProvider):
    """Takes 50 ms of real time for an active check."""

    async def check(self, now: int) -> HealthReport:
        await asyncio.sleep(TAKES_S)
        return await super().check(now)


async def best_of(rounds: int) -> float:
    """Return the seconds that the fastest of some checks of all providers took."""
    clock = SystemClock()
    registry = ProviderRegistry(Catalog(), clock, lambda event: None)
    for i in range(N):
        registry.add(SlowToAnswer(f"p{i}", clock, (f"I{i}-USD",), venue=f"v{i}"))
    await registry.start()
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        found = await registry.check_all(clock.now_ns())
        took.append(time.perf_counter() - started)
        assert [report.status for report in found.values()] == [ProviderStatus.RUNNING] * N
    await registry.stop()
    return min(took)


async def test_a_thousand_checks_of_50_ms_take_less_than_half_a_second() -> None:
    fastest = await best_of(ROUNDS)
    print(f"{fastest:.3f} s")
    assert TAKES_S <= fastest < WITHIN_S


async def test_the_limit_catches_checks_that_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted: twenty at a time would take 2.5 s; of them a hundred are enough to see it.
    turns = asyncio.Semaphore(2)
    sound = SlowToAnswer.check

    async def check(provider: SlowToAnswer, now: int) -> HealthReport:
        async with turns:
            return await sound(provider, now)

    monkeypatch.setattr(SlowToAnswer, "check", check)
    monkeypatch.setattr("test_health_checks.N", 100)
    assert await best_of(1) > WITHIN_S
