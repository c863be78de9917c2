"""The archive: normalised quotes as Parquet files by day and venue, which pandas, DuckDB and pyarrow read as one table.

quotes/date=2026-01-01/venue=alder/part-1767225600000000000-000001.parquet
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.quotes import QuoteState
from marketstream.store.journal import make_folder

_DAY_NS = 86_400_000_000_000
_STAMP = pa.timestamp("ns", tz="UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())
_MAX_NAME = 200
# A file system takes 255 bytes; a letter outside ASCII takes up to twelve.
_PRICE = "quote currency or probability"


def _field(name: str, kind: pa.DataType, unit: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit})


SCHEMA = pa.schema(
    [
        _field("ts_received", _STAMP, "UTC"),
        _field("ts_event", _STAMP, "UTC"),
        _field("instrument", _NAME, ""),
        _field("bid", pa.float64(), _PRICE),
        _field("ask", pa.float64(), _PRICE),
        _field("bid_size", pa.float64(), "contracts"),
        _field("ask_size", pa.float64(), "contracts"),
        _field("seq", pa.int64(), ""),
        _field("provider", _NAME, ""),
        _field("state", _NAME, ""),
    ]
)
"""Columns of a file, each with its unit; `date` and `venue` are in the path. A missing side is null."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cut:
    """Rows that are ready to be written, with the names that their codes had. May go to another thread."""

    rows: np.ndarray
    instruments: tuple[str, ...]
    venues: tuple[str, ...]
    providers: tuple[str, ...]


class QuoteArchive:
    """Collect quote rows and write them in parts.

    A part is written under a hidden name, and renamed when it is whole: a reader never sees half of one.

    Args:
        folder: Where `date=.../venue=...` begin; made when first needed.
        catalog: Gives the codes their names.
        max_rows: A part is due after so many rows.
        max_age_s: A part is due when its first row is so old, seconds.
    """

    def __init__(self, folder: Path, catalog: Catalog, *, max_rows: int = 100_000, max_age_s: float = 60.0) -> None:
        if max_rows < 1 or max_age_s <= 0:
            raise InvalidInputError(f"a part has 1 row and some seconds at least, was {max_rows} and {max_age_s} s")
        self.folder = folder
        self.rows_written = 0
        self.bytes_written = 0
        self._catalog = catalog
        self._max_rows = max_rows
        self._max_age_ns = round(max_age_s * 1e9)
        self._waiting: list[np.ndarray] = []
        self._n_waiting = 0
        self._since: int | None = None
        self._parts = 0

    def add(self, rows: np.ndarray, now: int) -> bool:
        """Take the rows of one cycle at `now` (UTC ns); returns whether a part is due. The rows are not copied."""
        if len(rows):
            self._waiting.append(rows)
            self._n_waiting += len(rows)
            self._since = now if self._since is None else self._since
        if self._since is None:
            return False
        return self._n_waiting >= self._max_rows or now - self._since >= self._max_age_ns

    def cut(self) -> Cut | None:
        """Return what was added since the last cut, for `write`; None when there is nothing."""
        if not self._waiting:
            return None
        waiting, self._waiting, self._n_waiting, self._since = self._waiting, [], 0, None
        return Cut(
            rows=np.concatenate(waiting),
            instruments=tuple(i.id for i in self._catalog.instruments),
            venues=tuple(v.id for v in self._catalog.venues),
            providers=self._catalog.providers,
        )

    def write(self, cut: Cut) -> list[Path]:
        """Write a cut, one file per day and venue, and return the files; OSError when the disk does not take them."""
        return [self._write_part(cut, day, venue, rows) for day, venue, rows in _by_day_and_venue(cut)]

    def flush(self) -> list[Path]:
        """Write all that was added so far."""
        cut = self.cut()
        return [] if cut is None else self.write(cut)

    def _write_part(self, cut: Cut, day: str, venue: str, rows: np.ndarray) -> Path:
        folder = self.folder / f"date={day}" / f"venue={_folder_name(venue)}"
        make_folder(folder)
        path = self._free_name(folder, int(rows["ts_received"][0]))
        hidden = folder / f".{path.name}.tmp"
        try:
            pq.write_table(_table(rows, cut), hidden, compression="zstd")
            hidden.replace(path)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        self.rows_written += len(rows)
        self.bytes_written += path.stat().st_size
        return path

    def _free_name(self, folder: Path, first: int) -> Path:
        while True:
            self._parts += 1
            path = folder / f"part-{first}-{self._parts:06d}.parquet"
            # Another recording may have written into the same folder.
            if not os.path.lexists(path):
                return path


def _folder_name(venue: str) -> str:
    # A long name is cut between letters, and its hash keeps it apart from others that begin as it does.
    name = quote(venue, safe="")
    if len(name) <= _MAX_NAME:
        return name
    kept = venue
    while len(quote(kept, safe="")) > _MAX_NAME - 17:
        kept = kept[:-1]
    return f"{quote(kept, safe='')}~{hashlib.sha256(venue.encode()).hexdigest()[:16]}"


def _by_day_and_venue(cut: Cut) -> Iterator[tuple[str, str, np.ndarray]]:
    days = cut.rows["ts_received"] // _DAY_NS
    for day in np.unique(days):
        of_day = cut.rows[days == day]
        date = (dt.date(1970, 1, 1) + dt.timedelta(days=int(day))).isoformat()
        for venue in np.unique(of_day["venue"]):
            yield date, cut.venues[int(venue)], of_day[of_day["venue"] == venue]


def _table(rows: np.ndarray, cut: Cut) -> pa.Table:
    states = [state.name for state in QuoteState]
    names = {"instrument": cut.instruments, "provider": cut.providers, "state": states}
    columns = []
    for field in SCHEMA:
        values = np.ascontiguousarray(rows[field.name])
        if field.name in names:
            columns.append(pa.DictionaryArray.from_arrays(values.astype(np.int32), pa.array(names[field.name])))
        elif field.type == _STAMP:
            columns.append(pa.array(values, pa.int64()).cast(_STAMP))
        else:
            columns.append(pa.array(values, field.type, from_pandas=True))
    return pa.Table.from_arrays(columns, schema=SCHEMA)
