"""The frames of Binance spot as types, and checks on what they carry. Their meaning: binance_decoder.py."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from marketstream.market.quotes import Refusal
from marketstream.providers.venues.binance_book import PRICE_SCALE, Level

MAX_FRAME_BYTES = 1 << 20
MAX_FRAME_LEVELS = 5_000
MAX_FRAME_BRACKETS = 2 * MAX_FRAME_LEVELS + 16
LARGE_FRAME_BYTES = 1 << 16

# Ids and times are kept inside int64, also after milliseconds became nanoseconds.
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 2)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
Levels = Annotated[list[tuple[str, str]], msgspec.Meta(max_length=MAX_FRAME_LEVELS)]

_DECIMAL = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,12}))?")
_DECIMALS = 12
_ABSENT = msgspec.Raw()


class FrameRefusedError(Exception):
    """A frame that goes no further, and why; never leaves the decoder."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Envelope(msgspec.Struct):
    """The outside of any frame: enough to tell what it is."""

    stream: str = ""
    data: msgspec.Raw = _ABSENT
    e: str = ""
    u: msgspec.Raw = _ABSENT
    B: msgspec.Raw = _ABSENT
    id: msgspec.Raw = _ABSENT
    result: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    code: int | None = None
    msg: str = ""


class DepthUpdate(msgspec.Struct):
    """Absolute sizes that changed from update id `U` to `u`; `E` is the event time in ms."""

    E: Millis
    s: str
    U: Id
    u: Id
    b: Levels
    a: Levels


class BookTicker(msgspec.Struct):
    """Best bid and ask after update id `u`. Spot sends no time; other Binance markets send `E` in ms."""

    u: Id
    s: str
    b: str
    B: str
    a: str
    A: str
    E: Millis | None = None


class DepthSnapshot(msgspec.Struct):
    """The answer of `/api/v3/depth`."""

    last_update_id: Id = msgspec.field(name="lastUpdateId")
    bids: Levels
    asks: Levels


def parse_levels(pairs: list[tuple[str, str]]) -> list[Level]:
    """Return scaled prices and sizes; every price must be > 0 and every size >= 0."""
    levels = []
    for price, size in pairs:
        level = parse_level(price, size)
        if level[0] == 0:
            raise FrameRefusedError(Refusal.NOT_POSITIVE, "a price was 0")
        levels.append(level)
    return levels


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
