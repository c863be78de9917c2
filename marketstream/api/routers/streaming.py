"""Routes of the streaming itself: status, health and the switch."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.edge import EdgeStats
from marketstream.api.openapi import changes, problems
from marketstream.api.schemas import Control, Health, HealthItem, StreamingStatus, timestamp
from marketstream.engine import Engine


def router(engine: Engine, edge: EdgeStats) -> APIRouter:
    """Return the routes over `engine`; `edge` counts what the API refused and failed at."""
    routes = APIRouter(
        prefix="/streaming", tags=["streaming"], route_class=JsonRoute, default_response_class=JsonAnswer
    )
    # Starting and stopping await other tasks: two requests at once must not interleave.
    switching = asyncio.Lock()

    @routes.get("/status", summary="What the engine is doing", responses=problems())
    async def status() -> StreamingStatus:
        """Return the state of the streaming, its pace and its counts."""
        return status_of(engine)

    @routes.get("/health", summary="Whether prices can be relied on now", responses=problems())
    async def health() -> Health:
        """Judge by progress: the age of the newest cycle, and of each provider's last valid quote."""
        return health_of(engine, edge)

    @routes.post("/control", summary="Start, stop, pause or resume", responses=changes(409))
    async def control(body: Control) -> StreamingStatus:
        """Do as told and return the state that follows; what is so already stays so.

        Pausing or resuming what is stopped is a conflict (409). After stop this API still answers.
        """
        async with switching:
            await switch(engine, body.action)
        return status_of(engine)

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


def status_of(engine: Engine) -> StreamingStatus:
    """Return the engine's status as the API shows it."""
    status = engine.status()
    stamps = {
        "now": timestamp(status.now),
        "started_at": None if status.started_at is None else timestamp(status.started_at),
    }
    names = StreamingStatus.model_fields.keys() - stamps.keys()
    return StreamingStatus.model_validate({name: getattr(status, name) for name in names} | stamps)


def health_of(engine: Engine, edge: EdgeStats) -> Health:
    """Return health by progress; `down` unless the engine runs and at least one enabled provider delivers."""
    now = engine.clock.now_ns()
    status = status_of(engine)
    reports = engine.registry.report(now)
    enabled = [report for report in reports if report.enabled]
    late = [report for report in enabled if report.status.value != "RUNNING"]
    reasons = [f"{report.name}: {report.detail}" for report in late]
    if status.state != "running":
        reasons.insert(0, f"streaming is {status.state}")
    if not enabled:
        reasons.append("no provider is enabled")
    down = status.state != "running" or len(late) == len(enabled)
    return Health(
        status="down" if down else "degraded" if reasons else "ok",
        reasons=reasons,
        state=status.state,
        now=timestamp(now),
        cycle_age_s=None if engine.market is None else (now - engine.market.now) / 1e9,
        analysis_age_s=None if engine.snapshot is None else (now - engine.snapshot.now) / 1e9,
        engine_errors=status.errors,
        api_errors=edge.errors,
        api_refused=edge.refused,
        providers={report.name: HealthItem.model_validate(report) for report in reports},
    )
