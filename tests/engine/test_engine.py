"""The engine: one stream from feed to snapshot, on a manual clock."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import marketstream as ms
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.errors import ConfigurationError, InvalidInputError, TransientError
from marketstream.market.events import MarketEvent, ProviderStatus, Topic
from marketstream.market.frames import ALLOCATION, EDGES, FAIR, check_frame
from marketstream.market.instruments import Kind
from marketstream.providers.base import Fault
from marketstream.settings import load_settings
from marketstream.streaming.streamer import StreamerState


def engine_for(profile: str = "demo", **settings: object) -> Engine:
    return ms.connect(profile, clock=ManualClock(), **{"warmup_s": 60, **settings})


async def test_quotes_become_fair_values_edges_and_weights() -> None:
    engine = engine_for()
    await engine.run_for(2.0)
    snapshot = engine.snapshot
    assert snapshot is not None and engine.market is not None
    check_frame(snapshot.fair, FAIR)
    check_frame(snapshot.edges, EDGES)
    check_frame(snapshot.allocation.frame, ALLOCATION)
    assert snapshot.fair["fair"].notna().all()
    assert snapshot.allocation.weights.sum() == pytest.approx(1.0, abs=1e-8)
    assert engine.status().errors == 0
    await engine.close()


async def test_the_same_seed_gives_the_same_snapshot_bit_for_bit() -> None:
    found = []
    for _ in range(2):
        engine = engine_for(seed=11)
        await engine.run_for(3.0)
        assert engine.snapshot is not None
        found.append((engine.snapshot.fair["fair"].to_numpy().tobytes(), engine.snapshot.edges.to_csv()))
        await engine.close()
    assert found[0] == found[1]


async def test_another_seed_gives_another_market() -> None:
    fair = []
    for seed in (1, 2):
        engine = engine_for(seed=seed)
        await engine.run_for(1.0)
        assert engine.snapshot is not None
        fair.append(engine.snapshot.fair["fair"].to_numpy())
        await engine.close()
    assert not np.array_equal(fair[0], fair[1])


async def test_the_warm_up_fills_the_history_before_the_first_cycle() -> None:
    engine = engine_for(warmup_s=120)
    await engine.ensure_running()
    assert engine.market is not None and len(engine.market.history.times) >= 118
    await engine.close()


async def test_start_stop_pause_and_resume_can_be_said_twice_and_in_any_order() -> None:
    engine = engine_for()
    engine.pause(), engine.resume()
    await engine.stop()
    assert engine.status().state is StreamerState.STOPPED
    engine.start(), engine.start()
    await engine.run_for(0.5)
    sequence = engine.status().sequence
    engine.pause(), engine.pause()
    await engine.run_for(5.0)
    assert engine.status().state is StreamerState.PAUSED and engine.status().sequence == sequence
    engine.resume()
    await engine.run_for(0.5)
    assert engine.status().sequence > sequence
    await engine.stop()
    await engine.stop()
    assert engine.status().state is StreamerState.STOPPED and engine.status().started_at is None
    await engine.run_for(1.0)
    assert engine.status().state is StreamerState.RUNNING
    await engine.close()


async def test_a_pause_makes_no_feed_unhealthy_and_moves_no_trust() -> None:
    engine = engine_for(analysis_interval_s=10.0)
    await engine.run_for(2.0)
    # One is quicker than the others to be called silent, so that its reserve would take over.
    engine.registry.get("alder").stale_after_s = 3.0
    engine.pause()
    await engine.run_for(60.0)
    assert {report.status for report in engine.registry.report(engine.clock.now_ns())} == {ProviderStatus.RUNNING}
    engine.resume()
    await engine.run_for(5.0)
    assert not [event for event in engine.events if "DEGRADED" in event.message]
    assert not [event for event in engine.events if event.topic is Topic.PROVIDER_SWITCH]
    await engine.close()


async def test_a_check_of_health_in_a_pause_is_what_that_test_would_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for(analysis_interval_s=10.0)
    await engine.run_for(2.0)
    engine.pause()
    for provider in engine.registry:
        monkeypatch.setattr(provider, "_drained_at", None)
    await engine.run_for(60.0)
    statuses = {report.status for report in engine.registry.report(engine.clock.now_ns())}
    await engine.close()
    assert statuses == {ProviderStatus.DEGRADED}


def test_it_can_be_stopped_and_started_again_on_another_loop() -> None:
    engine = engine_for()
    heard: list[MarketEvent] = []
    engine.bus.subscribe("engine.#", heard.append, capacity=10)

    async def once() -> None:
        await engine.run_for(1.0)
        await engine.stop()
        await engine.handlers.settle()

    for _ in range(2):
        asyncio.run(once())
    asyncio.run(engine.close())
    assert [event.message for event in heard] == ["Stream started.", "Stream stopped."] * 2


async def test_nothing_is_left_running_after_a_stop() -> None:
    before = asyncio.all_tasks()
    engine = engine_for()
    await engine.run_for(1.0)
    await engine.close()
    assert asyncio.all_tasks() == before


async def test_a_start_during_a_stop_ends_running_and_whole() -> None:
    engine = engine_for()
    await engine.run_for(0.5)
    await asyncio.gather(engine.stop(), engine.ensure_running())
    status = engine.status()
    assert status.state is StreamerState.RUNNING and status.started_at is not None
    await engine.run_for(2.0)
    assert {str(p.status) for p in engine.registry} == {"RUNNING"}
    await engine.close()


async def test_a_stop_during_the_start_is_told_to_who_waits_for_it() -> None:
    engine = engine_for(warmup_s=600)
    waiting = asyncio.ensure_future(engine.ensure_running())
    for _ in range(10):
        await asyncio.sleep(0)
    await engine.stop()
    with pytest.raises(TransientError, match="was stopped while it started"):
        await waiting
    assert engine.status().state is StreamerState.STOPPED
    await engine.ensure_running()
    assert engine.status().state is StreamerState.RUNNING
    await engine.close()


async def test_a_start_that_fails_is_undone_told_and_can_be_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_for()

    async def fail() -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(engine.rationale, "start", fail)
    with pytest.raises(RuntimeError, match="planted"):
        await engine.ensure_running()
    assert engine.status().state is StreamerState.STOPPED and "could not start" in caplog.text
    monkeypatch.undo()
    await engine.ensure_running()
    assert engine.status().state is StreamerState.RUNNING
    await engine.close()


async def test_a_page_that_gives_up_waiting_does_not_end_the_start() -> None:
    engine = engine_for(warmup_s=300)
    impatient = asyncio.ensure_future(engine.ensure_running())
    await asyncio.sleep(0)
    impatient.cancel()
    await engine.ensure_running()
    assert engine.status().state is StreamerState.RUNNING
    await engine.close()


async def test_a_closed_engine_says_that_it_is_closed_and_can_be_closed_again() -> None:
    engine = engine_for()
    await engine.close()
    await engine.close()
    with pytest.raises(InvalidInputError, match="was closed; build a new one"):
        await engine.ensure_running()


async def test_the_rate_does_not_span_the_time_in_which_nothing_ran() -> None:
    engine = engine_for()
    await engine.run_for(5.0)
    before = engine.status().quotes_per_s
    await engine.stop()
    engine.clock.advance(600.0)  # type: ignore[attr-defined]
    await engine.run_for(3.0)
    assert engine.status().quotes_per_s == pytest.approx(before, rel=0.5)
    await engine.close()


async def test_a_start_long_after_the_engine_was_built_plays_only_the_warm_up() -> None:
    engine = await asyncio.to_thread(lambda: engine_for(warmup_s=60))
    engine.clock.advance(86_400.0)  # type: ignore[attr-defined]
    await engine.ensure_running()
    assert engine.status().sequence <= 61
    await engine.close()


async def test_it_can_be_built_and_started_where_no_loop_runs() -> None:
    engine = await asyncio.to_thread(lambda: engine_for())
    assert engine.status().state is StreamerState.STOPPED
    await engine.ensure_running()
    assert engine.status().state is StreamerState.RUNNING
    await engine.close()


async def test_a_stale_venue_leaves_the_consensus_and_says_so() -> None:
    engine = engine_for()
    await engine.run_for(1.0)
    engine.registry.play_fault("damson", Fault.STALL, 60.0)
    await engine.run_for(15.0)
    assert engine.snapshot is not None
    row = engine.snapshot.fair.loc["BTC-USD"]
    assert row["n_venues"] <= 3 and "damson: stale" in row["left_out"]
    assert engine.registry.check_health(engine.clock.now_ns())["damson"].status == "DEGRADED"
    await engine.close()


async def test_a_provider_can_be_taken_out_and_put_back_while_the_stream_runs() -> None:
    engine = engine_for()
    await engine.run_for(1.0)
    damson = engine.registry.get("damson")
    await engine.registry.remove("damson")
    await engine.run_for(1.0)
    assert engine.snapshot is not None and engine.market is not None
    assert engine.market.books.loc[("BTC-USD", "damson"), "state"] == "CLOSED"
    assert "damson: closed" in engine.snapshot.fair.loc["BTC-USD", "left_out"]
    engine.registry.add(damson)
    await engine.registry.enable("damson")
    await engine.run_for(2.0)
    assert engine.market.books.loc[("BTC-USD", "damson"), "state"] == "LIVE"
    assert "damson" not in engine.snapshot.fair.loc["BTC-USD", "left_out"]
    await engine.close()


async def test_crossed_quotes_are_refused_and_the_venue_is_out_until_a_good_one() -> None:
    engine = engine_for()
    await engine.run_for(1.0)
    engine.registry.play_fault("birch", Fault.CROSSED, 5.0)
    await engine.run_for(3.0)
    assert engine.registry.get("birch").stats.refused["crossed"] > 0
    assert engine.market is not None and not (engine.market.book["bid"] > engine.market.book["ask"]).any()
    await engine.run_for(10.0)
    assert engine.snapshot is not None and "birch: crossed" not in engine.snapshot.fair.loc["BTC-USD", "left_out"]
    assert engine.market.books.loc[("BTC-USD", "birch"), "state"] == "LIVE"
    await engine.close()


async def test_no_edge_can_be_traded_on_null_and_planted_ones_are_found() -> None:
    tradable = {}
    for profile in ("null", "planted"):
        engine = engine_for(profile, warmup_s=120)
        tradable[profile] = 0
        for _ in range(20):
            await engine.run_for(1.0)
            assert engine.snapshot is not None
            tradable[profile] += int(engine.snapshot.edges["executable"].sum())
        await engine.close()
    assert tradable["null"] == 0
    assert tradable["planted"] > 20


async def test_tradable_edges_lie_where_edges_were_planted() -> None:
    engine = engine_for("planted", warmup_s=120)
    found: set[tuple[str, str, str]] = set()
    for _ in range(20):
        await engine.run_for(1.0)
        assert engine.snapshot is not None
        edges = engine.snapshot.edges
        found |= set(edges.index[edges["executable"].to_numpy()])
    planted = {
        (one.instrument, one.venue)
        for provider in engine.registry
        for one in provider.planted(until=engine.clock.now_ns())  # type: ignore[attr-defined]
    }
    hits = [(instrument, venue) in planted for instrument, venue, _ in found]
    # Judged against the others, a venue that is planted makes its neighbours look a little wrong too.
    assert np.mean(hits) > 0.8
    await engine.close()


async def test_on_null_changes_beyond_two_deviations_are_3_to_7_percent() -> None:
    engine = engine_for("null", warmup_s=300)
    beyond: list[np.ndarray] = []

    def look(frame: object) -> None:
        assert engine.market is not None
        z = engine.market.changed["z_change"]
        beyond.append(np.abs(z[np.isfinite(z)]) > 2)

    node = engine.deltas.stream.sink(look)
    await engine.run_for(30.0)
    node.destroy()
    share = float(np.concatenate(beyond).mean())
    assert 0.03 <= share <= 0.07
    await engine.close()


async def test_an_analysis_that_fails_stops_nothing_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_for()
    await engine.run_for(1.0)
    good = engine.snapshot

    def fail(market: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(engine.house, "step", fail)
    await engine.run_for(2.0)
    assert engine.snapshot is good and engine.status().errors >= 3
    assert "analysis 'house' failed" in caplog.text
    monkeypatch.undo()
    await engine.run_for(1.0)
    assert engine.snapshot is not good
    await engine.close()


async def test_events_tell_what_happened() -> None:
    engine = engine_for()
    await engine.run_for(1.0)
    await engine.registry.disable("cedar")
    messages = [f"{event.subject}: {event.message}" for event in engine.events]
    assert any("started" in m for m in messages) and any(m.startswith("cedar") for m in messages)
    await engine.close()


async def test_the_simulator_knows_the_truth_and_the_fair_value_is_near_it() -> None:
    engine = engine_for(warmup_s=120)
    await engine.run_for(2.0)
    assert engine.snapshot is not None
    fair, truth = engine.snapshot.fair, engine.truth()
    assert set(truth) == set(fair.index)
    kinds = {instrument.id: instrument.kind for instrument in engine.catalog.instruments}
    errors: dict[Kind, list[float]] = {kind: [] for kind in Kind}
    for name, true in truth.items():
        errors[kinds[name]].append((fair.loc[name, "fair"] - true) / fair.loc[name, "fair_sd"])
    size = {kind: float(np.sqrt(np.mean(np.square(found)))) for kind, found in errors.items()}
    # In units of the band: 1 is a band that is right. Those of outcomes are known to be wide (multiplicative devig).
    assert 0.5 < size[Kind.ASSET] < 1.6
    assert 0.15 < size[Kind.OUTCOME] < 1.3
    await engine.close()


def test_a_profile_that_does_not_exist_is_said_in_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="profile: Input should be"):
        ms.connect("moon")


def test_the_package_lists_what_it_offers() -> None:
    for name in ms.__all__:
        assert getattr(ms, name) is not None and name in dir(ms)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'; it has Analysis"):
        _ = ms.nothing


def test_settings_reach_the_parts() -> None:
    engine = Engine(load_settings(window=64, history_s=120, cycle_s=0.25, warmup_s=0), clock=ManualClock())
    assert engine.graph.kernel.window == 64 and engine.graph.kernel.history_s == 120
    assert engine.streamer.cycle_s == 0.25
