"""Routes of the providers: add, read, change, remove and check them, and faults on demand for simulated ones."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Response
from starlette.exceptions import HTTPException

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.errors import store_problems
from marketstream.api.listing import fields_of
from marketstream.api.openapi import LOCATION, changes, problems
from marketstream.api.options import as_known, check_options, option_problems, shown_options
from marketstream.api.provider_schemas import (
    FaultOrder,
    HealthItem,
    ProviderChange,
    ProviderInfo,
    ProviderList,
    ProviderOrder,
)
from marketstream.api.schemas import timestamp
from marketstream.engine import Engine
from marketstream.market.records import ProviderConfig
from marketstream.providers.registry import ProviderReport

Name = Annotated[str, Path(description="Provider name.", max_length=64)]

ADDED: dict[int | str, dict[str, Any]] = {201: {"headers": LOCATION, "description": "Added."}}


def router(engine: Engine) -> APIRouter:
    """Return the routes over the registry and the feeds of `engine`."""
    routes = APIRouter(
        prefix="/streaming/providers",
        tags=["providers"],
        route_class=JsonRoute,
        default_response_class=JsonAnswer,
    )
    # A change reads, decides and writes, with waits between: two at once must not interleave.
    changing = asyncio.Lock()
    _add_reading(routes, engine)
    _add_coming_and_going(routes, engine, changing)
    _add_changing(routes, engine, changing)
    return routes


def _add_reading(routes: APIRouter, engine: Engine) -> None:
    @routes.get("", summary="All providers", response_model=ProviderList, responses=problems())
    async def providers() -> Response:
        """Return every registered provider with its state and counts, in the order of trust."""
        now = engine.clock.now_ns()
        found = [fields(engine, report) for report in engine.registry.report(now)]
        return JsonAnswer({"as_of": timestamp(now), "count": len(found), "providers": found})

    @routes.get("/{name}", summary="One provider", response_model=ProviderInfo, responses=problems(404))
    async def provider(name: Name) -> Response:
        """Return one provider; 404 when no provider has that name."""
        return JsonAnswer(info(engine, name))

    @routes.post(
        "/{name}/health",
        summary="Check a provider now",
        response_model=HealthItem,
        responses=problems(403, 404),
    )
    async def check(name: Name) -> HealthItem:
        """Ask the provider itself how it is and return what it found; one that does not answer is DEGRADED."""
        return HealthItem.model_validate(await engine.feeds.check(name))


def _add_coming_and_going(routes: APIRouter, engine: Engine, changing: asyncio.Lock) -> None:
    @routes.post(
        "",
        summary="Add a provider",
        status_code=HTTPStatus.CREATED,
        response_model=ProviderInfo,
        responses=ADDED | changes(409, 503),
    )
    async def add(body: ProviderOrder) -> Response:
        """Add a provider and, where it is enabled, start it; 409 when the name is taken.

        It is kept: the next start of the program has it again. Addresses of venues cannot be set here.
        """
        check_live(engine)
        check_options(body.kind, body.options)
        async with changing:
            if body.name in engine.registry:
                raise HTTPException(HTTPStatus.CONFLICT, f"provider {body.name!r} is there already")
            with store_problems(), option_problems():
                await engine.feeds.add(ProviderConfig(**body.model_dump()))
        return JsonAnswer(
            info(engine, body.name),
            HTTPStatus.CREATED,
            {"location": f"/streaming/providers/{quote(body.name, safe='')}"},
        )

    @routes.delete(
        "/{name}",
        summary="Remove a provider",
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=problems(403, 404, 409, 503),
    )
    async def remove(name: Name) -> Response:
        """Stop a provider and remove it for good; what it quoted leaves every price with the next cycle."""
        check_live(engine)
        async with changing:
            with store_problems():
                await engine.feeds.remove(name)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _add_changing(routes: APIRouter, engine: Engine, changing: asyncio.Lock) -> None:
    @routes.put(
        "/{name}",
        summary="Change a provider, or make it fail",
        response_model=ProviderInfo,
        responses=changes(404, 409, 503),
    )
    async def change(name: Name, body: ProviderChange) -> Response:
        """Enable, disable or configure a provider while the engine runs, or let a simulated one play a fault.

        What is changed is kept. New `options` or another `stale_after_s` build it anew: its counts start from
        nothing. A fault is a conflict (409) for a real feed, for a kind the simulator does not play, and while the
        provider is disabled. Nothing is changed then.
        """
        check_live(engine)
        async with changing:
            before = engine.registry.get(name)
            if body.options is not None:
                check_options(before.kind, body.options)
            if body.fault is not None:
                check_fault(report_of(engine, name), body)
            with store_problems(), option_problems():
                await configure(engine, name, body)
            if body.fault is not None:
                play(engine, name, body.fault)
            return JsonAnswer(info(engine, name))


def check_live(engine: Engine) -> None:
    """Raise 409 while a recording is played: whose quotes count when is part of what was recorded."""
    if engine.feeds.fixed:
        raise HTTPException(HTTPStatus.CONFLICT, engine.feeds.fixed)


def report_of(engine: Engine, name: str) -> ProviderReport:
    """Return the report of one provider; NotFoundError when there is none of that name."""
    engine.registry.get(name)  # raises where there is none of that name
    reports = engine.registry.report(engine.clock.now_ns())
    return next(report for report in reports if report.name == name)


def info(engine: Engine, name: str) -> dict[str, Any]:
    """Return the fields of ProviderInfo of one provider; NotFoundError when there is none of that name."""
    return fields(engine, report_of(engine, name))


def fields(engine: Engine, report: ProviderReport) -> dict[str, Any]:
    """Return the fields of ProviderInfo."""
    config = engine.feeds.config(report.name)
    provider = engine.registry.get(report.name)
    return fields_of(report) | {
        "options": None if config is None else shown_options(config.options),
        "stale_after_s": provider.stale_after_s,
    }


async def configure(engine: Engine, name: str, change: ProviderChange) -> None:
    """Change what the change asks for and is not so already."""
    config = engine.feeds.config(name)
    now = {
        "enabled": report_of(engine, name).enabled,
        "options": None if config is None else config.options,
        "stale_after_s": engine.registry.get(name).stale_after_s,
    }
    asked = change.model_dump(include=set(now), exclude_none=True)
    if "options" in asked and config is not None:
        asked["options"] = as_known(asked["options"], config.options)
    wanted = {key: value for key, value in asked.items() if value != now[key]}
    if wanted:
        await engine.feeds.change(name, **wanted)


def check_fault(provider: ProviderReport, change: ProviderChange) -> None:
    """Raise 409 unless the provider, as it will be after the change, can play the fault."""
    enabled = provider.enabled if change.enabled is None else change.enabled
    if not provider.faults:
        reason = f"provider {provider.name!r} is a real feed; only simulated providers play faults"
    elif change.fault is not None and change.fault.kind not in provider.faults:
        reason = f"provider {provider.name!r} plays {', '.join(provider.faults)}, not {change.fault.kind}"
    elif not enabled:
        reason = f"provider {provider.name!r} is disabled; enable it first"
    else:
        return
    raise HTTPException(HTTPStatus.CONFLICT, reason)


def play(engine: Engine, name: str, order: FaultOrder) -> None:
    """Let the provider play the fault, which `check_fault` has found possible."""
    fault = next(each for each in engine.registry.get(name).faults if each.value == order.kind)
    engine.registry.play_fault(name, fault, order.duration_s)
