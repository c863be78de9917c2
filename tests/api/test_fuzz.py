"""Random requests made from the OpenAPI document: every answer is one that it promises, and none a failure."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from openapi_strategies import Requests, Sent

from marketstream.api.app import create_app
from marketstream.engine import Engine
from marketstream.errors import PermanentError
from marketstream.market.events import MarketEvent
from marketstream.market.rationale import RationaleKind, RationaleRequest
from marketstream.market.records import PageRequest

N_REQUESTS = int(os.environ.get("MARKETSTREAM_FUZZ", "25"))
"""To each operation."""
PROVIDERS = ["alder", "birch", "cedar", "damson", "spare"]
N_LETTERS = 8
NEVER_DONE = "post /streaming/rationale/{id}/cancel"  # the text has ended


class Sender:
    """Send requests one by one, on one loop, to one application; note what each operation answered with."""

    def __init__(self, client: httpx2.AsyncClient, runner: asyncio.Runner) -> None:
        self.client = client
        self.runner = runner
        self.answered: dict[str, set[int]] = {}

    def send(self, request: Sent, operation: str) -> httpx2.Response:
        answer = self.runner.run(
            self.client.request(
                request.method,
                request.path,
                params=request.params,
                headers=request.headers,
                content=request.content,
            )
        )
        self.answered.setdefault(operation, set()).add(answer.status_code)
        return answer


async def _nothing() -> None: ...


def check(
    sender: Sender, requests: Requests, n_requests: int, before_each: Callable[[], Coroutine[Any, Any, None]] = _nothing
) -> None:
    """Send `n_requests` random ones to each operation; the client of `sender` holds each answer to the document."""
    for number in range(len(requests.operations)):
        sender.runner.run(before_each())
        check_operation(sender, requests, number, n_requests)


def check_operation(sender: Sender, requests: Requests, number: int, n_requests: int) -> None:
    method, path, _ = requests.operations[number]

    @settings(
        max_examples=n_requests,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(request=requests.to(number))
    def each(request: Sent) -> None:
        answer = sender.send(request, f"{method} {path}")
        assert answer.status_code < 500 or answer.status_code == 503, f"{request}: {answer.text}"

    each()


async def _fail(events: Sequence[MarketEvent]) -> None:
    raise PermanentError("no such mailbox")


async def prepared(engine: Engine) -> dict[str, list[str]]:
    """Run the engine until it has dead letters and a text; return what is known by the paths to it."""
    await engine.run_for(1.0)
    engine.handlers.add_effect("mailer", _fail, topics=("engine.status.changed",))
    for _ in range(N_LETTERS // 2):
        engine.pause()
        engine.resume()
    text = engine.rationale.request(RationaleRequest(kind=RationaleKind.RISK_REVIEW))
    await engine.run_for(1.0)
    await engine.handlers.settle()
    letters = await engine.store.dead_letters(None, None, PageRequest())
    return {
        "/streaming/providers/": PROVIDERS,
        "/streaming/rationale/": [text],
        "/streaming/dead-letters/": [letter.id for letter in letters.rows],
        "/markets/": ["BTC-USD"],
    }


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(90 + 3 * N_REQUESTS)
def test_any_request_gets_a_documented_answer_that_fits_its_schema(
    runner: asyncio.Runner, make_engine: Callable[[], Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> None:
    engine = make_engine()
    known = runner.run(prepared(engine))
    app = create_app(engine)

    async def streaming() -> None:
        await engine.ensure_running()
        engine.resume()

    sender = Sender(make_client(app), runner)
    try:
        check(sender, Requests(app.openapi(), known), N_REQUESTS, before_each=streaming)
    finally:
        runner.run(sender.client.aclose())
        runner.run(engine.close())
    # The requests came past the door: no operation only refused.
    assert [name for name, statuses in sender.answered.items() if min(statuses) >= 300] == [NEVER_DONE]


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
    sender = Sender(httpx2.AsyncClient(transport=transport, base_url="http://localhost"), runner)
    with pytest.raises(AssertionError, match=r"NaN|Infinity"):
        check(sender, Requests(document | {"paths": only}, {"/streaming/providers/": PROVIDERS}), 400)
    runner.run(sender.client.aclose())
