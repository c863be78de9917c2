from __future__ import annotations

import json
import math
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kraken_frames import ASKS, BIDS, CHECKSUM, SAMPLES, SNAPSHOT, SYMBOLS, Sample, update
from kraken_market import KrakenMarket, book_frame
from kraken_venue import status, with_wrong_checksum

from marketstream.market.quotes import QuoteState, Refusal
from marketstream.providers.venues import kraken_decoder
from marketstream.providers.venues.kraken_decoder import KrakenDecoder
from marketstream.providers.venues.kraken_messages import BookChange
from marketstream.providers.venues.readings import FrameKind, Reading

TS = 1_767_225_600_000_000_000
BETTER = update([("45284.0", "0.50000000")])
MakeDecoder = Callable[[], KrakenDecoder]


def _make() -> KrakenDecoder:
    return KrakenDecoder(SYMBOLS)


def _synced(make: MakeDecoder = _make) -> KrakenDecoder:
    decoder = make()
    decoder.receive(SNAPSHOT, TS)
    return decoder


def _give(decoder: KrakenDecoder, frame: dict[str, object] | str, ts: int = TS) -> Reading:
    return decoder.receive((frame if isinstance(frame, str) else json.dumps(frame)).encode(), ts)


def _answer(symbol: str, *, method: str = "subscribe", channel: str = "book") -> dict[str, object]:
    return {"method": method, "success": True, "result": {"channel": channel, "symbol": symbol}, "req_id": 1}


def _refusal(symbol: str | None) -> dict[str, object]:
    named = {} if symbol is None else {"symbol": symbol}
    return {"method": "subscribe", "success": False, "error": "Currency pair not supported", **named}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_reads_every_frame_of_our_own_making(sample: Sample) -> None:
    decoder = _synced()
    before = decoder.counts.copy()
    reading = decoder.receive(sample.frame, TS)
    assert (reading.kind, reading.refusal, reading.checksum) == (sample.kind, sample.refusal, sample.checksum), reading
    assert decoder.counts - before == {sample.kind: 1}
    if sample.top is not None:
        (quote,) = reading.quotes
        assert (quote.bid, quote.ask, quote.state) == (*sample.top, QuoteState.LIVE)


def test_a_frame_refused_for_its_structure_changes_no_book() -> None:
    for sample in SAMPLES:
        if sample.kind is FrameKind.REFUSED:
            decoder = _synced()
            assert decoder.receive(sample.frame, TS).quotes == ()
            assert decoder.book("BTC/USD").checksum() == CHECKSUM, sample.name


def test_asks_for_ten_levels_of_every_symbol() -> None:
    assert json.loads(_make().subscribe()) == {
        "method": "subscribe",
        "params": {"channel": "book", "symbol": ["BTC/USD", "ETH/USD"], "depth": 10, "snapshot": True},
        "req_id": 1,
    }


def test_asks_anew_by_a_farewell_and_a_subscription() -> None:
    farewell, again = map(json.loads, _synced().resubscribe())
    assert (farewell["method"], farewell["params"]["symbol"], farewell["req_id"]) == ("unsubscribe", ["ETH/USD"], 1)
    assert (again["method"], again["params"]["symbol"], again["req_id"]) == ("subscribe", ["ETH/USD"], 2)


def test_a_quote_is_the_top_of_the_book_at_the_venues_time() -> None:
    decoder = _synced()
    (quote,) = decoder.receive(update([("45284.0", "0.50000000")], timestamp="2025-12-31T23:59:59.9Z"), TS + 5).quotes
    assert quote == (45284.0, 45285.2, 0.5, 0.001, TS - 100_000_000, TS + 5, 2, 0, 0, 0, 0)


def test_a_frame_without_a_time_has_the_time_of_receipt() -> None:
    (quote,) = _synced().receive(update(timestamp=None), TS + 7).quotes
    assert (quote.ts_event, quote.ts_received) == (TS + 7, TS + 7)


def test_a_side_that_nobody_quotes_is_nan_with_size_0() -> None:
    (quote,) = _give(_make(), book_frame("snapshot", "BTC/USD", [], [], checksum=0)).quotes
    assert math.isnan(quote.bid)
    assert math.isnan(quote.ask)
    assert (quote.bid_size, quote.ask_size) == (0.0, 0.0)


