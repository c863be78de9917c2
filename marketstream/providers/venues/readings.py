"""What a venue's decoder makes of one frame, in the same words for every venue, as in binance_decoder.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from marketstream.market.quotes import QuoteState, Refusal


class FrameKind(StrEnum):
    """What a frame was."""

    DELTA = "delta"
    TICKER = "ticker"
    SNAPSHOT = "snapshot"
    OLD = "old"
    ACK = "ack"
    ERROR = "error"
    SHUTDOWN = "shutdown"
    UNKNOWN = "unknown"
    REFUSED = "refused"


class Quote(NamedTuple):
    """One quote in the order of QUOTE_DTYPE; `instrument` is the symbol's place in its decoder's list."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float
    ts_event: int
    ts_received: int
    seq: int
    instrument: int
    venue: int = 0
    provider: int = 0
    state: int = int(QuoteState.LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of one frame: its kind, the quotes it gave, and the reason where something was refused."""

    kind: FrameKind
    quotes: tuple[Quote, ...] = ()
    refusal: Refusal | None = None
    detail: str = ""
