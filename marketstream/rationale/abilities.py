"""Abilities: what is known of servers with OpenAI's chat completions, by name or usual port. Used by backends.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit


class Format(StrEnum):
    """How a server can be held to JSON."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    PLAIN = "text"


SIMPLER: Mapping[Format, Format] = {Format.SCHEMA: Format.OBJECT, Format.OBJECT: Format.PLAIN}
"""What to ask of a server that refuses a format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a server understands.

    Attributes:
        format: Its best way to be held to JSON; a server that is not known gets none, the rules ask for it.
        limit: Name of the parameter that bounds the answer.
        max_tokens: That bound.
        temperature: Whether it takes one; models that reason refuse it.
    """

    format: Format = Format.PLAIN
    limit: str = "max_tokens"
    max_tokens: int = 1200
    temperature: bool = True


_OPENAI = Abilities(format=Format.SCHEMA, limit="max_completion_tokens")
# Reasoning is counted as part of the answer.
_REASONING = Abilities(format=Format.SCHEMA, limit="max_completion_tokens", max_tokens=6000, temperature=False)
_KNOWN: Mapping[str, Abilities] = {
    "api.openai.com": _OPENAI,
    "openrouter.ai": Abilities(format=Format.OBJECT),
    "api.mistral.ai": Abilities(format=Format.SCHEMA),
    "api.groq.com": Abilities(format=Format.OBJECT),
    "api.together.xyz": Abilities(format=Format.OBJECT),
    "api.deepseek.com": Abilities(format=Format.OBJECT),
}
_KNOWN_PORTS: Mapping[int, Abilities] = {
    11434: Abilities(format=Format.SCHEMA),  # Ollama
    8080: Abilities(format=Format.SCHEMA),  # llama.cpp
    8000: Abilities(format=Format.SCHEMA),  # vLLM
    1234: Abilities(format=Format.SCHEMA),  # LM Studio
}


def abilities_of(base_url: str, model: str) -> Abilities:
    """Return what the server at `base_url` understands, by its name or, for local ones, its usual port.

    >>> abilities_of("http://127.0.0.1:11434/v1", "llama3.2").format.value
    'json_schema'
    """
    url = urlsplit(base_url)
    known = _KNOWN.get(url.hostname or "") or _KNOWN_PORTS.get(url.port or 0, Abilities())
    if known is _OPENAI and model.startswith(("o1", "o3", "o4", "gpt-5")):
        return _REASONING
    return known
