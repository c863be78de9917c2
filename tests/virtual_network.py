"""TCP inside one virtual loop: streams of bytes that arrive in order, in any pieces, after any delay, or never.

The transports keep to `asyncio.Transport`, so that real clients and servers run over them. Left out: back-pressure on
the writing side (a peer that does not read makes its bytes wait at its door) and TLS.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

HOST = "127.0.0.1"
MIN_DELAY_S, MAX_DELAY_S = 0.001, 0.030
SPLIT_SHARE = 0.03
"""Share of writes that arrive in two pieces."""


class _Mark(Enum):
    ACCEPT = auto()
    END = auto()
    RESET = auto()


class _Address:
    # The part of a socket that libraries ask for beside its bytes.
    family = socket.AF_INET

    def __init__(self, local: int, remote: int | None = None) -> None:
        self._local = local
        self._remote = remote

    def fileno(self) -> int:
        return -1

    def getsockname(self) -> tuple[str, int]:
        return (HOST, self._local)

    def getpeername(self) -> tuple[str, int]:
        if self._remote is None:
            raise OSError("not connected")
        return (HOST, self._remote)


class Dial:
    """One attempt to connect: `at` in virtual seconds, `link` where it came about."""

    def __init__(self, at: float, port: int) -> None:
        self.at = at
        self.port = port
        self.link: Link | None = None


class Link:
    """One connection, as an observer on the wire sees it.

    Attributes:
        port: Where it leads.
        client_port: Names the connection.
        opened_at: Virtual seconds.
        left_at: When the client let go of it, virtual seconds; None while it holds on.
        cut: Whatever is sent from now on is lost, and nobody is told.
    """

    def __init__(self, network: VirtualNetwork, port: int, client_port: int) -> None:
        self.port = port
        self.client_port = client_port
        self.opened_at = network.loop.time()
        self.left_at: float | None = None
        self.cut = False


class VirtualTransport(asyncio.Transport):
    """One end of a link."""

    def __init__(self, network: VirtualNetwork, link: Link, *, is_client: bool) -> None:
        local, remote = (link.client_port, link.port) if is_client else (link.port, link.client_port)
        super().__init__({"sockname": (HOST, local), "peername": (HOST, remote), "socket": _Address(local, remote)})
        self.link = link
        self.peer: VirtualTransport
        self._network = network
        self._is_client = is_client
        self._protocol: asyncio.Protocol | None = None
        self._on_the_way: deque[bytes | _Mark] = deque()
        self._arrives_at = 0.0
        self._held: deque[bytes | _Mark] = deque()
        self._paused = self._closing = self._ended = self._finished = False

    def set_protocol(self, protocol: Any) -> None:
        """Give what arrives to `protocol`."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Return who gets what arrives."""
        return self._protocol

    def write(self, data: Any) -> None:
        """Send bytes."""
        if self._closing or self._finished or not data:
            return
        for piece in self._network.pieces(bytes(data)):
            self.send(piece)

    def can_write_eof(self) -> bool:
        """Return True: each direction ends by itself."""
        return True

    def write_eof(self) -> None:
        """Send no more, and go on reading."""
        if not self._finished:
            self._finished = True
            self.send(_Mark.END)

    def is_closing(self) -> bool:
        """Return whether this end was closed or lost."""
        return self._closing

    def close(self) -> None:
        """Send what was written, then end."""
        if not self._closing:
            self.write_eof()
            self._end(None)

    def abort(self) -> None:
        """End at once; the peer is reset."""
        if not self._ended:
            self.send(_Mark.RESET)
            self._end(None)

    def pause_reading(self) -> None:
        """Let arriving bytes wait."""
        self._paused = True

    def resume_reading(self) -> None:
        """Take what waits, then what comes."""
        self._paused = False
        self._network.loop.call_soon(self._take_held)

    def is_reading(self) -> bool:
        """Return whether arriving bytes are taken."""
        return not (self._paused or self._closing)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: writing never waits here."""

    def get_write_buffer_size(self) -> int:
        """Return 0: what is written is on its way."""
        return 0

    def send(self, item: bytes | _Mark) -> None:
        """Put an item on its way to the peer, behind all that went before."""
        if self.link.cut:
            return
        loop = self._network.loop
        self._arrives_at = max(self._arrives_at, loop.time() + self._network.delay())
        self._on_the_way.append(item)
        loop.call_at(self._arrives_at, self._deliver)

    def _deliver(self) -> None:
        # The oldest item, whichever timer fires: late timers delay a stream and never reorder it.
        item = self._on_the_way.popleft()
        if not self.link.cut:
            self.peer.arrive(item)

    def arrive(self, item: bytes | _Mark) -> None:
        """Take an item from the wire."""
        if item is _Mark.ACCEPT:
            self._network.accept(self)
        elif self._ended:
            if isinstance(item, bytes):
                self.send(_Mark.RESET)
        elif self._paused:
            self._held.append(item)
        else:
            self._take(item)

    def _take_held(self) -> None:
        while self._held and not self._paused and not self._ended:
            self._take(self._held.popleft())

    def _take(self, item: bytes | _Mark) -> None:
        assert self._protocol is not None
        if isinstance(item, bytes):
            self._protocol.data_received(item)
        elif item is _Mark.RESET:
            self._end(ConnectionResetError("reset by the peer"))
        elif not self._protocol.eof_received():
            self.close()

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._closing = self._ended = True
        if self._is_client:
            self.link.left_at = self._network.loop.time()
        if self._protocol is not None:
            self._network.loop.call_soon(self._protocol.connection_lost, error)


class VirtualServer(asyncio.AbstractServer):
    """A listening port."""

    def __init__(self, network: VirtualNetwork, factory: Callable[[], Any], port: int) -> None:
        self.factory = factory
        self.port = port
        self._network = network
        self._open = True

    @property
    def sockets(self) -> tuple[Any, ...]:
        """Return one address to ask for the port."""
        return (_Address(self.port),) if self._open else ()

    def close(self) -> None:
        """Take no more connections."""
        self._open = False
        self._network.close_port(self.port)

    def is_serving(self) -> bool:
        """Return whether connections are taken."""
        return self._open

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the virtual loop."""
        return self._network.loop

    async def start_serving(self) -> None:
        """Do nothing: it serves from the start."""

    async def wait_closed(self) -> None:
        """Return at once: connections are their protocols' own business."""


