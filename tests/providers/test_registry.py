"""The registry: trust, changes at run time, fences, health, events."""

from __future__ import annotations

import asyncio
import logging
import threading

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, Desk, HangingProvider, QueueProvider, RaisingProvider

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus, Topic
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Fault
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.simulated import SimulatedProvider, make_world


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_rows_of_all_providers_are_merged_in_order_of_receipt(desk: Desk) -> None:
    a, b = desk.add("a", venue="kraken"), desk.add("b", venue="gemini")
    await desk.registry.start()
    for ts in (5, 1, 3):
        a.enqueue(START_NS + 10 * ts)
        b.enqueue(START_NS + 10 * ts)
    rows = desk.drain()
    assert (rows["ts_received"] - START_NS).tolist() == [10, 10, 30, 30, 50, 50]
    assert rows["provider"].tolist() == [a.code, b.code] * 3


async def test_only_the_first_provider_of_a_pair_is_trusted(desk: Desk) -> None:
    first, second = desk.add("first"), desk.add("second", instruments=("BTC-USD", "ETH-USD"))
    await desk.registry.start()
    first.enqueue(START_NS)
    second.enqueue(START_NS)
    second.enqueue(START_NS, instrument="ETH-USD")
    rows = desk.drain()
    assert sorted(rows["provider"].tolist()) == [first.code, second.code]
    assert desk.registry.trusted("BTC-USD", "kraken") == "first"
    assert desk.registry.trusted("ETH-USD", "kraken") == "second"
    assert second.stats.quotes == 2


async def test_a_disabled_provider_is_told_suspended_once_and_the_next_one_takes_over(desk: Desk) -> None:
    first, second = desk.add("first"), desk.add("second")
    await desk.registry.start()
    desk.drain()
    await desk.registry.disable("first")
    second.enqueue(desk.clock.now_ns() + 1)
    rows = desk.drain()
    assert rows["state"].tolist() == [QuoteState.SUSPENDED, QuoteState.LIVE]
    assert rows["provider"].tolist() == [first.code, second.code]
    assert np.isnan(rows["bid"][0])
    assert len(desk.drain()) == 0
    assert first.status is ProviderStatus.DISABLED
    assert first.calls == ["start", "stop"]


async def test_an_enabled_provider_is_trusted_again(desk: Desk) -> None:
    first = desk.add("first")
    desk.add("second")
    await desk.registry.start()
    await desk.registry.disable("first")
    assert desk.registry.trusted("BTC-USD", "kraken") == "second"
    await desk.registry.enable("first")
    assert first.status is ProviderStatus.RUNNING
    assert desk.registry.trusted("BTC-USD", "kraken") == "second", "a start proves nothing yet"
    for _ in range(32):
        first.enqueue(desk.clock.now_ns())
        desk.drain()
        desk.registry.check_health(desk.clock.now_ns())
    assert desk.registry.trusted("BTC-USD", "kraken") == "first"
    assert first.calls == ["start", "stop", "start"]


async def test_a_removed_provider_is_told_closed_and_forgotten(desk: Desk) -> None:
    provider = desk.add("a")
    await desk.registry.start()
    await desk.registry.remove("a")
    rows = desk.drain()
    assert rows["state"].tolist() == [QuoteState.CLOSED]
    assert provider.status is ProviderStatus.STOPPED
    assert "a" not in desk.registry
    assert desk.registry.trusted("BTC-USD", "kraken") is None
    with pytest.raises(NotFoundError, match="there are: none"):
        desk.registry.get("a")


async def test_a_removed_provider_can_be_added_again_while_running(desk: Desk) -> None:
    desk.add("a")
    await desk.registry.start()
    await desk.registry.remove("a")
    again = desk.add("a")
    assert again.status is ProviderStatus.DISABLED
    await desk.registry.enable("a")
    again.enqueue(desk.clock.now_ns())
    assert desk.drain()["state"].tolist() == [QuoteState.CLOSED, QuoteState.LIVE]


async def test_who_comes_back_has_its_old_place_in_the_order_of_trust(desk: Desk) -> None:
    first, second = desk.add("first"), desk.add("second")
    await desk.registry.start()
    await desk.registry.remove("first")
    desk.registry.add(first)
    assert desk.registry.names == ("first", "second")
    assert [p.name for p in desk.registry] == [r.name for r in desk.registry.report(START_NS)] == ["first", "second"]
    await desk.registry.enable("first")
    for _ in range(33):
        first.enqueue(desk.clock.now_ns())
        second.enqueue(desk.clock.now_ns())
        desk.drain()
        assert desk.registry.trusted("BTC-USD", "kraken") == "second"
        desk.check()
        if desk.registry.trusted("BTC-USD", "kraken") == "first":
            return
    pytest.fail("the first was not trusted again")


