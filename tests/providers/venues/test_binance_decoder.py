from __future__ import annotations

import json
import math
import random
import time
import tracemalloc

import pytest
from binance_frames import NEXT, SAMPLES, SNAPSHOT, SYMBOLS, Sample
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback_venue import depth, snapshot, ticker

from marketstream.market.quotes import QuoteState, Refusal
from marketstream.providers.venues.binance_book import MAX_WAITING_LEVELS
from marketstream.providers.venues.binance_decoder import BinanceDecoder
from marketstream.providers.venues.readings import FrameKind, Reading

TS = 1_767_225_600_000_000_000


def _synced() -> BinanceDecoder:
    decoder = BinanceDecoder(SYMBOLS)
    decoder.snapshot("BTCUSDT", SNAPSHOT, TS)
    _begin(decoder)
    return decoder


def _begin(decoder: BinanceDecoder) -> Reading:
    # An update of the other symbol, whose book waits: it shows that the stream lives.
    return _give(decoder, depth("ETHBTC", 1, 1))


def _give(decoder: BinanceDecoder, frame: dict[str, object], ts: int = TS) -> Reading:
    return decoder.receive(json.dumps(frame).encode(), ts)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_reads_every_frame_of_our_own_making(sample: Sample) -> None:
    decoder = _synced()
    before = decoder.counts.copy()
    reading = decoder.receive(sample.frame, TS)
    assert (reading.kind, reading.refusal) == (sample.kind, sample.refusal), reading.detail
    assert decoder.counts - before == {sample.kind: 1}
    if sample.top is not None:
        (quote,) = reading.quotes
        assert (quote.bid, quote.ask, quote.state) == (*sample.top, QuoteState.LIVE)


def test_a_refused_frame_changes_no_book() -> None:
    for sample in SAMPLES:
        if sample.refusal not in (None, Refusal.OUT_OF_SEQUENCE):
            decoder = _synced()
            decoder.receive(sample.frame, TS)
            assert decoder.book("BTCUSDT").last == 100, sample.name
            assert decoder.book("BTCUSDT").bids.levels() == _synced().book("BTCUSDT").bids.levels(), sample.name


def test_asks_for_depth_and_ticker_of_every_symbol_and_knows_the_answer() -> None:
    decoder = BinanceDecoder(SYMBOLS)
    request = json.loads(decoder.subscribe())
    assert request == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@depth@100ms", "btcusdt@bookTicker", "ethbtc@depth@100ms", "ethbtc@bookTicker"],
        "id": 1,
    }
    assert decoder.receive(b'{"result":null,"id":1}', TS).kind is FrameKind.ACK
    decoder.subscribe()
    assert decoder.receive(b'{"result":null,"id":1}', TS).kind is FrameKind.UNKNOWN


def test_a_depth_quote_carries_the_event_time_and_the_update_id() -> None:
    reading = _give(_synced(), depth("BTCUSDT", 101, 103, bids=[["64000.15", "4"]]), ts=TS + 5)
    (quote,) = reading.quotes
    assert quote == (64000.15, 64000.20, 4.0, 0.7, 1_672_515_782_136_000_000, TS + 5, 103, 0, 0, 0, 0)


def test_a_ticker_quote_has_the_time_of_receipt() -> None:
    (quote,) = _give(_synced(), ticker("BTCUSDT", 105, "64000.11", "1", "64000.19", "2"), ts=TS + 7).quotes
    assert (quote.ts_event, quote.ts_received, quote.seq) == (TS + 7, TS + 7, 105)


def test_the_newest_update_id_wins_between_book_and_ticker() -> None:
    decoder = _synced()
    assert _give(decoder, ticker("BTCUSDT", 105, "64000.11", "1", "64000.19", "2")).quotes[0].bid == 64000.11
    # The book is still at an older update, so it shows nothing.
    assert _give(decoder, depth("BTCUSDT", 101, 104, bids=[["64000.12", "1"]])).quotes == ()
    # At the same update they agree: nothing new.
    same = depth("BTCUSDT", 105, 105, bids=[["64000.12", "0"], ["64000.11", "1"]], asks=[["64000.19", "2"]])
    assert _give(decoder, same).quotes == ()
    (quote,) = _give(decoder, depth("BTCUSDT", 106, 106, bids=[["64000.13", "1"]])).quotes
    assert (quote.bid, quote.seq) == (64000.13, 106)


