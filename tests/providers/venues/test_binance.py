from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from loopback_venue import (
    LoopbackVenue,
    Recording,
    depth,
    final_tops,
    idle,
    load_binance,
    small_recording,
    snapshot,
    ticker,
    until,
    venue_thread,
)
from tapped import Session, check_replay

from marketstream.clock import ManualClock, SystemClock
from marketstream.errors import ConfigurationError, InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.quotes import QuoteState, Refusal
from marketstream.providers.base import Input, InputKind, Provider
from marketstream.providers.checks import check_provider
from marketstream.providers.transport import Reception
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.readings import FrameKind

BOOK = snapshot(100, [["64000.10", "1.5"], ["64000.00", "2"]], [["64000.20", "0.7"], ["64001.00", "3"]])
SYMBOLS = ("BTCUSDT", "ETHBTC")
OWN = Recording(SYMBOLS, (), dict.fromkeys(SYMBOLS, BOOK))
MakeProvider = Callable[..., BinanceProvider]


class Rig:
    """A venue, a clock and one provider between them."""

    def __init__(self, venue: LoopbackVenue, clock: ManualClock, make: MakeProvider, symbols: Sequence[str]) -> None:
        self.venue = venue
        self.clock = clock
        self.provider = make(
            clock=clock, symbols=symbols, ws_url=venue.ws_url, rest_url=venue.rest_url, rng=random.Random(3)
        )
        self.catalog = Catalog()
        self.provider.attach(self.catalog)

    async def start(self) -> None:
        await self.provider.start()
        await self.synced()
        if self.venue.snapshots == OWN.snapshots:
            # A first update begins the quotes; it changes nothing.
            await self.send(ticker("ETHBTC", 100, "64000.10", "1.5", "64000.20", "0.7"))

    async def synced(self, n: int = 1) -> None:
        await until(lambda: len(self.venue.subscriptions) >= n and self.provider.transport.connected, "a connection")
        await until(lambda: not self.provider.decoder.wanted, "books in step")

    async def send(self, *frames: bytes | str | dict[str, object]) -> None:
        before = self.provider.stats.frames
        await self.venue.send(*frames)
        await until(lambda: self.provider.stats.frames == before + len(frames), "the frames")

    async def wait(self, seconds: float) -> None:
        # Who is about to wait for the clock must have begun to.
        await idle()
        self.clock.advance(seconds)
        await idle()

    def drain(self) -> np.ndarray:
        return self.provider.drain(self.clock.now_ns())

    def health(self) -> tuple[ProviderStatus, Absence | None, str]:
        report = self.provider.health(self.clock.now_ns())
        return report.status, report.absence, report.detail


@contextlib.asynccontextmanager
async def _rig(
    make: MakeProvider = BinanceProvider, recording: Recording = OWN, symbols: Sequence[str] | None = None
) -> AsyncIterator[Rig]:
    clock = ManualClock()
    async with LoopbackVenue(recording, clock=clock) as venue:
        rig = Rig(venue, clock, make, symbols or recording.symbols)
        try:
            yield rig
        finally:
            await rig.provider.stop()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with _rig() as rig:
        yield rig


def _states(rows: np.ndarray) -> list[tuple[int, int]]:
    return [(int(row["instrument"]), int(row["state"])) for row in rows]


# ---- what it lists


def test_lists_its_symbols_as_assets_of_their_own_quote_currency() -> None:
    provider = BinanceProvider(clock=ManualClock(), symbols=SYMBOLS)
    listing = provider.listing()
    assert [(i.id, i.quote_currency, i.tick) for i in listing.instruments] == [
        ("BTC-USDT", "USDT", 0.01),
        ("ETH-BTC", "BTC", 0.00001),
    ]
    assert listing.pairs == (("BTC-USDT", "binance"), ("ETH-BTC", "binance"))
    (venue,) = listing.venues
    assert (venue.id, venue.code, venue.fees.per_trade, venue.stale_after_s) == (
        "binance",
        "BNC",
        0.001,
        10.0,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"ws_url": "ws://stream.example.org"},
        {"rest_url": "http://example.org"},
        {"ws_url": "https://example.org"},
    ],
)
def test_refuses_an_address_that_is_not_secure(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="starts with"):
        BinanceProvider(clock=ManualClock(), **options)


def test_refuses_symbols_it_cannot_read() -> None:
    with pytest.raises(InvalidInputError, match="BTC-USDT"):
        BinanceProvider(clock=ManualClock(), symbols=["BTC_USDT"])


