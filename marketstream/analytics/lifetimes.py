"""Lifetimes: when an edge opened, its peak, and whether it closed or was lost with its feed. For edges.py."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from marketstream.analytics.terms import Rows

KEPT = 256
"""How many ended lifetimes are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """One edge from start to end.

    Attributes:
        instrument: Instrument id.
        venue: Venue id.
        side: `buy`, `sell` or `lay`.
        opened: UTC ns of the moment it became tradable.
        ended: UTC ns of the first moment it no longer was.
        peak: Largest edge in between, price units.
        censored: True when it ended because a feed was lost, so that its true length is unknown.
    """

    instrument: str
    venue: str
    side: str
    opened: int
    ended: int
    peak: float
    censored: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lifetimes:
    """Open edges by code, and the newest ended ones.

    Attributes:
        opened: (K, V, 2) UTC ns, 0 while not open; the last axis is ask, bid.
        peak: (K, V, 2) largest edge since it opened.
        ended: The last 256 that ended, newest last.
    """

    opened: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 2), dtype=np.int64))
    peak: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 2)))
    ended: tuple[Lifetime, ...] = ()

    def advance(self, now: int, rows: Rows, edge: np.ndarray, is_open: np.ndarray, known: np.ndarray) -> Lifetimes:
        """Return the lifetimes after one more moment.

        Args:
            now: UTC ns of the moment.
            rows: The rows that the next three speak of.
            edge: (n,) edges.
            is_open: (n,) whether the edge is tradable now.
            known: (n,) whether its quotes are there to tell; an edge that ends without them is censored.
        """
        at = (rows.instrument, rows.venue, rows.is_bid.astype(np.int64))
        opened, peak = np.zeros(rows.seen.shape, dtype=np.int64), np.zeros(rows.seen.shape)
        old_k, old_v = self.opened.shape[:2]
        opened[:old_k, :old_v], peak[:old_k, :old_v] = self.opened, self.peak
        was, best = opened[at], peak[at]
        over = np.flatnonzero((was > 0) & ~is_open)
        ended = self.ended
        if len(over):
            names = rows.index[over].tolist()
            ended += tuple(
                Lifetime(
                    instrument=instrument,
                    venue=venue,
                    side=side,
                    opened=int(was[row]),
                    ended=now,
                    peak=float(best[row]),
                    censored=not known[row],
                )
                for (instrument, venue, side), row in zip(names, over.tolist(), strict=True)
            )
        opened[at] = np.where(is_open, np.where(was > 0, was, now), 0)
        peak[at] = np.where(is_open, np.where(was > 0, np.fmax(best, edge), edge), 0.0)
        return Lifetimes(opened=opened, peak=peak, ended=ended[-KEPT:])

    def opened_at(self, rows: Rows) -> np.ndarray:
        """Return (n,) UTC ns when the edge of each row opened, 0 while it is not open."""
        return np.asarray(self.opened[rows.instrument, rows.venue, rows.is_bid.astype(np.int64)])
