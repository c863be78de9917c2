"""Frames of Kraken spot v2, written by hand from its public documentation, and what each must become."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from kraken_market import book_frame, checksum_of

from marketstream.market.quotes import Refusal
from marketstream.providers.venues.readings import FrameKind

SYMBOLS = ("BTC/USD", "ETH/USD")

# The example of the venue's own guide to the checksum, with the answer that it publishes.
BIDS = (
    ("45283.5", "0.10000000"), ("45283.4", "1.54582015"), ("45282.1", "0.10000000"), ("45281.0", "0.10000000"),
    ("45280.3", "1.54592586"), ("45279.0", "0.07990000"), ("45277.6", "0.03310103"), ("45277.5", "0.30000000"),
    ("45277.3", "1.54602737"), ("45276.6", "0.15445238"),
)  # fmt: skip
ASKS = (
    ("45285.2", "0.00100000"), ("45286.4", "1.54571953"), ("45286.6", "1.54571109"), ("45289.6", "1.54560911"),
    ("45290.2", "0.15890660"), ("45291.8", "1.54553491"), ("45294.7", "0.04454749"), ("45296.1", "0.35380000"),
    ("45297.5", "0.09945542"), ("45299.5", "0.18772827"),
)  # fmt: skip
CHECKSUM = 3310070434
SNAPSHOT = book_frame("snapshot", "BTC/USD", BIDS, ASKS, checksum=CHECKSUM).encode()


@dataclass(frozen=True)
class Sample:
    """One frame, given after SNAPSHOT, and its reading."""

    name: str
    frame: bytes
    kind: FrameKind
    refusal: Refusal | None = None
    checksum: bool | None = None
    top: tuple[float, float] | None = None


def after(bids: object = (), asks: object = ()) -> int:
    """Return the checksum of the example's book after a change, from decimals."""
    sides = []
    for levels, changes, is_bid in ((BIDS, bids, True), (ASKS, asks, False)):
        side = {Decimal(p): Decimal(q) for p, q in levels} | {Decimal(p): Decimal(q) for p, q in changes}
        sides.append({p: q for p, q in sorted(side.items(), reverse=is_bid) if q})
    return checksum_of(*sides)


def update(bids: object = (), asks: object = (), *, checksum: int | str | None = None, **options: str) -> bytes:
    """Return an update of the example's book, by default with the right checksum."""
    right = after(bids, asks) if checksum is None else checksum
    return book_frame("update", options.pop("symbol", "BTC/USD"), bids, asks, checksum=right, **options).encode()


def _raw(data: str) -> bytes:
    return b'{"channel":"book","type":"update","data":' + data.encode() + b"}"


def _level(level: str) -> bytes:
    return _raw(f'[{{"symbol":"BTC/USD","bids":[{level}],"asks":[],"checksum":1}}]')


_K = FrameKind
_R = Refusal

