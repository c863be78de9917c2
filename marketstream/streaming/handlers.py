"""DeltaHandlerManager: what happens after each cycle. Analyses look at its deltas, effects get events in lanes."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import (
    DeadLetter,
    HandlerKind,
    HandlerReport,
    HandlerResult,
    RetryPolicy,
)
from marketstream.market.quotes import QuoteBatch
from marketstream.market.state import MarketState
from marketstream.streaming.lanes import Bury, Effect, Lane, LaneSpec, describe, passing
from marketstream.streaming.plain import plain_data
from marketstream.streaming.timings import Timings
from marketstream.streaming.waiting import end_tasks

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaBatch:
    """What analysis handlers look at after each cycle.

    Attributes:
        batch: Quotes of the cycle.
        market: The moment after them; `market.changed` has the deltas.
        previous: The moment of the cycle before; None at the first.
    """

    batch: QuoteBatch
    market: MarketState
    previous: MarketState | None


Analyse = Callable[[DeltaBatch], Iterable[MarketEvent] | None]


class _Analysis:
    """One analysis handler and how it fares."""

    def __init__(self, name: str, handle: Analyse) -> None:
        self.name = name
        self.handle = handle
        self.done = 0
        self.errors = 0
        self.last_error = ""
        self.timings = Timings()

    def run(self, delta: DeltaBatch, clock: Clock) -> Sequence[MarketEvent]:
        """Return the events it tells of; none where it raised, which is counted."""
        started = clock.monotonic_ns()
        events: Sequence[MarketEvent] = ()
        try:
            events = tuple(self.handle(delta) or ())
            self.done += 1
        except Exception as error:  # a fence: the next handler and the stream go on
            text = describe(error)
            if text != self.last_error:
                logger.exception("analysis %r failed at cycle %d", self.name, delta.market.sequence)
            self.errors += 1
            self.last_error = text
        self.timings.add((clock.monotonic_ns() - started) / 1e6)
        return events

    def report(self) -> HandlerReport:
        """Return how it fares."""
        p50, p99 = self.timings.percentiles()
        return HandlerReport(
            name=self.name,
            topics=(),
            waiting=0,
            done=self.done,
            retries=0,
            dead_lettered=0,
            dropped=0,
            ms_p50=p50,
            ms_p99=p99,
            kind=HandlerKind.ANALYSIS,
            errors=self.errors,
            last_error=self.last_error,
        )


class DeltaHandlerManager:
    """Run analysis handlers after each cycle, and hand events to handlers with effects, each in its own lane.

    Analysis is synchronous, in order of registration, latest-wins, never retried. A handler with effects gets every
    event of its topics in order and is retried; what it cannot deal with becomes a dead letter that can be replayed.
    Either kind may come and go while the stream runs.

    Args:
        clock: The only source of time.
        market: Gives the newest moment; None before the first cycle.
        on_dead_letter: Keeps a letter; called again while it meets passing faults, since acknowledged means kept.
        rng: For the jitter of retries.
        run: Prefix of event ids, unique for ever; random by default.

    Attributes:
        unsaved: Dead letters that were refused, or could not be kept before the stop; `start` tries again.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        market: Callable[[], MarketState | None],
        on_dead_letter: Bury,
        rng: random.Random | None = None,
        run: str | None = None,
    ) -> None:
        self.unsaved: list[DeadLetter] = []
        self._clock = clock
        self._market = market
        self._bury = on_dead_letter
        # Jitter, not secrecy.
        self._rng = random.Random() if rng is None else rng  # noqa: S311
        self._run = secrets.token_hex(6) if run is None else run
        self._events = 0
        self._previous: MarketState | None = None
        self._analyses: dict[str, _Analysis] = {}
        self._lanes: dict[str, Lane] = {}
        self._routes: dict[str, tuple[Lane, ...]] = {}
        # Numbering and queueing are one step, so that ids rise within every lane.
        self._submitting = Lock()
        self._running = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all handlers: analyses in the order they run, then those with effects."""
        return (*self._analyses, *self._lanes)

    @property
    def analysis_errors(self) -> int:
        """How many times an analysis raised."""
        return sum(analysis.errors for analysis in self._analyses.values())

    def add_analysis(self, name: str, handle: Analyse) -> None:
        """Run `handle` after each cycle, after those that were added before; the events it returns are submitted.

        Raises:
            InvalidInputError: The name is taken.
        """
        self._check_name(name)
        self._analyses[name] = _Analysis(name, handle)

    def add_effect(
        self,
        name: str,
        handle: Effect,
        *,
        topics: Sequence[str] = ("#",),
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        max_batch: int = 1,
        capacity: int = 10_000,
        timeout_s: float = 30.0,
    ) -> None:
        """Hand events of `topics` to `handle` from now on, in order; see `LaneSpec` for the arguments.

        Raises:
            InvalidInputError: The name is taken, a topic is no pattern, or a number is out of range.
        """
        self._check_name(name)
        spec = LaneSpec(
            name=name,
            handle=handle,
            topics=tuple(topics),
            retry=retry,
            max_batch=max_batch,
            capacity=capacity,
            timeout_s=timeout_s,
        )
        lane = Lane(spec, clock=self._clock, rng=self._rng, bury=self._bury, refused=self._set_aside)
        with self._submitting:
            self._lanes[name] = lane
            self._routes = {}
        if self._running:
            lane.start()

    async def remove(self, name: str, *, drain_s: float = 5.0) -> None:
        """Take a handler out; one with effects may still deal with what waits for half of `drain_s` seconds.

        Control events that it did not come to become dead letters in the rest.

        Raises:
            NotFoundError: There is no such handler.
        """
        if self._analyses.pop(name, None) is not None:
            return
        with self._submitting:
            lane = self._lanes.pop(name, None)
            self._routes = {}
        if lane is None:
            raise NotFoundError(f"unknown handler {name!r}; there are {', '.join(self.names) or 'none'}")
        await self._retire([lane], drain_s)

    def submit(self, event: MarketEvent) -> MarketEvent:
        """Put one event into every lane that takes its topic; from any thread, without waiting.

        Returns:
            The event with its id, a new one where it had none, and with its data as `plain_data` makes them.
        """
        data = plain_data(event.data)
        if data is not event.data:
            event = replace(event, data=data)
        with self._submitting:
            self._events += 1
            if not event.id:
                event = replace(event, id=f"{self._run}-{self._events:08d}")
            lanes = self._routes.get(event.topic)
            if lanes is None:
                lanes = tuple(lane for lane in self._lanes.values() if lane.takes(event.topic))
                self._routes[event.topic] = lanes
            for lane in lanes:
                lane.put(event)
        return event

    async def dispatch(self, batch: QuoteBatch) -> None:
        """Run the analyses over the cycle that `batch` made, and submit what they tell of, then the cycle itself."""
        market = self._market()
        if market is None or market is self._previous:
            # The graph made no new moment of this batch; there is nothing to look at.
            return
        delta = DeltaBatch(batch=batch, market=market, previous=self._previous)
        self._previous = market
        for analysis in tuple(self._analyses.values()):
            for event in analysis.run(delta, self._clock):
                self.submit(event)
        self.submit(_cycle_event(delta))

    async def start(self) -> None:
        """Start a task per lane on the running loop, and keep letters that could not be kept before."""
        self._running = True
        for lane in self._lanes.values():
            lane.start()
        letters, self.unsaved = self.unsaved, []
        await self._keep(letters, patience_s=1.0)

    async def stop(self, drain_s: float = 5.0) -> None:
        """Let lanes empty for half of `drain_s` seconds; control events that are left become dead letters in the rest.

        It takes no longer in all; letters that could not be kept by then are in `unsaved`.
        """
        self._running = False
        await self._retire(list(self._lanes.values()), drain_s)

    async def settle(self) -> None:
        """Wait until every lane is empty; on a manual clock, somebody else must let time pass.

        Raises:
            TransientError: The lanes do not run.
        """
        while busy := [lane for lane in self._lanes.values() if lane.waiting]:
            for lane in busy:
                await lane.settled()

    async def replay(self, letter: DeadLetter) -> HandlerResult:
        """Hand a dead letter to its handler again, behind what waits in its lane, and return what became of it.

        The effect is done once however often a letter is replayed, since handlers are idempotent by event id.
        `attempts` of the result counts the letter's own too.

        Raises:
            NotFoundError: Its handler is gone.
            InvalidInputError: Its payload is no event.
            TransientError: The lanes do not run.
        """
        lane = self._lanes.get(letter.handler)
        if lane is None:
            raise NotFoundError(f"handler {letter.handler!r} is gone; there are {', '.join(self._lanes) or 'none'}")
        return await lane.replay(letter)

    def report(self) -> tuple[HandlerReport, ...]:
        """Return how every handler fares, in the order of `names`."""
        return (
            *(analysis.report() for analysis in self._analyses.values()),
            *(lane.report() for lane in self._lanes.values()),
        )

    def _check_name(self, name: str) -> None:
        if not name or name in self.names:
            raise InvalidInputError(f"a handler needs a name of its own, {name!r} is taken or empty")

    async def _retire(self, lanes: Sequence[Lane], drain_s: float) -> None:
        tasks = [task for lane in lanes if (task := lane.finish()) is not None]
        # Half of the time is for the lanes, what they leave of the whole for the letters of what they did not come to.
        end_ns = self._clock.monotonic_ns() + round(drain_s * SECOND_NS)
        await end_tasks(tasks, self._clock, drain_s / 2)
        left_s = max((end_ns - self._clock.monotonic_ns()) / SECOND_NS, drain_s / 2)
        await self._keep([letter for lane in lanes for letter in lane.abandon()], patience_s=left_s)

    async def _keep(self, letters: Sequence[DeadLetter], patience_s: float) -> None:
        # Once each: where the store is away for one, so it is for the rest, and a stop must come to its end.
        if not letters:
            return
        left = deque(letters)
        task = asyncio.get_running_loop().create_task(self._keep_all(left), name="handlers-keep")
        await end_tasks([task], self._clock, patience_s)
        if left:
            self.unsaved += left
            error = None if task.cancelled() else task.exception()
            ids = ", ".join(letter.id for letter in left)
            logger.error("%d dead letters could not be kept: %s", len(left), ids, exc_info=error)

    async def _keep_all(self, left: deque[DeadLetter]) -> None:
        while left:
            try:
                await self._bury(left[0])
            except Exception as error:
                if passing(error):
                    raise
                self._set_aside(left[0], error)
            left.popleft()

    def _set_aside(self, letter: DeadLetter, error: BaseException) -> None:
        self.unsaved.append(letter)
        logger.error("dead letter %s was refused and is kept in memory only", letter.id, exc_info=error)


def _cycle_event(delta: DeltaBatch) -> MarketEvent:
    n_quotes, n_changed = len(delta.batch), len(delta.market.changed)
    return MarketEvent(
        ts=delta.market.now,
        topic=Topic.MARKET_DATA,
        subject="market",
        message=f"Cycle {delta.market.sequence}: {n_quotes} quotes, {n_changed} instruments changed.",
        data={"sequence": delta.market.sequence, "n_quotes": n_quotes, "n_changed": n_changed},
    )
