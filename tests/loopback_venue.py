"""A small Binance on 127.0.0.1: a real WebSocket and HTTP server that plays frames and breaks on demand.

In a test on the loop: `async with LoopbackVenue(recording) as venue`. For a program that runs as a process of
its own: `with venue_thread(recording) as venue`, then give the program `venue.ws_url` and `venue.rest_url`.
Kraken, on the same server, is in kraken_venue.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from marketstream.clock import Clock, SystemClock


@dataclass(frozen=True)
class Recording:
    """Frames by seconds since the start, and the depth snapshot of each symbol."""

    symbols: tuple[str, ...]
    frames: tuple[tuple[float, bytes], ...]
    snapshots: dict[str, bytes]


def load_binance(shared_data: Path) -> Recording:
    """Read the recording of October 2021: four symbols, 40 seconds."""
    folder = shared_data / "messages" / "recordings"
    snapshots = {}
    for line in _lines(folder / "BINANCE.http.0.0.gz"):
        url, mark, answer = line.partition(" -> ")
        if mark:
            symbol = parse_qs(urlsplit(url).query)["symbol"][0]
            snapshots[symbol] = answer.partition(": ")[2].encode()
    frames = []
    for line in _lines(folder / "BINANCE.ws.1.0.gz"):
        stamp, _, body = line.partition(": ")
        if stamp[:1].isdigit():
            frames.append((float(stamp), body.encode()))
    start = frames[0][0]
    return Recording(tuple(snapshots), tuple((at - start, body) for at, body in frames), snapshots)


def small_recording() -> Recording:
    """Return two symbols of our own making, for where the recorded ones are absent."""
    book = snapshot(100, [["64000.10", "1.5"], ["64000.00", "2"]], [["64000.20", "0.7"], ["64001.00", "3"]])
    pair = snapshot(7, [["0.04119", "10"]], [["0.04122", "4"]])
    frames = (
        depth("BTCUSDT", 101, 102, bids=[["64000.12", "0.5"]]),
        depth("ETHBTC", 8, 8, bids=[["0.04120", "3"]]),
        depth("BTCUSDT", 103, 103, bids=[["64000.12", "0"]], asks=[["64000.20", "0.9"]]),
        ticker("BTCUSDT", 104, "64000.11", "1", "64000.19", "2"),
        depth("BTCUSDT", 104, 104, bids=[["64000.11", "1"]], asks=[["64000.19", "2"]]),
    )
    timed = tuple((0.1 * i, json.dumps(frame).encode()) for i, frame in enumerate(frames))
    return Recording(("BTCUSDT", "ETHBTC"), timed, {"BTCUSDT": book, "ETHBTC": pair})


def final_tops(recording: Recording) -> dict[str, tuple[float, float]]:
    """Return each symbol's last best bid and ask, newest of book and ticker, rebuilt with plain dicts."""
    books = {s: json.loads(body) for s, body in recording.snapshots.items()}
    sides = {s: tuple({float(p): float(q) for p, q in b[k]} for k in ("bids", "asks")) for s, b in books.items()}
    last = {s: b["lastUpdateId"] for s, b in books.items()}
    tops: dict[str, tuple[int, float, float]] = {}
    for _, frame in recording.frames:
        data = json.loads(frame)["data"]
        if data.get("e") == "depthUpdate" and data["u"] > last[data["s"]]:
            last[data["s"]] = data["u"]
            for side, levels in zip(sides[data["s"]], (data["b"], data["a"]), strict=True):
                for price, size in levels:
                    side[float(price)] = float(size)
        elif "B" in data:
            tops[data["s"]] = (data["u"], float(data["b"]), float(data["a"]))
    for s, (bids, asks) in sides.items():
        best = max(p for p, q in bids.items() if q), min(p for p, q in asks.items() if q)
        if last[s] >= tops.get(s, (0,))[0]:
            tops[s] = (last[s], *best)
    return {s: top[1:] for s, top in tops.items()}


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


ServerT = TypeVar("ServerT", bound="LoopbackServer")


