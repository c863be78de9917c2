"""Kraken as a provider, over real sockets against a venue on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest
from kraken_frames import update
from kraken_market import KrakenMarket
from kraken_venue import KrakenVenue, kraken_thread, status, with_wrong_checksum
from loopback_venue import idle, until
from tapped import Session, check_replay

from marketstream.clock import ManualClock, SystemClock
from marketstream.errors import ConfigurationError, InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.quotes import QuoteState, Refusal
from marketstream.providers.base import Input, InputKind, Provider
from marketstream.providers.checks import check_provider
from marketstream.providers.transport import Reception
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.providers.venues.readings import Reading

SYMBOLS = ("BTC/USD", "ETH/USD")
BOTH_LIVE = [(0, QuoteState.LIVE), (1, QuoteState.LIVE)]
MakeProvider = Callable[..., KrakenProvider]


class Rig:
    """A venue, a clock and one provider between them."""

    def __init__(self, venue: KrakenVenue, clock: ManualClock, make: MakeProvider, symbols: Sequence[str]) -> None:
        self.venue = venue
        self.clock = clock
        self.provider = make(clock=clock, symbols=symbols, ws_url=venue.ws_url, rng=random.Random(3))
        self.provider.attach(Catalog())

    async def start(self) -> None:
        await self.provider.start()
        await self.synced()

    async def synced(self, n: int = 1) -> None:
        await until(lambda: len(self.venue.subscriptions) >= n and self.provider.transport.connected, "a connection")
        await until(lambda: not self.provider.decoder.wanted, "books in step")

    async def send(self, *frames: bytes | str | dict[str, object]) -> None:
        before = self.provider.stats.frames
        await self.venue.send(*frames)
        await until(lambda: self.provider.stats.frames >= before + len(frames), "the frames")

    async def move(self, seconds: float = 1.0) -> None:
        """Let time pass and the market's changes arrive."""
        await self.wait(seconds)
        await self.send(*self.venue.changes())

    async def wait(self, seconds: float) -> None:
        # Who is about to wait for the clock must have begun to.
        await idle()
        self.clock.advance(seconds)
        await idle()

    def drain(self) -> np.ndarray:
        return self.provider.drain(self.clock.now_ns())

    def tops(self) -> dict[str, tuple[float, float]]:
        rows = self.drain()
        return {SYMBOLS[row["instrument"]]: (float(row["bid"]), float(row["ask"])) for row in rows}

    def health(self) -> tuple[ProviderStatus, Absence | None, str]:
        report = self.provider.health(self.clock.now_ns())
        return report.status, report.absence, report.detail

    def asked_anew(self) -> int:
        return sum(method == "unsubscribe" for method, _ in self.venue.heard)


@contextlib.asynccontextmanager
async def _rig(make: MakeProvider = KrakenProvider, symbols: Sequence[str] = SYMBOLS) -> AsyncIterator[Rig]:
    clock = ManualClock()
    async with KrakenVenue(KrakenMarket(SYMBOLS, start_ns=clock.now_ns()), clock=clock) as venue:
        rig = Rig(venue, clock, make, symbols)
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


def test_lists_its_symbols_as_assets_in_their_own_quote_currency() -> None:
    listing = KrakenProvider(clock=ManualClock(), symbols=["BTC/USD", "BTC/USDT", "ETH-BTC"]).listing()
    assert [(i.id, i.quote_currency, i.tick) for i in listing.instruments] == [
        ("BTC-USD", "USD", 0.01),
        ("BTC-USDT", "USDT", 0.01),
        ("ETH-BTC", "BTC", 0.00001),
    ]
    assert listing.pairs[0] == ("BTC-USD", "kraken")
    (venue,) = listing.venues
    assert (venue.id, venue.code, venue.fees.per_trade, venue.stale_after_s) == ("kraken", "KRK", 0.004, 10.0)


