"""Lifecycle: starts, stops and actively checks providers, each behind a fence of time and of exceptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from marketstream.clock import Clock
from marketstream.errors import InvalidInputError
from marketstream.market.events import Absence, ProviderStatus
from marketstream.providers.base import HealthReport
from marketstream.providers.fence import Fence
from marketstream.providers.registry_entry import Entry


class Lifecycle:
    """What providers are awaited for; none keeps another, or who asked, for more than `timeout_s` seconds."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._fence = Fence(clock, timeout_s)

    async def start(self, entry: Entry) -> bool:
        """Return whether a provider started; one that did not is FAULTED, and its failure is known to the entry."""
        entry.restart()
        if await self._ends_well(entry, entry.provider.start, "start"):
            return True
        entry.provider.status = ProviderStatus.FAULTED
        return False

    async def stop(self, entry: Entry, status: ProviderStatus) -> None:
        """Stop a provider, or give it up; its status is `status` either way."""
        await self._ends_well(entry, entry.provider.stop, "stop")
        entry.provider.status = entry.last_status = status

    async def check(self, entries: Sequence[Entry], now: int) -> list[HealthReport]:
        """Check enabled providers actively at `now` (UTC ns), side by side; return what was found, in their order.

        One that raises, hangs or returns something else is DEGRADED with ERROR.
        """
        found = await self._fence.outcomes([partial(entry.provider.check, now) for entry in entries])
        return [_report_of(entry, outcome) for entry, outcome in zip(entries, found, strict=True)]

    async def _ends_well(self, entry: Entry, work: Callable[[], Awaitable[None]], what: str) -> bool:
        (outcome,) = await self._fence.outcomes([work])
        if outcome is not None:
            entry.failed(outcome, what)
        return outcome is None


def failed_report(detail: str) -> HealthReport:
    """Return the report of a provider whose health check itself failed."""
    return HealthReport(status=ProviderStatus.DEGRADED, absence=Absence.ERROR, detail=detail, age_s=None)


def _report_of(entry: Entry, outcome: object) -> HealthReport:
    if isinstance(outcome, HealthReport):
        return entry.with_failure(outcome)
    if not isinstance(outcome, BaseException):
        outcome = InvalidInputError(f"check must return a HealthReport, was {type(outcome).__name__}")
    return failed_report(entry.count(outcome, "check"))
