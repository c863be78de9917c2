"""Routes of the other records: allocations with what led to them, and how the store itself fares."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.errors import store_problems
from marketstream.api.listing import Listing, fields_of, listed, page_request
from marketstream.api.openapi import problems
from marketstream.api.record_schemas import AllocationPage, StoreInfo
from marketstream.api.schemas import timestamp
from marketstream.engine import Engine
from marketstream.market.records import AllocationRecord

LIST = "allocations"


def router(engine: Engine) -> APIRouter:
    """Return the routes over the store of `engine`."""
    routes = APIRouter(prefix="/streaming", tags=["records"], route_class=JsonRoute)

    @routes.get(
        "/allocations",
        summary="Allocations with what led to them",
        response_model=AllocationPage,
        responses=problems(503),
    )
    async def allocations(query: Annotated[Listing, Query()]) -> Response:
        """Return the allocations that had moved enough to be kept, newest first."""
        with store_problems():
            page = await engine.store.allocations(page_request(LIST, query))
        return listed(LIST, engine.clock.now_ns(), page, allocation_row)

    @routes.get("/store", summary="How the store fares", response_model=StoreInfo, responses=problems())
    async def store() -> Response:
        """Return where records are kept, how many there are, and the pace of the commits."""
        return JsonAnswer(fields_of(engine.store.status()))

    return routes


def allocation_row(record: AllocationRecord) -> dict[str, Any]:
    """Return the fields of AllocationInfo."""
    return fields_of(record) | {"ts": timestamp(record.ts)}
