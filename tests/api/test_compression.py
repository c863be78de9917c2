"""gzip: answers are compressed for who asks, bodies are never unpacked."""

from __future__ import annotations

import gzip
import json

import httpx2
import pytest
from fastapi import FastAPI

from marketstream.api.edge import SECURITY_HEADERS


async def raw(client: httpx2.AsyncClient, path: str, encoding: str) -> tuple[httpx2.Response, bytes]:
    """Return the answer and its bytes as they came over the wire."""
    request = client.build_request("GET", path, headers={"accept-encoding": encoding})
    answer = await client.send(request, stream=True)
    return answer, b"".join([chunk async for chunk in answer.aiter_raw()])


@pytest.fixture
async def wire(app: FastAPI) -> httpx2.AsyncClient:
    """Return a client that reads nothing by itself."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost:8000")


async def test_a_long_answer_is_compressed_for_who_asks(wire: httpx2.AsyncClient) -> None:
    async with wire:
        answer, packed = await raw(wire, "/markets", "gzip")
        _, plain = await raw(wire, "/markets", "identity")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(packed))
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert len(packed) < len(plain) / 2
    assert json.loads(gzip.decompress(packed)) == json.loads(plain)


async def test_a_short_answer_and_one_nobody_wants_packed_are_plain(wire: httpx2.AsyncClient) -> None:
    async with wire:
        short, _ = await raw(wire, "/streaming/health/live", "gzip")
        answers = [await raw(wire, "/markets", encoding) for encoding in ("br", "gzip;q=0", "identity, gzip; q=0.00")]
    assert "content-encoding" not in short.headers
    for unwanted, body in answers:
        assert "content-encoding" not in unwanted.headers
        assert json.loads(body)["count"] > 0


async def test_a_compressed_answer_carries_the_security_headers(wire: httpx2.AsyncClient) -> None:
    async with wire:
        answer, _ = await raw(wire, "/markets", "gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip", "x"])
async def test_a_compressed_body_is_refused_unopened(client: httpx2.AsyncClient, encoding: str) -> None:
    bomb = gzip.compress(b'{"action": "' + b"x" * 5_000_000 + b'"}')
    headers = {"content-type": "application/json", "content-encoding": encoding}
    answer = await client.post("/streaming/control", content=bomb, headers=headers)
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["detail"]


async def test_a_body_that_says_it_is_plain_is_taken(live_client: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "identity"}
    answer = await live_client.post("/streaming/control", content=b'{"action": "start"}', headers=headers)
    assert answer.status_code == 200