# ---- the recording through real sockets


@pytest.fixture
def recording(shared_data: Path) -> Recording:
    return load_binance(shared_data)


async def test_plays_the_recording_frame_by_frame_on_the_tests_clock(recording: Recording) -> None:
    async with _rig(recording=recording) as rig:
        await rig.start()
        started = rig.clock.now_ns()
        playing = asyncio.create_task(rig.venue.play(speed=1.0))
        rows, played = [rig.drain()], 0.0
        for i, (at, _) in enumerate(recording.frames):
            await idle(2)
            rig.clock.advance(at - played)
            played = at
            await until(lambda i=i: rig.provider.stats.frames == i + 2, "the frame")
            rows.append(rig.drain())
        await playing
        counts = rig.provider.decoder.counts
        assert (counts[FrameKind.SNAPSHOT] + counts[FrameKind.DELTA], counts[FrameKind.TICKER]) == (176, 84)
        assert rig.provider.stats.refused.total() == 0
        assert rig.provider.stats.reconnects == 0
        _, first_nkn = recording.frames[0]
        assert b"NKNUSDT" in first_nkn
        quotes = np.concatenate(rows)
        assert (quotes["state"] == QuoteState.LIVE).all()
        assert (quotes["bid"] < quotes["ask"]).all()
        # Times of receipt are those of the recording, to the microsecond that its stamps carry.
        assert quotes["ts_received"].max() - started == pytest.approx(recording.frames[-1][0] * 1e9, abs=1e6)
        assert rig.provider.stats.quotes == len(quotes)


async def test_at_full_speed_the_last_quotes_are_the_same(recording: Recording) -> None:
    async with _rig(recording=recording) as rig:
        rig.venue.rest_open.clear()
        await rig.provider.start()
        await until(lambda: len(rig.venue.subscriptions) == 1)
        await rig.venue.play()
        await until(lambda: rig.provider.stats.frames == len(recording.frames) + 1, "all frames")
        assert len(rig.drain()) == 0
        # The snapshots come after everything: all of it was waiting.
        rig.venue.rest_open.set()
        await rig.synced()
        rows = rig.drain()
        final = {rig.provider.symbols[row["instrument"]].symbol: (row["bid"], row["ask"]) for row in rows}
        assert final == final_tops(recording)
        assert rig.health()[0] is ProviderStatus.RUNNING


async def test_a_venue_in_a_thread_plays_by_itself_and_keeps_its_books_alive(recording: Recording) -> None:
    with venue_thread(recording) as venue:
        clock = SystemClock()
        provider = BinanceProvider(clock=clock, symbols=recording.symbols, ws_url=venue.ws_url, rest_url=venue.rest_url)
        provider.attach(Catalog())
        await provider.start()
        await until(lambda: provider.stats.frames > len(recording.frames) + 5, "frames after the recording")
        await until(lambda: not provider.decoder.wanted, "books in step")
        rows = provider.drain(clock.now_ns())
        await provider.stop()
    final = {provider.symbols[row["instrument"]].symbol: (row["bid"], row["ask"]) for row in rows}
    assert final == final_tops(recording)


async def test_a_recording_of_our_own_making_plays_the_same_way() -> None:
    recording = small_recording()
    async with _rig(recording=recording) as rig:
        await rig.start()
        await rig.venue.play()
        await until(lambda: rig.provider.stats.frames == len(recording.frames) + 1, "all frames")
        rows = rig.drain()
    final = {recording.symbols[row["instrument"]]: (row["bid"], row["ask"]) for row in rows}
    assert final == final_tops(recording) == {"BTCUSDT": (64000.11, 64000.19), "ETHBTC": (0.0412, 0.04122)}


# ---- faults


async def test_a_lost_connection_takes_every_pair_out_until_it_is_back(rig: Rig) -> None:
    await rig.start()
    assert _states(rig.drain()) == [(0, QuoteState.LIVE), (1, QuoteState.LIVE)]
    rig.venue.abort()
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    assert _states(rig.drain()) == [(0, QuoteState.GAP), (1, QuoteState.GAP)]
    assert rig.health()[:2] == (ProviderStatus.DEGRADED, Absence.ERROR)
    await rig.wait(1.0)
    await until(lambda: len(rig.venue.subscriptions) == 2, "the second subscription")
    # Updates of the new connection wait for its snapshot.
    await rig.send(depth("BTCUSDT", 101, 101, bids=[["64000.11", "1"]]))
    assert len(rig.drain()) == 0
    await rig.wait(1.0)
    await rig.synced()
    rows = rig.drain()
    assert sorted(_states(rows)) == [(0, QuoteState.LIVE), (1, QuoteState.LIVE)]
    assert rows["bid"][rows["instrument"] == 0][0] == 64000.11
    await rig.send(depth("BTCUSDT", 102, 102))
    assert rig.health()[0] is ProviderStatus.RUNNING


