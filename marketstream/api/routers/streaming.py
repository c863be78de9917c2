"""Routes of the streaming itself: status and the switch."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.listing import fields_of
from marketstream.api.openapi import changes, problems
from marketstream.api.schemas import Control, StreamingStatus, timestamp
from marketstream.engine import Engine
from marketstream.engine.status import ReplayStatus
from marketstream.streaming.streamer import StreamerState

MADE_HERE = {"now", "started_at", "events_waiting", "dead_lettered", "store", "replay"}
STATUS_FIELDS = tuple(name for name in StreamingStatus.model_fields if name not in MADE_HERE)


def router(engine: Engine) -> APIRouter:
    """Return the routes over `engine`."""
    routes = APIRouter(
        prefix="/streaming", tags=["streaming"], route_class=JsonRoute, default_response_class=JsonAnswer
    )
    # Starting and stopping await other tasks: two requests at once must not interleave.
    switching = asyncio.Lock()

    newest = NewestStatus(engine)

    # Monitors ask often: the answer is made without a model to validate it; tests hold it to the document.
    @routes.get("/status", summary="What the engine is doing", response_model=StreamingStatus, responses=problems())
    async def status() -> Response:
        """Return the state of the streaming, its pace and its counts."""
        return JsonAnswer(newest.fields())

    @routes.post(
        "/control",
        summary="Start, stop, pause or resume",
        response_model=StreamingStatus,
        responses=changes(409),
    )
    async def control(body: Control) -> Response:
        """Do as told and return the state that follows; what is so already stays so.

        Pausing or resuming what is stopped is a conflict (409). After stop this API still answers.
        """
        async with switching:
            await switch(engine, body.action)
        return JsonAnswer(status_of(engine))

    return routes


async def switch(engine: Engine, action: str) -> None:
    """Carry out `action`; 409 where a stopped engine is asked to pause or resume."""
    if action == "start":
        await engine.ensure_running()
    elif action == "stop":
        await engine.stop()
    elif engine.status().state == "stopped":
        raise HTTPException(HTTPStatus.CONFLICT, f"cannot {action}: streaming is stopped; start it first")
    elif action == "pause":
        engine.pause()
    else:
        engine.resume()


class NewestStatus:
    """The status of an engine, summed up once per cycle: many may ask between two, and each sum takes its time.

    Args:
        engine: Whose status it is.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shown: dict[str, Any] = {}
        self._made_of: tuple[object, ...] | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of StreamingStatus; `now` is always new."""
        engine = self._engine
        state = engine.streamer.state
        sequence = 0 if engine.market is None else engine.market.sequence
        made_of = (sequence, state, len(engine.registry))
        # Where no cycle follows, whatever else changes would never be seen.
        if made_of != self._made_of or state is not StreamerState.RUNNING:
            self._shown, self._made_of = status_of(engine), made_of
        return self._shown | {"now": timestamp(engine.clock.now_ns())}


def status_of(engine: Engine) -> dict[str, Any]:
    """Return the fields of StreamingStatus."""
    status = engine.status()
    handlers = engine.handlers.report()
    return {
        **{name: getattr(status, name) for name in STATUS_FIELDS},
        "now": timestamp(status.now),
        "started_at": None if status.started_at is None else timestamp(status.started_at),
        "events_waiting": sum(report.waiting for report in handlers),
        "dead_lettered": sum(report.dead_lettered for report in handlers),
        "store": engine.store.status().kind,
        "replay": None if status.replay is None else replay_of(status.replay),
    }


def replay_of(replay: ReplayStatus) -> dict[str, Any]:
    """Return the fields of ReplayInfo."""
    moments = {name: timestamp(getattr(replay, name)) for name in ("begin", "end", "position")}
    return fields_of(replay) | moments
