"""What the registry keeps about one provider: how it fares, what it is trusted for, its newest rows."""

from __future__ import annotations

import asyncio
import logging
import math
from array import array
from dataclasses import dataclass

import numpy as np

from marketstream.clock import SECOND_NS
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
        trusted_pairs: Pairs of instrument and venue whose price it feeds now.
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
    trusted_pairs: int
    faults: tuple[Fault, ...]


class Newest:
    """The newest row by pair of a provider that shares pairs with others, and what was last delivered of them.

    Attributes:
        rows: (n,) QUOTE_DTYPE by position in the provider's pairs; `ts_received` is 0 where none came.
        price: (n,) last LIVE price, the mid where there are two sides; NaN where there was none.
        delivered: (n,) int64, UTC ns: receipt of the newest row that left the registry, whoever sent it.
    """

    __slots__ = ("delivered", "price", "rows")

    def __init__(self, n: int, delivered_at: int) -> None:
        self.rows = empty_quotes(n)
        self.price = np.full(n, np.nan)
        self.delivered = np.full(n, delivered_at, dtype=np.int64)

    def note(self, at: np.ndarray, rows: np.ndarray) -> None:
        """Take in rows, in order of receipt, of the pairs at the positions `at`."""
        # Of equal positions the last assignment stays, which is the newest row.
        self.rows[at] = rows
        live = rows["state"] == QuoteState.LIVE
        bid, ask = rows["bid"][live], rows["ask"][live]
        self.price[at[live]] = np.where(np.isnan(bid), ask, np.where(np.isnan(ask), bid, 0.5 * (bid + ask)))

    def forget(self) -> None:
        """Drop the rows of a run that has ended; what was delivered stays delivered."""
        self.rows = empty_quotes(len(self.rows))
        self.price[:] = np.nan


