"""The event bus: who gets what, in which order, and what a bad or slow subscriber does to others (nothing)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import weakref
from collections.abc import AsyncIterator

import pytest
from event_factory import CONTROL, SOFT, event, numbers, soft, turns

from marketstream.clock import ManualClock, SystemClock
from marketstream.errors import InvalidInputError, TransientError
from marketstream.market.events import MarketEvent, Topic
from marketstream.streaming.event_bus import EventBus
from marketstream.streaming.waiting import Overflow


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def bus(clock: ManualClock) -> AsyncIterator[EventBus]:
    bus = EventBus(clock)
    bus.start()
    yield bus
    await bus.stop(drain_s=0)


class Slow:
    """An async subscriber that takes `seconds` over each event."""

    def __init__(self, clock: ManualClock, seconds: float = 1.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.seen: list[MarketEvent] = []

    async def __call__(self, one: MarketEvent) -> None:
        await self.clock.sleep(self.seconds)
        self.seen.append(one)


class Keeper:
    """A subscriber by bound method."""

    def __init__(self, seen: list[MarketEvent]) -> None:
        self.seen = seen

    def take(self, one: MarketEvent) -> None:
        self.seen.append(one)


async def test_subscribers_get_the_topics_of_their_pattern(bus: EventBus) -> None:
    seen: dict[str, list[MarketEvent]] = {p: [] for p in ("#", "market.#", "*.status.changed", "feed.gap.found")}
    for pattern, events in seen.items():
        bus.subscribe(pattern, events.append)
    for n, topic in enumerate((Topic.MARKET_DELTA, Topic.PROVIDER_STATUS, Topic.STORE_STATUS, Topic.FEED_GAP)):
        bus.publish(event(n, topic))
    assert {pattern: numbers(events) for pattern, events in seen.items()} == {
        "#": [0, 1, 2, 3],
        "market.#": [0],
        "*.status.changed": [1, 2],
        "feed.gap.found": [3],
    }


async def test_routes_follow_subscriptions_that_come_and_go(bus: EventBus) -> None:
    first, second = list[MarketEvent](), list[MarketEvent]()
    bus.publish(event(0))
    subscription = bus.subscribe("provider.#", first.append)
    bus.publish(event(1))
    with bus.subscribe("#", second.append):
        bus.publish(event(2))
        subscription.close()
        subscription.close()
        bus.publish(event(3))
    bus.publish(event(4))
    assert (numbers(first), numbers(second)) == ([1, 2], [2, 3])
    assert bus.stats().subscriptions == ()


async def test_a_subscriber_without_another_reference_stays_alive_until_it_is_closed(bus: EventBus) -> None:
    seen: list[MarketEvent] = []
    keeper = Keeper(seen)
    gone = weakref.ref(keeper)
    subscription = bus.subscribe("#", keeper.take)
    del keeper
    gc.collect()
    bus.publish(event(1))
    assert numbers(seen) == [1]
    subscription.close()
    gc.collect()
    assert gone() is None


async def test_an_event_published_from_a_subscriber_comes_after_the_current_one(bus: EventBus) -> None:
    seen: list[MarketEvent] = []

    def chain(one: MarketEvent) -> None:
        n = one.data["n"]
        assert isinstance(n, int)
        if n < 5000:  # far beyond what recursion would survive
            bus.publish(event(n + 1))

    bus.subscribe("#", chain)
    bus.subscribe("#", seen.append)
    bus.publish(event(0))
    assert numbers(seen) == list(range(5001))


async def test_one_that_raises_stays_subscribed_and_disturbs_nobody(
    bus: EventBus, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(one: MarketEvent) -> None:
        raise ValueError("three" if one.data["n"] == 3 else "broken")

    async def bad_too(one: MarketEvent) -> None:
        bad(one)

    seen: list[MarketEvent] = []
    bus.subscribe("#", bad, name="bad")
    bus.subscribe("#", bad_too, name="bad too")
    bus.subscribe("#", seen.append)
    for n in range(5):
        bus.publish(event(n))
    await turns()
    assert numbers(seen) == [0, 1, 2, 3, 4]
    for stats in bus.stats().subscriptions[:2]:
        assert (stats.delivered, stats.errors, stats.last_error) == (5, 5, "ValueError: broken")
        # One line for a run of equal errors, with its traceback: broken, three, broken.
        logged = [r for r in caplog.records if f"{stats.name!r}" in r.getMessage()]
        assert len(logged) == 3 and all(r.exc_info is not None for r in logged)


async def test_a_subscriber_that_raises_a_cancelled_error_of_its_own_goes_on(bus: EventBus) -> None:
    seen: list[MarketEvent] = []

    async def bad(one: MarketEvent) -> None:
        seen.append(one)
        raise asyncio.CancelledError

    subscription = bus.subscribe("#", bad)
    bus.publish(event(1)), bus.publish(event(2))
    await turns()
    assert numbers(seen) == [1, 2] and subscription.errors == 2


async def test_a_plain_subscriber_that_raises_a_cancelled_error_keeps_the_event_from_nobody(bus: EventBus) -> None:
    def bad(one: MarketEvent) -> None:
        raise asyncio.CancelledError

    seen: list[MarketEvent] = []
    subscription = bus.subscribe("#", bad)
    bus.subscribe("#", seen.append)
    bus.publish(event(1))
    assert numbers(seen) == [1] and subscription.errors == 1


async def test_a_subscriber_that_swallows_its_end_takes_no_more_events(clock: ManualClock, bus: EventBus) -> None:
    seen: list[MarketEvent] = []

    async def stubborn(one: MarketEvent) -> None:
        seen.append(one)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    bus.subscribe("#", stubborn)
    for n in range(3):
        bus.publish(event(n))
    await turns()
    await asyncio.wait_for(bus.stop(drain_s=0), 5)
    assert numbers(seen) == [0]


async def test_a_slow_subscriber_delays_nobody_and_gets_its_events_in_order(clock: ManualClock, bus: EventBus) -> None:
    slow, fast, seen = Slow(clock), Slow(clock, 0.0), list[MarketEvent]()
    for subscriber in (slow, fast, seen.append):
        bus.subscribe("#", subscriber)
    for n in range(4):
        bus.publish(event(n))
    assert numbers(seen) == [0, 1, 2, 3]
    await clock.run_for(0.5)
    assert (numbers(slow.seen), numbers(fast.seen)) == ([], [0, 1, 2, 3])
    await clock.run_for(2.0)
    assert numbers(slow.seen) == [0, 1]
    await clock.run_for(2.0)
    assert numbers(slow.seen) == [0, 1, 2, 3]


async def test_a_plain_callable_with_a_capacity_is_called_from_its_own_task(bus: EventBus) -> None:
    seen: list[MarketEvent] = []
    bus.subscribe("#", seen.append, capacity=2)
    bus.publish(event(1))
    assert seen == []
    await turns()
    assert numbers(seen) == [1]


async def test_a_subscriber_that_never_waits_leaves_turns_to_others(bus: EventBus) -> None:
    seen: list[MarketEvent] = []

    async def greedy(one: MarketEvent) -> None:
        seen.append(one)

    bus.subscribe("#", greedy, capacity=1000)
    for n in range(500):
        bus.publish(event(n))
    await turns(3)
    assert 0 < len(seen) <= 200


async def test_a_full_queue_that_blocks_makes_publish_fail_before_anybody_got_the_event(
    clock: ManualClock, bus: EventBus
) -> None:
    slow, seen, other = Slow(clock), list[MarketEvent](), Slow(clock, 0.0)
    bus.subscribe("#", seen.append)
    bus.subscribe("#", other)
    bus.subscribe("#", slow, name="slow", capacity=2, policy=Overflow.BLOCK)
    for n in range(2):
        bus.publish(soft(n))
    with pytest.raises(TransientError, match="subscriber 'slow' of the bus has a full queue; publish "):
        bus.publish(soft(2))
    bus.publish(event(3))
    await clock.run_for(9.0)
    assert numbers(seen) == numbers(other.seen) == numbers(slow.seen) == [0, 1, 3]
    assert numbers(bus.history()) == [0, 1, 3] and bus.stats().subscriptions[2].overflow == 1


@pytest.mark.parametrize("topic", [SOFT, CONTROL])
async def test_publish_waiting_waits_for_room(clock: ManualClock, bus: EventBus, topic: Topic) -> None:
    slow, seen = Slow(clock), list[MarketEvent]()
    bus.subscribe("#", slow, capacity=2, policy=Overflow.BLOCK)
    bus.subscribe("#", seen.append)

    async def feed() -> None:
        for n in range(6):
            await bus.publish_waiting(event(n, topic))

    feeding = asyncio.create_task(feed())
    await clock.run_for(0.5)
    assert numbers(seen) == [0, 1, 2]  # one in work, two waiting
    await clock.run_for(9.0)
    await feeding
    assert numbers(seen) == numbers(slow.seen) == [0, 1, 2, 3, 4, 5]
    assert bus.stats().subscriptions[0].overflow == 0


async def test_a_publisher_that_waits_goes_on_when_the_full_subscription_is_closed(
    clock: ManualClock, bus: EventBus
) -> None:
    subscription = bus.subscribe("#", Slow(clock), capacity=1, policy=Overflow.BLOCK)
    for n in range(3):
        bus.publish(event(n))
    waiting = asyncio.create_task(bus.publish_waiting(event(3)))
    await turns()
    subscription.close()
    await asyncio.wait_for(waiting, 5)
    assert numbers(bus.history()) == [0, 1, 2, 3]


async def test_a_queue_with_a_policy_lets_go_of_what_may_be_dropped_alone(clock: ManualClock, bus: EventBus) -> None:
    dropping, conflating = Slow(clock), Slow(clock)
    bus.subscribe("#", dropping, capacity=2)
    bus.subscribe(
        "#", conflating, capacity=5, policy=Overflow.CONFLATE, key=lambda one: str(one.data["n"]).endswith("0")
    )
    bus.publish(event(0))
    await turns()  # 0 is in work from here on
    for n in (10, 11, 20, 21):
        bus.publish(soft(n))
    bus.publish(event(30))
    await clock.run_for(20.0)
    assert numbers(dropping.seen) == [0, 21, 30]
    assert numbers(conflating.seen) == [0, 20, 21, 30]
    first, second = bus.stats().subscriptions
    assert (first.delivered, first.dropped, first.conflated, first.waiting) == (3, 3, 0, 0)
    assert (second.delivered, second.dropped, second.conflated, second.waiting) == (4, 0, 2, 0)


async def test_history_is_bounded_newest_last_and_by_pattern(clock: ManualClock) -> None:
    bus = EventBus(clock, history=2)
    for n in range(8):
        bus.publish(soft(n) if n % 2 else event(n))
    assert numbers(bus.history()) == [4, 5, 6, 7]
    assert numbers(bus.history("market.#")) == [5, 7]
    assert numbers(bus.history(limit=3)) == [5, 6, 7] and bus.history(limit=0) == ()
    assert len(bus.history(limit=9)) == 4
    with pytest.raises(InvalidInputError, match="limit must be >= 0 events, was -1"):
        bus.history(limit=-1)


async def test_a_busy_topic_does_not_push_a_rare_one_out_of_the_history(clock: ManualClock) -> None:
    bus = EventBus(clock, history=10)
    bus.publish(event(1))
    for n in range(2, 1000):
        bus.publish(soft(n))
    assert numbers(bus.history("provider.#")) == [1] and numbers(bus.history())[:2] == [1, 990]


async def test_rates_are_those_of_the_last_ten_seconds(clock: ManualClock) -> None:
    bus = EventBus(clock)
    for _ in range(60):
        clock.advance(0.5)
        bus.publish(event(ts=clock.now_ns()))
    for _ in range(5):
        bus.publish(event(topic=SOFT, ts=clock.now_ns()))
    rates = {topic.topic: (topic.events, topic.per_s) for topic in bus.stats().topics}
    assert rates == {CONTROL: (60, pytest.approx(2.0)), SOFT: (5, pytest.approx(0.5))}
    clock.advance(60)
    assert [topic.per_s for topic in bus.stats().topics] == [0.0, 0.0]
    assert bus.stats().published == 65


async def test_a_rate_beyond_the_history_is_taken_over_what_the_history_spans(clock: ManualClock) -> None:
    bus = EventBus(clock, history=10)
    for _ in range(500):
        clock.advance(0.01)
        bus.publish(event(ts=clock.now_ns()))
    (topic,) = bus.stats().topics
    assert topic.per_s == pytest.approx(100.0)


async def test_latencies_run_from_publish_to_call_on_the_clock_given(clock: ManualClock, bus: EventBus) -> None:
    bus.subscribe("#", Slow(clock, 2.0))
    bus.publish(event(0))
    await clock.run_for(0.5)
    bus.publish(event(1))  # waits 1.5 s for its turn
    await clock.run_for(9.0)
    (stats,) = bus.stats().subscriptions
    assert stats.latency_ms_p50 == pytest.approx(750.0) and stats.latency_ms_p99 == pytest.approx(1485.0)


async def test_a_timed_event_that_was_dropped_does_not_stop_the_timing(clock: ManualClock, bus: EventBus) -> None:
    bus.subscribe("#", Slow(clock), capacity=1)
    bus.publish(soft(0))
    await turns()
    bus.publish(soft(1)), bus.publish(soft(2))  # 1 is timed, and 2 replaces it
    await clock.run_for(5.0)
    bus.publish(soft(3))
    await turns()
    bus.publish(soft(4))  # is timed, and waits a second
    await clock.run_for(5.0)
    (stats,) = bus.stats().subscriptions
    assert stats.delivered == 4 and stats.latency_ms_p99 == pytest.approx(980.0)


async def test_a_stop_lets_queues_empty_for_a_while_and_a_start_goes_on_with_the_rest(
    clock: ManualClock, bus: EventBus
) -> None:
    slow = Slow(clock)
    bus.subscribe("#", slow)
    for n in range(5):
        bus.publish(event(n))
    stopping = asyncio.create_task(bus.stop(drain_s=2.5))
    await clock.run_for(10.0)
    await stopping
    # The third call was under way and is cancelled, as a stop must come to its end.
    assert numbers(slow.seen) == [0, 1] and bus.stats().subscriptions[0].waiting == 2
    bus.start(), bus.start()
    await clock.run_for(10.0)
    assert numbers(slow.seen) == [0, 1, 3, 4]


def test_a_publisher_that_waited_on_a_loop_that_has_ended_stops_nobody_on_the_next(clock: ManualClock) -> None:
    bus, seen = EventBus(clock), list[MarketEvent]()
    bus.subscribe("#", seen.append, capacity=1, policy=Overflow.BLOCK)
    bus.publish(event(0))

    async def wait_in_vain() -> None:
        waiting = asyncio.create_task(bus.publish_waiting(soft(1)))
        await turns()
        assert not waiting.done()

    async def go_on() -> None:
        bus.start()
        await bus.stop()

    asyncio.run(wait_in_vain())
    asyncio.run(go_on())
    assert numbers(seen) == [0]


async def test_what_was_published_before_the_start_is_delivered_then(clock: ManualClock) -> None:
    bus, seen = EventBus(clock), Slow(clock, 0.0)
    bus.subscribe("#", seen)
    bus.publish(event(1))
    bus.start()
    await bus.stop()
    assert numbers(seen.seen) == [1]


async def test_a_stop_right_after_a_subscription_still_delivers(bus: EventBus) -> None:
    seen: list[MarketEvent] = []
    bus.subscribe("#", seen.append, capacity=9)
    bus.publish(event(1))
    await bus.stop()
    assert numbers(seen) == [1]


async def test_a_subscription_closed_at_once_leaves_no_task(clock: ManualClock) -> None:
    bus, before = EventBus(clock), len(asyncio.all_tasks())
    bus.start()
    bus.subscribe("#", Slow(clock)).close()
    await turns()
    assert len(asyncio.all_tasks()) == before
    await bus.stop()


async def test_a_closed_subscription_lets_the_call_under_way_end_and_takes_no_more(
    clock: ManualClock, bus: EventBus
) -> None:
    slow = Slow(clock)
    subscription = bus.subscribe("#", slow)
    bus.publish(event(0)), bus.publish(event(1))
    await turns()
    subscription.close()
    await clock.run_for(5.0)
    assert numbers(slow.seen) == [0]


def test_threads_may_publish_and_each_keeps_its_order(clock: ManualClock) -> None:
    bus, seen = EventBus(clock), list[MarketEvent]()
    bus.subscribe("#", seen.append)
    bus.subscribe("market.#", seen.append, capacity=100_000, policy=Overflow.BLOCK)
    start = threading.Barrier(4)

    def publish(name: str) -> None:
        start.wait()
        for n in range(2000):
            bus.publish(event(n, SOFT if n % 2 else CONTROL, name))

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert numbers(e for e in seen if e.subject == name) == list(range(2000))
    assert bus.stats().published == 8000 and bus.stats().subscriptions[1].waiting == 4000


async def test_threads_may_publish_to_a_queue_that_is_being_emptied() -> None:
    bus, seen = EventBus(SystemClock()), list[MarketEvent]()

    async def hear(one: MarketEvent) -> None:
        seen.append(one)
        await asyncio.sleep(0)

    def publish(name: str) -> None:
        for n in range(1000):
            bus.publish(event(n, subject=name))

    bus.start()
    bus.subscribe("#", hear)
    await asyncio.gather(*(asyncio.to_thread(publish, name) for name in "abcd"))
    await bus.stop(drain_s=15.0)
    for name in "abcd":
        assert numbers(e for e in seen if e.subject == name) == list(range(1000))


async def test_a_thread_may_publish_and_subscribe_while_the_bus_runs(bus: EventBus) -> None:
    got = asyncio.Event()

    async def hear(one: MarketEvent) -> None:
        got.set()

    def elsewhere() -> None:
        bus.subscribe("#", hear)
        bus.publish(event(1))

    await asyncio.to_thread(elsewhere)
    await asyncio.wait_for(got.wait(), 5)


async def test_the_handler_publishes_every_event_once_however_often_a_lane_hands_it_in(bus: EventBus) -> None:
    seen: list[MarketEvent] = []
    bus.subscribe("#", seen.append)
    await bus.handle([event(1, id="r-1"), event(2, id="r-2")])
    await bus.handle([event(2, id="r-2"), event(3, id="r-3")])
    assert numbers(seen) == [1, 2, 3]


async def test_a_long_batch_does_not_overflow_the_queue_of_a_fast_subscriber(bus: EventBus) -> None:
    seen: list[MarketEvent] = []
    bus.subscribe("#", seen.append, capacity=300)
    await turns()
    await bus.handle([event(n, SOFT, id=f"r-{n}") for n in range(2000)])
    await bus.stop()
    assert numbers(seen) == list(range(2000))


async def test_what_cannot_be_subscribed_is_refused_with_the_reason(bus: EventBus) -> None:
    with pytest.raises(InvalidInputError, match="a topic pattern is words"):
        bus.subscribe("market.**", print)
    with pytest.raises(InvalidInputError, match="for a subscriber with a queue: give a capacity too"):
        bus.subscribe("#", print, policy=Overflow.CONFLATE)
    with pytest.raises(InvalidInputError, match="capacity must be >= 1 event, was 0"):
        bus.subscribe("#", print, capacity=0)
    with pytest.raises(InvalidInputError, match="history must be >= 1 event, was 0"):
        EventBus(ManualClock(), history=0)


async def test_an_error_that_is_no_exception_of_a_program_goes_through_and_leaves_the_bus_whole(bus: EventBus) -> None:
    def interrupted(one: MarketEvent) -> None:
        if one.data["n"] == 1:
            raise KeyboardInterrupt

    seen: list[MarketEvent] = []
    bus.subscribe("#", interrupted)
    bus.subscribe("#", seen.append)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(event(1))
    bus.publish(event(2))
    assert numbers(seen) == [2]


async def test_the_log_of_a_failing_subscriber_names_it(bus: EventBus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    bus.subscribe("#", Keeper([]).seen.__getitem__)  # type: ignore[arg-type]
    bus.publish(event(1))
    assert "list.__getitem__" in caplog.text and "it stays subscribed" in caplog.text
