"""An answer is a text or a named fault; the message of a fault holds nothing of the answer."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.market.rationale import Outcome
from marketstream.rationale.completions import BackendError, answer_text, status_fault


def body(**choice: Any) -> bytes:
    return json.dumps({"choices": [choice]}).encode()


@pytest.mark.parametrize("finish", ["stop", "eos", "end_turn", None])
def test_a_text_is_read_however_its_end_is_called(finish: str | None) -> None:
    assert answer_text(body(message={"content": "a"}, finish_reason=finish)) == "a"
    assert answer_text(body(message={"content": "a"})) == "a"


def test_the_first_choice_counts() -> None:
    choices = [{"message": {"content": "a"}}, {"message": {"content": "b"}}]
    assert answer_text(json.dumps({"choices": choices}).encode()) == "a"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"<html>secret</html>", Outcome.MALFORMED),
        (b"", Outcome.MALFORMED),
        (b'"secret"', Outcome.MALFORMED),
        (b'{"choices": "secret"}', Outcome.MALFORMED),
        (b'{"choices": [{"message": {"content": 7}}]}', Outcome.MALFORMED),
        (b"{}", Outcome.EMPTY),
        (body(), Outcome.EMPTY),
        (body(message={"content": ""}), Outcome.EMPTY),
        (body(message={"content": "secret"}, finish_reason="length"), Outcome.CUT),
        (body(message={"content": "secret"}, finish_reason="content_filter"), Outcome.FILTERED),
        (body(message={"content": None, "refusal": "secret"}), Outcome.FILTERED),
    ],
)
def test_what_is_no_text_is_a_named_fault(answer: bytes, outcome: Outcome) -> None:
    with pytest.raises(BackendError) as caught:
        answer_text(answer)
    assert caught.value.outcome is outcome
    assert "secret" not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_text_or_a_fault(answer: bytes) -> None:
    with contextlib.suppress(BackendError):
        assert answer_text(answer)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 529, 599])
def test_every_status_has_an_outcome_and_is_named(status: int) -> None:
    outcome, detail = status_fault(status)
    if status == 429:
        assert outcome is Outcome.RATE_LIMITED
    else:
        assert outcome is (Outcome.SERVER_ERROR if status >= 500 else Outcome.REJECTED)
    assert str(status) in detail
