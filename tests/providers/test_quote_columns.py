"""Columns are found by name, times in any usual form, and what is no file of quotes is said."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketstream.errors import ConfigurationError
from marketstream.providers import quote_columns
from marketstream.providers.quote_columns import read_columns, stamps_of

TEXT = "ts,instrument,bid,ask\n2026-01-01T00:00:00Z,BTC/USD,1,2\n"
NEW_YEAR = 1_767_225_600


def file(folder: Path, text: str, name: str = "quotes.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "header", ["Time,Symbol,Bid_Price,Ask_Price", "timestamp,pair,best_bid,offer", " TS ,ticker,bid,ask"]
)
def test_usual_names_are_found_whatever_their_capitals(tmp_path: Path, header: str) -> None:
    columns = read_columns(file(tmp_path, f"{header}\n1,BTC/USD,1,2\n"), {})
    assert {name: values[0] for name, values in columns.items()} == {
        "ts": "1", "instrument": "BTC/USD", "bid": "1", "ask": "2", "venue": "quotes",
    }  # fmt: skip


def test_a_named_column_wins_over_the_usual_one(tmp_path: Path) -> None:
    path = file(tmp_path, "ts,when,instrument,bid,ask\n1,2,A-USD,3,4\n")
    assert read_columns(path, {"ts": "when"})["ts"][0] == "2"


def test_a_file_without_venues_is_one_venue_named_after_it_or_as_told(tmp_path: Path) -> None:
    path = file(tmp_path, TEXT, "nyse.csv")
    assert list(read_columns(path, {})["venue"]) == ["nyse"]
    assert list(read_columns(path, {}, "arca")["venue"]) == ["arca"]


def test_compressed_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    assert read_columns(path, {})["bid"][0] == "1"


def test_parquet_and_a_folder_of_it_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "quotes" / "venue=alder"
    folder.mkdir(parents=True)
    frame = pd.DataFrame({"ts": [1], "instrument": ["A-USD"], "bid": [1.5], "ask": [2.0]})
    frame.to_parquet(folder / "part.parquet")
    assert list(read_columns(folder / "part.parquet", {}, "x")["venue"]) == ["x"]
    assert list(read_columns(tmp_path / "quotes", {})["venue"].astype(str)) == ["alder"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "no column for 'ts'"),
        ("a.csv", b"ts,instrument,bid\n1,A,2\n", "no column for 'ask'; it has ts, instrument, bid"),
        ("a.csv", b"ts,instrument,bid,ask\n", "no rows"),
        ("a.csv", b"\xff\xfe\x00", "a.csv"),
        ("a.csv.gz", b"not gzip", "cannot be read"),
        ("a.csv.gz", gzip.compress(TEXT.encode())[:30], "cannot be read"),
        ("a.parquet", b"PAR1 nothing", "cannot be read"),
        ("a.xlsx", b"", "read from .csv, .csv.gz, .parquet"),
    ],
)
def test_what_is_no_file_of_quotes_is_said(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        read_columns(path, {})
    assert words in str(raised.value) and name in str(raised.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_columns(tmp_path / "none.csv", {})


def test_a_name_that_is_mapped_to_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no column 'when'; it has ts"):
        read_columns(file(tmp_path, TEXT), {"ts": "when"})
    with pytest.raises(ConfigurationError, match="no column 'size' to map"):
        read_columns(file(tmp_path, TEXT), {"size": "bid"})


ARRAYS = {
    "ts": pa.array([1, 2]),
    "instrument": pa.array(["A-USD", "A-USD"]),
    "venue": pa.array(["a", "b"]),
    "bid": pa.array([1.0, 2.0]),
    "ask": pa.array([2.0, 3.0]),
}


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("instrument", pa.array([["A"], ["B"]]), "'instrument' holds list<.*>; instrument is read from numbers, text"),
        ("venue", pa.array([{"a": 1}, {"a": 2}]), "'venue' holds struct"),
        ("ts", pa.array([1, 2], pa.time64("ns")), r"'ts' holds time64\[ns\]; ts is read from"),
        ("bid", pa.array([b"\xff", b"\xfe"]), "cannot be read as Parquet: .*UTF8"),
    ],
)
def test_a_parquet_column_of_another_kind_is_said(tmp_path: Path, name: str, array: pa.Array, words: str) -> None:
    pq.write_table(pa.table({**ARRAYS, name: array}), tmp_path / "a.parquet")
    with pytest.raises(ConfigurationError, match=words):
        read_columns(tmp_path / "a.parquet", {})


def test_text_that_a_writer_left_as_bytes_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({**ARRAYS, "venue": pa.array([b"a", b"b"])}), tmp_path / "a.parquet")
    assert read_columns(tmp_path / "a.parquet", {})["venue"].tolist() == ["a", "b"]


def test_a_text_that_inflates_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(bytes(2_000_000)))
    monkeypatch.setattr(quote_columns, "MAX_TEXT_BYTES", 1 << 20)
    with pytest.raises(ConfigurationError, match="more than 1 MiB"):
        read_columns(path, {})


def test_a_text_of_more_lines_than_memory_has_room_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress((TEXT + "1,A,1,2\n" * 1_000).encode()))
    assert len(read_columns(path, {})["bid"]) == 1_001
    monkeypatch.setattr(quote_columns, "MAX_TEXT_ROWS", 1_000)
    with pytest.raises(ConfigurationError, match="has 1002 lines; at most 1000 of text are read, use Parquet"):
        read_columns(path, {})


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_any_bytes_give_columns_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(path.name)):
        read_columns(path, {})


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_seconds_to_nanoseconds_are_told_by_their_size(unit: int) -> None:
    stamps, known = stamps_of(pd.Series([NEW_YEAR * unit, (NEW_YEAR + 1) * unit]))
    assert stamps.tolist() == [NEW_YEAR * 10**9, (NEW_YEAR + 1) * 10**9] and known.all()


def test_nanoseconds_in_text_lose_no_digit() -> None:
    assert stamps_of(pd.Series(["1767225600123456789"]))[0].tolist() == [1_767_225_600_123_456_789]


def test_parts_of_a_second_count() -> None:
    assert stamps_of(pd.Series([NEW_YEAR + 0.25]))[0].tolist() == [NEW_YEAR * 10**9 + 250_000_000]


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00Z", "2026-01-01 00:00:00", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.000000Z"]
)
def test_iso_times_are_utc_unless_they_say_otherwise(text: str) -> None:
    assert stamps_of(pd.Series([text]))[0].tolist() == [NEW_YEAR * 10**9]


def test_dates_of_a_table_are_taken_as_they_are() -> None:
    dates = pd.Series(pd.to_datetime(["2026-01-01T00:00:00", None]))
    stamps, known = stamps_of(dates)
    assert stamps[0] == NEW_YEAR * 10**9 and known.tolist() == [True, False]


@given(values=st.lists(st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none()), max_size=8))
def test_any_times_give_stamps_or_are_known_to_be_none(values: list[object]) -> None:
    stamps, known = stamps_of(pd.Series(values, dtype=object).astype("string"))
    assert stamps.dtype == np.int64 and len(stamps) == len(known) == len(values)
