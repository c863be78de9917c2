"""Active health checks: side by side, fenced, and without effect on trust."""

from __future__ import annotations

import asyncio

import pytest
from provider_fakes import Desk, QueueProvider

from marketstream.clock import ManualClock
from marketstream.errors import NotFoundError
from marketstream.market.events import Absence, ProviderStatus
from marketstream.providers.base import HealthReport


class ProbedProvider(QueueProvider):
    """Takes `takes_s` seconds for an active check; for ever where that is None."""

    def __init__(self, name: str, clock: ManualClock, takes_s: float | None = 0.05) -> None:
        super().__init__(name, clock, venue=name)
        self.takes_s = takes_s
        self.asked = 0

    async def check(self, now: int) -> HealthReport:
        self.asked += 1
        if self.takes_s is None:
            await asyncio.Event().wait()
        else:
            await self.clock.sleep(self.takes_s)
        return await super().check(now)


def probed(desk: Desk, name: str, takes_s: float | None = 0.05) -> ProbedProvider:
    provider = ProbedProvider(name, desk.clock, takes_s)
    desk.registry.add(provider)
    return provider


async def test_without_more_to_look_at_the_active_check_is_the_judgement_of_progress() -> None:
    desk = Desk()
    desk.add("a")
    await desk.registry.start()
    desk.clock.advance(11.0)
    desk.check()
    desk.clock.advance(11.0)
    now = desk.clock.now_ns()
    assert await desk.registry.check("a") == desk.registry.check_health(now)["a"]
    with pytest.raises(NotFoundError, match="unknown provider 'b'; there are: a"):
        await desk.registry.check("b")


async def test_a_thousand_checks_take_as_long_as_one() -> None:
    desk = Desk()
    providers = [probed(desk, f"p{i}") for i in range(1000)]
    await desk.registry.start()
    checking = asyncio.ensure_future(desk.registry.check_all(desk.clock.now_ns()))
    await desk.clock.run_for(0.05)
    reports = await asyncio.wait_for(checking, 0)
    assert list(reports) == [p.name for p in providers]
    assert {report.status for report in reports.values()} == {ProviderStatus.RUNNING}
    assert {p.asked for p in providers} == {1}


async def test_one_that_hangs_delays_nobody_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(timeout_s=2.0)
    probed(desk, "hung", None)
    for i in range(9):
        probed(desk, f"p{i}")
    await desk.registry.start()
    checking = asyncio.ensure_future(desk.registry.check_all(desk.clock.now_ns()))
    await desk.clock.run_for(1.9)
    assert not checking.done()
    await desk.clock.run_for(0.1)
    reports = await asyncio.wait_for(checking, 0)
    hung = reports.pop("hung")
    assert (hung.status, hung.absence) == (ProviderStatus.DEGRADED, Absence.ERROR)
    assert hung.detail == "check failed: TimeoutError: took longer than 2 s"
    assert {report.status for report in reports.values()} == {ProviderStatus.RUNNING}
    assert "hung" in caplog.text


async def test_a_check_that_raises_is_counted_and_moves_no_trust(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    bad, reserve = desk.add("bad"), desk.add("reserve")
    await desk.registry.start()

    async def fail(now: int) -> HealthReport:
        raise OSError("no route")

    bad.check = fail  # type: ignore[method-assign]
    report = await desk.registry.check("bad")
    assert (report.status, report.absence) == (ProviderStatus.DEGRADED, Absence.ERROR)
    assert report.detail == "check failed: OSError: no route"
    assert (bad.stats.errors, reserve.stats.errors) == (1, 0)
    assert desk.check()["bad"].status is ProviderStatus.RUNNING
    assert desk.registry.trusted("BTC-USD", "kraken") == "bad"


async def test_what_is_no_report_is_an_error_of_that_provider(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    bad = desk.add("bad")
    await desk.registry.start()

    async def odd(now: int) -> str:
        return "fine"

    bad.check = odd  # type: ignore[assignment, method-assign]
    assert "must return a HealthReport, was str" in (await desk.registry.check("bad")).detail


async def test_who_is_not_enabled_is_not_asked() -> None:
    desk = Desk()
    provider = probed(desk, "a")
    await desk.registry.start()
    await desk.registry.disable("a")
    report = (await desk.registry.check_all(desk.clock.now_ns()))["a"]
    assert (report.status, report.detail) == (ProviderStatus.DISABLED, "not running")
    assert provider.asked == 0


async def test_a_failed_drain_shows_in_the_active_check_too(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    bad = desk.add("bad")
    await desk.registry.start()
    bad.collect = lambda now: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    desk.drain()
    report = await desk.registry.check("bad")
    assert (report.status, report.detail) == (
        ProviderStatus.DEGRADED,
        "drain failed: ZeroDivisionError: division by zero",
    )


async def test_checks_given_up_by_who_asked_leave_nothing_behind() -> None:
    desk = Desk()
    probed(desk, "hung", None)
    await desk.registry.start()
    before = asyncio.all_tasks()
    checking = asyncio.ensure_future(desk.registry.check("hung"))
    await asyncio.sleep(0)
    checking.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert checking.cancelled()
    assert asyncio.all_tasks() == before
