"""The frames of Kraken spot v2 as types, numbers as exact text. Their meaning: kraken_decoder.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec

from marketstream.market.quotes import Refusal
from marketstream.providers.venues.levels import parse_book_level
from marketstream.providers.venues.readings import FrameLimits, FrameRefusedError

MAX_FRAME_LEVELS = 1_000
LIMITS = FrameLimits(max_bytes=1 << 20, large_bytes=1 << 14, mark=b"{", max_marks=2 * MAX_FRAME_LEVELS + 16)

_ABSENT = msgspec.Raw()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1970, 2255  # nanoseconds since 1970 must fit int64


class Envelope(msgspec.Struct):
    """The outside of any frame: enough to tell what it is. A rate limit alone is told with a capital E."""

    channel: str = ""
    type: str = ""
    data: msgspec.Raw = _ABSENT
    method: str = ""
    success: bool | None = None
    symbol: str = ""
    result: msgspec.Raw = _ABSENT
    error: str = ""
    alarm: str = msgspec.field(name="Error", default="")


class Subscribed(msgspec.Struct):
    """What a successful answer names."""

    channel: str = ""
    symbol: str = ""


class SystemStatus(msgspec.Struct):
    """What the venue's engine does: `online`, `maintenance`, `cancel_only` or `post_only`."""

    system: str = ""


class _Level(msgspec.Struct):
    price: msgspec.Raw
    qty: msgspec.Raw


_Levels = Annotated[list[_Level], msgspec.Meta(max_length=MAX_FRAME_LEVELS)]


class _Book(msgspec.Struct):
    symbol: str
    checksum: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    # A side that did not change may be left out: the checksum tells whether that is so.
    bids: _Levels = []
    asks: _Levels = []
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


_BOOKS = msgspec.json.Decoder(Annotated[list[_Book], msgspec.Meta(min_length=1, max_length=MAX_FRAME_LEVELS)])


class TextLevel(NamedTuple):
    """One level: scaled price, size (0 removes), and both as the checksum reads them."""

    price: int
    size: float
    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChange:
    """What one frame says of one symbol's book; `ts_event` in UTC ns, None where the venue gives no time."""

    symbol: str
    bids: tuple[TextLevel, ...]
    asks: tuple[TextLevel, ...]
    checksum: int
    ts_event: int | None


def parse_books(data: bytes | msgspec.Raw) -> list[BookChange]:
    """Read the `data` of a book frame.

    [{"symbol":"BTC/USD","bids":[{"price":45283.5,"qty":0.10000000}],"asks":[],"checksum":3310070434,
      "timestamp":"2023-10-06T17:35:55.440295Z"}]

    Raises:
        FrameRefusedError: A number, a time or a price is not what it should be.
        msgspec.MsgspecError: The structure is not.
    """
    return [
        BookChange(
            symbol=book.symbol,
            bids=_levels(book.bids),
            asks=_levels(book.asks),
            checksum=book.checksum,
            ts_event=None if book.timestamp is None else _nanoseconds(book.timestamp),
        )
        for book in _BOOKS.decode(data)
    ]


def checksum_digits(price: str, quantity: str) -> str:
    """Return what one level adds to the text of the checksum; trailing zeros count, leading ones do not.

    (docs.kraken.com, "Book Checksum v2".)

    >>> checksum_digits("45283.5", "0.10000000")
    '45283510000000'
    """
    return price.replace(".", "").lstrip("0") + quantity.replace(".", "").lstrip("0")


def _levels(levels: list[_Level]) -> tuple[TextLevel, ...]:
    return tuple(_text_level(bytes(level.price).decode(), bytes(level.qty).decode()) for level in levels)


def _text_level(price_text: str, quantity_text: str) -> TextLevel:
    return TextLevel(*parse_book_level(price_text, quantity_text), checksum_digits(price_text, quantity_text))


def _nanoseconds(time: datetime) -> int:
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise FrameRefusedError(Refusal.MALFORMED, f"a time was in the year {time.year}")
    # Whole microseconds, as the venue sends them: no float between.
    return (time - _EPOCH) // timedelta(microseconds=1) * 1_000
