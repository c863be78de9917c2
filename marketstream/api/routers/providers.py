"""Routes of the providers: state, counts, switches, and faults on demand for simulated ones."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.exceptions import HTTPException

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.openapi import changes, problems
from marketstream.api.schemas import FaultOrder, ProviderChange, ProviderInfo, ProviderList, timestamp
from marketstream.engine import Engine

Name = Annotated[str, Path(description="Provider name.", max_length=64)]


def router(engine: Engine) -> APIRouter:
    """Return the routes over the registry of `engine`."""
    routes = APIRouter(
        prefix="/streaming/providers",
        tags=["providers"],
        route_class=JsonRoute,
        default_response_class=JsonAnswer,
    )

    @routes.get("", summary="All providers", responses=problems())
    async def providers() -> ProviderList:
        """Return every registered provider with its state and counts, in the order of trust."""
        now = engine.clock.now_ns()
        found = [ProviderInfo.model_validate(report) for report in engine.registry.report(now)]
        return ProviderList(as_of=timestamp(now), count=len(found), providers=found)

    @routes.get("/{name}", summary="One provider", responses=problems(404, 422))
    async def provider(name: Name) -> ProviderInfo:
        """Return one provider; 404 when no provider has that name."""
        return info(engine, name)

    @routes.put("/{name}", summary="Switch a provider, or make it fail", responses=changes(404, 409))
    async def change(name: Name, body: ProviderChange) -> ProviderInfo:
        """Enable or disable a provider while the engine runs, or let a simulated one play a fault.

        A fault is a conflict (409) for a real feed, for a kind the simulator does not play, and while the
        provider is disabled. Nothing is changed then.
        """
        before = info(engine, name)
        if body.fault is not None:
            check_fault(before, body)
        if body.enabled is not None and body.enabled != before.enabled:
            await (engine.registry.enable(name) if body.enabled else engine.registry.disable(name))
        if body.fault is not None:
            play(engine, name, body.fault)
        return info(engine, name)

    return routes


def info(engine: Engine, name: str) -> ProviderInfo:
    """Return the report of one provider; NotFoundError when there is none of that name."""
    engine.registry.get(name)  # raises where there is none of that name
    reports = engine.registry.report(engine.clock.now_ns())
    return ProviderInfo.model_validate(next(report for report in reports if report.name == name))


def check_fault(provider: ProviderInfo, change: ProviderChange) -> None:
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
