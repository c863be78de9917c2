"""Binance spot, bytes in and quotes out: no socket and no clock. The provider around it is in binance.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from marketstream.market.quotes import QuoteState, Refusal
from marketstream.providers.venues.binance_book import Delta, LocalBook, Step
from marketstream.providers.venues.binance_messages import (
    LIMITS,
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    Envelope,
    parse_levels,
)
from marketstream.providers.venues.levels import Level, parse_level, price_and_size
from marketstream.providers.venues.readings import (
    FrameKind,
    FrameRefusedError,
    Quote,
    Reading,
    guarded,
    plain,
    state_row,
)

_ENVELOPE = msgspec.json.Decoder(Envelope)
_DEPTH_UPDATE = msgspec.json.Decoder(DepthUpdate)
_BOOK_TICKER = msgspec.json.Decoder(BookTicker)
_SNAPSHOT = msgspec.json.Decoder(DepthSnapshot)
_MS_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Top:
    # The best levels after update `last`; None is a side that does not exist.
    last: int
    bid: Level | None
    ask: Level | None
    ts_event: int


class _Pair:
    # One symbol: its book, the newest bookTicker of this connection, and the update id shown last.
    __slots__ = ("book", "live", "shown", "ticker")

    def __init__(self) -> None:
        self.book = LocalBook()
        self.ticker: _Top | None = None
        self.live = False
        self.shown = 0

    def agrees(self) -> bool:
        """Tell whether book and ticker show the same top where both stand at the same update."""
        if self.ticker is None or self.ticker.last != self.book.last:
            return True
        return (self.book.bids.best(), self.book.asks.best()) == (self.ticker.bid, self.ticker.ask)

    def newest(self, ts_received: int) -> _Top:
        """Return the top with the newest update id."""
        book = self.book
        if self.ticker is not None and self.ticker.last > book.last:
            return self.ticker
        ts_event = ts_received if book.ts_event is None else book.ts_event
        return _Top(book.last, book.bids.best(), book.asks.best(), ts_event)


class BinanceDecoder:
    """Turn frames into quotes, one per symbol: the top of book with the newest update id.

    A depth update changes the local book and shows its top; a bookTicker with a newer id is shown at once, an
    older one is ignored. Where both carry the same id they must agree, else the book is rebuilt. A symbol is
    quoted only while its book is in step; a GAP row says when it is not. A snapshot alone quotes nothing: a
    venue whose stream is dead may go on answering requests, so quotes begin with the first update of any pair.

    Any bytes give a reading or one counted refusal, never an exception.

    Args:
        symbols: As the venue writes them, such as `BTCUSDT`.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self.counts: Counter[FrameKind] = Counter()
        self._place = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._pairs = [_Pair() for _ in self.symbols]
        self._request_id = 0
        self._flowing = False

    def subscribe(self) -> str:
        """Return the frame that asks for depth and bookTicker of every symbol; its answer is an ACK."""
        self._request_id += 1
        streams = [f"{s.lower()}@{channel}" for s in self.symbols for channel in ("depth@100ms", "bookTicker")]
        request = {"method": "SUBSCRIBE", "params": streams, "id": self._request_id}
        return msgspec.json.encode(request).decode()

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the symbols whose book needs a REST snapshot now."""
        return tuple(s for s, pair in zip(self.symbols, self._pairs, strict=True) if not pair.book.synced)

    def book(self, symbol: str) -> LocalBook:
        """Return a symbol's local book."""
        return self._pairs[self._place[symbol]].book

    def reset(self, ts_received: int) -> tuple[Quote, ...]:
        """Forget every book and ticker, as a new connection must; returns GAP rows for what was quoted."""
        gone = tuple(self._lose(place, ts_received) for place, pair in enumerate(self._pairs) if pair.live)
        for pair in self._pairs:
            pair.book.drop()
            pair.ticker, pair.shown = None, 0
        self._flowing = False
        return gone

    def receive(self, frame: bytes, ts_received: int) -> Reading:
        """Read one WebSocket frame (`ts_received` in UTC ns), plain or wrapped.

        {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1672515782136,"s":"BTCUSDT",
         "U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}}
        {"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}
        {"result":null,"id":1}
        """
        reading = self._guard(self._read, frame, ts_received)
        if self._flowing or reading.kind not in (FrameKind.DELTA, FrameKind.TICKER):
            return reading
        self._flowing = True
        return replace(reading, quotes=tuple(self._begin(ts_received)))

    def snapshot(self, symbol: str, body: bytes, ts_received: int) -> Reading:
        """Read the answer of `/api/v3/depth` for `symbol`; kind OLD when it does not join the waiting deltas.

        {"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}
        """
        place = self._place[symbol]
        return self._guard(lambda answer, ts: self._load(place, answer, ts), body, ts_received)

    def _guard(self, read: Callable[[bytes, int], Reading], frame: bytes, ts_received: int) -> Reading:
        reading = guarded(read, frame, ts_received, LIMITS)
        self.counts[reading.kind] += 1
        return reading

    def _read(self, frame: bytes, ts_received: int) -> Reading:
        outer = _ENVELOPE.decode(frame)
        if not outer.stream:
            return self._event(outer, frame, ts_received)
        if outer.stream.endswith("@bookTicker"):
            return self._ticker(outer.data, ts_received)
        if outer.stream.endswith("@depth@100ms"):
            return self._depth(outer.data, ts_received)
        return self._event(_ENVELOPE.decode(outer.data), outer.data, ts_received)

    def _event(self, event: Envelope, frame: bytes | msgspec.Raw, ts_received: int) -> Reading:
        if event.e == "depthUpdate":
            return self._depth(frame, ts_received)
        if event.e == "bookTicker" or (not event.e and bytes(event.u) and bytes(event.B)):
            return self._ticker(frame, ts_received)
        if event.e == "serverShutdown":
            return Reading(kind=FrameKind.SHUTDOWN, detail="the venue is about to close this connection")
        if event.code is not None or bytes(event.error):
            return Reading(kind=FrameKind.ERROR, detail=plain(event.msg or bytes(event.error).decode()))
        if bytes(event.result) == b"null" and bytes(event.id) == str(self._request_id).encode():
            return Reading(kind=FrameKind.ACK)
        return Reading(kind=FrameKind.UNKNOWN)

    def _depth(self, frame: bytes | msgspec.Raw, ts_received: int) -> Reading:
        update = _DEPTH_UPDATE.decode(frame)
        place = self._find(update.s)
        if update.u < update.U:
            raise FrameRefusedError(Refusal.MALFORMED, f"first update id {update.U} is after the last {update.u}")
        delta = Delta(update.U, update.u, parse_levels(update.b), parse_levels(update.a), update.E * _MS_NS)
        pair = self._pairs[place]
        expected = pair.book.last + 1
        step = pair.book.apply(delta)
        if step is Step.GAP:
            return self._out_of_step(place, ts_received, f"{update.s}: expected {expected}, got {update.U}")
        if step is not Step.APPLIED:
            return Reading(kind=FrameKind.OLD if step is Step.OLD else FrameKind.DELTA)
        return self._show(place, ts_received, FrameKind.DELTA)

    def _ticker(self, frame: bytes | msgspec.Raw, ts_received: int) -> Reading:
        ticker = _BOOK_TICKER.decode(frame)
        place = self._find(ticker.s)
        pair = self._pairs[place]
        bid, ask = _side(ticker.b, ticker.B), _side(ticker.a, ticker.A)
        if ticker.u < pair.book.last or (pair.ticker is not None and ticker.u <= pair.ticker.last):
            return Reading(kind=FrameKind.OLD)
        pair.ticker = _Top(ticker.u, bid, ask, ts_received if ticker.E is None else ticker.E * _MS_NS)
        if not pair.book.synced:
            return Reading(kind=FrameKind.TICKER)
        return self._show(place, ts_received, FrameKind.TICKER)

    def _load(self, place: int, body: bytes, ts_received: int) -> Reading:
        answer = _SNAPSHOT.decode(body)
        pair = self._pairs[place]
        bids, asks = parse_levels(answer.bids), parse_levels(answer.asks)
        if pair.book.synced or not pair.book.load(answer.last_update_id, bids, asks):
            return Reading(kind=FrameKind.OLD, detail=f"snapshot {answer.last_update_id} does not join on")
        return self._show(place, ts_received, FrameKind.SNAPSHOT)

    def _find(self, symbol: str) -> int:
        place = self._place.get(symbol)
        if place is None:
            raise FrameRefusedError(Refusal.UNKNOWN_INSTRUMENT, f"not subscribed to {plain(symbol)!r}")
        return place

    def _show(self, place: int, ts_received: int, kind: FrameKind) -> Reading:
        pair = self._pairs[place]
        if not pair.agrees():
            return self._out_of_step(place, ts_received, f"{self.symbols[place]}: book and bookTicker differ")
        top = pair.newest(ts_received)
        if not self._flowing or (pair.live and top.last <= pair.shown):
            return Reading(kind=kind)
        pair.live, pair.shown = True, top.last
        return Reading(kind=kind, quotes=(_quote(top, place, ts_received),))

    def _begin(self, ts_received: int) -> Iterator[Quote]:
        for place, pair in enumerate(self._pairs):
            if pair.book.synced:
                yield from self._show(place, ts_received, FrameKind.SNAPSHOT).quotes

    def _out_of_step(self, place: int, ts_received: int, detail: str) -> Reading:
        pair = self._pairs[place]
        if pair.book.synced:
            pair.book.drop()
        quotes = (self._lose(place, ts_received),) if pair.live else ()
        return Reading(kind=FrameKind.REFUSED, quotes=quotes, refusal=Refusal.OUT_OF_SEQUENCE, detail=detail)

    def _lose(self, place: int, ts_received: int) -> Quote:
        pair = self._pairs[place]
        pair.live = False
        return state_row(place, ts_received, pair.shown, QuoteState.GAP)


def _side(price: str, size: str) -> Level | None:
    level = parse_level(price, size)
    if level[0] == 0 and level[1] > 0:
        raise FrameRefusedError(Refusal.NOT_POSITIVE, f"a price was {price} with size {size}")
    # A side that nobody quotes is sent as 0 at 0.
    return level if level[0] > 0 and level[1] > 0 else None


def _quote(top: _Top, place: int, ts_received: int) -> Quote:
    bid, bid_size = price_and_size(top.bid)
    ask, ask_size = price_and_size(top.ask)
    return Quote(bid, ask, bid_size, ask_size, top.ts_event, ts_received, top.last, place)
