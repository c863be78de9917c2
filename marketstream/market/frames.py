"""The frames that stages exchange: names, types and units of every column, written once. Tests hold stages to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketstream.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its pandas dtype kind (`f`, `i`, `b`, `O`, `M`), its unit and what it says."""

    kind: str
    unit: str
    doc: str


@dataclass(frozen=True, slots=True)
class Schema:
    """One frame: what a row is, the index levels and the columns."""

    row: str
    index: tuple[str, ...]
    columns: Mapping[str, Column]


_PRICE = "quote currency or probability"

BOOKS = Schema(
    "instrument x venue",
    ("instrument", "venue"),
    {
        "bid": Column("f", _PRICE, "best bid of the venue, NaN where it has none"),
        "ask": Column("f", _PRICE, "best ask of the venue, NaN where it has none"),
        "bid_size": Column("f", "contracts", "size at the bid"),
        "ask_size": Column("f", "contracts", "size at the ask"),
        "state": Column("O", "", "quote state; only LIVE feeds a price"),
        "age_ms": Column("f", "ms", "now minus the time the quote was received"),
        "source": Column("O", "", "provider that delivered the quote"),
        "seq": Column("i", "", "sequence number of the venue"),
    },
)
BEST = Schema(
    "instrument",
    ("instrument",),
    {
        "best_bid": Column("f", _PRICE, "highest bid over fresh venues"),
        "best_ask": Column("f", _PRICE, "lowest ask over fresh venues"),
        "bid_venue": Column("O", "", "venue of the best bid"),
        "ask_venue": Column("O", "", "venue of the best ask"),
        "mid": Column("f", _PRICE, "mean of best bid and ask, or the one side there is"),
        "spread": Column("f", _PRICE, "best ask minus best bid; negative when crossed"),
        "n_live": Column("i", "venues", "fresh venues"),
        "crossed": Column("b", "", "best bid above best ask: an arbitrage to show"),
    },
)
DELTAS = Schema(
    "instrument that changed",
    ("instrument",),
    {
        "ref_mid": Column("f", _PRICE, "reference mid over fresh venues"),
        "change": Column("f", _PRICE, "last minus previous ref_mid"),
        "rel_change": Column("f", "fraction", "change divided by the previous ref_mid"),
        "mean": Column("f", _PRICE, "mean of ref_mid over the window"),
        "sd": Column("f", _PRICE, "standard deviation of ref_mid over the window"),
        "z_change": Column("f", "sd", "(change - mean of changes) / sd of changes, over the changes before it"),
        "rate": Column("f", "quotes per second", "mean rate over the last ten whole seconds"),
        "age_ms": Column("f", "ms", "now minus the time of the last quote"),
    },
)
FAIR = Schema(
    "instrument",
    ("instrument",),
    {
        "fair": Column("f", _PRICE, "consensus price, NaN where no fresh venue is left"),
        "fair_sd": Column("f", _PRICE, "its standard deviation, common-mode error included"),
        "n_venues": Column("i", "venues", "venues that were used"),
        "method": Column("O", "", "how it was made"),
        "left_out": Column("O", "", "venues left out, each with its reason"),
    },
)
EDGES = Schema(
    "instrument x venue x side",
    ("instrument", "venue", "side"),
    {
        "price": Column("f", _PRICE, "price to trade at"),
        "size": Column("f", "contracts", "size at that price"),
        "edge": Column("f", _PRICE, "net expected profit per contract after fees"),
        "roi": Column("f", "fraction", "edge divided by the capital it locks"),
        "gap_bps": Column("f", "bps", "assets: venue mid against the fair value without that venue"),
        "se": Column("f", _PRICE, "standard error of the edge"),
        "age_oldest_leg_ms": Column("f", "ms", "age of the oldest quote the edge rests on"),
        "executable": Column("b", "", "can be traded now under the knobs"),
        "reason": Column("O", "", "why not, when not"),
        "opened": Column("i", "UTC ns", "when the edge opened; 0 while it is not open"),
    },
)
ALLOCATION = Schema(
    "position or leg",
    ("instrument", "venue"),
    {
        "target": Column("f", "weight or USD", "assets: share of capital; outcomes: stake"),
        "current": Column("f", "weight or USD", "what is held before trading"),
        "change": Column("f", "weight or USD", "target minus current"),
        "stake": Column("f", "USD", "money put in"),
        "locked": Column("f", "USD", "capital locked"),
        "contribution": Column("f", "fraction or USD", "assets: share of risk; outcomes: expected profit"),
        "binding": Column("O", "", "limit that holds it, if any"),
    },
)
FRAMES: Mapping[str, Schema] = {
    "books": BOOKS,
    "best": BEST,
    "deltas": DELTAS,
    "fair": FAIR,
    "edges": EDGES,
    "allocation": ALLOCATION,
}

_DTYPES: Mapping[str, type] = {"f": np.float64, "i": np.int64, "b": np.bool_, "O": object}


def empty_frame(schema: Schema) -> pd.DataFrame:
    """Return a frame of this schema with no rows.

    >>> list(empty_frame(FAIR).columns)
    ['fair', 'fair_sd', 'n_venues', 'method', 'left_out']
    """
    index: pd.Index
    if len(schema.index) == 1:
        index = pd.Index([], name=schema.index[0], dtype=object)
    else:
        index = pd.MultiIndex.from_arrays([pd.Index([], dtype=object)] * len(schema.index), names=schema.index)
    return pd.DataFrame(
        {name: np.empty(0, dtype=_DTYPES[column.kind]) for name, column in schema.columns.items()}, index=index
    )


def check_frame(frame: pd.DataFrame, schema: Schema) -> None:
    """Raise InvalidInputError unless `frame` has the index and the columns of `schema`, each of its kind."""
    if tuple(frame.index.names) != schema.index:
        raise InvalidInputError(f"a frame per {schema.row} is indexed by {schema.index}, was {frame.index.names}")
    if list(frame.columns) != list(schema.columns):
        raise InvalidInputError(f"columns must be {list(schema.columns)}, were {list(frame.columns)}")
    for name, column in schema.columns.items():
        if frame[name].dtype.kind not in (column.kind, "T" if column.kind == "O" else column.kind):
            raise InvalidInputError(f"{name} must be of kind {column.kind!r}, was {frame[name].dtype}")
