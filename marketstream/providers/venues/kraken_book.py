"""The book of one Kraken symbol: as many levels as were asked for, and the venue's checksum of the best ten."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from marketstream.providers.venues.kraken_messages import TextLevel
from marketstream.providers.venues.levels import Ladder, Level

DEPTH = 10
"""Levels a side that are asked for and kept."""

CHECKSUM_LEVELS = 10


class KrakenBook:
    """Keep one symbol's book in step with the venue's: snapshot, then absolute sizes, cut to depth after each frame.

    The venue numbers nothing. What was lost, repeated or changed on the way shows in the checksum alone, so
    whoever changes the book compares `checksum` before showing it.
    """

    def __init__(self) -> None:
        self.synced = False
        self._bids = _Side(is_bid=True)
        self._asks = _Side(is_bid=False)

    @property
    def bids(self) -> Ladder:
        """Return the side of the buyers."""
        return self._bids.ladder

    @property
    def asks(self) -> Ladder:
        """Return the side of the sellers."""
        return self._asks.ladder

    def tops(self) -> tuple[Level | None, Level | None]:
        """Return the best bid and the best ask; None for an empty side."""
        return self.bids.best(), self.asks.best()

    def load(self, bids: Sequence[TextLevel], asks: Sequence[TextLevel]) -> None:
        """Start again from a snapshot."""
        self.drop()
        self.apply(bids, asks)
        self.synced = True

    def apply(self, bids: Sequence[TextLevel], asks: Sequence[TextLevel]) -> None:
        """Set all levels of one frame, then cut to depth."""
        self._bids.update(bids)
        self._asks.update(asks)

    def drop(self) -> None:
        """Empty the book; the next snapshot fills it."""
        self.synced = False
        self._bids = _Side(is_bid=True)
        self._asks = _Side(is_bid=False)

    def checksum(self) -> int:
        """Return the CRC32 of the asks from the lowest up and the bids from the highest down, ten of each."""
        return zlib.crc32((self._asks.digits() + self._bids.digits()).encode())


class _Side:
    # A ladder, and the digits of each of its levels.
    __slots__ = ("_digits", "ladder")

    def __init__(self, *, is_bid: bool) -> None:
        self.ladder = Ladder(is_bid=is_bid, depth=DEPTH)
        self._digits: dict[int, str] = {}

    def update(self, levels: Sequence[TextLevel]) -> None:
        self.ladder.update([(level.price, level.size) for level in levels])
        digits = self._digits | {level.price: level.digits for level in levels}
        # Only of the levels that are there still: nothing is kept of those removed or pushed out.
        self._digits = {price: digits[price] for price, _ in self.ladder.levels()}

    def digits(self) -> str:
        # The dictionary is in the order of the ladder, best first.
        return "".join(list(self._digits.values())[:CHECKSUM_LEVELS])
