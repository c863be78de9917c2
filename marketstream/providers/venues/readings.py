"""What a venue's decoder makes of one frame, in the same words for every venue, as in binance_decoder.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from marketstream.market.quotes import QuoteState, Refusal


class FrameKind(StrEnum):
    """What a frame was."""

    DELTA = "delta"
    TICKER = "ticker"
    SNAPSHOT = "snapshot"
    HEARTBEAT = "heartbeat"
    STATUS = "status"
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
    """What became of one frame.

    Attributes:
        kind: What it was by its structure.
        quotes: The rows that it gave.
        refusal: Why it, or the book that it makes, goes no further.
        detail: The same in a sentence.
        checksum: Whether the books that it makes are the venue's; None where there was nothing to compare.
    """

    kind: FrameKind
    quotes: tuple[Quote, ...] = ()
    refusal: Refusal | None = None
    detail: str = ""
    checksum: bool | None = None


class FrameRefusedError(Exception):
    """A frame that goes no further, and why; never leaves the decoder."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLimits:
    """How large a frame may be; of one beyond `large_bytes` the bytes `mark`, one to each level, are counted."""

    max_bytes: int
    large_bytes: int
    mark: bytes
    max_marks: int

    def check(self, frame: bytes) -> None:
        """Raise FrameRefusedError when `frame` would take far more room as objects than as bytes."""
        if len(frame) > self.max_bytes:
            raise FrameRefusedError(Refusal.MALFORMED, f"{len(frame)} bytes, allowed {self.max_bytes}")
        if len(frame) > self.large_bytes and frame.count(self.mark) > self.max_marks:
            raise FrameRefusedError(Refusal.MALFORMED, f"more than {self.max_marks} parts in one frame")


def guarded(read: Callable[[bytes, int], Reading], frame: bytes, ts_received: int, limits: FrameLimits) -> Reading:
    """Return what `read` makes of a frame, or one refusal: no bytes raise anything."""
    try:
        limits.check(frame)
        return read(frame, ts_received)
    except FrameRefusedError as error:
        return Reading(kind=FrameKind.REFUSED, refusal=error.reason, detail=str(error))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # What msgspec raises for bad JSON, bad UTF-8 and deep nesting.
        return Reading(kind=FrameKind.REFUSED, refusal=Refusal.MALFORMED, detail=str(error))


def plain(text: str, limit: int = 200) -> str:
    """Return the printable part of a venue's text, for a log line."""
    return "".join(c for c in text[:limit] if c.isprintable())


def state_row(place: int, ts_received: int, seq: int, state: QuoteState) -> Quote:
    """Return the row that takes a symbol out of the book."""
    return Quote(math.nan, math.nan, 0.0, 0.0, ts_received, ts_received, seq, place, state=int(state))
