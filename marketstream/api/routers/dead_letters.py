"""Routes of the handlers and of the events they could not deal with: read, replay, discard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.errors import store_problems
from marketstream.api.handling_schemas import DeadLetterPage, DeadLetterQuery, DeadLetterWhole, HandlerList
from marketstream.api.listing import fields_of, listed, page_request
from marketstream.api.openapi import problems
from marketstream.api.schemas import timestamp
from marketstream.engine import Engine
from marketstream.errors import InvalidInputError
from marketstream.market.handling import DeadLetter, DeadLetterStatus

LIST = "dead-letters"
LetterId = Annotated[
    str, Path(alias="id", max_length=200, description="handler:event_id; its colon may be written %3A.")
]


def router(engine: Engine) -> APIRouter:
    """Return the routes over the handlers and the store of `engine`."""
    routes = APIRouter(prefix="/streaming", tags=["handlers"], route_class=JsonRoute)
    _add_reading(routes, engine)
    _add_deciding(routes, engine)
    return routes


def _add_reading(routes: APIRouter, engine: Engine) -> None:
    @routes.get("/handlers", summary="All handlers", response_model=HandlerList, responses=problems())
    async def handlers() -> Response:
        """Return every handler of effects with its lane, its counts and its times."""
        found = [fields_of(report) for report in engine.handlers.report()]
        return JsonAnswer({"as_of": timestamp(engine.clock.now_ns()), "count": len(found), "handlers": found})

    @routes.get(
        "/dead-letters",
        summary="Events that could not be dealt with",
        response_model=DeadLetterPage,
        responses=problems(503),
    )
    async def dead_letters(query: Annotated[DeadLetterQuery, Query()]) -> Response:
        """Return dead letters, newest first, without their payload."""
        status = None if query.status is None else DeadLetterStatus(query.status)
        with store_problems():
            page = await engine.store.dead_letters(status, query.handler, page_request(LIST, query))
        return listed(LIST, engine.clock.now_ns(), page, letter_row)

    @routes.get(
        "/dead-letters/{id}",
        summary="One of them, whole",
        response_model=DeadLetterWhole,
        responses=problems(404, 503),
    )
    async def dead_letter(letter_id: LetterId) -> Response:
        """Return one dead letter with its payload; 404 for an unknown id."""
        with store_problems():
            return JsonAnswer(whole_letter(await engine.store.dead_letter(letter_id)))


def _add_deciding(routes: APIRouter, engine: Engine) -> None:
    @routes.post(
        "/dead-letters/{id}/replay",
        summary="Hand it in again",
        response_model=DeadLetterWhole,
        responses=problems(403, 404, 409, 503),
    )
    async def replay(letter_id: LetterId) -> Response:
        """Hand the event to its handler again and return the letter after that.

        Its status is replayed where that went well, else waiting with one more of attempts and the new error. The
        effect is idempotent by event id. What does not wait any more, or is being
        replayed, is a conflict (409).
        """
        with store_problems(), letter_problems():
            return JsonAnswer(whole_letter(await engine.replay_dead_letter(letter_id)))

    @routes.post(
        "/dead-letters/{id}/discard",
        summary="Give it up",
        response_model=DeadLetterWhole,
        responses=problems(403, 404, 409, 503),
    )
    async def discard(letter_id: LetterId) -> Response:
        """Give the event up for good and return the letter.

        What does not wait any more, or is being replayed, is a conflict (409).
        """
        with store_problems(), letter_problems():
            return JsonAnswer(whole_letter(await engine.discard_dead_letter(letter_id)))


@contextlib.contextmanager
def letter_problems() -> Iterator[None]:
    """Say as 409 that a letter does not wait any more, or is being replayed."""
    try:
        yield
    except InvalidInputError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None


def letter_row(letter: DeadLetter) -> dict[str, Any]:
    """Return the fields of DeadLetterInfo."""
    shown = whole_letter(letter)
    del shown["payload"]
    return shown


def whole_letter(letter: DeadLetter) -> dict[str, Any]:
    """Return the fields of DeadLetterWhole."""
    return fields_of(letter) | {"failed_at": timestamp(letter.failed_at)}
