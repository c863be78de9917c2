"""ProviderRegistry: who delivers what, who is trusted for which pair, how each is doing."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent, ProviderStatus, Topic
from marketstream.market.quotes import QUOTE_DTYPE, QuoteState, empty_quotes
from marketstream.providers.base import Fault, HealthReport, Provider
from marketstream.providers.changes import ChangeKind, RegistryChange
from marketstream.providers.lifecycle import Lifecycle, failed_report
from marketstream.providers.pairs import key_of
from marketstream.providers.registry_entry import Entry, ProviderReport
from marketstream.providers.switchboard import Switchboard

__all__ = ["ProviderRegistry", "ProviderReport"]

logger = logging.getLogger(__name__)
_GAP_EVENT_EVERY_NS = 5 * SECOND_NS


class ProviderRegistry:
    """Own the providers: add, remove, enable and disable them while the stream runs.

    For each (instrument, venue) the registry trusts one of the providers that list it, and only its rows leave
    `drain`. The order of trust is that in which their names were first added; one that was removed has its old place
    when it is added again. When the trusted one is DEGRADED, FAULTED,
    disabled or removed, the next healthy one takes over at the next `check_health`, or at once when the change was
    made here; an earlier one is trusted again after it has been delivering for `failback_after_s` without a break.
    Each such switch is one event of the topic PROVIDER_SWITCH with its cause and cost.

    A fence is around every call of a provider: what it raises is counted and logged, and one that hangs in `start`,
    `stop` or `check` is given up after `timeout_s`, so that no provider delays or poisons another.

    Threads: one lock guards all state, so `add`, `drain`, `report`, `check_health` and the look-ups may be
    called from any thread. `remove`, `enable`, `disable` and the active checks are coroutines of the loop that the
    providers run on. Events are delivered by the calling thread, outside the lock.

    Args:
        catalog: Gets every listing.
        clock: For time-outs and the stamps of events.
        on_event: Called with each fact; what it raises is logged and goes no further.
        timeout_s: How long a provider may take to start, to stop or to be checked, seconds.
        failback_after_s: How long an earlier provider must have been delivering to be trusted again, seconds.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        on_event: Callable[[MarketEvent], object],
        *,
        timeout_s: float = 5.0,
        failback_after_s: float = 30.0,
    ) -> None:
        if not 0 <= failback_after_s < math.inf:
            raise InvalidInputError(f"failback_after_s must be >= 0 and finite, was {failback_after_s}")
        self.catalog = catalog
        self.clock = clock
        self._on_event = on_event
        self._lifecycle = Lifecycle(clock, timeout_s)
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._board = Switchboard(self._entries, catalog, failback_after_s)
        self._failback_ns = round(failback_after_s * SECOND_NS)
        self._running = False

    @property
    def on_change(self) -> Callable[[RegistryChange], None] | None:
        """What is told of every decision, in order and inside the lock, for a recording; it must not wait."""
        return self._board.on_change

    @on_change.setter
    def on_change(self, recorder: Callable[[RegistryChange], None] | None) -> None:
        self._board.on_change = recorder

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all providers, in the order of trust."""
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

    @property
    def drained_at(self) -> int:
        """Return when the last drain was, UTC ns; 0 before the first."""
        with self._lock:
            return self._board.drained_at

    def trusted(self, instrument: str, venue: str) -> str | None:
        """Return the name of the provider trusted for a pair; None when nobody delivers it."""
        key = key_of(self.catalog.code(instrument), self.catalog.venue_code(venue))
        with self._lock:
            self._board.settle(self.clock.now_ns())
            holder = self._board.holder(key)
        self._tell_all()
        return None if holder is None else holder.name

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
            if not active:
                provider.status = ProviderStatus.DISABLED
            entry = Entry(provider, enabled=active)
            self._enter(entry)
            self._board.unsettle(membership=True)
            self._note(ChangeKind.ADDED, entry, f"added, {provider.status.value}")
        self._tell_all()

    async def remove(self, name: str) -> None:
        """Stop a provider and forget it; its pairs are told CLOSED in the next drain."""
        with self._lock:
            entry = self._entry(name)
            self._bar(entry, "removed", QuoteState.CLOSED, ProviderStatus.STOPPED)
            del self._entries[name]
            self._board.unsettle(membership=True)
            self._note(ChangeKind.REMOVED, entry, "removed")
        self._tell_all()
        await self._stop(entry, ProviderStatus.STOPPED)

    async def enable(self, name: str) -> None:
        """Start a provider that was disabled or has faulted; nothing happens when it is running."""
        with self._lock:
            entry = self._entry(name)
            faulted = entry.provider.status is ProviderStatus.FAULTED
            if entry.enabled and not faulted:
                return
            entry.enabled = True
            entry.provider.status = entry.last_status = ProviderStatus.READY
            entry.admit()
            self._board.unsettle()
            # Where it is started now, that is told.
            self._note(ChangeKind.ENABLED, entry, "" if self._running else "enabled, READY")
        if faulted:
            # What is left of the run that failed must not meet the new one.
            await self._stop(entry, ProviderStatus.READY)
        if self._running:
            await self._start(entry)
        self._tell_all()

    async def disable(self, name: str) -> None:
        """Stop a provider but keep it; its pairs are told SUSPENDED in the next drain."""
        with self._lock:
            entry = self._entry(name)
            if not entry.enabled:
                return
            self._bar(entry, "disabled", QuoteState.SUSPENDED, ProviderStatus.DISABLED)
            self._note(ChangeKind.DISABLED, entry, "disabled")
        self._tell_all()
        await self._stop(entry, ProviderStatus.DISABLED)

    def play_fault(self, name: str, fault: Fault, duration_s: float) -> None:
        """Tell a provider to play a fault; InvalidInputError when it cannot."""
        self._entry(name).provider.play_fault(fault, duration_s)
        message = f"plays {Fault(fault).value} for {duration_s:g} s"
        now = self.clock.now_ns()
        with self._lock:
            self._board.tell(MarketEvent(ts=now, topic=Topic.PROVIDER_FAULT, subject=name, message=message))
        self._tell_all()

    async def start(self) -> None:
        """Start every enabled provider side by side; one that fails or hangs is FAULTED, the others run."""
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
        with self._lock:
            self._board.settle(now)
            parts = self._board.take_entering()
            for entry in self._entries.values():
                if entry.enabled:
                    rows = self._drain_one(entry, now)
                    if len(rows):
                        parts.append(rows)
            self._board.drained_at = now
        self._tell_all()
        return _merged(parts)

    def check_health(self, now: int) -> dict[str, HealthReport]:
        """Return each provider's health at `now` (UTC ns), tell of every change of status, and settle trust by it."""
        reports: dict[str, HealthReport] = {}
        tick = self.clock.monotonic_ns()
        with self._lock:
            self._board.settle(now)
            for name, entry in self._entries.items():
                report = reports[name] = self._health_of(entry, now)
                if entry.judge(report, tick, self._failback_ns):
                    self._board.unsettle()
                if report.status is not entry.last_status and not self._board.follows:
                    before, entry.last_status = entry.last_status, report.status
                    message = f"{before.value} to {report.status.value}: {report.detail}"
                    self._note(ChangeKind.STATUS, entry, message, now)
            self._board.settle(now)
        self._tell_all()
        return reports

    async def check(self, name: str) -> HealthReport:
        """Check one provider actively and return what was found; NotFoundError when there is none of that name.

        One that fails or takes longer than the time-out is reported DEGRADED with ERROR. What is found moves no trust:
        that is for the regular `check_health`.
        """
        return (await self._check([self._entry(name)], self.clock.now_ns()))[name]

    async def check_all(self, now: int) -> dict[str, HealthReport]:
        """Check every provider actively at `now` (UTC ns), side by side, none longer than the time-out.

        A provider that is not enabled is not asked; its report says that it does not run.
        """
        with self._lock:
            entries = list(self._entries.values())
        return await self._check(entries, now)

    def enact(self, change: RegistryChange) -> None:
        """Carry out a recorded change without judging anything.

        From the first call on this registry decides nothing by itself: neither health checks nor providers that come
        or go move trust. The providers must have been added before, in the recorded order. `on_change` is not told.
        """
        with self._lock:
            entry = self._entry(change.provider)
            self._board.enact(change)
            if change.kind is ChangeKind.REMOVED:
                del self._entries[change.provider]
                self._board.unsettle(membership=True)
            entry.enabled = change.enabled
            entry.provider.status = entry.last_status = change.status
        self._tell_all()

    def standing(self) -> tuple[RegistryChange, ...]:
        """Return the changes that bring another registry of the same providers, in the same order, to where this is."""
        with self._lock:
            changes = self._board.standing(self.clock.now_ns())
        self._tell_all()
        return changes

    def report(self, now: int) -> list[ProviderReport]:
        """Return every provider's status and statistics at `now` (UTC ns)."""
        with self._lock:
            return [e.report(self._health_of(e, now)) for e in self._entries.values()]

    def _enter(self, entry: Entry) -> None:
        # The catalogue never forgets a name, so that its codes are the order of trust, and of everything else here.
        last = next(reversed(self._entries.values()), None)
        self._entries[entry.name] = entry
        if last is not None and last.provider.code > entry.provider.code:
            ordered = sorted(self._entries.items(), key=lambda item: item[1].provider.code)
            self._entries.clear()
            self._entries.update(ordered)

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
            passed = entry.passed(rows) if len(rows) else rows
        except Exception as error:  # noqa: BLE001 - the fence around one provider
            entry.failed(error, "drain")
            return empty_quotes()
        entry.drained(now)
        self._look_for_gap(entry, rows, now)
        return passed

    def _look_for_gap(self, entry: Entry, rows: np.ndarray, now: int) -> None:
        if not len(rows) or not np.any(rows["state"] == QuoteState.GAP):
            return
        news = entry.last_gap_ns is None or now - entry.last_gap_ns > _GAP_EVENT_EVERY_NS
        entry.last_gap_ns = now
        if news:
            message = "a gap in the sequence; prices wait for a snapshot"
            self._board.tell(MarketEvent(ts=now, topic=Topic.FEED_GAP, subject=entry.name, message=message))

    def _health_of(self, entry: Entry, now: int) -> HealthReport:
        try:
            return entry.health(now)
        except Exception as error:  # noqa: BLE001 - the fence around one provider
            entry.failed(error, "health")
            return failed_report("its health check failed")

    async def _check(self, entries: Sequence[Entry], now: int) -> dict[str, HealthReport]:
        asked = [entry for entry in entries if entry.enabled]
        found = await self._lifecycle.check(asked, now)
        reports = {entry.name: report for entry, report in zip(asked, found, strict=True)}
        with self._lock:
            return {entry.name: reports.get(entry.name) or self._health_of(entry, now) for entry in entries}

    async def _start(self, entry: Entry) -> None:
        async with entry.turn:
            # It may have been switched off while an earlier change had its turn.
            if not entry.enabled:
                return
            started = await self._lifecycle.start(entry)
            with self._lock:
                # Who was switched off or removed meanwhile is stopped next, and of that was told.
                if entry.enabled:
                    self._note_start(entry, started=started)
        self._tell_all()

    def _note_start(self, entry: Entry, *, started: bool) -> None:
        if started:
            entry.admit()
        else:
            entry.bar(entry.failure, QuoteState.SUSPENDED)
        status = entry.last_status = entry.provider.status
        self._board.unsettle()
        message = f"started, {status.value}" if started else f"not started, {status.value}: {entry.failure}"
        self._note(ChangeKind.STATUS, entry, message)

    async def _stop(self, entry: Entry, status: ProviderStatus) -> None:
        async with entry.turn:
            await self._lifecycle.stop(entry, status)

    def _bar(self, entry: Entry, cause: str, withdrawal: QuoteState, status: ProviderStatus) -> None:
        # At once, and before anything is awaited: its prices must not stay.
        self._board.settle(self.clock.now_ns())
        entry.bar(cause, withdrawal)
        entry.enabled = False
        entry.provider.status = entry.last_status = status
        self._board.unsettle()
        self._board.settle(self.clock.now_ns())

    def _note(self, kind: ChangeKind, entry: Entry, message: str = "", ts: int | None = None) -> None:
        # The status as it is told: the registry may know of a failure that the provider does not.
        ts, data = self.clock.now_ns() if ts is None else ts, {"status": entry.last_status.value}
        event = MarketEvent(ts=ts, topic=Topic.PROVIDER_STATUS, subject=entry.name, message=message, data=data)
        self._board.note(kind, entry, ts, event if message else None)

    def _tell_all(self) -> None:
        with self._lock:
            events = self._board.take_events()
        for event in events:
            try:
                self._on_event(event)
            except Exception:
                # The fence around the listener: its fault is not the registry's.
                logger.error("a listener failed on %s", event, exc_info=True)


def _merged(parts: list[np.ndarray]) -> np.ndarray:
    rows = np.concatenate([empty_quotes(), *parts])
    return rows[np.argsort(rows["ts_received"], kind="stable")]
