"""Rationales: ordered now, written later, every figure with its fact; listed, called off, judged, and never lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

import httpx2
import pytest
from fastapi import FastAPI
from model_server import ModelServer, drafting

from marketstream.api.app import create_app
from marketstream.api.rationale_schemas import AttemptInfo, RationaleType, Reason, SpanInfo, Status
from marketstream.engine import Engine
from marketstream.errors import NotFoundError, TransientError
from marketstream.market.rationale import Outcome, Rationale, RationaleKind, RationaleRequest, RationaleStatus, SpanKind
from marketstream.market.records import FeedbackReason


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


async def kept(engine: Engine, rationale_id: str) -> None:
    """Let the handlers run until the store has the text; the first one of a model waits for the import of the SDK."""
    for _ in range(10_000):
        try:
            await engine.store.rationale(rationale_id)
        except NotFoundError:
            await asyncio.sleep(0.001)
        else:
            return
    raise AssertionError("the store never got the text")


async def ordered(client: httpx2.AsyncClient, n: int = 1, **body: Any) -> list[str]:
    return [(await order(client, **body)).json()["id"] for _ in range(n)]


async def listing(client: httpx2.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/streaming/rationale", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def pages(client: httpx2.AsyncClient, **query: Any) -> list[list[str]]:
    found, cursor = [], None
    while True:
        page = await listing(client, **query, **({"cursor": cursor} if cursor else {}))
        found.append([row["id"] for row in page["rows"]])
        assert page["count"] == len(page["rows"]) <= query["limit"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.fixture
async def early_client(
    make_engine: Callable[..., Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of an engine that nobody has started yet, whose orders wait."""
    async with make_client(create_app(make_engine())) as client:
        yield client


def test_the_kinds_offered_are_the_kinds_there_are() -> None:
    assert set(get_args(RationaleType)) == {kind.value for kind in RationaleKind}
    assert set(get_args(Status)) == {status.value for status in RationaleStatus}
    assert set(get_args(Reason)) == {reason.value for reason in FeedbackReason}
    assert set(get_args(SpanInfo.model_fields["kind"].annotation)) == {kind.value for kind in SpanKind}
    assert set(get_args(AttemptInfo.model_fields["outcome"].annotation)) == {outcome.value for outcome in Outcome}


