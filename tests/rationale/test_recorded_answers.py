"""Recorded answers of real model servers, served from loopback whole and in pieces: read right, or a typed error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import model_server as server
import pytest
from model_server import ModelServer
from snapshot_factory import World, random_snapshot

from marketstream.clock import SystemClock
from marketstream.market.rationale import Outcome, Rationale, RationaleStatus
from marketstream.rationale.backends import OpenAIBackend
from marketstream.rationale.chain import Chain
from marketstream.rationale.completions import BackendError
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.narrator import narrate

FILES = {
    "anthropic_messages_sse": 1,
    "azure_content_filter_json": 4,
    "groq_chat_sse": 1,
    "groq_error_400_tool_use_failed": 3,
    "mistral_chat_sse": 1,
    "ollama_native_json": 1,
    "ollama_native_ndjson": 1,
    "ollama_v1_json": 1,
    "openai_chat_json": 4,
    "openai_chat_sse": 3,
    "openai_tool_call_sse": 1,
    "openai_tool_call_sse_finish_missing": 2,
    "openrouter_error_429": 3,
    "together_chat_json_finish_eos": 1,
}
CASES = [(name, number) for name, count in FILES.items() for number in range(count)]


def recorded(data: Path, name: str, number: int) -> dict[str, Any]:
    interactions = json.loads((data / "llm" / f"{name}.json").read_text(encoding="utf-8"))["interactions"]
    assert len(interactions) == FILES[name]
    return dict(interactions[number])


def played(interaction: dict[str, Any], piece: int, *, half: bool = False) -> server.Play:
    response = interaction["response"]
    body = response["body"] if isinstance(response["body"], str) else json.dumps(response["body"])
    content = body.encode()
    kind = response["headers"].get("content-type", "application/json")
    if not half:
        return server.sending(content, status=response["status"], kind=kind, piece=piece)

    async def play(request: server.Request, send: server.Send) -> None:
        await send(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n".encode())
        await send(content[: len(content) // 2])
        raise ConnectionAbortedError

    return play


def expected(interaction: dict[str, Any]) -> str | Outcome:
    """Return the text of an answer of our shape, else the error that it must be."""
    wanted, status = interaction["expected"], interaction["response"]["status"]
    if status != 200:
        return Outcome.RATE_LIMITED if status == 429 else Outcome.REJECTED
    if wanted["kind"] != "json":
        return Outcome.MALFORMED  # a stream, which nobody asked for
    if wanted["finish"] == "content_filter":
        return Outcome.FILTERED
    if "/api/chat" in interaction["request"]["uri"] or not wanted["text"]:
        return Outcome.EMPTY  # another shape, or a tool call without a text
    return str(wanted["text"])


async def answered(play: server.Play) -> str | Outcome:
    async with ModelServer(models={"recorded": play}) as running:
        backend = OpenAIBackend("recorded", base_url=running.url)
        try:
            return await backend.complete([{"role": "user", "content": "x"}], deadline_s=15.0)
        except BackendError as error:
            return error.outcome
        finally:
            await backend.close()
            assert len(running.requests) == 1


@pytest.mark.parametrize("piece", [0, 7, 1])
@pytest.mark.parametrize(("name", "number"), CASES)
async def test_a_recorded_answer_is_read_right_in_pieces_of_any_size(
    shared_data: Path, name: str, number: int, piece: int
) -> None:
    interaction = recorded(shared_data, name, number)
    assert await answered(played(interaction, piece)) == expected(interaction)


@pytest.mark.parametrize(("name", "number"), CASES)
async def test_a_recorded_answer_that_breaks_off_in_the_middle_is_a_lost_connection(
    shared_data: Path, name: str, number: int
) -> None:
    interaction = recorded(shared_data, name, number)
    assert await answered(played(interaction, 0, half=True)) is Outcome.UNREACHABLE


@pytest.mark.parametrize(("name", "number"), CASES)
async def test_after_any_recorded_answer_the_narrator_writes_without_a_storm(
    shared_data: Path, name: str, number: int
) -> None:
    interaction = recorded(shared_data, name, number)
    sheet = fact_sheet(random_snapshot(World(seed=3)), "portfolio_summary")
    text = Rationale(id="r-1", kind=sheet.kind, status=RationaleStatus.PENDING, created_at=0, facts=sheet.facts)
    async with ModelServer(models={"recorded": played(interaction, 0)}) as running:
        backend = OpenAIBackend("recorded", base_url=running.url)
        done = await Chain(SystemClock(), [backend], pause_s=0.0).written(text, sheet)
        await backend.close()
    assert done.written_by == "narrator"
    assert done.text == narrate(sheet).render_text()[0]
    assert 1 <= len(running.requests) <= 2
    assert len(running.requests) == len(done.attempts) - 1
