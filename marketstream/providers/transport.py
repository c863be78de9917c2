"""The WebSocket under every streaming feed: connects, watches for data, comes back. REST is in rest.py."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from marketstream.clock import SECOND_NS, Clock
from marketstream.market.events import Absence
from marketstream.providers.base import ProviderStats
from marketstream.providers.peer import (
    Backoff,
    FeedLostError,
    FeedRefusedError,
    first_of,
    judge_status,
    judge_tls,
    origin,
    within,
)

_LOG = logging.getLogger(__name__)


class Reception(Enum):
    """What a frame meant for the connection it came on."""

    DATA = auto()
    ACK = auto()
    OTHER = auto()
    SUBSCRIPTION_REFUSED = auto()
    GOING_AWAY = auto()


class Feed(Protocol):
    """What speaks a venue's language over a transport.

    Every call names the connection's epoch, a number that grows with each connection: what belongs to an
    older one must be ignored.
    """

    def opened(self, epoch: int) -> Sequence[str]:
        """Forget what came from older connections and return the frames to send."""
        ...

    def received(self, epoch: int, frame: bytes, ts_received: int) -> Reception:
        """Take one frame, received at `ts_received` (UTC ns)."""
        ...

    async def attend(self, epoch: int) -> None:
        """Do what is needed beside an acknowledged connection, such as snapshots; runs until cancelled."""
        ...

    def closed(self, epoch: int, ts: int) -> None:
        """Learn that the connection ended at `ts` (UTC ns)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """How long to wait, in seconds, and how much to take."""

    stale_after_s: float = 10.0
    open_timeout_s: float = 10.0
    ack_timeout_s: float = 5.0
    close_timeout_s: float = 1.0
    backoff_first_s: float = 1.0
    backoff_cap_s: float = 60.0
    max_frame_bytes: int = 1 << 20
    max_queue: int = 16


