"""MarketStreamer: the only loop. Once per cycle it drains the feeds into one batch, emits it and dispatches."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError
from marketstream.market.quotes import QuoteBatch, QuoteState

logger = logging.getLogger(__name__)

MIN_CYCLE_S = 0.01
MAX_CYCLE_S = 10.0


class StreamerState(StrEnum):
    """What the loop is doing."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamerStatus:
    """How the loop fares.

    Attributes:
        state: Stopped, running or paused.
        cycles: Cycles since the start.
        quotes: Good quotes since the start.
        quotes_per_s: Good quotes per second over the last 50 cycles.
        cycle_ms_p50: Median time of a cycle's work, over the last 300 cycles, in ms.
        cycle_ms_p99: 99th percentile of the same.
        errors: Cycles in which something raised.
    """

    state: StreamerState
    cycles: int
    quotes: int
    quotes_per_s: float
    cycle_ms_p50: float
    cycle_ms_p99: float
    errors: int


class MarketStreamer:
    """Run cycles: drain, emit, dispatch. An empty cycle emits too, so that staleness and windows move on.

    Args:
        drain: Gives the screened quote rows received up to a moment (UTC ns), in order of receipt.
        emit: Takes one batch; the delta graph.
        dispatch: Awaited after each emit, with the batch; the analysis.
        clock: The only source of time.
        cycle_s: Seconds from one cycle to the next, 0.01 to 10.
        stopwatch: Times the work of a cycle; `clock` unless given.
    """

    def __init__(
        self,
        *,
        drain: Callable[[int], np.ndarray],
        emit: Callable[[QuoteBatch], None],
        dispatch: Callable[[QuoteBatch], Awaitable[None]],
        clock: Clock,
        cycle_s: float = 0.1,
        stopwatch: Clock | None = None,
    ) -> None:
        if not MIN_CYCLE_S <= cycle_s <= MAX_CYCLE_S:
            raise InvalidInputError(f"cycle_s must be {MIN_CYCLE_S} to {MAX_CYCLE_S} seconds, was {cycle_s}")
        self.cycle_s = cycle_s
        self.clock = clock
        self._stopwatch = clock if stopwatch is None else stopwatch
        self.on_cycle: Callable[[QuoteBatch, bool], None] | None = None
        """Told of each batch before it is emitted, and whether it is dispatched too; for a recording."""
        self._drain = drain
        self._emit = emit
        self._dispatch = dispatch
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._cycles = 0
        self._quotes = 0
        self._errors = 0
        self._work_ms: deque[float] = deque(maxlen=300)
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=51)

    @property
    def state(self) -> StreamerState:
        """Return what the loop is doing."""
        if self._task is None or self._task.done():
            return StreamerState.STOPPED
        return StreamerState.PAUSED if self._paused else StreamerState.RUNNING

    def start(self) -> None:
        """Start the loop on the running event loop; a second call changes nothing."""
        if self._task is None or self._task.done():
            self._paused = False
            self._arrivals.clear()  # the rate does not span the time in which nothing ran
            self._task = asyncio.get_running_loop().create_task(self._run(), name="market-streamer")

    async def stop(self) -> None:
        """End the loop and wait for it; a second call changes nothing."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def pause(self) -> None:
        """Stop taking quotes; feeds go on receiving, and the screen keeps its last state."""
        self._paused = True

    def resume(self) -> None:
        """Take quotes again; what arrived meanwhile comes in the next cycle."""
        self._paused = False

    async def cycle(self) -> None:
        """Do one cycle now: drain, emit, dispatch. What raises is logged and counted, and nothing is left half done."""
        started = self._stopwatch.monotonic_ns()
        try:
            batch = self.emit_up_to(self.clock.now_ns(), dispatched=True)
            await self._dispatch(batch)
        except Exception:  # fence: one bad cycle must not end the stream
            self._errors += 1
            logger.exception("cycle %d failed", self._cycles)
        self._work_ms.append((self._stopwatch.monotonic_ns() - started) / 1e6)

    def emit_up_to(self, now: int, *, dispatched: bool = False) -> QuoteBatch:
        """Drain and emit what was received up to `now` (UTC ns), without dispatching it; a caller says if it will."""
        batch = QuoteBatch(self._drain(now), now)
        if self.on_cycle is not None:
            self.on_cycle(batch, dispatched)
        self._emit(batch)
        self._cycles += 1
        n_good = int(np.count_nonzero(batch.rows["state"] == QuoteState.LIVE))
        self._quotes += n_good
        self._arrivals.append((now, n_good))
        return batch

    def status(self) -> StreamerStatus:
        """Return how the loop fares."""
        work = np.array(self._work_ms) if self._work_ms else np.zeros(1)
        return StreamerStatus(
            state=self.state,
            cycles=self._cycles,
            quotes=self._quotes,
            quotes_per_s=self._rate(),
            cycle_ms_p50=float(np.percentile(work, 50)),
            cycle_ms_p99=float(np.percentile(work, 99)),
            errors=self._errors,
        )

    def _rate(self) -> float:
        if len(self._arrivals) < 2:
            return 0.0
        span = (self._arrivals[-1][0] - self._arrivals[0][0]) / SECOND_NS
        # The first entry only marks where the span begins: its quotes came before it.
        return sum(n for _, n in list(self._arrivals)[1:]) / span if span > 0 else 0.0

    async def _run(self) -> None:
        period = round(self.cycle_s * SECOND_NS)
        due = self.clock.monotonic_ns()
        while True:
            if not self._paused:
                await self.cycle()
            # A cycle that took too long is not made up for: the next one takes all that has arrived.
            due = max(due + period, self.clock.monotonic_ns())
            await self.clock.sleep((due - self.clock.monotonic_ns()) / SECOND_NS)
