"""Recordings of venues over real connections and of the real program: replayed bit for bit, also after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kraken_market import KrakenMarket
from kraken_venue import KrakenVenue
from loopback_venue import LoopbackVenue, Recording, load_binance, small_recording, until
from recorded import rewritten

from marketstream.clock import SystemClock
from marketstream.engine import Engine, Recorder, replay
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.settings import load_settings
from marketstream.store.journal import JournalReader
from marketstream.store.journal_records import CycleEntry, EndEntry, Entry, InputEntry, ProviderEntry


async def record_venues(path: Path, recording: Recording) -> str:
    """Record Binance and Kraken over loopback, with cuts, a refused frame and a silent end; returns the digest."""
    clock = SystemClock()
    market = KrakenMarket(start_ns=clock.now_ns())
    async with LoopbackVenue(recording) as binance, KrakenVenue(market, clock=clock) as kraken:
        binance.behaviour.autoplay = kraken.manners.follow = True
        feeds = [
            BinanceProvider(clock=clock, symbols=recording.symbols, ws_url=binance.ws_url, rest_url=binance.rest_url),
            KrakenProvider(clock=clock, symbols=market.symbols, ws_url=kraken.ws_url),
        ]
        engine = Engine(
            load_settings(profile="live", store_url="memory", cycle_s=0.02, analysis_interval_s=0.1), providers=feeds
        )
        recorder = Recorder(engine, path, archive=path.with_suffix(""), flush_s=0.1)
        await engine.ensure_running()
        await until(lambda: all(feed.stats.quotes > 0 for feed in feeds), "quotes of both")
        await binance.send(b"no frame of any venue")
        kraken.abort()
        await until(lambda: feeds[1].transport.epoch >= 2 and feeds[1].transport.connected, "a new connection")
        before = feeds[1].stats.quotes
        await until(lambda: feeds[1].stats.quotes > before + 5, "quotes after it")
        cycles = engine.status().sequence
        await until(lambda: engine.status().sequence > cycles + 10, "some more cycles")
        status = await recorder.close("done")
        digest = engine_digest(path)
        await engine.close()
    assert status.ended == "done" and status.inputs > 20 and status.quotes > 10
    return digest


def engine_digest(path: Path) -> str:
    last = JournalReader(path).last_entry()
    assert isinstance(last, EndEntry)
    return last.digest.hex()


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded frames", "frames of our own"])
async def test_a_session_over_real_connections_is_replayed_bit_for_bit_at_any_speed(
    recorded: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    frames = load_binance(request.getfixturevalue("shared_data")) if recorded else small_recording()
    digest = await record_venues(tmp_path / "live.msj", frames)
    kinds = {e.kind for e in JournalReader(tmp_path / "live.msj").entries() if isinstance(e, InputEntry)}
    assert kinds == {"opened", "frame", "closed", "snapshot"}
    for speed in ("max", 50.0):
        engine = replay(tmp_path / "live.msj", speed=speed)
        await engine.run_to_end()
        assert engine.replay_status().diverged_at is None and engine.digest == digest
        assert {p.kind: p.transport.epoch for p in engine.registry} == {"binance": 0, "kraken": 0}  # type: ignore[attr-defined]
        await engine.close()


async def test_frames_of_a_book_in_the_wrong_order_are_found_out(tmp_path: Path) -> None:
    await record_venues(tmp_path / "live.msj", small_recording())

    def exchanged(entries: list[Entry]) -> list[Entry]:
        kraken = next(e.code for e in entries if isinstance(e, ProviderEntry) and e.kind == "kraken")
        places = [
            i
            for i, e in enumerate(entries)
            if isinstance(e, InputEntry) and e.provider == kraken and b'"update"' in e.body and b"BTC/USD" in e.body
        ]
        # All pairs: one alone may have come while the book waited for a snapshot, where their order is no matter.
        for a, b in zip(places[::2], places[1::2], strict=False):
            entries[a], entries[b] = entries[b], entries[a]
        return entries

    engine = replay(rewritten(tmp_path / "live.msj", tmp_path / "other.msj", exchanged))
    await engine.run_to_end()
    assert engine.replay_status().diverged_at is not None
    await engine.close()


def program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "marketstream", *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith("MARKETSTREAM_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.process
@pytest.mark.timeout(90)
async def test_a_recording_cut_by_a_kill_is_replayed_up_to_its_last_block(tmp_path: Path) -> None:
    path = tmp_path / "cut.msj"
    process = program("record", "--to", str(path), "--profile", "demo")
    try:
        while True:
            # Seven whole blocks, so some seconds; the kill falls anywhere between two of them.
            if path.exists() and path.stat().st_size > 16 and len(list(JournalReader(path).blocks())) > 7:
                break
            assert process.poll() is None, process.communicate()[0]
            await asyncio.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    # The cut may fall within a block too.
    path.write_bytes(path.read_bytes()[:-5])
    reader = JournalReader(path)
    assert reader.torn_bytes > 0
    n_cycles = sum(isinstance(entry, CycleEntry) for entry in reader.entries())
    engine = replay(path)
    assert any("was cut" in note for note in engine.tape.notes)
    await engine.run_to_end()
    status = engine.replay_status()
    assert status.cycles == n_cycles > 20 and status.diverged_at is None and engine.compared
    await engine.close()


@pytest.mark.process
@pytest.mark.timeout(90)
def test_the_commands_record_and_replay_say_what_they_did(tmp_path: Path) -> None:
    said = program("record", "--to", str(tmp_path / "day"), "--for", "3").communicate()[0]
    assert "ended: done" in said, said
    replayed = program("replay", str(tmp_path / "day"), "--speed", "max")
    said = replayed.communicate()[0]
    assert replayed.returncode == 0 and ", as recorded" in said, said


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_recording_is_served_like_a_live_feed(tmp_path: Path) -> None:
    from running import serve

    path = tmp_path / "quotes.csv"
    lines = [f"{t},{venue},BTC/USD,{100 + t},{101 + t},1,1" for t in range(300) for venue in ("a", "b")]
    path.write_text("ts,venue,instrument,bid,ask,bid_size,ask_size\n" + "\n".join(lines) + "\n")
    with serve("--replay", str(path), "--speed", "max") as served:
        while True:
            status = served.get("/streaming/status")
            if status["state"] == "paused":
                break
        (row,) = served.get("/markets")["rows"]
        # One cycle for each of the seconds 0 to 299: it ends with the last quotes and shows what stands then.
        assert row["instrument"] == "BTC-USD" and status["sequence"] == 300 and row["n_live"] == 2
        assert served.stop() == 0
