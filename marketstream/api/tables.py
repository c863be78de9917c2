"""From a snapshot's frames to the rows of the live tables (table_schemas.py); NaN leaves as null."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from marketstream.analytics.analysis import Snapshot
from marketstream.api.schemas import timestamp
from marketstream.market.catalog import Catalog
from marketstream.market.instruments import Kind
from marketstream.market.quotes import QuoteState

Row = dict[str, Any]
Columns = dict[str, list[Any]]
_STATES = tuple(state.name for state in QuoteState)
_POSITION_COLUMNS = ("target", "current", "change", "stake", "locked", "contribution", "binding")


class Tables:
    """Rows of the newest snapshot, each table made once per snapshot and only when asked for."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._made: dict[str, list[Row]] = {}

    def markets(self, snapshot: Snapshot) -> list[Row]:
        """Return the rows of /markets, in catalogue order."""
        return self._table("markets", snapshot, market_rows)

    def edges(self, snapshot: Snapshot) -> list[Row]:
        """Return the rows of /edges, in the order of the `edges` frame."""
        return self._table("edges", snapshot, edge_rows)

    def positions(self, snapshot: Snapshot) -> list[Row]:
        """Return the rows of /portfolio, in the order of the `allocation` frame."""
        return self._table("positions", snapshot, position_rows)

    def _table(self, name: str, snapshot: Snapshot, make: Callable[[Snapshot], list[Row]]) -> list[Row]:
        if snapshot is not self._snapshot:
            self._snapshot, self._made = snapshot, {}
        if name not in self._made:
            self._made[name] = make(snapshot)
        return self._made[name]


def market_rows(snapshot: Snapshot) -> list[Row]:
    """Return one row per instrument of the snapshot."""
    market = snapshot.market
    n_instruments = market.shape[0]
    instruments = market.catalog.instruments[:n_instruments]
    fair = _aligned(snapshot.fair, market.catalog.index[:n_instruments])
    best = market.best_quotes
    ages = _live_ages(market.age_ns, market.fresh)
    columns: Columns = {
        "instrument": [i.id for i in instruments],
        "name": [i.name for i in instruments],
        "kind": [i.kind.value for i in instruments],
        "market": [i.market_id for i in instruments],
        "unit": [_unit(i.kind, i.quote_currency) for i in instruments],
        **{name: fair[name].tolist() for name in ("fair", "fair_sd", "method", "n_venues")},
        **{name: best[name].tolist() for name in ("n_live", "best_bid", "best_ask", "mid", "spread", "crossed")},
        **{name: [venue or None for venue in best[name]] for name in ("bid_venue", "ask_venue")},
        "age_ms": ages[0],
        "oldest_age_ms": ages[1],
        "sources": _sources(snapshot),
        "left_out": _left_out(snapshot, n_instruments),
    }
    return _records(columns)


def edge_rows(snapshot: Snapshot) -> list[Row]:
    """Return one row per (instrument, venue, side) of the `edges` frame."""
    frame = snapshot.edges
    columns = _index_columns(frame)
    columns |= _kinds(columns["instrument"], snapshot.market.catalog)
    columns |= {name: frame[name].tolist() for name in frame.columns}
    columns["opened"] = [timestamp(ns) if ns else None for ns in columns["opened"]]
    return _records(columns)


def position_rows(snapshot: Snapshot) -> list[Row]:
    """Return one row per position or leg of the `allocation` frame."""
    frame = snapshot.allocation.frame
    columns = _index_columns(frame)
    columns |= _kinds(columns["instrument"], snapshot.market.catalog)
    columns["unit"] = ["USD" if venue else "weight" for venue in columns["venue"]]
    columns["venue"] = [venue or None for venue in columns["venue"]]
    columns |= {name: frame[name].tolist() for name in _POSITION_COLUMNS}
    return _records(columns)


def _index_columns(frame: pd.DataFrame) -> Columns:
    return {str(level): frame.index.get_level_values(str(level)).tolist() for level in frame.index.names}


def _records(columns: Columns) -> list[Row]:
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _unit(kind: Kind, quote_currency: str) -> str:
    return "probability" if kind is Kind.OUTCOME else quote_currency


def _kinds(instrument_ids: Iterable[str], catalog: Catalog) -> Columns:
    instruments = [catalog.instrument(each) for each in instrument_ids]
    return {
        "kind": [i.kind.value for i in instruments],
        "unit": [_unit(i.kind, i.quote_currency) for i in instruments],
    }


def _aligned(fair: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    # The catalogue may have grown since the frame was made: what it lacks has no fair value.
    if fair.index.equals(index):
        return fair
    return fair.reindex(index).fillna({"method": "", "left_out": "", "n_venues": 0}).astype({"n_venues": "int64"})


def _live_ages(age_ns: np.ndarray, fresh: np.ndarray) -> tuple[list[float], list[float]]:
    """Return by instrument the ages of the newest and the oldest fresh quote, ms; NaN without one."""
    ages = age_ns / 1e6
    none = ~fresh.any(axis=1)
    newest = np.where(fresh, ages, np.inf).min(axis=1, initial=np.inf)
    oldest = np.where(fresh, ages, -np.inf).max(axis=1, initial=-np.inf)
    newest[none] = oldest[none] = np.nan
    return newest.tolist(), oldest.tolist()


def _sources(snapshot: Snapshot) -> list[list[Row]]:
    """Return by instrument the newest quote of every venue that ever quoted it."""
    market = snapshot.market
    instrument, venue = np.nonzero(market.book["state"] != QuoteState.NO_DATA)
    book = market.book[instrument, venue]
    venues = [v.id for v in market.catalog.venues]
    providers = market.catalog.providers
    rows = _records(
        {
            "venue": [venues[v] for v in venue],
            "provider": [providers[p] for p in book["provider"].tolist()],
            "state": [_STATES[s] for s in market.state[instrument, venue].tolist()],
            "age_ms": (market.age_ns[instrument, venue] / 1e6).tolist(),
            **{name: book[name].tolist() for name in ("bid", "ask", "bid_size", "ask_size")},
        }
    )
    first = np.searchsorted(instrument, np.arange(market.shape[0] + 1))
    return [rows[a:b] for a, b in pairwise(first.tolist())]


def _left_out(snapshot: Snapshot, n_instruments: int) -> list[list[Row]]:
    reasons = () if snapshot.after.fair is None else snapshot.after.fair.left_out
    rows = [[{"venue": venue or None, "reason": why} for venue, why in each] for each in reasons[:n_instruments]]
    return rows + [[] for _ in range(n_instruments - len(rows))]
