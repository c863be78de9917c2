"""Pairs: the (instrument, venue) pairs of one provider, packed, with rows found among them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_VENUE_BITS = 16


class Pairs:
    """A set of (instrument code, venue code), in order of instrument, then venue; the position names a pair.

    >>> pairs = Pairs([(4, 1), (2, 0), (4, 1)])
    >>> len(pairs), pairs.instruments.tolist(), pairs.venues.tolist()
    (2, [2, 4], [0, 1])
    """

    __slots__ = ("keys",)

    def __init__(self, codes: Iterable[tuple[int, int]] = ()) -> None:
        self.keys = np.unique(np.array([key_of(*pair) for pair in codes], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def instruments(self) -> np.ndarray:
        """Return the instrument codes, by position."""
        return instruments_of(self.keys)

    @property
    def venues(self) -> np.ndarray:
        """Return the venue codes, by position."""
        return venues_of(self.keys)

    def holds(self, rows: np.ndarray) -> np.ndarray:
        """Return of each quote row whether its pair is among these; any code may be asked for."""
        packed = keys_of(rows)
        if not len(self.keys):
            return np.zeros(len(rows), dtype=np.bool_)
        return np.asarray(self.keys.take(self.keys.searchsorted(packed), mode="clip") == packed)

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Return the position of each quote row's pair; it must be among these."""
        return self.keys.searchsorted(keys_of(rows))


def key_of(instrument: int, venue: int) -> int:
    """Return a pair of codes packed into one number, whose order is that of the instruments, then the venues."""
    return instrument << _VENUE_BITS | venue


def keys_of(rows: np.ndarray) -> np.ndarray:
    """Return one int64 per row with codes `instrument` and `venue`; equal pairs have equal ones."""
    packed = rows["instrument"].astype(np.int64)
    packed <<= _VENUE_BITS
    packed |= rows["venue"]
    return np.asarray(packed)


def instruments_of(keys: np.ndarray) -> np.ndarray:
    """Return the instrument codes of packed pairs."""
    return (keys >> _VENUE_BITS).astype(np.int32)


def venues_of(keys: np.ndarray) -> np.ndarray:
    """Return the venue codes of packed pairs."""
    return (keys & (1 << _VENUE_BITS) - 1).astype(np.int16)
