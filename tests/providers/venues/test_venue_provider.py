"""What every venue's provider does, whatever its language: both venues by hand-made inputs, without a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from binance_frames import SNAPSHOT as BINANCE_BOOK
from kraken_frames import SNAPSHOT as KRAKEN_BOOK
from kraken_frames import update
from loopback_venue import depth

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog
from marketstream.market.events import ProviderStatus
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Input, InputKind
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.providers.venues.venue_provider import VenueProvider

TS = 1_767_225_600_000_000_000


@dataclass(frozen=True)
class Case:
    """A venue, what opens one book of it, and a frame that confirms the quote."""

    kind: str
    make: Callable[..., VenueProvider]
    symbol: str
    book: InputKind
    body: bytes
    confirm: bytes

    def inputs(self, epoch: int = 1, ts: int = TS) -> list[Input]:
        """Return a connection with one book and one more frame."""
        return [
            self.given(InputKind.OPENED, epoch, ts),
            self.given(self.book, epoch, ts + 1, self.body),
            self.given(InputKind.FRAME, epoch, ts + 2, self.confirm),
        ]

    def given(self, kind: InputKind, epoch: int, ts: int, body: bytes = b"") -> Input:
        """Return one input."""
        key = self.symbol if kind is InputKind.SNAPSHOT else ""
        return Input(provider=self.kind, kind=kind, epoch=epoch, ts=ts, key=key, body=body)

    def attached(self) -> VenueProvider:
        """Return a provider whose transport is never started, on a clock that stands elsewhere."""
        provider = self.make(clock=ManualClock(5), symbols=[self.symbol])
        provider.attach(Catalog())
        return provider


CASES = (
    Case(
        "binance", BinanceProvider, "BTCUSDT", InputKind.SNAPSHOT, BINANCE_BOOK,
        json.dumps(depth("BTCUSDT", 101, 101)).encode(),
    ),
    Case("kraken", KrakenProvider, "BTC/USD", InputKind.FRAME, KRAKEN_BOOK, update()),
)  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: case.kind)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_replayed_inputs_make_rows_at_the_times_of_the_inputs(case: Case) -> None:
    provider = case.attached()
    for given in case.inputs():
        provider.replay(given)
    rows = provider.drain(TS + 3)
    assert set(rows["state"].tolist()) == {QuoteState.LIVE}
    assert rows["ts_received"][-1] == TS + 2
    assert provider.status is ProviderStatus.READY


@pytest.mark.parametrize("n_inputs", [1, 3], ids=["waiting for its book", "in step"])
def test_a_provider_can_be_started_again_on_another_loop(
    case: Case, n_inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = case.attached()
    monkeypatch.setattr(provider.transport, "start", lambda: None)
    monkeypatch.setattr(provider, "_fetch_snapshot", lambda *_: asyncio.Event().wait(), raising=False)

    async def once() -> bool:
        await provider.start()
        for given in case.inputs()[:n_inputs]:
            provider.replay(given)
        attending = asyncio.create_task(provider.attend(1))
        for _ in range(20):
            await asyncio.sleep(0)
        waits = not attending.done()
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
        await provider.stop()
        return waits

    assert [asyncio.run(once()), asyncio.run(once())] == [True, True]


def test_the_end_of_a_connection_takes_its_quotes_out(case: Case) -> None:
    provider = case.attached()
    for given in (*case.inputs(), case.given(InputKind.CLOSED, 1, TS + 9)):
        provider.replay(given)
    last = provider.drain(TS + 10)[-1]
    assert (last["state"], last["ts_received"]) == (QuoteState.GAP, TS + 9)


def test_an_input_of_an_older_connection_changes_nothing(case: Case) -> None:
    provider = case.attached()
    for given in case.inputs(epoch=2):
        provider.replay(given)
    n = len(provider.drain(TS + 3))
    frames = provider.stats.frames
    for given in (*case.inputs(epoch=1)[1:], case.given(InputKind.CLOSED, 1, TS + 5)):
        provider.replay(given)
    assert n > 0
    assert len(provider.drain(TS + 6)) == 0
    assert provider.stats.frames == frames


def test_the_tap_hears_of_every_input_before_it_is_read_and_of_no_replayed_one(case: Case) -> None:
    provider = case.attached()
    heard: list[tuple[InputKind, bytes, int]] = []
    provider.tap = lambda given: heard.append((given.kind, given.body, provider.stats.frames))
    provider.opened(1)
    provider.received(1, b"{", TS + 1)
    provider.received(0, b"of another connection", TS + 2)
    provider.closed(1, TS + 3)
    provider.replay(case.given(InputKind.FRAME, 1, TS + 4, b"{"))
    assert heard == [
        (InputKind.OPENED, b"", 0),
        (InputKind.FRAME, b"{", 0),
        (InputKind.FRAME, b"of another connection", 1),
        (InputKind.CLOSED, b"", 1),
    ]


def test_without_a_tap_nothing_is_told(case: Case) -> None:
    provider = case.attached()
    assert provider.tap is None
    provider.opened(1)
    provider.received(1, b"{", TS)


def test_a_stamp_is_never_after_the_cycle_that_it_is_collected_in(case: Case) -> None:
    provider = case.attached()
    for given in case.inputs(ts=TS + 1000):
        provider.replay(given)
    rows = provider.collect(TS)
    assert len(rows) > 0
    assert set(rows["ts_received"].tolist()) == {TS}


def test_the_same_inputs_make_the_same_rows_whenever_they_are_collected(case: Case) -> None:
    often, once = case.attached(), case.attached()
    rows = []
    for given in case.inputs():
        often.replay(given)
        rows += often.collect(TS + 9).tolist()
    for given in case.inputs():
        once.replay(given)
    assert repr(once.collect(TS + 9).tolist()) == repr(rows)