async def test_an_order_is_answered_before_the_work_is_done(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    answer = await order(live_client)
    assert answer.status_code == 202
    assert list(answer.json()) == ["id"]
    assert answer.headers["location"] == f"/streaming/rationale/{answer.json()['id']}"
    assert live_engine.rationale.get(answer.json()["id"]).status == "pending"


async def test_before_the_first_start_an_order_stays_pending(early_client: httpx2.AsyncClient) -> None:
    # A 202 that had done the work would show a text here.
    path = (await order(early_client)).headers["location"]
    answer = (await early_client.get(path)).json()
    assert answer["status"] == "pending"
    assert answer["text"] == ""


async def test_an_order_to_a_stopped_stream_is_a_conflict_and_waits_for_nobody(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    await live_engine.stop()
    answers = [await order(live_client) for _ in range(70)]
    assert {answer.status_code for answer in answers} == {409}
    assert "while the stream is stopped" in answers[0].json()["detail"]
    await live_engine.ensure_running()
    assert (await written(live_client, (await order(live_client)).headers["location"]))["status"] == "ready"


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
        {"portfolio_data": [{"instrument": "NOBODY-USD", "weight": 0.5}]},
        {"portfolio_data": [{"instrument": "BTC-USD"}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": 0.5, "quantity": 1.0}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": -0.5}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": "0.5"}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": True}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": 0.5, "price": 1.0}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": 0.6}, {"instrument": "ETH-USD", "weight": 0.6}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": 0.1}, {"instrument": "BTC-USD", "weight": 0.1}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": 0.1}, {"instrument": "ETH-USD", "quantity": 1.0}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "weight": 0.0}]},
        {"portfolio_data": [{"instrument": "BTC-USD", "quantity": 1e300}]},
        {"portfolio_data": [{"instrument": f"A{n}", "weight": 0.001} for n in range(201)]},
        {"portfolio_data": {"BTC-USD": 0.5}},
        {"portfolio_data": "BTC-USD"},
        {"context": "x" * 501},
        {"context": 7},
    ],
)
async def test_an_order_for_what_cannot_be_written_is_refused(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    assert (await order(client, **body)).status_code == 422


async def test_too_many_orders_are_put_off_and_forget_none(early_client: httpx2.AsyncClient) -> None:
    answers = [await order(early_client) for _ in range(70)]
    taken = [answer for answer in answers if answer.status_code == 202]
    put_off = [answer for answer in answers if answer.status_code == 429]
    assert len(taken) + len(put_off) == 70
    assert put_off
    assert put_off[0].headers["retry-after"] == "1"
    for answer in taken:
        assert (await early_client.get(answer.headers["location"])).json()["status"] == "pending"


@pytest.mark.parametrize("identifier", ["nobody", "%00", "a%2Fb", "x" * 64])
async def test_an_unknown_id_is_404(client: httpx2.AsyncClient, identifier: str) -> None:
    assert (await client.get(f"/streaming/rationale/{identifier}")).status_code == 404


async def test_the_path_of_the_order_is_no_text(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/streaming/rationale/generate")).status_code == 404


# A caller's own book ----------------------------------------------------------------------------------------------


async def test_a_text_about_your_own_book_says_so_and_uses_your_figures(live_client: httpx2.AsyncClient) -> None:
    book = [{"instrument": "BTC-USD", "weight": 0.6}, {"instrument": "ETH-USD", "weight": 0.3}]
    path = (await order(live_client, portfolio_data=book, context="For a cautious reader.")).headers["location"]
    answer = await written(live_client, path)
    assert answer["status"] == "ready", answer["reason"]
    assert "The weights are as given by the caller." in answer["text"]
    whole = (await live_client.get(path, params={"facts": "all"})).json()["facts"]
    facts = {fact["id"]: fact for fact in whole}
    assert facts["BTC-USD.weight"]["value"] == 60.0
    assert facts["BTC-USD.weight"]["source"] == "portfolio_data"
    assert facts["portfolio.invested"]["value"] == 90.0
    assert "cautious" not in answer["text"]


async def test_quantities_are_weighed_at_fair_values(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    assert live_engine.snapshot is not None
    fair = live_engine.snapshot.fair["fair"]
    book = [{"instrument": name, "quantity": 300.0 / float(fair[name])} for name in ("BTC-USD", "ETH-USD")]
    path = (await order(live_client, portfolio_data=book)).headers["location"]
    answer = await written(live_client, path)
    facts = {fact["id"]: fact["value"] for fact in answer["facts"]}
    assert answer["status"] == "ready", answer["reason"]
    assert facts.get("BTC-USD.weight", 50.0) == 50.0
    assert facts["portfolio.invested"] == 100.0


async def test_an_order_may_leave_out_everything_or_say_that_there_is_nothing(
    early_client: httpx2.AsyncClient,
) -> None:
    nothing = {"subject": None, "portfolio_data": None, "context": None}
    for body in ({}, nothing, {"portfolio_data": [], "context": ""}):
        assert (await order(early_client, **body)).status_code == 202


# Models -----------------------------------------------------------------------------------------------------------


async def test_a_text_says_who_wrote_it_and_who_failed_before(
    make_engine: Callable[..., Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> None:
    engine = make_engine(llm="mock")
    await engine.run_for(1.0)
    async with make_client(create_app(engine)) as client:
        answer = await written(client, (await order(client)).headers["location"])
    await engine.close()
    assert (answer["status"], answer["written_by"]) == ("ready", "mock")
    assert [(attempt["backend"], attempt["outcome"]) for attempt in answer["attempts"]] == [("mock", "written")]


async def test_a_model_server_that_is_away_leaves_a_trace_and_no_secret(
    make_engine: Callable[..., Engine],
    make_client: Callable[[FastAPI], httpx2.AsyncClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk-canary-0123456789abcdef"
    engine = make_engine(llm="openai", llm_model="away", llm_base_url="http://127.0.0.1:9/v1", llm_api_key=key)
    engine.clock.advance(0.0)  # type: ignore[attr-defined]
    await engine.run_for(1.0)
    async with make_client(create_app(engine)) as client:
        path = (await order(client)).headers["location"]
        while (answer := await client.get(path, params={"facts": "all"})).json()["status"] == "pending":
            await asyncio.sleep(0.01)
            engine.clock.advance(0.01)  # type: ignore[attr-defined]
        others = ("/streaming/rationale", "/streaming/events", "/streaming/status", "/streaming/health")
        seen = [answer.text, *[(await client.get(other)).text for other in others]]
    await engine.close()
    outcomes = [(attempt["backend"], attempt["outcome"]) for attempt in answer.json()["attempts"]]
    assert outcomes == [("away", "unreachable"), ("away", "unreachable"), ("narrator", "written")]
    assert answer.json()["written_by"] == "narrator"
    assert key not in "".join(seen) + caplog.text + repr(engine.settings)


async def test_a_text_drafted_by_a_model_server_goes_the_whole_way_to_the_store_without_the_key(
    make_engine: Callable[..., Engine],
    make_client: Callable[[FastAPI], httpx2.AsyncClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk-canary-0123456789abcdef"
    async with ModelServer(models={"good": drafting()}) as models:
        engine = make_engine(llm="openai", llm_model="good", llm_base_url=models.url, llm_api_key=key)
        await engine.run_for(1.0)
        async with make_client(create_app(engine)) as client:
            (text,) = await ordered(client, rationale_type="risk_review", context="Mind the stakes.")
            await kept(engine, text)
            answer = await client.get(f"/streaming/rationale/{text}", params={"facts": "all"})
            listed = await client.get("/streaming/rationale")
        assert await engine.store.rationale(text) == engine.rationale.get(text)
        await engine.close()
    assert (answer.json()["status"], answer.json()["written_by"]) == ("ready", "good")
    assert answer.json()["n_figures"] > 3
    (request,) = models.requests
    assert request.headers["authorization"] == f"Bearer {key}"
    assert request.data["context"] == "Mind the stakes."
    assert key not in answer.text + listed.text + caplog.text + str(request.body)


async def test_a_sessions_own_text_is_not_found_over_the_api(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    own = live_engine.rationale.request(RationaleRequest.of("edge_note"), snapshot=live_engine.snapshot)
    assert (await live_client.get(f"/streaming/rationale/{own}")).status_code == 404
    assert (await live_client.post(f"/streaming/rationale/{own}/cancel")).status_code == 404
    assert (await listing(live_client))["rows"] == []


# Lists ------------------------------------------------------------------------------------------------------------


async def test_the_list_has_what_waits_and_then_what_ended_newest_first(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    ended = await ordered(live_client, 3)
    for each in ended:
        await kept(live_engine, each)
    waiting = [live_engine.rationale.request(RationaleRequest.of("edge_note")) for _ in range(2)]
    rows = (await listing(live_client))["rows"]
    assert [row["id"] for row in rows] == [*waiting[::-1], *ended[::-1]]
    assert [row["status"] for row in rows] == ["pending"] * 2 + ["ready"] * 3
    assert rows[-1]["headline"]


async def test_pages_of_any_size_hold_every_text_once(client: httpx2.AsyncClient, live_engine: Engine) -> None:
    app = create_app(live_engine)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost:8000") as own:
        ended = await ordered(own, 4)
        for each in ended:
            await kept(live_engine, each)
        live_engine.rationale._in_flight = 0  # nobody takes up what waits
        waiting = await ordered(own, 3)
        for limit in (1, 2, 3, 4, 7, 8, 1000):
            found = await pages(own, limit=limit)
            assert [each for page in found for each in page] == [*waiting[::-1], *ended[::-1]]
        assert await pages(own, limit=2, status="pending") == [waiting[:0:-1], waiting[:1]]
        assert await pages(own, limit=3, status="pending") == [waiting[::-1]]
        assert await pages(own, limit=4, status="ready") == [ended[::-1]]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_texts_that_end_between_pages_are_neither_skipped_nor_sent_twice(
    live_client: httpx2.AsyncClient, live_engine: Engine, limit: int
) -> None:
    ended = await ordered(live_client, 2)
    for each in ended:
        await kept(live_engine, each)
    live_engine.rationale._in_flight = 0  # nobody takes up what waits
    waiting = await ordered(live_client, 5)
    left = list(waiting)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await listing(live_client, limit=limit, **cursor)
        seen += [row["id"] for row in page["rows"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        # The newest that wait end, the oldest that waits too, and another is ordered and ends at once.
        ends = dict.fromkeys([*left[-2:], *left[:1], *await ordered(live_client)])
        left = [each for each in left if each not in ends]
        for each in ends:
            await live_engine.rationale.cancel(each)
            await kept(live_engine, each)
    assert seen == [*waiting[::-1], *ended[::-1]]


async def test_those_that_wait_are_cut_by_their_order_whatever_ends_between_pages(
    early_client: httpx2.AsyncClient,
) -> None:
    waiting = await ordered(early_client, 5)
    first = await listing(early_client, limit=2, status="pending")
    for each in waiting[-2:]:
        await early_client.post(f"/streaming/rationale/{each}/cancel")
    second = await listing(early_client, limit=2, status="pending", cursor=first["next_cursor"])
    third = await listing(early_client, limit=2, status="pending", cursor=second["next_cursor"])
    assert [[row["id"] for row in page["rows"]] for page in (first, second, third)] == [
        waiting[:2:-1],
        waiting[2:0:-1],
        waiting[:1],
    ]


async def test_a_text_that_has_ended_and_is_not_in_the_store_yet_is_listed_once(
    live_client: httpx2.AsyncClient, live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(live_engine.rationale, "_on_finished", None)
        (untold,) = await ordered(live_client)
        await written(live_client, f"/streaming/rationale/{untold}")
    (told,) = await ordered(live_client)
    await kept(live_engine, told)
    assert await pages(live_client, limit=1) == [[untold], [told]]


async def test_a_list_touches_no_fact_of_any_text(
    live_client: httpx2.AsyncClient, live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A text has hundreds: to convert them for a hundred rows held every other answer up for a third of a second.
    ended = await ordered(live_client, 3)
    for each in ended:
        await kept(live_engine, each)

    def touched(*_: Any) -> None:
        raise AssertionError("a whole text was converted")

    monkeypatch.setattr(Rationale, "to_json", touched)
    monkeypatch.setattr(Rationale, "from_json", touched)
    rows = (await listing(live_client))["rows"]
    assert [row["id"] for row in rows] == ended[::-1]
    assert all(row["headline"] and row["n_figures"] for row in rows)


async def test_the_list_is_told_apart_by_type_and_status(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    (summary,) = await ordered(live_client)
    (note,) = await ordered(live_client, rationale_type="edge_note")
    for each in (summary, note):
        await kept(live_engine, each)
    assert [row["id"] for row in (await listing(live_client, rationale_type="edge_note"))["rows"]] == [note]
    assert [row["id"] for row in (await listing(live_client, status="ready"))["rows"]] == [note, summary]
    assert (await listing(live_client, status="cancelled"))["rows"] == []
    assert (await listing(live_client, rationale_type="edge_note", status="pending"))["rows"] == []


@pytest.mark.parametrize(
    "query", [{"rationale_type": "poem"}, {"status": "lost"}, {"limit": 0}, {"cursor": "x"}, {"kind": "edge_note"}]
)
async def test_a_list_that_cannot_be_is_refused(client: httpx2.AsyncClient, query: dict[str, Any]) -> None:
    assert (await client.get("/streaming/rationale", params=query)).status_code == 422


async def test_a_text_that_the_service_has_forgotten_is_read_from_the_store(
    live_client: httpx2.AsyncClient, live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await ordered(live_client)
    await kept(live_engine, first)
    path = f"/streaming/rationale/{first}"
    before = (await live_client.get(path, params={"facts": "all"})).json()
    monkeypatch.setattr(live_engine.rationale, "_texts", type(live_engine.rationale._texts)())
    with pytest.raises(NotFoundError):
        live_engine.rationale.get(first)
    assert (await live_client.get(path, params={"facts": "all"})).json() == before
    assert (await live_client.post(f"{path}/cancel")).status_code == 409


# Cancelling -------------------------------------------------------------------------------------------------------


async def test_an_order_that_waits_is_called_off_once(
    early_client: httpx2.AsyncClient, live_client: httpx2.AsyncClient
) -> None:
    (waiting,) = await ordered(early_client)
    answer = await early_client.post(f"/streaming/rationale/{waiting}/cancel")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["reason"]) == ("cancelled", "cancelled on request")
    again = await early_client.post(f"/streaming/rationale/{waiting}/cancel")
    assert again.status_code == 409
    assert "is cancelled already" in again.json()["detail"]
    assert (await live_client.post("/streaming/rationale/nobody/cancel")).status_code == 404


async def test_what_is_written_cannot_be_called_off(live_client: httpx2.AsyncClient) -> None:
    path = (await order(live_client)).headers["location"]
    await written(live_client, path)
    assert (await live_client.post(f"{path}/cancel")).status_code == 409


# Feedback ---------------------------------------------------------------------------------------------------------


async def test_feedback_is_kept_and_given_back_oldest_first(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    (text,) = await ordered(live_client)
    await kept(live_engine, text)
    path = f"/streaming/rationale/{text}/feedback"
    bad = await live_client.post(path, json={"rating": -1, "reason": "unclear", "comment": "Which\nvenue\u202e\u0000?"})
    assert bad.status_code == 201
    assert bad.json()["comment"] == "Which venue?"
    assert (await live_client.post(path, json={"rating": 1})).status_code == 201
    answer = (await live_client.get(path)).json()
    assert answer["count"] == 2
    assert [(given["rating"], given["reason"]) for given in answer["feedback"]] == [(-1, "unclear"), (1, "other")]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rating": 2},
        {"rating": 0.5},
        {"rating": "1"},
        {"rating": None},
        {"rating": 1, "reason": "boring"},
        {"rating": 1, "comment": "x" * 501},
        {"rating": 1, "stars": 5},
    ],
)
async def test_feedback_that_cannot_be_is_refused(
    live_client: httpx2.AsyncClient, live_engine: Engine, body: dict[str, Any]
) -> None:
    (text,) = await ordered(live_client)
    await kept(live_engine, text)
    answer = await live_client.post(f"/streaming/rationale/{text}/feedback", json=body)
    assert answer.status_code == 422


async def test_feedback_needs_a_text_that_has_ended_and_is_kept(
    early_client: httpx2.AsyncClient,
    live_client: httpx2.AsyncClient,
    live_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (waiting,) = await ordered(early_client)
    assert (await early_client.post(f"/streaming/rationale/{waiting}/feedback", json={"rating": 1})).status_code == 409
    assert (await live_client.post("/streaming/rationale/nobody/feedback", json={"rating": 1})).status_code == 404
    assert (await live_client.get("/streaming/rationale/nobody/feedback")).status_code == 404
    path = (await order(live_client)).headers["location"]
    await written(live_client, path)

    async def away(_: Any) -> None:
        raise NotFoundError("no rationale")

    monkeypatch.setattr(live_engine.store, "save_feedback", away)
    soon = await live_client.post(f"{path}/feedback", json={"rating": 1})
    assert soon.status_code == 503
    assert soon.headers["retry-after"]


async def test_while_the_store_is_away_the_newest_texts_are_still_read(
    live_client: httpx2.AsyncClient, live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (await order(live_client)).headers["location"]
    await written(live_client, path)

    async def away(*_: Any, **__: Any) -> None:
        raise TransientError("the store is busy")

    for name in ("rationale", "rationales", "feedback", "save_feedback"):
        monkeypatch.setattr(live_engine.store, name, away)
    assert (await live_client.get(path)).status_code == 200
    assert (await live_client.get("/streaming/rationale")).status_code == 503
    assert (await live_client.get("/streaming/rationale/nobody")).status_code == 503
    assert (await live_client.get(f"{path}/feedback")).status_code == 503
