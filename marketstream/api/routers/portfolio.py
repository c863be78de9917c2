"""Route of the portfolio: target weights and stakes with what they would mean."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from marketstream.api.body import JsonRoute
from marketstream.api.openapi import problems
from marketstream.api.routers.answers import table_answer
from marketstream.api.table_schemas import Portfolio, PositionQuery
from marketstream.api.tables import Tables
from marketstream.engine import Engine
from marketstream.market.allocation import Allocation

FIGURES = (
    "horizon_s",
    "expected_return",
    "risk",
    "worst_loss",
    "turnover",
    "cost",
    "bankroll",
    "stake_total",
    "outcome_profit",
    "outcome_worst_loss",
)


def router(engine: Engine, tables: Tables) -> APIRouter:
    """Return the route over the newest snapshot of `engine`."""
    routes = APIRouter(prefix="/portfolio", tags=["tables"], route_class=JsonRoute)

    @routes.get("", summary="Target weights and stakes", response_model=Portfolio, responses=problems())
    async def portfolio(query: Annotated[PositionQuery, Query()]) -> Response:
        """Return the house allocation: positions, expected value, risk, worst loss and binding limits."""
        snapshot = engine.snapshot
        rows = [] if snapshot is None else tables.positions(snapshot)
        shown = [row for row in rows if query.kind is None or row["kind"] == query.kind]
        figures = figures_of(None if snapshot is None else snapshot.allocation)
        return table_answer(engine, snapshot, shown, query, **figures)

    return routes


def figures_of(allocation: Allocation | None) -> dict[str, Any]:
    """Return the figures of the whole; null each while there is no allocation."""
    if allocation is None:
        absent = {"status": "no_data", "reason": "no snapshot yet", "method": "", "binding": ()}
        return absent | dict.fromkeys(FIGURES)
    return {
        "status": allocation.status.value,
        "reason": allocation.reason,
        "method": allocation.method,
        "binding": allocation.binding,
    } | {name: getattr(allocation, name) for name in FIGURES}
