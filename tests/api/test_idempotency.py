"""Idempotency keys: what is sent twice is done once, also across restarts; nobody gets another's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Response
from pydantic import BaseModel

from marketstream.api.body import JsonRoute
from marketstream.api.errors import add_error_handlers
from marketstream.api.idempotency import KEEP_S, AnswerStore, Idempotency, fingerprint_of
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.errors import TransientError
from marketstream.market.records import StoredAnswer
from marketstream.store.repository import ANSWER_AGE_S, Store

PATH = "/streaming/providers"
KEY = {"Idempotency-Key": "order-1"}
DAY_S = 24 * 3600


class Work(BaseModel):
    name: str = "a"
    status: int = 201


class Workshop:
    """A route that counts what it does, behind the layer under test."""

    def __init__(self, keep: AnswerStore, clock: ManualClock) -> None:
        self.done: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        app = FastAPI()
        app.router.route_class = JsonRoute

        @app.post(PATH, status_code=201)
        @app.post("/streaming/rationale/generate", status_code=201)
        @app.post("/streaming/control", status_code=201)
        async def work(body: Work, response: Response) -> dict[str, Any]:
            await self.may_end.wait()
            self.done.append(body.name)
            if body.status == 500:
                raise RuntimeError("broken")
            response.status_code = body.status
            response.headers["location"] = f"/made/{len(self.done)}"
            return {"n": len(self.done)}

        add_error_handlers(app)
        app.add_middleware(Idempotency, keep=lambda: keep, clock=clock)
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False), base_url="http://localhost"
        )

    async def post(self, path: str = PATH, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
        return await self.client.post(path, json=body, headers=KEY if headers is None else headers)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
    store = Store("memory", clock=clock, data_dir=tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def workshop(store: Store, clock: ManualClock) -> AsyncIterator[Workshop]:
    workshop = Workshop(store, clock)
    async with workshop.client:
        yield workshop


async def test_the_same_request_is_done_once_and_answered_twice(workshop: Workshop) -> None:
    first, second = await workshop.post(), await workshop.post()
    assert workshop.done == ["a"]
    assert (second.status_code, second.content) == (first.status_code, first.content) == (201, b'{"n":1}')
    assert second.headers["location"] == first.headers["location"] == "/made/1"
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


class Forgetful:
    """The planted bug: a store that keeps nothing."""

    async def recall(self, key: str) -> StoredAnswer | None:
        return None

    async def remember(self, answer: StoredAnswer) -> StoredAnswer:
        return answer


async def test_the_check_catches_a_store_that_keeps_nothing(clock: ManualClock) -> None:
    workshop = Workshop(Forgetful(), clock)
    async with workshop.client:
        with pytest.raises(AssertionError):
            await test_the_same_request_is_done_once_and_answered_twice(workshop)


async def test_the_spelling_of_the_body_is_no_matter(workshop: Workshop) -> None:
    headers = KEY | {"content-type": "application/json"}
    await workshop.client.post(PATH, content=b'{"name": "x", "status": 200}', headers=headers)
    again = await workshop.client.post(PATH, content=b'{\n"status":200,"name":"\\u0078"}', headers=headers)
    assert workshop.done == ["x"]
    assert again.headers["idempotent-replayed"] == "true"


async def test_the_spelling_of_the_path_is_no_matter(workshop: Workshop) -> None:
    await workshop.post()
    assert (await workshop.post("/streaming/provider%73")).headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(("path", "name"), [(PATH, "b"), ("/streaming/rationale/generate", "a"), (f"{PATH}?x=1", "a")])
async def test_another_request_under_the_same_key_is_refused(workshop: Workshop, path: str, name: str) -> None:
    await workshop.post(name="a")
    other = await workshop.post(path, name=name)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:marketstream:problem:idempotency-key-reused"
    assert workshop.done == ["a"]


async def test_without_a_key_everything_is_done_each_time(workshop: Workshop) -> None:
    await workshop.post(headers={})
    await workshop.post(headers={})
    assert workshop.done == ["a", "a"]


async def test_another_key_is_another_request(workshop: Workshop) -> None:
    await workshop.post()
    await workshop.post(headers={"Idempotency-Key": "order-2"})
    assert workshop.done == ["a", "a"]


async def test_a_path_that_creates_nothing_heeds_no_key(workshop: Workshop) -> None:
    await workshop.post("/streaming/control")
    await workshop.post("/streaming/control")
    assert workshop.done == ["a", "a"]


async def test_while_the_first_request_runs_the_second_is_a_conflict(workshop: Workshop) -> None:
    workshop.may_end.clear()
    first = asyncio.create_task(workshop.post())
    for _ in range(10):
        await asyncio.sleep(0)
    while (early := await asyncio.wait_for(workshop.post(), 5)).status_code != 409:
        pass  # the store's thread may need a moment; the time-out ends it
    assert "still running" in early.json()["detail"]
    workshop.may_end.set()
    assert (await first).status_code == 201
    assert (await workshop.post()).headers["idempotent-replayed"] == "true"
    assert workshop.done == ["a"]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_failure_that_may_pass_is_not_kept(workshop: Workshop, status: int) -> None:
    await workshop.post(status=status)
    again = await workshop.post(status=status)
    assert "idempotent-replayed" not in again.headers
    assert len(workshop.done) == 2


async def test_what_the_route_decided_is_kept(workshop: Workshop) -> None:
    await workshop.post(status=409)
    assert (await workshop.post(status=409)).status_code == 409
    assert len(workshop.done) == 1


async def test_a_body_that_could_not_be_read_leaves_the_key_free(workshop: Workshop) -> None:
    headers = KEY | {"content-type": "application/json"}
    assert (await workshop.client.post(PATH, content=b'{"name": "a"', headers=headers)).status_code == 400
    assert (await workshop.client.post(PATH, content=b'{"name": "a"}', headers=KEY)).status_code == 415
    assert (await workshop.post(name="a")).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 65, "caf\u00e9", "a\tb"])
async def test_a_key_that_is_none_is_refused_by_pointer(workshop: Workshop, key: str) -> None:
    answer = await workshop.client.post(PATH, json={}, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/header/Idempotency-Key"
    assert workshop.done == []


async def test_two_keys_are_refused(workshop: Workshop) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert (await workshop.client.post(PATH, json={}, headers=headers)).status_code == 422


async def test_after_a_day_the_key_is_free_again(workshop: Workshop, clock: ManualClock) -> None:
    await workshop.post()
    clock.advance(DAY_S - 1)
    assert (await workshop.post()).headers["idempotent-replayed"] == "true"
    clock.advance(2)
    assert "idempotent-replayed" not in (await workshop.post()).headers
    assert len(workshop.done) == 2


async def test_an_answer_outlives_the_process(clock: ManualClock, tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        store = Store("sqlite", clock=clock, data_dir=tmp_path)
        await store.open()
        workshop = Workshop(store, clock)
        async with workshop.client:
            answers.append((await workshop.post()).headers.get("idempotent-replayed"))
        await store.close()
    assert answers == [None, "true"]


class Closed(Forgetful):
    """A store that cannot be read now."""

    async def recall(self, key: str) -> StoredAnswer | None:
        raise TransientError("the store is not open")


async def test_where_the_store_cannot_say_nothing_is_done(clock: ManualClock) -> None:
    workshop = Workshop(Closed(), clock)
    async with workshop.client:
        answer = await workshop.post()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert workshop.done == []


class Full(Forgetful):
    """A store that cannot keep."""

    async def remember(self, answer: StoredAnswer) -> StoredAnswer:
        raise TransientError("the disk is full")


async def test_what_is_done_is_answered_also_where_it_cannot_be_kept(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    workshop = Workshop(Full(), clock)
    async with workshop.client:
        answer = await workshop.post()
    assert answer.status_code == 201
    assert "kept in memory only for now" in caplog.text


class Shaky(Forgetful):
    """A store that fails as often as told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.kept: dict[str, StoredAnswer] = {}

    async def recall(self, key: str) -> StoredAnswer | None:
        return self.kept.get(key)

    async def remember(self, answer: StoredAnswer) -> StoredAnswer:
        if self.failures:
            self.failures -= 1
            raise TransientError("the store is locked")
        return self.kept.setdefault(answer.key, answer)


