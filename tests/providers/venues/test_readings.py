from __future__ import annotations

import msgspec
import pytest

from marketstream.market.quotes import QUOTE_DTYPE, QuoteState, Refusal
from marketstream.providers.venues.readings import (
    FrameKind,
    FrameLimits,
    FrameRefusedError,
    Quote,
    Reading,
    guarded,
    plain,
    state_row,
)

LIMITS = FrameLimits(max_bytes=100, large_bytes=10, mark=b"[", max_marks=3)


def _raising(error: Exception) -> Reading:
    def read(frame: bytes, ts_received: int) -> Reading:
        raise error

    return guarded(read, b"{}", 1, LIMITS)


def test_a_quote_has_the_order_of_the_packed_rows() -> None:
    assert Quote._fields == QUOTE_DTYPE.names


def test_a_state_row_has_no_price() -> None:
    row = state_row(3, 77, 5, QuoteState.GAP)
    assert repr(row[:4]) == "(nan, nan, 0.0, 0.0)"
    assert (row.ts_event, row.ts_received, row.seq, row.instrument, row.state) == (77, 77, 5, 3, QuoteState.GAP)


@pytest.mark.parametrize(
    ("frame", "says"),
    [(b"x" * 101, "101 bytes, allowed 100"), (b"[" * 11, "more than 3 parts in one frame")],
)
def test_a_frame_that_would_grow_is_refused_before_it_is_read(frame: bytes, says: str) -> None:
    reading = guarded(lambda frame, ts: pytest.fail("it was read"), frame, 1, LIMITS)
    assert (reading.kind, reading.refusal, reading.detail) == (FrameKind.REFUSED, Refusal.MALFORMED, says)


@pytest.mark.parametrize("frame", [b"[" * 10, b"[[[" + b"x" * 97, b""])
def test_a_frame_within_the_limits_is_read(frame: bytes) -> None:
    reading = guarded(lambda frame, ts: Reading(kind=FrameKind.DELTA, detail=f"{len(frame)} at {ts}"), frame, 7, LIMITS)
    assert reading.detail == f"{len(frame)} at 7"


@pytest.mark.parametrize(
    "error",
    [
        msgspec.DecodeError("x"),
        msgspec.ValidationError("x"),
        RecursionError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
    ],
)
def test_what_bad_bytes_raise_is_one_refusal(error: Exception) -> None:
    assert _raising(error).refusal is Refusal.MALFORMED


def test_a_refusal_keeps_its_reason() -> None:
    reading = _raising(FrameRefusedError(Refusal.NEGATIVE_SIZE, "a size was -1"))
    assert (reading.refusal, reading.detail) == (Refusal.NEGATIVE_SIZE, "a size was -1")


def test_a_bug_of_ours_is_no_refusal() -> None:
    with pytest.raises(KeyError):
        _raising(KeyError("x"))


def test_a_venues_text_is_cut_and_made_printable() -> None:
    assert plain("a\x00b\u202ec\n" + "x" * 500) == "abc" + "x" * 194
