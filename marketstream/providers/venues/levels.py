"""Price levels of any venue's book: exact prices, and one side of a book in order. Books: binance_book.py ..."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, insort
from collections.abc import Iterable

from marketstream.market.quotes import Refusal
from marketstream.providers.venues.readings import FrameRefusedError

PRICE_SCALE = 10**12
"""Book keys are prices times this, exact: 0.1 and 0.10 are one level, 0.1 and 0.1000001 are two."""

Level = tuple[int, float]
"""Scaled price and size; size 0 removes the level."""

_DECIMAL = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,12}))?")
_DECIMALS = 12


class Ladder:
    """One side of a book, best level in constant time, no more levels than `depth`: the best are kept.

    Keys are kept sorted with the best at the end, where prices change most, so an update moves few of them.
    """

    __slots__ = ("_depth", "_keys", "_sign", "_sizes")

    def __init__(self, *, is_bid: bool, depth: int, levels: Iterable[Level] = ()) -> None:
        self._depth = depth
        self._sign = 1 if is_bid else -1
        self._sizes = {price * self._sign: size for price, size in levels if size > 0}
        self._keys = sorted(self._sizes)
        self._trim()

    def __len__(self) -> int:
        return len(self._keys)

    def update(self, levels: Iterable[Level]) -> None:
        """Set each level to its size, 0 removes it, and removing what is not there is no error; then cut to depth."""
        sizes, keys = self._sizes, self._keys
        for price, size in levels:
            key = price * self._sign
            if size > 0:
                if key not in sizes:
                    insort(keys, key)
                sizes[key] = size
            elif sizes.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]
        self._trim()

    def best(self) -> Level | None:
        """Return the highest bid or lowest ask; None for an empty side."""
        if not self._keys:
            return None
        key = self._keys[-1]
        return key * self._sign, self._sizes[key]

    def levels(self) -> list[Level]:
        """Return all levels, best first."""
        return [(key * self._sign, self._sizes[key]) for key in reversed(self._keys)]

    def _trim(self) -> None:
        excess = len(self._keys) - self._depth
        if excess > 0:
            for key in self._keys[:excess]:
                del self._sizes[key]
            del self._keys[:excess]


def parse_level(price: str, size: str) -> Level:
    """Return one scaled price, exact, and its size; 0 at 0 stands for a side that does not exist.

    >>> parse_level("0.10", "2.5"), parse_level("0.1", "2.5")
    ((100000000000, 2.5), (100000000000, 2.5))
    """
    price_match, size_match = _DECIMAL.fullmatch(price), _DECIMAL.fullmatch(size)
    if price_match is None or size_match is None:
        raise FrameRefusedError(Refusal.MALFORMED, f"not a plain decimal: {price!r:.40} or {size!r:.40}")
    if price_match[1]:
        raise FrameRefusedError(Refusal.NOT_POSITIVE, f"a price was {price}")
    if size_match[1]:
        raise FrameRefusedError(Refusal.NEGATIVE_SIZE, f"a size was {size}")
    fraction = price_match[3] or ""
    return int(price_match[2]) * PRICE_SCALE + int(fraction.ljust(_DECIMALS, "0")), float(size)


def parse_book_level(price: str, size: str) -> Level:
    """Return one level of a book: its price must be > 0, its size >= 0."""
    level = parse_level(price, size)
    if level[0] == 0:
        raise FrameRefusedError(Refusal.NOT_POSITIVE, "a price was 0")
    return level


def price_and_size(level: Level | None) -> tuple[float, float]:
    """Return a level as a quote has it: NaN with size 0 for a side that does not exist."""
    # The quotient of two integers is rounded once: the same float as the text itself.
    return (math.nan, 0.0) if level is None else (level[0] / PRICE_SCALE, level[1])
