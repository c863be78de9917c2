"""Real venues' frames recorded from an engine on loopback, and replayed: the same decoders, the same figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from kraken_frames import update
from kraken_venue import declare_feeds, kraken_thread
from loopback_venue import small_recording, venue_thread

from marketstream.engine import connect
from marketstream.engine.recording import Recorder
from marketstream.engine.replaying import replay
from marketstream.providers.transport import Reception
from marketstream.providers.venues.kraken import KrakenProvider

N_CYCLES = 8


async def _until(happened: Callable[[], bool]) -> None:
    """Let the loop run until something is so; the time limit of the test ends it, for a busy machine takes its time."""
    while not happened():  # noqa: ASYNC110 the engine and its venues set no event for a test
        await asyncio.sleep(0)


async def _record(folder: Path) -> tuple[Path, dict[str, dict[str, int]]]:
    """Record both venues for some cycles, one wrong checksum among them; returns the file and what was refused."""
    path, recording = folder / "venues.msj", small_recording()
    with venue_thread(recording) as binance, kraken_thread() as kraken:
        declared = declare_feeds(folder, binance, recording.symbols, kraken)
        engine = connect("live", providers_file=declared, warmup_s=0, store_url="memory", data_dir=folder)
        recorder = Recorder(engine, path)
        engine.start()
        provider = engine.registry.get("kraken")
        assert isinstance(provider, KrakenProvider)
        await _until(lambda: provider.decoder.checksums[True] > 5)
        provider.received(provider.transport.epoch, update(checksum=1), engine.clock.now_ns())
        await _until(lambda: recorder.status().cycles >= N_CYCLES and not provider.decoder.wanted)
        await recorder.close()
        refused = {p.name: dict(p.stats.refused) for p in engine.registry}
        await engine.stop()
    return path, refused


async def _replay(path: Path) -> tuple[int | None, dict[str, dict[str, int]]]:
    """Play it and return where it differed, and what was refused."""
    engine = replay(path)
    await engine.run_to_end()
    status = engine.replay_status()
    assert status.ended
    assert status.cycles >= N_CYCLES
    refused = {p.name: dict(p.stats.refused) for p in engine.registry}
    await engine.stop()
    return status.diverged_at, refused


async def test_recorded_frames_make_the_same_figures_again(tmp_path: Path) -> None:
    path, refused = await _record(tmp_path)
    assert refused["kraken"] == {"wrong_checksum": 1}
    assert await _replay(path) == (None, refused)


async def test_a_replay_that_loses_the_updates_of_a_book_says_where_it_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = await _record(tmp_path)
    read = KrakenProvider._read

    def losing(self: KrakenProvider, epoch: int, frame: bytes, ts: int) -> Reception:
        # Any one of them might be the last of its book, which would be missed by nobody.
        return Reception.OTHER if b'"update"' in frame else read(self, epoch, frame, ts)

    monkeypatch.setattr(KrakenProvider, "_read", losing)
    diverged_at, _ = await _replay(path)
    assert diverged_at is not None
