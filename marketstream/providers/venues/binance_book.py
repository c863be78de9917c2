"""The local order book of one Binance symbol: snapshot plus deltas. Frames are in binance_decoder.py."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from marketstream.providers.venues.levels import Ladder, Level

MAX_LEVELS = 5_000
MAX_WAITING_LEVELS = 50_000


class Step(Enum):
    """What a delta did to the book."""

    APPLIED = auto()
    WAITING = auto()
    OLD = auto()
    GAP = auto()


@dataclass(frozen=True, slots=True)
class Delta:
    """One `depthUpdate`: update ids `first` (U) to `last` (u), absolute sizes, event time in UTC ns."""

    first: int
    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int


class LocalBook:
    """Rebuild one symbol's book, and never apply a delta that does not follow the one before.

    Until a snapshot fits, deltas wait in a bounded buffer (the oldest are dropped). A snapshot with id L fits
    when the waiting deltas after L start with U <= L+1 <= u; from then on each needs U == previous u + 1.
    Anything else is a GAP: the book is emptied and waits for a new snapshot.
    (developers.binance.com, "How to manage a local order book correctly".)
    """

    def __init__(self) -> None:
        self.last = 0
        self.synced = False
        self.bids = Ladder(is_bid=True, depth=MAX_LEVELS)
        self.asks = Ladder(is_bid=False, depth=MAX_LEVELS)
        self.applied = 0
        self.ts_event: int | None = None
        self._fresh = False
        self._waiting: deque[Delta] = deque()
        self.waiting_levels = 0

    def apply(self, delta: Delta) -> Step:
        """Take a delta in order of arrival and say what became of it."""
        if not self.synced:
            self._wait(delta)
            return Step.WAITING
        if delta.last <= self.last:
            return Step.OLD
        if not self._follows(delta):
            self.drop()
            self._wait(delta)
            return Step.GAP
        self._change(delta)
        return Step.APPLIED

    def load(self, last: int, bids: Iterable[Level], asks: Iterable[Level]) -> bool:
        """Start again from a snapshot with id `last`; False when the waiting deltas do not join on to it."""
        waiting = sorted(self._waiting, key=lambda d: (d.first, d.last))
        self.drop()
        self.last, self.synced, self._fresh, self.ts_event = last, True, True, None
        self.bids = Ladder(is_bid=True, depth=MAX_LEVELS, levels=bids)
        self.asks = Ladder(is_bid=False, depth=MAX_LEVELS, levels=asks)
        for i, delta in enumerate(waiting):
            if delta.last <= self.last:
                continue
            if not self._follows(delta):
                self.drop()
                for later in waiting[i:]:
                    self._wait(later)
                return False
            self._change(delta)
        return True

    def drop(self) -> None:
        """Empty the book and forget what waits; the next snapshot fills it."""
        self.synced = False
        self.last = 0
        self.bids = Ladder(is_bid=True, depth=MAX_LEVELS)
        self.asks = Ladder(is_bid=False, depth=MAX_LEVELS)
        self._waiting.clear()
        self.waiting_levels = 0

    def _follows(self, delta: Delta) -> bool:
        if self._fresh:
            return delta.first <= self.last + 1 <= delta.last
        return delta.first == self.last + 1

    def _change(self, delta: Delta) -> None:
        self.bids.update(delta.bids)
        self.asks.update(delta.asks)
        self.last = delta.last
        self.ts_event = delta.ts_event
        self.applied += 1
        self._fresh = False

    def _wait(self, delta: Delta) -> None:
        self._waiting.append(delta)
        # A delta without levels still takes room, so it counts as one.
        self.waiting_levels += _room(delta)
        while self.waiting_levels > MAX_WAITING_LEVELS:
            self.waiting_levels -= _room(self._waiting.popleft())


def _room(delta: Delta) -> int:
    return 1 + len(delta.bids) + len(delta.asks)