class VirtualNetwork:
    """All servers and links of one loop.

    Attributes:
        dials: Every attempt to connect, in order.
        lost: Ports whose connection attempts are never answered.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random) -> None:
        self.loop = loop
        self.dials: list[Dial] = []
        self.lost: set[int] = set()
        self._rng = rng
        self._links: dict[int, Link] = {}
        self._servers: dict[int, VirtualServer] = {}
        self._free_ports = itertools.count(20_000)

    def listen(self, factory: Callable[[], Any], port: int) -> VirtualServer:
        """Open a port."""
        port = port or next(self._free_ports)
        assert port not in self._servers, f"port {port} is taken"
        server = self._servers[port] = VirtualServer(self, factory, port)
        return server

    def close_port(self, port: int) -> None:
        """Close a port; links that exist stay."""
        self._servers.pop(port, None)

    async def connect(self, factory: Callable[[], Any], port: int) -> tuple[VirtualTransport, Any]:
        """Open a link; OSError when nobody listens."""
        dial = Dial(self.loop.time(), port)
        self.dials.append(dial)
        await asyncio.sleep(2 * self.delay())
        if port in self.lost:
            await self.loop.create_future()
        if port not in self._servers:
            raise ConnectionRefusedError(111, f"nobody listens on port {port}")
        link = dial.link = Link(self, port, next(self._free_ports))
        self._links[link.client_port] = link
        client, server = VirtualTransport(self, link, is_client=True), VirtualTransport(self, link, is_client=False)
        client.peer, server.peer = server, client
        client.send(_Mark.ACCEPT)
        protocol = factory()
        client.set_protocol(protocol)
        protocol.connection_made(client)
        return client, protocol

    def accept(self, transport: VirtualTransport) -> None:
        """Hand a new link to the server, where there still is one."""
        server = self._servers.get(transport.link.port)
        if server is None:
            transport.abort()
            return
        protocol = server.factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def delay(self) -> float:
        """Return how long something is on its way, seconds."""
        return self._rng.uniform(MIN_DELAY_S, MAX_DELAY_S)

    def pieces(self, data: bytes) -> tuple[bytes, ...]:
        """Return the pieces in which a write arrives."""
        if len(data) > 1 and self._rng.random() < SPLIT_SHARE:
            cut = self._rng.randrange(1, len(data))
            return data[:cut], data[cut:]
        return (data,)

    def link(self, client_port: int) -> Link:
        """Return a link by its name."""
        return self._links[client_port]
