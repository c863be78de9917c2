"""What `marketstream serve` says of itself when it has started."""

from __future__ import annotations

import pytest

from marketstream.cli.serve import writers
from marketstream.engine import Engine
from marketstream.settings import load_settings

KEYED = {"llm": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "sk-canary"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "the narrator alone; MARKETSTREAM_LLM is none"),
        ({"llm": "mock"}, "mock; then the narrator"),
        (KEYED, "gpt-4o-mini; then the narrator"),
    ],
)
async def test_the_start_says_who_writes_the_texts_and_shows_no_key(settings: dict[str, str], words: str) -> None:
    engine = Engine(load_settings(warmup_s=0, store_url="memory", **settings))
    assert writers(engine) == words
    await engine.close()
