"""Binance spot as a provider, key-free: WebSocket updates, REST snapshots. Frames: binance_decoder.py."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError, MarketStreamError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.instruments import Fees, Instrument, Kind, Venue
from marketstream.market.quotes import QUOTE_DTYPE, empty_quotes
from marketstream.providers.base import HealthReport, Input, InputKind, Provider
from marketstream.providers.peer import Backoff, FeedLostError, FeedRefusedError, check_url
from marketstream.providers.rest import RestClient
from marketstream.providers.transport import Reception, TransportLimits, WebSocketTransport
from marketstream.providers.venues.binance_decoder import BinanceDecoder
from marketstream.providers.venues.binance_symbols import parse_symbols
from marketstream.providers.venues.readings import FrameKind, Quote, Reading

_LOG = logging.getLogger(__name__)

DEFAULT_WS_URL = "wss://data-stream.binance.vision"
DEFAULT_REST_URL = "https://data-api.binance.vision"
DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ETHBTC")
MAX_PENDING = 20_000
SNAPSHOT_LEVELS = 1_000
SNAPSHOT_PAUSE_S = 60.0
SNAPSHOT_CAP_S = 10.0

_RECEPTIONS = {
    FrameKind.DELTA: Reception.DATA,
    FrameKind.TICKER: Reception.DATA,
    FrameKind.ACK: Reception.ACK,
    FrameKind.ERROR: Reception.SUBSCRIPTION_REFUSED,
    FrameKind.SHUTDOWN: Reception.GOING_AWAY,
}


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


class BinanceProvider(Provider):
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
        super().__init__(name=name, clock=clock, stale_after_s=stale_after_s)
        self.symbols = parse_symbols(symbols)
        self.decoder = BinanceDecoder([s.symbol for s in self.symbols])
        self.conflated = 0
        rng = rng or random.Random()  # noqa: S311 jitter, not a secret
        self._rest = RestClient(base_url=rest_url, clock=clock)
        self.transport = WebSocketTransport(
            url=check_url(ws_url, secure="wss", plain="ws") + "/stream",
            feed=self,
            clock=clock,
            rng=rng,
            stats=self.stats,
            limits=TransportLimits(stale_after_s=stale_after_s),
        )
        self._max_pending = max(max_pending, len(self.symbols))
        self._pending: list[Quote] = []
        self._codes = np.zeros(0, dtype=np.int32)
        self._venue_code = -1
        self._epoch = 0
        self._out_of_step = asyncio.Event()
        self._snapshots = Backoff(rng, cap_s=SNAPSHOT_CAP_S)
        self._last_round_ns: int | None = None
        self._rest_trouble: MarketStreamError | None = None
        self._given_up: set[str] = set()

    def listing(self) -> Listing:
        """Return one asset per symbol, all on the venue `binance`."""
        instruments = tuple(
            Instrument(id=s.instrument_id, kind=Kind.ASSET, quote_currency=s.quote, tick=s.tick) for s in self.symbols
        )
        venue = binance_venue(self.stale_after_s)
        return Listing(instruments=instruments, venues=(venue,), pairs=tuple((i.id, venue.id) for i in instruments))

    def attach(self, catalog: Catalog) -> None:
        """Enter the listing into `catalog` and take codes from it."""
        super().attach(catalog)
        self._codes = np.array([catalog.code(s.instrument_id) for s in self.symbols], dtype=np.int32)
        self._venue_code = catalog.venue_code("binance")

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        await super().start()
        self.transport.start()

    async def stop(self) -> None:
        """Close every connection and forget what was not collected."""
        await self.transport.stop()
        await self._rest.close()
        self._pending.clear()
        await super().stop()

    def collect(self, now: int) -> np.ndarray:
        """Return the rows decoded since the last call, in order of receipt."""
        if not self._pending:
            return empty_quotes()
        pending, self._pending = self._pending, []
        rows = np.array(pending, dtype=QUOTE_DTYPE)
        rows["instrument"] = self._codes[rows["instrument"]]
        rows["venue"] = self._venue_code
        # A wall clock that was set back must not leave stamps in the future.
        np.minimum(rows["ts_received"], now, out=rows["ts_received"])
        return rows

    def health(self, now: int) -> HealthReport:
        """Judge by progress, and say why there is none: refused, lost, or waiting for snapshots."""
        refusal = self.transport.refusal
        if refusal is not None and self.status in (ProviderStatus.RUNNING, ProviderStatus.DEGRADED):
            self.status = ProviderStatus.FAULTED
        report = super().health(now)
        if report.status is ProviderStatus.FAULTED and refusal is not None:
            return self._report(refusal.absence, str(refusal), report.age_s)
        if report.status not in (ProviderStatus.RUNNING, ProviderStatus.DEGRADED):
            return report
        trouble = self.transport.trouble
        if trouble is not None and not self.transport.connected:
            # What a lost connection quoted is out of the book already, so it is no matter of waiting.
            self.status = ProviderStatus.DEGRADED
            return self._report(trouble.absence, str(trouble), report.age_s)
        if report.status is ProviderStatus.DEGRADED and self.decoder.wanted:
            return self._report(*self._snapshot_trouble(report.detail), report.age_s)
        return report

    def opened(self, epoch: int) -> Sequence[str]:
        """Start every book anew and subscribe."""
        ts = self.clock.now_ns()
        self._tell(InputKind.OPENED, epoch, ts)
        return self._open(epoch, ts)

    def received(self, epoch: int, frame: bytes, ts_received: int) -> Reception:
        """Decode one frame of the current connection; one of an older connection changes nothing."""
        self._tell(InputKind.FRAME, epoch, ts_received, body=frame)
        return self._read(epoch, frame, ts_received)

    def closed(self, epoch: int, ts: int) -> None:
        """Take every pair out of the book until the next connection is in step."""
        self._tell(InputKind.CLOSED, epoch, ts)
        self._close(epoch, ts)

    def replay(self, given: Input) -> None:
        """Take one recorded input by the way of a live one; no connection is needed."""
        if given.kind is InputKind.OPENED:
            self._open(given.epoch, given.ts)
        elif given.kind is InputKind.FRAME:
            self._read(given.epoch, given.body, given.ts)
        elif given.kind is InputKind.CLOSED:
            self._close(given.epoch, given.ts)
        elif given.kind is InputKind.SNAPSHOT:
            self._load(given.epoch, given.key, given.body, given.ts)
        else:
            raise InvalidInputError(f"a provider of kind {self.kind!r} takes no input {given.kind}")

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

    def _tell(self, kind: InputKind, epoch: int, ts: int, key: str = "", body: bytes = b"") -> None:
        if self.tap is not None:
            self.tap(Input(provider=self.name, kind=kind, epoch=epoch, ts=ts, key=key, body=body))

    def _open(self, epoch: int, ts: int) -> Sequence[str]:
        self._epoch = epoch
        self._given_up.clear()
        self._keep(self.decoder.reset(ts))
        self._out_of_step.set()
        return (self.decoder.subscribe(),)

    def _read(self, epoch: int, frame: bytes, ts: int) -> Reception:
        if epoch != self._epoch:
            return Reception.OTHER
        self.stats.frames += 1
        reading = self.decoder.receive(frame, ts)
        self._take(reading)
        return _RECEPTIONS.get(reading.kind, Reception.OTHER)

    def _close(self, epoch: int, ts: int) -> None:
        if epoch == self._epoch:
            self._keep(self.decoder.reset(ts))

    def _load(self, epoch: int, symbol: str, body: bytes, ts: int) -> None:
        if epoch == self._epoch:
            self._take(self.decoder.snapshot(symbol, body, ts))

    def _snapshot_trouble(self, detail: str) -> tuple[Absence, str]:
        waiting = f"{detail}; no snapshot yet of {', '.join(self.decoder.wanted[:5])}"
        trouble = self._rest_trouble
        if isinstance(trouble, FeedLostError):
            return trouble.absence, f"{waiting}: {trouble}"
        return Absence.GAP, waiting if trouble is None else f"{waiting}: {trouble}"

    def _pause_s(self) -> float:
        now, last = self.clock.monotonic_ns(), self._last_round_ns
        self._last_round_ns = now
        if last is None or now - last > SNAPSHOT_PAUSE_S * SECOND_NS:
            self._snapshots.reset()
            return 0.0
        return self._snapshots.next()

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

    def _take(self, reading: Reading) -> None:
        if reading.refusal is not None:
            self.stats.refuse(reading.refusal)
            self._out_of_step.set()
        if reading.kind is FrameKind.ERROR:
            self.stats.errors += 1
            _LOG.warning("%s: error from the venue: %s", self.name, reading.detail)
        self._keep(reading.quotes)

    def _keep(self, quotes: Sequence[Quote]) -> None:
        self._pending.extend(quotes)
        if len(self._pending) > self._max_pending:
            newest = {quote.instrument: quote for quote in self._pending}
            self.conflated += len(self._pending) - len(newest)
            self._pending = sorted(newest.values(), key=lambda quote: quote.ts_received)