# ---- checksums


def test_a_wrong_checksum_gives_one_gap_row_and_empties_the_book() -> None:
    decoder = _synced()
    reading = decoder.receive(update(checksum=1), TS + 1)
    (row,) = reading.quotes
    assert (reading.kind, reading.checksum) == (FrameKind.DELTA, False)
    assert reading.detail == "wrong checksum: BTC/USD"
    assert (row.state, row.ts_received, row.bid_size) == (QuoteState.GAP, TS + 1, 0.0)
    assert math.isnan(row.bid)
    assert decoder.book("BTC/USD").tops() == (None, None)
    assert decoder.wanted == SYMBOLS
    assert decoder.checksums == {True: 1, False: 1}


def _check_no_update_is_shown_before_a_snapshot(make: MakeDecoder) -> None:
    decoder = _synced(make)
    decoder.receive(update(checksum=1), TS)
    for ts in range(TS + 1, TS + 4):
        reading = decoder.receive(BETTER, ts)
        assert reading.quotes == (), "an update was shown before a snapshot"
        assert (reading.kind, reading.checksum) == (FrameKind.OLD, None), "an update was applied before a snapshot"
    (quote,) = decoder.receive(SNAPSHOT, TS + 5).quotes
    assert (quote.bid, quote.state) == (45283.5, QuoteState.LIVE)
    assert decoder.receive(BETTER, TS + 6).quotes[0].bid == 45284.0


def test_after_a_wrong_checksum_no_update_is_shown_before_a_snapshot() -> None:
    _check_no_update_is_shown_before_a_snapshot(_make)


def test_a_wrong_snapshot_is_waited_for_again() -> None:
    decoder = _make()
    assert decoder.receive(with_wrong_checksum(SNAPSHOT.decode()).encode(), TS).quotes == ()
    assert decoder.wanted == SYMBOLS
    assert decoder.receive(SNAPSHOT, TS).quotes[0].state == QuoteState.LIVE


def _check_what_was_lost_is_noticed(make: Callable[[tuple[str, ...]], KrakenDecoder]) -> None:
    # One frame of many does not arrive. The venue numbers nothing: the checksum must tell.
    market = KrakenMarket(start_ns=TS)
    decoder = make(market.symbols)
    for book in market.books.values():
        _give(decoder, book.snapshot())
    frames = market.move_to(TS + 40_000_000_000)
    del frames[700]
    quotes = [quote for frame in frames for quote in _give(decoder, frame).quotes]
    gaps = [quote for quote in quotes if quote.state == QuoteState.GAP]
    assert len(gaps) == 1, f"{len(gaps)} gaps were noticed"
    assert decoder.checksums[False] == 1


def test_a_frame_that_was_lost_is_noticed() -> None:
    _check_what_was_lost_is_noticed(KrakenDecoder)


class DecoderWithoutChecksum(KrakenDecoder):
    """A planted bug: every book is taken for the venue's."""

    def _change(self, place: int, change: BookChange, *, anew: bool) -> bool:
        super()._change(place, change, anew=anew)
        return True


def test_the_check_of_losses_catches_a_decoder_that_compares_no_checksum() -> None:
    with pytest.raises(AssertionError, match="0 gaps were noticed"):
        _check_what_was_lost_is_noticed(DecoderWithoutChecksum)


_FAULTS = st.lists(st.sampled_from(["fine"] * 12 + ["lost", "twice", "late", "torn", "anew"]), min_size=40, max_size=80)


def _check_every_price_is_the_venues(make: Callable[[tuple[str, ...]], KrakenDecoder], faults: list[str]) -> None:
    # Frames are lost, repeated, swapped and torn; each price shown must be that of the book the frame was made of.
    market = KrakenMarket(("BTC/USD",), start_ns=TS, seed=5)
    decoder, book = make(market.symbols), market.books["BTC/USD"]
    wire = [(book.snapshot(), market.tops()["BTC/USD"])]
    late: list[tuple[str, tuple[float, float]]] = []
    for fault, (_, frame) in zip(faults, market.moves(TS + 60_000_000_000), strict=False):
        sent = [(book.snapshot() if fault == "anew" else frame, market.tops()["BTC/USD"])]
        if fault == "late":
            late += sent
            continue
        copies = {"lost": 0, "twice": 2}.get(fault, 1)
        wire += [(text[: 200 if fault == "torn" else None], top) for text, top in sent * copies] + late
        late = []
    for text, top in wire:
        for quote in _give(decoder, text).quotes:
            assert quote.state != QuoteState.LIVE or (quote.bid, quote.ask) == top, "a price that is not the venue's"


