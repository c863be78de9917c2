"""The lane of one handler with effects: events in order, retries that keep it, dead letters for what fails for good."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from marketstream.clock import Clock
from marketstream.errors import InvalidInputError, TransientError
from marketstream.market.events import MarketEvent, event_from_json, event_to_json
from marketstream.market.handling import (
    DeadLetter,
    HandlerKind,
    HandlerOutcome,
    HandlerReport,
    HandlerResult,
    RetryPolicy,
)
from marketstream.market.topics import TopicPattern
from marketstream.streaming.timings import Timings
from marketstream.streaming.waiting import Doorbell, Overflow, WaitingRoom, being_cancelled
from marketstream.streaming.watchdog import Watchdog

logger = logging.getLogger(__name__)

Effect = Callable[[Sequence[MarketEvent]], Awaitable[object]]
Bury = Callable[[DeadLetter], Awaitable[object]]
Refused = Callable[[DeadLetter, BaseException], object]

MAX_ERROR = 500
"""Characters of an error that a dead letter keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSpec:
    """What a lane was registered with.

    Attributes:
        name: Unique among handlers.
        handle: Deals with events in order, idempotent by `event.id`: a call that timed out may have done its work.
        topics: Patterns of the events it takes.
        retry: How often and when a call that met a passing fault is made again.
        max_batch: Events in one call at most.
        capacity: Events that may wait, beside control events.
        timeout_s: Longest call, seconds; a longer one is cancelled and counts as a passing fault.
    """

    name: str
    handle: Effect
    topics: tuple[str, ...]
    retry: RetryPolicy
    max_batch: int
    capacity: int
    timeout_s: float

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise InvalidInputError(f"max_batch must be >= 1 event, was {self.max_batch}")
        if not self.timeout_s > 0:
            raise InvalidInputError(f"timeout_s must be > 0 seconds, was {self.timeout_s}")
        if not self.topics:
            raise InvalidInputError("a handler with effects needs a topic pattern; `#` is every topic")


@dataclass(frozen=True, slots=True)
class _Replay:
    """A dead letter that was handed in again behind event number `after`."""

    event: MarketEvent
    attempts: int
    after: int
    told: asyncio.Future[HandlerResult]


