"""Who is let in, what every answer carries, and what happens when a route breaks."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from marketstream.api.app import create_app
from marketstream.api.edge import SECURITY_HEADERS, Edge, EdgeStats
from marketstream.engine import Engine

START = {"action": "start"}


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8000", "[::1]"])
async def test_names_of_this_machine_are_answered(client: httpx2.AsyncClient, host: str) -> None:
    assert (await client.get("/streaming/status", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8000",
        "192.0.2.1",
        "10.0.0.1",
        "",
        "[::1",
        "::",
    ],
)
async def test_a_rebound_name_is_refused(client: httpx2.AsyncClient, host: str) -> None:
    answer = await client.get("/streaming/status", headers={"host": host})
    assert answer.status_code == 400
    assert "Host" in answer.json()["detail"]


async def test_two_host_headers_are_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/streaming/status", headers=[("host", "localhost"), ("host", "evil.example")])
    assert answer.status_code == 400


async def test_another_name_is_answered_only_when_asked_for(engine: Engine) -> None:
    transport = httpx2.ASGITransport(create_app(engine, hosts=("testserver",)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/streaming/status")).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:5006", "https://localhost:8000"])
async def test_a_page_of_another_origin_changes_nothing(client: httpx2.AsyncClient, origin: str) -> None:
    answer = await client.post("/streaming/control", json=START, headers={"origin": origin})
    assert answer.status_code == 403


async def test_a_page_of_this_server_may_switch(live_client: httpx2.AsyncClient) -> None:
    answer = await live_client.post("/streaming/control", json=START, headers={"origin": "http://localhost:8000"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/markets", "/no/such/path", "/openapi.json", "/docs"])
async def test_every_answer_carries_the_security_headers(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    for name, value in SECURITY_HEADERS.items():
        if name != "content-security-policy":
            assert answer.headers[name] == value
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "'unsafe-eval'" not in answer.headers["content-security-policy"]


async def test_refusals_are_counted_and_shown(client: httpx2.AsyncClient) -> None:
    before = (await client.get("/streaming/health")).json()["api_refused"]
    await client.get("/streaming/health", headers={"host": "evil.example"})
    assert (await client.get("/streaming/health")).json()["api_refused"] == before + 1


def broken_app() -> tuple[FastAPI, EdgeStats]:
    app, stats = FastAPI(), EdgeStats()
    app.add_middleware(Edge, hosts=(), stats=stats)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret-token")

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("secret-token")

        return StreamingResponse(parts())

    return app, stats


async def test_a_route_that_breaks_is_logged_counted_and_answered_without_its_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, stats = broken_app()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
        with caplog.at_level(logging.ERROR):
            answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret-token" not in answer.text
    assert stats.errors == 1
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_an_answer_that_breaks_half_way_breaks_the_connection() -> None:
    app, stats = broken_app()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
        with pytest.raises(RuntimeError):
            await client.get("/half")
    assert stats.errors == 1
