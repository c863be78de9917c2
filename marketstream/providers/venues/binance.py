"""Binance spot as a provider, key-free: WebSocket updates, REST snapshots. Frames: binance_decoder.py."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from typing import ClassVar

from marketstream.clock import Clock
from marketstream.errors import MarketStreamError
from marketstream.market.events import Absence
from marketstream.market.instruments import Fees, Kind, Venue
from marketstream.providers.base import Input, InputKind
from marketstream.providers.peer import FeedLostError, FeedRefusedError, check_url
from marketstream.providers.rest import RestClient
from marketstream.providers.transport import Reception
from marketstream.providers.venues.binance_decoder import BinanceDecoder
from marketstream.providers.venues.binance_symbols import parse_symbols
from marketstream.providers.venues.readings import FrameKind
from marketstream.providers.venues.venue_provider import MAX_PENDING, VenueProvider

_LOG = logging.getLogger(__name__)

DEFAULT_WS_URL = "wss://data-stream.binance.vision"
DEFAULT_REST_URL = "https://data-api.binance.vision"
DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ETHBTC")
SNAPSHOT_LEVELS = 1_000


def binance_venue(stale_after_s: float = 10.0) -> Venue:
    """Return the venue; its fee is the taker's 0.1 % without discounts."""
    return Venue(
        id="binance",
        name="Binance",
        code="BNC",
        kind=Kind.ASSET,
        fees=Fees(per_trade=0.001),
        stale_after_s=stale_after_s,
    )


class BinanceProvider(VenueProvider):
    """Quote Binance spot pairs: top of book from depth updates and bookTicker.

    Args:
        name: Unique in a registry.
        clock: The only source of time.
        symbols: Such as `BTCUSDT`, `BTC-USDT`, or `PEPEUSDT:0.00000001` with its tick.
        ws_url: Base of the stream, `wss://` (`ws://` on loopback only).
        rest_url: Base of the REST API, `https://` (`http://` on loopback only).
        rng: Jitter of waits; seed it where a run must repeat.
        stale_after_s: Without data for this long the connection is opened again and quotes are stale.
        max_pending: Rows kept for the next `collect`; beyond it only the newest of each pair (`conflated`).
    """

    kind = "binance"
    decoder: BinanceDecoder
    _RECEPTIONS: ClassVar[dict[FrameKind, Reception]] = {
        FrameKind.DELTA: Reception.DATA,
        FrameKind.TICKER: Reception.DATA,
        FrameKind.ACK: Reception.ACK,
        FrameKind.ERROR: Reception.SUBSCRIPTION_REFUSED,
        FrameKind.SHUTDOWN: Reception.GOING_AWAY,
    }

    def __init__(
        self,
        *,
        name: str = "binance",
        clock: Clock,
        symbols: Sequence[str] = DEFAULT_SYMBOLS,
        ws_url: str = DEFAULT_WS_URL,
        rest_url: str = DEFAULT_REST_URL,
        rng: random.Random | None = None,
        stale_after_s: float = 10.0,
        max_pending: int = MAX_PENDING,
    ) -> None:
        parsed = parse_symbols(symbols)
        super().__init__(
            name=name,
            clock=clock,
            venue=binance_venue(stale_after_s),
            symbols=parsed,
            decoder=BinanceDecoder([s.symbol for s in parsed]),
            url=check_url(ws_url, secure="wss", plain="ws") + "/stream",
            rng=rng,
            stale_after_s=stale_after_s,
            max_pending=max_pending,
        )
        self._rest = RestClient(base_url=rest_url, clock=clock)
        self._rest_trouble: MarketStreamError | None = None
        self._given_up: set[str] = set()

    async def stop(self) -> None:
        """Close every connection and forget what was not collected."""
        await super().stop()
        await self._rest.close()

    async def attend(self, epoch: int) -> None:
        """Fetch a snapshot for every book out of step; a second round within a minute waits first."""
        while True:
            wanted = [symbol for symbol in self.decoder.wanted if symbol not in self._given_up]
            if not wanted:
                self._out_of_step.clear()
                await self._out_of_step.wait()
                continue
            await self.clock.sleep(self._pause_s())
            for symbol in wanted:
                await self._fetch_snapshot(epoch, symbol)

    def replay(self, given: Input) -> None:
        """Take one recorded input by the way of a live one; no connection is needed."""
        if given.kind is InputKind.SNAPSHOT:
            self._load(given.epoch, given.key, given.body, given.ts)
        else:
            super().replay(given)

    def _open(self, epoch: int, ts: int) -> Sequence[str]:
        self._given_up.clear()
        return super()._open(epoch, ts)

    def _load(self, epoch: int, symbol: str, body: bytes, ts: int) -> None:
        if epoch == self._epoch:
            self._take(self.decoder.snapshot(symbol, body, ts))

    def _why_silent(self, absence: Absence | None, detail: str) -> tuple[Absence | None, str]:
        absence, detail = super()._why_silent(absence, detail)
        trouble = self._rest_trouble
        if not self.decoder.wanted or trouble is None:
            return absence, detail
        return trouble.absence if isinstance(trouble, FeedLostError) else absence, f"{detail}: {trouble}"

    async def _fetch_snapshot(self, epoch: int, symbol: str) -> None:
        try:
            body = await self._rest.get("/api/v3/depth", {"symbol": symbol, "limit": SNAPSHOT_LEVELS})
        except FeedRefusedError:
            raise
        except MarketStreamError as error:
            await self._miss(symbol, error)
        else:
            self._rest_trouble = None
            ts = self.clock.now_ns()
            self._tell(InputKind.SNAPSHOT, epoch, ts, symbol, body)
            self._load(epoch, symbol, body, ts)

    async def _miss(self, symbol: str, error: MarketStreamError) -> None:
        # A lost request is made again after a wait. One that is wrong for this symbol is not; others go on.
        _LOG.warning("no snapshot of %s: %s", symbol, error)
        self.stats.errors += 1
        self._rest_trouble = error
        if isinstance(error, FeedLostError):
            await self.clock.sleep(error.retry_after_s)
        else:
            self._given_up.add(symbol)
