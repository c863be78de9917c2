"""Frames of Binance spot, written by hand from its public documentation, and what each must become."""

from __future__ import annotations

from dataclasses import dataclass

from marketstream.market.quotes import Refusal
from marketstream.providers.venues.readings import FrameKind

SYMBOLS = ("BTCUSDT", "ETHBTC")
SNAPSHOT = (
    b'{"lastUpdateId":100,"bids":[["64000.10","1.5"],["64000.00","2"]],"asks":[["64000.20","0.7"],["64001","3"]]}'
)


@dataclass(frozen=True)
class Sample:
    """One frame, given after SNAPSHOT was loaded for BTCUSDT, and its reading."""

    name: str
    frame: bytes
    kind: FrameKind
    refusal: Refusal | None = None
    top: tuple[float, float] | None = None


def _depth(
    ids: str, bids: str = "[]", asks: str = "[]", symbol: str = "BTCUSDT", event_ms: str = "1672515782136"
) -> bytes:
    return f'{{"e":"depthUpdate","E":{event_ms},"s":"{symbol}",{ids},"b":{bids},"a":{asks}}}'.encode()


def _ticker(last: int, bid: str, bid_size: str, ask: str, ask_size: str) -> bytes:
    return f'{{"u":{last},"s":"BTCUSDT","b":"{bid}","B":"{bid_size}","a":"{ask}","A":"{ask_size}"}}'.encode()


def _wrapped(stream: str, data: bytes) -> bytes:
    return b'{"stream":"' + stream.encode() + b'","data":' + data + b"}"


NEXT = '"U":101,"u":103'
_K = FrameKind
_R = Refusal

