"""Where events wait for whoever is slower than they come: bounded, in order, from any thread. Bus and lanes use it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from enum import StrEnum
from threading import Lock

from marketstream.clock import Clock
from marketstream.errors import InvalidInputError
from marketstream.market.events import MarketEvent

logger = logging.getLogger(__name__)


class Overflow(StrEnum):
    """What a full waiting room does with one more event. Control events are taken in all the same, by every policy."""

    BLOCK = "block"
    """Refuse: the publisher hears of it before anybody got the event, or waits for room."""
    DROP_OLDEST = "drop_oldest"
    """Let go of the oldest event that is not a control event."""
    CONFLATE = "conflate"
    """Keep one waiting event per key, the newest, full or not; where every key waits, let go of the oldest."""


def subject_of(event: MarketEvent) -> Hashable:
    """Return the key by which events are conflated unless another is given: topic, subject and kind of news.

    >>> from marketstream.market.events import Topic
    >>> subject_of(MarketEvent(ts=0, topic=Topic.MARKET_DELTA, subject="BTC-USD", message="Up.", data={"kind": "move"}))
    (<Topic.MARKET_DELTA: 'market.delta.detected'>, 'BTC-USD', 'move')
    """
    # A topic may tell of several things: a move must not replace a crossing that nobody has read yet.
    return event.topic, event.subject, event.data.get("kind")


class WaitingRoom:
    """Events in order of arrival, at most `capacity` of them beside control events, which nobody drops or replaces.

    Args:
        capacity: Events that may wait.
        policy: What a full room does with a conflatable event.
        key: Which events replace each other under CONFLATE.

    Attributes:
        accepted: Number of the newest event that was offered; numbers rise by one.
        dropped: Conflatable events let go of because the room was full.
        conflated: Events replaced by a newer one of their key.
        overflow: Control events taken in beyond the capacity.

    Raises:
        InvalidInputError: There is no room for a single event.
    """

    def __init__(self, capacity: int, policy: Overflow, key: Callable[[MarketEvent], Hashable] = subject_of) -> None:
        if capacity < 1:
            raise InvalidInputError(f"capacity must be >= 1 event, was {capacity}")
        self.capacity = capacity
        self.policy = policy
        self.accepted = 0
        self.dropped = 0
        self.conflated = 0
        self.overflow = 0
        self._key = key
        self._lock = Lock()
        # By number, so that any one can leave at once and order is kept.
        self._waiting: OrderedDict[int, MarketEvent] = OrderedDict()
        # Key to number of those that may be let go of, oldest first; empty under BLOCK.
        self._soft: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def has_room(self, event: MarketEvent, *, control_too: bool = False) -> bool:
        """Return whether to `offer` this event; only BLOCK refuses, and control events only where `control_too`."""
        if self.policy is not Overflow.BLOCK or len(self._waiting) < self.capacity:
            return True
        return event.is_control and not control_too

    def offer(self, event: MarketEvent) -> int:
        """Take one event in, as the policy says, and return its number; under BLOCK ask `has_room` before."""
        control = event.is_control
        with self._lock:
            self.accepted += 1
            number = self.accepted
            if not control and self.policy is not Overflow.BLOCK:
                key = self._replace(event, number)
                if self._make_room():
                    self._soft[key] = number
                    self._waiting[number] = event
                return number
            if control and not self._make_room(newcomer=False):
                self.overflow += 1
            self._waiting[number] = event
            return number

    def take(self, limit: int = 1, *, up_to: int | None = None) -> list[tuple[int, MarketEvent]]:
        """Take the oldest events out, with their numbers: at most `limit`, and none after number `up_to`."""
        taken: list[tuple[int, MarketEvent]] = []
        with self._lock:
            while self._waiting and len(taken) < limit:
                number = next(iter(self._waiting))
                if up_to is not None and number > up_to:
                    break
                taken.append((number, self._waiting.pop(number)))
                if self._soft and next(iter(self._soft.values())) == number:
                    self._soft.popitem(last=False)
        return taken

    def clear(self) -> None:
        """Let go of all that waits."""
        with self._lock:
            self._waiting.clear()
            self._soft.clear()

    def _replace(self, event: MarketEvent, number: int) -> Hashable:
        # The older one leaves and the newer one stands at the end: in its place it would overtake others of its topic.
        if self.policy is not Overflow.CONFLATE:
            return number
        try:
            key = self._key(event)
            older = self._soft.pop(key, None)
        except Exception:  # fence: somebody's own key must not stop the publisher
            logger.warning("no conflation key for %s of %s", event.topic, event.subject, exc_info=True)
            return number
        if older is not None:
            del self._waiting[older]
            self.conflated += 1
        return key

    def _make_room(self, *, newcomer: bool = True) -> bool:
        # Whether one more fits. Where only control events wait, a conflatable newcomer is the one to go.
        if len(self._waiting) < self.capacity:
            return True
        if self._soft:
            _, oldest = self._soft.popitem(last=False)
            del self._waiting[oldest]
            self.dropped += 1
            return True
        if newcomer:
            self.dropped += 1
        return False


class Doorbell:
    """Wakes the one task that waits at it, from any thread; rings while nobody waits are not lost."""

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the waiting task, or let the next `wait` return at once."""
        self._rung = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.get_loop().is_closed():
            waiter.get_loop().call_soon_threadsafe(answer, waiter)

    async def wait(self) -> None:
        """Wait for a ring since the last `wait` returned."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        # Looked at after the waiter is there for all to see: a ring between the two wakes it.
        if not self._rung:
            await waiter
        self._rung = False
        self._waiter = None


def being_cancelled() -> bool:
    """Return whether the running task was told to end, as opposed to code in it that raised CancelledError by itself.

    Code that awaits a task somebody else cancelled raises CancelledError too; it must not end a lane.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def end_tasks(tasks: Collection[asyncio.Task[None]], clock: Clock, patience_s: float) -> None:
    """Await tasks that were told to end; cancel those that have not after `patience_s` seconds, and await them too."""
    alarm = asyncio.get_running_loop().create_task(clock.sleep(patience_s), name="patience")
    pending = set(tasks)
    try:
        while pending and not alarm.done():
            _, left = await asyncio.wait({alarm, *pending}, return_when=asyncio.FIRST_COMPLETED)
            pending = left - {alarm}
    finally:
        for task in (alarm, *pending):
            task.cancel()
        await asyncio.gather(alarm, *tasks, return_exceptions=True)


def answer(waiter: asyncio.Future[None]) -> None:
    """Let whoever awaits `waiter` go on; call it on that task's loop. One that gave up is passed over."""
    if not waiter.done():
        waiter.set_result(None)
