"""The server: real sockets on loopback, a quiet end, and no say over the process."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from marketstream.api.server import ApiServer, api_server
from marketstream.engine import Engine
from marketstream.errors import ConfigurationError


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[ApiServer]:
    server = api_server(app, port=0)
    task = asyncio.create_task(server.serve())
    await server.listening.wait()
    yield server
    server.should_exit = True
    await task


async def exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_it_answers_on_the_port_the_system_chose(server: ApiServer, engine: Engine) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        answer = await client.get("/streaming/status")
    assert answer.json()["sequence"] == engine.status().sequence
    assert "server" not in answer.headers


async def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_first_part(server: ApiServer) -> None:
    # Without TCP_NODELAY each answer on a kept connection takes 40 ms: two dozen requests a second.
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /streaming/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    (connection,) = server.server_state.connections
    accepted: socket.socket = connection.transport.get_extra_info("socket")  # type: ignore[union-attr]
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    writer.close()
    await writer.wait_closed()


async def test_a_chunked_bomb_is_cut_off_on_the_wire(server: ApiServer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 100_000

    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        try:
            headers = {"content-type": "application/json"}
            answer = await client.post("/streaming/control", content=endless(), headers=headers)
        except httpx2.WriteError:
            return  # the server closed the connection before the client had sent all: cut off as well
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /streaming/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /streaming/status HTTP/1.0\r\n\r\n", b"400"),
        (b"GET /%ff%fe%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET http://evil.example/markets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"POST /streaming/control HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
    ],
)
async def test_broken_requests_are_client_errors(server: ApiServer, request_bytes: bytes, status: bytes) -> None:
    assert (await exchange(server.port, request_bytes)).split(b" ")[1] == status


async def test_it_leaves_signals_alone_and_frees_its_port(app: FastAPI) -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    server = api_server(app, port=0)
    task = asyncio.create_task(server.serve())
    await server.listening.wait()
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    port = server.port
    server.should_exit = True
    await task
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


async def test_a_taken_port_is_said_so_and_does_not_end_the_process(app: FastAPI) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}.*MARKETSTREAM_API_PORT"):
            await api_server(app, port=port).serve()


@pytest.mark.parametrize("host", ["192.0.2.1", "::", "example.org", "", "127.0.0.1.example.org"])
def test_a_host_that_others_could_reach_is_refused(app: FastAPI, host: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback only"):
        api_server(app, host=host)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(app: FastAPI, port: int) -> None:
    with pytest.raises(ConfigurationError, match="0 to 65535"):
        api_server(app, port=port)