SAMPLES = (
    Sample(
        "a better bid",
        update([("45284.0", "0.50000000")]),
        _K.DELTA, None, True, (45284.0, 45285.2),
    ),
    Sample("the best ask removed", update((), [("45285.2", "0.00000000")]), _K.DELTA, None, True, (45283.5, 45286.4)),
    Sample("a size of plain 0", update((), [("45285.2", "0")]), _K.DELTA, None, True, (45283.5, 45286.4)),
    Sample("a level beyond the ten", update([("45000.0", "9.00000000")]), _K.DELTA, None, True, (45283.5, 45285.2)),
    Sample("removal of a level that is not there", update([("1.0", "0.0")]), _K.DELTA, None, True, (45283.5, 45285.2)),
    Sample("no level at all", update(), _K.DELTA, None, True, (45283.5, 45285.2)),
    Sample(
        "a side left out",
        _raw(f'[{{"symbol":"BTC/USD","checksum":{CHECKSUM}}}]'),
        _K.DELTA, None, True, (45283.5, 45285.2),
    ),
    Sample(
        "no time",
        update([("45284.0", "0.50000000")], timestamp=None),
        _K.DELTA, None, True, (45284.0, 45285.2),
    ),
    Sample("a new snapshot", SNAPSHOT, _K.SNAPSHOT, None, True, (45283.5, 45285.2)),
    Sample(
        "a field that is new to us",
        SNAPSHOT.replace(b'"symbol"', b'"depth":10,"x":{"y":[1]},"symbol"'),
        _K.SNAPSHOT, None, True, (45283.5, 45285.2),
    ),
    Sample("a wrong checksum", update(checksum=CHECKSUM + 1), _K.DELTA, _R.WRONG_CHECKSUM, False),
    Sample("a checksum of 0", update(checksum=0), _K.DELTA, _R.WRONG_CHECKSUM, False),
    Sample(
        "a size that lost its zeros",
        SNAPSHOT.replace(b"0.10000000", b"0.1"),
        _K.SNAPSHOT, _R.WRONG_CHECKSUM, False,
    ),
    Sample("an update of a book that waits", update(symbol="ETH/USD"), _K.OLD),
    Sample("a checksum beyond 32 bits", update(checksum=2**32), _K.REFUSED, _R.MALFORMED),
    Sample("a checksum below 0", update(checksum=-1), _K.REFUSED, _R.MALFORMED),
    Sample("a checksum as text", update(checksum='"1"'), _K.REFUSED, _R.MALFORMED),
    Sample("no checksum", _raw('[{"symbol":"BTC/USD","bids":[],"asks":[]}]'), _K.REFUSED, _R.MALFORMED),
    Sample("an unknown symbol", update(symbol="DOGE/USD"), _K.REFUSED, _R.UNKNOWN_INSTRUMENT),
    Sample("a symbol of the first interface", update(symbol="XBT/USD"), _K.REFUSED, _R.UNKNOWN_INSTRUMENT),
    Sample("a price of 0", _level('{"price":0.0,"qty":1.0}'), _K.REFUSED, _R.NOT_POSITIVE),
    Sample("a negative price", _level('{"price":-1.0,"qty":1.0}'), _K.REFUSED, _R.NOT_POSITIVE),
    Sample("a negative size", _level('{"price":1.0,"qty":-1.0}'), _K.REFUSED, _R.NEGATIVE_SIZE),
    Sample("an exponent", _level('{"price":1e3,"qty":1.0}'), _K.REFUSED, _R.MALFORMED),
    Sample("NaN", _level('{"price":NaN,"qty":1.0}'), _K.REFUSED, _R.MALFORMED),
    Sample("a price as text", _level('{"price":"1.0","qty":1.0}'), _K.REFUSED, _R.MALFORMED),
    Sample("a price as null", _level('{"price":null,"qty":1.0}'), _K.REFUSED, _R.MALFORMED),
    Sample("a price as a list", _level('{"price":[1],"qty":1.0}'), _K.REFUSED, _R.MALFORMED),
    Sample("too many digits", _level('{"price":1.0,"qty":0.1234567890123}'), _K.REFUSED, _R.MALFORMED),
    Sample("a level without a size", _level('{"price":1.0}'), _K.REFUSED, _R.MALFORMED),
    Sample("a level as a pair", _level("[1.0,1.0]"), _K.REFUSED, _R.MALFORMED),
    Sample("a time that is none", update(timestamp="yesterday"), _K.REFUSED, _R.MALFORMED),
    Sample("a time without a zone", update(timestamp="2026-01-01T00:00:00.000000"), _K.REFUSED, _R.MALFORMED),
    Sample("a time beyond 64 bits", update(timestamp="9999-01-01T00:00:00Z"), _K.REFUSED, _R.MALFORMED),
    Sample("a time before 1970", update(timestamp="0001-01-01T00:00:00Z"), _K.REFUSED, _R.MALFORMED),
    Sample("a book frame of another type", b'{"channel":"book","type":"x","data":[]}', _K.REFUSED, _R.MALFORMED),
    Sample("a book frame without data", b'{"channel":"book","type":"update"}', _K.REFUSED, _R.MALFORMED),
    Sample("a book frame with empty data", _raw("[]"), _K.REFUSED, _R.MALFORMED),
    Sample(
        "one good book and one unknown",
        _raw('[{"symbol":"BTC/USD","checksum":1},{"symbol":"DOGE/USD","checksum":1}]'),
        _K.REFUSED, _R.UNKNOWN_INSTRUMENT,
    ),
    Sample("a heartbeat", b'{"channel":"heartbeat"}', _K.HEARTBEAT),
    Sample("a pong", b'{"method":"pong","req_id":1,"time_in":"2026-01-01T00:00:00.000001Z"}', _K.HEARTBEAT),
    Sample("online", b'{"channel":"status","type":"update","data":[{"system":"online","version":"2"}]}', _K.STATUS),
    Sample("a status that is new", b'{"channel":"status","type":"update","data":[{"system":"x"}]}', _K.STATUS),
    Sample("a status without data", b'{"channel":"status","type":"update"}', _K.REFUSED, _R.MALFORMED),
    Sample(
        "an accepted subscription",
        b'{"method":"subscribe","success":true,"result":{"channel":"book","symbol":"BTC/USD"},"req_id":1}',
        _K.ACK,
    ),
    Sample(
        "an accepted farewell",
        b'{"method":"unsubscribe","success":true,"result":{"channel":"book","symbol":"BTC/USD"},"req_id":1}',
        _K.ACK,
    ),
    Sample(
        "a subscription to another channel",
        b'{"method":"subscribe","success":true,"result":{"channel":"ticker","symbol":"BTC/USD"},"req_id":1}',
        _K.UNKNOWN,
    ),
    Sample(
        "a subscription to another symbol",
        b'{"method":"subscribe","success":true,"result":{"channel":"book","symbol":"DOGE/USD"},"req_id":1}',
        _K.UNKNOWN,
    ),
    Sample("an answer without a result", b'{"method":"subscribe","success":true}', _K.REFUSED, _R.MALFORMED),
    Sample(
        "a refused subscription",
        b'{"error":"Currency pair not supported ETH/USD","method":"subscribe","success":false,"symbol":"ETH/USD"}',
        _K.ERROR,
    ),
    Sample("a malformed request", b'{"error":"Malformed request","method":"error","success":false}', _K.ERROR),
    Sample("too many messages", b'{"Error":"Exceeded msg rate"}', _K.ERROR),
    Sample("a failure without words", b'{"method":"unsubscribe","success":false}', _K.ERROR),
    Sample(
        "a trade",
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":1.0,"qty":1.0}]}',
        _K.UNKNOWN,
    ),
    Sample("an order's answer", b'{"method":"add_order","success":true,"result":{"order_id":"x"}}', _K.UNKNOWN),
    Sample("an empty object", b"{}", _K.UNKNOWN),
    Sample("a list", b"[{}]", _K.REFUSED, _R.MALFORMED),
    Sample("nothing", b"", _K.REFUSED, _R.MALFORMED),
    Sample("no JSON", b"<html>busy</html>", _K.REFUSED, _R.MALFORMED),
    Sample("a frame that was cut", SNAPSHOT[:-9], _K.REFUSED, _R.MALFORMED),
    Sample("bytes that are no text", b'{"channel":"\xff\xfe"}', _K.REFUSED, _R.MALFORMED),
    Sample("bytes that are no text, in a level", _raw("[]").replace(b"[]", b'[{"symbol":"\xff"}]'), _K.REFUSED,
           _R.MALFORMED),
    Sample("deep nesting", b'{"channel":' * 50_000, _K.REFUSED, _R.MALFORMED),
    Sample("a frame beyond 1 MiB", b'{"channel":"' + b"x" * (1 << 20) + b'"}', _K.REFUSED, _R.MALFORMED),
)  # fmt: skip
"""Every sample is given to a decoder of its own."""
