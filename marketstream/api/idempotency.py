"""Idempotency keys: a POST that is sent again gets its first answer again, and nothing is done twice."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketstream.api.body import read_body
from marketstream.api.errors import RETRY_AFTER_S, instance_of, problem
from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import MarketStreamError
from marketstream.market.records import StoredAnswer

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY_LENGTH = 64
CREATING = (
    "/streaming/providers",
    "/streaming/rationale/generate",
    "/streaming/rationale/{id}/feedback",
    "/streaming/dead-letters/{id}/replay",
)
"""Paths whose POST heeds the header, as the OpenAPI document writes them."""
MAX_UNSTORED = 1_000
"""Answers that are kept in memory while the store does not take them; beyond it the oldest are forgotten."""
KEEP_S = 24 * 3600
"""How long an answer in memory holds, seconds: as long as one in the store."""
KEPT_HEADERS = ("content-type", "location")
# What the route itself decided. A body that could not be read, a busy server and a broken one decided nothing.
KEPT_STATUSES = frozenset({200, 201, 202, 204, 404, 409, 422})
_CREATING = re.compile("|".join(re.sub(r"\{\w+\}", "[^/]+", path) for path in CREATING))


class AnswerStore(Protocol):
    """Where answers are kept, so that they outlive the process."""

    async def recall(self, key: str) -> StoredAnswer | None:
        """Return the answer given under `key`; None where there was none in the last 24 h."""
        ...

    async def remember(self, answer: StoredAnswer) -> StoredAnswer:
        """Keep an answer and return what is kept; it is there after a crash once this has returned."""
        ...


class Idempotency:
    """ASGI middleware that gives a repeated request with the same key the first one's answer.

    An answer is kept before it is sent. Between what the route did and that moment there is one gap: a process
    killed there does the work again when the request is repeated, unless the work itself is idempotent. An answer that
    the store does not take is kept in memory, and handed in again at each later request with a key.

    Args:
        app: The application behind.
        keep: Returns where answers are kept.
        clock: Stamps them.
    """

    def __init__(self, app: ASGIApp, *, keep: Callable[[], AnswerStore], clock: Clock) -> None:
        self.app = app
        self.keep = keep
        self.clock = clock
        self._running: set[str] = set()
        self._unstored: dict[str, StoredAnswer] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; one without a key, or to a path that creates nothing, is only passed on."""
        keys = _keys(scope)
        if not keys:
            await self.app(scope, receive, send)
            return
        answer = await self._answer(scope, receive, keys)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, keys: list[str]) -> Response:
        instance, key = instance_of(scope), keys[0]
        if len(keys) > 1 or not _is_key(key):
            detail = f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters, given once"
            items = [{"pointer": f"/header/{HEADER}", "detail": detail}]
            return problem(instance, HTTPStatus.UNPROCESSABLE_ENTITY, f"the header {HEADER} {detail}", items)
        try:
            body = await read_body(Request(scope, receive))
        except HTTPException as refused:
            return problem(instance, refused.status_code, refused.detail)
        if key in self._running:
            detail = "the first request with this idempotency key is still running; ask again when it is answered"
            return problem(instance, HTTPStatus.CONFLICT, detail)
        self._running.add(key)
        try:
            return await self._once(scope, body, key)
        finally:
            self._running.discard(key)

    async def _once(self, scope: Scope, body: bytes, key: str) -> Response:
        fingerprint = fingerprint_of(scope, body)
        try:
            first = await self._first(key)
        except MarketStreamError as error:
            detail = f"nothing was done: the store cannot say whether this key was used ({error})"
            headers = {"retry-after": RETRY_AFTER_S}
            return problem(instance_of(scope), HTTPStatus.SERVICE_UNAVAILABLE, detail, (), headers)
        if first is None:
            at = self.clock.now_ns()
            answer = await self._run(scope, body)
            await self._remember(key, fingerprint, answer, at)
            return answer
        if first.fingerprint != fingerprint:
            detail = "this idempotency key belongs to another request; a new request needs a new key"
            return problem(instance_of(scope), HTTPStatus.UNPROCESSABLE_ENTITY, detail, title="Idempotency Key Reused")
        return Response(first.body, first.status, dict(first.headers) | {REPLAYED.lower(): "true"})

    async def _first(self, key: str) -> StoredAnswer | None:
        await self._store_again()
        return self._unstored.get(key) or await self.keep().recall(key)

    async def _store_again(self) -> None:
        since = self.clock.now_ns() - KEEP_S * SECOND_NS
        self._unstored = {key: answer for key, answer in self._unstored.items() if answer.at >= since}
        for key, answer in tuple(self._unstored.items()):
            try:
                await self.keep().remember(answer)
            except MarketStreamError:
                # Where one is not taken the rest will have to wait too, but not behind it for ever.
                self._unstored[key] = self._unstored.pop(key, answer)
                return
            self._unstored.pop(key, None)

    async def _run(self, scope: Scope, body: bytes) -> Response:
        head: Message = {}
        chunks: list[bytes] = []
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                chunks.append(message.get("body", b""))

        await self.app(scope, receive, collect)
        answer = Response(b"".join(chunks), head["status"])
        answer.raw_headers = list(head["headers"])
        return answer

    async def _remember(self, key: str, fingerprint: str, answer: Response, at: int) -> None:
        if answer.status_code not in KEPT_STATUSES:
            return
        kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        stored = StoredAnswer(
            key=key, fingerprint=fingerprint, status=answer.status_code, headers=kept, body=bytes(answer.body), at=at
        )
        try:
            await self.keep().remember(stored)
        except MarketStreamError:
            # The work is done: its answer is the truth, and a repetition must find it.
            self._unstored[key] = stored
            logger.warning("the answer under an idempotency key is kept in memory only for now", exc_info=True)
        while len(self._unstored) > MAX_UNSTORED:
            self._unstored.pop(next(iter(self._unstored)))
            logger.error("an answer under an idempotency key is forgotten: the store took none of %d", MAX_UNSTORED)


def fingerprint_of(scope: Mapping[str, Any], body: bytes) -> str:
    """Return what makes two requests the same: path, query and the values of the body, whatever its spelling.

    >>> here = {"path": "/streaming/providers"}
    >>> fingerprint_of(here, b'{"a": 1, "b": 2}') == fingerprint_of(here, b'{"b":2,"a":1}')
    True
    """
    # What is no JSON is compared as it came; the route will refuse it.
    with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        body = msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    parts = (scope["path"].encode("utf-8", "replace"), scope.get("query_string", b""), body)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _keys(scope: Scope) -> list[str]:
    if scope["type"] != "http" or scope["method"] != "POST" or not _CREATING.fullmatch(scope["path"]):
        return []
    return Headers(scope=scope).getlist(HEADER)


def _is_key(text: str) -> bool:
    return 1 <= len(text) <= MAX_KEY_LENGTH and text.isascii() and text.isprintable()