async def test_changes_of_what_is_not_there_are_refused(desk: Desk) -> None:
    desk.add("a")
    with pytest.raises(InvalidInputError, match="already"):
        desk.add("a")
    for change in (desk.registry.remove, desk.registry.enable, desk.registry.disable):
        with pytest.raises(NotFoundError, match="unknown provider 'b'; there are: a"):
            await change("b")


async def test_enabling_twice_starts_once(desk: Desk) -> None:
    provider = desk.add("a")
    await desk.registry.start()
    await desk.registry.enable("a")
    await desk.registry.disable("a")
    await desk.registry.disable("a")
    assert provider.calls == ["start", "stop"]


async def test_a_provider_that_raises_is_counted_and_delays_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    bad = RaisingProvider("bad", desk.clock, venue="gemini")
    desk.registry.add(bad)
    good = desk.add("good")
    await desk.registry.start()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            good.enqueue(desk.clock.now_ns())
            assert len(desk.drain()) == 1
    assert bad.stats.errors == 3
    assert len(caplog.records) == 1, "a fault that repeats is logged once"
    report = desk.registry.check_health(desk.clock.now_ns())["bad"]
    assert (report.status, report.absence) == (ProviderStatus.DEGRADED, Absence.ERROR)
    assert "bad frame" in report.detail
    bad.raises_in = "nothing"
    desk.drain()
    assert desk.registry.check_health(desk.clock.now_ns())["bad"].status is ProviderStatus.RUNNING


