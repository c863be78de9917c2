"""The columns of a file of quotes, found by name; quote_files.py makes quotes of them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet

from marketstream.errors import ConfigurationError

MAX_TEXT_BYTES = 128 << 20
"""Most bytes of a CSV file, inflated."""
MAX_TEXT_ROWS = 2_000_000
"""Most lines of one: text takes many times the memory of the columns of Parquet."""
MAX_ROWS = 50_000_000

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "ts": ("ts", "ts_received", "time", "timestamp", "datetime", "date", "ts_event"),
    "instrument": ("instrument", "symbol", "pair", "ticker", "market"),
    "venue": ("venue", "exchange", "source", "book"),
    "bid": ("bid", "bid_price", "best_bid", "bidprice"),
    "ask": ("ask", "ask_price", "best_ask", "askprice", "offer"),
    "bid_size": ("bid_size", "bid_qty", "bid_amount", "bid_volume", "bidsize"),
    "ask_size": ("ask_size", "ask_qty", "ask_amount", "ask_volume", "asksize"),
    "state": ("state",),
}
"""Our columns, and the names under which a file may have them; capitals do not matter."""

_LAST = 9e18
# No time in ns is later: int64 ends there, in the year 2255.

_READABLE = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null,
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_timestamp, pa.types.is_date,
    pa.types.is_duration,
)  # fmt: skip
# Not the time of a day, which is no moment, and nothing nested.

NEEDED = ("ts", "instrument", "bid", "ask")


def read_columns(
    path: Path, given: Mapping[str, str], venue: str | None = None, *, malformed: dict[str, int] | None = None
) -> dict[str, pd.Series]:
    """Return the columns of a file by our names, text as text; a missing `venue` is one venue named after the file.

    Args:
        path: `.csv`, `.csv.gz`, `.parquet` or a folder of Parquet files.
        given: Our name to the file's, where it is none of the usual ones.
        venue: Of a file without a column for it.
        malformed: Takes the number of rows that were left out, by reason.

    Raises:
        ConfigurationError: The file cannot be read, is too large, or lacks a column.
    """
    unknown = sorted(set(given) - set(USUAL_NAMES))
    if unknown:
        raise ConfigurationError(f"there is no column {unknown[0]!r} to map; there are {', '.join(USUAL_NAMES)}")
    try:
        table = _read(path, given, {} if malformed is None else malformed)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
    except (pa.ArrowException, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as {_kind(path)}: {error}") from None
    if not table.num_rows:
        raise ConfigurationError(f"{path} has no rows")
    columns = {name: table.column(name).to_pandas() for name in table.column_names}
    if "venue" not in columns:
        columns["venue"] = pd.Series(pd.Categorical([venue or _stem(path)]).repeat(table.num_rows), name="venue")
    return columns


def stamps_of(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return times as UTC ns, and where they could be read: dates, ISO 8601 text, or seconds to ns since 1970.

    >>> stamps_of(pd.Series(["2026-01-01T00:00:00Z", "never"]))[1].tolist()
    [True, False]
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return _of_dates(column)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _of_numbers(column, column.notna().to_numpy(dtype=np.bool_))
    known = pd.to_numeric(column, errors="coerce").notna().to_numpy(dtype=np.bool_)
    if 2 * np.count_nonzero(known) < len(column):
        return _of_dates(pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce"))
    # Whole numbers stay whole, also beside a cell that is none: as a fraction, ns would lose their last digits.
    return _of_numbers(pd.to_numeric(column.where(known, "0"), errors="coerce"), known)


def _of_dates(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    dates = pd.DatetimeIndex(column)
    dates = dates.tz_localize("UTC") if dates.tz is None else dates.tz_convert("UTC")
    first, last = pd.Timestamp.min.tz_localize("UTC"), pd.Timestamp.max.tz_localize("UTC")
    known = np.asarray((dates >= first) & (dates <= last), dtype=np.bool_)
    stamps = pd.DatetimeIndex(dates.where(known)).as_unit("ns").asi8.copy()
    stamps[~known] = 0
    return stamps, known


def _of_numbers(column: pd.Series, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rough = np.abs(column.to_numpy(dtype=np.float64, na_value=np.nan))
    known = known & np.isfinite(rough)
    stamps = np.zeros(len(column), dtype=np.int64)
    if not known.any():
        return stamps, known
    scale = _scale(float(np.median(rough[known])))
    known &= np.where(known, rough, np.inf) < _LAST / scale
    if pd.api.types.is_integer_dtype(column.dtype):
        stamps[known] = column.to_numpy()[known].astype(np.int64) * scale
    else:
        parts, whole = np.modf(column.to_numpy(dtype=np.float64, na_value=np.nan)[known])
        stamps[known] = whole.astype(np.int64) * scale + np.round(parts * scale).astype(np.int64)
    return stamps, known


def _scale(usual: float) -> int:
    # Ns per unit, by the size of a time near our own: seconds have ten digits, ns nineteen.
    for limit, scale in ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000)):
        if usual < limit:
            return scale
    return 1


def _read(path: Path, given: Mapping[str, str], malformed: dict[str, int]) -> pa.Table:
    if path.is_dir():
        return _read_parquet(pyarrow.dataset.dataset(path, format="parquet", partitioning="hive"), path, given)
    if path.name.endswith(".parquet"):
        return _read_parquet(pyarrow.dataset.dataset(path, format="parquet"), path, given)
    if path.name.endswith((".csv", ".csv.gz")):
        return _read_csv(path, given, malformed)
    raise ConfigurationError(f"{path}: quotes are read from .csv, .csv.gz, .parquet or a folder of .parquet files")


def _read_parquet(dataset: pyarrow.dataset.Dataset, path: Path, given: Mapping[str, str]) -> pa.Table:
    n = dataset.count_rows()
    if n > MAX_ROWS:
        raise ConfigurationError(f"{path} has {n} rows; at most {MAX_ROWS} are read")
    chosen = _choose(path, dataset.schema.names, given)
    _check_types(path, dataset.schema, chosen)
    table = dataset.to_table(columns=list(chosen.values())).rename_columns(list(chosen))
    # Some writers leave text as bytes.
    text = [pa.field(f.name, pa.string()) if _is_bytes(f.type) else f for f in table.schema]
    return table.cast(pa.schema(text))


def _check_types(path: Path, schema: pa.Schema, chosen: Mapping[str, str]) -> None:
    for ours, name in chosen.items():
        kind = schema.field(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not _is_bytes(kind) and not any(fits(plain) for fits in _READABLE):
            raise ConfigurationError(
                f"{path}: the column {name!r} holds {kind}; {ours} is read from numbers, text or dates"
            )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _read_csv(path: Path, given: Mapping[str, str], malformed: dict[str, int]) -> pa.Table:
    data = _inflated(path)
    n = max(data.count(end) for end in (b"\n", b"\r"))
    if n > MAX_TEXT_ROWS:
        raise ConfigurationError(f"{path} has {n} lines; at most {MAX_TEXT_ROWS} of text are read, use Parquet files")
    header = data[: data.find(b"\n")] if b"\n" in data else data
    names = pyarrow.csv.read_csv(pa.BufferReader(header + b"\n")).column_names if header.strip() else []
    chosen = _choose(path, names, given)
    ragged: list[int] = []

    def left_out(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append(row.actual_columns)
        return "skip"

    # Everything is read as text, so that one bad cell spoils its own row and no other.
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=left_out),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=list(chosen.values()),
            column_types=dict.fromkeys(chosen.values(), pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    malformed[f"not {len(names)} cells, as the header has"] = len(ragged)
    return table.rename_columns(list(chosen))


def _inflated(path: Path) -> bytes:
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise ConfigurationError(f"{path} holds more than {MAX_TEXT_BYTES >> 20} MiB of text; use Parquet files")
    return data


def _choose(path: Path, names: list[str], given: Mapping[str, str]) -> dict[str, str]:
    # Our name to the file's, for every column that is there.
    shown = ", ".join(name[:64] for name in names[:20]) + (", ..." if len(names) > 20 else "")
    lower = {name.strip().lower(): name for name in reversed(names)}
    chosen: dict[str, str] = {}
    for ours, usual in USUAL_NAMES.items():
        if ours in given:
            if given[ours] not in names:
                raise ConfigurationError(f"{path} has no column {given[ours]!r}; it has {shown}")
            chosen[ours] = given[ours]
        else:
            found = [lower[name] for name in usual if name in lower and lower[name] not in given.values()]
            if found:
                chosen[ours] = found[0]
    missing = [name for name in NEEDED if name not in chosen]
    if missing:
        raise ConfigurationError(
            f"{path} has no column for {missing[0]!r}; it has {shown}. Name it with --map {missing[0]}=COLUMN"
        )
    return chosen


def _kind(path: Path) -> str:
    return "Parquet" if path.is_dir() or path.suffix == ".parquet" else "CSV"


def _stem(path: Path) -> str:
    return path.name.split(".")[0][:64] or "file"
