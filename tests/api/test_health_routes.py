"""Liveness and readiness: the one says that the process answers, the other that prices can be used."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from fastapi import FastAPI

from marketstream.api.app import create_app
from marketstream.engine import Engine

READY = "/streaming/health/ready"


async def missing(client: httpx2.AsyncClient) -> set[str]:
    """Return what the readiness probe says is missing; empty when it answers 200."""
    answer = await client.get(READY)
    if answer.status_code == 200:
        return set()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    body = answer.json()
    assert all(item["detail"] in body["detail"] for item in body["errors"])
    return {item["pointer"].removeprefix("/ready/") for item in body["errors"]}


async def test_a_running_engine_is_ready(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    answer = await live_client.get(READY)
    assert answer.status_code == 200
    assert answer.json()["delivering"] == len(live_engine.registry.names)
    assert answer.json()["analysis_age_s"] < 1


async def test_before_the_first_start_it_is_alive_and_not_ready(
    make_engine: Callable[[], Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> None:
    async with make_client(create_app(make_engine())) as client:
        assert (await client.get("/streaming/health/live")).json() == {"live": True}
        assert await missing(client) == {"streaming", "snapshot", "providers", "store"}


@pytest.mark.parametrize(("action", "reasons"), [("pause", {"streaming"}), ("stop", {"streaming", "providers"})])
async def test_what_does_not_stream_is_not_ready(
    live_client: httpx2.AsyncClient, action: str, reasons: set[str]
) -> None:
    await live_client.post("/streaming/control", json={"action": action})
    assert await missing(live_client) == reasons
    assert (await live_client.get("/streaming/health/live")).status_code == 200


async def test_an_old_snapshot_is_not_ready_though_the_stream_runs(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    # As where the analysis hangs: time goes on, no cycle comes.
    live_engine.clock.jump_wall(9.5)  # type: ignore[attr-defined]
    assert "snapshot" not in await missing(live_client)
    live_engine.clock.jump_wall(1.0)  # type: ignore[attr-defined]
    assert "snapshot" in await missing(live_client)


async def test_one_provider_that_delivers_is_enough_and_none_is_not(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    *most, last = live_engine.registry.names
    for name in most:
        await live_client.put(f"/streaming/providers/{name}", json={"enabled": False})
    assert await missing(live_client) == set()
    await live_client.put(f"/streaming/providers/{last}", json={"enabled": False})
    assert await missing(live_client) == {"providers"}


async def test_a_closed_store_is_not_ready(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    await live_engine.store.close()
    assert await missing(live_client) == {"store"}
    await live_engine.store.open()
    assert await missing(live_client) == set()
