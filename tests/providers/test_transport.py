from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from loopback_venue import LoopbackVenue, idle, plain_server, until

from marketstream.clock import ManualClock
from marketstream.market.events import Absence
from marketstream.providers.base import ProviderStats
from marketstream.providers.transport import Reception, TransportLimits, WebSocketTransport

SUBSCRIBE = '{"method":"SUBSCRIBE","params":[],"id":1}'


class Highest(random.Random):
    """Jitter that is always the longest allowed, so that the waits are known."""

    def uniform(self, a: float, b: float) -> float:
        return b


class WordFeed:
    """A small language: `data`, `bye` and `bug`; anything else tells nothing."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int, object]] = []

    def opened(self, epoch: int) -> Sequence[str]:
        self.log.append(("opened", epoch, None))
        return (SUBSCRIBE,)

    def received(self, epoch: int, frame: bytes, ts_received: int) -> Reception:
        self.log.append((frame.decode(), epoch, ts_received))
        if frame == b"bug":
            raise KeyError("a bug of ours")
        if b'"result"' in frame:
            return Reception.ACK
        words = {b"data": Reception.DATA, b"bye": Reception.GOING_AWAY, b"no": Reception.SUBSCRIPTION_REFUSED}
        return words.get(frame, Reception.OTHER)

    async def attend(self, epoch: int) -> None:
        self.log.append(("attend", epoch, None))
        await asyncio.Event().wait()

    def closed(self, epoch: int, ts: int) -> None:
        self.log.append(("closed", epoch, ts))

    def count(self, what: str) -> int:
        return sum(1 for word, _, _ in self.log if word == what)


class Rig:
    """A venue, a clock and one transport between them."""

    def __init__(self, venue: LoopbackVenue, make: Callable[..., WebSocketTransport] = WebSocketTransport) -> None:
        self.venue = venue
        self.clock = ManualClock()
        self.feed = WordFeed()
        self.stats = ProviderStats()
        self.make = make
        self.transport = self.at(venue.ws_url)

    def at(self, base: str, path: str = "/stream") -> WebSocketTransport:
        return self.make(
            url=base + path, feed=self.feed, clock=self.clock, rng=Highest(), stats=self.stats,
            limits=TransportLimits(max_frame_bytes=1000),
        )  # fmt: skip

    async def start(self) -> None:
        self.transport.start()
        await until(lambda: self.feed.count("attend") == 1, "the subscription")

    async def data(self) -> None:
        before = self.feed.count("data")
        await self.venue.send("data")
        await until(lambda: self.feed.count("data") == before + 1, "data")


@contextlib.asynccontextmanager
async def _rig(make: Callable[..., WebSocketTransport] = WebSocketTransport) -> AsyncIterator[Rig]:
    async with LoopbackVenue() as venue:
        rig = Rig(venue, make)
        try:
            yield rig
        finally:
            await rig.transport.stop()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with _rig() as rig:
        yield rig


async def test_subscribes_and_hands_over_frames_with_epoch_and_time(rig: Rig) -> None:
    await rig.start()
    rig.clock.advance(1.0)
    await rig.data()
    assert [word for word, _, _ in rig.feed.log] == ["opened", '{"result": null, "id": 1}', "attend", "data"]
    assert rig.feed.log[-1] == ("data", 1, rig.clock.now_ns())
    assert rig.transport.connected


async def test_a_feed_may_send_more_while_the_connection_is_open(rig: Rig) -> None:
    await rig.transport.send("lost, for there is no connection yet")
    await rig.start()
    await rig.transport.send('{"method":"SUBSCRIBE","params":["more"],"id":2}')
    await until(lambda: rig.venue.subscriptions == [[], ["more"]], "the frame")
    await rig.transport.stop()
    await rig.transport.send("lost, for there is none any more")
    assert len(rig.venue.subscriptions) == 2


async def test_a_cut_connection_is_opened_again_with_a_new_epoch(rig: Rig) -> None:
    await rig.start()
    rig.venue.abort()
    await until(lambda: rig.stats.reconnects == 1, "the loss")
    assert rig.feed.log[-1][:2] == ("closed", 1)
    assert not rig.transport.connected
    await rig.clock.run_for(1.0)
    await until(lambda: rig.feed.count("attend") == 2, "the second subscription")
    await rig.data()
    assert rig.feed.log[-1][1] == 2
    assert rig.feed.count("closed") == 1


@pytest.mark.parametrize("word", ["bye", "no"])
async def test_a_venue_that_says_so_is_left_and_met_again(rig: Rig, word: str) -> None:
    await rig.start()
    await rig.venue.send(word)
    await until(lambda: rig.stats.reconnects == 1, "the loss")
    await rig.clock.run_for(1.0)
    await until(lambda: rig.feed.count("attend") == 2, "the second subscription")


async def test_a_frame_beyond_the_limit_cuts_the_connection(rig: Rig) -> None:
    await rig.start()
    await rig.venue.send("x" * 1001)
    await until(lambda: rig.stats.reconnects == 1, "the loss")
    assert not any("x" in word for word, _, _ in rig.feed.log)
    assert "1009" in str(rig.transport.trouble)


async def _check_a_silent_connection_is_opened_again(make: Callable[..., WebSocketTransport]) -> None:
    async with _rig(make) as rig:
        await rig.start()
        await rig.data()
        for _ in range(9):
            rig.clock.advance(1.0)
            # The socket lives: pings are answered, and other frames come. Only data would count.
            await rig.venue.ping()
            await rig.venue.send("nothing")
        await idle()
        assert rig.stats.reconnects == 0, "cut before its time"
        rig.clock.advance(1.0)
        await idle()
        assert rig.stats.reconnects == 1, "still waiting on a silent connection"
        assert rig.transport.trouble is not None
        assert rig.transport.trouble.absence is Absence.STALE
        await rig.clock.run_for(1.0)
        await until(lambda: rig.feed.count("attend") == 2, "the second subscription")


class TransportWithoutWatchdog(WebSocketTransport):
    """A planted bug: an open socket is taken for a live one."""

    async def _watch(self) -> None:
        await asyncio.Event().wait()


async def test_a_connection_that_gives_no_data_is_opened_again_though_pongs_come() -> None:
    await _check_a_silent_connection_is_opened_again(WebSocketTransport)


async def test_the_blackhole_check_catches_a_missing_watchdog() -> None:
    with pytest.raises(AssertionError, match="still waiting"):
        await _check_a_silent_connection_is_opened_again(TransportWithoutWatchdog)


async def test_the_watchdog_is_armed_before_the_first_data(rig: Rig) -> None:
    await rig.start()
    rig.clock.advance(10.0)
    await until(lambda: rig.stats.reconnects == 1, "the loss")


async def test_data_keep_a_connection_for_ever(rig: Rig) -> None:
    await rig.start()
    for _ in range(30):
        rig.clock.advance(9.0)
        await rig.data()
    assert rig.stats.reconnects == 0


async def test_a_jump_of_the_wall_clock_is_no_silence(rig: Rig) -> None:
    await rig.start()
    await rig.data()
    for seconds in (3600, -7200):
        rig.clock.jump_wall(seconds)
        rig.clock.advance(1.0)
        await idle()
    assert rig.stats.reconnects == 0
    rig.clock.advance(8.0)
    await until(lambda: rig.stats.reconnects == 1, "the loss")


async def _check_an_ack_is_required(make: Callable[..., WebSocketTransport]) -> None:
    async with _rig(make) as rig:
        rig.venue.behaviour.acknowledge = False
        rig.transport.start()
        await until(lambda: len(rig.venue.subscriptions) == 1, "the subscription")
        await rig.venue.send("data")
        await until(lambda: rig.feed.count("data") == 1, "data")
        rig.clock.advance(4.9)
        await idle()
        assert rig.stats.reconnects == 0
        rig.clock.advance(0.2)
        await idle()
        assert rig.stats.reconnects == 1, "a subscription without an answer was kept"
        assert "ack" in str(rig.transport.trouble)
        assert rig.feed.count("attend") == 0


class TransportThatTrustsTheVenue(WebSocketTransport):
    """A planted bug: nobody waits for the acknowledgement."""

    async def _await_ack(self) -> None:
        await asyncio.sleep(0)


async def test_a_subscription_that_is_not_acknowledged_in_time_is_made_again() -> None:
    await _check_an_ack_is_required(WebSocketTransport)


async def test_the_check_of_the_ack_catches_that_nobody_waits_for_it() -> None:
    with pytest.raises(AssertionError, match="without an answer"):
        await _check_an_ack_is_required(TransportThatTrustsTheVenue)


@pytest.mark.parametrize(
    ("status", "absence"),
    [
        (401, Absence.AUTH),
        (403, Absence.AUTH),
        (404, Absence.ERROR),
        (451, Absence.GEO_BLOCKED),
        (302, Absence.ERROR),
    ],
)
async def test_a_refusal_ends_the_attempts_at_once(rig: Rig, status: int, absence: Absence) -> None:
    rig.venue.behaviour.handshake_status = status
    rig.venue.behaviour.rest_headers = {"Location": rig.venue.ws_url + "/elsewhere"}
    rig.transport.start()
    await until(lambda: rig.transport.refusal is not None, "the refusal")
    await rig.clock.run_for(3600.0)
    assert rig.transport.refusal is not None
    assert rig.transport.refusal.absence is absence
    assert (rig.venue.dials, len(rig.venue.requests), rig.stats.reconnects) == (1, 1, 0)


async def test_an_end_without_tls_is_a_refusal(rig: Rig) -> None:
    async with plain_server() as port:
        rig.transport = rig.at(f"wss://127.0.0.1:{port}")
        rig.transport.start()
        await until(lambda: rig.transport.refusal is not None, "the refusal")
    assert "secure connection" in str(rig.transport.refusal)


async def test_neither_a_key_in_the_path_nor_a_line_of_the_venues_own_is_in_the_log(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.venue.path = "/hunter2/stream"
    rig.transport = rig.at(rig.venue.ws_url, rig.venue.path)
    await rig.start()
    await rig.venue.newest.close(1001, "bye\n2026 ERROR forged\u202e")
    await until(lambda: rig.stats.reconnects == 1, "the loss")
    await rig.transport.stop()
    rig.venue.behaviour.handshake_status = 403
    rig.transport.start()
    await until(lambda: rig.transport.refusal is not None, "the refusal")
    ours = [record.getMessage() for record in caplog.records if record.name == "marketstream.providers.transport"]
    assert [text.split()[:2] for text in ours] == [[rig.venue.ws_url, "lost:"], [rig.venue.ws_url, "refused,"]]
    assert "bye 2026 ERROR forged?" in ours[0] and all(text.isprintable() for text in ours)
    assert "hunter2" not in "".join(ours)


async def test_a_start_after_a_refusal_tries_again(rig: Rig) -> None:
    rig.venue.behaviour.handshake_status = 451
    rig.transport.start()
    await until(lambda: rig.transport.refusal is not None, "the refusal")
    await rig.transport.stop()
    rig.venue.behaviour.handshake_status = None
    await rig.start()
    assert rig.transport.refusal is None


async def test_lost_connections_wait_longer_each_time_up_to_a_minute_and_never_give_up(rig: Rig) -> None:
    rig.venue.behaviour.handshake_status = 503
    rig.transport.start()
    for n, wait in enumerate([1, 2, 4, 8, 16, 32, 60, 60, 60, 60], start=1):
        await until(lambda n=n: rig.stats.reconnects == n, "the loss")
        rig.clock.advance(wait - 0.001)
        await idle()
        assert rig.venue.dials == n, "tried before its time"
        rig.clock.advance(0.001)
        await until(lambda n=n: rig.venue.dials == n + 1, "the next attempt")


async def test_a_venue_that_asks_to_be_left_alone_is(rig: Rig) -> None:
    rig.venue.behaviour.handshake_status = 429
    rig.venue.behaviour.rest_headers = {"Retry-After": "90"}
    rig.transport.start()
    await until(lambda: rig.stats.reconnects == 1, "the loss")
    assert rig.transport.trouble is not None
    assert rig.transport.trouble.absence is Absence.THROTTLED
    rig.clock.advance(89.9)
    await idle()
    assert rig.venue.dials == 1
    rig.clock.advance(0.1)
    await until(lambda: rig.venue.dials == 2, "the next attempt")


async def _cut(rig: Rig, wait: float, n: int) -> None:
    rig.venue.abort()
    await until(lambda: rig.stats.reconnects == n, "the loss")
    rig.clock.advance(wait - 0.001)
    await idle()
    assert rig.feed.count("opened") == n, f"tried before {wait} s"
    rig.clock.advance(0.001)
    await until(lambda: rig.feed.count("attend") == n + 1, "the next subscription")


async def _check_only_data_reset_the_waits(make: Callable[..., WebSocketTransport]) -> None:
    async with _rig(make) as rig:
        await rig.start()
        for n, wait in enumerate([1, 2, 4], start=1):
            await _cut(rig, wait, n)
        await rig.data()
        await _cut(rig, 1, 4)
        await _cut(rig, 2, 5)


class TransportThatResetsOnOpening(WebSocketTransport):
    """A planted bug: a connection that opens counts as a good one."""

    async def _open(self) -> None:
        await super()._open()
        self._backoff.reset()


async def test_only_valid_data_reset_the_waits() -> None:
    await _check_only_data_reset_the_waits(WebSocketTransport)


async def test_the_check_of_resets_catches_one_that_comes_too_early() -> None:
    with pytest.raises(AssertionError, match="before 2 s"):
        await _check_only_data_reset_the_waits(TransportThatResetsOnOpening)


async def test_a_handshake_without_an_answer_is_given_up(rig: Rig) -> None:
    rig.venue.behaviour.silent_handshake = True
    rig.transport.start()
    await until(lambda: rig.venue.dials == 1, "the handshake")
    rig.clock.advance(10.0)
    await until(lambda: rig.stats.reconnects == 1, "the loss")
    assert "within 10 s" in str(rig.transport.trouble)


async def test_a_venue_that_is_not_there_is_tried_again(rig: Rig) -> None:
    async with LoopbackVenue() as gone:
        url = gone.ws_url
    rig.transport = rig.at(url)
    rig.transport.start()
    await until(lambda: rig.stats.reconnects == 1, "the loss")
    assert rig.transport.refusal is None
    assert "cannot connect" in str(rig.transport.trouble)


async def test_a_proxy_in_the_environment_is_not_used(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "WS_PROXY", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await rig.start()


async def test_a_fault_of_our_own_is_counted_logged_and_not_tried_again(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.start()
    await rig.venue.send("bug")
    await until(lambda: rig.transport.refusal is not None, "the end")
    assert (rig.stats.errors, rig.stats.reconnects) == (1, 0)
    assert "KeyError" in str(rig.transport.refusal)
    assert any(record.exc_info for record in caplog.records)
    await rig.clock.run_for(600.0)
    assert rig.feed.count("opened") == 1


async def _nothing() -> None:
    return


@pytest.mark.parametrize("state", ["connected", "waiting", "dialling", "refused", "never started"])
async def test_a_stop_leaves_no_task_behind(rig: Rig, state: str) -> None:
    behaviour = rig.venue.behaviour
    behaviour.silent_handshake = state == "dialling"
    behaviour.handshake_status = {"waiting": 503, "refused": 451}.get(state)
    reach: dict[str, Callable[[], Awaitable[None]]] = {
        "connected": lambda: until(lambda: rig.feed.count("attend") == 1),
        "waiting": lambda: until(lambda: rig.stats.reconnects == 1),
        "dialling": lambda: until(lambda: rig.venue.dials == 1),
        "refused": lambda: until(lambda: rig.transport.refusal is not None),
        "never started": _nothing,
    }
    if state != "never started":
        rig.transport.start()
    await reach[state]()
    await rig.transport.stop()
    await rig.transport.stop()
    ours = [t for t in asyncio.all_tasks() if "transport" in t.get_name() or "providers/" in str(t.get_coro())]
    assert ours == []
    assert not rig.transport.connected
