"""Kraken spot as a provider, key-free: books with checksums over one WebSocket. Frames: kraken_decoder.py."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import ClassVar

from marketstream.clock import Clock
from marketstream.market.events import Absence
from marketstream.market.instruments import Fees, Kind, Venue
from marketstream.providers.peer import check_url, within
from marketstream.providers.transport import Reception
from marketstream.providers.venues.kraken_decoder import KrakenDecoder
from marketstream.providers.venues.kraken_symbols import parse_symbols
from marketstream.providers.venues.readings import FrameKind, Reading
from marketstream.providers.venues.venue_provider import MAX_PENDING, VenueProvider

DEFAULT_WS_URL = "wss://ws.kraken.com/v2"
DEFAULT_SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD")
ANSWER_S = 5.0
"""How long a snapshot may take before it is asked for again."""


def kraken_venue(stale_after_s: float = 10.0) -> Venue:
    """Return the venue; its fee is the taker's of the first volume tier, without discounts."""
    return Venue(
        id="kraken",
        name="Kraken",
        code="KRK",
        kind=Kind.ASSET,
        # 0.40 % (kraken.com/features/fee-schedule, Kraken Pro spot, 30-day volume from $0); it was 0.26 % once.
        fees=Fees(per_trade=0.004),
        stale_after_s=stale_after_s,
    )


class KrakenProvider(VenueProvider):
    """Quote Kraken spot pairs: top of the book of ten levels a side, its checksum compared after every frame.

    Args:
        name: Unique in a registry.
        clock: The only source of time.
        symbols: Such as `BTC/USD`, `BTC-USD`, or `PEPE/USD:0.00000001` with its tick.
        ws_url: Address of the stream, `wss://` (`ws://` on loopback only).
        rng: Jitter of waits; seed it where a run must repeat.
        stale_after_s: Without data for this long the connection is opened again and quotes are stale.
        max_pending: Rows kept for the next `collect`; beyond it only the newest of each pair (`conflated`).
    """

    kind = "kraken"
    decoder: KrakenDecoder
    _RECEPTIONS: ClassVar[dict[FrameKind, Reception]] = {
        FrameKind.DELTA: Reception.DATA,
        FrameKind.SNAPSHOT: Reception.DATA,
    }

    def __init__(
        self,
        *,
        name: str = "kraken",
        clock: Clock,
        symbols: Sequence[str] = DEFAULT_SYMBOLS,
        ws_url: str = DEFAULT_WS_URL,
        rng: random.Random | None = None,
        stale_after_s: float = 10.0,
        max_pending: int = MAX_PENDING,
    ) -> None:
        parsed = parse_symbols(symbols)
        super().__init__(
            name=name,
            clock=clock,
            venue=kraken_venue(stale_after_s),
            symbols=parsed,
            decoder=KrakenDecoder([s.symbol for s in parsed]),
            url=check_url(ws_url, secure="wss", plain="ws"),
            rng=rng,
            stale_after_s=stale_after_s,
            max_pending=max_pending,
        )
        self._in_step = asyncio.Event()

    async def attend(self, epoch: int) -> None:
        """Ask anew for every book out of step; a second round within a minute waits first."""
        while True:
            # The snapshots of what was asked for last come by themselves, or never.
            await self._await_snapshots()
            while not self.decoder.wanted:
                self._out_of_step.clear()
                await self._out_of_step.wait()
            await self.clock.sleep(self._pause_s())
            for request in self.decoder.resubscribe() if self.decoder.wanted else ():
                await self.transport.send(request)

    async def _await_snapshots(self) -> None:
        self._in_step = asyncio.Event()
        if not self.decoder.wanted:
            return
        try:
            await within(self.clock, ANSWER_S, self._in_step.wait())
        except TimeoutError:
            return

    def _take(self, reading: Reading) -> None:
        super()._take(reading)
        if reading.kind is FrameKind.SNAPSHOT and not self.decoder.wanted:
            self._in_step.set()

    def _reception(self, reading: Reading) -> Reception:
        if reading.refusal is not None:
            return Reception.OTHER
        if reading.kind in (FrameKind.ACK, FrameKind.ERROR) and self.decoder.answered:
            return Reception.ACK if self.decoder.accepted else Reception.SUBSCRIPTION_REFUSED
        if reading.kind is FrameKind.HEARTBEAT and self.decoder.halt:
            # While nothing trades there is nothing to tell: a heartbeat is all that a sound connection gives.
            return Reception.DATA
        return super()._reception(reading)

    def _why_silent(self, absence: Absence | None, detail: str) -> tuple[Absence | None, str]:
        if self.decoder.halt:
            return absence, f"{detail}; the venue matches no orders: {self.decoder.halt}"
        return super()._why_silent(absence, detail)
