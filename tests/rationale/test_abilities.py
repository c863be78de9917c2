"""What a server understands is known by its name or its usual port; of any other nothing is taken for granted."""

from __future__ import annotations

import pytest

from marketstream.rationale.abilities import Format, Formats, abilities_of


@pytest.mark.parametrize("port", [11434, 8080, 8000, 1234])
def test_local_servers_are_known_by_their_usual_ports(port: int) -> None:
    able = abilities_of(f"http://127.0.0.1:{port}/v1", "llama3.2")
    assert (able.format, able.limit, able.temperature) == (Format.SCHEMA, "max_tokens", True)


def test_openai_bounds_answers_by_another_name() -> None:
    able = abilities_of("https://api.openai.com/v1", "gpt-4o-mini")
    assert (able.format, able.limit, able.temperature) == (Format.SCHEMA, "max_completion_tokens", True)


@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini", "gpt-5", "gpt-5-mini"])
def test_models_that_reason_get_room_for_it_and_no_temperature(model: str) -> None:
    able = abilities_of("https://api.openai.com/v1", model)
    assert not able.temperature
    assert able.max_tokens > 4 * abilities_of("https://api.openai.com/v1", "gpt-4o").max_tokens


def test_a_name_counts_at_its_own_server_only() -> None:
    assert abilities_of("http://127.0.0.1:11434/v1", "gpt-5-mini").temperature
    assert abilities_of("https://api.openai.com.example.org/v1", "gpt-5").format is Format.PLAIN


def test_of_an_unknown_server_nothing_is_taken_for_granted() -> None:
    assert abilities_of("https://models.example.org/v1", "x").format is Format.PLAIN


@pytest.mark.parametrize("best", Format)
def test_every_format_leads_to_the_plainest(best: Format) -> None:
    assert Formats(best).to_ask()[0] is best
    assert Formats(best).to_ask()[-1] is Format.PLAIN


def test_a_simpler_format_is_kept_once_it_was_taken_and_not_before() -> None:
    formats = Formats(Format.SCHEMA)
    formats.refused()
    assert formats.to_ask() == (Format.PLAIN,)
    formats.took(Format.PLAIN)
    assert formats.to_ask() == tuple(Format)
    formats.took(Format.OBJECT)
    assert formats.to_ask() == (Format.OBJECT,)


def test_a_server_that_takes_a_format_no_more_is_asked_simpler_at_the_next_text() -> None:
    formats = Formats(Format.OBJECT)
    formats.took(Format.OBJECT)
    formats.refused()
    assert formats.to_ask() == (Format.OBJECT, Format.PLAIN)
