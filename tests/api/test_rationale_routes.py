"""Rationales: ordered now, written later, and every figure with its fact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import httpx2
import pytest
from fastapi import FastAPI

from marketstream.api.app import create_app
from marketstream.api.rationale_schemas import RationaleType, SpanInfo
from marketstream.engine import Engine
from marketstream.market.rationale import RationaleKind, SpanKind


async def order(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    return await client.post("/streaming/rationale/generate", json=body)


async def written(client: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    """Let the worker run until the text is there; it needs no time, only turns of the loop."""
    for _ in range(1000):
        answer: dict[str, Any] = (await client.get(path)).json()
        if answer["status"] != "pending":
            return answer
        await asyncio.sleep(0)
    raise AssertionError("the worker never wrote the text")


def test_the_kinds_offered_are_the_kinds_there_are() -> None:
    assert set(get_args(RationaleType)) == {kind.value for kind in RationaleKind}
    assert set(get_args(SpanInfo.model_fields["kind"].annotation)) == {kind.value for kind in SpanKind}


async def test_an_order_is_answered_before_the_work_is_done(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    answer = await order(live_client)
    assert answer.status_code == 202
    assert list(answer.json()) == ["id"]
    assert answer.headers["location"] == f"/streaming/rationale/{answer.json()['id']}"
    assert live_engine.rationale.get(answer.json()["id"]).status == "pending"


async def test_while_nobody_writes_an_order_stays_pending(client: httpx2.AsyncClient) -> None:
    # The engine behind `client` is stopped: a 202 that had done the work would show a text here.
    path = (await order(client)).headers["location"]
    answer = (await client.get(path)).json()
    assert answer["status"] == "pending"
    assert answer["text"] == ""


async def test_the_text_follows_with_a_fact_behind_every_figure(live_client: httpx2.AsyncClient) -> None:
    path = (await order(live_client, rationale_type="portfolio_summary")).headers["location"]
    answer = await written(live_client, path)
    assert answer["status"] == "ready"
    assert answer["rationale_type"] == "portfolio_summary"
    facts = {fact["id"]: fact for fact in answer["facts"]}
    figures = [span for span in answer["spans"] if span["kind"] == "figure"]
    assert figures
    for span in figures:
        shown = answer["text"][span["start"] : span["end"]]
        digits = f"{abs(facts[span['fact_id']]['value']):,.{facts[span['fact_id']]['decimals']}f}"
        assert digits in shown or facts[span["fact_id"]]["unit"] in ("UTC", "count", "rank")


async def test_the_whole_sheet_is_sent_on_request(live_client: httpx2.AsyncClient) -> None:
    path = (await order(live_client)).headers["location"]
    used = await written(live_client, path)
    whole = (await live_client.get(path, params={"facts": "all"})).json()
    ids = [{fact["id"] for fact in answer["facts"]} for answer in (used, whole)]
    assert ids[0] < ids[1]


async def test_every_kind_is_written(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    subject = live_engine.catalog.instruments[0].id
    for kind in RationaleKind:
        body = {"rationale_type": kind.value}
        if kind is RationaleKind.POSITION_EXPLANATION:
            body["subject"] = subject
        answer = await written(live_client, (await order(live_client, **body)).headers["location"])
        assert answer["status"] == "ready", answer["reason"]
        assert answer["subject"] == body.get("subject")


@pytest.mark.parametrize(
    "body",
    [
        {"rationale_type": "poem"},
        {"rationale_type": None},
        {"rationale_type": "position_explanation"},
        {"rationale_type": "position_explanation", "subject": "NOBODY-USD"},
        {"rationale_type": "position_explanation", "subject": ""},
        {"rationale_type": "position_explanation", "subject": "x" * 65},
        {"rationale_type": "risk_review", "subject": "BTC-USD"},
        {"kind": "portfolio_summary"},
    ],
)
async def test_an_order_for_what_cannot_be_written_is_refused(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    assert (await order(client, **body)).status_code == 422


async def test_too_many_orders_are_put_off_and_forget_none(
    make_engine: Callable[[], Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> None:
    async with make_client(create_app(make_engine())) as client:
        answers = [await order(client) for _ in range(70)]
        taken = [answer for answer in answers if answer.status_code == 202]
        put_off = [answer for answer in answers if answer.status_code == 429]
        assert len(taken) + len(put_off) == 70
        assert put_off
        assert put_off[0].headers["retry-after"] == "1"
        for answer in taken:
            assert (await client.get(answer.headers["location"])).json()["status"] == "pending"


@pytest.mark.parametrize("identifier", ["nobody", "%00", "a%2Fb", "x" * 64])
async def test_an_unknown_id_is_404(client: httpx2.AsyncClient, identifier: str) -> None:
    assert (await client.get(f"/streaming/rationale/{identifier}")).status_code == 404


async def test_the_path_of_the_order_is_no_text(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/streaming/rationale/generate")).status_code == 404