@dataclass
class Behaviour:
    """How the venue misbehaves; change it at any moment.

    Attributes:
        handshake_status: Answer the WebSocket handshake with this HTTP status instead.
        silent_handshake: Accept the TCP connection and never answer.
        rest_status: Answer snapshots with this status.
        rest_headers: Sent with each snapshot.
        rest_body: Sent instead of each snapshot.
        acknowledge: Answer SUBSCRIBE.
        autoplay: Play the recording to every subscriber at full speed, then keep its books alive.
    """

    handshake_status: int | None = None
    silent_handshake: bool = False
    rest_status: int = 200
    rest_headers: dict[str, str] = field(default_factory=dict)
    rest_body: bytes | None = None
    acknowledge: bool = True
    autoplay: bool = False


class LoopbackServer:
    """A real WebSocket server with faults on demand; a subclass speaks a venue's language."""

    path = "/"
    """Where the stream is; another path is answered 404."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.behaviour = Behaviour()
        self._closing = asyncio.Event()
        self.requests: list[str] = []
        self.subscriptions: list[list[str]] = []
        self.dials = 0
        self._sockets: list[ServerConnection] = []
        self._server: Server | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._request, compression=None, ping_interval=None,
            close_timeout=0.2,
        )  # fmt: skip
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._closing.set()
        for socket in self._sockets:
            socket.transport.abort()
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    @property
    def ws_url(self) -> str:
        """The base address of the stream."""
        return f"ws://127.0.0.1:{self._port}"

    @property
    def newest(self) -> ServerConnection:
        """The connection that subscribed last."""
        return self._sockets[-1]

    async def send(self, *frames: bytes | str | dict[str, Any], to: ServerConnection | None = None) -> None:
        """Send frames to one subscriber, by default the newest: a dict as JSON, bytes that are no text as such."""
        for frame in frames:
            await (to or self.newest).send(_text(frame))

    async def ping(self) -> None:
        """Send a ping and wait for its pong: the socket lives, whatever else does not."""
        await (await self.newest.ping())

    def abort(self) -> None:
        """Cut the newest connection without a word."""
        self.newest.transport.abort()

    async def close(self, code: int = 1001) -> None:
        """Close the newest connection politely."""
        await self.newest.close(code)

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request.path)
        self.dials += 1
        if urlsplit(request.path).path != self.path:
            return _answer(404, b"{}")
        if self.behaviour.silent_handshake:
            await self._closing.wait()
            return _answer(503, b"{}")
        if self.behaviour.handshake_status is not None:
            return _answer(self.behaviour.handshake_status, b"{}", self.behaviour.rest_headers)
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._welcome(socket)
            async for message in socket:
                await self._hear(socket, json.loads(message))

    async def _welcome(self, socket: ServerConnection) -> None:
        """Say what the venue says to whoever connects."""

    async def _hear(self, socket: ServerConnection, request: Any) -> None:
        """Answer one request."""
        raise NotImplementedError


class LoopbackVenue(LoopbackServer):
    """Binance: serve one recording, or only what a test sends."""

    path = "/stream"

    def __init__(self, recording: Recording | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self.frames = recording.frames if recording else ()
        self.snapshots: dict[str, bytes] = dict(recording.snapshots) if recording else {}
        self.rest_open = asyncio.Event()
        self.rest_open.set()

    async def __aexit__(self, *error: object) -> None:
        self.rest_open.set()
        await super().__aexit__(*error)

    @property
    def rest_url(self) -> str:
        """The base address of the REST API, on the same port."""
        return f"http://127.0.0.1:{self._port}"

    async def play(self, *, speed: float | None = None, to: ServerConnection | None = None) -> None:
        """Send the recording to one subscriber: at `speed` on the venue's clock, or at once."""
        played = 0.0
        for at, frame in self.frames:
            if speed is not None:
                await self.clock.sleep((at - played) / speed)
                played = at
            await self.send(frame, to=to)

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        if url.path != "/api/v3/depth":
            return await super()._request(connection, request)
        self.requests.append(request.path)
        return await self._depth(parse_qs(url.query)["symbol"][0])

    async def _depth(self, symbol: str) -> Response:
        await self.rest_open.wait()
        behaviour = self.behaviour
        if behaviour.rest_status != 200:
            return _answer(behaviour.rest_status, b"{}", behaviour.rest_headers)
        body = self.snapshots.get(symbol) if behaviour.rest_body is None else behaviour.rest_body
        if body is None:
            return _answer(400, b'{"code":-1121,"msg":"Invalid symbol."}')
        return _answer(200, body, behaviour.rest_headers)

    async def _hear(self, socket: ServerConnection, request: Any) -> None:
        self._sockets.append(socket)
        self.subscriptions.append(request["params"])
        if self.behaviour.acknowledge:
            await socket.send(json.dumps({"result": None, "id": request["id"]}))
        if self.behaviour.autoplay:
            await self.play(to=socket)
            await self._keep_alive(socket)

    async def _keep_alive(self, socket: ServerConnection) -> None:
        # An update that changes no level still says that the book stands.
        last = {symbol: json.loads(body)["lastUpdateId"] for symbol, body in self.snapshots.items()}
        for _, frame in self.frames:
            data = json.loads(frame)["data"]
            if data.get("e") == "depthUpdate":
                last[data["s"]] = max(last[data["s"]], data["u"])
        while True:
            await self.clock.sleep(0.5)
            for symbol in last:
                last[symbol] += 1
                now_ms = self.clock.now_ns() // 1_000_000
                await self.send(depth(symbol, last[symbol], last[symbol], now_ms), to=socket)