@settings(max_examples=60, deadline=None)
@given(_FAULTS)
def test_whatever_happens_on_the_way_every_price_shown_is_the_venues(faults: list[str]) -> None:
    _check_every_price_is_the_venues(KrakenDecoder, faults)


def test_the_check_of_prices_catches_a_decoder_that_compares_no_checksum() -> None:
    with pytest.raises(AssertionError, match="not the venue's"):
        _check_every_price_is_the_venues(DecoderWithoutChecksum, [*["fine", "lost", "late"] * 12, *["fine"] * 20])


class DecoderThatGoesOn(KrakenDecoder):
    """A planted bug: a book with a wrong checksum is told as a gap, but kept and changed on."""

    def _lose(self, place: int, ts_received: int) -> tuple[kraken_decoder.Quote, ...]:
        gone = super()._lose(place, ts_received)
        self._pairs[place].book.load((), ())
        return gone


def test_the_check_of_snapshots_catches_a_decoder_that_goes_on_without_one() -> None:
    with pytest.raises(AssertionError, match="before a snapshot"):
        _check_no_update_is_shown_before_a_snapshot(lambda: DecoderThatGoesOn(SYMBOLS))


def test_minutes_of_a_market_keep_every_checksum_and_end_in_its_tops() -> None:
    market = KrakenMarket(("BTC/USD", "ETH/USD", "XRP/USD"), start_ns=TS, seed=3)
    decoder = KrakenDecoder(market.symbols)
    for book in market.books.values():
        _give(decoder, book.snapshot())
    last = {}
    frames = market.move_to(TS + 60_000_000_000)
    for frame in frames:
        for quote in _give(decoder, frame).quotes:
            last[market.symbols[quote.instrument]] = (quote.bid, quote.ask)
    assert len(frames) > 1_000
    assert decoder.checksums == {True: len(frames) + 3}
    assert last == market.tops()


# ---- subscriptions


def test_is_answered_once_every_symbol_is() -> None:
    decoder = _make()
    assert _give(decoder, _answer("BTC/USD")).kind is FrameKind.ACK
    assert not decoder.answered
    _give(decoder, _refusal("ETH/USD"))
    assert (decoder.answered, decoder.accepted) == (True, ("BTC/USD",))
    # A symbol that the venue does not know is not waited for.
    assert decoder.wanted == ("BTC/USD",)


def test_a_refusal_that_names_no_symbol_is_one_of_all() -> None:
    decoder = _make()
    _give(decoder, _refusal(None))
    assert (decoder.answered, decoder.accepted, decoder.wanted) == (True, (), ())


def test_an_accepted_symbol_is_still_wanted_when_asking_anew_is_refused() -> None:
    decoder = _make()
    _give(decoder, _answer("BTC/USD"))
    _give(decoder, _refusal("BTC/USD"))
    assert decoder.wanted == SYMBOLS


def test_a_lost_book_is_resyncing_once_the_venue_agrees() -> None:
    decoder = _synced()
    decoder.receive(update(checksum=1), TS)
    assert _give(decoder, _answer("BTC/USD", method="unsubscribe")).quotes == ()
    (row,) = _give(decoder, _answer("BTC/USD"), TS + 3).quotes
    assert (row.state, row.instrument, row.ts_received) == (QuoteState.RESYNCING, 0, TS + 3)
    # Told once; and not of what was never quoted.
    assert _give(decoder, _answer("BTC/USD")).quotes == ()
    assert _give(decoder, _answer("ETH/USD")).quotes == ()


def test_a_reset_takes_every_quoted_symbol_out_and_asks_for_all() -> None:
    decoder = _synced()
    _give(decoder, _answer("BTC/USD"))
    (row,) = decoder.reset(TS + 3)
    assert (row.state, row.instrument, row.ts_received) == (QuoteState.GAP, 0, TS + 3)
    assert decoder.reset(TS + 4) == ()
    assert (decoder.wanted, decoder.accepted) == (SYMBOLS, ())


