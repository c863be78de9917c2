"""The one shape of an error: RFC 9457 problem details. Of what a client sent it echoes only names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from marketstream.errors import InvalidInputError, NotFoundError, TransientError

PROBLEM_TYPE = "application/problem+json"
PROBLEM_NAMES = "urn:marketstream:problem:"
MAX_TEXT = 300
MAX_KEY = 64
MAX_ERRORS = 20
RETRY_AFTER_S = "1"
# Not http.HTTPStatus: its phrases differ between Python versions.
TITLES: Mapping[int, str] = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Invalid Input",
    429: "Too Many Requests",
    500: "Internal Error",
    503: "Service Unavailable",
}


class ProblemItem(BaseModel):
    """One value that was wrong."""

    model_config = ConfigDict(extra="forbid")

    pointer: str = Field(
        description="Where: a JSON pointer that starts with body, query, path, header or ready.",
        examples=["/body/fault/duration_s"],
    )
    detail: str = Field(description="What would be right.", examples=["Input should be greater than 0"])


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(
        description="A stable name for this class of error.", examples=["urn:marketstream:problem:not-found"]
    )
    title: str = Field(description="The status in words; the same for every error of this type.")
    status: int = Field(description="The HTTP status code.", ge=400, le=599)
    detail: str = Field(description="What was wrong and what would be right.")
    instance: str = Field(description="The path that was asked for, percent-encoded.")
    errors: list[ProblemItem] = Field(description="The values that were wrong, at most 20; empty when it was none.")


def problem(
    instance: str,
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    *,
    title: str | None = None,
) -> Response:
    """Return an error in the one shape; texts are made printable and cut to 300 characters.

    `title` names a class of errors of its own; else it is the status in words.
    """
    title = TITLES.get(status, HTTPStatus(status).phrase) if title is None else title
    body = {
        "type": f"{PROBLEM_NAMES}{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": clean(detail),
        "instance": clean(instance),
        "errors": list(errors),
    }
    return Response(msgspec.json.encode(body), int(status), dict(headers or {}), PROBLEM_TYPE)


def instance_of(scope: Mapping[str, Any]) -> str:
    """Return the path of an ASGI scope as it came, percent-encoded and without its query."""
    raw = scope.get("raw_path") or str(scope.get("path", "")).encode("utf-8", "replace")
    return bytes(raw).split(b"?", 1)[0].decode("ascii", "replace")


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Return `text` as valid Unicode without control characters, at most `limit` characters long.

    >>> clean("a\\x00b\\ud800")
    'a?b?'
    """
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "?" for c in text)


@contextlib.contextmanager
def store_problems() -> Iterator[None]:
    """Answer 503 where the store or its lanes cannot be reached for a while; nothing was done then.

    Raises:
        HTTPException: In place of the TransientError, which elsewhere means that too much is waiting (429).
    """
    try:
        yield
    except TransientError as error:
        headers = {"retry-after": RETRY_AFTER_S}
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers) from None


def add_error_handlers(app: FastAPI) -> None:
    """Make every expected error of `app` answer in the one shape; the unexpected ones meet edge.Edge."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(InvalidInputError, _invalid_input)
    app.add_exception_handler(TransientError, _busy)


# Handlers take a plain Exception because that is what Starlette's signature promises.
async def _http_error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    headers = getattr(error, "headers", None)
    return problem(instance_of(request.scope), status, str(getattr(error, "detail", error)), (), headers)


async def _not_found(request: Request, error: Exception) -> Response:
    return problem(instance_of(request.scope), HTTPStatus.NOT_FOUND, str(error))


async def _invalid_input(request: Request, error: Exception) -> Response:
    return problem(instance_of(request.scope), HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


async def _busy(request: Request, error: Exception) -> Response:
    headers = {"retry-after": RETRY_AFTER_S}
    return problem(instance_of(request.scope), HTTPStatus.TOO_MANY_REQUESTS, str(error), (), headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    items = [_item(e) for e in list(found)[:MAX_ERRORS]]
    where = ", ".join(item["pointer"] for item in items[:3])
    detail = f"{len(found)} value{'' if len(found) == 1 else 's'} refused, at {where}"
    return problem(instance_of(request.scope), HTTPStatus.UNPROCESSABLE_ENTITY, detail, items)


def _item(error: Mapping[str, Any]) -> dict[str, str]:
    # `input` and `ctx` stay behind: they hold what the client sent, such as a NaN that is no JSON.
    return {"pointer": _pointer(error.get("loc", ())), "detail": clean(str(error.get("msg", "is not valid")))}


def _pointer(location: Iterable[Any]) -> str:
    parts = [clean(str(part), MAX_KEY).replace("~", "~0").replace("/", "~1") for part in location]
    return "/" + "/".join(parts[:8])
