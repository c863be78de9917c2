"""What a body may be, and how numbers that are none leave."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.exceptions import HTTPException

from marketstream.api.body import MAX_BODY_BYTES, JsonAnswer, decode
from marketstream.engine import Engine

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ],
)
async def test_what_a_form_on_another_site_can_send_is_refused(client: httpx2.AsyncClient, content_type: str) -> None:
    answer = await client.post(
        "/streaming/control", content=b'{"action": "start"}', headers={"content-type": content_type}
    )
    assert answer.status_code == 415


async def test_a_body_without_any_content_type_is_refused(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/streaming/rationale/generate")).status_code == 415


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
async def test_json_is_taken(live_client: httpx2.AsyncClient, content_type: str) -> None:
    answer = await live_client.post(
        "/streaming/control", content=b'{"action": "start"}', headers={"content-type": content_type}
    )
    assert answer.status_code == 200


async def chunks(total: int, sent: list[int]) -> AsyncIterator[bytes]:
    for _ in range(0, total, 50_000):
        sent.append(50_000)
        yield b" " * 50_000


async def test_a_long_body_without_a_length_is_cut_off_at_the_limit(client: httpx2.AsyncClient) -> None:
    sent: list[int] = []
    answer = await client.post("/streaming/control", content=chunks(50_000_000, sent), headers=JSON)
    assert answer.status_code == 413
    assert sum(sent) <= MAX_BODY_BYTES + 100_000


@pytest.mark.parametrize(
    ("length", "status"),
    [(str(MAX_BODY_BYTES + 1), 413), ("9" * 30, 413), ("-1", 400), ("many", 400), ("٣", 400)],
)
async def test_a_length_that_is_too_great_or_no_number_is_refused_before_reading(
    client: httpx2.AsyncClient, length: str, status: int
) -> None:
    sent: list[int] = []
    headers = {**JSON, "content-length": length.encode()}
    answer = await client.post("/streaming/control", content=chunks(500_000, sent), headers=headers)
    assert answer.status_code == status
    assert not sent or sum(sent) <= 50_000


async def test_a_body_of_just_the_limit_is_read(live_client: httpx2.AsyncClient) -> None:
    body = b'{"action": "start"}'
    padded = body + b" " * (MAX_BODY_BYTES - len(body))
    assert (await live_client.post("/streaming/control", content=padded, headers=JSON)).status_code == 200
    one_more = await live_client.post("/streaming/control", content=padded + b" ", headers=JSON)
    assert one_more.status_code == 413


async def test_the_answer_to_bad_json_says_where_but_not_what(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/streaming/control", content=b'{"action": hunter2}', headers=JSON)
    assert answer.status_code == 400
    assert "byte 11" in answer.json()["detail"]
    assert "hunter2" not in answer.text


async def test_the_answer_to_a_bad_value_names_the_place_but_not_the_value(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    answer = await client.put(
        f"/streaming/providers/{engine.registry.names[0]}",
        json={"fault": {"kind": "hunter2", "duration_s": 1}, "enabled": "hunter2"},
    )
    assert answer.status_code == 422
    assert {item["pointer"] for item in answer.json()["errors"]} == {"/body/enabled", "/body/fault/kind"}
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("body", [b"[" + b"1," * 999 + b"1]", b'{"a": [' + b"[]," * 998 + b"1]}"])
def test_a_thousand_values_are_too_many(body: bytes) -> None:
    with pytest.raises(HTTPException, match="more than 1000 values"):
        decode(body)
    assert decode(body.replace(b"1]", b"]").replace(b",]", b"]"))


def test_numbers_that_are_none_leave_as_null() -> None:
    assert JsonAnswer({"x": [math.nan, math.inf, -math.inf, 1.5]}).body == b'{"x":[null,null,null,1.5]}'


@pytest.mark.parametrize(
    "path",
    ["/streaming/status", "/streaming/health", "/streaming/health/live", "/streaming/providers", "/streaming/store"],
)
async def test_a_query_that_a_route_has_not_is_refused_by_name(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path, params={"since": "now", "hunter": 2})
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == ["/query/since", "/query/hunter"]
    assert (await client.get(f"{path}?")).status_code == 200


async def test_an_order_with_a_query_is_refused_before_it_is_read(live_client: httpx2.AsyncClient) -> None:
    answer = await live_client.post("/streaming/control?action=stop", json={"action": "stop"})
    assert answer.status_code == 422
    assert (await live_client.get("/streaming/status")).json()["state"] == "running"
