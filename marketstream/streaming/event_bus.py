"""EventBus: small facts to everybody who wants them, by topic. Market data goes through the graph in deltas.py instead.

A subscriber never emits into streamz: one direction, one job per reactive system.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from threading import Lock

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError, TransientError
from marketstream.market.events import MarketEvent
from marketstream.market.topics import TopicPattern
from marketstream.streaming.subscriptions import TURN, Backlog, Subscriber, Subscription, SubscriptionStats
from marketstream.streaming.waiting import Overflow, WaitingRoom, end_tasks, subject_of

RATE_SECONDS = 10
DEFAULT_CAPACITY = 1000
REMEMBERED = 10_000
"""Ids that `handle` knows again; a lane hands in again what it was at when a call timed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicStats:
    """How busy one topic is: events since the start, and per second over the last ten or, if shorter, its history."""

    topic: str
    events: int
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStats:
    """How the bus fares: events published, topics that had any, subscriptions in order of their making."""

    published: int
    topics: tuple[TopicStats, ...]
    subscriptions: tuple[SubscriptionStats, ...]


class _Route:
    """Who gets the events of one topic; kept up to date by the bus, so that publishing looks nothing up twice."""

    __slots__ = ("backlogs", "direct", "events", "history")

    def __init__(self, history: int) -> None:
        self.events = 0
        # By topic, so that a busy one does not push out the rare ones; each event with its number on the bus.
        self.history: deque[tuple[int, MarketEvent]] = deque(maxlen=history)
        self.direct: tuple[Subscription, ...] = ()
        self.backlogs: tuple[Subscription, ...] = ()


