"""The Provider interface: what every feed is to the engine. registry.py owns them, checks.py proves one."""

from __future__ import annotations

import abc
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.instruments import check_name
from marketstream.market.quotes import QuoteState, Refusal, screen
from marketstream.providers.pairs import Pairs


class Fault(StrEnum):
    """A fault that a provider may be told to play."""

    STALL = "stall"
    GAP = "gap"
    CROSSED = "crossed"
    SPIKE = "spike"
    DISCONNECT = "disconnect"


class InputKind(StrEnum):
    """What came into a provider from outside."""

    OPENED = "opened"
    FRAME = "frame"
    CLOSED = "closed"
    SNAPSHOT = "snapshot"
    ROWS = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One thing that came into a provider from outside; all of them in order make the same rows again.

    Attributes:
        provider: Name of the provider that it came to.
        kind: What it is.
        epoch: Number of the connection that it belongs to; 0 where there is none.
        ts: When it came, UTC ns; for ROWS the `now` of the `collect` that handed them over.
        key: Of a SNAPSHOT, the venue's symbol that was asked for.
        body: The bytes of a frame or an answer as received; of ROWS, packed rows of QUOTE_DTYPE.
    """

    provider: str
    kind: InputKind
    epoch: int
    ts: int
    key: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """What a health check found.

    Attributes:
        status: What the provider is doing.
        absence: Why there is no data, where there is none.
        detail: The same in a sentence.
        age_s: Seconds since the last valid quote; None when there never was one.
    """

    status: ProviderStatus
    absence: Absence | None
    detail: str
    age_s: float | None


class ProviderStats:
    """Counts of what a provider received, delivered and refused."""

    def __init__(self) -> None:
        self.frames = 0
        self.quotes = 0
        self.errors = 0
        self.reconnects = 0
        self.refused: Counter[str] = Counter()
        self.last_data_ns: int | None = None

    def refuse(self, reason: Refusal, n: int = 1) -> None:
        """Count `n` refused quotes or frames."""
        self.refused[reason.value] += n

    @property
    def success_rate(self) -> float | None:
        """Return the share of quotes that were good, in 0..1; None before the first one."""
        total = self.quotes + sum(self.refused.values())
        return self.quotes / total if total else None


class Provider(abc.ABC):
    """A feed. It collects what has arrived; the base class screens it, so that nothing invalid goes further.

    `collect` must not wait: it hands over what is there. Whatever waits (a connection, a request) runs in
    tasks that `start` begins and `stop` ends.

    Args:
        name: Unique in a registry.
        clock: The only source of time.
        stale_after_s: Without a valid quote for this long, the provider counts as degraded.
    """

    kind: str
    """Name of the kind of feed in a declaration file, such as `simulated`."""

    tap: Callable[[Input], None] | None = None
    """Told of every input before anything is made of it, for a recording; None costs nothing."""

    def __init__(self, *, name: str, clock: Clock, stale_after_s: float = 10.0) -> None:
        check_name(name, "provider name")
        if not 0 < stale_after_s < math.inf:
            raise InvalidInputError(f"stale_after_s must be > 0 and finite, was {stale_after_s}")
        self.name = name
        self.clock = clock
        self.stale_after_s = stale_after_s
        self.stats = ProviderStats()
        self.status = ProviderStatus.READY
        self._catalog: Catalog | None = None
        self._code = -1
        self._pairs = Pairs()
        self._progress_at: int | None = None
        self._drained_at: int | None = None
        self._quiet_since: int | None = None

    @abc.abstractmethod
    def listing(self) -> Listing:
        """Return what this provider can quote."""

    @abc.abstractmethod
    def collect(self, now: int) -> np.ndarray:
        """Return all quote rows received up to `now` (UTC ns) and not returned before, in order of receipt.

        `instrument`, `venue` and the stamps are filled in; `provider` is set by `drain`. The array is the
        caller's: the provider does not touch it again.
        """

    def attach(self, catalog: Catalog) -> None:
        """Enter the listing into `catalog` and take codes from it. Called once, before `start`."""
        listing = self.listing()
        catalog.add(listing)
        self._catalog = catalog
        self._code = catalog.add_provider(self.name)
        self._pairs = Pairs((catalog.code(i), catalog.venue_code(v)) for i, v in listing.pairs)

    @property
    def catalog(self) -> Catalog:
        """Return the catalogue this provider is attached to."""
        if self._catalog is None:
            raise InvalidInputError(f"provider {self.name!r} is not attached to a catalogue yet")
        return self._catalog

    @property
    def code(self) -> int:
        """Return this provider's code in the catalogue; -1 before it is attached."""
        return self._code

    @property
    def pairs(self) -> Pairs:
        """Return which pairs this provider may quote; none before it is attached."""
        return self._pairs

    async def start(self) -> None:
        """Begin to receive; returns at once, a lost connection is the provider's own business."""
        self.status = ProviderStatus.RUNNING
        self._quiet_since = None

    async def stop(self) -> None:
        """End every task of this provider and wait for them; a second call does nothing."""
        self.status = ProviderStatus.STOPPED

    def drain(self, now: int) -> np.ndarray:
        """Return the screened rows that arrived since the last call; refused ones as state rows.

        Rows of pairs that this provider does not list are dropped and counted as unknown: there is no
        book that a state row could clear.
        """
        before, self._drained_at = self._drained_at, self._tick(now)
        rows = self._only_listed(self.collect(now))
        if not len(rows):
            return rows
        rows["provider"] = self._code
        for reason, n in screen(rows, self.catalog.is_outcome(), now).items():
            self.stats.refuse(reason, n)
        good = rows["state"] == QuoteState.LIVE
        n_good = int(np.count_nonzero(good))
        if n_good:
            self.stats.quotes += n_good
            self.stats.last_data_ns = int(rows["ts_received"][good].max())
            # How old the newest quote is now is known by the wall clock, how time goes on by `_tick`. It came after the
            # last drain, so a wall clock that was set forward since then makes it no older than that.
            arrived_at = self._drained_at - max(now - self.stats.last_data_ns, 0)
            self._progress_at = arrived_at if before is None else max(arrived_at, before)
        return rows

    def health(self, now: int) -> HealthReport:
        """Judge by progress: a provider without valid data for `stale_after_s` is DEGRADED.

        `now` is the cycle's time, UTC ns. Silence is counted from the first check after a start or from the last valid
        quote, whichever is later, up to the last drain, on the clock that `_tick` reads.
        """
        age = self.age_s(now)
        if self.status is ProviderStatus.FAULTED:
            return self._report(Absence.ERROR, "stopped by a fault that no retry helps", age)
        if self.status not in (ProviderStatus.RUNNING, ProviderStatus.DEGRADED):
            return self._report(Absence.NO_DATA, "not running", age)
        tick = self._tick(now)
        if self._quiet_since is None:
            self._quiet_since = tick
        last = self._quiet_since if self._progress_at is None else max(self._quiet_since, self._progress_at)
        # What came since the last drain has yet to be seen: in a stream that is paused, no feed is silent.
        seen = tick if self._drained_at is None else max(self._drained_at, last)
        quiet_s = (seen - last) / SECOND_NS
        if quiet_s > self.stale_after_s:
            self.status = ProviderStatus.DEGRADED
            absence = Absence.NO_DATA if self._progress_at is None else Absence.STALE
            return self._report(absence, f"no valid quote for {quiet_s:.1f} s (allowed: {self.stale_after_s:g} s)", age)
        self.status = ProviderStatus.RUNNING
        return self._report(None, "delivering" if age is not None else "waiting for the first quote", age)

    async def check(self, now: int) -> HealthReport:
        """Look actively, where there is more to look at than progress; by default the judgement of `health`.

        May wait, unlike `health`; the registry gives it up after its time-out. `now` is UTC ns.
        """
        return self.health(now)

    def age_s(self, now: int) -> float | None:
        """Return seconds since the last valid quote; None when there never was one."""
        if self._progress_at is None:
            return None
        return max(0.0, (self._tick(now) - self._progress_at) / SECOND_NS)

    def replay(self, given: Input) -> None:
        """Take one recorded input, as if it came from outside now; `collect` then returns what it made.

        Replayed inputs are not told to `tap`. No connection is needed: all times are those of the inputs.

        Raises:
            InvalidInputError: This kind of provider cannot be replayed, or has no such input.
        """
        raise InvalidInputError(f"provider kind {self.kind!r} cannot be replayed from raw inputs")

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Return the faults this provider can play; none but for simulated ones."""
        return ()

    def play_fault(self, fault: Fault, duration_s: float) -> None:
        """Play a fault for `duration_s` seconds, if this provider can."""
        raise InvalidInputError(f"provider {self.name!r} is a real feed and plays no faults (asked: {fault.value})")

    def truth(self, now: int) -> dict[str, float]:
        """Return the true prices by instrument, where a simulation knows them."""
        return {}

    def _tick(self, now: int) -> int:
        # Monotonic, so that a step of the wall clock is no silence; a feed with its own time overrides it.
        return self.clock.monotonic_ns()

    def _only_listed(self, rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return rows
        known = self._pairs.holds(rows)
        n_unknown = len(rows) - int(np.count_nonzero(known))
        if not n_unknown:
            return rows
        self.stats.refuse(Refusal.UNKNOWN_INSTRUMENT, n_unknown)
        return np.asarray(rows[known])

    def _report(self, absence: Absence | None, detail: str, age: float | None) -> HealthReport:
        return HealthReport(status=self.status, absence=absence, detail=detail, age_s=age)
