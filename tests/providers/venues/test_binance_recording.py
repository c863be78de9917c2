"""The decoder on recorded frames; skipped where the recordings are absent."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest
from loopback_venue import Recording, depth, load_binance

from marketstream.market.quotes import QuoteState
from marketstream.providers.venues.binance_decoder import BinanceDecoder
from marketstream.providers.venues.levels import PRICE_SCALE
from marketstream.providers.venues.readings import FrameKind, Reading

Side = dict[Decimal, Decimal]


class ReferenceBook:
    """The same book as plain dicts of decimals, straight from the venue's description."""

    def __init__(self, snapshot: bytes) -> None:
        answer = json.loads(snapshot)
        self.last = answer["lastUpdateId"]
        self.bids: Side = {Decimal(p): Decimal(q) for p, q in answer["bids"]}
        self.asks: Side = {Decimal(p): Decimal(q) for p, q in answer["asks"]}

    def apply(self, data: dict[str, object]) -> None:
        if data["u"] <= self.last:
            return
        assert data["U"] == self.last + 1
        for side, levels in ((self.bids, data["b"]), (self.asks, data["a"])):
            for price, size in levels:
                side[Decimal(price)] = Decimal(size)
                if Decimal(size) == 0:
                    del side[Decimal(price)]
        self.last = data["u"]


@pytest.fixture(scope="module")
def recording(shared_data: Path) -> Recording:
    return load_binance(shared_data)


def _play(recording: Recording, *, seed: int | None = None) -> tuple[BinanceDecoder, list[Reading]]:
    # Without a seed the snapshots come first; with one, each comes at some moment.
    decoder = BinanceDecoder(recording.symbols)
    rng = random.Random(seed)
    n = len(recording.frames)
    at = {symbol: 0 if seed is None else rng.randrange(n) for symbol in recording.symbols}
    readings = []
    for i, (seconds, frame) in enumerate(recording.frames):
        ts = round(seconds * 1e9)
        due = [symbol for symbol in recording.symbols if at[symbol] == i]
        readings += [decoder.snapshot(s, recording.snapshots[s], ts) for s in due]
        readings.append(decoder.receive(frame, ts))
    return decoder, readings


def _reference(recording: Recording) -> dict[str, ReferenceBook]:
    books = {symbol: ReferenceBook(body) for symbol, body in recording.snapshots.items()}
    for _, frame in recording.frames:
        data = json.loads(frame)["data"]
        if data.get("e") == "depthUpdate":
            books[data["s"]].apply(data)
    return books


def test_counts_what_the_published_counts_say(recording: Recording, shared_data: Path) -> None:
    expected = json.loads((shared_data / "messages" / "recordings" / "EXPECTED_COUNTS.json").read_text())
    counts = expected["counts"]["BINANCE"]
    decoder, readings = _play(recording)
    # The published figure counts every new state of a book: 4 snapshots, and 172 of the 177 updates. The other
    # 5 have u <= lastUpdateId, so the venue's rule drops them.
    assert decoder.counts[FrameKind.SNAPSHOT] + decoder.counts[FrameKind.DELTA] == counts["L2_BOOK"] == 176
    assert decoder.counts[FrameKind.DELTA] + decoder.counts[FrameKind.OLD] == 177
    assert decoder.counts[FrameKind.TICKER] == counts["TICKER"] == 84
    assert decoder.counts[FrameKind.UNKNOWN] == counts["TRADES"] + counts["CANDLES"]
    assert [reading for reading in readings if reading.refusal is not None] == []


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4, 5])
def test_the_final_books_equal_an_independent_rebuild(recording: Recording, seed: int | None) -> None:
    decoder, _ = _play(recording, seed=seed)
    assert decoder.wanted == ()
    for symbol, reference in _reference(recording).items():
        book = decoder.book(symbol)
        assert book.last == reference.last
        for ladder, side in ((book.bids, reference.bids), (book.asks, reference.asks)):
            assert dict(ladder.levels()) == {int(p * PRICE_SCALE): float(q) for p, q in side.items()}


def test_no_quote_is_ever_crossed_or_goes_back(recording: Recording) -> None:
    _, readings = _play(recording)
    quotes = [quote for reading in readings for quote in reading.quotes]
    assert len(quotes) > 200
    newest = dict.fromkeys(range(4), 0)
    for quote in quotes:
        assert quote.state == QuoteState.LIVE
        assert 0 < quote.bid < quote.ask
        assert min(quote.bid_size, quote.ask_size) > 0
        assert quote.seq > newest[quote.instrument]
        newest[quote.instrument] = quote.seq


def test_a_lost_update_stops_the_quotes_until_a_snapshot(recording: Recording) -> None:
    depths = [i for i, (_, f) in enumerate(recording.frames) if b'"s":"NKNUSDT"' in f and b"depthUpdate" in f]
    decoder = BinanceDecoder(recording.symbols)
    decoder.snapshot("NKNUSDT", recording.snapshots["NKNUSDT"], 0)
    quotes = []
    for i, (_, frame) in enumerate(recording.frames):
        if i != depths[40]:
            quotes += decoder.receive(frame, i).quotes
    assert decoder.counts[FrameKind.REFUSED] == 1
    assert quotes[-1].state == QuoteState.GAP
    assert quotes[-1].ts_received == depths[41]
    assert "NKNUSDT" in decoder.wanted


def test_no_recorded_message_of_any_venue_raises(shared_data: Path) -> None:
    folder = shared_data / "messages" / "fixtures"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) >= 190
    decoder = BinanceDecoder(["ETHUSDT"])
    for path in files:
        for read in (decoder.receive, lambda body, ts: decoder.snapshot("ETHUSDT", body, ts)):
            reading = read(path.read_bytes(), 0)
            assert (reading.kind is FrameKind.REFUSED) == (reading.refusal is not None), path
    assert decoder.counts.total() == 2 * len(files)


def test_a_recorded_ticker_with_a_time_gives_that_time(shared_data: Path) -> None:
    frame = shared_data / "messages" / "fixtures" / "binance-b" / "ws_messages" / "ws_spot_ticker_book.json"
    data = json.loads(frame.read_text())["data"]
    decoder = BinanceDecoder([data["s"]])
    decoder.snapshot(data["s"], b'{"lastUpdateId":1,"bids":[],"asks":[]}', 0)
    (quote,) = decoder.receive(frame.read_bytes(), 7).quotes
    sent = (float(data["b"]), float(data["a"]), float(data["B"]), float(data["A"]), data["E"] * 1_000_000)
    assert quote[:5] == sent
    assert (quote.ts_received, quote.seq) == (7, data["u"])


def test_a_recorded_depth_answer_makes_a_book(shared_data: Path) -> None:
    folder = shared_data / "messages" / "fixtures" / "binance" / "spot" / "http_json"
    decoder = BinanceDecoder(["LTCBTC"])
    decoder.snapshot("LTCBTC", (folder / "depth_response.json").read_bytes(), 5)
    (quote,) = decoder.receive(json.dumps(depth("LTCBTC", 1027025, 1027025)).encode(), 6).quotes
    published = json.loads((folder / "book_ticker_response.json").read_text())
    facts = {k: float(published[k]) for k in ("bidPrice", "askPrice", "bidQty")}
    assert (quote.bid, quote.ask, quote.bid_size) == tuple(facts.values())
