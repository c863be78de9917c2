"""Starting, stopping and checking one provider behind the fence."""

from __future__ import annotations

import asyncio

import pytest
from provider_fakes import HangingProvider, QueueProvider, RaisingProvider

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus
from marketstream.providers.lifecycle import Lifecycle, failed_report
from marketstream.providers.registry_entry import Entry


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def entry_of(provider: QueueProvider) -> Entry:
    provider.attach(Catalog())
    return Entry(provider, enabled=True)


async def test_a_start_that_works_leaves_no_failure(clock: ManualClock) -> None:
    entry = entry_of(QueueProvider("a", clock))
    assert await Lifecycle(clock, 5.0).start(entry) is True
    assert (entry.provider.status, entry.failure) == (ProviderStatus.RUNNING, "")


async def test_a_start_that_raises_is_faulted_with_its_reason(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    provider = RaisingProvider("a", clock)
    provider.raises_in = "start"
    entry = entry_of(provider)
    assert await Lifecycle(clock, 5.0).start(entry) is False
    assert (provider.status, entry.failure) == (ProviderStatus.FAULTED, "start failed: OSError: no route")


async def test_a_stop_that_hangs_ends_with_the_status_asked_for(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    entry = entry_of(HangingProvider("a", clock, "stop"))
    stopping = asyncio.ensure_future(Lifecycle(clock, 5.0).stop(entry, ProviderStatus.DISABLED))
    await clock.run_for(4.9)
    assert not stopping.done()
    await clock.run_for(0.1)
    await asyncio.wait_for(stopping, 0)
    assert (entry.provider.status, entry.last_status) == (ProviderStatus.DISABLED, ProviderStatus.DISABLED)
    assert entry.failure == "stop failed: TimeoutError: took longer than 5 s"


async def test_reports_come_in_the_order_of_the_entries(clock: ManualClock) -> None:
    entries = [entry_of(QueueProvider(name, clock)) for name in ("a", "b")]
    entries[1].provider.status = ProviderStatus.FAULTED
    found = await Lifecycle(clock, 5.0).check(entries, clock.now_ns())
    assert [report.status for report in found] == [ProviderStatus.READY, ProviderStatus.FAULTED]


async def test_a_failed_check_is_no_failure_of_the_feed(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    entry = entry_of(QueueProvider("a", clock))
    entry.provider.check = lambda now: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    (report,) = await Lifecycle(clock, 5.0).check([entry], clock.now_ns())
    assert report == failed_report("check failed: ZeroDivisionError: division by zero")
    assert (report.status, report.absence) == (ProviderStatus.DEGRADED, Absence.ERROR)
    assert entry.failure == "", "the next health check goes by progress"


def test_a_time_out_must_be_positive(clock: ManualClock) -> None:
    with pytest.raises(InvalidInputError, match="timeout_s must be > 0"):
        Lifecycle(clock, 0.0)