SAMPLES = (
    Sample("a depth update", _depth(NEXT, '[["64000.15","4"]]'), _K.DELTA, top=(64000.15, 64000.20)),
    Sample(
        "a wrapped depth update",
        _wrapped("btcusdt@depth@100ms", _depth(NEXT, "[]", '[["64000.20","0.00000000"]]')),
        _K.DELTA,
        top=(64000.10, 64001.0),
    ),
    Sample(
        "a wrapped depth update of the slower stream",
        _wrapped("btcusdt@depth", _depth(NEXT, '[["64000.11","1"]]')),
        _K.DELTA,
        top=(64000.11, 64000.20),
    ),
    Sample(
        "the data before the stream's name",
        b'{"data":' + _depth(NEXT, '[["64000.12","1"]]') + b',"stream":"btcusdt@depth@100ms"}',
        _K.DELTA,
        top=(64000.12, 64000.20),
    ),
    Sample(
        "an update that overlaps the snapshot",
        _depth('"U":99,"u":101', '[["64000.10","0"]]'),
        _K.DELTA,
        top=(64000.00, 64000.20),
    ),
    Sample("an update without levels", _depth(NEXT), _K.DELTA, top=(64000.10, 64000.20)),
    Sample(
        "removal of a level that is not there",
        _depth(NEXT, '[["1.00","0.000"]]'),
        _K.DELTA,
        top=(64000.10, 64000.20),
    ),
    Sample("a field that is new to us", _depth(NEXT + ',"T":1,"x":{"y":[1]}'), _K.DELTA, top=(64000.10, 64000.20)),
    Sample("an update from before the snapshot", _depth('"U":90,"u":100', '[["70000","1"]]'), _K.OLD),
    Sample("an update that leaves one out", _depth('"U":102,"u":103'), _K.REFUSED, _R.OUT_OF_SEQUENCE),
    Sample("first id after the last", _depth('"U":105,"u":101'), _K.REFUSED, _R.MALFORMED),
    Sample("a negative id", _depth('"U":-1,"u":101'), _K.REFUSED, _R.MALFORMED),
    Sample("an id beyond 64 bits", _depth('"U":101,"u":99999999999999999999'), _K.REFUSED, _R.MALFORMED),
    Sample("an id as text", _depth('"U":"101","u":"103"'), _K.REFUSED, _R.MALFORMED),
    Sample("an id with a fraction", _depth('"U":101.5,"u":103'), _K.REFUSED, _R.MALFORMED),
    Sample(
        "an event time beyond the year 2255",
        _depth(NEXT, event_ms="99999999999999"),
        _K.REFUSED,
        _R.MALFORMED,
    ),
    Sample("a price of 0", _depth(NEXT, '[["0.00","1"]]'), _K.REFUSED, _R.NOT_POSITIVE),
    Sample("a negative price", _depth(NEXT, '[["-1","1"]]'), _K.REFUSED, _R.NOT_POSITIVE),
    Sample("a negative size", _depth(NEXT, '[["1","-1"]]'), _K.REFUSED, _R.NEGATIVE_SIZE),
    Sample("NaN as text", _depth(NEXT, '[["NaN","1"]]'), _K.REFUSED, _R.MALFORMED),
    Sample("NaN as a literal", _depth(NEXT, "[[NaN,1]]"), _K.REFUSED, _R.MALFORMED),
    Sample("infinity as text", _depth(NEXT, '[["1","Infinity"]]'), _K.REFUSED, _R.MALFORMED),
    Sample("an exponent", _depth(NEXT, '[["1e3","1"]]'), _K.REFUSED, _R.MALFORMED),
    Sample("an underscore in a number", _depth(NEXT, '[["6_4","1"]]'), _K.REFUSED, _R.MALFORMED),
    Sample("digits of another script", _depth(NEXT, '[["٦٤","1"]]'), _K.REFUSED, _R.MALFORMED),
    Sample("prices as numbers", _depth(NEXT, "[[64000.1,1]]"), _K.REFUSED, _R.MALFORMED),
    Sample("a level of three", _depth(NEXT, '[["64000.1","1","x"]]'), _K.REFUSED, _R.MALFORMED),
    Sample("an unknown symbol", _depth(NEXT, symbol="DOGEUSDT"), _K.REFUSED, _R.UNKNOWN_INSTRUMENT),
    Sample("a symbol in lower case", _depth(NEXT, symbol="btcusdt"), _K.REFUSED, _R.UNKNOWN_INSTRUMENT),
    Sample(
        "a depth update without a side",
        b'{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":101,"u":101,"b":[]}',
        _K.REFUSED,
        _R.MALFORMED,
    ),
    Sample("a bookTicker", _ticker(105, "64000.11", "1", "64000.19", "2"), _K.TICKER, top=(64000.11, 64000.19)),
    Sample(
        "a wrapped bookTicker",
        _wrapped("btcusdt@bookTicker", _ticker(105, "64000.11", "1", "64000.19", "2")),
        _K.TICKER,
        top=(64000.11, 64000.19),
    ),
    Sample("a bookTicker older than the book", _ticker(99, "1", "1", "2", "2"), _K.OLD),
    Sample(
        "a bookTicker that agrees with the book",
        _ticker(100, "64000.1000", "1.50", "64000.2", "0.70"),
        _K.TICKER,
    ),
    Sample(
        "a bookTicker that contradicts the book",
        _ticker(100, "64000.09", "1.5", "64000.20", "0.7"),
        _K.REFUSED,
        _R.OUT_OF_SEQUENCE,
    ),
    Sample("a bookTicker with a price of 0", _ticker(105, "0", "1", "64000.19", "2"), _K.REFUSED, _R.NOT_POSITIVE),
    Sample(
        "a bookTicker without a size",
        _wrapped("btcusdt@bookTicker", b'{"u":105,"s":"BTCUSDT","b":"1","B":"1","a":"2"}'),
        _K.REFUSED,
        _R.MALFORMED,
    ),
    Sample("an answer to another request", b'{"result":null,"id":77}', _K.UNKNOWN),
    Sample("a list of subscriptions", b'{"result":["btcusdt@depth"],"id":3}', _K.UNKNOWN),
    Sample("an error", b'{"code":2,"msg":"Invalid request: too many parameters","id":1}', _K.ERROR),
    Sample("an error in the newer form", b'{"id":1,"error":{"code":2,"msg":"Invalid request"}}', _K.ERROR),
    Sample("a shutdown notice", b'{"e":"serverShutdown","E":1770123456789}', _K.SHUTDOWN),
    Sample("a wrapped shutdown notice", _wrapped("x", b'{"e":"serverShutdown","E":1770123456789}'), _K.SHUTDOWN),
    Sample(
        "a trade",
        b'{"e":"trade","E":1672515782136,"s":"BTCUSDT","t":1,"p":"0.001","q":"100","b":88,"a":50}',
        _K.UNKNOWN,
    ),
    Sample(
        "a wrapped candle",
        _wrapped("btcusdt@kline_1m", b'{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1,"B":"0"}}'),
        _K.UNKNOWN,
    ),
    Sample("an empty object", b"{}", _K.UNKNOWN),
    Sample("a list", b"[{}]", _K.REFUSED, _R.MALFORMED),
    Sample("nothing", b"", _K.REFUSED, _R.MALFORMED),
    Sample("no JSON", b"<html>busy</html>", _K.REFUSED, _R.MALFORMED),
    Sample("a frame that was cut", _depth(NEXT)[:-9], _K.REFUSED, _R.MALFORMED),
    Sample("bytes that are no text", b'{"e":"\xff\xfe"}', _K.REFUSED, _R.MALFORMED),
    Sample("deep nesting", b'{"e":' * 50_000, _K.REFUSED, _R.MALFORMED),
    Sample("a wrapped frame without data", b'{"stream":"btcusdt@depth@100ms"}', _K.REFUSED, _R.MALFORMED),
    Sample("a frame beyond 1 MiB", b'{"e":"' + b"x" * (1 << 20) + b'"}', _K.REFUSED, _R.MALFORMED),
)
"""Every sample is given to a decoder of its own."""
