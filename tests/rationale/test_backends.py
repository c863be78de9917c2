"""The real SDK against a server on loopback: whatever the server does ends in a draft or in a typed error, in time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import model_server as server
import pytest
from model_server import ModelServer
from pydantic import SecretStr
from snapshot_factory import World, random_snapshot

from marketstream.errors import ConfigurationError
from marketstream.market.rationale import FactSheet, Outcome
from marketstream.rationale.abilities import Abilities, Format
from marketstream.rationale.backends import MAX_ANSWER_BYTES, MockBackend, OpenAIBackend, make_backends, mock_draft
from marketstream.rationale.completions import BackendError
from marketstream.rationale.draft import SCHEMA, DraftError, RationaleDraft
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.slots import Slots

CANARY = "sk-canary-0123456789abcdef"
IN_TIME_S = 15.0
"""A real answer on loopback takes milliseconds; the first also imports the SDK, on a busy machine for seconds."""


@pytest.fixture
def sheet() -> FactSheet:
    return fact_sheet(random_snapshot(World(seed=3, n_assets=7, n_markets=3)), "portfolio_summary")


FAULTS: dict[str, tuple[server.Play, Outcome]] = {
    "html": (server.sending("<html>Welcome</html>", kind="text/html"), Outcome.MALFORMED),
    "half-json": (server.sending('{"choices": [{"message": {"content"'), Outcome.MALFORMED),
    "not-utf8": (server.sending(b'{"choices": "\xff\xfe"}'), Outcome.MALFORMED),
    "deep": (server.sending("[" * 100_000), Outcome.MALFORMED),
    "nothing": (server.sending(""), Outcome.MALFORMED),
    "list": (server.sending("[]"), Outcome.MALFORMED),
    "other-shape": (server.sending('{"choices": {"0": 1}}'), Outcome.MALFORMED),
    "content-parts": (server.sending('{"choices": [{"message": {"content": [{"text": "x"}]}}]}'), Outcome.MALFORMED),
    "no-choices": (server.sending('{"choices": []}'), Outcome.EMPTY),
    "null-choices": (server.sending('{"choices": null, "error": {"message": "overloaded"}}'), Outcome.EMPTY),
    "native-ollama": (server.sending('{"message": {"content": "x"}, "done": true}'), Outcome.EMPTY),
    "no-message": (server.sending('{"choices": [{"finish_reason": "stop"}]}'), Outcome.EMPTY),
    "no-text": (server.saying(None), Outcome.EMPTY),
    "tool-call": (server.saying(None, finish="tool_calls", tool_calls=[]), Outcome.EMPTY),
    "filtered": (server.sending('{"choices": [{"finish_reason": "content_filter"}]}'), Outcome.FILTERED),
    "refusal": (server.saying(None, refusal="I cannot help with that"), Outcome.FILTERED),
    "cut": (server.saying('{"headline": "The', finish="length"), Outcome.CUT),
    "400": (server.failing(400), Outcome.REJECTED),
    "401": (server.failing(401), Outcome.REJECTED),
    "404": (server.failing(404), Outcome.REJECTED),
    "422": (server.failing(422), Outcome.REJECTED),
    "429": (server.failing(429, retry_after="120"), Outcome.RATE_LIMITED),
    "500": (server.failing(500), Outcome.SERVER_ERROR),
    "503": (server.failing(503, retry_after="120"), Outcome.SERVER_ERROR),
    "redirect": (server.sending("", status=307, location="http://127.0.0.1:9/v1"), Outcome.REJECTED),
    "broken-off": (server.breaking_off, Outcome.UNREACHABLE),
    "closed-early": (server.closing_early, Outcome.MALFORMED),
    "flood": (server.flooding, Outcome.TOO_LARGE),
    "flood-error": (server.flooding_error, Outcome.TOO_LARGE),
    "gzip": (
        server.sending(gzip.compress(b" " * 10_000_000), content_encoding="gzip"),
        Outcome.TOO_LARGE,
    ),
}


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    plays = {name: play for name, (play, _) in FAULTS.items()}
    plays |= {"good": server.drafting(), "hang": server.hanging, "drip": server.dripping}
    async with ModelServer(models=plays) as running:
        yield running


async def drafted(
    models: ModelServer, model: str, sheet: FactSheet, *, deadline_s: float = IN_TIME_S, **options: Any
) -> RationaleDraft:
    backend = OpenAIBackend(model, base_url=models.url, api_key=SecretStr(CANARY), **options)
    try:
        return await backend.draft(sheet, deadline_s=deadline_s)
    finally:
        await backend.close()


async def test_a_good_answer_is_a_draft_that_can_be_filled(models: ModelServer, sheet: FactSheet) -> None:
    draft = await drafted(models, "good", sheet)
    assert Slots(sheet).fill(draft).render_text()[0]


@pytest.mark.parametrize("name", FAULTS)
async def test_every_fault_is_a_typed_error_after_a_single_request(
    models: ModelServer, sheet: FactSheet, name: str
) -> None:
    with pytest.raises(BackendError) as caught:
        await drafted(models, name, sheet)
    assert caught.value.outcome is FAULTS[name][1]
    assert len(models.requests) == 1


@pytest.mark.parametrize("name", ["hang", "drip"])
async def test_the_deadline_counts_the_whole_answer_not_a_single_read(
    models: ModelServer, sheet: FactSheet, name: str
) -> None:
    await drafted(models, "good", sheet)  # the SDK is imported
    began = asyncio.get_running_loop().time()
    with pytest.raises(BackendError) as caught:
        await drafted(models, name, sheet, deadline_s=0.3)
    assert caught.value.outcome is Outcome.TIMEOUT
    assert asyncio.get_running_loop().time() - began < 5.0


async def test_without_our_deadline_a_dripping_server_would_hold_us(models: ModelServer) -> None:
    # The planted twin: the SDK's own timeout is for each read, so it never fires here.
    import openai

    async with openai.AsyncOpenAI(base_url=models.url, api_key="x", timeout=0.1, max_retries=0) as client:
        asking = asyncio.ensure_future(client.chat.completions.create(model="drip", messages=[]))
        done, _ = await asyncio.wait({asking}, timeout=1.0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert not done


async def test_nobody_listening_is_unreachable(sheet: FactSheet) -> None:
    async with ModelServer(models={}) as gone:
        url = gone.url
    backend = OpenAIBackend("good", base_url=url)
    with pytest.raises(BackendError) as caught:
        await backend.draft(sheet, deadline_s=IN_TIME_S)
    await backend.close()
    assert caught.value.outcome is Outcome.UNREACHABLE


async def test_an_answer_that_is_no_draft_is_a_draft_error(models: ModelServer, sheet: FactSheet) -> None:
    models.models = {"poet": server.saying("Roses are red")}
    with pytest.raises(DraftError) as caught:
        await drafted(models, "poet", sheet)
    assert caught.value.malformed


async def test_an_answer_in_single_bytes_is_read_whole(models: ModelServer) -> None:
    text = '{"headline": "Ünïcødé 😀"}'
    body = json.dumps({"choices": [{"message": {"content": text}}]}, ensure_ascii=False)
    models.models = {"pieces": server.sending(body, piece=1)}
    backend = OpenAIBackend("pieces", base_url=models.url)
    assert await backend.complete([{"role": "user", "content": "x"}], deadline_s=IN_TIME_S) == text
    await backend.close()


async def test_an_answer_up_to_the_bound_is_read(models: ModelServer) -> None:
    fits = json.dumps({"choices": [{"message": {"content": "x"}}]}).ljust(MAX_ANSWER_BYTES)
    models.models = {"fits": server.sending(fits), "over": server.sending(fits + " ")}
    for model in ("fits", "over"):
        backend = OpenAIBackend(model, base_url=models.url)
        try:
            assert await backend.complete([], deadline_s=IN_TIME_S) == "x"
            assert model == "fits"
        except BackendError as error:
            assert (model, error.outcome) == ("over", Outcome.TOO_LARGE)
        finally:
            await backend.close()


async def test_the_request_is_cold_bounded_and_held_to_the_schema(models: ModelServer, sheet: FactSheet) -> None:
    await drafted(models, "good", sheet, abilities=Abilities(format=Format.SCHEMA, max_tokens=700))
    await drafted(models, "good", sheet, abilities=Abilities(format=Format.OBJECT))
    await drafted(models, "good", sheet)
    held, loose, plain = (request.body for request in models.requests)
    assert held["temperature"] == 0
    assert held["max_tokens"] == 700
    assert held["response_format"]["json_schema"]["schema"] == SCHEMA
    assert loose["response_format"] == {"type": "json_object"}
    assert "response_format" not in plain
    assert "stream" not in held
    assert "tools" not in held


@pytest.mark.parametrize("known", [("json_object",), ()])
async def test_a_server_that_refuses_a_format_is_asked_simpler_and_that_is_remembered(
    models: ModelServer, sheet: FactSheet, known: tuple[str, ...]
) -> None:
    async def play(request: server.Request, send: server.Send) -> None:
        asked = request.body.get("response_format", {}).get("type")
        await (server.drafting() if asked in (None, *known) else server.failing(400))(request, send)

    models.models = {"old": play}
    backend = OpenAIBackend("old", base_url=models.url, abilities=Abilities(format=Format.SCHEMA))
    first = await backend.draft(sheet, deadline_s=IN_TIME_S)
    n_first = len(models.requests)
    assert await backend.draft(sheet, deadline_s=IN_TIME_S) == first
    await backend.close()
    assert n_first == 3 - len(known)
    assert len(models.requests) == n_first + 1


async def test_a_server_that_refuses_every_format_is_rejected_and_asked_once_after_that(
    models: ModelServer, sheet: FactSheet
) -> None:
    backend = OpenAIBackend("400", base_url=models.url, abilities=Abilities(format=Format.SCHEMA))
    for n_requests in (3, 4):
        with pytest.raises(BackendError) as caught:
            await backend.draft(sheet, deadline_s=IN_TIME_S)
        assert caught.value.outcome is Outcome.REJECTED
        assert len(models.requests) == n_requests
    await backend.close()


async def test_a_single_refused_request_changes_nothing_for_the_texts_after_it(
    models: ModelServer, sheet: FactSheet
) -> None:
    # A 400 for another cause, such as a prompt that is too long: the server knows schemas as before.
    backend = OpenAIBackend("now-and-then", base_url=models.url, abilities=Abilities(format=Format.SCHEMA))
    plays = [server.failing(400)] * 3 + [server.drafting()] * 3 + [server.failing(400)] + [server.drafting()]
    asked = []

    async def play(request: server.Request, send: server.Send) -> None:
        asked.append(request.body.get("response_format", {}).get("type"))
        await plays.pop(0)(request, send)

    models.models = {"now-and-then": play}
    counts = []
    while plays:
        before = len(asked)
        with contextlib.suppress(BackendError):
            await backend.draft(sheet, deadline_s=IN_TIME_S)
        counts.append(len(asked) - before)
    await backend.close()
    # All forms refused; one that is asked the simplest way and answers; from then on the schema, once a text.
    assert counts == [3, 1, 1, 1, 1, 1]
    assert asked[3:] == [None, *["json_schema"] * 4]


async def test_variables_of_the_environment_change_nothing(
    models: ModelServer, sheet: FactSheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "x-secret: elsewhere")
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await drafted(models, "good", sheet)
    (request,) = models.requests
    assert "elsewhere" not in json.dumps(dict(request.headers))
    assert request.headers["authorization"] == f"Bearer {CANARY}"


async def test_without_a_key_nothing_is_sent_in_its_place(models: ModelServer, sheet: FactSheet) -> None:
    backend = OpenAIBackend("good", base_url=models.url)
    await backend.draft(sheet, deadline_s=IN_TIME_S)
    await backend.close()
    assert "authorization" not in models.requests[0].headers


def test_one_backend_works_on_one_loop_after_another(sheet: FactSheet) -> None:
    backend = OpenAIBackend("good")

    async def once() -> RationaleDraft:
        async with ModelServer(models={"good": server.drafting()}) as running:
            own = OpenAIBackend("good", base_url=running.url)
            shared = backend
            shared._base_url = running.url
            try:
                assert await own.draft(sheet, deadline_s=IN_TIME_S) == await shared.draft(sheet, deadline_s=IN_TIME_S)
                return await shared.draft(sheet, deadline_s=IN_TIME_S)
            finally:
                await own.close()
                await shared.close()

    assert asyncio.run(once()) == asyncio.run(once())


async def test_many_first_callers_share_one_client_and_one_may_give_up(models: ModelServer, sheet: FactSheet) -> None:
    backend = OpenAIBackend("good", base_url=models.url)
    first = asyncio.ensure_future(backend.draft(sheet, deadline_s=IN_TIME_S))
    others = [asyncio.ensure_future(backend.draft(sheet, deadline_s=IN_TIME_S)) for _ in range(4)]
    await asyncio.sleep(0)
    first.cancel()
    drafts = await asyncio.gather(*others)
    assert len({draft.headline for draft in drafts}) == 1
    assert first.cancelled() or first.done()
    await backend.close()


async def test_closing_lets_go_of_every_connection(models: ModelServer, sheet: FactSheet) -> None:
    await drafted(models, "good", sheet)
    for _ in range(100):
        if not models.open:
            break
        await asyncio.sleep(0)
    assert models.open == 0
    await OpenAIBackend("good").close()


@pytest.mark.parametrize("name", ["good", *FAULTS])
async def test_the_key_is_in_the_one_header_and_nowhere_else(
    models: ModelServer, sheet: FactSheet, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = [repr(OpenAIBackend(name, base_url=models.url, api_key=SecretStr(CANARY)))]
    try:
        await drafted(models, name, sheet)
    except BackendError as error:
        seen += [str(error), repr(error), repr(error.__cause__), repr(error.__context__)]
    (request,) = models.requests
    assert request.headers.pop("authorization") == f"Bearer {CANARY}"  # type: ignore[attr-defined]
    seen += [json.dumps(request.body), json.dumps(dict(request.headers)), request.path, caplog.text]
    assert not [text for text in seen if CANARY in text]


async def test_a_prompt_that_is_too_long_is_not_sent(models: ModelServer, sheet: FactSheet) -> None:
    backend = OpenAIBackend("good", base_url=models.url)
    with pytest.raises(BackendError) as caught:
        await backend.draft(sheet, deadline_s=IN_TIME_S, context="x" * 30_000)
    assert caught.value.outcome is Outcome.TOO_LARGE
    assert not models.requests


async def test_the_mock_drafts_the_same_sheet_the_same_way(sheet: FactSheet) -> None:
    first, second = MockBackend(), MockBackend()
    draft = await first.draft(sheet, deadline_s=1.0)
    assert draft == await second.draft(sheet, deadline_s=1.0) == mock_draft(sheet)
    assert len(draft.points) > 3


async def test_the_mock_misbehaves_as_told_and_then_no_more(sheet: FactSheet) -> None:
    odd = RationaleDraft(headline="Nothing", points=("{x}",))
    backend = MockBackend(name="odd", answers=[BackendError(Outcome.CUT, "cut"), odd])
    with pytest.raises(BackendError, match="cut"):
        await backend.draft(sheet, deadline_s=1.0)
    assert await backend.draft(sheet, deadline_s=1.0) == odd
    assert await backend.draft(sheet, deadline_s=1.0) == mock_draft(sheet)


def test_backends_are_made_as_the_settings_say() -> None:
    assert make_backends("none") == ()
    assert [b.name for b in make_backends("mock")] == ["mock"]
    assert [b.name for b in make_backends("openai", model="llama3.2")] == ["llama3.2"]
    with pytest.raises(ConfigurationError, match="llm_model"):
        make_backends("openai")
    with pytest.raises(ConfigurationError, match="none, mock or openai"):
        make_backends("poet")
