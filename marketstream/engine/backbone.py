"""Backbone: where the facts of an engine go. The handlers take them in, the bus tells them, the store keeps them."""

from __future__ import annotations

import asyncio
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
PRUNE_EVERY_S = 3600.0
CLOSING_S = 4.0
"""What lanes and letters may take of the ten seconds in which a program is to end."""
DAY_NS = 86_400 * SECOND_NS


class Backbone:
    """Own handlers, bus and store of one engine, from its first start until it is closed.

    Args:
        settings: Names the store and how long it keeps events.
        clock: The only source of time.
        market: Returns the newest market, None before there is one.
        lane_clock: Times lanes and store; in a replay, whose time may run faster than a disk, the machine's.
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
        self.store = Store(settings.store_url.get_secret_value(), clock=lane_clock, data_dir=settings.data_dir)
        self.handlers = DeltaHandlerManager(clock=lane_clock, market=market, on_dead_letter=self._keep_letter)
        self._settings = settings
        self._clock = clock
        self._lane_clock = lane_clock
        self._retiring: asyncio.Task[None] | None = None
        self._is_open = False
        self._closing = asyncio.Lock()
        self._replaying: set[str] = set()
        self.handlers.add_effect("bus", self.bus.handle, max_batch=STORE_BATCH)
        self.handlers.add_effect(
            "store", self._keep_events, topics=STORED_TOPICS, max_batch=STORE_BATCH, retry=STORE_RETRY
        )

    async def open(self) -> None:
        """Open the store and start the lanes on the running loop; a second call on the same loop changes nothing.

        Raises:
            ConfigurationError: The store cannot be opened, or has a schema that this version does not know.
        """
        if self._is_open:
            # The loop of an earlier start may have ended, and every task with it.
            await self._start()
            return
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the lanes finish, then close bus and store; also what a start that failed half way has left open."""
        async with self._closing:
            if self._retiring is not None and not self._retiring.done():
                self._retiring.cancel()
                await asyncio.gather(self._retiring, return_exceptions=True)
            self._retiring = None
            try:
                if self._is_open:
                    self._is_open = False
                    await self.handlers.stop(CLOSING_S)
                    await self.bus.stop()
            finally:
                await self.store.close()

    async def _open(self) -> None:
        try:
            await self.store.open()
        except StoreBusyError as error:
            # Another process owns the file: this one runs on, and forgets when it ends.
            logger.warning("%s; this process keeps its records in memory", error)
            self.store = Store("memory", clock=self._lane_clock, data_dir=self._settings.data_dir, fallback=str(error))
            await self.store.open()
            self.tell(Topic.STORE_STATUS, "store", f"{error}; records of this process are kept in memory only.")
        self._is_open = True
        await self._start()

    async def _start(self) -> None:
        self.bus.start()
        await self.handlers.start()
        if self._retiring is None or self._retiring.done():
            self._retiring = asyncio.get_running_loop().create_task(self._retire_old(), name="engine-retention")

    def take(self, event: MarketEvent) -> None:
        """Take in one fact: every lane that wants its topic gets it."""
        self.handlers.submit(event)

    def tell(self, topic: Topic, subject: str, message: str) -> None:
        """Take in one fact of now."""
        self.take(MarketEvent(ts=self._clock.now_ns(), topic=topic, subject=subject, message=message))

    async def replay_dead_letter(self, letter_id: str) -> DeadLetter:
        """Hand a dead letter to its handler again and return how it stands after that, also where others settled it.

        Raises:
            NotFoundError: There is no such letter, or its handler is gone.
            InvalidInputError: It does not wait any more, or is being replayed already.
        """
        self._refuse_replaying(letter_id)
        self._replaying.add(letter_id)
        try:
            return await self._replay(await self._waiting_letter(letter_id))
        finally:
            self._replaying.discard(letter_id)

    async def discard_dead_letter(self, letter_id: str) -> DeadLetter:
        """Give a dead letter up; it stays listed. Raises as `replay_dead_letter`."""
        letter = await self._waiting_letter(letter_id)
        # Asked without a wait before the letter is marked: a replay may have begun while it was read.
        self._refuse_replaying(letter_id)
        return await self._mark(letter, DeadLetterStatus.DISCARDED, letter.attempts)

    def _refuse_replaying(self, letter_id: str) -> None:
        if letter_id in self._replaying:
            raise InvalidInputError(f"dead letter {letter_id!r} is being replayed already")

    async def _replay(self, letter: DeadLetter) -> DeadLetter:
        result = await self.handlers.replay(letter)
        if result.outcome is HandlerOutcome.DONE:
            return await self._mark(letter, DeadLetterStatus.REPLAYED, result.attempts)
        kind, _, error = result.error.partition(": ")
        failed = replace(letter, error_type=kind, error=error, attempts=result.attempts, failed_at=self._clock.now_ns())
        # Another process may have discarded it while it was tried.
        return await self.store.renew_dead_letter(failed)

    async def _retire_old(self) -> None:
        # A task of its own: what takes long on a large store must not hold up health checks.
        while True:
            try:
                await self._prune()
            except Exception:  # fence: what could not be dropped now is dropped in an hour
                logger.exception("old records could not be dropped")
            await self._clock.sleep(PRUNE_EVERY_S)

    async def _prune(self) -> None:
        # Allocations and texts are few and worth more: the settings keep them for a time of their own.
        now, settings = self._clock.now_ns(), self._settings
        events, records = (
            now - days * DAY_NS if days else None
            for days in (settings.store_keep_days, settings.store_keep_records_days)
        )
        await self.store.prune(0 if events is None else events, records_before_ts=records)

    async def _mark(self, letter: DeadLetter, status: DeadLetterStatus, attempts: int) -> DeadLetter:
        await self.store.mark_dead_letter(letter.id, status, attempts)
        return replace(letter, status=status, attempts=attempts)

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
