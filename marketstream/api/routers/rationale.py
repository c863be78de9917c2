"""Routes of the rationale: order a text, read it when it is written, call it off, say what you think of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.errors import RETRY_AFTER_S, store_problems
from marketstream.api.listing import cursor_of, listing, rows_of
from marketstream.api.openapi import LOCATION, changes, problems
from marketstream.api.rationale_schemas import (
    FeedbackInfo,
    FeedbackList,
    FeedbackOrder,
    RationaleInfo,
    RationaleListQuery,
    RationaleOrder,
    RationalePage,
    RationaleQuery,
    RationaleTicket,
)
from marketstream.api.schemas import timestamp
from marketstream.engine import Engine
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.rationale import (
    Holding,
    Rationale,
    RationaleHead,
    RationaleKind,
    RationaleRequest,
    RationaleStatus,
)
from marketstream.market.records import Feedback, FeedbackReason, PageRequest
from marketstream.rationale.holdings import check_request
from marketstream.rationale.names import clean_text
from marketstream.rationale.service import ServiceStoppedError

LIST = "rationale"
ORDERED: dict[int | str, dict[str, Any]] = {
    202: {"headers": LOCATION, "description": "Ordered; the text is not written yet."}
}
RationaleId = Annotated[str, Path(alias="id", description="Id from the order.", max_length=64)]


def router(engine: Engine) -> APIRouter:
    """Return the routes over the rationale service and the store of `engine`."""
    routes = APIRouter(
        prefix="/streaming/rationale",
        tags=["rationale"],
        route_class=JsonRoute,
        default_response_class=JsonAnswer,
    )
    _add_ordering(routes, engine)
    _add_reading(routes, engine)
    _add_feedback(routes, engine)
    return routes


def _add_ordering(routes: APIRouter, engine: Engine) -> None:
    @routes.post(
        "/generate",
        summary="Order a text",
        status_code=HTTPStatus.ACCEPTED,
        responses=ORDERED | changes(409, 429),
    )
    async def generate(response: Response, body: RationaleOrder | None = None) -> RationaleTicket:
        """Take the order and answer at once; the text is written from the newest snapshot after that.

        Once the stream was stopped an order is a conflict (409) until it is started again.
        """
        request = requested(RationaleOrder() if body is None else body, engine)
        try:
            ticket = RationaleTicket(id=engine.rationale.request(request))
        except ServiceStoppedError as error:
            raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
        response.headers["location"] = f"/streaming/rationale/{ticket.id}"
        return ticket

    @routes.post(
        "/{id}/cancel",
        summary="Call an order off",
        response_model=RationaleInfo,
        responses=problems(403, 404, 409, 422, 503),
    )
    async def cancel(rationale_id: RationaleId) -> Response:
        """End an order that waits or is in work and return it; what has ended already is a conflict (409)."""
        text = await found(engine, rationale_id)
        if text.status is RationaleStatus.PENDING:
            try:
                return JsonAnswer(answer(await engine.rationale.cancel(rationale_id), whole_sheet=False))
            except InvalidInputError:
                text = engine.rationale.get(rationale_id)  # it ended meanwhile
        raise HTTPException(HTTPStatus.CONFLICT, f"rationale {text.id!r} is {text.status.value} already")


def _add_reading(routes: APIRouter, engine: Engine) -> None:
    @routes.get("", summary="All texts", response_model=RationalePage, responses=problems(422, 503))
    async def rationales(query: Annotated[RationaleListQuery, Query()]) -> Response:
        """Return texts, newest first, without spans and facts: those that wait or are in work, then those that ended.

        Of those in one state that has ended, a text is listed as soon as the store has it.
        """
        kind = None if query.rationale_type is None else RationaleKind(query.rationale_type)
        status = None if query.status is None else RationaleStatus(query.status)
        with store_problems():
            rows, next_cursor = await texts(engine, kind, status, query)
        return listing(engine.clock.now_ns(), rows, next_cursor, row)

    @routes.get("/{id}", summary="One text", response_model=RationaleInfo, responses=problems(404, 422, 503))
    async def rationale(rationale_id: RationaleId, query: Annotated[RationaleQuery, Query()]) -> Response:
        """Return the text with its spans, facts, issues and attempts; 404 for an unknown id."""
        text = await found(engine, rationale_id)
        return JsonAnswer(answer(text, whole_sheet=query.facts == "all"))


def _add_feedback(routes: APIRouter, engine: Engine) -> None:
    @routes.post(
        "/{id}/feedback",
        summary="Say what you think of a text",
        status_code=HTTPStatus.CREATED,
        response_model=FeedbackInfo,
        responses=changes(404, 409, 503),
    )
    async def give(rationale_id: RationaleId, body: FeedbackOrder) -> Response:
        """Keep a rating with its reason; a text that has not ended is a conflict (409)."""
        text = await found(engine, rationale_id)
        if text.status is RationaleStatus.PENDING:
            raise HTTPException(HTTPStatus.CONFLICT, f"rationale {text.id!r} is pending; there is nothing to rate yet")
        feedback = Feedback(
            rationale_id=rationale_id,
            rating=body.rating,
            reason=FeedbackReason(body.reason),
            comment=clean_text(body.comment, max(len(body.comment), 1)),
            at=engine.clock.now_ns(),
        )
        with store_problems():
            try:
                await engine.store.save_feedback(feedback)
            except NotFoundError:
                # It ended this moment: the store has it as soon as the event that tells of it is kept.
                headers = {"retry-after": RETRY_AFTER_S}
                detail = f"rationale {text.id!r} is not kept yet; give the feedback again in a moment"
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers) from None
        return JsonAnswer(feedback_row(feedback), HTTPStatus.CREATED)

    @routes.get(
        "/{id}/feedback",
        summary="What readers thought of a text",
        response_model=FeedbackList,
        responses=problems(404, 422, 503),
    )
    async def feedback(rationale_id: RationaleId) -> Response:
        """Return all feedback on a text, oldest first; 404 for an unknown id."""
        await found(engine, rationale_id)
        with store_problems():
            given = [feedback_row(each) for each in await engine.store.feedback(rationale_id)]
        return JsonAnswer({"id": rationale_id, "count": len(given), "feedback": given})


def requested(order: RationaleOrder, engine: Engine) -> RationaleRequest:
    """Return the request of an order; InvalidInputError where its names are not known or its rules are broken."""
    request = RationaleRequest(
        kind=RationaleKind(order.rationale_type),
        subject=order.subject,
        portfolio_data=tuple(Holding(**each.model_dump()) for each in order.portfolio_data or ()),
        context=order.context or "",
    )
    try:
        check_request(request, engine.catalog)
    except NotFoundError as error:
        raise InvalidInputError(str(error)) from None
    return request


async def found(engine: Engine, rationale_id: str) -> Rationale:
    """Return a text of the service, or of the store where the service has forgotten it; NotFoundError else."""
    try:
        return engine.rationale.get(rationale_id)
    except NotFoundError:
        with store_problems():
            return await engine.store.rationale(rationale_id)


async def texts(
    engine: Engine, kind: RationaleKind | None, status: RationaleStatus | None, query: RationaleListQuery
) -> tuple[Sequence[RationaleHead], str | None]:
    """Return a page of texts and the cursor of the next: those not in the store when the walk began, then the others.

    Either part is cut by a number that no text ever changes, so that one that ends in between stays where it was.
    """
    cut = rows_of(LIST, query.cursor, 2)
    if len(cut) == 1 or status not in (None, RationaleStatus.PENDING):
        return await _ended(engine, kind, status, PageRequest(limit=query.limit, cursor=cut[-1] if cut else None))
    orders, before = await _unstored(engine, kind, status, cut)
    rows = [text for _, text in orders[: query.limit]]
    if len(orders) > query.limit:
        return rows, cursor_of(LIST, orders[query.limit - 1][0], before)
    if status is RationaleStatus.PENDING:
        return rows, None
    if len(rows) == query.limit:
        return rows, cursor_of(LIST, before)
    rest = PageRequest(limit=query.limit - len(rows), cursor=before)
    ended, cursor = await _ended(engine, kind, status, rest)
    return [*rows, *ended], cursor


async def _ended(
    engine: Engine, kind: RationaleKind | None, status: RationaleStatus | None, page: PageRequest
) -> tuple[Sequence[RationaleHead], str | None]:
    found = await engine.store.rationales(kind, page, status=status)
    return found.rows, cursor_of(LIST, found.next_cursor)


async def _unstored(
    engine: Engine, kind: RationaleKind | None, status: RationaleStatus | None, cut: Sequence[int]
) -> tuple[Sequence[tuple[int, Rationale]], int]:
    """Return the orders of the first part, and the row of the store that the second part begins before."""
    number, before = cut or (None, None)
    orders = engine.rationale.numbered(kind, before=number)
    waiting = {text.id for _, text in orders if text.status is RationaleStatus.PENDING}
    if status is RationaleStatus.PENDING:
        return [order for order in orders if order[1].id in waiting], 0
    kept, before = await engine.store.kept_rationales(
        (text.id for _, text in orders if text.id not in waiting), before=before
    )
    return [order for order in orders if order[1].id not in kept], before


def row(text: RationaleHead) -> dict[str, Any]:
    """Return the fields of RationaleRow."""
    return {name: getattr(text, name) for name in _SAME} | _shown(text)


def answer(rationale: Rationale, *, whole_sheet: bool) -> dict[str, Any]:
    """Return the fields of RationaleInfo."""
    plain = rationale.to_json() | _shown(rationale)
    shown = {fact.id for fact in (rationale.facts if whole_sheet else rationale.used_facts)}
    plain["facts"] = [fact | {"as_of": timestamp(fact["as_of"])} for fact in plain["facts"] if fact["id"] in shown]
    return {name: plain[name] for name in RationaleInfo.model_fields}


def feedback_row(feedback: Feedback) -> dict[str, Any]:
    """Return the fields of FeedbackInfo."""
    shown = dataclasses.asdict(feedback) | {"at": timestamp(feedback.at)}
    del shown["rationale_id"]
    return shown


def _shown(text: RationaleHead) -> dict[str, Any]:
    return {
        "rationale_type": text.kind.value,
        "status": text.status.value,
        "created_at": timestamp(text.created_at),
        "as_of": timestamp(text.as_of) if text.as_of else None,
        "sequence": text.sequence if text.sequence >= 0 else None,
    }


_SAME = ("id", "subject", "headline", "n_figures", "written_by", "reason")
