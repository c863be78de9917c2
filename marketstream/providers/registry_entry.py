"""What the registry keeps about one provider, and the fence around its start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.quotes import QuoteState, empty_quotes
from marketstream.providers.base import Fault, HealthReport, Provider

logger = logging.getLogger(__name__)
_RATE_WINDOW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """One provider's status and statistics.

    Attributes:
        status: What it is doing.
        absence: Why there is no data, where there is none.
        detail: The same in a sentence.
        age_s: Seconds since the last valid quote.
        refused: Refused quotes and frames by reason.
        errors: Exceptions that the fence around it caught.
        success_rate: Good quotes as a share of all, 0..1.
        rate: Good quotes per second over the last 10 s.
        venues: Ids of the venues it carries.
        faults: What it can be told to play.
    """

    name: str
    kind: str
    status: ProviderStatus
    absence: Absence | None
    detail: str
    enabled: bool
    age_s: float | None
    frames: int
    quotes: int
    refused: dict[str, int]
    errors: int
    reconnects: int
    success_rate: float | None
    rate: float
    venues: tuple[str, ...]
    n_instruments: int
    faults: tuple[Fault, ...]


class Entry:
    """One provider in the registry.

    Attributes:
        enabled: Whether it is drained.
        last_status: What was last told of it.
        last_gap_ns: When it last had a gap, UTC ns.
        turn: Held while it starts or stops, so that two changes do not mix.
    """

    def __init__(self, provider: Provider, *, enabled: bool) -> None:
        self.provider = provider
        self.enabled = enabled
        self.last_status = provider.status
        self.last_gap_ns: int | None = None
        self.turn = asyncio.Lock()
        listing = provider.listing()
        self.venues = tuple(v.id for v in listing.venues)
        self.n_instruments = len(listing.instruments)
        self._failure = ""
        # (now, quotes so far), one a second
        self._counts: deque[tuple[int, int]] = deque(maxlen=_RATE_WINDOW + 1)

    def failed(self, error: BaseException, what: str) -> None:
        """Count an exception, and log the first of a run of equal ones."""
        self.provider.stats.errors += 1
        failure = f"{what} failed: {type(error).__name__}: {error}"
        if failure != self._failure:
            logger.error("provider %r: %s", self.provider.name, failure, exc_info=error)
        self._failure = failure

    def drained(self, now: int) -> None:
        """Note a good drain at `now` (UTC ns)."""
        self._failure = ""
        if not self._counts or now - self._counts[-1][0] >= SECOND_NS:
            self._counts.append((now, self.provider.stats.quotes))

    def restart(self) -> None:
        """Forget failures and rates of the run before."""
        self._failure = ""
        self._counts.clear()

    def rate(self) -> float:
        """Return good quotes per second over the last 10 s; 0 before two seconds have passed."""
        if len(self._counts) < 2 or not self.enabled:
            return 0.0
        (first, few), (last, many) = self._counts[0], self._counts[-1]
        return (many - few) * SECOND_NS / (last - first)

    def health(self, now: int) -> HealthReport:
        """Return the provider's own judgement, or its failure where it has one."""
        report = self.provider.health(now)
        if not self._failure or not self.enabled:
            return report
        status = report.status if report.status is ProviderStatus.FAULTED else ProviderStatus.DEGRADED
        return HealthReport(status=status, absence=Absence.ERROR, detail=self._failure, age_s=report.age_s)

    def report(self, health: HealthReport) -> ProviderReport:
        """Return status and statistics, given the judgement of the moment."""
        stats = self.provider.stats
        return ProviderReport(
            name=self.provider.name,
            kind=self.provider.kind,
            status=health.status,
            absence=health.absence,
            detail=health.detail,
            enabled=self.enabled,
            age_s=health.age_s,
            frames=stats.frames,
            quotes=stats.quotes,
            refused=dict(stats.refused),
            errors=stats.errors,
            reconnects=stats.reconnects,
            success_rate=stats.success_rate,
            rate=self.rate(),
            venues=self.venues,
            n_instruments=self.n_instruments,
            faults=self.provider.faults,
        )


class Trust:
    """Who is trusted for each (instrument, venue): the first that is enabled, not FAULTED and lists it."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        # (K, V) provider codes, -1 for nobody
        self._codes = np.zeros((0, 0), dtype=np.int16)

    def settle(self, entries: Iterable[Entry]) -> None:
        """Decide anew, given all entries in order of arrival."""
        codes = np.full((self._catalog.n_instruments, self._catalog.n_venues), -1, dtype=np.int16)
        for entry in reversed(list(entries)):
            if entry.enabled and entry.provider.status is not ProviderStatus.FAULTED:
                listed = entry.provider.listed
                codes[: listed.shape[0], : listed.shape[1]][listed] = entry.provider.code
        self._codes = codes

    def name_of(self, instrument: str, venue: str) -> str | None:
        """Return the provider trusted for a pair; None when nobody delivers it."""
        k, v = self._catalog.code(instrument), self._catalog.venue_code(venue)
        code = int(self._codes[k, v])
        return None if code < 0 else self._catalog.providers[code]

    def only(self, entry: Entry, rows: np.ndarray) -> np.ndarray:
        """Return the rows of the pairs for which this provider is trusted."""
        mine = self._codes[rows["instrument"], rows["venue"]] == entry.provider.code
        return rows if mine.all() else rows[mine]

    def withdraw(self, entry: Entry, state: QuoteState, ts: int) -> np.ndarray:
        """Return a state row, received at `ts` (UTC ns), for each pair this provider is trusted for."""
        pairs = np.argwhere(self._codes == entry.provider.code)
        rows = empty_quotes(len(pairs))
        rows["instrument"], rows["venue"] = pairs[:, 0], pairs[:, 1]
        rows["provider"] = entry.provider.code
        rows["state"] = state
        rows["ts_event"] = rows["ts_received"] = ts
        return rows


class Fence:
    """Let a provider's start or stop take its time, but no longer than `timeout_s` seconds of the clock."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        if timeout_s <= 0:
            raise InvalidInputError(f"timeout_s must be > 0, was {timeout_s}")
        self._clock = clock
        self._timeout_s = timeout_s
        self._abandoned: set[asyncio.Task[None]] = set()

    async def within_time(self, entry: Entry, work: Callable[[], Awaitable[None]], what: str) -> bool:
        """Return whether `work` ended well; a failure or a time-out is counted against `entry`."""
        task = asyncio.ensure_future(_run(work))
        timer = asyncio.ensure_future(self._clock.sleep(self._timeout_s))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            if not task.done():
                self._abandon(task)
        error = self._outcome(task)
        if error is not None:
            entry.failed(error, what)
        return error is None

    def _outcome(self, task: asyncio.Task[None]) -> BaseException | None:
        if not task.done():
            return TimeoutError(f"took longer than {self._timeout_s:g} s")
        return asyncio.CancelledError("was cancelled") if task.cancelled() else task.exception()

    def _abandon(self, task: asyncio.Task[None]) -> None:
        # One that ignores its cancellation is kept only so that the loop does not lose it.
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.warning("a provider's task failed after it was given up", exc_info=task.exception())


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    # Calls inside the task, so that what is raised before the first await is caught as well.
    await work()
