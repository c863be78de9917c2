"""Trail: what charts look back on, one sample a second of fair values, venue mids and, where known, the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from marketstream.analytics.analysis import Snapshot
from marketstream.errors import InvalidInputError

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Path:
    """The samples of one instrument, oldest first.

    Attributes:
        times: (n,) UTC ns.
        fair: (n,) fair value of the house; NaN where there was none.
        fair_sd: (n,) its standard deviation.
        mids: (V, n) mid by venue code, or the one side there is; NaN while the venue was not fresh.
        truth: (n,) true price where a simulation knows it, else NaN.
    """

    times: np.ndarray
    fair: np.ndarray
    fair_sd: np.ndarray
    mids: np.ndarray
    truth: np.ndarray


class Trail:
    """A ring of the last `seconds` samples for every instrument; one per process, shared by all sessions.

    At 900 s it holds 7 kB per instrument and venue, and 22 kB more per instrument.
    """

    def __init__(self, seconds: int = 900) -> None:
        if seconds < 2:
            raise InvalidInputError(f"a trail needs at least 2 seconds, was {seconds}")
        self.seconds = seconds
        self.z_change = np.zeros(0)
        """Newest z of change by instrument code; NaN before the first."""
        self._n = 0
        self._times = np.zeros(seconds, dtype=np.int64)
        self._lines = np.full((0, 3, seconds), np.nan)
        self._mids = np.full((0, 0, seconds), np.nan, dtype=np.float64)
        self._sequence = -1

    def __len__(self) -> int:
        return min(self._n, self.seconds)

    def record(self, snapshot: Snapshot, truth: Callable[[], Mapping[str, float]]) -> bool:
        """Take a sample if a second has passed since the last one; returns whether it did."""
        market = snapshot.market
        if market.sequence == self._sequence:
            return False
        self._sequence = market.sequence
        self._grow(*market.shape)
        changed = market.changed
        self.z_change[changed["instrument"]] = changed["z_change"]
        last = self._times[(self._n - 1) % self.seconds] if self._n else 0
        if snapshot.now - last < SECOND_NS:
            return False
        slot = self._n % self.seconds
        self._times[slot] = snapshot.now
        self._lines[:, 0, slot] = snapshot.fair["fair"].to_numpy()
        self._lines[:, 1, slot] = snapshot.fair["fair_sd"].to_numpy()
        known = truth()
        self._lines[:, 2, slot] = [known.get(i.id, np.nan) for i in market.catalog.instruments[: market.shape[0]]]
        self._mids[:, :, slot] = venue_mids(market.book, market.fresh)
        self._n += 1
        return True

    def path(self, code: int) -> Path:
        """Return the samples of one instrument code; empty where it is not known yet."""
        if code >= len(self._lines):
            nothing = np.zeros(0)
            return Path(
                times=np.zeros(0, dtype=np.int64),
                fair=nothing,
                fair_sd=nothing,
                mids=np.zeros((self._mids.shape[1], 0)),
                truth=nothing,
            )
        order = self._order()
        fair, fair_sd, truth = self._lines[code][:, order]
        return Path(times=self._times[order], fair=fair, fair_sd=fair_sd, mids=self._mids[code][:, order], truth=truth)

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (K, n) fair value minus truth, and the same divided by its standard deviation."""
        order = self._order()
        fair, sd, truth = (self._lines[:, i, :][:, order] for i in range(3))
        error = fair - truth
        with np.errstate(invalid="ignore", divide="ignore"):
            return error, np.where(sd > 0, error / sd, np.nan)

    def _order(self) -> np.ndarray:
        n = len(self)
        return np.arange(self._n - n, self._n) % self.seconds

    def _grow(self, instruments: int, venues: int) -> None:
        k, v = self._mids.shape[:2]
        if (instruments, venues) == (k, v):
            return
        lines = np.full((instruments, 3, self.seconds), np.nan)
        lines[:k] = self._lines
        mids = np.full((instruments, venues, self.seconds), np.nan)
        mids[:k, :v] = self._mids
        z_change = np.full(instruments, np.nan)
        z_change[:k] = self.z_change
        self._lines, self._mids, self.z_change = lines, mids, z_change


def venue_mids(book: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return (K, V) mids of fresh venues; a venue with one side counts with that side, the others are NaN."""
    bid, ask = book["bid"], book["ask"]
    mid = np.where(np.isnan(bid), ask, np.where(np.isnan(ask), bid, (bid + ask) / 2))
    return np.where(fresh, mid, np.nan)
