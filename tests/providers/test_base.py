"""The Provider base class: screening, counting and judging by progress."""

from __future__ import annotations

import math

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, QueueProvider

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.quotes import QuoteState, empty_quotes
from marketstream.providers.base import Fault, Input, InputKind, ProviderStats


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


@pytest.fixture
async def provider(clock: ManualClock) -> QueueProvider:
    provider = QueueProvider("a", clock, ("BTC-USD", "ETH-USD"))
    provider.attach(Catalog())
    await provider.start()
    return provider


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_a_stale_after_that_is_no_length_of_time_is_refused(clock: ManualClock, seconds: float) -> None:
    with pytest.raises(InvalidInputError, match="stale_after_s"):
        QueueProvider("a", clock, stale_after_s=seconds)


def test_a_provider_must_be_attached_before_it_is_drained(clock: ManualClock) -> None:
    with pytest.raises(InvalidInputError, match="not attached"):
        _ = QueueProvider("a", clock).catalog


def test_success_rate_is_unknown_before_the_first_quote() -> None:
    assert ProviderStats().success_rate is None


async def test_drain_sets_the_provider_and_counts_good_quotes(provider: QueueProvider) -> None:
    provider.enqueue(START_NS + 1)
    rows = provider.drain(START_NS + 5)
    assert rows["provider"].tolist() == [provider.code]
    assert provider.stats.quotes == 1
    assert provider.stats.last_data_ns == START_NS + 1
    assert provider.stats.success_rate == 1.0


async def test_a_crossed_quote_leaves_as_a_state_row_and_is_counted(provider: QueueProvider) -> None:
    provider.enqueue(START_NS + 1, bid=102.0, ask=101.0)
    rows = provider.drain(START_NS + 5)
    assert rows["state"].tolist() == [QuoteState.CROSSED]
    assert provider.stats.refused == {"crossed": 1}
    assert provider.stats.success_rate == 0.0


async def test_a_row_of_a_pair_that_is_not_listed_is_dropped_and_counted(provider: QueueProvider) -> None:
    for instrument, venue in ((7, 0), (-1, 0), (0, 9), (0, -3)):
        row = empty_quotes(1)
        row["bid"], row["ask"], row["instrument"], row["venue"] = 1.0, 2.0, instrument, venue
        provider.queue.append(row)
    provider.enqueue(START_NS)
    rows = provider.drain(START_NS + 5)
    assert len(rows) == 1
    assert provider.stats.refused == {"unknown_instrument": 4}


async def test_a_pair_that_another_provider_lists_is_not_this_ones(clock: ManualClock) -> None:
    catalog = Catalog()
    other = QueueProvider("other", clock, ("ETH-USD",), "kraken")
    mine = QueueProvider("mine", clock, ("BTC-USD",), "kraken")
    other.attach(catalog)
    mine.attach(catalog)
    mine.enqueue(START_NS, instrument="ETH-USD")
    assert len(mine.drain(START_NS + 5)) == 0
    assert mine.stats.refused == {"unknown_instrument": 1}


async def test_health_is_degraded_after_silence_and_running_again_with_data(
    provider: QueueProvider, clock: ManualClock
) -> None:
    provider.enqueue(START_NS)
    provider.drain(clock.now_ns())
    assert provider.health(clock.now_ns()).status is ProviderStatus.RUNNING
    clock.advance(10.5)
    provider.drain(clock.now_ns())
    silent = provider.health(clock.now_ns())
    assert (silent.status, silent.absence, silent.age_s) == (ProviderStatus.DEGRADED, Absence.STALE, 10.5)
    assert "10.5 s" in silent.detail
    provider.enqueue(clock.now_ns())
    provider.drain(clock.now_ns())
    assert provider.health(clock.now_ns()).status is ProviderStatus.RUNNING


async def test_a_feed_is_not_silent_while_nobody_takes_what_came(provider: QueueProvider, clock: ManualClock) -> None:
    provider.enqueue(START_NS)
    provider.drain(clock.now_ns())
    provider.health(clock.now_ns())
    clock.advance(60.0)
    provider.enqueue(clock.now_ns())
    paused = provider.health(clock.now_ns())
    assert (paused.status, paused.age_s) == (ProviderStatus.RUNNING, 60.0)
    provider.drain(clock.now_ns())
    assert provider.health(clock.now_ns()).status is ProviderStatus.RUNNING


