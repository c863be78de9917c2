"""The live tables: the same numbers as the snapshot's frames, filtered and paged."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from marketstream.analytics.analysis import Snapshot
from marketstream.api.app import create_app
from marketstream.engine import Engine


@pytest.fixture
def snapshot(engine: Engine) -> Snapshot:
    assert engine.snapshot is not None
    return engine.snapshot


async def get(client: httpx2.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def same(sent: float | None, value: float) -> bool:
    """Say whether a number was sent as it is, and a missing one as null."""
    return sent is None if math.isnan(value) else sent == value


async def test_markets_has_the_fair_values_of_the_snapshot(client: httpx2.AsyncClient, snapshot: Snapshot) -> None:
    table = await get(client, "/markets")
    assert table["sequence"] == snapshot.sequence
    assert table["count"] == table["total"] == len(snapshot.fair) == len(table["rows"])
    for row in table["rows"]:
        fair = snapshot.fair.loc[row["instrument"]]
        best = snapshot.market.best_quotes.loc[row["instrument"]]
        assert same(row["fair"], fair["fair"])
        assert same(row["fair_sd"], fair["fair_sd"])
        assert row["n_venues"] == fair["n_venues"]
        assert same(row["best_bid"], best["best_bid"])
        assert same(row["best_ask"], best["best_ask"])
        assert row["n_live"] == best["n_live"]


async def test_sources_are_the_books_with_state_and_age(client: httpx2.AsyncClient, snapshot: Snapshot) -> None:
    books = snapshot.market.books
    sent = 0
    for row in (await get(client, "/markets"))["rows"]:
        for source in row["sources"]:
            book = books.loc[(row["instrument"], source["venue"])]
            assert source["state"] == book["state"]
            assert source["provider"] == book["source"]
            assert same(source["bid"], book["bid"])
            assert same(source["ask"], book["ask"])
            assert source["age_ms"] == pytest.approx(book["age_ms"])
            sent += 1
        live = [source["age_ms"] for source in row["sources"] if source["state"] == "LIVE"]
        assert row["n_live"] == len(live)
        assert (row["age_ms"], row["oldest_age_ms"]) == ((min(live), max(live)) if live else (None, None))
    assert sent == len(books)


async def test_units_follow_the_kind(client: httpx2.AsyncClient, engine: Engine) -> None:
    for row in (await get(client, "/markets"))["rows"]:
        instrument = engine.catalog.instrument(row["instrument"])
        expected = "probability" if row["kind"] == "outcome" else instrument.quote_currency
        assert row["unit"] == expected
        assert row["market"] == instrument.market_id


@pytest.mark.parametrize("kind", ["asset", "outcome"])
@pytest.mark.parametrize("path", ["/markets", "/edges", "/portfolio"])
async def test_kinds_part_every_table(client: httpx2.AsyncClient, path: str, kind: str) -> None:
    whole = await get(client, path)
    part = await get(client, path, kind=kind)
    assert part["rows"] == [row for row in whole["rows"] if row["kind"] == kind]
    assert part["total"] == len(part["rows"])


async def test_pages_join_to_the_whole(client: httpx2.AsyncClient) -> None:
    for path in ("/markets", "/edges", "/portfolio"):
        whole = await get(client, path, limit=10_000)
        rows: list[Any] = []
        while len(rows) < whole["total"]:
            page = await get(client, path, limit=37, offset=len(rows))
            assert page["total"] == whole["total"]
            assert 0 < page["count"] <= 37
            rows += page["rows"]
        assert rows == whole["rows"]


async def test_markets_can_be_narrowed_to_a_market_or_a_venue(client: httpx2.AsyncClient, engine: Engine) -> None:
    market = engine.catalog.markets[0]
    rows = (await get(client, "/markets", market=market.id))["rows"]
    assert [row["instrument"] for row in rows] == list(market.outcomes)
    venue = engine.catalog.venues[0].id
    rows = (await get(client, "/markets", venue=venue))["rows"]
    assert rows
    assert all(venue in [source["venue"] for source in row["sources"]] for row in rows)


async def test_edges_are_those_of_the_snapshot(client: httpx2.AsyncClient, snapshot: Snapshot) -> None:
    table = await get(client, "/edges", limit=10_000)
    assert table["total"] == len(snapshot.edges) > 0
    for row in table["rows"]:
        edge = snapshot.edges.loc[(row["instrument"], row["venue"], row["side"])]
        assert all(same(row[name], edge[name]) for name in ("price", "size", "edge", "roi", "gap_bps", "se"))
        assert row["executable"] == edge["executable"]
        assert row["reason"] == edge["reason"]
        assert (row["opened"] is None) == (edge["opened"] == 0)


@pytest.mark.parametrize("executable", [True, False])
async def test_edges_can_be_narrowed_to_what_can_be_traded(client: httpx2.AsyncClient, executable: bool) -> None:
    whole = (await get(client, "/edges", limit=10_000))["rows"]
    part = (await get(client, "/edges", limit=10_000, executable=executable))["rows"]
    assert part == [row for row in whole if row["executable"] is executable]


async def test_edges_can_be_narrowed_to_instrument_venue_and_side(client: httpx2.AsyncClient) -> None:
    row = (await get(client, "/edges"))["rows"][0]
    key = {name: row[name] for name in ("instrument", "venue", "side")}
    assert (await get(client, "/edges", **key))["rows"] == [row]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": "many"},
        {"limit": 10_001},
        {"offset": -1},
        {"kind": "bond"},
        {"venue": "nowhere"},
        {"limits": 5},
        {"limit": "9" * 400},
    ],
)
async def test_a_filter_that_cannot_be_meant_is_refused_not_ignored(
    client: httpx2.AsyncClient, params: dict[str, Any]
) -> None:
    for path in ("/markets", "/edges"):
        answer = await client.get(path, params=params)
        assert answer.status_code == 422
        assert answer.json()["detail"]


async def test_one_instrument_comes_with_its_outcomes_and_edges(client: httpx2.AsyncClient, engine: Engine) -> None:
    market = engine.catalog.markets[0]
    answer = await get(client, f"/markets/{market.outcomes[0]}")
    rows = {row["instrument"]: row for row in (await get(client, "/markets"))["rows"]}
    assert answer["row"] == rows[market.outcomes[0]]
    assert answer["outcomes"] == {each: rows[each]["fair"] for each in market.outcomes}
    assert answer["edges"] == (await get(client, "/edges", instrument=market.outcomes[0]))["rows"]


async def test_an_asset_has_no_outcomes(client: httpx2.AsyncClient) -> None:
    asset = (await get(client, "/markets", kind="asset"))["rows"][0]["instrument"]
    assert (await get(client, f"/markets/{asset}"))["outcomes"] == {}


@pytest.mark.parametrize("name", ["NOBODY-USD", "a/b", "%00", "%2e%2e"])
async def test_an_unknown_instrument_is_404(client: httpx2.AsyncClient, name: str) -> None:
    assert (await client.get(f"/markets/{name}")).status_code == 404


async def test_portfolio_has_the_weights_and_figures_of_the_allocation(
    client: httpx2.AsyncClient, snapshot: Snapshot
) -> None:
    table = await get(client, "/portfolio", limit=10_000)
    allocation = snapshot.allocation
    weights = {row["instrument"]: row["target"] for row in table["rows"] if row["venue"] is None}
    assert weights == allocation.weights.to_dict()
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-6)
    stakes = sum(row["stake"] for row in table["rows"] if row["venue"] is not None)
    assert stakes == pytest.approx(table["stake_total"])
    assert table["status"] == allocation.status.value == "optimal"
    assert table["risk"] == allocation.risk
    assert table["horizon_s"] == allocation.horizon_s
    assert {row["unit"] for row in table["rows"] if row["venue"] is None} == {"weight"}


async def test_before_the_first_snapshot_tables_say_that_there_is_no_data(
    make_engine: Callable[[], Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> None:
    engine = make_engine()
    async with make_client(create_app(engine)) as client:
        for path in ("/markets", "/edges", "/portfolio"):
            table = await get(client, path)
            assert (table["absence"], table["rows"], table["as_of"]) == ("NO_DATA", [], None)
        missing = await client.get(f"/markets/{engine.catalog.instruments[0].id}")
        health = await get(client, "/streaming/health")
    assert missing.status_code == 404
    assert "no snapshot" in missing.json()["detail"]
    assert health["status"] == "down"
    assert health["cycle_age_s"] is None
