"""Rows made from frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from marketstream.analytics.analysis import Snapshot
from marketstream.api.table_schemas import EdgeRow, MarketRow, PositionRow
from marketstream.api.tables import Tables, edge_rows, market_rows, position_rows
from marketstream.engine import Engine


@pytest.fixture
def snapshot(engine: Engine) -> Snapshot:
    assert engine.snapshot is not None
    return engine.snapshot


def on_the_wire(rows: list[dict[str, Any]]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(rows))


def test_rows_have_exactly_the_declared_fields(snapshot: Snapshot) -> None:
    for make, model in ((market_rows, MarketRow), (edge_rows, EdgeRow), (position_rows, PositionRow)):
        rows = on_the_wire(make(snapshot))
        assert rows
        for row in rows:
            assert set(row) == set(model.model_fields)
            model.model_validate(row)


def test_a_table_is_made_once_per_snapshot(snapshot: Snapshot) -> None:
    tables = Tables()
    first = tables.markets(snapshot)
    assert tables.markets(snapshot) is first
    again = dataclasses.replace(snapshot)
    assert tables.markets(again) is not first
    assert tables.markets(again) == first or on_the_wire(tables.markets(again)) == on_the_wire(first)


def test_missing_prices_are_null_and_an_empty_venue_is_none(snapshot: Snapshot) -> None:
    fair = snapshot.fair.copy()
    first = fair.index[0]
    fair.loc[first, ["fair", "fair_sd"]] = np.nan
    row = on_the_wire(market_rows(dataclasses.replace(snapshot, fair=fair)))[0]
    assert (row["instrument"], row["fair"], row["fair_sd"]) == (first, None, None)


def test_an_instrument_without_a_fair_value_keeps_its_row(snapshot: Snapshot) -> None:
    partial = dataclasses.replace(snapshot, fair=snapshot.fair.iloc[1:])
    row = on_the_wire(market_rows(partial))[0]
    assert row["instrument"] == snapshot.fair.index[0]
    assert (row["fair"], row["n_venues"], row["method"], row["left_out"]) == (None, 0, "", [])
    assert row["sources"]


def test_each_venue_left_out_carries_its_reason(snapshot: Snapshot) -> None:
    fair = snapshot.fair.copy()
    fair["left_out"] = pd.Series([""] * len(fair), index=fair.index, dtype=object)
    fair.iloc[0, fair.columns.get_loc("left_out")] = "kraken: 12.0 s old; coinbase: 4.4 sd off"
    row = market_rows(dataclasses.replace(snapshot, fair=fair))[0]
    assert row["left_out"] == [
        {"venue": "kraken", "reason": "12.0 s old"},
        {"venue": "coinbase", "reason": "4.4 sd off"},
    ]


def test_the_snapshots_own_left_out_texts_can_be_read(snapshot: Snapshot) -> None:
    venues = {venue.id for venue in snapshot.market.catalog.venues}
    for row in market_rows(snapshot):
        for item in row["left_out"]:
            assert item["venue"] in venues
            assert item["reason"]
