"""A model server on loopback with OpenAI's chat completions: the model's name chooses what it answers or breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Send = Callable[[bytes], Awaitable[None]]
Play = Callable[["Request", Send], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came.

    Attributes:
        path: Of the URL.
        headers: Names in lower case.
        body: The JSON of it.
    """

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """Return the data of the user's message."""
        data: dict[str, Any] = json.loads(self.body["messages"][-1]["content"])
        return data


@dataclass(kw_only=True)
class ModelServer:
    """Serve models by name; an unknown one is status 404.

    Attributes:
        models: What each does.
        requests: What came, in order.
        open: Connections open now.
    """

    models: Mapping[str, Play]
    requests: list[Request] = field(default_factory=list)
    open: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __aenter__(self) -> ModelServer:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Return the base URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        request = Request(path=head[0].split()[1], headers=headers, body=body)
        self.requests.append(request)

        async def send(piece: bytes) -> None:
            writer.write(piece)
            await writer.drain()

        await self.models.get(body["model"], failing(404))(request, send)


# What a model does ------------------------------------------------------------------------------------------------


def sending(
    body: bytes | str, *, status: int = 200, kind: str = "application/json", piece: int = 0, **more: str
) -> Play:
    """Answer with these bytes, in pieces of so many where that is not 0; `more` are headers."""
    content = body.encode() if isinstance(body, str) else body

    async def play(_: Request, send: Send) -> None:
        await send(_head(status, len(content), kind, more))
        for at in range(0, len(content), piece or max(len(content), 1)):
            await send(content[at : at + (piece or len(content))])

    return play


def failing(status: int, **headers: str) -> Play:
    """Answer with an error."""
    return sending(json.dumps({"error": {"message": f"status {status}"}}), status=status, **headers)


def saying(text: str | None, *, finish: str | None = "stop", **message: Any) -> Play:
    """Answer with a completion of this text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": finish}
    return sending(json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}))


def drafting(change: Callable[[dict[str, Any]], Any] = lambda draft: draft, *, latency_s: float = 0.0) -> Play:
    """Answer with a draft of the prompt's own sentences, as an obedient model would; `change` makes it another."""

    async def play(request: Request, send: Send) -> None:
        await asyncio.sleep(latency_s)
        headline, *paragraphs = request.data["sentences"]
        points = [p for p in (" ".join(paragraph) for paragraph in paragraphs) if "{" in p and len(p) <= 400][:5]
        draft = change({"headline": headline[0], "points": points, "risks": []})
        await saying(json.dumps(draft))(request, send)

    return play


async def hanging(_request: Request, _send: Send) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def dripping(_request: Request, send: Send) -> None:
    """Send a space now and then, for ever: every single read is in time."""
    await send(_head(200, 1_000_000, "application/json", {}))
    while True:
        await send(b" ")
        await asyncio.sleep(0.01)


async def flooding(_request: Request, send: Send) -> None:
    """Send without end."""
    await send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
    while True:
        await send(b" " * 65_536)
        await asyncio.sleep(0)


async def flooding_error(_request: Request, send: Send) -> None:
    """Send an error without end."""
    await send(b"HTTP/1.1 500 Oh\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
    while True:
        await send(b" " * 65_536)
        await asyncio.sleep(0)


async def breaking_off(_request: Request, send: Send) -> None:
    """Close the connection in the middle of the body."""
    await send(_head(200, 10_000, "application/json", {}) + b'{"choices": [{"message"')
    raise ConnectionAbortedError


async def closing_early(_request: Request, send: Send) -> None:
    """Close a body without a declared length in its middle, as if it were whole."""
    await send(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{"choices": [{"mess')
    raise ConnectionAbortedError


def _head(status: int, length: int, kind: str, more: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
