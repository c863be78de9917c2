"""The archive writes quotes by day and venue, whole files only, in a form that other readers know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import QuoteState, empty_quotes
from marketstream.store.archive import SCHEMA, QuoteArchive

MIDNIGHT = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND = 1_000_000_000


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog()
    venues = tuple(Venue(id=v, name=v, code=v[:3].upper(), kind=Kind.ASSET) for v in ("alder", "be/ch"))
    names = ("BTC-USD", "ETH-USD")
    catalog.add(
        Listing(
            instruments=tuple(Instrument(id=name, kind=Kind.ASSET) for name in names),
            venues=venues,
            pairs=tuple((name, venue.id) for name in names for venue in venues),
        )
    )
    catalog.add_provider("feed")
    return catalog


def quotes(n: int, *, start: int = MIDNIGHT, venue: int = 0) -> np.ndarray:
    rows = empty_quotes(n)
    rows["ts_received"] = start + SECOND * np.arange(n)
    rows["ts_event"] = rows["ts_received"] - 5
    rows["bid"] = 100.0 + np.arange(n)
    rows["ask"] = rows["bid"] + 1
    rows["bid_size"] = 2.0
    rows["ask_size"] = 3.0
    rows["instrument"] = np.arange(n) % 2
    rows["venue"] = venue
    rows["seq"] = np.arange(n)
    return rows


def test_a_venue_whose_name_is_too_long_for_a_folder_is_cut_and_told_apart_by_its_hash(tmp_path: Path) -> None:
    long = ["\u6f22" * 63 + last for last in ("\u5b57", "\u5b58")]
    venues = tuple(Venue(id=v, name=v, code=f"V{i}0", kind=Kind.ASSET) for i, v in enumerate(long))
    catalog = Catalog()
    catalog.add(
        Listing(
            instruments=tuple(Instrument(id=name, kind=Kind.ASSET) for name in ("BTC-USD", "ETH-USD")),
            venues=venues,
            pairs=(),
        )
    )
    catalog.add_provider("feed")
    archive = QuoteArchive(tmp_path, catalog)
    for code in range(2):
        archive.add(quotes(2, venue=code), MIDNIGHT)
    folders = [path.parent.name for path in archive.flush()]
    assert len(set(folders)) == 2 and all(len(folder.encode()) < 255 for folder in folders)
    read = ds.dataset(tmp_path, format="parquet", partitioning="hive").to_table().column("venue").to_pylist()
    assert len(read) == 4 and all(name.startswith("\u6f22" * 20 + "~") for name in set(read))


def test_folders_of_an_archive_are_for_their_owner_alone(tmp_path: Path, catalog: Catalog) -> None:
    archive = QuoteArchive(tmp_path / "new" / "quotes", catalog)
    archive.add(quotes(1), MIDNIGHT)
    (path,) = archive.flush()
    made = [folder for folder in path.parents if folder.is_relative_to(tmp_path / "new")]
    assert len(made) == 4 and {folder.stat().st_mode & 0o777 for folder in made} == {0o700}


def test_files_lie_by_day_and_venue(tmp_path: Path, catalog: Catalog) -> None:
    archive = QuoteArchive(tmp_path, catalog)
    archive.add(quotes(4, start=MIDNIGHT - 2 * SECOND), MIDNIGHT)
    archive.add(quotes(1, venue=1), MIDNIGHT)
    folders = [path.parent.relative_to(tmp_path).as_posix() for path in archive.flush()]
    assert folders == ["date=2025-12-31/venue=alder", "date=2026-01-01/venue=alder", "date=2026-01-01/venue=be%2Fch"]


def test_pandas_reads_the_folder_as_one_table(tmp_path: Path, catalog: Catalog) -> None:
    archive = QuoteArchive(tmp_path, catalog)
    rows = quotes(3)
    rows["bid"][1], rows["bid_size"][1] = np.nan, 0.0
    rows["state"][2] = QuoteState.GAP
    archive.add(rows, MIDNIGHT)
    archive.flush()
    table = pd.read_parquet(tmp_path)
    assert list(table["instrument"]) == ["BTC-USD", "ETH-USD", "BTC-USD"]
    assert list(table["venue"].astype(str)) == ["alder"] * 3
    assert list(table["provider"]) == ["feed"] * 3
    assert list(table["state"]) == ["LIVE", "LIVE", "GAP"]
    assert list(table["ts_received"].astype("int64")) == list(rows["ts_received"])
    assert list(table["ts_event"].astype("int64")) == list(rows["ts_event"])
    assert np.array_equal(table["bid"].to_numpy(), rows["bid"], equal_nan=True)
    for name in ("ask", "bid_size", "ask_size", "seq"):
        assert list(table[name]) == list(rows[name])


def test_pyarrow_reads_it_as_a_dataset_and_knows_the_units(tmp_path: Path, catalog: Catalog) -> None:
    archive = QuoteArchive(tmp_path, catalog)
    archive.add(quotes(2), MIDNIGHT)
    archive.add(quotes(3, venue=1), MIDNIGHT)
    (first, _) = archive.flush()
    whole = ds.dataset(tmp_path, partitioning="hive").to_table()
    assert whole.num_rows == 5
    assert set(whole.column("venue").to_pylist()) == {"alder", "be/ch"}
    schema = pq.read_schema(first)
    assert schema.names == SCHEMA.names
    assert schema.field("bid").metadata[b"unit"] == b"quote currency or probability"


def test_a_part_is_due_by_rows_or_by_age(tmp_path: Path, catalog: Catalog) -> None:
    archive = QuoteArchive(tmp_path, catalog, max_rows=10, max_age_s=5.0)
    assert not archive.add(quotes(9), MIDNIGHT)
    assert archive.add(quotes(1), MIDNIGHT)
    archive.flush()
    assert not archive.add(quotes(1), MIDNIGHT + 1 * SECOND)
    assert not archive.add(empty_quotes(), MIDNIGHT + 5 * SECOND)
    assert archive.add(empty_quotes(), MIDNIGHT + 6 * SECOND)


def test_nothing_is_written_where_nothing_came(tmp_path: Path, catalog: Catalog) -> None:
    archive = QuoteArchive(tmp_path / "quotes", catalog)
    assert not archive.add(empty_quotes(), MIDNIGHT)
    assert archive.flush() == [] and not (tmp_path / "quotes").exists()


def test_two_archives_in_one_folder_overwrite_nothing(tmp_path: Path, catalog: Catalog) -> None:
    for _ in range(2):
        archive = QuoteArchive(tmp_path, catalog)
        archive.add(quotes(2), MIDNIGHT)
        archive.flush()
    assert pq.read_table(tmp_path).num_rows == 4


def test_what_cannot_be_written_leaves_no_half_file(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(table: object, path: Path, **options: object) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    archive = QuoteArchive(tmp_path, catalog)
    archive.add(quotes(2), MIDNIGHT)
    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        archive.flush()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_it_counts_what_it_wrote(tmp_path: Path, catalog: Catalog) -> None:
    archive = QuoteArchive(tmp_path, catalog)
    archive.add(quotes(7), MIDNIGHT)
    (path,) = archive.flush()
    assert archive.rows_written == 7 and archive.bytes_written == path.stat().st_size


def test_a_part_without_rows_is_refused(tmp_path: Path, catalog: Catalog) -> None:
    with pytest.raises(InvalidInputError, match="1 row"):
        QuoteArchive(tmp_path, catalog, max_rows=0)