# ---- the venue's engine


@pytest.mark.parametrize("halt", ["maintenance", "cancel_only", "post_only"])
def test_prices_that_nothing_trades_at_are_suspended(halt: str) -> None:
    decoder = _synced()
    (row,) = _give(decoder, status(halt), TS + 1).quotes
    assert (row.state, row.instrument, row.ts_received) == (QuoteState.SUSPENDED, 0, TS + 1)
    assert decoder.halt == halt
    # The book is kept, and shown once trade goes on.
    assert decoder.receive(BETTER, TS + 2).quotes == ()
    assert _give(decoder, status(halt)).quotes == ()
    (quote,) = _give(decoder, status("online"), TS + 3).quotes
    assert (quote.bid, quote.state, quote.ts_event) == (45284.0, QuoteState.LIVE, TS + 3)


def test_a_venue_that_is_online_changes_nothing() -> None:
    decoder = _synced()
    assert _give(decoder, status("online")).quotes == ()
    assert decoder.receive(BETTER, TS).quotes[0].bid == 45284.0


def test_a_new_connection_forgets_a_halt() -> None:
    decoder = _synced()
    _give(decoder, status("maintenance"))
    decoder.reset(TS)
    assert decoder.receive(SNAPSHOT, TS).quotes[0].state == QuoteState.LIVE


# ---- any bytes


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_reading(frame: bytes) -> None:
    decoder = _synced()
    reading = decoder.receive(frame, TS)
    assert (reading.kind is FrameKind.REFUSED) == (reading.refusal is not None)
    assert decoder.counts.total() == 2


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("BTC/USD"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["symbol", "bids", "asks", "price", "qty", "checksum"]), inner, max_size=6)
    ),
    max_leaves=12,
)
_OUTER = ["channel", "type", "data", "method", "success", "error", "Error", "symbol", "result", "req_id"]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(_OUTER), _JSON))
def test_any_json_in_the_venues_own_names_gives_a_reading(frame: dict[str, object]) -> None:
    frames = (
        frame,
        {"channel": "book", "type": "update"} | frame,
        {"channel": "status"} | frame,
        {"method": "subscribe", "success": True} | frame,
    )
    for one in frames:
        reading = _give(_synced(), one)
        structural = reading.refusal is not None and reading.refusal is not Refusal.WRONG_CHECKSUM
        assert (reading.kind is FrameKind.REFUSED) == structural
        assert (reading.checksum is False) == (reading.refusal is Refusal.WRONG_CHECKSUM)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([SNAPSHOT, BETTER]), st.integers(0, 600), st.binary(max_size=6), st.integers(0, 6))
def test_a_frame_changed_anywhere_is_the_same_book_or_no_price(
    frame: bytes, at: int, insert: bytes, removed: int
) -> None:
    decoder = _synced()
    reading = decoder.receive(frame[:at] + insert + frame[at + removed :], TS)
    # 1 in 4 thousand million changes would pass: none of these few.
    for quote in reading.quotes:
        if quote.state == QuoteState.LIVE:
            assert (quote.bid, quote.ask) in {(45283.5, 45285.2), (45284.0, 45285.2)}


_MANY = b",".join([b'{"price":1,"qty":1}'] * 52_000)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","checksum":1,"bids":[' + _MANY + b"]}]}",
        b'{"channel":"book","type":"update","data":[' + b'{"symbol":"A"},' * 68_000 + b"{}]}",
        b'{"result":' * 104_000,
        b'{"error":"' + b"\\u00e9" * 174_000 + b'"}',
        b"[" * (1 << 20),
    ],
    ids=["too many levels", "too many books", "nested objects", "escapes", "nested lists"],
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


def test_the_example_of_the_venues_guide_is_a_right_book() -> None:
    reading = _give(_make(), book_frame("snapshot", "BTC/USD", BIDS, ASKS, checksum=3310070434))
    assert (reading.checksum, reading.quotes[0].bid, reading.quotes[0].ask) == (True, 45283.5, 45285.2)
