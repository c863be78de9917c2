"""A tape is a journal, a folder with one, or a file of quotes; what is none of them is said."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from recorded import Recorded, rewritten

from marketstream.clock import ManualClock
from marketstream.engine import replay
from marketstream.engine.tapes import JournalTape, QuoteTape, open_tape
from marketstream.errors import ConfigurationError
from marketstream.providers.quote_files import QuoteFileOptions
from marketstream.store.journal import JournalError, JournalReader, JournalWriter
from marketstream.store.journal_records import CycleEntry, EndEntry, Entry, Header, ProviderEntry

HEADER = "ts,venue,instrument,bid,ask,bid_size,ask_size\n"
STOLEN = {"llm": "openai", "llm_model": "m", "llm_base_url": "http://127.0.0.1:9/v1"}


def quotes(folder: Path, n: int = 30, name: str = "quotes.csv") -> Path:
    path = folder / name
    lines = [f"{60 * t},{venue},BTC/USD,{100 + t},{101 + t},1,1" for t in range(n) for venue in ("a", "b")]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def test_a_folder_with_one_recording_is_that_recording(demo: Recorded) -> None:
    tape = open_tape(demo.path.parent)
    assert isinstance(tape, JournalTape) and tape.path == demo.path


def test_a_folder_with_several_recordings_asks_which(tmp_path: Path) -> None:
    for name in ("a.msj", "b.msj"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"several recordings, name one of them: a\.msj, b\.msj"):
        open_tape(tmp_path)


def test_a_folder_of_parquet_files_is_a_file_of_quotes(demo: Recorded) -> None:
    tape = open_tape(demo.path.parent / "quotes")
    assert isinstance(tape, QuoteTape)
    ((provider, enabled),) = tape.providers(ManualClock())
    assert enabled and len(provider.listing().venues) == 8


def test_what_is_no_tape_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.msj").write_text("hello")
    with pytest.raises(ConfigurationError, match=r"read from \.csv"):
        open_tape(tmp_path / "a.txt")
    with pytest.raises(JournalError, match="no journal"):
        open_tape(tmp_path / "a.msj")


def test_a_journal_tells_begin_end_and_share(demo: Recorded) -> None:
    tape = JournalTape(demo.path)
    times = [e.now for e in JournalReader(demo.path).entries() if isinstance(e, CycleEntry)]
    assert (tape.begin, tape.end) == (times[0], times[-1])
    shares = [share for share, _ in tape.steps()]
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] == 1.0
    assert tape.notes == ()


def test_a_cut_recording_and_a_broken_end_are_noted(demo: Recorded, tmp_path: Path) -> None:
    def cut(entries: list[Entry]) -> list[Entry]:
        return [entry for entry in entries if not isinstance(entry, EndEntry)]

    path = rewritten(demo.path, tmp_path / "cut.msj", cut)
    path.write_bytes(path.read_bytes() + b"\x01\x02\x03")
    notes = JournalTape(path).notes
    assert any("was cut" in note for note in notes) and any("3 bytes at the end" in note for note in notes)


@pytest.mark.parametrize("shift", [-(2 * 10**18), 8 * 10**18])
def test_a_recording_of_times_that_cannot_be_is_refused(demo: Recorded, tmp_path: Path, shift: int) -> None:
    def moved(entries: list[Entry]) -> list[Entry]:
        return [msgspec.structs.replace(e, now=e.now + shift) if isinstance(e, CycleEntry) else e for e in entries]

    with pytest.raises(JournalError, match=r"first cycle at -?\d+ and its last at -?\d+ \(UTC ns\); times are from"):
        open_tape(rewritten(demo.path, tmp_path / "a.msj", moved))


def test_a_recording_that_ends_before_it_begins_is_refused(demo: Recorded, tmp_path: Path) -> None:
    path = rewritten(demo.path, tmp_path / "a.msj", lambda entries: entries[::-1])
    with pytest.raises(JournalError, match="never go back"):
        open_tape(path)


def forged(demo: Recorded, to: Path, **settings: str | float) -> Path:
    header, *entries = JournalReader(demo.path).entries()
    assert isinstance(header, Header)
    with JournalWriter(to, msgspec.structs.replace(header, settings={**header.settings, **settings})) as journal:
        for entry in entries:
            journal.append(entry)
    return to


def key_goes_to(path: Path) -> str | None:
    # Where an engine that replays this would send the key of whoever opened it.
    try:
        engine = replay(path)
    except JournalError:
        return None
    return engine.settings.llm_base_url if engine.settings.llm == "openai" else None


async def test_a_recording_cannot_choose_who_gets_the_users_key(
    demo: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETSTREAM_LLM_API_KEY", "sk-mine")
    path = forged(demo, tmp_path / "forged.msj", **STOLEN)
    assert key_goes_to(path) is None
    with pytest.raises(
        JournalError, match=r"sets 'llm', 'llm_base_url', 'llm_model', which no recording sets; .* profile, cycle_s"
    ):
        replay(path)


async def test_that_check_finds_a_tape_that_takes_every_setting(
    demo: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETSTREAM_LLM_API_KEY", "sk-mine")
    monkeypatch.setattr("marketstream.engine.tapes._recorded_settings", lambda path, header: header.settings)
    path = forged(demo, tmp_path / "forged.msj", **STOLEN)
    assert key_goes_to(path) == "http://127.0.0.1:9/v1"


def test_a_provider_that_lists_other_things_today_is_refused(demo: Recorded) -> None:
    tape = JournalTape(demo.path)
    entry = next(e for e in JournalReader(demo.path).entries() if isinstance(e, ProviderEntry))
    venue = ProviderEntry(
        name="binance",
        kind="binance",
        frames=True,
        options={"symbols": ["BTC-USDT:0.01"]},
        stale_after_s=10.0,
        enabled=True,
        code=0,
        listing=entry.listing,
    )
    with pytest.raises(ConfigurationError, match="lists other things in this version"):
        tape.build(venue, ManualClock())


def test_a_file_of_quotes_has_a_cycle_per_time_and_knobs_that_fit_its_spacing(tmp_path: Path) -> None:
    tape = QuoteTape(quotes(tmp_path), QuoteFileOptions())
    entries = [entry for _, entry in tape.steps()]
    assert all(isinstance(entry, CycleEntry) and entry.dispatched for entry in entries)
    assert len(entries) == 30
    assert tape.knobs["fair_value"] == {"stale_after_s": 180.0, "half_life_s": 60.0}
    assert tape.knobs["edge_finder"] == {"max_leg_age_s": 60.0}
    assert any("knobs follow the file's spacing of 60 s" in note for note in tape.notes)


async def test_a_replay_of_quotes_ends_with_the_last_of_them_and_not_with_an_empty_market(tmp_path: Path) -> None:
    engine = replay(quotes(tmp_path))
    await engine.run_to_end()
    assert engine.market is not None and engine.snapshot is not None
    assert engine.market.now == engine.snapshot.now == engine.tape.end == 29 * 60 * 1_000_000_000
    assert engine.snapshot.fair.loc["BTC-USD", "n_venues"] == 2
    await engine.close()


async def test_a_file_of_quotes_gives_a_consensus_and_the_same_digest_each_time(tmp_path: Path) -> None:
    digests = set()
    for speed in ("max", 1e6):
        engine = replay(quotes(tmp_path, name=f"{speed}.csv"), speed=speed)
        await engine.run_to_end()
        digests.add(engine.digest)
        assert not engine.compared
        await engine.close()
    assert len(digests) == 1


async def test_empty_cycles_in_a_gap_let_quotes_go_stale(tmp_path: Path) -> None:
    path = tmp_path / "gap.csv"
    lines = [f"{t},a,BTC/USD,100,101,1,1" for t in (*range(20), *range(1000, 1010))]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    engine = replay(path, quotes=QuoteFileOptions(stale_after_s=5.0))
    await engine.run_for(22.0)
    assert engine.market is not None and engine.market.best_quotes.loc["BTC-USD", "n_live"] == 1
    await engine.run_for(4.0)
    assert engine.market.best_quotes.loc["BTC-USD", "n_live"] == 0
    assert engine.snapshot is not None and np.isnan(engine.snapshot.fair.loc["BTC-USD", "fair"])
    await engine.run_to_end()
    await engine.close()


async def test_four_real_venues_make_one_consensus(shared_data: Path) -> None:
    engine = replay(shared_data / "intraday" / "btc_quotes_1m_2022-12-13.csv.gz", analysis_interval_s=60.0)
    await engine.run_for(4 * 3600.0)
    assert engine.snapshot is not None and engine.market is not None
    row = engine.snapshot.fair.loc["BTC-USD"]
    assert row["n_venues"] == 4
    books = engine.market.books.loc["BTC-USD"]
    assert books["bid"].min() < row["fair"] < books["ask"].max()
    mids = 0.5 * (books["bid"] + books["ask"])
    # Within what four venues of one day differ by: a few basis points, and the stable coin with them.
    assert mids.max() / mids.min() - 1 < 0.002
    assert engine.status().errors == 0
    await engine.close()


async def test_one_second_quotes_go_through_without_loss(shared_data: Path) -> None:
    path = shared_data / "intraday" / "us_equity_quotes_1s_2013-10-07.csv.gz"
    engine = replay(path, analysis_interval_s=60.0)
    await engine.run_for(3600.0)
    (provider,) = engine.registry
    stamps = pd.to_datetime(pd.read_csv(path)["ts"])
    assert provider.stats.quotes == (stamps <= stamps.min() + pd.Timedelta("1h")).sum() > 150
    assert engine.replay_status().cycles > 2000
    assert engine.status().errors == 0 and engine.status().out_of_order == 0
    await engine.close()
