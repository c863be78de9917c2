"""Random requests made from the OpenAPI document: every answer is one that it promises, and none a failure."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx2
import pytest
from conftest import BASE_URL
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from openapi_strategies import Requests, Sent

from marketstream.api.app import create_app
from marketstream.engine import Engine
from marketstream.errors import PermanentError
from marketstream.market.events import MarketEvent

N_REQUESTS = int(os.environ.get("MARKETSTREAM_FUZZ", "600"))
KNOWN = ["alder", "cedar", "spare", "BTC-USD", "generate"]


class Sender:
    """Send requests one by one, on one loop, to one application."""

    def __init__(self, client: httpx2.AsyncClient, runner: asyncio.Runner) -> None:
        self.client = client
        self.runner = runner
        self.statuses: set[tuple[str, int]] = set()

    def send(self, request: Sent) -> httpx2.Response:
        answer = self.runner.run(
            self.client.request(
                request.method,
                request.path,
                params=request.params,
                headers=request.headers,
                content=request.content,
            )
        )
        self.statuses.add((request.method, answer.status_code))
        return answer


def check(sender: Sender, requests: Requests, n_requests: int) -> None:
    """Send `n_requests` random ones; the client of `sender` holds each answer to the document."""

    @settings(
        max_examples=n_requests,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(request=requests.any())
    def each(request: Sent) -> None:
        answer = sender.send(request)
        assert answer.status_code < 500 or answer.status_code == 503, f"{request}: {answer.text}"

    each()


async def _fail(events: Sequence[MarketEvent]) -> None:
    raise PermanentError("no such mailbox")


async def with_dead_letters(engine: Engine) -> list[str]:
    """Run the engine until it has two dead letters, and return their ids."""
    await engine.run_for(1.0)
    engine.handlers.add_effect("mailer", _fail, topics=("engine.status.changed",))
    engine.pause()
    engine.resume()
    await engine.handlers.settle()
    return [event.id for event in engine.bus.history("handler.#")]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(120)
def test_any_request_gets_a_documented_answer_that_fits_its_schema(
    runner: asyncio.Runner, make_engine: Callable[[], Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> None:
    engine = make_engine()
    letters = runner.run(with_dead_letters(engine))
    app = create_app(engine)
    sender = Sender(make_client(app), runner)
    try:
        check(sender, Requests(app.openapi(), [*KNOWN, *letters]), N_REQUESTS)
    finally:
        runner.run(sender.client.aclose())
        runner.run(engine.close())
    # It came past the door: every method had successes and refusals.
    seen = {(method, status // 100) for method, status in sender.statuses}
    assert seen >= {(method, kind) for method in ("GET", "POST", "PUT", "DELETE") for kind in (2, 4)}


def planted(handler: Callable[[dict[str, Any]], Any]) -> FastAPI:
    app = FastAPI()
    app.put("/streaming/providers/{name}")(handler)
    return app


def raises_on_nan(body: dict[str, Any]) -> dict[str, Any]:
    return body


@pytest.mark.timeout(60)
def test_the_check_catches_an_endpoint_that_raises_on_nan(app: FastAPI, runner: asyncio.Runner) -> None:
    # The planted bug: FastAPI's own parser takes NaN, and what it cannot write again ends in status 500.
    transport = httpx2.ASGITransport(planted(raises_on_nan), raise_app_exceptions=False)
    document = app.openapi()
    only = {"/streaming/providers/{name}": {"put": document["paths"]["/streaming/providers/{name}"]["put"]}}
    sender = Sender(httpx2.AsyncClient(transport=transport, base_url=BASE_URL), runner)
    with pytest.raises(AssertionError, match=r"NaN|Infinity"):
        check(sender, Requests(document | {"paths": only}, KNOWN), 600)
    runner.run(sender.client.aclose())
