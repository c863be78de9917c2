"""Random histories of the bus against its promises, and planted bugs that the same check must catch.

MARKETSTREAM_FUZZ=2000 plays that many new ones in place of the same 150 (`make fuzz`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from event_factory import CONTROL, SOFT, event, turns
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from marketstream.clock import ManualClock
from marketstream.errors import TransientError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.topics import TopicPattern
from marketstream.streaming import event_bus, subscriptions
from marketstream.streaming.event_bus import EventBus
from marketstream.streaming.subscriptions import Subscription
from marketstream.streaming.waiting import Overflow, WaitingRoom, subject_of

FUZZ = int(os.environ.get("MARKETSTREAM_FUZZ", "0"))
TOPICS = (SOFT, Topic.MARKET_DATA, CONTROL, Topic.FEED_GAP)
PATTERNS = ("#", "market.#", "provider.*.changed", "*.delta.*")

FACTS = st.tuples(st.sampled_from(TOPICS), st.sampled_from("ab"))
BURST = st.tuples(st.just("burst"), st.lists(FACTS, min_size=2, max_size=8))
WAITING = st.tuples(st.just("publish_waiting"), FACTS)
PASS = st.tuples(st.just("let_pass"), st.floats(0.1, 5.0))
FAIL = st.tuples(st.just("fail_next"), st.integers(0, 7))
JOIN = st.tuples(
    st.just("join"),
    st.sampled_from(PATTERNS),
    st.sampled_from([None, *Overflow]),
    st.integers(1, 4),
    st.sampled_from([0.0, 1.0, 3.0]),
)
LEAVE = st.tuples(st.just("leave"), st.integers(0, 7))
# Some subscribe first: a bus that nobody listens to keeps every promise.
HISTORIES = st.tuples(
    st.lists(JOIN, min_size=1, max_size=4),
    st.lists(st.one_of(BURST, BURST, WAITING, PASS, FAIL, JOIN, LEAVE), min_size=4, max_size=30),
).map(lambda parts: [*parts[0], *parts[1]])


@dataclass(eq=False)
class Listener:
    """One subscriber and what it may expect."""

    clock: ManualClock
    pattern: str
    policy: Overflow | None
    seconds: float
    subscription: Subscription | None = None
    raises: int = 0
    due: list[MarketEvent] = field(default_factory=list)
    got: list[MarketEvent] = field(default_factory=list)

    def hear(self, one: MarketEvent) -> None:
        """Take one event; raise where the history says so."""
        self.got.append(one)
        if self.raises:
            self.raises -= 1
            raise RuntimeError("as the history says")

    async def hear_slowly(self, one: MarketEvent) -> None:
        """The same, taking its time."""
        await self.clock.sleep(self.seconds)
        self.hear(one)


class History:
    """Plays one history on a bus and writes down what everybody may expect."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = EventBus(self.clock, history=10_000)
        self.listeners: list[Listener] = []
        self.publishing: list[asyncio.Task[None]] = []
        self.n = 0

    async def play(self, steps: list[tuple[Any, ...]]) -> None:
        """Play all steps, let every queue empty, and check."""
        self.bus.start()
        for name, *arguments in [*steps, ("let_pass", 1000.0)]:
            await getattr(self, name)(*arguments)
            self.check()
        await self.bus.stop()
        self.check_end()

    async def burst(self, facts: list[tuple[Topic, str]]) -> None:
        """Publish in a row; full queues refuse."""
        for topic, subject in facts:
            one = self.make(topic, subject)
            room_for_all = not any(self.is_full(listener, one) for listener in self.listeners)
            try:
                self.bus.publish(one)
            except TransientError:
                assert not room_for_all, "refused, although every queue had room"
            else:
                assert room_for_all, "a full queue that blocks took an event"

    async def publish_waiting(self, fact: tuple[Topic, str]) -> None:
        """Publish as soon as there is room."""
        self.publishing.append(asyncio.create_task(self.bus.publish_waiting(self.make(*fact))))
        await turns()

    async def let_pass(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.run_for(seconds)

    async def fail_next(self, which: int) -> None:
        """Let the next call of a subscriber raise."""
        if self.listeners:
            self.listeners[which % len(self.listeners)].raises += 1

    async def join(self, pattern: str, policy: Overflow | None, capacity: int, seconds: float) -> None:
        """Subscribe; without a policy as a plain callable."""
        new = Listener(self.clock, pattern, policy, seconds)
        if policy is None:
            new.subscription = self.bus.subscribe(pattern, new.hear)
        else:
            new.subscription = self.bus.subscribe(pattern, new.hear_slowly, capacity=capacity, policy=policy)
        self.listeners.append(new)
        await turns()

    async def leave(self, which: int) -> None:
        """Close a subscription."""
        if self.listeners:
            gone = self.listeners.pop(which % len(self.listeners))
            assert gone.subscription is not None
            gone.subscription.close()
            await turns()

    def make(self, topic: Topic, subject: str) -> MarketEvent:
        """Return the next event."""
        self.n += 1
        return event(self.n, topic, subject)

    @staticmethod
    def is_full(listener: Listener, one: MarketEvent) -> bool:
        """Return whether this listener's queue refuses the event."""
        assert listener.subscription is not None
        backlog = listener.subscription.backlog
        if listener.policy is not Overflow.BLOCK or backlog is None or one.is_control:
            return False
        return TopicPattern(listener.pattern).matches(one.topic) and len(backlog.room) >= backlog.room.capacity

    def check(self) -> None:
        """Hold every subscriber to what holds at any moment."""
        published = self.bus.history()
        order = {id(one): at for at, one in enumerate(published)}
        for listener in self.listeners:
            assert listener.subscription is not None
            stats = listener.subscription.stats()
            assert stats in self.bus.stats().subscriptions, "a subscriber lost its subscription"
            places = [order[id(one)] for one in listener.got]
            assert places == sorted(set(places)), "out of order, or twice"
            assert len(listener.got) <= stats.delivered <= len(listener.got) + 1

    def check_end(self) -> None:
        """Hold subscribers that are still there to the counts and to control events, once all queues are empty."""
        assert all(task.done() for task in self.publishing)
        published = self.bus.history()
        for listener in self.listeners:
            assert listener.subscription is not None
            stats = listener.subscription.stats()
            due = [one for one in published if one in listener.due]
            assert stats.waiting == 0
            assert len(due) == stats.delivered + stats.dropped + stats.conflated, "the counts do not add up"
            missing = [one for one in due if one not in listener.got]
            assert not any(one.is_control for one in missing), "a control event was dropped"
            assert len(missing) == stats.dropped + stats.conflated
            if listener.policy in (None, Overflow.BLOCK):
                assert not missing


def dues(history: History) -> Callable[[MarketEvent], None]:
    """Return a subscriber that notes, for every event the bus takes, who has subscribed to it by then."""

    def note(one: MarketEvent) -> None:
        for listener in history.listeners:
            if TopicPattern(listener.pattern).matches(one.topic):
                listener.due.append(one)

    return note


def check_bus(examples: int, *, fixed: bool, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    """Play that many random histories; raises where the bus breaks a promise."""

    @settings(
        max_examples=examples,
        phases=phases,
        deadline=None,
        database=None,
        derandomize=fixed,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(HISTORIES)
    def run(steps: list[tuple[Any, ...]]) -> None:
        async def play() -> None:
            history = History()
            history.bus.subscribe("#", dues(history))
            await history.play(steps)

        asyncio.run(play())

    run()


def find_bug() -> None:
    """The same for a bug that is known: more histories, and no time spent on the shortest that shows it."""
    check_bus(500, fixed=True, phases=(Phase.generate,))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    # Thousands of failures that the histories ask for.
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_the_bus_keeps_its_promises_in_any_history() -> None:
    check_bus(FUZZ or 150, fixed=not FUZZ)


class DropsControl(WaitingRoom):
    """Treats control events like any other when it is full."""

    def offer(self, one: MarketEvent) -> int:
        if len(self) >= self.capacity and self.policy is not Overflow.BLOCK:
            self.accepted += 1
            self.dropped += 1
            return self.accepted
        return super().offer(one)


class ConflatesInPlace(WaitingRoom):
    """Puts the newer event where the older one of its key stood."""

    def offer(self, one: MarketEvent) -> int:
        number = self._soft.get(subject_of(one))
        if self.policy is Overflow.CONFLATE and number is not None:
            self._waiting[number] = one
            self.conflated += 1
            return number
        return super().offer(one)


class DropsInSilence(WaitingRoom):
    """Does not count what it lets go of."""

    def _make_room(self, *, newcomer: bool = True) -> bool:
        made = super()._make_room(newcomer=newcomer)
        self.dropped = 0
        return made


@pytest.mark.parametrize(
    ("bug", "complaint"),
    [
        (DropsControl, "a control event was dropped"),
        (ConflatesInPlace, "out of order"),
        (DropsInSilence, "the counts do not add up"),
    ],
)
def test_a_planted_room_is_caught(bug: type[WaitingRoom], complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_bus, "WaitingRoom", bug)
    with pytest.raises(AssertionError, match=complaint):
        find_bug()


def test_a_bus_that_lets_go_of_a_subscriber_that_raised_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions.Subscription, "failed", lambda self, error: self.close())
    with pytest.raises(AssertionError, match="lost its subscription"):
        find_bug()


def test_a_bus_that_fills_some_queues_before_it_finds_one_full_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def admit(self: EventBus, one: MarketEvent, route: Any, *, control_too: bool = False) -> Subscription | None:
        for subscription in route.backlogs:
            if not subscription.backlog.room.has_room(one, control_too=control_too):
                return subscription  # type: ignore[no-any-return]
            subscription.backlog.put(one)
        self._pending.append(one)
        return None

    monkeypatch.setattr(EventBus, "_admit", admit)
    with pytest.raises((AssertionError, KeyError)):
        find_bug()


def test_a_bus_that_recurses_into_nested_publishing_is_caught() -> None:
    # The check is `out of order`: with recursion the second subscriber gets the inner event first.
    seen: list[MarketEvent] = []

    class Recursive(EventBus):
        def publish(self, one: MarketEvent) -> None:
            self._deliver(one, self._routes.get(one.topic) or self._open(one.topic))

    for kind, expected in ((EventBus, [1, 2]), (Recursive, [2, 1])):
        bus = kind(ManualClock())
        bus.subscribe("#", lambda one, bus=bus: bus.publish(event(2)) if one.data["n"] == 1 else None)
        bus.subscribe("#", seen.append)
        seen.clear()
        bus.publish(event(1))
        assert [one.data["n"] for one in seen] == expected
