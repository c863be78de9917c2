"""A Binance on the virtual network: one matching engine, gateways with real WebSocket and HTTP servers, faults on call.

`Exchange` makes the prices and remembers every top of book it ever had. A `Gateway` sells them: its update ids are the
engine's plus an offset of its own, which changes when it restarts.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from loopback_venue import depth, snapshot, ticker
from virtual_network import Link, VirtualNetwork
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

LEVELS = 5
TICKER_SHARE = 0.3
FIRST_IDS = (1_000, 5_000_000)
MIN_UPDATE_S, MAX_UPDATE_S = 0.5, 1.5


class Top(NamedTuple):
    """Best levels as numbers."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float


class Update(NamedTuple):
    """One change of one book: the levels that changed, as the venue writes them."""

    symbol: str
    seq: int
    at_ms: int
    bids: list[list[str]]
    asks: list[list[str]]


class _Book:
    # Five levels a side around a middle, in ticks.
    def __init__(self, middle: int, decimals: int) -> None:
        self.middle = middle
        self.decimals = decimals
        self.seq = 0
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.tops: list[Top] = []

    def change(self, rng: random.Random) -> tuple[list[list[str]], list[list[str]]]:
        self.middle += rng.choice((-1, 0, 0, 1))
        self.seq += 1
        changed: tuple[list[list[str]], list[list[str]]] = ([], [])
        for side, sign, out in zip(self.sides, (-1, 1), changed, strict=True):
            wanted = {self.middle + sign * (1 + i): side.get(self.middle + sign * (1 + i)) for i in range(LEVELS)}
            wanted[self.middle + sign] = None  # the best level always gets a new size
            for price in [p for p in side if p not in wanted]:
                del side[price]
                out.append([self.text(price), "0.000"])
            for price, size in wanted.items():
                if size is None:
                    side[price] = rng.randrange(1, 9_999)
                    out.append([self.text(price), f"{side[price] / 1000:.3f}"])
        bid, ask = max(self.sides[0]), min(self.sides[1])
        numbers = float(self.text(bid)), float(self.text(ask)), self.sides[0][bid] / 1000, self.sides[1][ask] / 1000
        self.tops.append(Top(*numbers))
        return changed

    def text(self, ticks: int) -> str:
        return f"{ticks / 10**self.decimals:.{self.decimals}f}"

    def levels(self, side: int) -> list[list[str]]:
        return [[self.text(p), f"{q / 1000:.3f}"] for p, q in sorted(self.sides[side].items())]