def test_a_repeated_ticker_is_old() -> None:
    decoder = _synced()
    frame = ticker("BTCUSDT", 105, "64000.11", "1", "64000.19", "2")
    assert [_give(decoder, frame).kind for _ in range(2)] == [FrameKind.TICKER, FrameKind.OLD]


def test_nothing_is_quoted_before_the_first_snapshot() -> None:
    decoder = BinanceDecoder(SYMBOLS)
    assert decoder.wanted == SYMBOLS
    assert _give(decoder, depth("BTCUSDT", 101, 101, bids=[["1", "1"]])).quotes == ()
    assert _give(decoder, ticker("BTCUSDT", 102, "64000.11", "1", "64000.19", "2")).quotes == ()
    (quote,) = decoder.snapshot("BTCUSDT", SNAPSHOT, TS + 9).quotes
    # The ticker that waited is newer than the book, and known to stand at the time of the snapshot.
    assert (quote.bid, quote.seq, quote.ts_event, quote.ts_received) == (64000.11, 102, TS, TS + 9)
    assert decoder.wanted == ("ETHBTC",)


def test_a_snapshot_alone_quotes_nothing() -> None:
    decoder = BinanceDecoder(SYMBOLS)
    assert decoder.snapshot("BTCUSDT", SNAPSHOT, TS).quotes == ()
    # Neither an answer nor an old frame shows that the stream lives.
    for frame in (b'{"result":null,"id":0}', json.dumps(depth("BTCUSDT", 90, 100)).encode(), b"{"):
        assert decoder.receive(frame, TS).quotes == ()
    (quote,) = _begin(decoder).quotes
    assert (quote.bid, quote.ask, quote.seq, quote.instrument) == (64000.10, 64000.20, 100, 0)


def test_a_gap_gives_one_state_row_and_asks_for_a_snapshot() -> None:
    decoder = _synced()
    first = _give(decoder, depth("BTCUSDT", 105, 106, bids=[["64000.15", "4"]]), ts=TS + 1)
    (row,) = first.quotes
    assert first.refusal is Refusal.OUT_OF_SEQUENCE
    assert (row.state, row.ts_received, row.bid_size) == (QuoteState.GAP, TS + 1, 0.0)
    assert math.isnan(row.bid)
    assert "BTCUSDT" in decoder.wanted
    # Meanwhile neither deltas nor tickers quote the symbol.
    assert _give(decoder, depth("BTCUSDT", 107, 107, bids=[["64000.16", "4"]])).quotes == ()
    assert _give(decoder, ticker("BTCUSDT", 106, "64000.15", "4", "64000.20", "0.7")).quotes == ()
    (quote,) = decoder.snapshot("BTCUSDT", snapshot(106, [["64000.15", "4"]], [["64000.20", "0.7"]]), TS).quotes
    assert (quote.bid, quote.seq, quote.state) == (64000.16, 107, QuoteState.LIVE)


def test_a_snapshot_older_than_the_waiting_updates_is_asked_for_again() -> None:
    decoder = BinanceDecoder(SYMBOLS)
    _give(decoder, depth("BTCUSDT", 150, 151, bids=[["64000.15", "4"]]))
    assert decoder.snapshot("BTCUSDT", SNAPSHOT, TS).kind is FrameKind.OLD
    assert "BTCUSDT" in decoder.wanted
    assert decoder.snapshot("BTCUSDT", SNAPSHOT.replace(b"100", b"149"), TS).quotes[0].seq == 151


def test_a_bad_snapshot_is_refused_and_wanted_still() -> None:
    for body in (b"", b"{}", b'{"lastUpdateId":1,"bids":[["x","1"]],"asks":[]}', b"[]"):
        decoder = BinanceDecoder(SYMBOLS)
        assert decoder.snapshot("BTCUSDT", body, TS).refusal is Refusal.MALFORMED
        assert decoder.wanted == SYMBOLS


