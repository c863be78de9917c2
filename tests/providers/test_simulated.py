"""The simulated provider as a feed: its start, its backlog, its truth and its speed of catching up."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, simulated
from tapped import columns

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import ProviderStatus
from marketstream.market.instruments import Kind
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Fault
from marketstream.providers.replay import RecordedProvider
from marketstream.providers.simulated import SimulatedProvider, make_world


def test_the_first_drain_begins_with_a_snapshot_of_every_pair() -> None:
    for provider in simulated(make_world("demo", seed=7, start_ns=START_NS)):
        rows = provider.drain(START_NS + SECOND_NS // 10)
        first = rows[rows["ts_received"] == START_NS]
        assert len(first) == len(provider.listing().pairs)


def test_venues_of_one_world_agree_on_instruments_and_markets() -> None:
    catalog = Catalog()
    simulated(make_world("demo", seed=7, start_ns=START_NS), catalog)
    assert (catalog.n_instruments, catalog.n_venues, len(catalog.markets)) == (52, 8, 10)
    market = catalog.market("NGR-EMA")
    assert market.settles_at == START_NS + round(2.25 * 3600 * SECOND_NS)
    assert [catalog.instrument(o).name for o in market.outcomes] == [
        "Northgate Rovers",
        "Draw",
        "Eastmoor Athletic",
    ]
    assert catalog.venue("tidemark").fees.commission == 0.02


def test_truth_is_told_of_what_the_venue_quotes() -> None:
    providers = {p.name: p for p in simulated(make_world("demo", seed=7, start_ns=START_NS))}
    truth = providers["damson"].truth(START_NS + SECOND_NS)
    assert set(truth) == {i.id for i in providers["damson"].listing().instruments}
    assert truth["BTC-USD"] == pytest.approx(97_412.5, rel=0.01)
    outcomes = providers["quayside"].truth(START_NS + SECOND_NS)
    assert sum(outcomes.values()) == pytest.approx(10.0)


def test_quotes_are_near_the_truth() -> None:
    for provider in simulated(make_world("demo", seed=7, start_ns=START_NS)):
        now = START_NS + 60 * SECOND_NS
        rows = provider.drain(now)
        rows = rows[rows["ts_received"] > now - SECOND_NS]
        truth = provider.truth(now)
        names = provider.catalog.index
        expected = np.array([truth[names[i]] for i in rows["instrument"]])
        mid = np.where(np.isnan(rows["bid"]), rows["ask"], (rows["bid"] + rows["ask"]) / 2)
        is_asset = provider.catalog.venues[rows["venue"][0]].kind is Kind.ASSET
        assert np.max(np.abs(mid / expected - 1.0)) < (0.003 if is_asset else 0.25), provider.name


def test_the_past_can_be_walked_through_faster_than_the_clock() -> None:
    provider = simulated(make_world("demo", seed=7, start_ns=START_NS))[0]
    provider.status = ProviderStatus.RUNNING
    for second in range(1, 121):
        now = START_NS + second * SECOND_NS
        provider.drain(now)
        # The clock stands still at the start; health goes by the feed's own time.
        assert provider.health(now).status is ProviderStatus.RUNNING
    assert provider.clock.now_ns() == START_NS
    assert provider.stats.quotes > 10_000


def test_draining_the_past_again_gives_nothing() -> None:
    provider = simulated(make_world("demo", seed=7, start_ns=START_NS))[0]
    provider.drain(START_NS + 10 * SECOND_NS)
    assert len(provider.drain(START_NS + 5 * SECOND_NS)) == 0
    assert len(provider.drain(START_NS - 5 * SECOND_NS)) == 0
    assert provider.drain(START_NS + 11 * SECOND_NS)["ts_received"].min() > START_NS + 10 * SECOND_NS


def test_a_backlog_of_hours_is_skipped_for_a_snapshot() -> None:
    provider = simulated(make_world("demo", seed=7, start_ns=START_NS))[0]
    provider.drain(START_NS + SECOND_NS)
    rows = provider.drain(START_NS + 7200 * SECOND_NS)
    assert len(rows) == 26
    assert np.all(rows["ts_received"] == START_NS + 7200 * SECOND_NS)


async def test_rejoining_at_the_same_moment_is_harmless() -> None:
    provider = simulated(make_world("demo", seed=7, start_ns=START_NS))[0]
    await provider.start()
    provider.drain(START_NS + 10 * SECOND_NS)
    await provider.stop()
    await provider.start()
    assert len(provider.drain(START_NS + 10 * SECOND_NS)) == 0
    rows = provider.drain(START_NS + 10 * SECOND_NS + 1000)
    assert np.count_nonzero(rows["state"] == 0) >= 26


def test_one_venue_alone_sends_what_it_sends_among_the_others() -> None:
    now = START_NS + 30 * SECOND_NS
    together = simulated(make_world("demo", seed=7, start_ns=START_NS))
    for provider in together:
        rows = provider.drain(now)
    alone = SimulatedProvider(
        name="tidemark",
        clock=ManualClock(),
        world=make_world("demo", seed=7, start_ns=START_NS),
        venue="tidemark",
    )
    alone.attach(Catalog())
    assert np.array_equal(alone.drain(now)["ask"], rows["ask"], equal_nan=True)


def test_an_unknown_venue_is_refused() -> None:
    world = make_world("demo", seed=7, start_ns=START_NS)
    with pytest.raises(InvalidInputError, match="no venue 'elm'"):
        SimulatedProvider(name="x", clock=ManualClock(), world=world, venue="elm")


async def test_a_fault_played_again_replaces_itself_and_a_restart_ends_it() -> None:
    provider = simulated(make_world("demo", seed=7, start_ns=START_NS))[0]
    await provider.start()
    provider.drain(START_NS + SECOND_NS)
    for _ in range(50):
        provider.play_fault(Fault.DISCONNECT, 3600.0)
    assert len(provider._faults._windows) == 1
    now = START_NS + 2 * SECOND_NS
    provider.drain(now)
    assert "connection lost" in provider.health(now).detail
    await provider.stop()
    await provider.start()
    now += SECOND_NS
    assert (provider.drain(now)["state"] == QuoteState.LIVE).any()
    assert provider.health(now).status is ProviderStatus.RUNNING


def test_what_was_tapped_makes_the_same_rows_in_every_cycle() -> None:
    (live, *_) = simulated(make_world("demo", seed=7, start_ns=START_NS))
    replayed = RecordedProvider(name="alder", clock=ManualClock(START_NS), kind="simulated", listing=live.listing())
    replayed.attach(Catalog())
    live.tap = replayed.replay
    # A second of nothing, and faults, belong to a recording too.
    cycles = [START_NS - SECOND_NS] + [START_NS + i * SECOND_NS // 4 for i in range(40)]
    for i, now in enumerate(cycles):
        if i == 10:
            live.play_fault(Fault.GAP, 2.0)
        assert columns(live.drain(now)) == columns(replayed.drain(now))
    assert replayed.stats.quotes == live.stats.quotes > 0
    assert replayed.stats.frames == live.stats.frames


def line(delay_s: float) -> SimulatedProvider:
    """Return alder over a line that is so much slower, in a world of its own."""
    clock, world = ManualClock(START_NS), make_world("demo", seed=7, start_ns=START_NS)
    made = SimulatedProvider(name="line", clock=clock, world=world, venue="alder", delay_s=delay_s)
    made.attach(Catalog())
    return made


def test_a_slower_line_brings_the_same_quotes_later() -> None:
    fast, slow = line(0.0), line(0.25)
    now = START_NS + 20 * SECOND_NS
    expected, rows = fast.drain(now), slow.drain(now + SECOND_NS // 4)
    assert np.array_equal(rows["ts_received"], expected["ts_received"] + SECOND_NS // 4)
    for name in set(rows.dtype.names or ()) - {"ts_received"}:
        assert np.array_equal(rows[name], expected[name], equal_nan=name in ("bid", "ask")), name


def test_what_a_slower_line_brings_does_not_depend_on_how_often_it_is_drained() -> None:
    often, seldom = line(0.25), line(0.25)
    parts = [often.drain(START_NS + i * SECOND_NS // 10) for i in range(101)]
    assert columns(np.concatenate(parts)) == columns(seldom.drain(START_NS + 10 * SECOND_NS))


def test_two_lines_to_a_venue_play_their_faults_apart() -> None:
    world, catalog, clock = make_world("demo", seed=7, start_ns=START_NS), Catalog(), ManualClock(START_NS)
    first, second = (
        SimulatedProvider(name=name, clock=clock, world=world, venue="alder", delay_s=delay_s)
        for name, delay_s in (("alder", 0.0), ("alder-reserve", 0.06))
    )
    for provider in (first, second):
        provider.attach(catalog)
        provider.drain(START_NS + SECOND_NS)
    first.play_fault(Fault.STALL, 5.0)
    assert len(first.drain(START_NS + 5 * SECOND_NS)) == 0
    assert len(second.drain(START_NS + 5 * SECOND_NS)) > 500
    second.play_fault(Fault.GAP, 2.0)
    gap = second.drain(START_NS + 7 * SECOND_NS)
    assert set(gap["state"][gap["ts_received"] < START_NS + 7 * SECOND_NS].tolist()) == {QuoteState.GAP}
    assert set(first.drain(START_NS + 7 * SECOND_NS)["state"].tolist()) == {QuoteState.LIVE}


@pytest.mark.parametrize("delay_s", [-0.1, 60.1, float("nan")])
def test_a_line_has_a_sensible_delay(delay_s: float) -> None:
    with pytest.raises(InvalidInputError, match="delay_s must be 0 to 60 seconds"):
        line(delay_s)
