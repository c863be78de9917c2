"""The conformance suite passes good providers and reports broken ones in words."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import SECOND_NS, QueueProvider

from marketstream.clock import ManualClock
from marketstream.providers.base import Provider
from marketstream.providers.checks import CHECKS, ConformanceError, check_provider
from marketstream.providers.simulated import SimulatedProvider, make_world


def make_simulated(
    clock: ManualClock, venue: str = "alder", world: str = "demo", delay_s: float = 0.0
) -> SimulatedProvider:
    made = make_world(world, seed=7, start_ns=clock.now_ns())
    return SimulatedProvider(name=venue, clock=clock, world=made, venue=venue, delay_s=delay_s)


@pytest.mark.parametrize("world", ["demo", "null", "planted"])
@pytest.mark.parametrize("venue", ["alder", "damson", "quayside", "redfern", "saltmarsh", "tidemark"])
async def test_every_simulated_venue_conforms(venue: str, world: str) -> None:
    report = await check_provider(lambda clock: make_simulated(clock, venue, world), deterministic=True)
    assert report.passed == tuple(check.__name__ for check in CHECKS)  # type: ignore[attr-defined]
    assert report.skipped == {}


@pytest.mark.parametrize("delay_s", [0.06, 1.3])
async def test_a_slower_line_to_a_venue_conforms_too(delay_s: float) -> None:
    report = await check_provider(lambda clock: make_simulated(clock, delay_s=delay_s), deterministic=True)
    assert report.skipped == {}


class TickingProvider(QueueProvider):
    """A feed without faults: one quote every half second since its start, until it is told to be silent."""

    silent = False
    next_tick: int | None = None

    async def start(self) -> None:
        await super().start()
        self.next_tick = self.clock.now_ns()

    def collect(self, now: int) -> np.ndarray:
        while self.next_tick is not None and self.next_tick <= now:
            if not self.silent:
                self.enqueue(self.next_tick)
            self.next_tick += SECOND_NS // 2
        return super().collect(now)


async def fall_silent(provider: Provider) -> None:
    assert isinstance(provider, TickingProvider)
    provider.silent = True


async def test_what_a_provider_does_not_offer_is_skipped_with_the_reason() -> None:
    report = await check_provider(lambda clock: TickingProvider("ticking", clock), silence=fall_silent)
    assert "health_follows_progress" in report.passed
    assert report.skipped == {
        "repeats_itself": "not said to be deterministic",
        "plays_a_stall": "it plays no stall",
        "plays_a_gap": "it plays no gap",
        "plays_crossed_quotes": "it plays no crossed",
        "plays_a_spike": "it plays no spike",
        "plays_a_disconnect": "it plays no disconnect",
    }


async def test_health_cannot_be_checked_on_a_feed_that_cannot_fall_silent() -> None:
    report = await check_provider(lambda clock: TickingProvider("ticking", clock), deterministic=True)
    assert report.skipped["health_follows_progress"] == "it plays no stall and no `silence` was given"
    assert "repeats_itself" in report.passed


async def test_time_is_given_to_a_feed_that_needs_it_to_settle() -> None:
    settled = []

    async def settle() -> None:
        settled.append(1)

    await check_provider(lambda clock: TickingProvider("ticking", clock), settle=settle, seconds=5.0)
    assert len(settled) > 50


async def test_a_provider_that_raises_fails_with_what_it_raised() -> None:
    def make(clock: ManualClock) -> SimulatedProvider:
        provider = make_simulated(clock)
        provider.collect = lambda now: 1 / 0  # type: ignore[assignment, method-assign, return-value]
        return provider

    with pytest.raises(ConformanceError, match="raised ZeroDivisionError: division by zero") as caught:
        await check_provider(make)
    assert str(caught.value).startswith(f"{len(caught.value.failures)} of {len(CHECKS)} checks failed")
