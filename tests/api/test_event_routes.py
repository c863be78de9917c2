"""Events: what was done through the API is read back from it, by topic, subject and time, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from marketstream.api.app import create_app
from marketstream.engine import Engine


@pytest.fixture
async def told(live_client: httpx2.AsyncClient, live_engine: Engine) -> httpx2.AsyncClient:
    """Return a client of an engine in which a few things have happened, seconds apart."""
    for _ in range(3):
        for action in ("pause", "resume"):
            await live_client.post("/streaming/control", json={"action": action})
            await live_engine.run_for(1.0)
    await live_client.put("/streaming/providers/cedar", json={"enabled": False})
    await live_engine.handlers.settle()
    return live_client


async def rows(client: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/streaming/events", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == len(answer.json()["rows"])
    return list(answer.json()["rows"])


async def test_the_newest_come_first(told: httpx2.AsyncClient) -> None:
    stamps = [row["ts"] for row in await rows(told, limit=1000)]
    assert len(stamps) > 6
    assert stamps == sorted(stamps, reverse=True)


@pytest.mark.parametrize(
    ("patterns", "topics"),
    [
        (["engine.status.changed"], {"engine.status.changed"}),
        (["engine.#", "provider.config.*"], {"engine.status.changed", "provider.config.changed"}),
        (["provider.*.changed"], {"provider.status.changed", "provider.config.changed"}),
    ],
)
async def test_patterns_choose_topics(told: httpx2.AsyncClient, patterns: list[str], topics: set[str]) -> None:
    assert {row["topic"] for row in await rows(told, topic=patterns, limit=1000)} == topics


async def test_a_subject_chooses_whom_they_are_about(told: httpx2.AsyncClient) -> None:
    assert {row["subject"] for row in await rows(told, subject="cedar")} == {"cedar"}


async def test_a_range_of_time_holds_its_beginning_and_not_its_end(told: httpx2.AsyncClient) -> None:
    events = await rows(told, topic="engine.#")
    newest, older = events[0]["ts"], events[2]["ts"]
    found = await rows(told, topic="engine.#", since=older, until=newest)
    assert [row["id"] for row in found] == [row["id"] for row in events[1:3]]
    offset = older.replace("Z", "+00:00")
    assert await rows(told, topic="engine.#", since=offset, until=newest) == found


async def test_pages_together_are_the_whole_without_a_gap(told: httpx2.AsyncClient) -> None:
    whole = await rows(told, topic="engine.#")
    pages: list[dict[str, Any]] = []
    query: dict[str, Any] = {"topic": "engine.#", "limit": 3}
    while True:
        answer = (await told.get("/streaming/events", params=query)).json()
        pages += answer["rows"]
        if answer["next_cursor"] is None:
            break
        query["cursor"] = answer["next_cursor"]
    assert pages == whole


async def test_what_happens_between_two_pages_moves_nothing(told: httpx2.AsyncClient, live_engine: Engine) -> None:
    whole = await rows(told, topic="engine.#")
    first = (await told.get("/streaming/events", params={"topic": "engine.#", "limit": 2})).json()
    await told.post("/streaming/control", json={"action": "pause"})
    await live_engine.handlers.settle()
    second = await rows(told, topic="engine.#", cursor=first["next_cursor"])
    assert first["rows"] + second == whole


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "2026-01-01T00:00:01Z", "until": "2026-01-01T00:00:01Z"}, "/query"),
        ({"since": "yesterday"}, "/query/since"),
        ({"since": "2026-01-01T00:00:00"}, "/query/since"),
        ({"since": "2026-02-30T00:00:00Z"}, "/query/since"),
        ({"until": "9999-12-31T23:59:59Z"}, "/query/until"),
        ({"until": "1767225600"}, "/query/until"),
        ({"limit": "0"}, "/query/limit"),
        ({"limit": "1001"}, "/query/limit"),
        ({"topic": [""]}, "/query/topic/0"),
        ({"topics": "engine.#"}, "/query/topics"),
    ],
)
async def test_a_wrong_filter_is_refused_by_pointer(
    live_client: httpx2.AsyncClient, query: dict[str, Any], pointer: str
) -> None:
    answer = await live_client.get("/streaming/events", params=query)
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("pattern", ["engine", "weather.#", "engine..changed", "#.changed", "%", "engine.status.*.*"])
async def test_a_pattern_that_no_topic_matches_is_no_empty_list(live_client: httpx2.AsyncClient, pattern: str) -> None:
    answer = await live_client.get("/streaming/events", params={"topic": pattern})
    assert answer.status_code == 422


@pytest.mark.parametrize("cursor", ["x", "", "====", "ZXZlbnRz", "YWxsb2NhdGlvbnMuMQ", "caf\u00e9", "ZXZlbnRzLi0x"])
async def test_a_cursor_that_this_list_did_not_give_is_refused(live_client: httpx2.AsyncClient, cursor: str) -> None:
    assert (await live_client.get("/streaming/events", params={"cursor": cursor})).status_code == 422


async def test_before_the_first_start_the_store_is_not_open(make_engine: Callable[[], Engine]) -> None:
    transport = httpx2.ASGITransport(create_app(make_engine()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as unstarted:
        answer = await unstarted.get("/streaming/events")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "not open" in answer.json()["detail"]
