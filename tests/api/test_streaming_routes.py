"""Status, health and the switch."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from marketstream.api.body import JsonAnswer
from marketstream.api.routers.streaming import replay_of
from marketstream.api.schemas import ReplayInfo
from marketstream.engine import Engine
from marketstream.engine.status import ReplayStatus
from marketstream.errors import PermanentError
from marketstream.market.events import MarketEvent


async def control(client: httpx2.AsyncClient, action: str) -> httpx2.Response:
    return await client.post("/streaming/control", json={"action": action})


async def state(client: httpx2.AsyncClient) -> str:
    return str((await client.get("/streaming/status")).json()["state"])


async def test_the_status_is_the_engines_own(client: httpx2.AsyncClient, engine: Engine) -> None:
    answer = (await client.get("/streaming/status")).json()
    status = engine.status()
    assert answer["sequence"] == status.sequence > 0
    assert answer["n_instruments"] == len(engine.catalog.instruments)
    assert answer["profile"] == "demo"
    assert answer["simulated"] is True
    assert answer["now"] == "2026-01-01T00:00:02.000000Z"


async def test_every_answer_is_of_the_newest_cycle_and_of_now(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    async def seen() -> tuple[int, str, float]:
        answer = (await live_client.get("/streaming/status")).json()
        return answer["sequence"], answer["now"], answer["n_providers"]

    first = await seen()
    live_engine.clock.jump_wall(0.01)  # type: ignore[attr-defined]
    second = await seen()
    assert second[0] == first[0] and second[1] > first[1]
    await live_engine.run_for(0.1)
    third = await seen()
    assert third[0] == first[0] + 1
    await live_client.delete("/streaming/providers/cedar")
    assert (await seen())[2] == third[2] - 1


async def test_an_error_is_seen_also_while_no_cycle_follows(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    await control(live_client, "pause")
    before = (await live_client.get("/streaming/status")).json()["errors"]
    live_engine.graph.errors += 1
    assert (await live_client.get("/streaming/status")).json()["errors"] == before + 1


async def test_the_status_tells_of_events_that_nobody_could_deal_with(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    async def fail(events: Sequence[MarketEvent]) -> None:
        raise PermanentError("no such mailbox")

    live_engine.handlers.add_effect("mailer", fail, topics=("engine.status.changed",))
    await control(live_client, "pause")
    await live_engine.handlers.settle()
    answer = (await live_client.get("/streaming/status")).json()
    assert (answer["events_waiting"], answer["dead_lettered"], answer["store"]) == (0, 1, "memory")
    assert answer["replay"] is None


def test_a_replay_as_fast_as_it_goes_has_no_speed() -> None:
    at = 1_767_225_600_000_000_000
    replay = ReplayStatus(
        name="day.journal",
        speed=math.inf,
        begin=at,
        end=at + 2_000_000_000,
        position=at + 1_000_000_000,
        fraction=0.5,
        cycles=10,
        cycles_per_s=5.0,
        ended=False,
        diverged_at=None,
    )
    shown = json.loads(JsonAnswer(replay_of(replay)).body)
    assert shown["speed"] is None
    assert (shown["position"], shown["fraction"]) == ("2026-01-01T00:00:01.000000Z", 0.5)
    ReplayInfo.model_validate(shown)
    assert set(shown) == set(ReplayInfo.model_fields)


@pytest.mark.parametrize("action", ["start", "stop", "pause", "resume"])
async def test_asking_twice_is_asking_once(live_client: httpx2.AsyncClient, action: str) -> None:
    if action == "resume":
        await control(live_client, "pause")
    first = await control(live_client, action)
    second = await control(live_client, action)
    expected = {"start": "running", "stop": "stopped", "pause": "paused", "resume": "running"}[action]
    assert first.status_code == second.status_code == 200
    assert first.json()["state"] == second.json()["state"] == expected


async def test_after_stop_the_api_answers_and_start_goes_on(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    await control(live_client, "stop")
    before = (await live_client.get("/markets")).json()
    assert before["count"] > 0
    await control(live_client, "start")
    await live_engine.run_for(2.0)
    after = (await live_client.get("/markets")).json()
    assert after["sequence"] > before["sequence"]
    assert after["as_of"] > before["as_of"]


async def test_while_paused_the_market_stands_still(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    await control(live_client, "pause")
    before = (await live_client.get("/markets")).json()["sequence"]
    await live_engine.run_for(2.0)
    assert (await live_client.get("/markets")).json()["sequence"] == before
    await control(live_client, "resume")
    await live_engine.run_for(2.0)
    assert (await live_client.get("/markets")).json()["sequence"] > before


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_what_is_stopped_cannot_be_paused_or_resumed(live_client: httpx2.AsyncClient, action: str) -> None:
    await control(live_client, "stop")
    answer = await control(live_client, action)
    assert answer.status_code == 409
    assert "start it first" in answer.json()["detail"]
    assert await state(live_client) == "stopped"


async def test_orders_at_once_leave_one_of_their_states(live_client: httpx2.AsyncClient) -> None:
    actions = ["stop", "start", "stop", "start", "stop", "start"]
    answers = await asyncio.gather(*(control(live_client, action) for action in actions))
    assert {answer.status_code for answer in answers} == {200}
    assert await state(live_client) == "running"


async def health(client: httpx2.AsyncClient) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get("/streaming/health")).json()
    return answer


async def test_health_is_ok_while_everything_delivers(live_client: httpx2.AsyncClient) -> None:
    answer = await health(live_client)
    assert answer["status"] == "ok"
    assert answer["reasons"] == []
    assert answer["cycle_age_s"] < 1
    assert answer["analysis_age_s"] < 1


async def test_health_is_down_when_streaming_stops(live_client: httpx2.AsyncClient) -> None:
    await control(live_client, "stop")
    answer = await health(live_client)
    assert answer["status"] == "down"
    assert "streaming is stopped" in answer["reasons"]


async def test_health_is_down_when_no_provider_is_enabled(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    for name in live_engine.registry.names:
        await live_client.put(f"/streaming/providers/{name}", json={"enabled": False})
    answer = await health(live_client)
    assert answer["status"] == "down"
    assert "no provider is enabled" in answer["reasons"]


async def test_health_names_a_provider_that_stalls_though_its_socket_is_open(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    name = live_engine.registry.names[0]
    await live_client.put(f"/streaming/providers/{name}", json={"fault": {"kind": "stall", "duration_s": 60}})
    await live_engine.run_for(30.0)
    answer = await health(live_client)
    assert answer["status"] in {"degraded", "down"}
    assert answer["providers"][name]["status"] == "DEGRADED"
    assert any(reason.startswith(name) for reason in answer["reasons"])
