"""What every venue's provider does: take what comes in, hand rows on, say how it is. The venues: binance.py ..."""

from __future__ import annotations

import abc
import asyncio
import logging
import random
from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import QUOTE_DTYPE, empty_quotes
from marketstream.providers.base import HealthReport, Input, InputKind, Provider
from marketstream.providers.peer import Backoff
from marketstream.providers.transport import Reception, TransportLimits, WebSocketTransport
from marketstream.providers.venues.readings import FrameKind, Quote, Reading
from marketstream.providers.venues.symbols import VenueSymbol

_LOG = logging.getLogger(__name__)

MAX_PENDING = 20_000
ROUND_PAUSE_S = 60.0
ROUND_CAP_S = 10.0


class Decoder(Protocol):
    """What reads a venue's frames; its readings name a symbol by its place in the provider's list."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the symbols whose book waits for a snapshot."""
        ...

    def subscribe(self) -> str:
        """Return the frame that asks for everything on a new connection."""
        ...

    def reset(self, ts_received: int) -> tuple[Quote, ...]:
        """Forget every book; returns rows for what was quoted."""
        ...

    def receive(self, frame: bytes, ts_received: int) -> Reading:
        """Read one frame; any bytes give a reading."""
        ...


class VenueProvider(Provider):
    """A venue behind one WebSocket.

    Everything from outside is told to `tap` and goes one way, which `replay` goes too: nothing of it reads a
    clock. What is sent, and when, is left to the subclass's `attend`; rows never depend on it.

    Args:
        name: Unique in a registry.
        clock: The only source of time.
        venue: Whose prices these are.
        symbols: What is asked for.
        decoder: Reads the frames; its symbols are those above, in the same order.
        url: Where the stream is, checked.
        rng: Jitter of waits; seed it where a run must repeat.
        stale_after_s: Without data for this long the connection is opened again and quotes are stale.
        max_pending: Rows kept for the next `collect`; beyond it only the newest of each pair (`conflated`).
    """

    decoder: Decoder
    """Reads the frames, and holds all that is known of the venue's books."""

    _RECEPTIONS: ClassVar[dict[FrameKind, Reception]] = {}

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        venue: Venue,
        symbols: Sequence[VenueSymbol],
        decoder: Decoder,
        url: str,
        rng: random.Random | None = None,
        stale_after_s: float = 10.0,
        max_pending: int = MAX_PENDING,
    ) -> None:
        super().__init__(name=name, clock=clock, stale_after_s=stale_after_s)
        rng = rng or random.Random()  # noqa: S311 jitter, not a secret
        self.venue = venue
        self.symbols = tuple(symbols)
        self.conflated = 0
        self.transport = WebSocketTransport(
            url=url,
            feed=self,
            clock=clock,
            rng=rng,
            stats=self.stats,
            limits=TransportLimits(stale_after_s=stale_after_s),
        )
        self.decoder = decoder
        self._max_pending = max(max_pending, len(self.symbols))
        self._pending: list[Quote] = []
        self._codes = np.zeros(0, dtype=np.int32)
        self._venue_code = -1
        self._epoch = 0
        self._out_of_step = asyncio.Event()
        self._rounds = Backoff(rng, cap_s=ROUND_CAP_S)
        self._last_round_ns: int | None = None

    def listing(self) -> Listing:
        """Return one asset per symbol, all on one venue."""
        instruments = tuple(
            Instrument(id=s.instrument_id, kind=Kind.ASSET, quote_currency=s.quote, tick=s.tick) for s in self.symbols
        )
        pairs = tuple((i.id, self.venue.id) for i in instruments)
        return Listing(instruments=instruments, venues=(self.venue,), pairs=pairs)

    def attach(self, catalog: Catalog) -> None:
        """Enter the listing into `catalog` and take codes from it."""
        super().attach(catalog)
        self._codes = np.array([catalog.code(s.instrument_id) for s in self.symbols], dtype=np.int32)
        self._venue_code = catalog.venue_code(self.venue.id)

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        await super().start()
        # Of this loop: an event waited for on one loop cannot be used on another.
        self._out_of_step = asyncio.Event()
        self.transport.start()

    async def stop(self) -> None:
        """Close every connection and forget what was not collected."""
        await self.transport.stop()
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
        if report.status is ProviderStatus.DEGRADED:
            absence, detail = self._why_silent(report.absence, report.detail)
            return self._report(absence, detail, report.age_s)
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

    @abc.abstractmethod
    async def attend(self, epoch: int) -> None:
        """Bring books that are out of step back, beside an acknowledged connection; runs until cancelled."""

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
        else:
            raise InvalidInputError(f"a provider of kind {self.kind!r} takes no input {given.kind}")

    def _tell(self, kind: InputKind, epoch: int, ts: int, key: str = "", body: bytes = b"") -> None:
        if self.tap is not None:
            self.tap(Input(provider=self.name, kind=kind, epoch=epoch, ts=ts, key=key, body=body))

    def _open(self, epoch: int, ts: int) -> Sequence[str]:
        self._epoch = epoch
        self._keep(self.decoder.reset(ts))
        self._out_of_step.set()
        return (self.decoder.subscribe(),)

    def _read(self, epoch: int, frame: bytes, ts: int) -> Reception:
        if epoch != self._epoch:
            return Reception.OTHER
        self.stats.frames += 1
        reading = self.decoder.receive(frame, ts)
        self._take(reading)
        return self._reception(reading)

    def _close(self, epoch: int, ts: int) -> None:
        if epoch == self._epoch:
            self._keep(self.decoder.reset(ts))

    def _reception(self, reading: Reading) -> Reception:
        return self._RECEPTIONS.get(reading.kind, Reception.OTHER)

    def _why_silent(self, absence: Absence | None, detail: str) -> tuple[Absence | None, str]:
        # Called while nothing valid comes: the words of the venue where it has any.
        wanted = self.decoder.wanted
        if not wanted:
            return absence, detail
        return Absence.GAP, f"{detail}; no snapshot yet of {', '.join(wanted[:5])}"

    def _pause_s(self) -> float:
        # The first round of repairs comes at once; another within a minute waits, longer each time.
        now, last = self.clock.monotonic_ns(), self._last_round_ns
        self._last_round_ns = now
        if last is None or now - last > ROUND_PAUSE_S * SECOND_NS:
            self._rounds.reset()
            return 0.0
        return self._rounds.next()

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