async def test_a_feed_that_brought_nothing_meanwhile_is_silent_at_the_first_drain(
    provider: QueueProvider, clock: ManualClock
) -> None:
    provider.enqueue(START_NS)
    provider.drain(clock.now_ns())
    provider.health(clock.now_ns())
    clock.advance(60.0)
    provider.drain(clock.now_ns())
    assert provider.health(clock.now_ns()).status is ProviderStatus.DEGRADED


async def test_refused_quotes_are_no_progress(provider: QueueProvider, clock: ManualClock) -> None:
    provider.health(clock.now_ns())
    for _ in range(12):
        clock.advance(1.0)
        provider.enqueue(clock.now_ns(), bid=5.0, ask=1.0)
        provider.drain(clock.now_ns())
    report = provider.health(clock.now_ns())
    assert (report.status, report.absence) == (ProviderStatus.DEGRADED, Absence.NO_DATA)


async def test_a_jump_of_the_wall_clock_is_no_silence(provider: QueueProvider, clock: ManualClock) -> None:
    provider.enqueue(START_NS)
    provider.drain(clock.now_ns())
    provider.health(clock.now_ns())
    clock.jump_wall(3600.0)
    report = provider.health(clock.now_ns())
    assert (report.status, report.age_s) == (ProviderStatus.RUNNING, 0.0)
    clock.jump_wall(-7200.0)
    clock.advance(11.0)
    provider.drain(clock.now_ns())
    assert provider.health(clock.now_ns()).status is ProviderStatus.DEGRADED


async def test_a_quote_under_way_while_the_wall_clock_is_set_forward_counts_as_new(
    provider: QueueProvider, clock: ManualClock
) -> None:
    provider.drain(clock.now_ns())
    provider.health(clock.now_ns())
    clock.advance(60.0)
    provider.drain(clock.now_ns())
    clock.advance(0.5)
    provider.enqueue(clock.now_ns())
    clock.jump_wall(3600.0)
    provider.drain(clock.now_ns())
    report = provider.health(clock.now_ns())
    assert (report.status, report.age_s) == (ProviderStatus.RUNNING, 0.5)


async def test_silence_before_a_start_does_not_count(provider: QueueProvider, clock: ManualClock) -> None:
    provider.enqueue(START_NS)
    provider.drain(clock.now_ns())
    await provider.stop()
    assert provider.health(clock.now_ns()).detail == "not running"
    clock.advance(100.0)
    await provider.start()
    assert provider.health(clock.now_ns()).status is ProviderStatus.RUNNING


async def test_a_faulted_provider_stays_faulted(provider: QueueProvider, clock: ManualClock) -> None:
    provider.status = ProviderStatus.FAULTED
    assert provider.health(clock.now_ns()).absence is Absence.ERROR


def test_a_real_feed_plays_no_faults(clock: ManualClock) -> None:
    provider = QueueProvider("a", clock)
    assert provider.faults == ()
    assert provider.truth(0) == {}
    with pytest.raises(InvalidInputError, match="real feed"):
        provider.play_fault(Fault.STALL, 1.0)


async def test_rows_that_carry_a_state_already_are_left_alone(provider: QueueProvider) -> None:
    provider.enqueue(START_NS)
    provider.queue[0]["state"] = QuoteState.GAP
    provider.queue[0]["bid"] = provider.queue[0]["ask"] = np.nan
    rows = provider.drain(START_NS + SECOND_NS)
    assert rows["state"].tolist() == [QuoteState.GAP]
    assert provider.stats.refused == {}
    assert provider.stats.last_data_ns is None


def test_a_feed_without_raw_inputs_says_that_it_cannot_be_replayed(provider: QueueProvider) -> None:
    given = Input(provider="a", kind=InputKind.FRAME, epoch=1, ts=START_NS, body=b"{}")
    with pytest.raises(InvalidInputError, match="provider kind 'queue' cannot be replayed from raw inputs"):
        provider.replay(given)
