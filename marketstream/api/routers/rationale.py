"""Routes of the rationale: order a text, read it when it is written."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.openapi import changes, problems
from marketstream.api.rationale_schemas import RationaleInfo, RationaleOrder, RationaleQuery, RationaleTicket
from marketstream.api.routers.answers import known
from marketstream.api.schemas import timestamp
from marketstream.engine import Engine
from marketstream.market.rationale import Rationale, RationaleKind, RationaleRequest

ORDERED: dict[int | str, dict[str, Any]] = {
    202: {
        "headers": {"Location": {"description": "Path of the text.", "schema": {"type": "string"}}},
        "description": "Ordered; the text is not written yet.",
    }
}


def router(engine: Engine) -> APIRouter:
    """Return the routes over the rationale service of `engine`."""
    routes = APIRouter(
        prefix="/streaming/rationale",
        tags=["rationale"],
        route_class=JsonRoute,
        default_response_class=JsonAnswer,
    )

    @routes.post(
        "/generate",
        summary="Order a text",
        status_code=HTTPStatus.ACCEPTED,
        responses=ORDERED | changes(429),
    )
    async def generate(response: Response, body: RationaleOrder | None = None) -> RationaleTicket:
        """Take the order and answer at once; a worker writes the text from the newest snapshot after that."""
        order = RationaleOrder() if body is None else body
        request = RationaleRequest(kind=RationaleKind(order.rationale_type), subject=order.subject)
        if order.subject is not None:
            known(engine.catalog.instrument, order.subject)
        ticket = RationaleTicket(id=engine.rationale.request(request))
        response.headers["location"] = f"/streaming/rationale/{ticket.id}"
        return ticket

    @routes.get("/{id}", summary="One text", response_model=RationaleInfo, responses=problems(404, 422))
    async def rationale(
        rationale_id: Annotated[str, Path(alias="id", description="Id from the order.", max_length=64)],
        query: Annotated[RationaleQuery, Query()],
    ) -> Response:
        """Return the text with its spans, facts and issues; 404 for an unknown or forgotten id."""
        return JsonAnswer(answer(engine.rationale.get(rationale_id), whole_sheet=query.facts == "all"))

    return routes


def answer(rationale: Rationale, *, whole_sheet: bool) -> dict[str, Any]:
    """Return the fields of RationaleInfo."""
    plain = rationale.to_json()
    shown = {fact.id for fact in (rationale.facts if whole_sheet else rationale.used_facts)}
    facts = [fact | {"as_of": timestamp(fact["as_of"])} for fact in plain["facts"] if fact["id"] in shown]
    plain |= {
        "rationale_type": plain.pop("kind"),
        "facts": facts,
        "created_at": timestamp(rationale.created_at),
        "as_of": timestamp(rationale.as_of) if rationale.as_of else None,
        "sequence": rationale.sequence if rationale.sequence >= 0 else None,
    }
    return {name: plain[name] for name in RationaleInfo.model_fields}