def depth(
    symbol: str,
    first: int,
    last: int,
    event_ms: int = 1_672_515_782_136,
    bids: object = (),
    asks: object = (),
) -> dict[str, Any]:
    """Return a wrapped depth update of our own making."""
    data = {"e": "depthUpdate", "E": event_ms, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": data}


def ticker(symbol: str, last: int, bid: str, bid_size: str, ask: str, ask_size: str) -> dict[str, Any]:
    """Return a wrapped bookTicker of our own making."""
    data = {"u": last, "s": symbol, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data}


def snapshot(last: int, bids: object, asks: object) -> bytes:
    """Return a REST depth answer of our own making."""
    return json.dumps({"lastUpdateId": last, "bids": bids, "asks": asks}).encode()


async def idle(turns: int = 50) -> None:
    """Let the loop turn, so that what would happen has had its chance."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(happened: Callable[[], bool], what: str = "what was expected") -> None:
    """Let the loop run until something is so: real sockets sit between, so no clock of ours tells when."""
    try:
        async with asyncio.timeout(5):
            while not happened():  # noqa: ASYNC110 the peer is no task of ours that could set an event
                await asyncio.sleep(0)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within 5 s") from None


@contextlib.asynccontextmanager
async def plain_server() -> AsyncIterator[int]:
    """Serve the port of a server that speaks no TLS and says so to whoever tries."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.contextmanager
def server_thread(make: Callable[[], ServerT]) -> Iterator[ServerT]:
    """Run a server on a loop of its own, so that a test without one can serve a program in another process."""
    ready: list[ServerT] = []
    started, finish = threading.Event(), threading.Event()

    async def run() -> None:
        async with make() as server:
            ready.append(server)
            started.set()
            await asyncio.get_running_loop().run_in_executor(None, finish.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="loopback venue", daemon=True)
    thread.start()
    assert started.wait(10), "the loopback venue did not start"
    try:
        yield ready[0]
    finally:
        finish.set()
        thread.join(10)


def venue_thread(
    recording: Recording, behaviour: Behaviour | None = None
) -> contextlib.AbstractContextManager[LoopbackVenue]:
    """Run Binance in a thread; by default it plays the recording to each subscriber and keeps its books alive."""

    def make() -> LoopbackVenue:
        venue = LoopbackVenue(recording)
        venue.behaviour = behaviour or Behaviour(autoplay=True)
        return venue

    return server_thread(make)


def _text(frame: bytes | str | dict[str, Any]) -> bytes | str:
    if isinstance(frame, dict):
        return json.dumps(frame)
    if isinstance(frame, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return frame.decode()
    return frame


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    return Response(status, "Answer", Headers(fields | (headers or {})), body)