async def test_what_the_store_failed_to_keep_is_done_once_all_the_same(clock: ManualClock) -> None:
    workshop = Workshop(Shaky(failures=10), clock)
    async with workshop.client:
        await test_the_same_request_is_done_once_and_answered_twice(workshop)
        assert (await workshop.post(name="b")).status_code == 422


async def test_what_the_store_failed_to_keep_is_handed_in_again(clock: ManualClock) -> None:
    store = Shaky(failures=3)
    workshop = Workshop(store, clock)
    async with workshop.client:
        await workshop.post()
        await workshop.post(headers={"Idempotency-Key": "order-2"})
        assert store.kept == {}
        await workshop.post(headers={"Idempotency-Key": "order-3"})
    assert list(store.kept) == ["order-1", "order-2", "order-3"]
    assert workshop.done == ["a", "a", "a"]


async def test_what_is_kept_in_memory_is_forgotten_after_a_day(clock: ManualClock) -> None:
    workshop = Workshop(Full(), clock)
    async with workshop.client:
        await workshop.post()
        clock.advance(DAY_S + 1)
        assert "idempotent-replayed" not in (await workshop.post()).headers
    assert KEEP_S == ANSWER_AGE_S


async def test_memory_holds_a_bounded_number_of_answers(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("marketstream.api.idempotency.MAX_UNSTORED", 2)
    workshop = Workshop(Full(), clock)
    async with workshop.client:
        for n in range(3):
            await workshop.post(headers={"Idempotency-Key": f"order-{n}"})
    assert caplog.text.count("is forgotten") == 1


def test_bodies_that_are_no_json_are_compared_as_they_came() -> None:
    scope = {"path": PATH}
    deep = b"[" * 100_000
    assert fingerprint_of(scope, b"\xff") != fingerprint_of(scope, b"\xfe")
    assert fingerprint_of(scope, deep) == fingerprint_of(scope, deep)


async def test_every_route_that_creates_something_heeds_the_key(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    async def twice(path: str, body: dict[str, Any]) -> httpx2.Response:
        headers = {"Idempotency-Key": path[-60:]}
        first, second = [await live_client.post(path, json=body, headers=headers) for _ in range(2)]
        assert first.status_code == second.status_code < 300
        assert (first.content, second.headers["idempotent-replayed"]) == (second.content, "true")
        return first

    spare = {"name": "spare", "kind": "simulated", "options": {"world": "demo", "venue": "cedar"}}
    await twice("/streaming/providers", spare)
    text = (await twice("/streaming/rationale/generate", {"rationale_type": "risk_review"})).json()["id"]
    await live_engine.run_for(2.0)
    await live_engine.handlers.settle()
    await twice(f"/streaming/rationale/{text}/feedback", {"rating": 1})
    assert (await live_client.get(f"/streaming/rationale/{text}/feedback")).json()["count"] == 1
    assert (await live_client.get("/streaming/rationale")).json()["count"] == 1
