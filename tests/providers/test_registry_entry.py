"""The registry's parts: rates, the fence of time, and who is trusted."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, QueueProvider

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.catalog import Catalog
from marketstream.market.events import ProviderStatus
from marketstream.market.quotes import QuoteState
from marketstream.providers.registry_entry import Entry, Fence, Trust


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


def entry_of(clock: ManualClock, catalog: Catalog, name: str, *instruments: str) -> Entry:
    provider = QueueProvider(name, clock, instruments or ("BTC-USD",))
    provider.attach(catalog)
    return Entry(provider, enabled=True)


def test_the_rate_is_that_of_the_last_ten_seconds(clock: ManualClock) -> None:
    entry = entry_of(clock, Catalog(), "a")
    assert entry.rate() == 0.0
    for second in range(30):
        # 100 a second for 15 seconds, then 4 a second
        entry.provider.stats.quotes += 100 if second < 15 else 4
        entry.drained(START_NS + second * SECOND_NS)
    assert entry.rate() == pytest.approx(4.0)
    entry.restart()
    assert entry.rate() == 0.0


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_fence_needs_some_time(clock: ManualClock, timeout_s: float) -> None:
    with pytest.raises(InvalidInputError, match="timeout_s must be > 0"):
        Fence(clock, timeout_s)


async def test_work_that_ends_in_time_passes_the_fence(clock: ManualClock) -> None:
    entry = entry_of(clock, Catalog(), "a")
    running = asyncio.ensure_future(Fence(clock, 2.0).within_time(entry, lambda: clock.sleep(1.9), "start"))
    await clock.run_for(3.0)
    assert await running is True
    assert entry.provider.stats.errors == 0


async def test_work_that_is_too_slow_is_cancelled_and_counted(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    entry = entry_of(clock, Catalog(), "a")
    cancelled = []

    async def work() -> None:
        try:
            await clock.sleep(60.0)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    running = asyncio.ensure_future(Fence(clock, 2.0).within_time(entry, work, "stop"))
    await clock.run_for(2.0)
    assert await running is False
    await asyncio.sleep(0)
    assert cancelled == [True]
    assert entry.provider.stats.errors == 1
    assert "stop failed: TimeoutError" in caplog.text


async def test_what_fails_after_it_was_given_up_is_logged(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    entry = entry_of(clock, Catalog(), "a")

    async def work() -> None:
        try:
            await clock.sleep(60.0)
        except asyncio.CancelledError:
            raise OSError("socket gone") from None

    with caplog.at_level(logging.WARNING):
        running = asyncio.ensure_future(Fence(clock, 2.0).within_time(entry, work, "stop"))
        await clock.run_for(2.0)
        assert await running is False
        for _ in range(3):
            await asyncio.sleep(0)
    assert "after it was given up" in caplog.text


def test_trust_goes_to_the_first_that_can_deliver(clock: ManualClock) -> None:
    catalog = Catalog()
    first = entry_of(clock, catalog, "first", "BTC-USD")
    second = entry_of(clock, catalog, "second", "BTC-USD", "ETH-USD")
    trust = Trust(catalog)
    trust.settle([first, second])
    assert (trust.name_of("BTC-USD", "kraken"), trust.name_of("ETH-USD", "kraken")) == ("first", "second")
    first.provider.status = ProviderStatus.FAULTED
    trust.settle([first, second])
    assert trust.name_of("BTC-USD", "kraken") == "second"
    second.enabled = False
    trust.settle([first, second])
    assert trust.name_of("BTC-USD", "kraken") is None
    with pytest.raises(NotFoundError):
        trust.name_of("XRP-USD", "kraken")


def test_only_the_pairs_one_is_trusted_for_are_withdrawn(clock: ManualClock) -> None:
    catalog = Catalog()
    first = entry_of(clock, catalog, "first", "BTC-USD")
    second = entry_of(clock, catalog, "second", "BTC-USD", "ETH-USD")
    trust = Trust(catalog)
    trust.settle([first, second])
    rows = trust.withdraw(second, QuoteState.CLOSED, START_NS)
    assert rows["instrument"].tolist() == [catalog.code("ETH-USD")]
    assert rows["state"].tolist() == [QuoteState.CLOSED]
    assert np.isnan(rows["ask"][0])
