"""Route of the edges: what could be traded where, after fees."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from marketstream.api.body import JsonRoute
from marketstream.api.openapi import problems
from marketstream.api.routers.answers import known, table_answer
from marketstream.api.table_schemas import EdgeQuery, EdgeTable
from marketstream.api.tables import Tables
from marketstream.engine import Engine


def router(engine: Engine, tables: Tables) -> APIRouter:
    """Return the route over the newest snapshot of `engine`."""
    routes = APIRouter(prefix="/edges", tags=["tables"], route_class=JsonRoute)

    @routes.get("", summary="Edges after fees", response_model=EdgeTable, responses=problems())
    async def edges(query: Annotated[EdgeQuery, Query()]) -> Response:
        """Return net expected profit by instrument, venue and side, with its error, age and reason."""
        if query.instrument is not None:
            known(engine.catalog.instrument, query.instrument)
        if query.venue is not None:
            known(engine.catalog.venue, query.venue)
        snapshot = engine.snapshot
        rows = [] if snapshot is None else tables.edges(snapshot)
        wanted = query.model_dump(exclude={"limit", "offset"}, exclude_none=True)
        found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        return table_answer(engine, snapshot, found, query)

    return routes
