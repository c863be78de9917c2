"""Abilities: what is known of servers with OpenAI's chat completions, by name or usual port. Used by backends.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit


class Format(StrEnum):
    """How a server can be held to JSON, from the strictest to the simplest."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    PLAIN = "text"


_LADDER = tuple(Format)


class Formats:
    """Which formats to ask a server for, in order, as learned of what it took and what it refused.

    What is known of a server is a guess where only its port is known, so one that refuses a request is asked simpler.
    A request can be refused for another cause too (a prompt too long for the model): what counts is what was taken.

    Args:
        best: What the server is thought to understand.

    >>> formats = Formats(Format.SCHEMA)
    >>> [each.value for each in formats.to_ask()]
    ['json_schema', 'json_object', 'text']
    >>> formats.took(Format.OBJECT)
    >>> [each.value for each in formats.to_ask()]
    ['json_object']
    """

    def __init__(self, best: Format) -> None:
        self._best = best
        # Whether it took the best one when last asked; False where it refused all, None where that is not known.
        self._takes: bool | None = None

    def to_ask(self) -> tuple[Format, ...]:
        """Return the formats to try at one text, each only where the one before was refused."""
        if self._takes:
            return (self._best,)
        if self._takes is None:
            return _LADDER[_LADDER.index(self._best) :]
        return (Format.PLAIN,)

    def took(self, held_to: Format) -> None:
        """Note that the server answered when asked for this one."""
        if self._takes is False:
            # What it refused before had another cause, so nothing was learned of formats.
            self._takes = None
        else:
            self._best, self._takes = held_to, True

    def refused(self) -> None:
        """Note that the server refused all that it was asked for."""
        self._takes = None if self._takes else False


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
