"""The OpenAPI document: every status an endpoint can answer with, and errors in their own media type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from marketstream.api.errors import PROBLEM_TYPE, TITLES, Problem
from marketstream.api.examples import EXAMPLES
from marketstream.api.idempotency import CREATING, HEADER, MAX_KEY_LENGTH, REPLAYED

TAGS = [
    {"name": "streaming", "description": "The engine: what it is doing, whether it is well, and its switch."},
    {
        "name": "providers",
        "description": "Where quotes come from: state, counts, switches, and faults on demand.",
    },
    {
        "name": "rationale",
        "description": "Texts whose every figure is a fact: asked for now, read when ready.",
    },
    {
        "name": "records",
        "description": "What the store keeps: events, allocations with what led to them, and how the store fares.",
    },
    {
        "name": "handlers",
        "description": "Who deals with events, and those events that could not be dealt with: read, replay, discard.",
    },
    {"name": "tables", "description": "The newest snapshot of the house analysis, as rows with units."},
]
_WHEN = {
    400: "The Host header is foreign, or the body is not JSON.",
    403: "The request comes from a page of another origin.",
    404: "Nothing answers to that name.",
    409: "What was asked is impossible in the present state; the detail says why.",
    413: "The body has more than 1 MB.",
    415: "The body is not declared as plain application/json.",
    429: "Too much is waiting already; ask again after the seconds in Retry-After.",
    422: "A value is wrong; `errors` says which and what would be right.",
    503: "Not available now; the detail says why. Nothing was done.",
}

LOCATION = {"Location": {"description": "Path of what was made.", "schema": {"type": "string"}}}
"""The `headers` of an answer that names what was made."""
_KEY_WHEN = {
    409: " Or the first request with the same idempotency key is still running.",
    422: " Or the idempotency key belongs to another request.",
    503: " An idempotency key needs the store.",
}

_REPLAYED = {
    "description": "Present on an answer that was given before.",
    "schema": {"type": "string", "const": "true"},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route with these error statuses; 400 and 422 are always among them.

    Any request may come with a foreign Host, or with a query that the route has not.
    """
    return {status: {"model": Problem, "description": _WHEN[status]} for status in sorted({400, 422, *statuses})}


def changes(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error `responses` of a route with a body: what any body can meet, and `statuses`."""
    return problems(403, *statuses, 413, 415)


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` say that errors are of type application/problem+json."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                license_info=app.license_info,
            )
            for name, schema in document["components"]["schemas"].items():
                if name in EXAMPLES:
                    schema["examples"] = [EXAMPLES[name]]
            for path in CREATING:
                _heed_keys(document["paths"][path]["post"])
            for response in _error_responses(document):
                response["content"] = {PROBLEM_TYPE: next(iter(response["content"].values()))}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _heed_keys(operation: dict[str, Any]) -> None:
    # Idempotency keys are the work of a layer around the routes, which know nothing of them.
    operation.setdefault("parameters", []).append(
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "Names this request: sent again within 24 h it gets the first answer again, and nothing "
            "is done twice.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[ -~]+$"},
            "example": "5f0c6a52-1d0e-4b6f-9a6e-3c1f6d0a9b11",
        }
    )
    model = operation["responses"]["422"]["content"]["application/json"]
    for status in (409, 503):
        response = operation["responses"].setdefault(
            str(status), {"description": _WHEN[status], "content": {"application/json": model}}
        )
        response["description"] += _KEY_WHEN[status]
    operation["responses"]["422"]["description"] += _KEY_WHEN[422]
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            # A new mapping: the old one may be the route's own.
            response["headers"] = response.get("headers", {}) | {REPLAYED: _REPLAYED}


def _error_responses(document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) in TITLES:
                    yield response
