"""Quotes as packed rows, and the check that every one passes at its provider's edge. Frames are in frames.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np

MAX_EVENT_AHEAD_NS = 2_000_000_000
MIN_PROBABILITY = 0.999e-4
"""Decimal odds go to 10,000; a probability-price below that is a fault, not a bargain."""
MAX_ASSET_PRICE = 1e12
MIN_ASSET_PRICE = 1e-12
MAX_SIZE = 1e15
"""Largest size of a side; a weight made of more would leave nothing of the other venues'."""


class QuoteState(IntEnum):
    """Whether a quote may feed a price: only LIVE does."""

    LIVE = 0
    STALE = 1
    GAP = 2
    RESYNCING = 3
    CROSSED = 4
    SUSPENDED = 5
    CLOSED = 6
    NO_DATA = 7


class Refusal(StrEnum):
    """Why a quote or frame went no further than its provider."""

    MALFORMED = "malformed"
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    OUT_OF_RANGE = "out_of_range"
    NEGATIVE_SIZE = "negative_size"
    CROSSED = "crossed"
    EVENT_TIME_AHEAD = "event_time_ahead"
    OUT_OF_SEQUENCE = "out_of_sequence"
    WRONG_CHECKSUM = "wrong_checksum"


QUOTE_DTYPE = np.dtype(
    [
        ("bid", np.float64),
        ("ask", np.float64),
        ("bid_size", np.float64),
        ("ask_size", np.float64),
        ("ts_event", np.int64),
        ("ts_received", np.int64),
        ("seq", np.int64),
        ("instrument", np.int32),
        ("venue", np.int16),
        ("provider", np.int16),
        ("state", np.int8),
    ],
    align=True,
)
"""One quote: prices in the quote currency (or probability), stamps UTC ns, the rest codes of the Catalog.

A side that does not exist is NaN with size 0. A state row (any state but LIVE) has NaN prices: it takes the
venue out of the book until its next LIVE quote.
"""


@dataclass(frozen=True, slots=True, eq=False)
class QuoteBatch:
    """What arrived in one cycle, in order of `ts_received`; empty batches still carry `now` (UTC ns)."""

    rows: np.ndarray
    now: int

    def __len__(self) -> int:
        return len(self.rows)


def empty_quotes(n: int = 0) -> np.ndarray:
    """Return `n` zeroed quote rows with NaN prices.

    >>> len(empty_quotes(2)), bool(np.isnan(empty_quotes(1)["bid"][0]))
    (2, True)
    """
    rows = np.zeros(n, dtype=QUOTE_DTYPE)
    rows["bid"] = rows["ask"] = np.nan
    return rows


def screen(rows: np.ndarray, is_outcome: np.ndarray, now: int) -> dict[Refusal, int]:
    """Turn every LIVE row that no price may be made of into a state row, in place, and count why.

    Args:
        rows: Quotes of QUOTE_DTYPE, any order.
        is_outcome: By instrument code, whether its price is a probability.
        now: UTC ns; an event time more than 2 s ahead of it is refused.

    Returns:
        Refused rows by reason, the first that applies; rows that already carry a state are left alone.
    """
    if not len(rows):
        return {}
    with np.errstate(invalid="ignore"):
        reasons = _refusals(rows, is_outcome[rows["instrument"]], now)
    counts: dict[Refusal, int] = {}
    open_rows = rows["state"] == QuoteState.LIVE
    for reason, hit in reasons:
        hit = hit & open_rows
        n = int(np.count_nonzero(hit))
        if n:
            counts[reason] = n
            _blank(rows, hit, QuoteState.CROSSED if reason is Refusal.CROSSED else QuoteState.GAP)
            open_rows &= ~hit
    return counts


def _refusals(rows: np.ndarray, outcome: np.ndarray, now: int) -> list[tuple[Refusal, np.ndarray]]:
    bid, ask, bid_size, ask_size = rows["bid"], rows["ask"], rows["bid_size"], rows["ask_size"]
    # A missing side is NaN with size 0; NaN with a size, or no side at all, is a fault.
    bad_bid = ~np.isfinite(bid) & ~(np.isnan(bid) & (bid_size == 0))
    bad_ask = ~np.isfinite(ask) & ~(np.isnan(ask) & (ask_size == 0))
    neither = np.isnan(bid) & np.isnan(ask)
    bad_size = ~np.isfinite(bid_size) | ~np.isfinite(ask_size)
    big = (bid_size > MAX_SIZE) | (ask_size > MAX_SIZE)
    low = np.where(outcome, MIN_PROBABILITY, MIN_ASSET_PRICE)
    high = np.where(outcome, 1.0, MAX_ASSET_PRICE)
    return [
        (Refusal.NOT_FINITE, bad_bid | bad_ask | neither | bad_size),
        (Refusal.NEGATIVE_SIZE, (bid_size < 0) | (ask_size < 0)),
        (Refusal.NOT_POSITIVE, (bid <= 0) | (ask <= 0)),
        (Refusal.OUT_OF_RANGE, (bid >= high) | (ask >= high) | (bid < low) | (ask < low) | big),
        (Refusal.CROSSED, bid > ask),
        (Refusal.EVENT_TIME_AHEAD, rows["ts_event"] > now + MAX_EVENT_AHEAD_NS),
    ]


def _blank(rows: np.ndarray, where: np.ndarray, state: QuoteState) -> None:
    for column in ("bid", "ask"):
        rows[column][where] = np.nan
    for column in ("bid_size", "ask_size"):
        rows[column][where] = 0.0
    rows["state"][where] = state
