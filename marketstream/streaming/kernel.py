"""The rolling state behind the streamz graph: books, best prices, rolling deltas and history in packed arrays.

`RollingKernel` owns the arrays; the compiled loop that walks them is in kernel_loop.py. Every result depends on the
quotes and their times alone, never on how they were cut into batches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError
from marketstream.market.quotes import QuoteBatch, QuoteState
from marketstream.market.state import BEST_DTYPE, BOOK_DTYPE, DELTA_DTYPE, History
from marketstream.streaming.kernel_loop import ROLLING_DTYPE, advance

MAX_WINDOW = 32_000
"""Positions in the ring are int16."""


class KernelResult(NamedTuple):
    """What one batch did. A tuple, since one is made per batch: a frozen dataclass costs three times as much.

    Attributes:
        now: UTC ns of the cycle.
        changed: (n,) DELTA_DTYPE, one row per instrument that got a quote; the caller's to keep.
        book: (K, V) BOOK_DTYPE, a view that the next batch overwrites.
        best: (K,) BEST_DTYPE, likewise.
    """

    now: int
    changed: np.ndarray
    book: np.ndarray
    best: np.ndarray


class RollingKernel:
    """Keep the newest quote per (instrument, venue) and rolling statistics per instrument.

    The reference mid of an instrument is the mean of its fresh venues' mids (of the one side, where a venue has only
    one), weighted by sqrt(bid_size + ask_size) * (1 - age / stale_after). A venue without a size counts as one.
    It is a cheap fixed statistic for deltas, not the fair value.

    Args:
        stale_after_ns: (V,) by venue code, how old a quote may be to count as fresh.
        n_instruments: K, number of instruments; `resize` adds more.
        window: Reference mids kept per instrument, 4 to 32,000.
        history_s: Seconds of once-a-second samples kept for time windows.
    """

    def __init__(
        self, stale_after_ns: np.ndarray, n_instruments: int, *, window: int = 256, history_s: int = 900
    ) -> None:
        if not 4 <= window <= MAX_WINDOW:
            raise InvalidInputError(f"window must be 4 to {MAX_WINDOW} mids, was {window}")
        if history_s < 1:
            raise InvalidInputError(f"history_s must be >= 1 second, was {history_s}")
        self.window = window
        self.history_s = history_s
        self._stale_after_ns = np.zeros(0, dtype=np.int64)
        self._per_stale = np.zeros(0)
        self._book = np.zeros((0, 0), dtype=BOOK_DTYPE)
        self._rolling = np.zeros(0, dtype=ROLLING_DTYPE)
        self._best = np.zeros(0, dtype=BEST_DTYPE)
        self._ring = np.zeros((0, window))
        self._history = np.zeros((0, history_s))
        # next sample time, samples taken, next expiry of a fresh quote, batch number, rows out of order, rows unknown
        self._marks = np.zeros(6, dtype=np.int64)
        self.resize(stale_after_ns, n_instruments)

    def resize(self, stale_after_ns: np.ndarray, n_instruments: int) -> None:
        """Make room for more instruments and venues; what is known stays."""
        k, v = self._book.shape
        n_venues = len(stale_after_ns)
        if n_instruments < k or n_venues < v:
            raise InvalidInputError(f"a kernel of {k} x {v} cannot shrink to {n_instruments} x {n_venues}")
        book = _blank_book(n_instruments, n_venues)
        book[:k, :v] = self._book
        self._book = book
        self._rolling = _extend(self._rolling, n_instruments)
        self._ring = _extend(self._ring, n_instruments)
        self._best = _extend(self._best, n_instruments)
        for side in ("bid_venue", "ask_venue"):
            self._best[side][k:] = -1
        for price in ("best_bid", "best_ask", "mid", "spread"):
            self._best[price][k:] = np.nan
        history = np.full((n_instruments, self.history_s), np.nan)
        history[:k] = self._history
        self._history = history
        self._changed = np.zeros(n_instruments, dtype=DELTA_DTYPE)
        self._changed_bytes = self._changed.view(np.float64).reshape(n_instruments, DELTA_DTYPE.itemsize // 8)
        self._stale_after_ns = np.ascontiguousarray(stale_after_ns, dtype=np.int64)
        self._per_stale = 1.0 / self._stale_after_ns
        self._marks[2] = 0

    def step(self, batch: QuoteBatch) -> KernelResult:
        """Apply one batch, in order of `ts_received`, and move time on to `batch.now`."""
        n = advance(
            batch.rows, batch.now, self._book, self._rolling, self._ring, self._best, self._history, self._changed,
            self._stale_after_ns, self._per_stale, self._marks,
        )  # fmt: skip
        # A structured array copies field by field; the same bytes as floats copy five times as fast.
        changed = self._changed_bytes[:n].copy().view(DELTA_DTYPE)[:, 0]
        return KernelResult(batch.now, changed, self._book, self._best)

    @property
    def shape(self) -> tuple[int, int]:
        """Return (instruments, venues)."""
        return self._book.shape[0], self._book.shape[1]

    @property
    def out_of_order(self) -> int:
        """Return how many rows were older than the book they were for, and so changed nothing."""
        return int(self._marks[4])

    @property
    def unknown(self) -> int:
        """Return how many rows had a code outside the arrays, and so changed nothing."""
        return int(self._marks[5])

    @property
    def samples_taken(self) -> int:
        """Return how many once-a-second samples were ever taken; tells whether `history` has grown."""
        return int(self._marks[1])

    def history(self) -> History:
        """Return a copy of the once-a-second reference mids, oldest first."""
        taken = int(self._marks[1])
        kept = min(taken, self.history_s)
        last = int(self._marks[0]) - SECOND_NS
        times = last - SECOND_NS * np.arange(kept - 1, -1, -1, dtype=np.int64)
        order = (taken - kept + np.arange(kept)) % self.history_s
        return History(times=times, ref_mid=self._history[:, order])

    def bytes_per_instrument(self) -> float:
        """Return the bytes of state per instrument, history not counted."""
        arrays = (self._book, self._rolling, self._ring, self._best)
        return sum(a.nbytes for a in arrays) / max(1, self._book.shape[0])


def _blank_book(n_instruments: int, n_venues: int) -> np.ndarray:
    book = np.zeros((n_instruments, n_venues), dtype=BOOK_DTYPE)
    book["bid"] = book["ask"] = np.nan
    book["state"] = QuoteState.NO_DATA
    return book


def _extend(array: np.ndarray, n: int) -> np.ndarray:
    longer = np.zeros((n, *array.shape[1:]), dtype=array.dtype)
    longer[: len(array)] = array
    return longer
