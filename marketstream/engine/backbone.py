"""Backbone: where the facts of an engine go. The handlers take them in, the bus tells them, the store keeps them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter, DeadLetterStatus, HandlerOutcome, RetryPolicy
from marketstream.market.state import MarketState
from marketstream.settings import Settings
from marketstream.store.locking import StoreBusyError
from marketstream.store.repository import Store
from marketstream.streaming.event_bus import EventBus
from marketstream.streaming.handlers import DeltaHandlerManager

logger = logging.getLogger(__name__)

KEPT_EVENTS = 200
"""Events of each topic that the bus remembers for pages that open later."""
STORED_TOPICS = tuple(topic.value for topic in Topic if topic is not Topic.MARKET_DATA)
"""What the store keeps: every fact but that another cycle has passed."""
STORE_BATCH = 1000
STORE_RETRY = RetryPolicy(max_attempts=10_000, first_s=0.1, cap_s=5.0)
"""While the store is away events wait in its lane: a dead letter of each would have to be kept in the same store."""
PRUNE_EVERY_NS = 3600 * SECOND_NS


class Backbone:
    """Own handlers, bus and store of one engine, from its first start until it is closed.

    Args:
        settings: Names the store and how long it keeps events.
        clock: The only source of time.
        market: Returns the newest market, None before there is one.
        lane_clock: Times the lanes; in a replay, whose time may run faster than a disk, the machine's.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        market: Callable[[], MarketState | None],
        *,
        lane_clock: Clock,
    ) -> None:
        self.bus = EventBus(clock, history=KEPT_EVENTS)
        self.store = Store(settings.store_url.get_secret_value(), clock=clock, data_dir=settings.data_dir)
        self.handlers = DeltaHandlerManager(clock=lane_clock, market=market, on_dead_letter=self._keep_letter)
        self._settings = settings
        self._clock = clock
        self._pruned_at: int | None = None
        self._is_open = False
        self.handlers.add_effect("bus", self.bus.handle, max_batch=STORE_BATCH)
        self.handlers.add_effect(
            "store", self._keep_events, topics=STORED_TOPICS, max_batch=STORE_BATCH, retry=STORE_RETRY
        )

    async def open(self) -> None:
        """Open the store and start the lanes; a second call changes nothing.

        Raises:
            ConfigurationError: The store cannot be opened, or has a schema that this version does not know.
        """
        if self._is_open:
            return
        try:
            await self.store.open()
        except StoreBusyError as error:
            # Another process owns the file: this one runs on, and forgets when it ends.
            logger.warning("%s; this process keeps its records in memory", error)
            self.store = Store("memory", clock=self._clock, data_dir=self._settings.data_dir, fallback=str(error))
            await self.store.open()
            self.tell(Topic.STORE_STATUS, "store", f"{error}; records of this process are kept in memory only.")
        self.bus.start()
        await self.handlers.start()
        self._is_open = True

    async def close(self) -> None:
        """Let the lanes finish, then close bus and store."""
        if not self._is_open:
            return
        self._is_open = False
        await self.handlers.stop()
        await self.bus.stop()
        await self.store.close()

    def take(self, event: MarketEvent) -> None:
        """Take in one fact: every lane that wants its topic gets it."""
        self.handlers.submit(event)

    def tell(self, topic: Topic, subject: str, message: str) -> None:
        """Take in one fact of now."""
        self.take(MarketEvent(ts=self._clock.now_ns(), topic=topic, subject=subject, message=message))

    async def replay_dead_letter(self, letter_id: str) -> DeadLetter:
        """Hand a dead letter to its handler again and return how it stands after that.

        Raises:
            NotFoundError: There is no such letter, or its handler is gone.
            InvalidInputError: It does not wait any more.
        """
        letter = await self._waiting_letter(letter_id)
        result = await self.handlers.replay(letter)
        if result.outcome is HandlerOutcome.DONE:
            status, error = DeadLetterStatus.REPLAYED, letter.error
        else:
            status, error = DeadLetterStatus.WAITING, result.error
        after = replace(letter, status=status, error=error, attempts=result.attempts)
        await self.store.save_dead_letter(after)
        return after

    async def discard_dead_letter(self, letter_id: str) -> DeadLetter:
        """Give a dead letter up; it stays listed. Raises as `replay_dead_letter`."""
        after = replace(await self._waiting_letter(letter_id), status=DeadLetterStatus.DISCARDED)
        await self.store.save_dead_letter(after)
        return after

    async def prune(self) -> None:
        """Once an hour, drop the events that are older than the settings keep."""
        now, days = self._clock.now_ns(), self._settings.store_keep_days
        if not days or (self._pruned_at is not None and now - self._pruned_at < PRUNE_EVERY_NS):
            return
        self._pruned_at = now
        await self.store.prune(now - days * 86_400 * SECOND_NS)

    async def _waiting_letter(self, letter_id: str) -> DeadLetter:
        letter = await self.store.dead_letter(letter_id)
        if letter.status is not DeadLetterStatus.WAITING:
            raise InvalidInputError(f"dead letter {letter_id!r} was {letter.status.value} already")
        return letter

    async def _keep_events(self, events: Sequence[MarketEvent]) -> None:
        await self.store.handle(events)

    async def _keep_letter(self, letter: DeadLetter) -> None:
        await self.store.save_dead_letter(letter)
        if letter.topic == Topic.DEAD_LETTER:
            return  # telling of this one could fail in the same way, for ever
        self.tell(Topic.DEAD_LETTER, letter.handler, f"{letter.event_id} failed: {letter.error_type}: {letter.error}")
