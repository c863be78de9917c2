"""One subscriber of the bus: called at once, or behind a queue of its own with a task that drains it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType

from marketstream.clock import Clock
from marketstream.market.events import MarketEvent
from marketstream.market.topics import TopicPattern
from marketstream.streaming.timings import Timings
from marketstream.streaming.waiting import Doorbell, Overflow, WaitingRoom, answer, being_cancelled

logger = logging.getLogger(__name__)

Subscriber = Callable[[MarketEvent], object] | Callable[[MarketEvent], Awaitable[object]]

TURN = 100
"""Calls in a row before others on the loop get their turn, also where a subscriber never waits for anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStats:
    """How one subscriber fares: published to it = delivered + dropped + conflated + waiting.

    Attributes:
        name: Its name.
        pattern: Topics it takes.
        delivered: Events it was called with, whether or not it raised.
        policy: What its queue does when full; None where it is called at once.
        waiting: Events in its queue.
        dropped: Conflatable events that its full queue let go of.
        conflated: Events replaced by a newer one of their key.
        overflow: Control events taken in beyond the capacity.
        errors: Calls that raised.
        last_error: The newest of them.
        latency_ms_p50: Median time from publish to call, over a sample, ms; None before the first and without a queue.
        latency_ms_p99: 99th percentile of the same.
    """

    name: str
    pattern: str
    delivered: int
    policy: Overflow | None = None
    waiting: int = 0
    dropped: int = 0
    conflated: int = 0
    overflow: int = 0
    errors: int = 0
    last_error: str = ""
    latency_ms_p50: float | None = None
    latency_ms_p99: float | None = None


class Backlog:
    """The queue of one slow subscriber, and the task that empties it in order."""

    def __init__(self, clock: Clock, room: WaitingRoom) -> None:
        self.room = room
        self._clock = clock
        self._bell = Doorbell()
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self._space: list[asyncio.Future[None]] = []
        # One event in the queue is timed at a time: a clock reading per event would cost more than the event.
        self._timed: tuple[int, int] | None = None
        self.latencies = Timings()

    def put(self, event: MarketEvent) -> None:
        """Take one event in; any thread, never waits."""
        number = self.room.offer(event)
        if self._timed is None:
            self._timed = (number, self._clock.monotonic_ns())
        self._bell.ring()

    async def space(self) -> None:
        """Wait until the queue has room."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._space.append(told)
        # Looked at after asking to be told: what was taken out in between is not missed.
        if len(self.room) >= self.room.capacity:
            await told

    def start(self, call: Callable[[MarketEvent], Awaitable[None]], name: str) -> asyncio.Task[None]:
        """Start the task on the running loop, unless it runs, and return it."""
        self._ending = False
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(call), name=f"bus-{name}")
        return self._task

    def finish(self) -> None:
        """Let the task end once the queue is empty."""
        self._ending = True
        self._bell.ring()

    def close(self) -> None:
        """Let go of what waits, and let the task end after the call it is at."""
        self.room.clear()
        self._tell_space()
        self.finish()

    async def _run(self, call: Callable[[MarketEvent], Awaitable[None]]) -> None:
        in_a_row = 0
        # A subscriber that swallows the end of this task does not keep it.
        while not being_cancelled():
            taken = self.room.take()
            if taken:
                ((number, event),) = taken
                self._time(number)
                self._tell_space()
                await call(event)
                in_a_row += 1
                if in_a_row % TURN == 0:
                    await asyncio.sleep(0)
            elif self._ending:
                return
            else:
                await self._bell.wait()

    def _time(self, number: int) -> None:
        if self._timed is not None and number >= self._timed[0]:
            # A later number: the timed one was dropped or replaced meanwhile, and the next put times another.
            if number == self._timed[0]:
                self.latencies.add((self._clock.monotonic_ns() - self._timed[1]) / 1e6)
            self._timed = None

    def _tell_space(self) -> None:
        told, self._space = self._space, []
        for waiter in told:
            # Whoever waited on a loop that has ended waits no more.
            if not waiter.get_loop().is_closed():
                waiter.get_loop().call_soon_threadsafe(answer, waiter)


class Subscription:
    """One subscriber; made by `EventBus.subscribe`, and gone after `close`. Also a context manager.

    Attributes:
        name: Its name.
        pattern: Topics it takes.
        backlog: Its queue; None where it is called at once.
        delivered: Events it was called with.
        errors: Calls that raised.
        last_error: The newest of them.
    """

    __slots__ = ("_close", "backlog", "call", "delivered", "errors", "last_error", "name", "pattern")

    def __init__(
        self,
        subscriber: Subscriber,
        pattern: TopicPattern,
        name: str,
        backlog: Backlog | None,
        close: Callable[[Subscription], None],
    ) -> None:
        # A strong reference, to bound methods too: a subscriber lives as long as its subscription.
        self.call: Subscriber = subscriber
        self.pattern = pattern
        self.name = name
        self.backlog = backlog
        self.delivered = 0
        self.errors = 0
        self.last_error = ""
        self._close = close

    def close(self) -> None:
        """Take no more events; what waits in the queue is let go of, a call under way ends by itself."""
        self._close(self)
        self.call = _nothing
        if self.backlog is not None:
            self.backlog.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def deliver(self, event: MarketEvent) -> None:
        """Call the subscriber from its own task; what it raises is counted."""
        try:
            self.delivered += 1
            outcome = self.call(event)
            if outcome is not None and inspect.isawaitable(outcome):
                await outcome
        except asyncio.CancelledError as error:
            if being_cancelled():
                raise
            self.failed(error)
        except Exception as error:  # noqa: BLE001 - a fence: one subscriber must not disturb others
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Count a call that raised; it is logged where it is not the same as the one before."""
        text = f"{type(error).__name__}: {error}"
        if text != self.last_error:
            logger.warning("subscriber %r of the bus failed; it stays subscribed", self.name, exc_info=error)
        self.errors += 1
        self.last_error = text

    def stats(self) -> SubscriptionStats:
        """Return how it fares."""
        stats = SubscriptionStats(
            name=self.name,
            pattern=self.pattern.text,
            delivered=self.delivered,
            errors=self.errors,
            last_error=self.last_error,
        )
        if self.backlog is None:
            return stats
        room = self.backlog.room
        p50, p99 = self.backlog.latencies.percentiles()
        return replace(
            stats,
            policy=room.policy,
            waiting=len(room),
            dropped=room.dropped,
            conflated=room.conflated,
            overflow=room.overflow,
            latency_ms_p50=p50,
            latency_ms_p99=p99,
        )


def _nothing(event: MarketEvent) -> None:
    # A subscription that was closed while an event is on its way.
    return None