def test_a_side_that_nobody_quotes_is_nan_with_size_0() -> None:
    (quote,) = _give(_synced(), ticker("BTCUSDT", 105, "0.00000000", "0.00000000", "64000.19", "2")).quotes
    assert math.isnan(quote.bid)
    assert (quote.bid_size, quote.ask) == (0.0, 64000.19)
    (quote,) = _give(_synced(), depth("BTCUSDT", 101, 101, asks=[["64000.20", "0"], ["64001", "0"]])).quotes
    assert math.isnan(quote.ask)
    assert quote.ask_size == 0.0


def test_a_reset_takes_every_quoted_symbol_out() -> None:
    decoder = _synced()
    (row,) = decoder.reset(TS + 3)
    assert (row.state, row.instrument, row.ts_received) == (QuoteState.GAP, 0, TS + 3)
    assert decoder.reset(TS + 4) == ()
    assert decoder.wanted == SYMBOLS


def test_prices_are_the_floats_of_their_texts() -> None:
    rng = random.Random(11)
    for _ in range(300):
        text = f"{rng.randrange(10 ** rng.randrange(1, 7))}.{rng.randrange(1, 10**8):08d}"
        decoder = BinanceDecoder(SYMBOLS)
        decoder.snapshot("BTCUSDT", snapshot(1, [[text, "1"]], []), TS)
        (quote,) = _begin(decoder).quotes
        assert quote.bid == float(text)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_reading(frame: bytes) -> None:
    decoder = _synced()
    for reading in (decoder.receive(frame, TS), decoder.snapshot("ETHBTC", frame, TS)):
        assert isinstance(reading, Reading)
        assert (reading.kind is FrameKind.REFUSED) == (reading.refusal is not None)
    assert decoder.counts.total() == 4


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("esuUbaBAE"), inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(["e", "E", "s", "U", "u", "b", "B", "a", "A", "data", "stream", "id"]), _JSON))
def test_any_json_in_the_venues_own_names_gives_a_reading(frame: dict[str, object]) -> None:
    frames = (
        frame,
        {"e": "depthUpdate", "E": 1, "s": "BTCUSDT"} | frame,
        {"stream": "x@bookTicker", "data": frame},
    )
    for one in frames:
        reading = _give(_synced(), one)
        assert (reading.kind is FrameKind.REFUSED) == (reading.refusal is not None)


_VALID = [sample.frame for sample in SAMPLES if sample.top is not None]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(_VALID), st.integers(0, 400), st.binary(max_size=6), st.integers(0, 6))
def test_a_frame_changed_anywhere_gives_a_reading(frame: bytes, at: int, insert: bytes, removed: int) -> None:
    decoder = _synced()
    decoder.receive(frame[:at] + insert + frame[at + removed :], TS)
    assert decoder.counts.total() == 3


_MANY_LEVELS = b'["1","1"],' * 95_000 + b'["1","1"]'


@pytest.mark.parametrize(
    "frame",
    [
        b'{"e":"depthUpdate","E":1,"s":"BTCUSDT",' + NEXT.encode() + b',"a":[],"b":[' + _MANY_LEVELS + b"]}",
        b'{"a":' * 200_000,
        b'{"e":"' + b"\\u00e9" * 174_000 + b'"}',
        b"[" * (1 << 20),
    ],
    ids=["too many levels", "nested objects", "escapes", "nested lists"],
)
def test_the_worst_frame_costs_little_time_and_memory(frame: bytes) -> None:
    assert 900_000 < len(frame) <= 1 << 20
    decoder = _synced()
    spent = []
    for _ in range(3):
        started = time.process_time()
        decoder.receive(frame, TS)
        spent.append(time.process_time() - started)
    assert min(spent) < 0.05
    tracemalloc.start()
    try:
        decoder.receive(frame, TS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(frame)


def test_what_waits_for_a_snapshot_is_bounded() -> None:
    decoder = BinanceDecoder(SYMBOLS)
    levels = [[f"{price}", "1"] for price in range(1, 1001)]
    for i in range(200):
        _give(decoder, depth("BTCUSDT", i + 1, i + 1, bids=levels))
    assert decoder.book("BTCUSDT").waiting_levels <= MAX_WAITING_LEVELS
    # The newest were kept: a snapshot that joins them makes a book at the last update.
    assert decoder.snapshot("BTCUSDT", snapshot(199, [["1", "1"]], []), TS).quotes[0].seq == 200
