"""How JSON comes in and goes out: strictly, at most 1 MB, and NaN as null."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

MAX_BODY_BYTES = 1_000_000
MAX_VALUES = 1000


class JsonAnswer(JSONResponse):
    """A JSON answer, written by msgspec; a float that is no number becomes null."""

    def render(self, content: Any) -> bytes:
        """Return `content` as UTF-8 JSON."""
        return msgspec.json.encode(content)


class JsonRoute(APIRoute):
    """A route whose body, where it has one, is checked before FastAPI sees it, and that refuses queries it has not.

    A wrong content type is 415 (which also keeps cross-site forms out: a browser asks first before it sends
    application/json elsewhere), and so is a compressed body; more than 1 MB is 413, and what is not JSON is 400.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of this route, behind the checks that concern it."""
        handle = super().get_route_handler()
        takes_body, takes_query = self.body_field is not None, bool(self.dependant.query_params)

        async def handle_checked(request: Request) -> Response:
            if not takes_query and request.scope["query_string"]:
                refuse_query(request)
            if not takes_body:
                return await handle(request)
            check_content_type(request)
            body = await read_body(request)
            return await handle(_DecodedRequest(request, body))

        return handle_checked


class _DecodedRequest(Request):
    # FastAPI asks a request for body() and then json(); both are known already.
    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body

    async def json(self) -> Any:
        return decode(self._body)


def refuse_query(request: Request) -> None:
    """Raise 422 for each name in the query of a route that takes none, as a query with a model does."""
    names = request.query_params.keys()
    if names:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "Extra inputs are not permitted"} for name in names]
        )


def check_content_type(request: Request) -> None:
    """Raise 415 unless the request says that its body is JSON, and plain: a bomb is small until it is unpacked."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding")
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the header Content-Type: application/json")


async def read_body(request: Request) -> bytes:
    """Return the whole body; 413 as soon as it is, or says it is, longer than 1 MB."""
    _check_length(request.headers.get("content-length", "0"))
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def decode(body: bytes) -> Any:
    """Return strict JSON decoded; 400 with the place of the fault, never the text, for anything else.

    >>> decode(b'{"enabled": true}')
    {'enabled': True}
    """
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the JSON is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, msgspec.MsgspecError) else "not UTF-8"
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is not valid JSON: {reason}") from None
    if _has_more_values(value, MAX_VALUES):
        # Each unknown field would be an error of its own: 80,000 of them hold up the loop for half a second.
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body has more than {MAX_VALUES} values")
    return value


def _has_more_values(value: Any, limit: int) -> bool:
    waiting, seen = [value], 0
    while waiting and seen <= limit:
        seen += 1
        value = waiting.pop()
        if isinstance(value, dict | list):
            if len(value) > limit:
                return True
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return seen > limit


def _check_length(declared: str) -> None:
    if not (declared.isascii() and declared.isdigit()):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the header Content-Length must be a number of bytes")
    if len(declared) > len(str(MAX_BODY_BYTES)) or int(declared) > MAX_BODY_BYTES:
        raise _too_large()


def _too_large() -> HTTPException:
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY_BYTES} bytes")
