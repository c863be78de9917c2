"""ProviderRegistry: who delivers what, who is trusted for which pair, how each is doing."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, MarketEvent, ProviderStatus, Topic
from marketstream.market.quotes import QUOTE_DTYPE, QuoteState, empty_quotes
from marketstream.providers.base import Fault, HealthReport, Provider
from marketstream.providers.registry_entry import Entry, Fence, ProviderReport, Trust

__all__ = ["ProviderRegistry", "ProviderReport"]

logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_GAP_EVENT_EVERY_NS = 5 * SECOND_NS


class ProviderRegistry:
    """Own the providers: add, remove, enable and disable them while the stream runs.

    For each (instrument, venue) the registry trusts one provider: the first added that is enabled, not
    FAULTED and lists the pair. Only its rows leave `drain`. A fence is around every call of a provider:
    what it raises is counted and logged, and one that hangs in `start` or `stop` is given up after
    `timeout_s`, so that no provider delays or poisons another.

    Threads: one lock guards all state, so `add`, `drain`, `report`, `check_health` and the look-ups may be
    called from any thread. `remove`, `enable` and `disable` are coroutines of the loop that the providers
    run on; from another thread hand them over with `submit(registry.disable("x"))`. Events are delivered
    by the calling thread, outside the lock.

    Args:
        catalog: Gets every listing.
        clock: For time-outs and the stamps of events.
        on_event: Called with each fact; what it raises is logged and goes no further.
        timeout_s: How long a provider may take to start or stop, seconds.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        on_event: Callable[[MarketEvent], None],
        *,
        timeout_s: float = 5.0,
    ) -> None:
        self.catalog = catalog
        self.clock = clock
        self._on_event = on_event
        self._fence = Fence(clock, timeout_s)
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._removed_rows: list[np.ndarray] = []
        self._trust = Trust(catalog)
        self._running = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last_now = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all providers, in order of arrival."""
        with self._lock:
            return tuple(self._entries)

    def __iter__(self) -> Iterator[Provider]:
        with self._lock:
            return iter([e.provider for e in self._entries.values()])

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def get(self, name: str) -> Provider:
        """Return a provider; NotFoundError when there is none of that name."""
        return self._entry(name).provider

    def is_enabled(self, name: str) -> bool:
        """Return whether a provider is enabled; NotFoundError when there is none of that name."""
        return self._entry(name).enabled

    def trusted(self, instrument: str, venue: str) -> str | None:
        """Return the name of the provider trusted for a pair; None when nobody delivers it."""
        with self._lock:
            return self._trust.name_of(instrument, venue)

    def add(self, provider: Provider, *, enabled: bool = True) -> None:
        """Take in a provider; it is started by `start`, or by `enable` when the registry runs already.

        Raises:
            InvalidInputError: The name is taken, or the listing contradicts the catalogue.
        """
        with self._lock:
            if provider.name in self._entries:
                raise InvalidInputError(f"provider {provider.name!r} is there already; remove it first")
            provider.attach(self.catalog)
            # A provider that arrives while the stream runs waits for `enable`: starting it needs the loop.
            active = enabled and not self._running
            self._entries[provider.name] = Entry(provider, enabled=active)
            if not active:
                provider.status = ProviderStatus.DISABLED
            self._trust.settle(self._entries.values())
        self._tell(Topic.PROVIDER_STATUS, provider.name, f"added, {provider.status.value}")

    async def remove(self, name: str) -> None:
        """Stop a provider and forget it; its pairs are told CLOSED in the next drain."""
        with self._lock:
            entry = self._entry(name)
            self._withdraw(entry, QuoteState.CLOSED)
            entry.enabled = False
            del self._entries[name]
            self._trust.settle(self._entries.values())
        await self._stop(entry, ProviderStatus.STOPPED)
        self._tell(Topic.PROVIDER_STATUS, name, "removed")

    async def enable(self, name: str) -> None:
        """Start a provider that was disabled or has faulted; nothing happens when it is running."""
        with self._lock:
            entry = self._entry(name)
            faulted = entry.provider.status is ProviderStatus.FAULTED
            if entry.enabled and not faulted:
                return
            entry.enabled = True
            entry.provider.status = ProviderStatus.READY
            self._trust.settle(self._entries.values())
        if faulted:
            # What is left of the run that failed must not meet the new one.
            await self._stop(entry, ProviderStatus.READY)
        if self._running:
            await self._start(entry)
        self._tell(Topic.PROVIDER_STATUS, name, f"enabled, {entry.provider.status.value}")

    async def disable(self, name: str) -> None:
        """Stop a provider but keep it; its pairs are told SUSPENDED in the next drain."""
        with self._lock:
            entry = self._entry(name)
            if not entry.enabled:
                return
            self._withdraw(entry, QuoteState.SUSPENDED)
            entry.enabled = False
            self._trust.settle(self._entries.values())
        await self._stop(entry, ProviderStatus.DISABLED)
        self._tell(Topic.PROVIDER_STATUS, name, "disabled")

    def submit(self, change: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run `remove`, `enable` or `disable` on the registry's loop from another thread."""
        if self._loop is None:
            change.close()
            raise InvalidInputError("the registry has no loop yet: await start() first")
        return asyncio.run_coroutine_threadsafe(change, self._loop)

    def play_fault(self, name: str, fault: Fault, duration_s: float) -> None:
        """Tell a provider to play a fault; InvalidInputError when it cannot."""
        self._entry(name).provider.play_fault(fault, duration_s)
        self._tell(Topic.PROVIDER_FAULT, name, f"plays {Fault(fault).value} for {duration_s:g} s")

    async def start(self) -> None:
        """Start every enabled provider side by side; one that fails or hangs is FAULTED, the others run."""
        self._loop = asyncio.get_running_loop()
        with self._lock:
            self._running = True
            entries = [e for e in self._entries.values() if e.enabled]
        await asyncio.gather(*(self._start(e) for e in entries))

    async def stop(self) -> None:
        """Stop every provider side by side and wait, no longer than the time-out."""
        with self._lock:
            self._running = False
            entries = [e for e in self._entries.values() if e.enabled]
        await asyncio.gather(*(self._stop(e, ProviderStatus.STOPPED) for e in entries))

    def drain(self, now: int) -> np.ndarray:
        """Return what arrived up to `now` (UTC ns) from the trusted providers, in order of receipt.

        Every enabled provider is drained, so that one waiting in reserve has nothing old to say when it is
        trusted. Rows of equal time keep the order of the providers.
        """
        gaps: list[str] = []
        with self._lock:
            parts, self._removed_rows = self._removed_rows, []
            for entry in self._entries.values():
                if entry.enabled:
                    rows = self._drain_one(entry, now)
                    if len(rows):
                        parts.append(self._trust.only(entry, rows))
                        gaps += self._new_gap(entry, rows, now)
            self._last_now = now
        for name in gaps:
            self._tell(Topic.FEED_GAP, name, "a gap in the sequence; prices wait for a snapshot", now)
        return _merged(parts)

    def check_health(self, now: int) -> dict[str, HealthReport]:
        """Return each provider's health at `now` (UTC ns) and tell of every change of status."""
        reports: dict[str, HealthReport] = {}
        changes: list[tuple[str, str]] = []
        with self._lock:
            for name, entry in self._entries.items():
                report = self._health_of(entry, now)
                reports[name] = report
                if report.status is not entry.last_status:
                    before = entry.last_status
                    changes.append((name, f"{before.value} to {report.status.value}: {report.detail}"))
                    entry.last_status = report.status
                    if report.status is ProviderStatus.FAULTED:
                        self._withdraw(entry, QuoteState.SUSPENDED)
                    self._trust.settle(self._entries.values())
        for name, message in changes:
            self._tell(Topic.PROVIDER_STATUS, name, message, now)
        return reports

    def report(self, now: int) -> list[ProviderReport]:
        """Return every provider's status and statistics at `now` (UTC ns)."""
        with self._lock:
            return [e.report(self._health_of(e, now)) for e in self._entries.values()]

    def _entry(self, name: str) -> Entry:
        with self._lock:
            try:
                return self._entries[name]
            except KeyError:
                known = ", ".join(self._entries) or "none"
                raise NotFoundError(f"unknown provider {name!r}; there are: {known}") from None

    def _drain_one(self, entry: Entry, now: int) -> np.ndarray:
        try:
            rows = entry.provider.drain(now)
            if not isinstance(rows, np.ndarray) or rows.dtype != QUOTE_DTYPE:
                raise InvalidInputError("collect must return rows of QUOTE_DTYPE")
        except Exception as error:  # noqa: BLE001 - the fence around one provider
            entry.failed(error, "drain")
            return empty_quotes()
        entry.drained(now)
        return rows

    def _new_gap(self, entry: Entry, rows: np.ndarray, now: int) -> list[str]:
        if not np.any(rows["state"] == QuoteState.GAP):
            return []
        news = entry.last_gap_ns is None or now - entry.last_gap_ns > _GAP_EVENT_EVERY_NS
        entry.last_gap_ns = now
        return [entry.provider.name] if news else []

    def _health_of(self, entry: Entry, now: int) -> HealthReport:
        try:
            return entry.health(now)
        except Exception as error:  # noqa: BLE001 - the fence around one provider
            entry.failed(error, "health")
            return HealthReport(
                status=ProviderStatus.DEGRADED,
                absence=Absence.ERROR,
                detail="its health check failed",
                age_s=None,
            )

    async def _start(self, entry: Entry) -> None:
        async with entry.turn:
            # It may have been switched off while an earlier change had its turn.
            if not entry.enabled:
                return
            entry.restart()
            if not await self._fence.within_time(entry, entry.provider.start, "start"):
                entry.provider.status = ProviderStatus.FAULTED
            entry.last_status = entry.provider.status
        with self._lock:
            self._trust.settle(self._entries.values())
        self._tell(Topic.PROVIDER_STATUS, entry.provider.name, f"started, {entry.provider.status.value}")

    async def _stop(self, entry: Entry, status: ProviderStatus) -> None:
        async with entry.turn:
            await self._fence.within_time(entry, entry.provider.stop, "stop")
            entry.provider.status = entry.last_status = status

    def _withdraw(self, entry: Entry, state: QuoteState) -> None:
        # First in the next drain, so that another provider's quotes for the same pair come after.
        self._removed_rows.append(self._trust.withdraw(entry, state, self._last_now))

    def _tell(self, topic: Topic, subject: str, message: str, ts: int | None = None) -> None:
        ts = self.clock.now_ns() if ts is None else ts
        event = MarketEvent(ts=ts, topic=topic, subject=subject, message=message)
        try:
            self._on_event(event)
        except Exception:
            # The fence around the listener: its fault is not the registry's.
            logger.error("a listener failed on %s", event, exc_info=True)


def _merged(parts: list[np.ndarray]) -> np.ndarray:
    rows = np.concatenate([empty_quotes(), *parts])
    return rows[np.argsort(rows["ts_received"], kind="stable")]
