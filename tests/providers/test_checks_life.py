"""Each check of start, stop, health and faults catches the bug it is there for."""

from __future__ import annotations

import numpy as np
import pytest

from marketstream.clock import ManualClock
from marketstream.market.events import ProviderStatus
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Fault, HealthReport, Provider
from marketstream.providers.checks import ConformanceError, check_provider
from marketstream.providers.simulated import SimulatedProvider, make_world


class Twin(SimulatedProvider):
    """A good provider; each subclass has one bug."""

    def __init__(self, clock: ManualClock) -> None:
        world = make_world("demo", seed=7, start_ns=clock.now_ns())
        super().__init__(name="birch", clock=clock, world=world, venue="birch")

    def playing(self, fault: Fault, now: int) -> bool:
        return fault in self._faults.active(now - 1)


class StopsOnlyOnce(Twin):
    async def stop(self) -> None:
        if self.status is ProviderStatus.STOPPED:
            raise RuntimeError("stopped already")
        await super().stop()


class StaysRunningWhenStopped(Twin):
    async def stop(self) -> None:
        pass


class NeverComesBack(Twin):
    started = 0

    async def start(self) -> None:
        self.started += 1
        await super().start()

    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        return rows if self.started < 2 else rows[:0]


class DeliversTheBacklog(Twin):
    async def start(self) -> None:
        await super().start()
        self._joins = False


class IsAlwaysHealthy(Twin):
    def health(self, now: int) -> HealthReport:
        report = super().health(now)
        if self.status is ProviderStatus.READY:
            return report
        return HealthReport(status=ProviderStatus.RUNNING, absence=None, detail="fine", age_s=0.0)


class GivesNoReason(Twin):
    def health(self, now: int) -> HealthReport:
        report = super().health(now)
        return HealthReport(status=report.status, absence=None, detail="", age_s=report.age_s)


class TakesAnyFault(Twin):
    def play_fault(self, fault: Fault, duration_s: float) -> None:
        if duration_s > 0:
            super().play_fault(fault, duration_s)


class TalksThroughAStall(Twin):
    def play_fault(self, fault: Fault, duration_s: float) -> None:
        super().play_fault(fault, 0.1 if fault is Fault.STALL else duration_s)


class KeepsStalling(Twin):
    def play_fault(self, fault: Fault, duration_s: float) -> None:
        super().play_fault(fault, duration_s * 100)


class StaysLiveInAGap(Twin):
    def play_fault(self, fault: Fault, duration_s: float) -> None:
        super().play_fault(fault, 0.1 if fault is Fault.GAP else duration_s)


class ForgetsToBlank(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        return rows[(rows["state"] != QuoteState.GAP) & (rows["state"] != QuoteState.RESYNCING)]


class ForgetsTheSnapshot(Twin):
    def collect(self, now: int) -> np.ndarray:
        self._feed.snapshot = lambda ts, seq: self._feed.state_rows(ts, seq, QuoteState.GAP)  # type: ignore[method-assign]
        return super().collect(now)


class LosesRowsSilently(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        self.stats.refused.clear()
        return rows


class RepairsCrossedQuotes(Twin):
    def collect(self, now: int) -> np.ndarray:
        rows = super().collect(now)
        swapped = rows["bid"] > rows["ask"]
        rows["bid"][swapped], rows["ask"][swapped] = rows["ask"][swapped], rows["bid"][swapped]
        return rows


class DropsCrossedQuotes(Twin):
    def drain(self, now: int) -> np.ndarray:
        rows = super().drain(now)
        return rows[rows["state"] != QuoteState.CROSSED]


class SpikesByNothing(Twin):
    def play_fault(self, fault: Fault, duration_s: float) -> None:
        if fault is not Fault.SPIKE or duration_s < 0:
            super().play_fault(fault, duration_s)


class SpikesForEver(Twin):
    def play_fault(self, fault: Fault, duration_s: float) -> None:
        super().play_fault(fault, duration_s * 100 if fault is Fault.SPIKE else duration_s)


class HidesADisconnect(Twin):
    def health(self, now: int) -> HealthReport:
        return Provider.health(self, now)


TWINS: list[tuple[type[Twin], str, str]] = [
    (StopsOnlyOnce, "stops_and_starts_again", "stopped already"),
    (StaysRunningWhenStopped, "stops_and_starts_again", "after stop its status"),
    (NeverComesBack, "stops_and_starts_again", "after the second start"),
    (DeliversTheBacklog, "rejoins_without_a_backlog", "quotes of the pause"),
    (IsAlwaysHealthy, "health_follows_progress", "it is RUNNING"),
    (GivesNoReason, "health_follows_progress", "gives no reason"),
    (TakesAnyFault, "refuses_faults_it_cannot_play", "accepts the fault"),
    (TalksThroughAStall, "plays_a_stall", "rows came during a stall"),
    (KeepsStalling, "plays_a_stall", "after the stall"),
    (StaysLiveInAGap, "plays_a_gap", "stayed LIVE"),
    (ForgetsToBlank, "plays_a_gap", "never told GAP"),
    (ForgetsToBlank, "plays_a_disconnect", "never told RESYNCING"),
    (ForgetsTheSnapshot, "plays_a_disconnect", "did not come back"),
    (LosesRowsSilently, "plays_a_gap", "not counted"),
    (RepairsCrossedQuotes, "plays_crossed_quotes", "stayed LIVE"),
    (DropsCrossedQuotes, "plays_crossed_quotes", "state rows came"),
    (SpikesByNothing, "plays_a_spike", "prices jumped"),
    (SpikesForEver, "plays_a_spike", "came back"),
    (HidesADisconnect, "plays_a_disconnect", "during a disconnect its health is RUNNING"),
]


async def test_the_twin_without_a_bug_passes() -> None:
    await check_provider(Twin, deterministic=True)


@pytest.mark.parametrize(("twin", "check", "says"), TWINS, ids=[f"{t.__name__}-{check}" for t, check, _ in TWINS])
async def test_the_bug_is_caught(twin: type[Provider], check: str, says: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        await check_provider(twin, deterministic=True)
    assert says in caught.value.failures[check]