class Exchange:
    """The matching engine behind every gateway."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.books = {"BTCUSDT": _Book(6_400_000, 2), "ETHBTC": _Book(41_190, 6)}
        self.gateways: list[Gateway] = []

    async def trade(self, true_ms: Callable[[], int]) -> None:
        """Change a book now and then and tell every gateway, until cancelled; `true_ms` stamps updates, UTC ms."""
        for symbol in self.books:
            self._change(symbol, true_ms())
        while True:
            await asyncio.sleep(self.rng.uniform(MIN_UPDATE_S, MAX_UPDATE_S))
            update = self._change(self.rng.choice(list(self.books)), true_ms())
            for gateway in self.gateways:
                await gateway.publish(update)

    def top(self, symbol: str, seq: int) -> Top | None:
        """Return the best levels after update `seq`; None where there is no such update."""
        tops = self.books[symbol].tops
        return tops[seq - 1] if 1 <= seq <= len(tops) else None

    def _change(self, symbol: str, at_ms: int) -> Update:
        book = self.books[symbol]
        bids, asks = book.change(self.rng)
        return Update(symbol, book.seq, at_ms, bids, asks)


@dataclass
class Mood:
    """How a gateway misbehaves until told otherwise."""

    silent: bool = False
    ack_after_s: float | None = 0.0
    refuse_subscription: bool = False
    handshake_status: int | None = None
    rest_status: int = 200
    rest_after_s: float = 0.0
    retry_after: Mapping[str, str] = field(default_factory=dict)
    ahead_ms: int = 0


class Session:
    """One subscriber of a gateway, as the gateway knows it.

    Attributes:
        link: What it came on.
        accepted_at: Virtual seconds.
        offset: What the gateway's ids are ahead of the engine's on this connection.
        progress: When something new was sent, virtual seconds.
    """

    def __init__(self, socket: ServerConnection, link: Link, at: float, offset: int) -> None:
        self.socket = socket
        self.link = link
        self.accepted_at = at
        self.offset = offset
        self.progress: list[float] = []
        self.subscribed = False
        self.recent: deque[str] = deque(maxlen=12)


class Gateway:
    """One way into the exchange: WebSocket on `port`, REST on `rest_port`."""

    def __init__(self, name: str, exchange: Exchange, network: VirtualNetwork) -> None:
        self.name = name
        self.mood = Mood()
        self.sessions: list[Session] = []
        self.port = self.rest_port = 0
        self._exchange = exchange
        self._network = network
        self._rng = random.Random(exchange.rng.random())
        self._offset = self._rng.randrange(*FIRST_IDS)
        self._skip = 0
        self._servers: list[Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        exchange.gateways.append(self)

    async def __aenter__(self) -> Self:
        """Listen on two ports of the virtual network."""
        for process_request in (self._shake_hands, self._depth):
            server = await serve(
                self._serve, "127.0.0.1", 0, process_request=process_request, compression=None, ping_interval=None,
                close_timeout=0.2,
            )  # fmt: skip
            self._servers.append(server)
        self.port, self.rest_port = (server.sockets[0].getsockname()[1] for server in self._servers)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everybody off and close the ports."""
        for session in self.sessions:
            session.socket.transport.abort()
        for server in self._servers:
            server.close()
            await server.wait_closed()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open_sessions(self) -> list[Session]:
        """Return the sessions that are not closed, as far as the gateway knows."""
        return [s for s in self.sessions[-50:] if s.socket.state.name == "OPEN"]

    async def publish(self, update: Update) -> None:
        """Send one update to every subscriber, unless silent or told to leave it out."""
        if self._skip:
            self._skip -= 1
            return
        if self.mood.silent:
            return
        for session in self.open_sessions:
            if session.subscribed:
                await self._send(session, *self._frames(session, update))
                if not session.link.cut:
                    session.progress.append(self._network.loop.time())

    def skip(self, n: int) -> None:
        """Leave out the next `n` updates."""
        self._skip = n

    async def say(self, *frames: str | bytes) -> None:
        """Send frames that are no progress to every subscriber."""
        for session in self.open_sessions:
            await self._send(session, *frames)

    async def repeat(self) -> None:
        """Send the last frames of every subscriber again, in some other order."""
        for session in self.open_sessions:
            frames = list(session.recent)
            self._rng.shuffle(frames)
            await self._send(session, *frames, keep=False)

    async def ping(self) -> None:
        """Ping every subscriber and wait for no answer."""
        for session in self.open_sessions:
            await session.socket.ping()

    async def hang_up(self, code: int | None) -> None:
        """Close every connection with a code, or without a word."""
        for session in self.open_sessions:
            if code is None:
                session.socket.transport.abort()
            else:
                await session.socket.close(code)

    async def restart(self) -> None:
        """Close with 1012 and begin the ids anew somewhere else."""
        self._offset = self._rng.randrange(*FIRST_IDS)
        await self.hang_up(1012)

    def cut(self) -> None:
        """Cut every link: what is sent is lost and nobody is told."""
        for session in self.open_sessions:
            session.link.cut = True

    def _frames(self, session: Session, update: Update) -> list[str]:
        seq = update.seq + session.offset
        frames = [depth(update.symbol, seq, seq, update.at_ms + self.mood.ahead_ms, update.bids, update.asks)]
        top = self._exchange.top(update.symbol, update.seq)
        if top is not None and self._rng.random() < TICKER_SHARE:
            places = self._exchange.books[update.symbol].decimals
            told = ticker(
                update.symbol, seq, f"{top.bid:.{places}f}", f"{top.bid_size:.3f}",
                f"{top.ask:.{places}f}", f"{top.ask_size:.3f}",
            )  # fmt: skip
            frames.insert(self._rng.randrange(2), told)
        return [json.dumps(frame) for frame in frames]

    async def _send(self, session: Session, *frames: str | bytes, keep: bool = True) -> None:
        try:
            for frame in frames:
                await session.socket.send(frame)
                if keep and isinstance(frame, str):
                    session.recent.append(frame)
        except ConnectionClosed:
            pass

    async def _serve(self, socket: ServerConnection) -> None:
        link = self._network.link(int(socket.remote_address[1]))
        session = Session(socket, link, self._network.loop.time(), self._offset)
        self.sessions.append(session)
        try:
            async for message in socket:
                task = asyncio.create_task(self._answer(session, json.loads(message)["id"]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except ConnectionClosed:
            pass

    async def _answer(self, session: Session, request_id: int) -> None:
        mood = self.mood
        if mood.refuse_subscription:
            await self._send(session, json.dumps({"error": {"code": 2, "msg": "no"}, "id": request_id}))
            return
        session.subscribed = True
        if mood.ack_after_s is not None:
            await asyncio.sleep(mood.ack_after_s)
            await self._send(session, json.dumps({"result": None, "id": request_id}))

    async def _shake_hands(self, _: ServerConnection, __: Request) -> Response | None:
        mood = self.mood
        return None if mood.handshake_status is None else _response(mood.handshake_status, b"{}", mood.retry_after)

    async def _depth(self, _: ServerConnection, request: Request) -> Response:
        mood, book = self.mood, self._exchange.books[parse_qs(urlsplit(request.path).query)["symbol"][0]]
        body = snapshot(book.seq + self._offset, book.levels(0), book.levels(1))
        await asyncio.sleep(mood.rest_after_s)
        if mood.rest_status != 200:
            return _response(mood.rest_status, b"{}", mood.retry_after)
        return _response(200, body, {})


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    lines = Headers([("Content-Length", str(len(body))), *headers.items()])
    return Response(status, "as asked", lines, body)
