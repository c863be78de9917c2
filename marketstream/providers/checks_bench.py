"""The bench on which checks.py runs one provider: its clock, its drains and the words for what is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from marketstream.clock import ManualClock
from marketstream.errors import PermanentError
from marketstream.market.catalog import Catalog
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Provider

MakeProvider = Callable[[ManualClock], Provider]
Settle = Callable[[], Awaitable[None]]
Silence = Callable[[Provider], Awaitable[None]]


class NotConformingError(PermanentError):
    """One promise of the Provider interface that is not kept."""


class NotCheckable(Exception):  # noqa: N818 - no error: the provider simply offers no way to check this
    """A promise that cannot be checked on this provider; the message says why."""


def require(kept: bool, otherwise: str) -> None:
    """Raise NotConformingError with the sentence `otherwise` unless the promise is kept."""
    if not kept:
        raise NotConformingError(otherwise)


@dataclass(frozen=True, slots=True)
class Drained:
    """What one drain returned: the cycle's time (UTC ns) and the rows."""

    now: int
    rows: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """How to run a kind of provider.

    Args:
        make: Makes a fresh provider on the given clock, not attached.
        seconds: How long a check listens, in the clock's time.
        step_s: Time from drain to drain.
        settle: Awaited after each move of the clock, so that a socket can deliver.
        silence: Makes the feed fall silent; not needed where the provider can play a stall.
        deterministic: Equal providers send equal rows.
    """

    make: MakeProvider
    seconds: float = 20.0
    step_s: float = 0.5
    settle: Settle | None = None
    silence: Silence | None = None
    deterministic: bool = False


@dataclass(slots=True)
class Bench:
    """One fresh provider on a clock of its own, attached to a catalogue of its own."""

    rig: Rig
    clock: ManualClock = field(default_factory=ManualClock)
    catalog: Catalog = field(default_factory=Catalog)
    provider: Provider = field(init=False)
    history: list[Drained] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.provider = self.rig.make(self.clock)
        self.provider.attach(self.catalog)

    async def run(self, seconds: float | None = None, step_s: float | None = None) -> list[Drained]:
        """Let time pass, drain at each step, and return these drains."""
        step = self.rig.step_s if step_s is None else step_s
        n = max(1, round((self.rig.seconds if seconds is None else seconds) / step))
        drains = []
        for _ in range(n):
            self.clock.advance(step)
            if self.rig.settle is not None:
                await self.rig.settle()
            now = self.clock.now_ns()
            drains.append(Drained(now, self.provider.drain(now).copy()))
        self.history += drains
        return drains

    def pair_codes(self) -> set[tuple[int, int]]:
        """Return the (instrument, venue) codes that the provider lists."""
        return {(self.catalog.code(i), self.catalog.venue_code(v)) for i, v in self.provider.listing().pairs}


def joined(drains: list[Drained]) -> np.ndarray:
    """Return the rows of all drains, one after the other."""
    return np.concatenate([d.rows for d in drains])


def live(rows: np.ndarray) -> np.ndarray:
    """Return the LIVE rows."""
    return np.asarray(rows[rows["state"] == QuoteState.LIVE])


def pairs_of(rows: np.ndarray) -> set[tuple[int, int]]:
    """Return the (instrument, venue) codes that occur."""
    return set(zip(rows["instrument"].tolist(), rows["venue"].tolist(), strict=True))


def same_rows(first: np.ndarray, second: np.ndarray) -> str:
    """Return "" when the rows are equal in every column bit for bit (NaN equals NaN), else what differs."""
    if len(first) != len(second):
        return f"{len(first)} rows against {len(second)}"
    for name in first.dtype.names or ():
        a, b = np.ascontiguousarray(first[name]), np.ascontiguousarray(second[name])
        if a.tobytes() != b.tobytes():
            return f"column {name} differs"
    return ""