class Entry:
    """One provider in the registry.

    Attributes:
        enabled: Whether it is drained.
        last_status: What was last told of it.
        last_gap_ns: When it last had a gap, UTC ns.
        available: Enabled and not FAULTED, so that it may deliver at all.
        healthy: Available and not DEGRADED at the last check.
        delivering: Healthy, with valid data no older than it may be.
        proven: Delivering without a break for as long as it takes to be trusted again.
        cause: Why it is not healthy, in words.
        withdrawal: The state its prices are told when it becomes unavailable.
        mine: By position in its pairs, whether it is trusted.
        newest: Its newest rows; None where no other provider carries any of its pairs.
    """

    __slots__ = (
        "_counts",
        "_failure",
        "_turn",
        "_well_since",
        "available",
        "cause",
        "delivering",
        "enabled",
        "healthy",
        "last_gap_ns",
        "last_status",
        "mine",
        "n_instruments",
        "n_mine",
        "newest",
        "proven",
        "provider",
        "venues",
        "withdrawal",
    )

    def __init__(self, provider: Provider, *, enabled: bool) -> None:
        self.provider = provider
        self.enabled = enabled
        self.last_status = provider.status
        self.last_gap_ns: int | None = None
        listing = provider.listing()
        self.venues = tuple(v.id for v in listing.venues)
        self.n_instruments = len(listing.instruments)
        self.mine = np.zeros(len(provider.pairs), dtype=np.bool_)
        self.n_mine = 0
        self.newest: Newest | None = None
        self._turn: asyncio.Lock | None = None
        self._failure = ""
        # now, quotes so far, one such pair a second
        self._counts = array("q")
        if enabled:
            self.admit()
        else:
            self.bar("disabled", QuoteState.SUSPENDED)

    @property
    def name(self) -> str:
        """Return the provider's name."""
        return self.provider.name

    @property
    def turn(self) -> asyncio.Lock:
        """Return the lock held while it starts or stops, so that two changes do not mix."""
        if self._turn is None:
            self._turn = asyncio.Lock()
        return self._turn

    def admit(self) -> None:
        """Take it for healthy until a check says otherwise; whether it delivers has yet to be seen."""
        self.available = self.healthy = True
        self.delivering = self.proven = False
        self.cause = ""
        self.withdrawal = QuoteState.SUSPENDED
        self._well_since: int | None = None

    def bar(self, cause: str, withdrawal: QuoteState) -> None:
        """Take it for unavailable; `withdrawal` is what its prices are told."""
        self.available = self.healthy = self.delivering = self.proven = False
        self.cause = cause
        self.withdrawal = withdrawal
        self._well_since = None

    def judge(self, report: HealthReport, tick: int, failback_ns: int) -> bool:
        """Take in a health check at `tick` (monotonic ns) and return whether trust has to be settled anew.

        `failback_ns` is how long it must have been delivering to be proven.
        """
        if not self.enabled:
            return False
        before = (self.available, self.healthy, self.delivering, self.proven)
        self.available = report.status is not ProviderStatus.FAULTED
        self.healthy = self.available and report.status is not ProviderStatus.DEGRADED
        self.delivering = self.healthy and report.age_s is not None and report.age_s <= self.provider.stale_after_s
        self.cause = "" if self.healthy else report.detail
        self.proven = self._delivered_for(report, tick) >= failback_ns
        return before != (self.available, self.healthy, self.delivering, self.proven)

    def _delivered_for(self, report: HealthReport, tick: int) -> float:
        # Counted up to the newest data: the silence before a feed is called DEGRADED proves nothing.
        if not self.delivering or report.age_s is None:
            self._well_since = None
            return -math.inf
        if self._well_since is None:
            self._well_since = tick
        return tick - report.age_s * SECOND_NS - self._well_since

    def passed(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of the pairs this provider is trusted for, and note what others carry too."""
        whole = self.n_mine == len(self.mine)
        if self.newest is None and whole:
            return rows
        at = self.provider.pairs.positions(rows)
        mine = self.mine[at]
        if self.newest is not None:
            self.newest.note(at, rows)
            self.newest.delivered[at[mine]] = rows["ts_received"][mine]
        return rows if whole else rows[mine]

    def share(self, *, shared: bool, delivered_at: int) -> None:
        """Keep the newest rows if another provider carries some of the pairs; nothing before `delivered_at` is new."""
        if not shared:
            self.newest = None
        elif self.newest is None:
            self.newest = Newest(len(self.mine), delivered_at)

    def trust(self, at: np.ndarray, *, trusted: bool) -> None:
        """Set whether it is trusted for the pairs at the positions `at`."""
        self.mine[at] = trusted
        self.n_mine = int(np.count_nonzero(self.mine))

    def count(self, error: BaseException, what: str) -> str:
        """Count an exception, log the first of a run of equal ones, and return it in words."""
        self.provider.stats.errors += 1
        failure = f"{what} failed: {type(error).__name__}: {error}"
        if failure != self._failure:
            logger.error("provider %r: %s", self.provider.name, failure, exc_info=error)
        return failure

    def failed(self, error: BaseException, what: str) -> None:
        """Count an exception that says that it does not work, until the next good drain."""
        self._failure = self.count(error, what)

    def drained(self, now: int) -> None:
        """Note a good drain at `now` (UTC ns)."""
        if self.provider.status is not ProviderStatus.FAULTED:
            # One that could not start has nothing to drain: that goes well, and the reason stays.
            self._failure = ""
        if not self._counts or now - self._counts[-2] >= SECOND_NS:
            self._counts.extend((now, self.provider.stats.quotes))
            del self._counts[: -2 * (_RATE_WINDOW + 1)]

    def restart(self) -> None:
        """Forget failures, rates and rows of the run before."""
        self._failure = ""
        self._counts = array("q")
        if self.newest is not None:
            self.newest.forget()

    @property
    def failure(self) -> str:
        """Return what failed last, in words; empty after a good drain."""
        return self._failure

    def rate(self) -> float:
        """Return good quotes per second over the last 10 s; 0 before two seconds have passed."""
        if len(self._counts) < 4 or not self.enabled:
            return 0.0
        first, few, last, many = *self._counts[:2], *self._counts[-2:]
        return (many - few) * SECOND_NS / (last - first)

    def health(self, now: int) -> HealthReport:
        """Return the provider's own judgement, or its failure where it has one."""
        return self.with_failure(self.provider.health(now))

    def with_failure(self, report: HealthReport) -> HealthReport:
        """Return a report of the provider with the failure the registry knows of, where there is one."""
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
            trusted_pairs=self.n_mine,
            faults=self.provider.faults,
        )