class Lane:
    """The events of one handler, dealt with by one task in order of arrival.

    A passing fault (TransientError, TimeoutError, OSError) is retried while later events wait. Any other exception is
    no network fault: the event goes to dead letters at once. A batch is taken apart at such an error, and for its last
    attempt, so that only the event that cannot be dealt with is lost to the handler.

    Args:
        spec: What it was registered with.
        clock: The only source of time.
        rng: For the jitter of retries.
        bury: Keeps a letter; called again while it meets passing faults, and events wait meanwhile.
        refused: Takes a letter that `bury` failed to keep for good, with the error; the lane goes on.
    """

    def __init__(self, spec: LaneSpec, *, clock: Clock, rng: random.Random, bury: Bury, refused: Refused) -> None:
        self.spec = spec
        self._patterns = tuple(TopicPattern(text) for text in spec.topics)
        self._room = WaitingRoom(spec.capacity, Overflow.DROP_OLDEST)
        self._bell = Doorbell()
        self._clock = clock
        self._rng = rng
        self._bury = bury
        self._refused = refused
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self._idle = asyncio.Event()
        # Taken out of the room, without an outcome yet, oldest first; its letter, not kept yet; calls made with it, and
        # with all of them together.
        self._in_hand: deque[MarketEvent] = deque()
        self._calls = self._shared_calls = 0
        self._letter: DeadLetter | None = None
        self._replays: deque[_Replay] = deque()
        self._done = self._retries = self._dead = self._errors = self._let_go = 0
        self._last_error = self._retrying = ""
        self._timings = Timings()
        self._watchdog = Watchdog(clock, spec.timeout_s)

    @property
    def waiting(self) -> int:
        """Return how many events have no outcome yet, replays included."""
        return len(self._room) + len(self._in_hand) + len(self._replays)

    @property
    def running(self) -> bool:
        """Return whether a task deals with the events."""
        return self._task is not None and not self._task.done()

    def takes(self, topic: str) -> bool:
        """Return whether events of this topic are for this handler."""
        return any(pattern.matches(topic) for pattern in self._patterns)

    def put(self, event: MarketEvent) -> None:
        """Take one event in; any thread, never waits. A full lane lets go of the oldest conflatable one."""
        self._room.offer(event)
        self._bell.ring()

    def start(self) -> None:
        """Start the task on the running loop, unless it runs."""
        self._ending = False
        if not self.running:
            # Of this loop: an event waited for on one loop cannot be used on another.
            self._idle = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"lane-{self.spec.name}")
            self._task.add_done_callback(_log_end)

    def finish(self) -> asyncio.Task[None] | None:
        """Let the task end once nothing waits, and return it for the caller to await; None where none runs."""
        self._ending = True
        self._bell.ring()
        return self._task if self.running else None

    async def settled(self) -> None:
        """Wait until nothing waits.

        Raises:
            TransientError: The lane does not run.
        """
        while self.waiting:
            if not self.running:
                raise TransientError(f"handler {self.spec.name!r} does not run; {self.waiting} events wait for it")
            self._idle.clear()
            await self._idle.wait()

    async def replay(self, letter: DeadLetter) -> HandlerResult:
        """Hand a dead letter in again, behind what waits already, and return what became of it.

        Raises:
            InvalidInputError: Its payload is no event.
            TransientError: The lane does not run, or ended before it came to this.
        """
        if not self.running:
            raise TransientError(f"handler {self.spec.name!r} does not run; replay {letter.id} again when it does")
        event = event_from_json(letter.payload)
        told: asyncio.Future[HandlerResult] = asyncio.get_running_loop().create_future()
        self._replays.append(_Replay(event, letter.attempts, self._room.accepted, told))
        self._bell.ring()
        return await told

    def abandon(self) -> list[DeadLetter]:
        """Take out what has no outcome, for good, once the task has ended.

        Returns:
            Letters of the control events among them, in order. Conflatable ones are counted as dropped.
        """
        for replay in self._replays:
            if not replay.told.done():
                replay.told.set_exception(TransientError(f"handler {self.spec.name!r} ended before it came to this"))
        self._replays.clear()
        letters = []
        if self._letter is not None:
            letters.append(self._letter)
            self._letter = None
            self._in_hand.popleft()
            self._calls = 0
        left = [(event, self._shared_calls) for event in self._in_hand]
        if left:
            left[0] = (left[0][0], max(left[0][1], self._calls))
        left += [(event, 0) for _, event in self._room.take(len(self._room))]
        reason = TransientError("the handler ended before it came to this")
        letters += [self._to_letter(event, reason, calls) for event, calls in left if event.is_control]
        self._let_go += sum(not event.is_control for event, _ in left)
        self._in_hand.clear()
        self._calls = self._shared_calls = 0
        self._dead += len(letters)
        return letters

    def report(self) -> HandlerReport:
        """Return how the handler fares."""
        p50, p99 = self._timings.percentiles()
        return HandlerReport(
            name=self.spec.name,
            topics=self.spec.topics,
            waiting=self.waiting,
            done=self._done,
            retries=self._retries,
            dead_lettered=self._dead,
            dropped=self._room.dropped + self._let_go,
            overflow=self._room.overflow,
            ms_p50=p50,
            ms_p99=p99,
            retrying=self._retrying,
            kind=HandlerKind.EFFECT,
            errors=self._errors,
            last_error=self._last_error,
        )

    async def _run(self) -> None:
        watch = asyncio.get_running_loop().create_task(self._watchdog.watch(), name=f"watch-{self.spec.name}")
        try:
            # A handler that swallows the end of this task does not keep it: what is left is for `abandon`.
            while not being_cancelled() and await self._turn():
                pass
        finally:
            self._idle.set()
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _turn(self) -> bool:
        # Deal with what is next, or wait for it; False once all is done and the lane is to end.
        # Others on the loop go first, also where a handler never waits for anything.
        await asyncio.sleep(0)
        until = self._replays[0].after if self._replays else None
        batch = self._room.take(self.spec.max_batch, up_to=until)
        self._in_hand.extend(event for _, event in batch)
        if self._in_hand:
            await self._deal_with_all()
        elif self._replays:
            await self._deal_with_replay(self._replays[0])
            self._replays.popleft()
        else:
            self._idle.set()
            if self._ending:
                return False
            await self._bell.wait()
        return True

    async def _deal_with_all(self) -> None:
        # The last attempt is one by one, so where there is only one, none is shared.
        shared = len(self._in_hand) > 1 and self.spec.retry.max_attempts > 1
        self._shared_calls = await self._deal_with_batch() if shared else 0
        while self._in_hand and not being_cancelled():
            event = self._in_hand[0]
            result, error = await self._deal_with(event, self._shared_calls)
            if error is None:
                self._done += 1
            else:
                self._letter = self._to_letter(event, error, result.attempts)
                await self._save(self._letter)
                self._dead += 1
                self._letter = None
            self._in_hand.popleft()

    async def _deal_with_batch(self) -> int:
        # Returns the calls made. A passing fault is nobody's fault: the batch is called again as it is. What is left in
        # hand is for calls one by one: after any other error, or for the last attempt.
        calls = 0
        while True:
            self._retries += calls > 0
            calls += 1
            error, _ = await self._call(tuple(self._in_hand))
            if error is None:
                self._retrying = ""
                self._done += len(self._in_hand)
                self._in_hand.clear()
                return calls
            self._shared_calls = calls
            await self._pause(error, calls)
            if not passing(error) or calls >= self.spec.retry.max_attempts - 1:
                return calls

    async def _deal_with(self, event: MarketEvent, calls: int) -> tuple[HandlerResult, BaseException | None]:
        # One event until it has an outcome; `calls` were made with it already.
        spent_ms = 0.0
        self._calls = calls
        while True:
            self._retries += self._calls > 0
            self._calls += 1
            error, ms = await self._call((event,))
            spent_ms += ms
            if error is None or not passing(error) or self._calls >= self.spec.retry.max_attempts:
                self._retrying = ""
                calls, self._calls = self._calls, 0
                return self._result(event, error, calls, spent_ms), error
            await self._pause(error, self._calls)

    async def _deal_with_replay(self, replay: _Replay) -> None:
        result, error = await self._deal_with(replay.event, 0)
        if error is None:
            self._done += 1
        if not replay.told.done():
            attempts = replay.attempts + result.attempts
            replay.told.set_result(self._result(replay.event, error, attempts, result.duration_ms))

    async def _pause(self, error: BaseException, failures: int) -> None:
        # Before the call is made again; later events wait, so that order is kept.
        if passing(error):
            await self._wait(error, failures)

    async def _wait(self, error: BaseException, failures: int) -> None:
        if being_cancelled():
            raise asyncio.CancelledError
        self._retrying = describe(error)
        await self._clock.sleep(self.spec.retry.wait_s(failures, self._rng))

    async def _call(self, events: Sequence[MarketEvent]) -> tuple[BaseException | None, float]:
        started = self._clock.monotonic_ns()
        error = await self._fenced(lambda: self.spec.handle(events))
        ms = (self._clock.monotonic_ns() - started) / 1e6
        self._timings.add(ms)
        if error is not None:
            text = describe(error)
            if text != self._last_error:
                logger.warning("handler %r failed with %d events", self.spec.name, len(events), exc_info=error)
            self._errors += 1
            self._last_error = text
        return error, ms

    async def _save(self, letter: DeadLetter) -> None:
        # Acknowledged means kept: the lane does not go on before the letter is, or was refused, as it always would be.
        failures = 0
        while (error := await self._fenced(lambda: self._bury(letter))) is not None:
            if not passing(error):
                self._errors += 1
                self._last_error = describe(error)
                self._refused(letter, error)
                break
            failures += 1
            if failures == 1:
                logger.error("dead letter %s could not be kept; trying until it is", letter.id, exc_info=error)
            await self._wait(error, failures)
        self._retrying = ""

    async def _fenced(self, work: Callable[[], Awaitable[object]]) -> BaseException | None:
        # What it raised, or TimeoutError where it took too long; only the end of this lane goes through.
        try:
            await self._watchdog.call(work)
        except asyncio.CancelledError as error:
            if being_cancelled():
                raise
            return error
        except TimeoutError as error:
            return error if str(error) else TimeoutError(f"no answer within {self.spec.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - a fence: a handler must not end its lane
            return error
        return None

    def _result(self, event: MarketEvent, error: BaseException | None, attempts: int, spent_ms: float) -> HandlerResult:
        return HandlerResult(
            handler=self.spec.name,
            event_id=event.id,
            outcome=HandlerOutcome.DONE if error is None else HandlerOutcome.DEAD_LETTERED,
            attempts=attempts,
            duration_ms=spent_ms,
            error="" if error is None else describe(error),
        )

    def _to_letter(self, event: MarketEvent, error: BaseException, attempts: int) -> DeadLetter:
        return DeadLetter(
            id=f"{self.spec.name}:{event.id}",
            handler=self.spec.name,
            event_id=event.id,
            topic=event.topic,
            subject=event.subject,
            payload=event_to_json(event),
            error_type=type(error).__name__,
            error=str(error)[:MAX_ERROR],
            attempts=attempts,
            failed_at=self._clock.now_ns(),
        )


def _log_end(task: asyncio.Task[None]) -> None:
    # Handlers are fenced, so a lane that dies has a fault of its own; nobody may take its silence for health.
    if not task.cancelled() and task.exception() is not None:
        logger.critical("%s ended; its events wait for a new start", task.get_name(), exc_info=task.exception())


def passing(error: BaseException) -> bool:
    """Return whether a fault may pass, so that the same call is worth another try.

    >>> passing(TimeoutError()), passing(KeyError("price"))
    (True, False)
    """
    return isinstance(error, TransientError | OSError)


def describe(error: BaseException) -> str:
    """Return class and message, cut to what a report keeps.

    >>> describe(ValueError("no such table"))
    'ValueError: no such table'
    """
    return f"{type(error).__name__}: {error}"[:MAX_ERROR]