@pytest.mark.parametrize("farewell", ["close", "shutdown"])
async def test_a_polite_goodbye_is_a_lost_connection_too(rig: Rig, farewell: str) -> None:
    await rig.start()
    if farewell == "close":
        await rig.venue.close()
    else:
        await rig.venue.send({"e": "serverShutdown", "E": 1770123456789})
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    await rig.wait(1.0)
    await rig.wait(1.0)
    await rig.synced(2)


async def test_a_dropped_frame_is_a_gap_until_a_new_snapshot(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    await rig.send(depth("BTCUSDT", 101, 102), depth("BTCUSDT", 104, 104))
    rows = rig.drain()
    assert _states(rows) == [(0, QuoteState.LIVE), (0, QuoteState.GAP)]
    assert math.isnan(rows["bid"][1])
    assert rig.provider.stats.refused == {Refusal.OUT_OF_SEQUENCE.value: 1}
    await rig.send(depth("BTCUSDT", 105, 105), ticker("BTCUSDT", 105, "64000.10", "1.5", "64000.20", "0.7"))
    assert len(rig.drain()) == 0
    rig.venue.snapshots["BTCUSDT"] = BOOK.replace(b"100", b"103")
    await rig.wait(1.0)
    await rig.synced()
    rows = rig.drain()
    assert (_states(rows), rows["seq"].tolist()) == ([(0, QuoteState.LIVE)], [105])
    assert rig.provider.stats.reconnects == 0


async def test_repeated_and_late_frames_change_nothing(rig: Rig) -> None:
    await rig.start()
    frames = [depth("BTCUSDT", i, i, bids=[[f"64000.{i - 90}", "1"]]) for i in (101, 102, 103)]
    await rig.send(*frames)
    rig.drain()
    levels = rig.provider.decoder.book("BTCUSDT").bids.levels()
    await rig.send(frames[0], frames[2], frames[1], frames[1])
    assert len(rig.drain()) == 0
    assert rig.provider.decoder.book("BTCUSDT").bids.levels() == levels
    assert rig.provider.stats.refused.total() == 0


async def test_garbage_is_counted_and_the_next_good_frame_is_read(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    await rig.send(b"\xff\xfe\x00", "{", "[]", '{"e":"depthUpdate"}', "null", b'{"e":' * 9000)
    assert rig.provider.stats.refused == {Refusal.MALFORMED.value: 6}
    await rig.send(depth("DOGEUSDT", 101, 101), depth("BTCUSDT", 101, 101, bids=[["-1", "1"]]))
    assert rig.provider.stats.refused["unknown_instrument"] == 1
    assert rig.provider.stats.refused["not_positive"] == 1
    assert len(rig.drain()) == 0
    await rig.send(depth("BTCUSDT", 101, 101))
    assert _states(rig.drain()) == [(0, QuoteState.LIVE)]
    assert rig.provider.stats.reconnects == 0


async def test_a_crossed_book_becomes_a_crossed_row(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    await rig.send(depth("BTCUSDT", 101, 101, bids=[["64000.50", "1"]]))
    rows = rig.drain()
    assert _states(rows) == [(0, QuoteState.CROSSED)]
    assert math.isnan(rows["bid"][0])
    assert rig.provider.stats.refused == {Refusal.CROSSED.value: 1}


async def test_a_quote_from_the_future_is_refused(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    await rig.send(depth("BTCUSDT", 101, 101, event_ms=rig.clock.now_ns() // 1_000_000 + 2001))
    assert _states(rig.drain()) == [(0, QuoteState.GAP)]
    assert rig.provider.stats.refused == {Refusal.EVENT_TIME_AHEAD.value: 1}


async def test_a_stalled_venue_is_left_though_its_pongs_come(rig: Rig) -> None:
    await rig.start()
    await rig.send(depth("BTCUSDT", 101, 101))
    for _ in range(9):
        await rig.wait(1.0)
        await rig.venue.ping()
        await rig.send(depth("BTCUSDT", 101, 101))
    assert rig.provider.stats.reconnects == 0
    await rig.wait(1.0)
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    status, absence, detail = rig.health()
    assert (status, absence) == (ProviderStatus.DEGRADED, Absence.STALE)
    assert "no data for 10.0 s" in detail


# ---- refusals


@pytest.mark.parametrize(("status", "absence"), [(451, Absence.GEO_BLOCKED), (403, Absence.AUTH), (404, Absence.ERROR)])
async def test_a_refused_handshake_shows_in_health_and_is_not_repeated(rig: Rig, status: int, absence: Absence) -> None:
    rig.venue.behaviour.handshake_status = status
    await rig.provider.start()
    await until(lambda: rig.provider.transport.refusal is not None, "the refusal")
    await rig.clock.run_for(600.0)
    shown, reason, detail = rig.health()
    assert (shown, reason, rig.venue.dials) == (ProviderStatus.FAULTED, absence, 1)
    assert str(status) in detail
    # Switched off and on again, it tries once more.
    await rig.provider.stop()
    rig.venue.behaviour.handshake_status = None
    await rig.start()
    assert rig.health()[0] is ProviderStatus.RUNNING


async def test_a_refused_snapshot_stops_the_feed(rig: Rig) -> None:
    rig.venue.behaviour.rest_status = 451
    await rig.provider.start()
    await until(lambda: rig.provider.transport.refusal is not None, "the refusal")
    assert rig.health()[:2] == (ProviderStatus.FAULTED, Absence.GEO_BLOCKED)


async def test_a_throttled_snapshot_waits_as_told_and_says_so(rig: Rig) -> None:
    rig.venue.behaviour.rest_status = 429
    rig.venue.behaviour.rest_headers = {"Retry-After": "30"}
    await rig.provider.start()
    await until(lambda: len(rig.venue.subscriptions) == 1)
    rig.health()
    await until(lambda: rig.provider.stats.errors == 1, "the first answer")
    for i in range(101, 130):
        await rig.wait(1.0)
        await rig.send(depth("BTCUSDT", i, i))
    assert sum("depth?" in request for request in rig.venue.requests) == 1
    status, absence, detail = rig.health()
    assert (status, absence) == (ProviderStatus.DEGRADED, Absence.THROTTLED)
    assert "no snapshot yet of BTCUSDT" in detail
    rig.venue.behaviour.rest_status = 200
    await rig.wait(1.0)
    await until(lambda: rig.provider.decoder.wanted == ("BTCUSDT",), "the second symbol")
    await rig.send(depth("BTCUSDT", 130, 130))
    await rig.wait(9.0)
    await rig.synced()
    assert rig.provider.stats.reconnects == 0


async def test_a_symbol_that_the_venue_does_not_know_leaves_the_others_alone() -> None:
    async with _rig(symbols=("NONEUSDT", "BTCUSDT")) as rig:
        await rig.provider.start()
        await until(lambda: rig.provider.decoder.wanted == ("NONEUSDT",), "the other symbol")
        await rig.send(depth("BTCUSDT", 100, 101))
        assert _states(rig.drain()) == [(1, QuoteState.LIVE)]
        for i in range(102, 131):
            await rig.wait(1.0)
            await rig.send(depth("BTCUSDT", i, i))
        rig.drain()
        assert sum("NONEUSDT" in request for request in rig.venue.requests if "depth?" in request) == 1
        assert rig.health()[0] is ProviderStatus.RUNNING
        assert rig.provider.stats.errors == 1


async def test_a_snapshot_that_does_not_join_is_asked_for_again_with_growing_waits(rig: Rig) -> None:
    await rig.start()
    rig.health()
    await rig.send(depth("BTCUSDT", 205, 206))
    asked = len(rig.venue.requests)
    times = []
    for i in range(207, 267):
        await rig.wait(1.0)
        await rig.send(depth("BTCUSDT", i, i))
        await idle(200)
        if len(rig.venue.requests) > asked:
            asked = len(rig.venue.requests)
            times.append(i)
    # A minute of asking: no more than the first waits and then one in about 5 s (uniform in 0..10 s).
    assert 4 <= len(times) <= 25
    assert rig.health()[1] is Absence.GAP
    rig.venue.snapshots["BTCUSDT"] = BOOK.replace(b"100", b"250")
    for i in range(267, 278):
        await rig.wait(1.0)
        await rig.send(depth("BTCUSDT", i, i))
        await idle(200)
    await rig.synced()


async def test_a_subscription_that_is_refused_is_counted_and_made_again(rig: Rig) -> None:
    rig.venue.behaviour.acknowledge = False
    await rig.provider.start()
    await until(lambda: len(rig.venue.subscriptions) == 1)
    await rig.venue.send({"code": 2, "msg": "Invalid request: too many parameters", "id": 1})
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    assert rig.provider.stats.errors == 1


# ---- epochs


async def _check_older_epochs_are_ignored(make: MakeProvider) -> None:
    async with _rig(make) as rig:
        await rig.start()
        rig.venue.abort()
        await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
        await rig.wait(1.0)
        await rig.wait(1.0)
        await rig.synced(2)
        rig.drain()
        late = json.dumps(depth("BTCUSDT", 101, 101, bids=[["64000.15", "1"]])).encode()
        reception = rig.provider.received(1, late, rig.clock.now_ns())
        assert len(rig.drain()) == 0, "a frame of an older connection leaked"
        assert reception is not Reception.DATA
        rig.provider.closed(1, rig.clock.now_ns())
        assert len(rig.drain()) == 0


class ProviderWithoutEpochs(BinanceProvider):
    """A planted bug: frames of any connection count."""

    def received(self, epoch: int, frame: bytes, ts_received: int) -> Reception:
        return super().received(self._epoch, frame, ts_received)


async def test_what_belongs_to_an_older_connection_changes_nothing() -> None:
    await _check_older_epochs_are_ignored(BinanceProvider)


async def test_the_check_of_epochs_catches_their_absence() -> None:
    with pytest.raises(AssertionError, match="leaked"):
        await _check_older_epochs_are_ignored(ProviderWithoutEpochs)


# ---- collecting


async def test_a_reader_that_falls_behind_gets_the_newest_of_each_pair() -> None:
    def make(**options: object) -> BinanceProvider:
        return BinanceProvider(max_pending=10, **options)

    async with _rig(make) as rig:
        await rig.start()
        rig.drain()
        await rig.send(*(depth("BTCUSDT", i, i) for i in range(101, 116)), depth("ETHBTC", 101, 101))
        rows = rig.drain()
        assert len(rows) <= 10
        assert (rig.provider.conflated, len(rows)) == (10, 6)
        assert rows["seq"][rows["instrument"] == 0].max() == 115
        assert rows["seq"][rows["instrument"] == 1].tolist() == [101]
        assert (np.diff(rows["ts_received"]) >= 0).all()


async def test_codes_are_those_of_the_catalogue() -> None:
    async with LoopbackVenue(OWN) as venue:
        first = BinanceProvider(name="a", clock=ManualClock(), symbols=["BNBUSDT", "ETHBTC"])
        clock = ManualClock()
        second = BinanceProvider(name="b", clock=clock, symbols=SYMBOLS, ws_url=venue.ws_url, rest_url=venue.rest_url)
        catalog = Catalog()
        first.attach(catalog)
        second.attach(catalog)
        await second.start()
        await until(lambda: not second.decoder.wanted, "books in step")
        await venue.send(depth("BTCUSDT", 101, 101))
        await until(lambda: second.stats.frames == 2, "the first update")
        rows = second.drain(clock.now_ns())
        await second.stop()
    assert set(rows["instrument"].tolist()) == {catalog.code("BTC-USDT"), catalog.code("ETH-BTC")}
    assert set(rows["provider"].tolist()) == {1}


async def test_a_wall_clock_that_was_set_back_leaves_no_stamp_in_the_future(rig: Rig) -> None:
    await rig.start()
    rig.clock.jump_wall(-3600)
    rows = rig.drain()
    assert len(rows) == 2
    assert rows["ts_received"].max() <= rig.clock.now_ns()


@pytest.mark.parametrize("when", ["at once", "connected", "waiting for snapshots"])
async def test_a_stop_leaves_no_task_and_no_rows(rig: Rig, when: str) -> None:
    others = asyncio.all_tasks()
    if when == "waiting for snapshots":
        rig.venue.rest_open.clear()
    await rig.provider.start()
    if when == "connected":
        await rig.synced()
    elif when == "waiting for snapshots":
        await until(lambda: any("depth?" in request for request in rig.venue.requests))
    await rig.provider.stop()
    left = [task for task in asyncio.all_tasks() - others if "protocol_handler" not in repr(task)]
    assert left == []
    assert len(rig.drain()) == 0
    assert rig.provider.status is ProviderStatus.STOPPED


# ---- the tap


async def _tapped_session(make: MakeProvider) -> Session:
    # A session with a gap, garbage, a lost connection and two rounds of snapshots, drained after each step.
    async with _rig(make) as rig:
        session = Session(rig.provider)
        await rig.start()
        session.drain(rig.clock.now_ns())
        await rig.send(depth("BTCUSDT", 101, 102), "{", depth("BTCUSDT", 104, 104), depth("ETHBTC", 101, 101))
        session.drain(rig.clock.now_ns())
        rig.venue.snapshots["BTCUSDT"] = BOOK.replace(b"100", b"103")
        await rig.wait(1.0)
        await rig.synced()
        session.drain(rig.clock.now_ns())
        rig.venue.abort()
        await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
        session.drain(rig.clock.now_ns())
        await rig.wait(1.0)
        await until(lambda: len(rig.venue.subscriptions) == 2, "the second subscription")
        await rig.send(depth("BTCUSDT", 104, 104))
        await rig.wait(2.0)
        await rig.synced(2)
        await rig.send(depth("BTCUSDT", 105, 105, bids=[["64000.15", "4"]]), depth("ETHBTC", 101, 101))
        session.drain(rig.clock.now_ns())
    return session


class ProviderThatTapsNoSnapshot(BinanceProvider):
    """A planted bug: the answers of the REST API do not reach a recording."""

    def _tell(self, kind: InputKind, epoch: int, ts: int, key: str = "", body: bytes = b"") -> None:
        if kind is not InputKind.SNAPSHOT:
            super()._tell(kind, epoch, ts, key, body)


async def test_a_tapped_session_replays_bit_for_bit_without_a_connection() -> None:
    session = await _tapped_session(BinanceProvider)
    assert {given.kind for given in session.inputs} == set(InputKind) - {InputKind.ROWS}
    # A replay reads no clock: this one stands years away.
    fresh = BinanceProvider(clock=ManualClock(1), symbols=SYMBOLS)
    assert check_replay(session, fresh) >= 10
    assert fresh.decoder.counts == session.provider.decoder.counts
    assert fresh.transport.epoch == 0


async def test_the_check_of_replays_catches_a_missing_input() -> None:
    session = await _tapped_session(ProviderThatTapsNoSnapshot)
    with pytest.raises(AssertionError, match="the replay differs"):
        check_replay(session, BinanceProvider(clock=ManualClock(1), symbols=SYMBOLS))


def test_rows_are_no_input_of_a_venue() -> None:
    given = Input(provider="binance", kind=InputKind.ROWS, epoch=0, ts=1)
    with pytest.raises(InvalidInputError, match="'binance' takes no input rows"):
        BinanceProvider(clock=ManualClock()).replay(given)


# ---- the interface


class Puppet:
    """A venue that sends one update a second on the provider's clock, until it is told to fall silent."""

    def __init__(self, venue: LoopbackVenue) -> None:
        self.venue = venue
        self.provider: BinanceProvider | None = None
        self.silent = False
        self.connection: object = None
        self.last = 100

    def make(self, clock: ManualClock) -> BinanceProvider:
        self.silent = False
        self.provider = BinanceProvider(
            clock=clock,
            symbols=SYMBOLS,
            ws_url=self.venue.ws_url,
            rest_url=self.venue.rest_url,
            rng=random.Random(5),
        )
        return self.provider

    async def silence(self, provider: Provider) -> None:
        self.silent = True

    async def settle(self) -> None:
        provider = self.provider
        assert provider is not None
        if provider.status in (ProviderStatus.READY, ProviderStatus.STOPPED):
            return
        await until(lambda: provider.transport.connected or provider.transport.trouble is not None, "a connection")
        for _ in range(300):
            await asyncio.sleep(0)
            if not provider.decoder.wanted:
                break
        if self.silent or not provider.transport.connected:
            return
        if self.venue.newest is not self.connection:
            self.connection, self.last = self.venue.newest, 100
        self.last += 1
        before = provider.stats.frames
        await self.venue.send(*(depth(s, self.last, self.last) for s in SYMBOLS))
        await until(lambda: provider.stats.frames >= before + 2, "the frames")


async def test_passes_the_conformance_suite() -> None:
    async with LoopbackVenue(OWN) as venue:
        puppet = Puppet(venue)
        report = await check_provider(puppet.make, settle=puppet.settle, silence=puppet.silence, seconds=8.0)
        assert puppet.provider is not None
        await puppet.provider.stop()
    assert {"delivers_valid_rows", "stops_and_starts_again", "health_follows_progress"} <= set(report.passed)
    assert all(name.startswith("plays_") or name == "repeats_itself" for name in report.skipped)
