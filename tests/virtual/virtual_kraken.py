"""A Kraken on the virtual network: the loopback venue of the provider's tests, with a market of its own and faults."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from decimal import Decimal

from kraken_market import Book
from kraken_venue import KrakenVenue, with_wrong_checksum
from virtual_time import VirtualMachine, current_loop
from websockets.exceptions import ConnectionClosed

PAIRS = ("BTC/USD", "ETH/USD")
TICK = Decimal("0.01")
MIN_UPDATE_S, MAX_UPDATE_S = 0.5, 1.5

Tops = list[tuple[float, tuple[float, float, float, float]]]


class WalkingMarket:
    """Books that walk at random.

    Attributes:
        books: By symbol.
        tops: Every best bid, ask and their sizes, with the virtual second from which they held, by symbol.
    """

    def __init__(self, rng: random.Random, true_ns: Callable[[], int]) -> None:
        self.books = {symbol: Book(symbol, rng) for symbol in PAIRS}
        self.tops: dict[str, Tops] = {symbol: [] for symbol in PAIRS}
        self._rng = rng
        self._true_ns = true_ns
        self._middle = {symbol: Decimal("64000.00") for symbol in PAIRS}
        for symbol in PAIRS:
            self.move(symbol)

    def move(self, symbol: str) -> str:
        """Change one book and return the frame that tells of it."""
        book = self.books[symbol]
        before = book.visible()
        self._middle[symbol] += self._rng.randrange(-3, 4) * TICK
        bid, ask = self._middle[symbol] - TICK, self._middle[symbol] + TICK
        sizes = [Decimal(self._rng.randrange(1, 10**9)).scaleb(-8) for _ in range(2)]
        book.quote(self._true_ns(), bid, ask, *sizes)
        top = (float(bid), float(ask), float(sizes[0]), float(sizes[1]))
        self.tops[symbol].append((current_loop().time(), top))
        return book.update_since(before)


class VirtualKraken(KrakenVenue):
    """Kraken, trading by itself.

    Attributes:
        silent: Send no book frames.
        skip: So many frames are lost on the way.
        spoil: So many frames carry a wrong checksum.
    """

    def __init__(self, machine: VirtualMachine, rng: random.Random) -> None:
        self.walking = WalkingMarket(rng, machine.true_ns)
        super().__init__(self.walking, clock=machine.clock())  # type: ignore[arg-type]  # only its books are asked for
        self.silent = False
        self.skip = self.spoil = 0
        self._rng = rng

    async def trade(self) -> None:
        """Change a book now and then and tell the subscriber; runs until cancelled."""
        while True:
            await asyncio.sleep(self._rng.uniform(MIN_UPDATE_S, MAX_UPDATE_S))
            symbol = self._rng.choice(PAIRS)
            frame = self.walking.move(symbol)
            if self.silent or symbol not in self.subscribed:
                continue
            if self.skip:
                self.skip -= 1
                continue
            if self.spoil:
                self.spoil -= 1
                frame = with_wrong_checksum(frame)
            await self.say(frame)

    async def say(self, frame: str) -> None:
        """Send one frame to whoever subscribed last, if he is still there."""
        if self._sockets:
            with contextlib.suppress(ConnectionClosed):
                await self.send(frame)

    async def hang_up(self, code: int | None) -> None:
        """Close the newest connection with a code, or without a word."""
        if not self._sockets:
            return
        if code is None:
            self.abort()
        else:
            await self.close(code)
