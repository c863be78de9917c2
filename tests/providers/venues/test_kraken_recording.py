"""The decoder on recorded messages; skipped where they are absent."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from marketstream.market.quotes import Refusal
from marketstream.providers.venues.kraken_decoder import KrakenDecoder
from marketstream.providers.venues.kraken_messages import BookChange, TextLevel, parse_books
from marketstream.providers.venues.levels import PRICE_SCALE
from marketstream.providers.venues.readings import FrameKind

_BOOK = "fixtures/kraken/ws_book_snapshot.json"
_KINDS = {
    "ws_book_snapshot": FrameKind.SNAPSHOT,
    "ws_subscribe_response": FrameKind.UNKNOWN,  # of the channel "ticker"
    "ws_pong": FrameKind.HEARTBEAT,
    "ws_ticker_snapshot": FrameKind.UNKNOWN,
    "ws_trade_update": FrameKind.UNKNOWN,
    "ws_l3_snapshot": FrameKind.UNKNOWN,
    "ws_l3_update_add": FrameKind.UNKNOWN,
    "ws_add_order_response_success": FrameKind.UNKNOWN,
}


@pytest.fixture(scope="module")
def messages(shared_data: Path) -> Path:
    return shared_data / "messages"


def _levels(levels: tuple[TextLevel, ...]) -> list[list[Decimal]]:
    return [[Decimal(level.price) / PRICE_SCALE, Decimal(str(level.size))] for level in levels]


def _book(messages: Path) -> tuple[bytes, BookChange]:
    frame = (messages / _BOOK).read_bytes()
    # Its data come last; read as they stand, so that no number loses a zero.
    (change,) = parse_books(frame.partition(b'"data":')[2].rstrip()[:-1])
    return frame, change


def test_the_recorded_book_is_read_as_published(messages: Path) -> None:
    (event,) = json.loads((messages / "EVENTS.json").read_text())["fixtures"][_BOOK]["events"]
    _, change = _book(messages)
    assert (change.symbol, change.ts_event) == (event["instrument"], event["ts_ns"])
    for ours, published in ((change.bids, event["bids"]), (change.asks, event["asks"])):
        assert _levels(ours) == [[Decimal(number) for number in level] for level in published]


def test_the_recorded_book_agrees_with_the_published_facts(messages: Path) -> None:
    cases = [c for c in json.loads((messages / "FACTS.json").read_text())["cases"] if c["fixtures"] == [_BOOK]]
    facts: dict[str, Any] = dict(pair for case in cases for pair in case["facts"])
    frame, change = _book(messages)
    reading = KrakenDecoder([change.symbol]).receive(frame, 0)
    assert facts["message.channel"].lower() == json.loads(frame)["channel"]
    assert facts["message.event_type"].lower() == reading.kind
    assert (facts["book.symbol"], facts["book.timestamp"]) == (change.symbol, change.ts_event)
    assert facts["bids.count"] == len(change.bids)


def test_the_recorded_book_was_trimmed_and_its_checksum_tells(messages: Path) -> None:
    # Three levels a side are left of ten: the structure is whole, the book is not the venue's.
    decoder = KrakenDecoder(["BTC/USD"])
    reading = decoder.receive((messages / _BOOK).read_bytes(), 0)
    assert (reading.kind, reading.checksum, reading.refusal) == (FrameKind.SNAPSHOT, False, Refusal.WRONG_CHECKSUM)
    assert reading.quotes == ()
    assert decoder.checksums == {False: 1}


@pytest.mark.parametrize(("name", "kind"), _KINDS.items())
def test_recorded_messages_of_this_interface_are_what_they_are(messages: Path, name: str, kind: FrameKind) -> None:
    frame = (messages / "fixtures" / "kraken" / f"{name}.json").read_bytes()
    assert KrakenDecoder(["BTC/USD"]).receive(frame, 0).kind is kind


def test_no_recorded_message_of_any_venue_raises_or_quotes(messages: Path) -> None:
    files = sorted(path for path in (messages / "fixtures").rglob("*") if path.is_file())
    assert len(files) >= 190
    decoder = KrakenDecoder(["BTC/USD", "ETH/USD"])
    for path in files:
        reading = decoder.receive(path.read_bytes(), 0)
        structural = reading.refusal not in (None, Refusal.WRONG_CHECKSUM)
        assert (reading.kind is FrameKind.REFUSED) == structural, path
        assert reading.quotes == (), path
    assert decoder.counts.total() == len(files)