class EventBus:
    """Deliver events to subscribers, in the order of publishing for every topic.

    `publish` calls subscribers at once that are plain callables, one event after the other: an event published from
    within such a call comes after the current one. They run on the thread of whoever publishes, and ought to be quick.
    Async ones, and those that ask for a `capacity`, have a queue and a task of their own and delay nobody.

    A subscriber that raises stays subscribed and is counted. A control event (`MarketEvent.is_control`) is never
    dropped and never replaced by a newer one.

    Args:
        clock: The only source of time.
        history: Events of each topic that `history` can look back on.

    Raises:
        InvalidInputError: A history of less than one event.
    """

    def __init__(self, clock: Clock, *, history: int = 1000) -> None:
        if history < 1:
            raise InvalidInputError(f"history must be >= 1 event, was {history}")
        self._clock = clock
        self._history = history
        self._published = 0
        self._routes: dict[str, _Route] = {}
        self._subscriptions: list[Subscription] = []
        self._changing = Lock()
        # Published, not handed on yet: whoever holds `_delivering` hands on what others publish meanwhile.
        self._pending: deque[MarketEvent] = deque()
        self._delivering = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        # Ids of the last events that came through `handle`.
        self._handed: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def subscribe(
        self,
        pattern: str,
        subscriber: Subscriber,
        *,
        name: str | None = None,
        capacity: int | None = None,
        policy: Overflow = Overflow.DROP_OLDEST,
        key: Callable[[MarketEvent], Hashable] | None = None,
    ) -> Subscription:
        """Call `subscriber` with every event whose topic matches, from now on until the subscription is closed.

        Args:
            pattern: Dotted words; `*` is one word, `#` at the end any number of words.
            subscriber: A callable, kept alive by the subscription; an async one gets a queue and a task.
            name: For stats and logs; the callable's own by default.
            capacity: Events that may wait for it; a plain callable with a capacity gets a queue too.
            policy: What becomes of the next event when that many wait.
            key: Which events replace each other under CONFLATE, a pure function; topic, subject and
                `data["kind"]` by default.

        Raises:
            InvalidInputError: The pattern is none, the capacity is below one, or a policy or key is given for a
                subscriber without a queue.
        """
        topics = TopicPattern(pattern)
        backlog = None
        if capacity is not None or _is_async(subscriber):
            room = WaitingRoom(DEFAULT_CAPACITY if capacity is None else capacity, policy, key or subject_of)
            backlog = Backlog(self._clock, room)
        elif policy is not Overflow.DROP_OLDEST or key is not None:
            raise InvalidInputError("a policy or a key is for a subscriber with a queue: give a capacity too")
        subscription = Subscription(subscriber, topics, name or _name_of(subscriber), backlog, self._unsubscribe)
        with self._changing:
            self._subscriptions.append(subscription)
            for topic, route in self._routes.items():
                self._enter(subscription, topic, route)
        if backlog is not None and self._loop is not None:
            # The caller may be on another thread.
            self._loop.call_soon_threadsafe(self._start, subscription)
        return subscription

    def publish(self, event: MarketEvent) -> None:
        """Hand one event to every subscriber of its topic; from any thread, without waiting for any queue.

        Raises:
            TransientError: The queue of a subscriber with the policy BLOCK is full. Nobody got the event then.
        """
        route = self._routes.get(event.topic)
        if route is None:
            route = self._open(event.topic)
        if route.backlogs:
            full = self._admit(event, route)
            if full is not None:
                raise TransientError(
                    f"subscriber {full.name!r} of the bus has a full queue; publish {event.topic} again when it has"
                    f" caught up, or await publish_waiting"
                )
        elif not self._pending and self._delivering.acquire(blocking=False):
            try:
                self._deliver(event, route)
            finally:
                self._delivering.release()
        else:
            self._pending.append(event)
        if self._pending:
            self._deliver_pending()

    async def publish_waiting(self, event: MarketEvent) -> None:
        """Publish, waiting until every full queue with the policy BLOCK has room, for control events as well."""
        while True:
            route = self._routes.get(event.topic) or self._open(event.topic)
            full = self._admit(event, route, control_too=True)
            if full is None or full.backlog is None:
                break
            await full.backlog.space()
        self._deliver_pending()

    async def handle(self, events: Sequence[MarketEvent]) -> None:
        """Publish events, which have ids here, in order and each once: the handler that puts the bus behind a lane."""
        for n, event in enumerate(events):
            if n % TURN == 0:
                await asyncio.sleep(0)  # for queues to empty: a long batch must not overflow one of a fast subscriber
            if event.id in self._handed:
                continue
            await self.publish_waiting(event)
            self._handed[event.id] = None
            if len(self._handed) > REMEMBERED:
                del self._handed[next(iter(self._handed))]

    def history(self, pattern: str = "#", limit: int | None = None) -> tuple[MarketEvent, ...]:
        """Return the events of these topics that are remembered, or the last `limit` of them, newest last."""
        if limit is not None and limit < 0:
            raise InvalidInputError(f"limit must be >= 0 events, was {limit}")
        topics = TopicPattern(pattern)
        with self._changing:
            routes = [route for topic, route in self._routes.items() if topics.matches(topic)]
        found = sorted((entry for route in routes for entry in route.history.copy()), key=itemgetter(0))
        return tuple(event for _, event in (found if limit is None else found[max(len(found) - limit, 0) :]))

    def stats(self) -> BusStats:
        """Return how the bus, its topics and its subscribers fare."""
        with self._changing:
            routes, subscriptions = dict(self._routes), tuple(self._subscriptions)
        now = self._clock.now_ns()
        topics = tuple(
            TopicStats(topic=str(topic), events=route.events, per_s=_rate(route.history.copy(), now))
            for topic, route in sorted(routes.items())
            if route.events
        )
        return BusStats(
            published=self._published,
            topics=topics,
            subscriptions=tuple(subscription.stats() for subscription in subscriptions),
        )

    def start(self) -> None:
        """Start the tasks of subscribers with queues on the running loop; a second call changes nothing."""
        self._loop = asyncio.get_running_loop()
        for subscription in tuple(self._subscriptions):
            self._start(subscription)

    async def stop(self, drain_s: float = 1.0) -> None:
        """Let queues empty for at most `drain_s` seconds, then end their tasks; what is left waits for a new start."""
        await asyncio.sleep(0)  # tasks of subscriptions made a moment ago start first
        self._loop = None
        for subscription in tuple(self._subscriptions):
            if subscription.backlog is not None:
                subscription.backlog.finish()
        await end_tasks(tuple(self._tasks), self._clock, drain_s)

    def _start(self, subscription: Subscription) -> None:
        # By the time the loop comes to it, the subscription may be closed or the bus stopped.
        if subscription.backlog is not None and self._loop is not None and subscription in self._subscriptions:
            task = subscription.backlog.start(subscription.deliver, subscription.name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _unsubscribe(self, subscription: Subscription) -> None:
        with self._changing:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
            for route in self._routes.values():
                route.direct = tuple(other for other in route.direct if other is not subscription)
                route.backlogs = tuple(other for other in route.backlogs if other is not subscription)

    def _open(self, topic: str) -> _Route:
        # The first event of a topic: find its subscribers once.
        with self._changing:
            route = self._routes.get(topic)
            if route is None:
                route = _Route(self._history)
                for subscription in self._subscriptions:
                    self._enter(subscription, topic, route)
                self._routes[topic] = route
            return route

    @staticmethod
    def _enter(subscription: Subscription, topic: str, route: _Route) -> None:
        if subscription.pattern.matches(topic):
            if subscription.backlog is None:
                route.direct = (*route.direct, subscription)
            else:
                route.backlogs = (*route.backlogs, subscription)

    def _admit(self, event: MarketEvent, route: _Route, *, control_too: bool = False) -> Subscription | None:
        # Into every queue or into none; returns the subscription that is full. Queues and `_pending` get events in one
        # order, since one publisher at a time is in here.
        with self._changing:
            for subscription in route.backlogs:
                backlog = subscription.backlog
                if backlog is not None and not backlog.room.has_room(event, control_too=control_too):
                    return subscription
            for subscription in route.backlogs:
                if subscription.backlog is not None:
                    subscription.backlog.put(event)
            self._pending.append(event)
        return None

    def _deliver_pending(self) -> None:
        # Looked at again after the release: whoever published in between saw the lock taken and left it to us.
        while self._pending and self._delivering.acquire(blocking=False):
            try:
                while self._pending:
                    event = self._pending.popleft()
                    self._deliver(event, self._routes[event.topic])
            finally:
                self._delivering.release()

    def _deliver(self, event: MarketEvent, route: _Route) -> None:
        self._published += 1
        route.events += 1
        route.history.append((self._published, event))
        for subscription in route.direct:
            subscription.delivered += 1
            try:
                subscription.call(event)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a fence: others are not disturbed
                # Nothing is awaited here: a cancellation is the subscriber's own, and no end of this task.
                subscription.failed(error)


def _rate(history: deque[tuple[int, MarketEvent]], now: int) -> float:
    # Per second up to `now`, over the time in which nothing has left the history yet.
    since = now - RATE_SECONDS * SECOND_NS
    if len(history) == history.maxlen:
        since = max(since, history[0][1].ts)
    n = sum(event.ts > since for _, event in history)
    return n * SECOND_NS / (now - since) if now > since else 0.0


def _is_async(subscriber: Subscriber) -> bool:
    return inspect.iscoroutinefunction(subscriber) or inspect.iscoroutinefunction(
        getattr(subscriber, "__call__", None)  # noqa: B004  # an object whose call is async, not whether it can be called
    )


def _name_of(subscriber: Subscriber) -> str:
    return str(getattr(subscriber, "__qualname__", type(subscriber).__name__))