@pytest.mark.parametrize("ws_url", ["ws://ws.kraken.com/v2", "https://ws.kraken.com/v2", "wss://u:p@ws.kraken.com"])
def test_refuses_an_address_that_is_not_secure(ws_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base URL"):
        KrakenProvider(clock=ManualClock(), ws_url=ws_url)


def test_refuses_symbols_it_cannot_read() -> None:
    with pytest.raises(InvalidInputError, match="BTC/USD"):
        KrakenProvider(clock=ManualClock(), symbols=["BTCUSD"])


# ---- a market through real sockets


async def test_shows_the_tops_of_the_venues_books(rig: Rig) -> None:
    await rig.start()
    assert _states(rig.drain()) == BOTH_LIVE
    frames = 0
    for _ in range(20):
        await rig.move(0.5)
        frames = rig.provider.stats.frames
        assert rig.tops().items() <= rig.venue.market.tops().items()
    assert frames > 200
    assert rig.provider.stats.refused.total() == 0
    assert rig.provider.decoder.checksums.keys() == {True}
    assert rig.health()[0] is ProviderStatus.RUNNING


async def test_a_venue_in_a_thread_goes_on_by_itself() -> None:
    with kraken_thread() as venue:
        clock = SystemClock()
        provider = KrakenProvider(clock=clock, symbols=SYMBOLS, ws_url=venue.ws_url)
        provider.attach(Catalog())
        await provider.start()
        await until(lambda: provider.decoder.checksums[True] > 20, "changes")
        rows = provider.drain(clock.now_ns())
        await provider.stop()
    assert (rows["state"] == QuoteState.LIVE).all()
    assert (rows["bid"] < rows["ask"]).all()


async def test_heartbeats_and_pongs_are_read_and_are_no_data(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    for _ in range(9):
        await rig.wait(1.0)
        await rig.send({"channel": "heartbeat"})
    await rig.provider.transport.send('{"method":"ping","req_id":9}')
    await until(lambda: rig.provider.decoder.counts["heartbeat"] == 10, "the pong")
    assert len(rig.drain()) == 0
    await rig.wait(1.0)
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    assert rig.health()[:2] == (ProviderStatus.DEGRADED, Absence.STALE)


# ---- wrong checksums


async def test_a_wrong_checksum_is_a_gap_until_a_new_snapshot_on_the_same_connection(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    rig.venue.answers_open.clear()
    await rig.move()
    rig.drain()
    await rig.wait(1.0)
    (bad, *others) = rig.venue.changes()
    broken = json.loads(bad)["data"][0]["symbol"]
    place = SYMBOLS.index(broken)
    await rig.send(with_wrong_checksum(bad), *others)
    rows = rig.drain()
    of_it = rows[rows["instrument"] == place]
    assert of_it["state"].tolist() == [QuoteState.GAP], "the pair is told once and nothing after"
    assert set(rows["state"][rows["instrument"] != place].tolist()) == {QuoteState.LIVE}
    assert rig.provider.stats.refused == {Refusal.WRONG_CHECKSUM.value: 1}
    await until(lambda: rig.asked_anew() == 1, "the farewell")
    rig.venue.answers_open.set()
    await rig.synced()
    rows = rig.drain()
    assert _states(rows) == [(place, QuoteState.RESYNCING), (place, QuoteState.LIVE)]
    assert (rows["bid"][1], rows["ask"][1]) == rig.venue.market.tops()[broken]
    assert rig.venue.heard[1:] == [("unsubscribe", (broken,)), ("subscribe", (broken,))]
    assert (rig.provider.stats.reconnects, len(rig.venue.subscriptions)) == (0, 1)
    await rig.move()
    assert rig.provider.stats.refused.total() == 1


async def test_a_lost_frame_and_one_that_comes_late_are_noticed(rig: Rig) -> None:
    await rig.start()
    await rig.wait(1.0)
    frames = [frame for frame in rig.venue.changes() if "BTC/USD" in frame]
    await rig.send(*frames[:3], *frames[4:])
    assert rig.provider.stats.refused == {Refusal.WRONG_CHECKSUM.value: 1}
    await rig.synced()
    rig.drain()
    await rig.wait(1.0)
    frames = [frame for frame in rig.venue.changes() if "BTC/USD" in frame]
    await rig.send(frames[1], frames[0], *frames[2:])
    assert rig.provider.stats.refused == {Refusal.WRONG_CHECKSUM.value: 2}


async def test_a_repeated_frame_changes_nothing(rig: Rig) -> None:
    await rig.start()
    await rig.wait(1.0)
    frames = rig.venue.changes()
    await rig.send(*(frame for frame in frames for _ in range(2)))
    assert rig.tops() == rig.venue.market.tops()
    assert rig.provider.stats.refused.total() == 0


async def _check_the_pace_of_repairs(make: MakeProvider) -> None:
    async with _rig(make) as rig:
        await rig.start()
        rig.drain()
        rig.venue.manners.wrong_snapshots = 10_000
        await rig.wait(0.5)
        frames = rig.venue.changes()
        await rig.send(*(frame for frame in frames if "ETH" in frame))
        await rig.send(with_wrong_checksum(next(frame for frame in frames if "BTC" in frame)))
        await until(lambda: rig.asked_anew() == 1, "the first question, at once")
        for _ in range(60):
            await rig.move()
            await idle(100)
        # Each answer is awaited for 5 s, then up to 10 s of jitter: never a storm, never the end.
        assert 4 <= rig.asked_anew() <= 13, f"asked {rig.asked_anew()} times in a minute"
        rig.venue.manners.wrong_snapshots = 0
        for _ in range(16):
            await rig.move()
            await idle(100)
        assert rig.provider.decoder.wanted == ()
        assert rig.provider.stats.reconnects == 0
        assert rig.tops().keys() == set(SYMBOLS)


class ProviderWithoutPace(KrakenProvider):
    """A planted bug: a repair that failed is tried again at once."""

    async def _await_snapshots(self) -> None:
        await self.clock.sleep(0.1)

    def _pause_s(self) -> float:
        return 0.0


async def test_snapshots_that_stay_wrong_are_asked_for_at_a_bounded_pace() -> None:
    await _check_the_pace_of_repairs(KrakenProvider)


async def test_the_check_of_the_pace_catches_its_absence() -> None:
    with pytest.raises(AssertionError, match="times in a minute"):
        await _check_the_pace_of_repairs(ProviderWithoutPace)


async def test_a_snapshot_that_never_comes_is_asked_for_again(rig: Rig) -> None:
    rig.venue.manners.snapshots = False
    await rig.provider.start()
    await until(lambda: rig.provider.decoder.answered, "the answers")
    rig.health()
    await rig.wait(4.9)
    assert rig.asked_anew() == 0
    rig.venue.manners.snapshots = True
    await rig.wait(0.2)
    await rig.synced()
    assert rig.venue.heard[1:] == [("unsubscribe", SYMBOLS), ("subscribe", SYMBOLS)]
    assert _states(rig.drain()) == BOTH_LIVE


async def test_health_names_the_books_that_wait(rig: Rig) -> None:
    await rig.start()
    rig.health()
    rig.venue.manners.snapshots = False
    rig.drain()
    await rig.send(update(checksum=1))
    for _ in range(11):
        await rig.wait(1.0)
        # The other book goes on, but nothing of it gets through: the provider has no valid quote.
        await rig.send(*[frame for frame in rig.venue.changes() if "ETH" in frame])
    rig.provider.collect(rig.clock.now_ns())
    rig.drain()
    status_, absence, detail = rig.health()
    assert (status_, absence) == (ProviderStatus.DEGRADED, Absence.GAP)
    assert detail.endswith("no snapshot yet of BTC/USD")


async def test_garbage_does_not_hasten_or_delay_the_repair(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    await rig.send(b"\xff\xfe\x00", "{", "[]", '{"channel":"book"}', "null", b'{"channel":' * 9000)
    assert rig.provider.stats.refused == {Refusal.MALFORMED.value: 6}
    await idle()
    assert rig.asked_anew() == 0
    # The first repair still comes at once.
    await rig.send(update(checksum=1))
    await until(lambda: rig.asked_anew() == 1, "the question")
    await rig.synced()
    assert rig.provider.stats.reconnects == 0


# ---- subscriptions


async def test_a_symbol_that_the_venue_does_not_know_leaves_the_others_alone() -> None:
    async with _rig(symbols=("NONE/USD", "BTC/USD")) as rig:
        rig.venue.manners.refused = {"NONE/USD"}
        await rig.start()
        assert _states(rig.drain()) == [(1, QuoteState.LIVE)]
        for _ in range(20):
            await rig.move()
        rig.drain()
        assert rig.health()[0] is ProviderStatus.RUNNING
        assert (rig.provider.stats.errors, rig.provider.stats.reconnects, rig.asked_anew()) == (1, 0, 0)


async def test_a_subscription_that_is_refused_whole_is_made_again(rig: Rig) -> None:
    rig.venue.manners.refused = set(SYMBOLS)
    await rig.provider.start()
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    assert rig.provider.stats.errors == 2
    assert rig.health()[:2] == (ProviderStatus.DEGRADED, Absence.ERROR)
    rig.venue.manners.refused = set()
    await rig.wait(1.0)
    await rig.synced(2)


async def test_an_answer_that_does_not_come_is_a_lost_connection(rig: Rig) -> None:
    rig.venue.answers_open.clear()
    await rig.provider.start()
    await until(lambda: len(rig.venue.subscriptions) == 1, "the subscription")
    await rig.wait(4.9)
    assert rig.provider.stats.reconnects == 0
    await rig.wait(0.2)
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    assert "no subscription ack within 5 s" in rig.health()[2]
    rig.venue.answers_open.set()
    await rig.wait(1.0)
    await rig.synced(2)


async def test_an_answer_that_comes_late_is_in_time(rig: Rig) -> None:
    rig.venue.answers_open.clear()
    await rig.provider.start()
    await until(lambda: len(rig.venue.subscriptions) == 1, "the subscription")
    await rig.wait(4.0)
    rig.venue.answers_open.set()
    await rig.synced()
    await rig.wait(4.0)
    assert rig.provider.stats.reconnects == 0


async def test_a_message_rate_that_is_exceeded_is_counted_and_no_loss(rig: Rig) -> None:
    await rig.start()
    await rig.send({"Error": "Exceeded msg rate"})
    assert (rig.provider.stats.errors, rig.provider.stats.reconnects) == (1, 0)


# ---- losses


async def test_a_lost_connection_takes_every_pair_out_until_it_is_back(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    rig.venue.abort()
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    assert _states(rig.drain()) == [(0, QuoteState.GAP), (1, QuoteState.GAP)]
    assert rig.health()[:2] == (ProviderStatus.DEGRADED, Absence.ERROR)
    await rig.wait(1.0)
    await rig.synced(2)
    rows = rig.drain()
    for place in (0, 1):
        assert rows["state"][rows["instrument"] == place].tolist() == [QuoteState.RESYNCING, QuoteState.LIVE]
    assert rig.health()[0] is ProviderStatus.RUNNING


async def test_a_polite_goodbye_is_a_lost_connection_too(rig: Rig) -> None:
    await rig.start()
    await rig.venue.close()
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    await rig.wait(1.0)
    await rig.synced(2)


async def test_a_venue_that_freezes_is_left_though_its_pongs_come(rig: Rig) -> None:
    await rig.start()
    for _ in range(9):
        await rig.wait(1.0)
        await rig.venue.ping()
    assert rig.provider.stats.reconnects == 0
    await rig.wait(1.0)
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
    assert rig.health()[:2] == (ProviderStatus.DEGRADED, Absence.STALE)


async def test_wrong_books_are_no_data(rig: Rig) -> None:
    # A venue that sends nothing but wrong checksums gives no data, however much it sends.
    rig.venue.manners.wrong_snapshots = 10_000
    await rig.provider.start()
    await until(lambda: rig.provider.decoder.answered, "the answers")
    for _ in range(9):
        await rig.wait(1.0)
        await rig.venue.snapshot("BTC/USD")
    assert rig.provider.stats.reconnects == 0
    await rig.wait(1.0)
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")


@pytest.mark.parametrize(("http_status", "absence"), [(451, Absence.GEO_BLOCKED), (403, Absence.AUTH)])
async def test_a_refused_handshake_shows_in_health_and_is_not_repeated(
    rig: Rig, http_status: int, absence: Absence
) -> None:
    rig.venue.behaviour.handshake_status = http_status
    await rig.provider.start()
    await until(lambda: rig.provider.transport.refusal is not None, "the refusal")
    await rig.clock.run_for(600.0)
    assert (*rig.health()[:2], rig.venue.dials) == (ProviderStatus.FAULTED, absence, 1)


async def test_a_halt_of_the_venue_suspends_its_prices_and_says_so(rig: Rig) -> None:
    await rig.start()
    rig.health()
    rig.drain()
    await rig.send(status("maintenance"))
    assert _states(rig.drain()) == [(0, QuoteState.SUSPENDED), (1, QuoteState.SUSPENDED)]
    for _ in range(11):
        await rig.move()
    assert len(rig.drain()) == 0
    assert rig.health()[2].endswith("the venue matches no orders: maintenance")
    await rig.send(status("online"))
    assert rig.tops() == rig.venue.market.tops()
    assert rig.health()[0] is ProviderStatus.RUNNING


async def test_heartbeats_keep_a_connection_while_nothing_trades(rig: Rig) -> None:
    await rig.start()
    await rig.send(status("maintenance"))
    for _ in range(30):
        await rig.wait(1.0)
        await rig.send({"channel": "heartbeat"})
    assert rig.provider.stats.reconnects == 0
    # Without them it is left, as ever.
    await rig.wait(10.0)
    await until(lambda: rig.provider.stats.reconnects == 1, "the loss")


async def test_a_quote_from_the_future_is_refused(rig: Rig) -> None:
    await rig.start()
    rig.drain()
    await rig.send(*rig.venue.market.move_to(rig.clock.now_ns() + 3_000_000_000))
    rows = rig.drain()
    ahead = rows["ts_event"] > rig.clock.now_ns() + 2_000_000_000
    assert 0 < ahead.sum() < len(rows)
    assert set(rows["state"][ahead].tolist()) == {QuoteState.GAP}
    assert set(rows["state"][~ahead].tolist()) == {QuoteState.LIVE}
    assert rig.provider.stats.refused == {Refusal.EVENT_TIME_AHEAD.value: ahead.sum()}


# ---- epochs


async def _check_older_epochs_are_ignored(make: MakeProvider) -> None:
    async with _rig(make) as rig:
        await rig.start()
        rig.venue.abort()
        await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
        await rig.wait(1.0)
        await rig.synced(2)
        rig.drain()
        late = rig.venue.market.books["BTC/USD"].snapshot().encode()
        reception = rig.provider.received(1, late, rig.clock.now_ns())
        assert len(rig.drain()) == 0, "a frame of an older connection leaked"
        assert reception is not Reception.DATA
        rig.provider.closed(1, rig.clock.now_ns())
        assert len(rig.drain()) == 0


class ProviderWithoutEpochs(KrakenProvider):
    """A planted bug: frames of any connection count."""

    def received(self, epoch: int, frame: bytes, ts_received: int) -> Reception:
        return super().received(self._epoch, frame, ts_received)


async def test_what_belongs_to_an_older_connection_changes_nothing() -> None:
    await _check_older_epochs_are_ignored(KrakenProvider)


async def test_the_check_of_epochs_catches_their_absence() -> None:
    with pytest.raises(AssertionError, match="leaked"):
        await _check_older_epochs_are_ignored(ProviderWithoutEpochs)


# ---- the tap


async def _tapped_session(make: MakeProvider) -> Session:
    # A market with a wrong checksum, garbage, a halt and a lost connection, drained after each step.
    async with _rig(make) as rig:
        session = Session(rig.provider)
        await rig.start()
        session.drain(rig.clock.now_ns())
        await rig.wait(1.0)
        (bad, *others) = rig.venue.changes()
        await rig.send(with_wrong_checksum(bad), "{", *others)
        await until(lambda: rig.asked_anew() == 1, "the question")
        await rig.synced()
        session.drain(rig.clock.now_ns())
        await rig.send(status("post_only"))
        await rig.move()
        session.drain(rig.clock.now_ns())
        await rig.send(status("online"))
        rig.venue.abort()
        await until(lambda: rig.provider.stats.reconnects == 1, "the loss")
        session.drain(rig.clock.now_ns())
        await rig.wait(1.0)
        await rig.synced(2)
        await rig.move()
        session.drain(rig.clock.now_ns())
    return session


class ProviderThatReadsTheClock(KrakenProvider):
    """A planted bug: rows are stamped with the time at which they are decoded, not that of their input."""

    def _take(self, reading: Reading) -> None:
        now = self.clock.now_ns()
        quotes = tuple(quote._replace(ts_received=now) for quote in reading.quotes)
        super()._take(Reading(kind=reading.kind, quotes=quotes, refusal=reading.refusal))


async def test_a_tapped_session_replays_bit_for_bit_without_a_connection() -> None:
    session = await _tapped_session(KrakenProvider)
    assert {given.kind for given in session.inputs} == {InputKind.OPENED, InputKind.FRAME, InputKind.CLOSED}
    fresh = KrakenProvider(clock=ManualClock(1), symbols=SYMBOLS)
    assert check_replay(session, fresh) > 50
    assert fresh.decoder.counts == session.provider.decoder.counts
    assert fresh.transport.epoch == 0


async def test_the_check_of_replays_catches_a_provider_that_reads_the_clock() -> None:
    session = await _tapped_session(ProviderThatReadsTheClock)
    with pytest.raises(AssertionError, match="the replay differs"):
        check_replay(session, ProviderThatReadsTheClock(clock=ManualClock(1), symbols=SYMBOLS))


@pytest.mark.parametrize("kind", [InputKind.ROWS, InputKind.SNAPSHOT])
def test_what_this_venue_never_sends_is_no_input(kind: InputKind) -> None:
    with pytest.raises(InvalidInputError, match=f"'kraken' takes no input {kind}"):
        KrakenProvider(clock=ManualClock()).replay(Input(provider="kraken", kind=kind, epoch=0, ts=1))


# ---- collecting and stopping


async def test_a_reader_that_falls_behind_gets_the_newest_of_each_pair() -> None:
    async with _rig(lambda **options: KrakenProvider(max_pending=10, **options)) as rig:
        await rig.start()
        rig.drain()
        await rig.move(5.0)
        assert rig.provider.conflated > 0
        assert rig.tops() == rig.venue.market.tops()


@pytest.mark.parametrize("when", ["at once", "connected", "asking anew"])
async def test_a_stop_leaves_no_task_and_no_rows(rig: Rig, when: str) -> None:
    others = asyncio.all_tasks()
    await rig.provider.start()
    if when != "at once":
        await rig.synced()
    if when == "asking anew":
        rig.venue.answers_open.clear()
        await rig.send(update(checksum=1))
        await until(lambda: rig.asked_anew() == 1, "the question")
    await rig.provider.stop()
    left = [task for task in asyncio.all_tasks() - others if "protocol_handler" not in repr(task)]
    assert left == []
    assert len(rig.drain()) == 0
    assert rig.provider.status is ProviderStatus.STOPPED


# ---- the interface


class Puppet:
    """A venue whose market follows the provider's clock, until it is told to fall silent."""

    def __init__(self, venue: KrakenVenue) -> None:
        self.venue = venue
        self.provider: KrakenProvider | None = None
        self.silent = False

    def make(self, clock: ManualClock) -> KrakenProvider:
        self.silent = False
        self.venue.clock = clock
        self.venue.market = KrakenMarket(SYMBOLS, start_ns=clock.now_ns())
        self.provider = KrakenProvider(clock=clock, symbols=SYMBOLS, ws_url=self.venue.ws_url, rng=random.Random(5))
        return self.provider

    async def silence(self, provider: Provider) -> None:
        self.silent = True

    async def settle(self) -> None:
        provider = self.provider
        assert provider is not None
        if provider.status in (ProviderStatus.READY, ProviderStatus.STOPPED):
            return
        transport = provider.transport
        await until(lambda: transport.connected or transport.trouble is not None, "a connection")
        if self.silent or not transport.connected:
            return
        await until(lambda: not provider.decoder.wanted or not transport.connected, "books in step")
        if transport.connected:
            frames = self.venue.changes()
            before = provider.stats.frames
            await self.venue.send(*frames)
            await until(lambda: provider.stats.frames >= before + len(frames), "the frames")


async def test_passes_the_conformance_suite() -> None:
    clock = ManualClock()
    async with KrakenVenue(KrakenMarket(SYMBOLS, start_ns=clock.now_ns()), clock=clock) as venue:
        puppet = Puppet(venue)
        report = await check_provider(puppet.make, settle=puppet.settle, silence=puppet.silence, seconds=4.0)
        assert puppet.provider is not None
        await puppet.provider.stop()
    assert {"delivers_valid_rows", "stops_and_starts_again", "health_follows_progress"} <= set(report.passed)
    assert all(name.startswith("plays_") or name == "repeats_itself" for name in report.skipped)
