"""The one shape of an error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.api.errors import MAX_TEXT, Problem, clean, instance_of, problem


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=400))
def test_any_text_becomes_printable_valid_and_short(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= MAX_TEXT
    assert cleaned.isprintable()
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 415, 422, 429, 500])
def test_a_problem_is_of_its_media_type_and_says_its_status(status: int) -> None:
    answer = problem("/markets", status, "no", [{"pointer": "/query/limit", "detail": "too small"}])
    body = Problem.model_validate(json.loads(bytes(answer.body)))
    assert answer.media_type == "application/problem+json"
    assert answer.status_code == body.status == status
    assert body.type.startswith("urn:marketstream:problem:")
    assert body.title


def test_the_type_names_the_class_of_error_not_the_case() -> None:
    one, other = (json.loads(bytes(problem("/x", 404, detail).body)) for detail in ("no a", "no b"))
    assert one["type"] == other["type"] == "urn:marketstream:problem:not-found"


def test_the_instance_is_the_path_as_it_came_without_its_query() -> None:
    assert instance_of({"raw_path": b"/markets/a%2Fb?secret=1"}) == "/markets/a%2Fb"
    assert instance_of({"path": "/markets"}) == "/markets"