class _Connect(connect):
    # A redirect is an answer like any other: following one would let a peer choose the address.
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketTransport:
    """Keep one connection open, for as long as it gives data.

    - A connection without valid data for `stale_after_s` is cut and reopened; pings and pongs do not count.
    - The subscription must be acknowledged within `ack_timeout_s`.
    - A lost connection is tried again for ever with full jitter; only valid data resets the waits.
    - A refusal (401, 403, 404, 451, TLS) or a fault of our own ends the attempts: see `refusal`.

    Args:
        url: Where to connect, checked by the caller.
        feed: Who reads the frames.
        clock: The only source of time.
        rng: The only source of randomness.
        stats: Counts lost connections and faults of our own.
        limits: Times and sizes.
    """

    def __init__(
        self,
        *,
        url: str,
        feed: Feed,
        clock: Clock,
        rng: random.Random,
        stats: ProviderStats,
        limits: TransportLimits | None = None,
    ) -> None:
        self._url = url
        self._peer = origin(url)
        self._feed = feed
        self._clock = clock
        self._stats = stats
        self._limits = limits or TransportLimits()
        self._backoff = Backoff(rng, first_s=self._limits.backoff_first_s, cap_s=self._limits.backoff_cap_s)
        self._task: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None
        self._acked = asyncio.Event()
        self._last_data_ns = 0
        self.epoch = 0
        self.connected = False
        self.trouble: FeedLostError | None = None
        """Why the last connection was lost; None once data flows again."""
        self.refusal: FeedRefusedError | None = None
        """Why no further connection is tried."""

    def start(self) -> None:
        """Begin to connect; returns at once. Needs a running loop."""
        if self._task is None or self._task.done():
            self.refusal = self.trouble = None
            self._backoff.reset()
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"transport {self._peer}")

    async def stop(self) -> None:
        """Close the connection and wait until nothing of it is left."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def send(self, request: str) -> None:
        """Send one more frame on the open connection, for the feed's `attend`; without one nothing is sent."""
        if self._socket is not None:
            await self._socket.send(request)

    async def _run(self) -> None:
        while True:
            try:
                await self._connection()
            except FeedLostError as error:
                self.trouble = error
                self._stats.reconnects += 1
                _LOG.warning("%s lost: %s", self._peer, error)
                await self._clock.sleep(max(self._backoff.next(), error.retry_after_s))
            except FeedRefusedError as error:
                self.refusal = error
                _LOG.error("%s refused, not tried again: %s", self._peer, error)
                return
            except Exception as error:  # noqa: BLE001 a fault of ours is no network fault: no retry would mend it
                self._stats.errors += 1
                self.refusal = FeedRefusedError(f"internal fault: {type(error).__name__}: {error}")
                _LOG.exception("fault in the feed of %s, not tried again", self._peer)
                return

    async def _connection(self) -> None:
        # Open, use and close one connection; always ends by an exception.
        try:
            await self._open()
            await self._use()
        except asyncio.CancelledError:
            # We leave of our own accord: say so. A peer that we gave up would not answer a closing handshake.
            if self._socket is not None:
                await self._socket.close()
            raise
        finally:
            was_open, self.connected = self.connected, False
            if was_open:
                self._feed.closed(self.epoch, self._clock.now_ns())
            await self._hang_up()

    async def _open(self) -> None:
        try:
            await within(self._clock, self._limits.open_timeout_s, self._dial())
        except InvalidStatus as error:
            response = error.response
            raise judge_status(response.status_code, self._peer, response.headers.get("Retry-After")) from error
        except InvalidURI as error:
            raise FeedRefusedError(f"{self._peer} is no WebSocket address") from error
        except (WebSocketException, OSError, EOFError) as error:
            # TimeoutError is an OSError.
            refusal = judge_tls(error, self._peer)
            raise (refusal or FeedLostError(f"cannot connect: {str(error) or type(error).__name__}")) from error

    async def _dial(self) -> None:
        limits = self._limits
        self._socket = await _Connect(
            self._url,
            proxy=None,
            compression=None,
            open_timeout=None,  # timed by our clock
            ping_interval=None,  # data, not pongs, shows that a connection lives
            close_timeout=limits.close_timeout_s,
            max_size=limits.max_frame_bytes,
            max_queue=limits.max_queue,
        )

    async def _use(self) -> None:
        assert self._socket is not None  # noqa: S101 set by _dial, tells mypy
        self.epoch += 1
        self.connected = True
        self._acked = asyncio.Event()
        self._last_data_ns = self._clock.monotonic_ns()
        try:
            for request in self._feed.opened(self.epoch):
                await self._socket.send(request)
            await first_of(self._listen(self._socket), self._watch(), self._attend())
        except ConnectionClosed as error:
            raise FeedLostError(f"connection closed: {error}") from error

    async def _listen(self, socket: ClientConnection) -> None:
        epoch = self.epoch
        while True:
            frame = await socket.recv(decode=False)
            reception = self._feed.received(epoch, frame, self._clock.now_ns())
            if reception is Reception.DATA:
                self._last_data_ns = self._clock.monotonic_ns()
                self._backoff.reset()
                self.trouble = None
            elif reception is Reception.ACK:
                self._acked.set()
            elif reception is Reception.SUBSCRIPTION_REFUSED:
                raise FeedLostError("the venue refused the subscription")
            elif reception is Reception.GOING_AWAY:
                raise FeedLostError("the venue announced that it closes this connection")

    async def _watch(self) -> None:
        try:
            await within(self._clock, self._limits.ack_timeout_s, self._await_ack())
        except TimeoutError:
            raise FeedLostError(f"no subscription ack within {self._limits.ack_timeout_s:g} s") from None
        allowed = self._limits.stale_after_s
        while (quiet := (self._clock.monotonic_ns() - self._last_data_ns) / SECOND_NS) < allowed:
            await self._clock.sleep(allowed - quiet)
        raise FeedLostError(f"no data for {quiet:.1f} s (allowed: {allowed:g} s)", Absence.STALE)

    async def _attend(self) -> None:
        await self._await_ack()
        await self._feed.attend(self.epoch)
        raise FeedLostError("the feed gave up this connection")

    async def _await_ack(self) -> None:
        await self._acked.wait()

    async def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.transport.abort()
            await socket.wait_closed()
