"""Faults on demand: what a stall, a gap, crossed quotes, a spike or a lost connection do to a feed's rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Kind
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Fault
from marketstream.providers.simulated_feed import Feed

SPIKE_SHARE = 0.04
"""A spiked price is off by 4 %, up for instruments with an even code and down for those with an odd one."""
_SILENT = (Fault.STALL, Fault.DISCONNECT)
# The state rows that tell of the loss, where a real client would know of it.
_LOSS_STATE = {Fault.GAP: QuoteState.GAP, Fault.DISCONNECT: QuoteState.RESYNCING}


@dataclass(frozen=True, slots=True)
class _Window:
    fault: Fault
    begin: int
    end: int


class FaultPlayer:
    """Change the rows of a feed while faults last, each in (begin, end], UTC ns of the feed's own time."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._windows: list[_Window] = []
        self._last_seq = 0
        self._highest = 0.999 if feed.venue.kind is Kind.OUTCOME else np.inf

    def play(self, fault: Fault, begin: int, duration_s: float) -> None:
        """Play `fault` on the rows received after `begin` for `duration_s` seconds (0 < duration <= 3600)."""
        if not 0.0 < duration_s <= 3600.0:
            raise InvalidInputError(f"a fault lasts more than 0 and at most 3600 seconds, was {duration_s}")
        # A fault that is played again takes the place of the one before: they do not pile up.
        self._windows = [w for w in self._windows if w.fault is not fault or w.end <= begin]
        self._windows.append(_Window(fault, begin, begin + round(duration_s * SECOND_NS)))

    def clear(self) -> None:
        """End every fault; a feed that is started again starts sound."""
        self._windows.clear()

    def active(self, now: int) -> tuple[Fault, ...]:
        """Return the faults in force at `now`, oldest first."""
        return tuple(w.fault for w in self._windows if w.begin <= now < w.end)

    def ends_at(self, fault: Fault) -> int | None:
        """Return when the newest fault of this kind ends, UTC ns; None when none is in force."""
        return max((w.end for w in self._windows if w.fault is fault), default=None)

    def apply(self, rows: np.ndarray, since: int, now: int) -> tuple[np.ndarray, int]:
        """Return the rows of (since, now] with the faults put on, and how many were out of sequence."""
        lost = 0
        for window in self._windows:
            inside = (rows["ts_received"] > window.begin) & (rows["ts_received"] <= window.end)
            if window.fault is Fault.GAP:
                lost += self._gap(rows, inside)
            elif window.fault is Fault.CROSSED:
                _cross(rows, inside)
            elif window.fault is Fault.SPIKE:
                _spike(rows, inside, self._highest)
            elif window.fault in _SILENT:
                rows = rows[~inside]
            rows = self._with_edges(rows, window, since, now)
        self._windows = [w for w in self._windows if w.end > now]
        if len(rows):
            self._last_seq = int(rows["seq"][-1])
        return rows, lost

    def _gap(self, rows: np.ndarray, inside: np.ndarray) -> int:
        # Deltas after a gap cannot be applied: each only says that the instrument has no price.
        refused = inside & (rows["state"] == QuoteState.LIVE)
        _blank(rows, refused, QuoteState.GAP)
        return int(np.count_nonzero(refused))

    def _with_edges(self, rows: np.ndarray, window: _Window, since: int, now: int) -> np.ndarray:
        if window.fault not in _LOSS_STATE:
            return rows
        parts = [rows]
        if since <= window.begin < now:
            ts = window.begin + 1
            parts.append(self._feed.state_rows(ts, self._seq_at(rows, ts), _LOSS_STATE[window.fault]))
        if since < window.end <= now and not self._covered(window):
            parts.append(self._feed.snapshot(window.end, self._seq_at(rows, window.end)))
        if len(parts) == 1:
            return rows
        joined = np.concatenate(parts)
        return joined[np.argsort(joined["ts_received"], kind="stable")]

    def _seq_at(self, rows: np.ndarray, ts: int) -> int:
        before = int(np.searchsorted(rows["ts_received"], ts, side="right"))
        return int(rows["seq"][before - 1]) if before else self._last_seq

    def _covered(self, window: _Window) -> bool:
        # A resync that another loss swallows does not happen.
        return any(
            w is not window and w.fault in (*_SILENT, Fault.GAP) and w.begin < window.end < w.end for w in self._windows
        )


def _cross(rows: np.ndarray, inside: np.ndarray) -> None:
    live = inside & (rows["state"] == QuoteState.LIVE)
    # A book without bids gets one that is too high; both sides stay above 0 and an outcome's below 1.
    low = np.where(np.isnan(rows["bid"]), rows["ask"] * 0.98, rows["bid"])
    high = np.where(np.isnan(rows["ask"]), low + 1e-6, rows["ask"])
    rows["bid"][live], rows["ask"][live] = high[live], low[live]
    for side in ("bid_size", "ask_size"):
        rows[side][live] = np.maximum(rows[side][live], 1.0)


def _spike(rows: np.ndarray, inside: np.ndarray, highest: float) -> None:
    live = inside & (rows["state"] == QuoteState.LIVE)
    factor = np.where(rows["instrument"][live] % 2 == 0, 1.0 + SPIKE_SHARE, 1.0 - SPIKE_SHARE)
    for side in ("bid", "ask"):
        rows[side][live] = np.minimum(rows[side][live] * factor, highest)


def _blank(rows: np.ndarray, where: np.ndarray, state: QuoteState) -> None:
    for side in ("bid", "ask"):
        rows[side][where] = np.nan
        rows[f"{side}_size"][where] = 0.0
    rows["state"][where] = state
