"""The commands record and replay: options, what they print, exit codes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from marketstream.cli import main, parser
from marketstream.cli.options import _PlainFormatter, settings_of
from marketstream.cli.record import make_recorder
from marketstream.cli.serve import _make_engine
from marketstream.cli.tape import moment
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.errors import ConfigurationError, InvalidInputError
from marketstream.settings import load_settings
from marketstream.store.journal import JournalWriter

SECOND = 1_000_000_000
NEW_YEAR = 1_767_225_600 * SECOND


@pytest.fixture
def quotes(tmp_path: Path) -> Path:
    path = tmp_path / "quotes.csv"
    lines = [f"{t},{v},{c},{100 + t},{101 + t}" for t in range(20) for v, c in (("a", "X/USD"), ("b", "X/USDT"))]
    path.write_text("when,venue,instrument,bid,ask\n" + "\n".join(lines) + "\n21,a,X/USD,9,8\n")
    return path


def test_a_file_of_quotes_is_played_and_its_figures_are_printed(
    quotes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(quotes), "--speed", "max", "--map", "ts=when"]) == 0
    said = capsys.readouterr()
    assert "note: X-USDT read as X-USD" in said.out
    assert "41 quotes in the stream (reserve lines not counted), 2 venues, 22 cycles; refused: 1 crossed" in said.out
    assert "1970-01-01T00:00:00Z to 1970-01-01T00:00:21Z in the file; 21 s of quotes played" in said.out
    assert ["b", "20", "1970-01-01T00:00:00Z", "1970-01-01T00:00:19Z"] in [
        line.split() for line in said.out.splitlines()
    ]
    assert "digest " in said.out and "as recorded" not in said.out
    assert "100%" in said.err


def test_from_to_and_kept_currencies_count(quotes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--map", "ts=when", "--from", "5", "--to", "1970-01-01T00:00:09Z", "--keep-currencies", "--speed", "max"]
    assert main(["replay", str(quotes), *given]) == 0
    said = capsys.readouterr().out
    assert "20 quotes in the stream (reserve lines not counted), 2 venues, 10 cycles" in said
    assert "closing fair values at 1970-01-01T00:00:09Z" in said
    # 109.5, in whole dollars as every price of the file.
    assert ["X-USDT", "110", "1", "of", "1"] in [[line[0], line[1], *line[3:]] for line in table(said)]


def table(said: str) -> list[list[str]]:
    return [cells for line in said.splitlines() if len(cells := line.split()) == 6 and cells[4] == "of"]


def test_the_close_is_told_with_the_venues_that_had_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "day.csv"
    lines = [f"{60 * t},{v},X/USD,{17000 + t}.25,{17001 + t}.25" for t in range(90) for v in "ab" if v == "a" or t < 30]
    path.write_text("ts,venue,instrument,bid,ask\n" + "\n".join(lines) + "\n")
    assert main(["replay", str(path), "--speed", "max"]) == 0
    said = capsys.readouterr().out
    assert "1 h 29 min of quotes played" in said
    ((name, fair, _, *venues),) = table(said)
    # The last quote of the one venue that was left, 17,089.25 to 17,090.25.
    assert (name, fair, venues) == ("X-USD", "17,089.75", ["1", "of", "2"])
    assert "X-USD: no price at the close from these venues, last heard of: b 1970-01-01T00:29:00Z" in said


def test_at_most_ten_instruments_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "many.csv"
    lines = [f"{t},a,I{i}/USD,100,101" for t in range(20) for i in range(13)]
    path.write_text("ts,venue,instrument,bid,ask\n" + "\n".join(lines) + "\n")
    assert main(["replay", str(path), "--speed", "max"]) == 0
    said = capsys.readouterr().out
    assert len(table(said)) == 10 and "and 3 more instruments" in said


def test_a_recording_and_its_replay_count_the_same_quotes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.msj"
    assert main(["record", "--profile", "demo", "--to", str(path), "--for", "1.5"]) == 0
    recorded = capsys.readouterr().out
    assert f"recording profile demo to {path}" in recorded
    (n,) = re.findall(r"([\d,]+) quotes in the stream \(reserve lines not counted\)", recorded)
    assert main(["replay", str(path), "--speed", "max"]) == 0
    replayed = capsys.readouterr().out
    assert f"\n{n} quotes in the stream (reserve lines not counted)" in f"\n{replayed}"
    assert n != "0" and "as recorded" in replayed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--speed", "fast"], "speed must be a number > 0 or max, was 'fast'"),
        (["--map", "when"], "--map takes NAME=NAME, was 'when'"),
        (["--alias", "X/USD="], "--alias takes NAME=NAME"),
        (["--map", "ts=when", "--from", "noon"], "a time is written 2026-01-01T12:00:00Z or as seconds, was 'noon'"),
        (["--map", "ts=when", "--from", "9", "--to", "8"], "--from 9 is after --to 8"),
        ([], "no column for 'ts'"),
    ],
)
def test_what_cannot_be_used_is_said(
    quotes: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["replay", str(quotes), *options]) == 2
    assert words in capsys.readouterr().err


ESCAPES = "\x1b]0;owned\x07\u202e\n2026-01-01 CRITICAL forged"


def controls(text: str) -> set[str]:
    return {c for c in text if not c.isprintable() and c not in "\n\r"}


def test_a_column_named_with_escapes_reaches_the_terminal_as_one_plain_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'"{ESCAPES.splitlines()[0]}",b\n1,2\n')
    assert main(["replay", str(path)]) == 2
    said = capsys.readouterr().err
    assert "has no column for 'ts'" in said and not controls(said) and said.count("\n") == 1


def test_an_end_told_with_escapes_reaches_the_terminal_plain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(recorded(tmp_path / "a.msj", ESCAPES))
    assert main(["replay", str(tmp_path / "a.msj"), "--speed", "max"]) == 0
    said = capsys.readouterr().out
    assert "ended because of this: ?]0;owned??" in said and not controls(said)
    assert not any(line.startswith("2026-01-01 CRITICAL") for line in said.splitlines())


def test_that_check_finds_text_that_is_printed_as_it_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketstream.cli.replay.say", print)
    asyncio.run(recorded(tmp_path / "a.msj", ESCAPES))
    main(["replay", str(tmp_path / "a.msj"), "--speed", "max"])
    said = capsys.readouterr().out
    assert controls(said) and any(line.startswith("2026-01-01 CRITICAL") for line in said.splitlines())


def test_a_log_line_that_quotes_escapes_is_one_plain_line_and_its_traceback_is_set_in() -> None:
    try:
        raise ValueError(ESCAPES)
    except ValueError as error:
        given = (type(error), error, error.__traceback__)
    record = logging.LogRecord("a", logging.ERROR, "a.py", 1, "broken: %s", (ESCAPES,), given)
    first, *rest = _PlainFormatter("%(levelname)s %(message)s").format(record).split("\n")
    assert first.startswith("ERROR broken: ?]0;owned??") and first.endswith("CRITICAL forged")
    assert rest and all(line.startswith("  ") and not controls(line) for line in rest)


async def recorded(path: Path, reason: str = "closed") -> None:
    engine = Engine(load_settings(store_url="memory", warmup_s=0), clock=ManualClock())
    recorder = make_recorder(engine, path)
    await engine.run_for(6.0)
    await recorder.close(reason)
    await engine.close()


def test_a_damaged_recording_is_played_up_to_there_and_its_fault_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(recorded(tmp_path / "a.msj"))
    data = bytearray((tmp_path / "a.msj").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.msj").write_bytes(data)
    assert main(["replay", str(tmp_path / "a.msj"), "--speed", "max"]) == 2
    said = capsys.readouterr()
    assert "quotes in the stream" in said.out and "is damaged: its checksum is wrong" in said.err


def test_a_time_is_iso_text_or_seconds_from_the_begin() -> None:
    assert moment("2.5", NEW_YEAR) == NEW_YEAR + 2_500_000_000
    assert moment("2026-01-01T01:00:00+01:00", 0) == moment("2026-01-01", 0) == NEW_YEAR
    assert moment("2026-01-01T00:00:00.000001", 0) == NEW_YEAR + 1000
    with pytest.raises(InvalidInputError, match="was 'inf'"):
        moment("inf", 0)


async def test_a_recording_goes_to_a_folder_or_to_a_file(tmp_path: Path) -> None:
    for to, journal in ((tmp_path / "day", "day/2026-01-01T000000Z.msj"), (tmp_path / "x.msj", "x.msj")):
        engine = Engine(load_settings(store_url="memory", warmup_s=0), clock=ManualClock())
        recorder = make_recorder(engine, to)
        await engine.run_for(0.5)
        await recorder.close()
        await engine.close()
        assert recorder.path == tmp_path / journal and recorder.path.is_file()
    assert (tmp_path / "day" / "quotes").is_dir() and (tmp_path / "x-quotes").is_dir()


async def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    engine = Engine(load_settings(store_url="memory", warmup_s=0), clock=ManualClock())
    with pytest.raises(ConfigurationError, match="cannot be written"):
        make_recorder(engine, tmp_path / "file" / "day.msj")
    await engine.close()


def test_a_disk_that_is_full_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketstream.store.journal.JournalWriter.flush", full_after(2))
    assert main(["record", "--to", str(tmp_path / "a.msj"), "--no-quotes"]) == 1
    assert "No space left on device" in capsys.readouterr().out.splitlines()[-1]


def full_after(n: int) -> Callable[[JournalWriter], None]:
    flush, seen = JournalWriter.flush, [0]

    def flushed(self: JournalWriter) -> None:
        seen[0] += 1
        if seen[0] > n:
            raise OSError(28, "No space left on device")
        flush(self)

    return flushed


def test_serving_takes_a_recording_or_makes_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["serve", "--record", str(tmp_path), "--replay", str(tmp_path)]) == 2
    assert "choose one of them" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--profile", "demo"], ["--providers", "feeds.toml"]])
def test_a_served_recording_opens_no_feeds(
    option: list[str], quotes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketstream.cli.serve._serve_until_told", None)
    assert main(["serve", "--replay", str(quotes), *option]) == 2
    assert "--replay opens none" in capsys.readouterr().err


async def test_a_served_recording_has_the_settings_of_the_file_and_computes_what_the_recording_says(
    quotes: Path, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('llm = "mock"\nprofile = "planted"\nstore_url = "sqlite:///here.db"\nwarmup_s = 60\n')
    chosen = parser().parse_args(["serve", "--replay", str(quotes), "--map", "ts=when", "--settings", str(file)])
    engine = _make_engine(settings_of(chosen), chosen)
    assert engine.rationale.writers == ("mock",)
    kept = engine.settings.profile, engine.settings.store_url.get_secret_value(), engine.settings.warmup_s
    assert kept == ("live", "memory", 0)
    await engine.close()


@pytest.mark.parametrize("command", ["record", "replay"])
def test_the_help_tells_of_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    assert "--speed" in (said := capsys.readouterr().out) or "--for" in said
