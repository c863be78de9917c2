"""Routes of health: for a person, for a supervisor (does the process answer?), for a balancer (can prices be used?)."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from marketstream.api.body import JsonAnswer, JsonRoute
from marketstream.api.edge import EdgeStats
from marketstream.api.errors import RETRY_AFTER_S, instance_of, problem
from marketstream.api.health_schemas import Health, Liveness, Readiness
from marketstream.api.openapi import problems
from marketstream.api.provider_schemas import HealthItem
from marketstream.api.schemas import timestamp
from marketstream.clock import SECOND_NS
from marketstream.engine import Engine
from marketstream.market.events import ProviderStatus

READY_WITHIN_S = 10.0
"""A snapshot older than this is not what to price from: a quote itself counts as stale after the same time."""


def router(engine: Engine, edge: EdgeStats) -> APIRouter:
    """Return the routes over `engine`; `edge` counts what the API refused and failed at."""
    routes = APIRouter(
        prefix="/streaming/health", tags=["streaming"], default_response_class=JsonAnswer, route_class=JsonRoute
    )

    @routes.get("", summary="Whether prices can be relied on now", responses=problems())
    async def health() -> Health:
        """Judge by progress: the age of the newest cycle, and of each provider's last valid quote."""
        return health_of(engine, edge)

    @routes.get("/live", summary="Whether the process answers", responses=problems())
    async def live() -> Liveness:
        """Answer as soon as the process can, whatever the state of the streaming: a supervisor's probe."""
        return Liveness(live=True)

    @routes.get("/ready", summary="Whether to send work here", response_model=Readiness, responses=problems(503))
    async def ready(request: Request) -> Response:
        """Answer 200 while prices can be relied on: running, a young snapshot, a provider that delivers, a store.

        Else 503, a problem whose `errors` name each reason: a balancer's probe.
        """
        missing = reasons_against(engine)
        if not missing:
            return JsonAnswer(readiness(engine))
        items = [{"pointer": f"/ready/{name}", "detail": reason} for name, reason in missing.items()]
        headers = {"retry-after": RETRY_AFTER_S}
        detail = "prices cannot be relied on: " + "; ".join(missing.values())
        return problem(instance_of(request.scope), HTTPStatus.SERVICE_UNAVAILABLE, detail, items, headers)

    return routes


def health_of(engine: Engine, edge: EdgeStats) -> Health:
    """Return health by progress; `down` unless the engine runs and at least one enabled provider delivers."""
    now = engine.clock.now_ns()
    status = engine.status()
    reports = engine.registry.report(now)
    enabled = [report for report in reports if report.enabled]
    late = [report for report in enabled if report.status is not ProviderStatus.RUNNING]
    reasons = [f"{report.name}: {report.detail}" for report in late]
    if status.state != "running":
        reasons.insert(0, f"streaming is {status.state}")
    if not enabled:
        reasons.append("no provider is enabled")
    down = status.state != "running" or len(late) == len(enabled)
    return Health(
        status="down" if down else "degraded" if reasons else "ok",
        reasons=reasons,
        state=status.state.value,
        now=timestamp(now),
        cycle_age_s=None if engine.market is None else (now - engine.market.now) / SECOND_NS,
        analysis_age_s=snapshot_age_s(engine, now),
        engine_errors=status.errors,
        api_errors=edge.errors,
        api_refused=edge.refused,
        providers={report.name: HealthItem.model_validate(report) for report in reports},
    )


def reasons_against(engine: Engine) -> dict[str, str]:
    """Return why prices cannot be relied on, a sentence by what is missing; empty when they can."""
    age_s = snapshot_age_s(engine, engine.clock.now_ns())
    found: dict[str, str] = {}
    state = engine.streamer.state.value
    if state != "running":
        found["streaming"] = f"streaming is {state}"
    if age_s is None:
        found["snapshot"] = "there is no snapshot yet"
    elif age_s > READY_WITHIN_S:
        found["snapshot"] = f"the newest snapshot is {age_s:.1f} s old (allowed: {READY_WITHIN_S:g} s)"
    if not delivering(engine):
        found["providers"] = "no enabled provider delivers"
    if not engine.store.status().revision:  # which only an open store has
        found["store"] = "the store is not open"
    return found


def readiness(engine: Engine) -> dict[str, object]:
    """Return the fields of Readiness."""
    now = engine.clock.now_ns()
    return {
        "ready": True,
        "now": timestamp(now),
        "analysis_age_s": snapshot_age_s(engine, now),
        "delivering": delivering(engine),
    }


def delivering(engine: Engine) -> int:
    """Return how many enabled providers have delivered lately; one that has not begun to does not count."""
    reports = engine.registry.report(engine.clock.now_ns())
    return sum(each.enabled and each.status is ProviderStatus.RUNNING and each.age_s is not None for each in reports)


def snapshot_age_s(engine: Engine, now: int) -> float | None:
    """Return seconds since the newest snapshot; None before the first."""
    return None if engine.snapshot is None else (now - engine.snapshot.now) / SECOND_NS
