"""Kraken's side of the wire: deep books of decimals that follow a simulated world, and the frames that tell of them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog
from marketstream.market.quotes import QuoteState
from marketstream.providers.simulated import SimulatedProvider, make_world

Side = Mapping[Decimal, Decimal]
Levels = Iterable[tuple[str, str]]

VISIBLE = 10
_DEEP = 14
_STAMP = "2026-01-01T00:00:00.000000Z"


def checksum_of(bids: Side, asks: Side) -> int:
    """Return the venue's checksum of whole books, from decimals and the venue's own description."""
    best = [*sorted(asks.items())[:10], *sorted(bids.items(), reverse=True)[:10]]
    digits = [f"{number:f}".replace(".", "").lstrip("0") for level in best for number in level]
    return zlib.crc32("".join(digits).encode())


def book_frame(
    kind: str,
    symbol: str,
    bids: Levels = (),
    asks: Levels = (),
    *,
    checksum: int | str,
    timestamp: str | None = _STAMP,
) -> str:
    """Return a book frame; prices and sizes are texts, so that their zeros are those of the test."""
    time = "" if timestamp is None else f',"timestamp":"{timestamp}"'
    sides = f'"bids":[{_levels(bids)}],"asks":[{_levels(asks)}]'
    data = f'{{"symbol":"{symbol}",{sides},"checksum":{checksum}{time}}}'
    return f'{{"channel":"book","type":"{kind}","data":[{data}]}}'


def stamp(ts: int) -> str:
    """Return UTC ns as the venue writes a time: to the microsecond."""
    seconds, rest = divmod(ts, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _levels(levels: Levels) -> str:
    return ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in levels)


class Book:
    """One symbol's book as the venue has it: deeper than what it sends."""

    def __init__(self, symbol: str, rng: random.Random, tick: str = "0.01") -> None:
        self.symbol = symbol
        self.tick = Decimal(tick)
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.changed = 0
        self._rng = rng

    def quote(self, ts: int, bid: Decimal, ask: Decimal, bid_size: Decimal, ask_size: Decimal) -> None:
        """Move to a new best bid and ask at `ts` (UTC ns), and let some deeper levels come, change and go."""
        self.changed = ts
        for side, best, size, step in (
            (self.bids, bid, bid_size, -self.tick),
            (self.asks, ask, ask_size, self.tick),
        ):
            for price in [p for p in side if (best - p) * step > 0]:
                del side[price]
            side[best] = size
            for _ in range(self._rng.randrange(4)):
                side[best + step * self._rng.randrange(1, 25)] = self._size()
            while len(side) < VISIBLE + 1:
                side[best + step * self._rng.randrange(1, 40)] = self._size()
            for price in sorted(side, reverse=step < 0)[_DEEP:]:
                del side[price]

    def visible(self) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        """Return the ten best levels of each side, best first."""
        bids = dict(sorted(self.bids.items(), reverse=True)[:VISIBLE])
        return bids, dict(sorted(self.asks.items())[:VISIBLE])

    def checksum(self) -> int:
        """Return the checksum that the next frame must carry."""
        return checksum_of(self.bids, self.asks)

    def snapshot(self) -> str:
        """Return the frame that a subscription begins with."""
        bids, asks = self.visible()
        return book_frame(
            "snapshot", self.symbol, _texts(bids), _texts(asks), checksum=self.checksum(), timestamp=stamp(self.changed)
        )

    def update_since(self, before: tuple[Side, Side]) -> str:
        """Return the frame that leads from what was visible to what is; what is pushed out of sight goes untold."""
        changes = []
        for old, new, whole in zip(before, self.visible(), (self.bids, self.asks), strict=True):
            told = {price: size for price, size in new.items() if old.get(price) != size}
            gone = {price: Decimal("0.00000000") for price in old if price not in whole}
            # Removed first or last: a client takes all levels of a frame before it cuts.
            changes.append(list(_texts(gone | told if self._rng.random() < 0.5 else told | gone)))
        return book_frame("update", self.symbol, *changes, checksum=self.checksum(), timestamp=stamp(self.changed))

    def _size(self) -> Decimal:
        # Every third size ends in zeros, which the checksum counts.
        digits = self._rng.randrange(1_000, 10**9)
        return Decimal(digits - digits % 1000 if digits % 3 == 0 else digits).scaleb(-8) + Decimal("0.00000000")


def _texts(side: Side) -> Levels:
    return [(f"{price:f}", f"{size:f}") for price, size in side.items()]


class KrakenMarket:
    """Books that follow one venue of the world `demo` from `start_ns` (UTC ns) on."""

    def __init__(self, symbols: tuple[str, ...] = ("BTC/USD", "ETH/USD"), *, start_ns: int, seed: int = 7) -> None:
        self.symbols = symbols
        self._feed = SimulatedProvider(
            name="behind",
            clock=ManualClock(start_ns),
            world=make_world("demo", seed=seed, start_ns=start_ns),
            venue="alder",
        )
        catalog = Catalog()
        self._feed.attach(catalog)
        self._codes = {catalog.code(symbol.replace("/", "-")): symbol for symbol in symbols}
        rng = random.Random(seed)
        self.books = {symbol: Book(symbol, rng) for symbol in symbols}
        self.move_to(start_ns)

    def move_to(self, now: int) -> list[str]:
        """Go on to `now` (UTC ns) and return an update frame for every new quote."""
        return [frame for _, frame in self.moves(now)]

    def moves(self, now: int) -> Iterator[tuple[str, str]]:
        """Yield symbol and update frame of every new quote up to `now`; the books stand as the frame says."""
        rows = self._feed.drain(now)
        for row in rows[np.isin(rows["instrument"], list(self._codes)) & (rows["state"] == QuoteState.LIVE)]:
            book = self.books[self._codes[row["instrument"]]]
            before = book.visible()
            book.quote(int(row["ts_event"]), *(_decimal(row[name], places) for name, places in _COLUMNS))
            yield book.symbol, book.update_since(before)

    def tops(self) -> dict[str, tuple[float, float]]:
        """Return each symbol's best bid and ask."""
        return {s: (float(max(book.bids)), float(min(book.asks))) for s, book in self.books.items()}


_COLUMNS = (("bid", 2), ("ask", 2), ("bid_size", 8), ("ask_size", 8))


def _decimal(number: Any, places: int) -> Decimal:
    return Decimal(repr(float(number))).quantize(Decimal(1).scaleb(-places))
