"""Routes of the live market: all instruments with fair values and sources, or one with its edges."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.openapi import problems
from marketstream.api.routers.answers import known, table_answer
from marketstream.api.schemas import timestamp
from marketstream.api.table_schemas import MarketDetail, MarketQuery, MarketTable
from marketstream.api.tables import Row, Tables
from marketstream.engine import Engine
from marketstream.errors import NotFoundError


def router(engine: Engine, tables: Tables) -> APIRouter:
    """Return the routes over the newest snapshot of `engine`."""
    routes = APIRouter(prefix="/markets", tags=["tables"], route_class=JsonRoute)

    @routes.get("", summary="Every instrument now", response_model=MarketTable, responses=problems())
    async def markets(query: Annotated[MarketQuery, Query()]) -> Response:
        """Return fair value, band, best prices, ages and sources, one row per instrument."""
        if query.market is not None:
            known(engine.catalog.market, query.market)
        if query.venue is not None:
            known(engine.catalog.venue, query.venue)
        snapshot = engine.snapshot
        rows = [] if snapshot is None else tables.markets(snapshot)
        return table_answer(engine, snapshot, [row for row in rows if _matches(row, query)], query)

    @routes.get(
        "/{instrument:path}",
        summary="One instrument now",
        response_model=MarketDetail,
        responses=problems(404),
    )
    async def market(
        instrument: Annotated[str, Path(description="Instrument id.", max_length=64)],
    ) -> Response:
        """Return one instrument with its edges and the outcomes of its market; 404 for an unknown id."""
        return JsonAnswer(detail(engine, tables, instrument))

    return routes


def detail(engine: Engine, tables: Tables, instrument_id: str) -> dict[str, object]:
    """Return the fields of MarketDetail; NotFoundError for an unknown id or one no snapshot holds yet."""
    code = engine.catalog.code(instrument_id)
    snapshot = engine.snapshot
    rows = [] if snapshot is None else tables.markets(snapshot)
    if snapshot is None or code >= len(rows):
        raise NotFoundError(f"{instrument_id!r} is listed, but no snapshot holds it yet")
    row = rows[code]
    outcomes = () if row["market"] is None else engine.catalog.market_codes(row["market"])
    return {
        "as_of": timestamp(snapshot.now),
        "sequence": snapshot.sequence,
        "simulated": engine.simulated,
        "row": row,
        "outcomes": {rows[c]["instrument"]: rows[c]["fair"] for c in outcomes if c < len(rows)},
        "edges": [edge for edge in tables.edges(snapshot) if edge["instrument"] == instrument_id],
    }


def _matches(row: Row, query: MarketQuery) -> bool:
    return (
        (query.kind is None or row["kind"] == query.kind)
        and (query.market is None or row["market"] == query.market)
        and (query.venue is None or any(source["venue"] == query.venue for source in row["sources"]))
    )
