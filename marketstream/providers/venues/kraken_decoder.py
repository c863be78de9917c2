"""Kraken spot v2, bytes in and quotes out: no socket and no clock. The provider around it is in kraken.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from marketstream.market.quotes import QuoteState, Refusal
from marketstream.providers.venues.kraken_book import DEPTH, KrakenBook
from marketstream.providers.venues.kraken_messages import (
    LIMITS,
    BookChange,
    Envelope,
    Subscribed,
    SystemStatus,
    parse_books,
)
from marketstream.providers.venues.levels import price_and_size
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
_SUBSCRIBED = msgspec.json.Decoder(Subscribed)
_STATUSES = msgspec.json.Decoder(list[SystemStatus])
_BOOK_KINDS = {"snapshot": FrameKind.SNAPSHOT, "update": FrameKind.DELTA}

# In these states of the venue's engine no orders are matched (docs.kraken.com, channel "status").
_HALTS = frozenset({"maintenance", "cancel_only", "post_only"})


class _Pair:
    # One symbol: its book, what was told of it last, how many changes it took, and the venue's answer.
    __slots__ = ("accepted", "book", "refused", "seq", "state")

    def __init__(self) -> None:
        self.book = KrakenBook()
        self.state = QuoteState.NO_DATA
        self.seq = 0
        self.accepted = False
        self.refused = False


class KrakenDecoder:
    """Turn frames into quotes, one per symbol: the top of a book whose checksum is the venue's.

    Each reading tells two things apart: `kind`, what the frame was by its structure, and `checksum`, whether
    the book that it makes is the venue's. A wrong one empties the book and gives a GAP row; updates are then
    ignored until a new snapshot, and a RESYNCING row says that the venue has agreed to send one.

    Any bytes give a reading or one counted refusal, never an exception.

    Args:
        symbols: As the venue writes them, such as `BTC/USD`.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self.counts: Counter[FrameKind] = Counter()
        self.checksums: Counter[bool] = Counter()
        self.halt = ""
        """Why the venue's engine matches no orders, in its own word; empty while it does."""
        self._place = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._pairs = [_Pair() for _ in self.symbols]
        self._request_id = 0

    def subscribe(self) -> str:
        """Return the frame that asks for the book of every symbol; each is answered on its own."""
        return self._request("subscribe", self.symbols, snapshot=True)

    def resubscribe(self) -> tuple[str, str]:
        """Return the frames that ask for every wanted book anew, to be sent in this order."""
        wanted = self.wanted
        return self._request("unsubscribe", wanted), self._request("subscribe", wanted, snapshot=True)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the symbols whose book waits for a snapshot; not those that the venue refused."""
        pairs = zip(self.symbols, self._pairs, strict=True)
        return tuple(s for s, pair in pairs if not pair.book.synced and not pair.refused)

    @property
    def answered(self) -> bool:
        """Tell whether the venue has accepted or refused every symbol on this connection."""
        return all(pair.accepted or pair.refused for pair in self._pairs)

    @property
    def accepted(self) -> tuple[str, ...]:
        """Return the symbols that the venue has accepted on this connection."""
        return tuple(s for s, pair in zip(self.symbols, self._pairs, strict=True) if pair.accepted)

    def book(self, symbol: str) -> KrakenBook:
        """Return a symbol's book."""
        return self._pairs[self._place[symbol]].book

    def reset(self, ts_received: int) -> tuple[Quote, ...]:
        """Forget every book, as a new connection must; returns GAP rows for what was quoted."""
        gone = tuple(self._take_out(QuoteState.GAP, ts_received))
        for pair in self._pairs:
            pair.book.drop()
            pair.accepted = pair.refused = False
        self.halt = ""
        return gone

    def receive(self, frame: bytes, ts_received: int) -> Reading:
        """Read one WebSocket frame (`ts_received` in UTC ns).

        {"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":45283.5,"qty":0.10000000}],
         "asks":[],"checksum":3310070434,"timestamp":"2023-10-06T17:35:55.440295Z"}]}
        {"method":"subscribe","success":true,"result":{"channel":"book","symbol":"BTC/USD","depth":10},"req_id":1}
        {"method":"subscribe","success":false,"error":"Currency pair not supported ABC/USD","symbol":"ABC/USD"}
        {"channel":"heartbeat"}
        {"channel":"status","type":"update","data":[{"system":"online","api_version":"v2"}]}
        """
        reading = guarded(self._read, frame, ts_received, LIMITS)
        self.counts[reading.kind] += 1
        return reading

    def _request(self, method: str, symbols: Sequence[str], **options: bool) -> str:
        self._request_id += 1
        params = {"channel": "book", "symbol": symbols, "depth": DEPTH, **options}
        return msgspec.json.encode({"method": method, "params": params, "req_id": self._request_id}).decode()

    def _read(self, frame: bytes, ts_received: int) -> Reading:
        outer = _ENVELOPE.decode(frame)
        if outer.channel == "book":
            return self._change_books(outer, ts_received)
        if outer.channel == "status":
            return self._change_status(_STATUSES.decode(outer.data), ts_received)
        if outer.channel == "heartbeat" or outer.method == "pong":
            return Reading(kind=FrameKind.HEARTBEAT)
        if outer.success is False or outer.error or outer.alarm:
            return self._refuse(outer)
        if outer.method in ("subscribe", "unsubscribe") and outer.success:
            return self._accept(outer, ts_received)
        return Reading(kind=FrameKind.UNKNOWN)

    def _change_books(self, outer: Envelope, ts_received: int) -> Reading:
        kind = _BOOK_KINDS.get(outer.type)
        if kind is None:
            raise FrameRefusedError(Refusal.MALFORMED, f"a book frame of type {plain(outer.type)!r}")
        # The whole frame is read before any book changes.
        changes = [(self._find(change.symbol), change) for change in parse_books(outer.data)]
        anew = kind is FrameKind.SNAPSHOT
        quotes: list[Quote] = []
        verdicts: list[tuple[str, bool]] = []
        for place, change in changes:
            if anew or self._pairs[place].book.synced:
                right = self._change(place, change, anew=anew)
                quotes += self._show(place, change.ts_event, ts_received) if right else self._lose(place, ts_received)
                verdicts.append((change.symbol, right))
        self.checksums.update(right for _, right in verdicts)
        wrong = [symbol for symbol, right in verdicts if not right]
        return Reading(
            kind=kind if verdicts else FrameKind.OLD,
            quotes=tuple(quotes),
            refusal=Refusal.WRONG_CHECKSUM if wrong else None,
            detail=f"wrong checksum: {', '.join(wrong)}" if wrong else "",
            checksum=not wrong if verdicts else None,
        )

    def _change(self, place: int, change: BookChange, *, anew: bool) -> bool:
        pair = self._pairs[place]
        pair.seq += 1
        (pair.book.load if anew else pair.book.apply)(change.bids, change.asks)
        return pair.book.checksum() == change.checksum

    def _change_status(self, statuses: list[SystemStatus], ts_received: int) -> Reading:
        before = self.halt
        for status in statuses:
            self.halt = status.system if status.system in _HALTS else ""
        quotes: list[Quote] = []
        if self.halt and not before:
            quotes += self._take_out(QuoteState.SUSPENDED, ts_received)
        elif before and not self.halt:
            for place, pair in enumerate(self._pairs):
                quotes += self._show(place, None, ts_received) if pair.book.synced else ()
        return Reading(kind=FrameKind.STATUS, quotes=tuple(quotes), detail=self.halt)

    def _accept(self, outer: Envelope, ts_received: int) -> Reading:
        subscribed = _SUBSCRIBED.decode(outer.result)
        place = self._place.get(subscribed.symbol)
        if subscribed.channel != "book" or place is None:
            return Reading(kind=FrameKind.UNKNOWN)
        if outer.method == "unsubscribe":
            return Reading(kind=FrameKind.ACK)
        pair = self._pairs[place]
        pair.accepted, pair.refused = True, False
        if pair.state is not QuoteState.GAP or pair.book.synced:
            return Reading(kind=FrameKind.ACK)
        pair.state = QuoteState.RESYNCING
        return Reading(kind=FrameKind.ACK, quotes=(state_row(place, ts_received, pair.seq, pair.state),))

    def _refuse(self, outer: Envelope) -> Reading:
        if outer.method == "subscribe":
            place = self._place.get(outer.symbol)
            # An answer that names no symbol is one to all that have none yet.
            for pair in self._pairs if place is None else (self._pairs[place],):
                pair.refused = not pair.accepted
        detail = outer.error or outer.alarm or f"{outer.method} failed"
        return Reading(kind=FrameKind.ERROR, detail=plain(detail))

    def _find(self, symbol: str) -> int:
        place = self._place.get(symbol)
        if place is None:
            raise FrameRefusedError(Refusal.UNKNOWN_INSTRUMENT, f"not subscribed to {plain(symbol)!r}")
        return place

    def _show(self, place: int, ts_event: int | None, ts_received: int) -> tuple[Quote, ...]:
        pair = self._pairs[place]
        if self.halt:
            return ()
        pair.state = QuoteState.LIVE
        (bid, bid_size), (ask, ask_size) = map(price_and_size, pair.book.tops())
        ts_event = ts_received if ts_event is None else ts_event
        return (Quote(bid, ask, bid_size, ask_size, ts_event, ts_received, pair.seq, place),)

    def _lose(self, place: int, ts_received: int) -> tuple[Quote, ...]:
        pair = self._pairs[place]
        pair.book.drop()
        if pair.state is not QuoteState.LIVE:
            return ()
        pair.state = QuoteState.GAP
        return (state_row(place, ts_received, pair.seq, QuoteState.GAP),)

    def _take_out(self, state: QuoteState, ts_received: int) -> Iterator[Quote]:
        for place, pair in enumerate(self._pairs):
            if pair.state is QuoteState.LIVE:
                pair.state = state
                yield state_row(place, ts_received, pair.seq, state)
