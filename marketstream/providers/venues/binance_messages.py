"""The frames of Binance spot as types, and checks on what they carry. Their meaning: binance_decoder.py."""

from __future__ import annotations

from typing import Annotated

import msgspec

from marketstream.providers.venues.levels import Level, parse_book_level
from marketstream.providers.venues.readings import FrameLimits

MAX_FRAME_LEVELS = 5_000
LIMITS = FrameLimits(max_bytes=1 << 20, large_bytes=1 << 16, mark=b"[", max_marks=2 * MAX_FRAME_LEVELS + 16)

# Ids and times are kept inside int64, also after milliseconds became nanoseconds.
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 2)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
Levels = Annotated[list[tuple[str, str]], msgspec.Meta(max_length=MAX_FRAME_LEVELS)]

_ABSENT = msgspec.Raw()


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
    return [parse_book_level(price, size) for price, size in pairs]
