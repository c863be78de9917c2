"""A recorder takes down what an engine takes in, costs it little, and never stops it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recorded import Recorded, settings

from marketstream.clock import ManualClock
from marketstream.engine import Engine, Recorder, replay
from marketstream.errors import InvalidInputError
from marketstream.market.events import Topic
from marketstream.market.records import ProviderConfig
from marketstream.providers.base import Fault, Input, InputKind
from marketstream.store.journal import JournalReader, JournalWriter
from marketstream.store.journal_records import (
    CycleEntry,
    EndEntry,
    Entry,
    Header,
    InputEntry,
    ProviderEntry,
)


def demo_engine(**others: object) -> Engine:
    return Engine(settings(**{"warmup_s": 0, **others}), clock=ManualClock())


def entries(path: Path) -> list[Entry]:
    return list(JournalReader(path).entries())


async def test_the_header_says_how_the_engine_was_set_up(demo: Recorded) -> None:
    header = JournalReader(demo.path).header
    assert isinstance(header, Header) and header.profile == "demo"
    assert header.settings["cycle_s"] == 0.25 and header.settings["seed"] == 7
    assert header.knobs["fair_value"]["half_life_s"] == 8.0


async def test_providers_come_first_in_their_order_with_all_they_list(demo: Recorded) -> None:
    found = [entry for entry in entries(demo.path) if isinstance(entry, ProviderEntry)]
    assert [entry.code for entry in found] == list(range(len(found)))
    assert found[0].name == "alder" and len(found[0].listing.pairs) == 26 and not found[0].frames
    assert any(listing.markets for listing in (entry.listing for entry in found))


async def test_no_address_folder_or_key_is_in_a_recording(tmp_path: Path) -> None:
    engine = Engine(
        settings(binance_ws_url="ws://127.0.0.1:1/canary-address", data_dir=tmp_path / "canary-folder"),
        clock=ManualClock(),
    )
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(1.0)
    await recorder.close()
    await engine.close()
    assert "canary" not in str(entries(tmp_path / "a.msj"))


async def test_a_recording_that_is_closed_ends_with_its_digest(demo: Recorded) -> None:
    *_, last = entries(demo.path)
    assert isinstance(last, EndEntry) and last.reason == "done" and len(last.digest) == 16
    assert last.cycles == demo.status.cycles == sum(isinstance(e, CycleEntry) for e in entries(demo.path))


async def test_the_archive_holds_every_quote_of_the_stream(demo: Recorded) -> None:
    table = pd.read_parquet(demo.path.parent / "quotes")
    assert len(table) == demo.status.quotes
    replayed = replay(demo.path)
    batches: list[int] = []
    replayed.streamer.on_cycle = lambda batch, dispatched: batches.append(len(batch))
    await replayed.run_to_end()
    await replayed.close()
    assert sum(batches) == len(table)
    assert set(table["state"]) >= {"LIVE", "SUSPENDED", "GAP"}


async def test_a_block_is_written_every_second_of_the_stream(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj", flush_bytes=1 << 30)
    await engine.run_for(5.0)
    await recorder.close()
    await engine.close()
    assert 5 <= len(list(JournalReader(tmp_path / "a.msj").blocks())) <= 8


async def test_a_recorded_engine_computes_what_one_that_is_not_computes(tmp_path: Path) -> None:
    found = []
    for recorded in (False, True):
        engine = demo_engine()
        recorder = Recorder(engine, tmp_path / "a.msj") if recorded else None
        await engine.run_for(3.0)
        if recorder is not None:
            await recorder.close()
        await engine.close()
        assert engine.snapshot is not None
        found.append(engine.snapshot.fair["fair"].to_numpy())
    assert np.array_equal(found[0], found[1])


async def test_a_provider_that_comes_later_is_recorded_and_replayed(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(2.0)
    options = {"world": "scale", "venue": "v01", "n_instruments": 3, "n_venues": 1}
    await engine.feeds.add(ProviderConfig(name="late", kind="simulated", options=options, enabled=True))
    await engine.run_for(2.0)
    await engine.feeds.remove("birch")
    await engine.run_for(2.0)
    await recorder.close()
    await engine.close()
    replayed = replay(tmp_path / "a.msj")
    await replayed.run_to_end()
    await replayed.close()
    assert replayed.replay_status().diverged_at is None and replayed.compared
    assert "late" in replayed.registry.names and "birch" not in replayed.registry.names
    assert replayed.market is not None and "A0001-USD" in replayed.market.best_quotes.index


async def test_another_time_to_go_stale_is_replayed(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(1.0)
    await engine.feeds.add(ProviderConfig(name="kraken", kind="kraken", options={}, enabled=False))
    await engine.feeds.change("kraken", stale_after_s=5.0)
    await engine.run_for(1.0)
    await recorder.close()
    await engine.close()
    replayed = replay(tmp_path / "a.msj")
    await replayed.run_to_end()
    await replayed.close()
    status = replayed.replay_status()
    assert (status.failure, status.diverged_at, replayed.compared) == ("", None, True)
    assert replayed.catalog.venue("kraken").stale_after_s == replayed.registry.get("kraken").stale_after_s == 5.0


async def test_a_provider_that_is_refused_leaves_no_trace_that_a_replay_lacks(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(1.0)
    venues, instruments = engine.catalog.venues, engine.catalog.instruments
    # BTC-USD of the demo has another tick; the first is new.
    options = {"symbols": ["ZEC-USD:0.01", "BTC-USD:0.5"]}
    with pytest.raises(InvalidInputError, match="'BTC-USD' is known already"):
        await engine.feeds.add(ProviderConfig(name="kraken", kind="kraken", options=options, enabled=False))
    await engine.run_for(1.0)
    await recorder.close()
    await engine.close()
    assert (engine.catalog.venues, engine.catalog.instruments) == (venues, instruments)
    replayed = replay(tmp_path / "a.msj")
    await replayed.run_to_end()
    await replayed.close()
    assert replayed.compared and replayed.replay_status().diverged_at is None


async def test_a_recording_begins_before_the_first_cycle_and_there_is_one(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    with pytest.raises(InvalidInputError, match="nobody records yet"):
        Recorder(engine, tmp_path / "b.msj")
    await engine.run_for(1.0)
    await recorder.close()
    with pytest.raises(InvalidInputError, match="before the first cycle"):
        Recorder(engine, tmp_path / "c.msj")
    await engine.close()
    assert not (tmp_path / "b.msj").exists()


async def test_a_stop_of_the_stream_ends_the_recording(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(1.0)
    await engine.stop()
    await engine.run_for(1.0)
    status = await recorder.close("done")
    await engine.close()
    assert status.ended == "the stream was stopped"
    replayed = replay(tmp_path / "a.msj")
    assert any("the stream was stopped" in note for note in replayed.tape.notes)
    await replayed.run_to_end()
    assert replayed.replay_status().diverged_at is None
    await replayed.close()


async def test_a_pause_is_a_time_without_cycles(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(1.0)
    engine.pause()
    await engine.run_for(3.0)
    engine.resume()
    await engine.run_for(1.0)
    await recorder.close()
    await engine.close()
    times = [entry.now for entry in entries(tmp_path / "a.msj") if isinstance(entry, CycleEntry)]
    assert max(np.diff(times)) >= 3e9
    replayed = replay(tmp_path / "a.msj")
    await replayed.run_to_end()
    assert replayed.replay_status().diverged_at is None
    await replayed.close()


async def test_a_disk_that_fails_ends_the_recording_with_an_event_and_the_stream_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj", archive=tmp_path / "quotes")
    await engine.run_for(2.0)

    monkeypatch.setattr(JournalWriter, "_write", _full)
    await engine.run_for(2.0)
    await _idle(recorder)
    await engine.run_for(1.0)
    cycles = engine.status().sequence
    await engine.run_for(1.0)
    await engine.handlers.settle()
    (event,) = (e for e in engine.events if e.topic is Topic.ENGINE_STATUS and e.subject == "recording")
    assert "No space left on device" in event.message and "The stream goes on" in event.message
    status = await recorder.close()
    assert not status.recording and "No space left" in status.ended
    assert engine.status().sequence > cycles and engine.status().errors == 0
    assert all(provider.tap is None for provider in engine.registry)
    await engine.close()
    # What was written before is a recording.
    assert any(isinstance(entry, InputEntry) for entry in entries(tmp_path / "a.msj"))


def _full(self: JournalWriter, data: bytes) -> None:
    raise OSError(28, "No space left on device")


async def test_a_last_block_that_cannot_be_written_is_no_end_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(2.0)
    await _idle(recorder)
    monkeypatch.setattr(JournalWriter, "_write", _full)
    status = await recorder.close("done")
    await engine.handlers.settle()
    (event,) = (e for e in engine.events if e.topic is Topic.ENGINE_STATUS and e.subject == "recording")
    assert "No space left on device" in event.message
    assert not status.recording and "No space left" in status.ended
    assert await recorder.close("again") == status
    await engine.close()


async def test_what_feeds_send_while_the_stream_is_paused_is_written_too(tmp_path: Path) -> None:
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj", flush_bytes=1 << 16)
    await engine.run_for(1.0)
    engine.pause()
    await engine.run_for(0.5)
    (tap,) = {provider.tap for provider in engine.registry}
    assert tap is not None
    before, rng = recorder.status(), random.Random(7)
    for _ in range(1000):
        body = rng.randbytes(1 << 12)
        tap(Input(provider="alder", kind=InputKind.FRAME, epoch=1, ts=engine.clock.now_ns(), body=body))
    assert recorder._bytes <= 1 << 17
    await _idle(recorder)
    assert recorder.status().size_bytes - before.size_bytes > 3_500_000
    assert recorder.status().cycles == before.cycles
    await recorder.close()
    await engine.close()


async def test_knobs_that_are_numbers_of_numpy_are_recorded(tmp_path: Path) -> None:
    engine = demo_engine()
    engine.house.optimizer.views = {"BTC-USD": np.float64(0.02)}
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(2.0)
    engine.house.optimizer.views = {"BTC-USD": np.float64(0.01), "ETH-USD": np.float64(-0.01)}
    engine.house.fair_value.half_life_s = np.float64(3.5)
    await engine.run_for(2.0)
    status = await recorder.close()
    await engine.close()
    assert status.ended == "closed"
    replayed = replay(tmp_path / "a.msj")
    assert replayed.house.optimizer.views == {"BTC-USD": 0.02}
    await replayed.run_to_end()
    await replayed.close()
    assert replayed.compared and replayed.replay_status().diverged_at is None
    assert replayed.house.knobs() == engine.house.knobs()


async def _idle(recorder: Recorder) -> None:
    # Until the writer's thread is done with what it was given.
    for job, _ in recorder._jobs:
        await asyncio.wait([asyncio.wrap_future(job)])


async def test_a_fault_of_the_recorder_ends_the_recording_and_not_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: object, *args: object) -> bool:
        raise KeyError("a bug")

    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj", archive=tmp_path / "quotes")
    await engine.run_for(1.0)
    monkeypatch.setattr("marketstream.store.archive.QuoteArchive.add", broken)
    await engine.run_for(1.0)
    assert engine.status().errors == 0 and engine.status().sequence >= 8
    assert "a bug" in (await recorder.close()).ended
    await engine.close()


async def test_a_disk_that_falls_far_behind_ends_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("marketstream.engine.recording.MAX_BACKLOG_BYTES", 1000)
    engine = demo_engine()
    recorder = Recorder(engine, tmp_path / "a.msj")
    await engine.run_for(3.0)
    assert "at most 0.0 MiB may" in recorder.status().ended
    await recorder.close()
    await engine.close()


async def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.msj").write_text("mine")
    engine = demo_engine()
    with pytest.raises(InvalidInputError, match="exists already"):
        Recorder(engine, tmp_path / "a.msj")
    assert (tmp_path / "a.msj").read_text() == "mine"
    assert engine.streamer.on_cycle is None
    await engine.close()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_to_a_stream_its_replay_is_the_same(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    engine = demo_engine(seed=seed, warmup_s=2)
    recorder = Recorder(engine, tmp_path / "a.msj", flush_s=0.5)
    await engine.run_for(1.0)
    for _ in range(12):
        await _happen(engine, rng)
        await engine.run_for(rng.choice([0.3, 1.0, 2.5]))
    engine.resume()
    await engine.run_for(1.0)
    live = await recorder.close()
    await engine.close()
    replayed = replay(tmp_path / "a.msj")
    await replayed.run_to_end()
    await replayed.close()
    status = replayed.replay_status()
    assert (status.diverged_at, status.cycles, status.failure) == (None, live.cycles, "")
    assert replayed.market is not None and engine.market is not None
    assert replayed.market.book.tobytes() == engine.market.book.tobytes()


async def _happen(engine: Engine, rng: random.Random) -> None:
    name = rng.choice(engine.registry.names)
    match rng.randrange(7):
        case 0 | 1:
            engine.registry.play_fault(name, rng.choice(list(Fault)), rng.choice([1.0, 5.0, 12.0]))
        case 2:
            await engine.registry.disable(name)
        case 3:
            await engine.registry.enable(name)
        case 4:
            engine.house.edge_finder.min_edge_se = rng.uniform(0.0, 3.0)
            engine.house.fair_value.half_life_s = rng.uniform(1.0, 60.0)
        case 5:
            engine.pause() if rng.random() < 0.5 else engine.resume()
        case 6:
            if len(engine.registry.names) > 5:
                await engine.feeds.remove(name)
