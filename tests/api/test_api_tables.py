"""Rows made from frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
from market_factory import Q, make_catalog, make_market

from marketstream.analytics.analysis import Analysis, Snapshot
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


def test_reasons_come_with_their_venue_and_those_about_the_whole_without() -> None:
    house = Analysis()
    house.fair_value.min_venues = 2
    catalog = make_catalog(assets=("BTC-USD", "ETH-USD"))
    quotes = {("BTC-USD", "alpha"): Q(99.0, 101.0), ("BTC-USD", "beta"): Q(99.0, 101.0, age=60.0)}
    snapshot = house.step(make_market(catalog, quotes))
    rows = {row["instrument"]: row for row in market_rows(snapshot)}
    assert rows["BTC-USD"]["left_out"] == [
        {"venue": "beta", "reason": "stale 60.0 s"},
        {"venue": None, "reason": "needs 2 venues, has 1"},
    ]
    assert rows["ETH-USD"]["left_out"] == [{"venue": None, "reason": "no venue has quoted"}]
