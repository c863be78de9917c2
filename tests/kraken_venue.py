"""A small Kraken on 127.0.0.1: it answers, sends books of a simulated world, and breaks on demand.

In a test on the loop: `async with KrakenVenue(market) as venue`, then `await venue.send(*venue.changes())`. For a
program that runs as a process of its own: `with kraken_thread() as venue`, then give the program `venue.ws_url`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kraken_market import KrakenMarket
from loopback_venue import LoopbackServer, LoopbackVenue, server_thread
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from marketstream.clock import Clock, SystemClock
from marketstream.providers.declare import profile_declarations

_TIMES = {"time_in": "2026-01-01T00:00:00.000001Z", "time_out": "2026-01-01T00:00:00.000002Z"}


@dataclass
class Manners:
    """How this venue treats subscriptions; change it at any moment.

    Attributes:
        refused: Symbols that it does not know.
        acknowledge: Answer a subscription.
        snapshots: Send the book after the answer.
        wrong_snapshots: Send so many of them with a wrong checksum first.
        follow: Send the books' changes by itself, ten times a second.
    """

    refused: set[str] = field(default_factory=set)
    acknowledge: bool = True
    snapshots: bool = True
    wrong_snapshots: int = 0
    follow: bool = False


class KrakenVenue(LoopbackServer):
    """Serve the second version of Kraken's interface over a market."""

    path = "/v2"

    def __init__(self, market: KrakenMarket, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self.market = market
        self.manners = Manners()
        self.answers_open = asyncio.Event()
        self.answers_open.set()
        self.heard: list[tuple[str, tuple[str, ...]]] = []
        self.subscribed: set[str] = set()
        self._followers: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()

    async def __aexit__(self, *error: object) -> None:
        self.answers_open.set()
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)
        await super().__aexit__(*error)

    @property
    def ws_url(self) -> str:
        """The address of the stream."""
        return super().ws_url + self.path

    def changes(self) -> list[str]:
        """Let the market follow the clock and return the frames of what is subscribed to, without sending them."""
        frames = self.market.move_to(self.clock.now_ns())
        return [frame for frame in frames if json.loads(frame)["data"][0]["symbol"] in self.subscribed]

    async def snapshot(self, symbol: str, *, to: ServerConnection | None = None) -> None:
        """Send a book, with a wrong checksum while the manners ask for one."""
        frame = self.market.books[symbol].snapshot()
        if self.manners.wrong_snapshots > 0:
            self.manners.wrong_snapshots -= 1
            frame = with_wrong_checksum(frame)
        await self.send(frame, to=to)

    async def _welcome(self, socket: ServerConnection) -> None:
        self.subscribed = set()
        await self.send(status("online"), to=socket)

    async def _hear(self, socket: ServerConnection, request: Any) -> None:
        if request["method"] == "ping":
            await self.send({"method": "pong", "req_id": request.get("req_id"), **_TIMES}, to=socket)
            return
        symbols = tuple(request["params"]["symbol"])
        self.heard.append((request["method"], symbols))
        if socket not in self._sockets:
            self._sockets.append(socket)
            self.subscriptions.append(list(symbols))
            if self.manners.follow:
                self._followers.append(asyncio.create_task(self._follow(socket)))
        await self.answers_open.wait()
        for symbol in symbols:
            # A book must not come between changes that were made before it.
            async with self._turn:
                await self._answer(socket, request, symbol)

    async def _answer(self, socket: ServerConnection, request: Any, symbol: str) -> None:
        base = {"method": request["method"], "req_id": request["req_id"], **_TIMES}
        if symbol in self.manners.refused:
            error = f"Currency pair not supported {symbol}"
            await self.send({**base, "success": False, "error": error, "symbol": symbol}, to=socket)
            return
        if self.manners.acknowledge:
            result = {"channel": "book", "symbol": symbol, "depth": request["params"]["depth"]}
            await self.send({**base, "success": True, "result": result}, to=socket)
        if request["method"] == "unsubscribe":
            self.subscribed.discard(symbol)
        elif self.manners.snapshots:
            self.subscribed.add(symbol)
            await self.snapshot(symbol, to=socket)

    async def _follow(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.clock.sleep(0.1)
                async with self._turn:
                    await self.send(*self.changes(), to=socket)


def status(system: str) -> dict[str, Any]:
    """Return what the venue says of its engine."""
    data = {"system": system, "api_version": "v2", "connection_id": 15, "version": "2.0.10"}
    return {"channel": "status", "type": "update", "data": [data]}


def with_wrong_checksum(frame: str) -> str:
    """Return a book frame whose checksum is off by one bit."""
    head, mark, tail = frame.partition('"checksum":')
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}{mark}{int(digits) ^ 1}{tail[len(digits) :]}"


def kraken_thread(symbols: tuple[str, ...] = ("BTC/USD", "ETH/USD")) -> contextlib.AbstractContextManager[KrakenVenue]:
    """Run Kraken in a thread of its own; it follows its market by itself."""

    def make() -> KrakenVenue:
        clock = SystemClock()
        venue = KrakenVenue(KrakenMarket(symbols, start_ns=clock.now_ns()), clock=clock)
        venue.manners.follow = True
        return venue

    return server_thread(make)


def declare_feeds(folder: Path, binance: LoopbackVenue, symbols: tuple[str, ...], kraken: KrakenVenue) -> Path:
    """Write a providers file that opens the feeds of the profile `live` on loopback: no test meets a real venue."""
    feeds: dict[str, dict[str, object]] = {
        "binance": {"symbols": symbols, "ws_url": binance.ws_url, "rest_url": binance.rest_url},
        "kraken": {"symbols": kraken.market.symbols, "ws_url": kraken.ws_url},
    }
    assert list(feeds) == [declaration.name for declaration in profile_declarations("live")]
    path = folder / "feeds.json"
    path.write_text(json.dumps({"providers": [{"name": n, "kind": n, "options": o} for n, o in feeds.items()]}))
    return path
