"""Normalised quotes in a CSV or Parquet file: read, named and put in order of time. replay.py makes a feed of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from marketstream.errors import ConfigurationError, InvalidInputError
from marketstream.market.catalog import Listing
from marketstream.market.instruments import Fees, Instrument, Kind, Venue
from marketstream.market.quotes import QuoteState, empty_quotes
from marketstream.providers.quote_columns import read_columns, stamps_of

MAX_PAIRS = 100_000
MAX_VENUES = 1_000
_YEAR_NS = 365 * 86_400 * 1_000_000_000
MAX_SPAN_NS = 200 * _YEAR_NS
"""Most from the first quote to the last."""
MIN_STALE_S = 10.0
MAX_STALE_S = 3_600.0
SPACINGS = 3.0
"""A quote is stale after this many of the longer usual spacings (the 95th percentile) of its venue's pairs."""
DOLLARS = ("USD", "USDT", "USDC")
"""Quote currencies that a file's venues may mean as one: a stable coin is taken at one dollar, and it is said."""

_LOOKED_AT = 5_000
# So many rows of an instrument tell its decimals.
_SIZE_UNITS = 1_000.0
# Typical sizes of one instrument that differ by more are in different units: coins here, dollars there.


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteFileOptions:
    """How to read a file of quotes.

    Args:
        columns: Our name to the file's, such as `ts` to `time`; others are found by their usual names.
        venue: Of a file without a column for it; named after the file unless given.
        alias: The file's instrument to the one it is read as, both as the file writes them.
        keep_currencies: Leave USD, USDT and USDC apart, also where the venues of one thing differ in nothing else.
        stale_after_s: Age after which a quote feeds no price, seconds; by default from the data's usual spacing.
        fee: What every venue takes per trade, as a fraction of the amount.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    venue: str | None = None
    alias: Mapping[str, str] = field(default_factory=dict)
    keep_currencies: bool = False
    stale_after_s: float | None = None
    fee: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuoteFile:
    """The quotes of a file.

    Attributes:
        path: Where they came from.
        rows: QUOTE_DTYPE in order of time; `instrument` and `venue` are places in the listing.
        listing: What they quote.
        step_s: Usual seconds from one moment with quotes to the next.
        malformed: Rows that could not be read, by reason.
        notes: What was taken for granted, in sentences.
    """

    path: Path
    rows: np.ndarray
    listing: Listing
    step_s: float
    malformed: Mapping[str, int]
    notes: tuple[str, ...]


def load_quotes(path: Path, options: QuoteFileOptions | None = None) -> QuoteFile:
    """Read `.csv`, `.csv.gz`, `.parquet`, or a folder of Parquet files such as the archive writes.

    Raises:
        ConfigurationError: It cannot be read, a column is missing, or nothing in it is a quote.
    """
    options = options or QuoteFileOptions()
    malformed: dict[str, int] = {}
    columns = read_columns(path, options.columns, options.venue, malformed=malformed)
    ts, timed = stamps_of(columns["ts"])
    malformed["a time that cannot be read"] = int((~timed).sum())
    if not timed.any():
        raise ConfigurationError(f"{path}: no time in the column {columns['ts'].name!r} can be read")
    named = (columns["instrument"].notna() & columns["venue"].notna()).to_numpy(dtype=np.bool_)
    malformed["no instrument or no venue"] = int((timed & ~named).sum())
    if not (timed & named).any():
        raise ConfigurationError(f"{path}: no row has time, instrument and venue")
    columns, ts = {name: values[timed & named] for name, values in columns.items()}, ts[timed & named]
    if int(ts.max()) - int(ts.min()) > MAX_SPAN_NS:
        raise ConfigurationError(f"{path}: its times are more than {MAX_SPAN_NS // _YEAR_NS} years apart")
    notes: list[str] = []
    instruments, names = _instruments(path, columns["instrument"], columns["venue"], options, notes)
    venues, venue_names = _venues(path, columns["venue"])
    rows = _rows(columns, ts, malformed)
    rows["instrument"], rows["venue"] = instruments, venues
    rows = rows[np.argsort(rows["ts_received"], kind="stable")]
    rows["seq"] = np.arange(1, len(rows) + 1)
    _level_sizes(rows, names, notes)
    return QuoteFile(
        path=path,
        rows=rows,
        listing=_listing(path, rows, names, venue_names, options, notes),
        step_s=_step_s(rows["ts_received"]),
        malformed={reason: n for reason, n in malformed.items() if n},
        notes=tuple(notes),
    )


def _rows(columns: Mapping[str, pd.Series], ts: np.ndarray, malformed: dict[str, int]) -> np.ndarray:
    rows = empty_quotes(len(ts))
    rows["ts_event"] = rows["ts_received"] = ts
    bad = np.zeros(len(ts), dtype=np.bool_)
    for name in ("bid", "ask", "bid_size", "ask_size"):
        if name in columns:
            rows[name], wrong = _numbers(columns[name])
            bad |= wrong
    for side in ("bid", "ask"):
        # A side that does not exist has no size.
        missing = np.isnan(rows[side]) & ~np.isfinite(rows[f"{side}_size"])
        rows[f"{side}_size"][missing] = 0.0
    if "state" in columns:
        # An archive's own state rows; any other word is none of ours and leaves the quote to the screen.
        codes = columns["state"].astype(str).map({state.name: state.value for state in QuoteState})
        rows["state"] = codes.fillna(QuoteState.LIVE).to_numpy(dtype=np.int8)
    malformed["a price or size that is no number"] = int(bad.sum())
    # The old price must not stay alive: the pair is out of the book until its next good row.
    rows["state"][bad] = QuoteState.GAP
    for name in ("bid", "ask"):
        rows[name][bad] = np.nan
        rows[f"{name}_size"][bad] = 0.0
    return rows


def _numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    # The numbers, and where there was text that is none; an empty cell is a side that is not there.
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return values, np.zeros(len(values), dtype=np.bool_)
    text = column.astype("string").str.strip()
    empty = (text.isna() | (text == "") | (text.str.lower() == "nan")).to_numpy(dtype=np.bool_)
    return values, np.isnan(values) & ~empty


def _instruments(
    path: Path, column: pd.Series, venues: pd.Series, options: QuoteFileOptions, notes: list[str]
) -> tuple[np.ndarray, list[str]]:
    # Codes by row and the instruments' names; a name is written BASE-QUOTE as everywhere here.
    places, given = pd.factorize(column)
    alias = {_plain(old): _plain(new) for old, new in options.alias.items()}
    unknown = sorted(set(alias) - {_plain(str(name)) for name in given})
    if unknown:
        raise ConfigurationError(f"{path}: an alias names {unknown[0]!r}, which the file does not quote")
    plain = [alias.get(_plain(str(name)), _plain(str(name))) for name in given]
    if not options.keep_currencies:
        merged = _merged(plain, places, venues, notes)
        plain = [merged.get(name, name) for name in plain]
    names = list(dict.fromkeys(plain))
    code = {name: i for i, name in enumerate(names)}
    return np.array([code[name] for name in plain], dtype=np.int32)[places], names


def _plain(name: str) -> str:
    return name.strip().replace("/", "-")


def _merged(names: list[str], places: np.ndarray, venues: pd.Series, notes: list[str]) -> dict[str, str]:
    # Dollars and stable coins of one base, where no venue quotes it in two of them: there the difference is a price.
    bases: dict[str, dict[str, set[str]]] = {}
    pairs = pd.DataFrame({"name": places, "venue": venues.to_numpy()}).drop_duplicates()
    for place, venue in zip(pairs["name"].tolist(), pairs["venue"].astype(str).tolist(), strict=True):
        base, _, currency = names[place].rpartition("-")
        if base and currency in DOLLARS:
            bases.setdefault(base, {}).setdefault(currency, set()).add(venue)
    merged: dict[str, str] = {}
    for base, by_currency in bases.items():
        several = len(by_currency) > 1
        if several and len(set().union(*by_currency.values())) == sum(map(len, by_currency.values())):
            kept = min(by_currency, key=DOLLARS.index)
            merged |= {f"{base}-{currency}": f"{base}-{kept}" for currency in by_currency}
            others = " and ".join(f"{base}-{currency}" for currency in by_currency if currency != kept)
            notes.append(f"{others} read as {base}-{kept}, a stable coin at 1 USD; --keep-currencies keeps them apart")
    return merged


def _venues(path: Path, column: pd.Series) -> tuple[np.ndarray, list[str]]:
    places, given = pd.factorize(column)
    if len(given) > MAX_VENUES:
        raise ConfigurationError(f"{path}: {len(given)} venues; at most {MAX_VENUES} are read")
    plain = [str(name).strip() for name in given]
    names = list(dict.fromkeys(plain))
    return np.array([names.index(name) for name in plain], dtype=np.int16)[places], names


def _level_sizes(rows: np.ndarray, names: list[str], notes: list[str]) -> None:
    # Sizes weigh a venue, so they must be in one unit; where they cannot be, each venue's are put to its usual size.
    pair_codes = rows["instrument"].astype(np.int64) << 16 | rows["venue"].astype(np.int64)
    size = rows["bid_size"] + rows["ask_size"]
    known = size > 0
    usual = pd.Series(size[known]).groupby(pair_codes[known]).median()
    by_instrument: dict[int, dict[int, float]] = {}
    for pair, median in zip(usual.index.to_numpy().tolist(), usual.to_numpy().tolist(), strict=True):
        by_instrument.setdefault(pair >> 16, {})[pair] = median
    for code, medians in by_instrument.items():
        name = names[code]
        if max(medians.values()) <= _SIZE_UNITS * min(medians.values()):
            continue
        for pair, median in medians.items():
            here = pair_codes == pair
            for side in ("bid_size", "ask_size"):
                rows[side][here] *= 2.0 / median
        notes.append(f"sizes of {name} are in different units; each venue's are given as shares of its usual size")


def _listing(
    path: Path, rows: np.ndarray, names: list[str], venues: list[str], options: QuoteFileOptions, notes: list[str]
) -> Listing:
    pairs = np.unique(rows[["instrument", "venue"]])
    if len(pairs) > MAX_PAIRS:
        raise ConfigurationError(f"{path}: {len(pairs)} pairs of instrument and venue; at most {MAX_PAIRS} are read")
    stale = [_stale_after_s(rows, code, options.stale_after_s) for code in range(len(venues))]
    if options.stale_after_s is None:
        shown = ", ".join(f"{name} {limit:.0f} s" for name, limit in list(zip(venues, stale, strict=True))[:8])
        notes.append(f"a quote is stale after {SPACINGS:g} usual spacings of its venue: {shown}")
    try:
        return Listing(
            instruments=_instrument_list(rows, names),
            venues=tuple(
                Venue(
                    id=name,
                    name=name,
                    code=code,
                    kind=Kind.ASSET,
                    fees=Fees(per_trade=options.fee),
                    stale_after_s=limit,
                )
                for name, code, limit in zip(venues, _short_names(venues), stale, strict=True)
            ),
            pairs=tuple((names[int(pair["instrument"])], venues[int(pair["venue"])]) for pair in pairs),
        )
    except InvalidInputError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _instrument_list(rows: np.ndarray, names: list[str]) -> tuple[Instrument, ...]:
    order = np.argsort(rows["instrument"], kind="stable")
    starts = np.searchsorted(rows["instrument"][order], np.arange(len(names) + 1))
    found = []
    for name, start, end in zip(names, starts[:-1], starts[1:], strict=True):
        _, _, currency = name.rpartition("-")
        some = rows[order[start : min(end, start + _LOOKED_AT)]]
        tick = _tick(np.concatenate([some["bid"], some["ask"]]))
        found.append(Instrument(id=name, kind=Kind.ASSET, quote_currency=currency or "USD", tick=tick))
    return tuple(found)


def _tick(prices: np.ndarray) -> float:
    # The fewest decimals that write every price.
    prices = prices[np.isfinite(prices)]
    for decimals in range(9):
        scaled = prices * 10.0**decimals
        if np.all(np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(1.0, np.abs(scaled) * 1e-6)):
            return float(10.0**-decimals)
    return 1e-9


def _stale_after_s(rows: np.ndarray, venue: int, given: float | None) -> float:
    if given is not None:
        return given
    mine = rows[rows["venue"] == venue]
    spacings = pd.Series(mine["ts_received"]).groupby(mine["instrument"]).diff().dropna()
    spacings = spacings[spacings > 0] / 1e9
    if spacings.empty:
        return MIN_STALE_S
    usual = spacings.groupby(mine["instrument"][spacings.index]).quantile(0.95).median()
    return float(np.clip(round(SPACINGS * float(usual)), MIN_STALE_S, MAX_STALE_S))


def _step_s(ts: np.ndarray) -> float:
    moments = np.unique(ts)
    return float(max(np.median(np.diff(moments)) / 1e9, 0.1)) if len(moments) > 1 else 1.0


def _short_names(venues: list[str]) -> list[str]:
    # Three letters each: the first two and the first of the last word, else a number.
    taken: list[str] = []
    for place, name in enumerate(venues):
        words = [word for word in "".join(c if c.isalnum() else " " for c in name).upper().split() if word]
        code = (words[0][:2] + words[-1][0] if len(words) > 1 else words[0][:3]) if words else ""
        taken.append(code if len(code) == 3 and code not in taken else f"V{place + 1:02d}")
    return taken