async def test_rows_of_another_type_are_an_error_of_that_provider_alone(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = desk.add("bad", venue="gemini"), desk.add("good")
    await desk.registry.start()
    bad.collect = lambda now: [1, 2, 3]  # type: ignore[assignment, method-assign, return-value]
    good.enqueue(START_NS)
    assert len(desk.drain()) == 1
    assert bad.stats.errors == 1


async def test_a_start_that_fails_is_faulted_and_not_trusted(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    bad = RaisingProvider("bad", desk.clock)
    bad.raises_in = "start"
    desk.registry.add(bad)
    desk.add("good")
    await desk.registry.start()
    assert bad.status is ProviderStatus.FAULTED
    assert bad.stats.errors == 1
    assert desk.registry.trusted("BTC-USD", "kraken") == "good"
    bad.raises_in = "nothing"
    await desk.registry.enable("bad")
    assert bad.status is ProviderStatus.RUNNING
    await desk.registry.disable("good")
    assert desk.registry.trusted("BTC-USD", "kraken") == "bad"


async def test_why_a_start_failed_is_told_and_stays_known_until_the_next_one(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    bad = RaisingProvider("bad", desk.clock)
    bad.raises_in = "start"
    desk.registry.add(bad)
    await desk.registry.start()
    assert desk.told("bad")[1:] == ["not started, FAULTED: start failed: OSError: no route"]
    for _ in range(3):
        desk.drain()
        report = desk.check()["bad"]
        assert (report.status, report.detail) == (ProviderStatus.FAULTED, "start failed: OSError: no route")
    bad.raises_in = "nothing"
    await desk.registry.enable("bad")
    desk.drain()
    assert desk.check()["bad"].detail == "waiting for the first quote"


async def test_an_event_of_a_failed_drain_says_degraded_in_its_data_too(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.registry.add(RaisingProvider("bad", desk.clock))
    await desk.registry.start()
    desk.drain()
    desk.check()
    event = desk.events[-1]
    assert event.message.startswith("RUNNING to DEGRADED: drain failed") and event.data == {"status": "DEGRADED"}


async def test_a_start_that_hangs_is_given_up_and_the_others_run(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    slow = HangingProvider("slow", desk.clock, "start")
    desk.registry.add(slow)
    good = desk.add("good")
    starting = asyncio.ensure_future(desk.registry.start())
    await desk.clock.run_for(0.0)
    assert good.status is ProviderStatus.RUNNING
    assert not starting.done()
    await desk.clock.run_for(5.0)
    await starting
    assert slow.status is ProviderStatus.FAULTED
    assert slow.stats.errors == 1
    assert "5 s" in caplog.text


async def test_a_stop_that_hangs_is_given_up(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    slow = HangingProvider("slow", desk.clock, "stop")
    desk.registry.add(slow)
    good = desk.add("good")
    await desk.registry.start()
    stopping = asyncio.ensure_future(desk.registry.stop())
    await desk.clock.run_for(5.0)
    await stopping
    assert (slow.status, good.status) == (ProviderStatus.STOPPED, ProviderStatus.STOPPED)


async def test_switching_off_while_it_starts_leaves_it_off(desk: Desk) -> None:
    provider = desk.add("a")
    await desk.registry.start()
    await desk.registry.disable("a")
    await asyncio.gather(desk.registry.enable("a"), desk.registry.disable("a"))
    assert provider.status is ProviderStatus.DISABLED
    assert provider.calls[-1] == "stop"


async def test_each_change_of_health_is_told_once(desk: Desk) -> None:
    provider = desk.add("a")
    await desk.registry.start()
    provider.enqueue(START_NS)
    desk.drain()
    for _ in range(30):
        desk.drain()
        desk.registry.check_health(desk.clock.now_ns())
    provider.enqueue(desk.clock.now_ns())
    desk.drain()
    desk.registry.check_health(desk.clock.now_ns())
    told = desk.told("a")
    assert told[:2] == ["added, READY", "started, RUNNING"]
    assert told[2].startswith("RUNNING to DEGRADED: no valid quote for")
    assert told[3:] == ["DEGRADED to RUNNING: delivering"]


async def test_a_provider_that_is_enabled_is_told_of_once(desk: Desk) -> None:
    desk.add("a", enabled=False)
    await desk.registry.enable("a")
    await desk.registry.disable("a")
    await desk.registry.start()
    await desk.registry.enable("a")
    desk.check()
    assert desk.told("a")[1:] == ["enabled, READY", "disabled", "started, RUNNING"]


async def test_a_feed_that_turns_faulted_leaves_the_book(desk: Desk) -> None:
    first = desk.add("first")
    desk.add("second")
    await desk.registry.start()
    first.status = ProviderStatus.FAULTED
    desk.registry.check_health(desk.clock.now_ns())
    assert desk.drain()["state"].tolist() == [QuoteState.SUSPENDED]
    assert desk.registry.trusted("BTC-USD", "kraken") == "second"


async def test_a_health_check_that_raises_is_a_report(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    provider = desk.add("a")
    await desk.registry.start()
    provider.health = lambda now: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    report = desk.registry.check_health(desk.clock.now_ns())["a"]
    assert (report.status, report.absence) == (ProviderStatus.DEGRADED, Absence.ERROR)


async def test_a_listener_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(START_NS)
    registry = ProviderRegistry(Catalog(), clock, lambda event: {}[event])  # type: ignore[index, misc]
    registry.add(QueueProvider("a", clock))
    assert "a listener failed" in caplog.text
    assert registry.names == ("a",)


async def test_the_report_tells_counts_rate_and_age(desk: Desk) -> None:
    provider = desk.add("a", instruments=("BTC-USD", "ETH-USD"))
    await desk.registry.start()
    for second in range(12):
        for i in range(5):
            provider.enqueue(START_NS + second * SECOND_NS + i)
        provider.enqueue(START_NS + second * SECOND_NS + 9, bid=7.0, ask=6.0)
        desk.drain()
    (report,) = desk.registry.report(desk.clock.now_ns())
    assert (report.name, report.kind, report.enabled) == ("a", "queue", True)
    assert (report.frames, report.quotes, report.refused) == (72, 60, {"crossed": 12})
    assert report.success_rate == pytest.approx(60 / 72)
    assert report.rate == pytest.approx(5.0)
    assert report.age_s == pytest.approx(1.0, abs=1e-6)
    assert (report.venues, report.n_instruments, report.faults) == (("kraken",), 2, ())


async def test_faults_are_played_and_told(desk: Desk) -> None:
    world = make_world("demo", seed=1, start_ns=START_NS)
    desk.registry.add(SimulatedProvider(name="alder", clock=desk.clock, world=world, venue="alder"))
    desk.add("real")
    await desk.registry.start()
    desk.drain()
    desk.registry.play_fault("alder", Fault.GAP, 1.0)
    desk.drain(0.5)
    topics = [e.topic for e in desk.events if e.subject == "alder"]
    assert topics[-2:] == [Topic.PROVIDER_FAULT, Topic.FEED_GAP]
    with pytest.raises(InvalidInputError, match="real feed"):
        desk.registry.play_fault("real", Fault.GAP, 1.0)


async def test_adding_from_threads_while_draining_loses_nothing(desk: Desk) -> None:
    await desk.registry.start()
    barrier = threading.Barrier(5)

    def add(number: int) -> None:
        barrier.wait()
        for i in range(10):
            name = f"p{number}-{i}"
            desk.registry.add(QueueProvider(name, desk.clock, venue=name))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    while any(t.is_alive() for t in threads):
        desk.registry.drain(desk.clock.now_ns())
        desk.registry.report(desk.clock.now_ns())
    for thread in threads:
        thread.join()
    assert len(desk.registry) == 40
    assert len({p.code for p in desk.registry}) == 40
