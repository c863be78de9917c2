"""A real engine on a ManualClock, and a client that holds every answer to the OpenAPI document."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import jsonschema
import pytest
from fastapi import FastAPI

from marketstream.api.app import create_app
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.settings import Settings

BASE_URL = "http://localhost:8000"
UNROUTED = {400, 403, 404, 405, 422}
ClientFactory = Callable[[FastAPI], httpx2.AsyncClient]


class Contract:
    """Say whether an answer is one that the OpenAPI document promises."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.components = {"components": document["components"]}
        by_fixed_first = sorted(document["paths"].items(), key=lambda item: ("{" in item[0], -len(item[0])))
        self.operations = [
            (re.compile(re.sub(r"\{[^}]+\}", "(.+)", path) + r"\Z", re.DOTALL), method.upper(), operation)
            for path, methods in by_fixed_first
            for method, operation in methods.items()
        ]

    def check(self, response: httpx2.Response) -> None:
        """Fail unless the status is documented for the operation and the body fits its schema."""
        method, path = response.request.method, response.request.url.path
        operation = next((o for p, m, o in self.operations if m == method and p.match(path)), None)
        if operation is None:
            self._check_unrouted(response)
            return
        documented = operation["responses"]
        assert str(response.status_code) in documented, f"{method} {path} answered {response.status_code}"
        content = documented[str(response.status_code)].get("content")
        if content is None:
            assert response.content == b""
            return
        assert [response.headers["content-type"]] == list(content)
        self._fits(response.json(), next(iter(content.values()))["schema"])

    def _check_unrouted(self, response: httpx2.Response) -> None:
        if response.status_code >= 400:
            assert response.status_code in UNROUTED
            assert response.headers["content-type"] == "application/problem+json"
            self._fits(response.json(), {"$ref": "#/components/schemas/Problem"})

    def _fits(self, body: Any, schema: dict[str, Any]) -> None:
        error = jsonschema.exceptions.best_match(
            jsonschema.Draft202012Validator(schema | self.components).iter_errors(body)
        )
        assert error is None, f"{error.json_path}: {error.message}"


def checked_client(app: FastAPI, contract: Contract) -> httpx2.AsyncClient:
    """Return a client on the caller's loop that fails at the first answer the document does not promise."""

    async def check(response: httpx2.Response) -> None:
        await response.aread()
        contract.check(response)

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE_URL, event_hooks={"response": [check]})


def new_engine(**settings: Any) -> Engine:
    """Return an engine that nobody has started, on a clock of its own."""
    return Engine(Settings(**({"warmup_s": 20} | settings)), clock=ManualClock())


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Return a stopped engine with a snapshot, for tests that only read."""

    async def live(engine: Engine) -> Engine:
        await engine.run_for(2.0)
        await engine.stop()
        return engine

    return asyncio.run(live(new_engine(warmup_s=120)))


@pytest.fixture
async def live_engine() -> AsyncIterator[Engine]:
    """Return a running engine of the test's own, to switch and to break."""
    engine = new_engine()
    await engine.run_for(1.0)
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def app(engine: Engine) -> FastAPI:
    """Return the API of the stopped engine."""
    return create_app(engine)


@pytest.fixture(scope="session")
def make_client(app: FastAPI) -> ClientFactory:
    """Return the maker of checked clients; every app has the same document."""
    contract = Contract(app.openapi())
    return lambda other: checked_client(other, contract)


@pytest.fixture
async def client(app: FastAPI, make_client: ClientFactory) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a checked client of the stopped engine."""
    async with make_client(app) as client:
        yield client


@pytest.fixture
async def live_client(live_engine: Engine, make_client: ClientFactory) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a checked client of the running engine."""
    async with make_client(create_app(live_engine)) as client:
        yield client


@pytest.fixture(scope="session")
def make_engine() -> Callable[..., Engine]:
    """Return the maker of engines, for tests with settings of their own."""
    return new_engine
