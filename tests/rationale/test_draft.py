"""The first lock: a draft is strict JSON of plain words and slots, and says no figure, name or direction itself."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.rationale.draft import (
    MAX_POINTS,
    MAX_RISKS,
    MAX_TEXT,
    SCHEMA,
    DraftError,
    RationaleDraft,
    allowed_words,
    check_draft,
    parse_draft,
)
from marketstream.rationale.lexicon import NUMBER_WORDS

GOOD = {"headline": "No stake is open", "points": ["The risk is {portfolio.risk}."], "risks": []}


def why(point: str) -> list[str]:
    return [fault.why for fault in check_draft(RationaleDraft(headline="The risk", points=(point,)))]


def test_a_draft_is_read_from_json_bare_or_fenced() -> None:
    bare = parse_draft(json.dumps(GOOD))
    assert bare == parse_draft(f"```json\n{json.dumps(GOOD)}\n```") == parse_draft(f"\n```\n{json.dumps(GOOD)}```")
    assert bare.paragraphs == ("The risk is {portfolio.risk}.",)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Here is the draft: " + json.dumps(GOOD),
        json.dumps(GOOD) * 2,
        json.dumps([GOOD]),
        json.dumps(GOOD | {"confidence": 0.9}),
        json.dumps({"headline": "x"}),
        json.dumps(GOOD | {"points": []}),
        json.dumps(GOOD | {"points": "The risk"}),
        json.dumps(GOOD | {"points": [1]}),
        json.dumps(GOOD | {"points": [None]}),
        json.dumps(GOOD | {"headline": ""}),
        json.dumps(GOOD | {"headline": "x" * (MAX_TEXT + 1)}),
        json.dumps(GOOD | {"points": ["x"] * (MAX_POINTS + 1)}),
        json.dumps(GOOD | {"risks": ["x"] * (MAX_RISKS + 1)}),
        '{"headline": NaN}',
        "[" * 50_000,
        '{"headline": "\ud800"}',
        "null",
    ],
)
def test_anything_else_is_malformed(answer: str) -> None:
    with pytest.raises(DraftError) as caught:
        parse_draft(answer)
    assert caught.value.malformed


def test_a_long_answer_of_nothing_is_judged_at_once() -> None:
    began = time.process_time()
    for answer in ("```" + " " * 250_000 + "x", "```" * 80_000, " " * 250_000, "{" * 250_000):
        with pytest.raises(DraftError):
            parse_draft(answer)
    assert time.process_time() - began < 1.0


def test_the_limits_themselves_are_allowed() -> None:
    whole = {"headline": "x" * MAX_TEXT, "points": ["x" * MAX_TEXT] * MAX_POINTS, "risks": ["x"] * MAX_RISKS}
    assert len(parse_draft(json.dumps(whole)).paragraphs) == MAX_POINTS + MAX_RISKS


def test_the_schema_for_servers_names_the_fields_of_a_draft() -> None:
    assert list(SCHEMA["properties"]) == SCHEMA["required"] == list(RationaleDraft.__struct_fields__)
    assert SCHEMA["additionalProperties"] is False


@pytest.mark.parametrize(
    "words",
    [
        "3", "٣", "３", "²", "½", "%", "‰", "$", "€", "£", "<b>", "&lt;", "[x]", "]", "(x)(y)]", "*", "_", "#", "`",
        "|", "~", "/", "\\", "@", "=", "+", "−", "–", "“x”", '"', "\n", "\t", "\u202e", "\u200b", "\x00", "é", "а",
        "http://example.org", "!", "?", "{", "}", "{}}", "^",
    ],
)  # fmt: skip
def test_a_character_that_could_be_a_figure_markup_or_an_address_is_refused(words: str) -> None:
    assert any("only letters" in reason for reason in why(f"The risk {words} is {{portfolio.risk}}."))


@pytest.mark.parametrize("word", sorted(NUMBER_WORDS - {"all"}))
def test_a_number_in_words_is_refused(word: str) -> None:
    assert why(f"The risk is {word} of {{portfolio.risk}}.") == ["numbers, also in words, are written as slots"]


@pytest.mark.parametrize("word", ["rises", "Falls", "climbs", "more", "Less", "largest", "best", "lowest", "widest"])
def test_a_direction_or_rank_is_refused(word: str) -> None:
    assert why(f"{word} is the risk of {{portfolio.risk}}.") == ["directions and ranks are written as slots"]


@pytest.mark.parametrize(
    "words", ["the largest possible loss", "instruments share the largest weight", "largest shares of the risk"]
)
def test_a_metric_whose_name_holds_such_a_word_is_not(words: str) -> None:
    assert why(f"{words} {{portfolio.risk}}") == []


def test_no_phrase_reaches_across_a_slot() -> None:
    assert why("the largest {portfolio.risk} possible loss") == ["directions and ranks are written as slots"]


@pytest.mark.parametrize("words", ["www.example.org", "example.com", "see a.b"])
def test_an_address_is_refused(words: str) -> None:
    assert "no address stands in a text" in why(f"The risk is {{portfolio.risk}}, {words}.")


def test_a_point_or_risk_without_a_fact_is_refused_and_named() -> None:
    draft = RationaleDraft(headline="The risk", points=("No stake is open.",), risks=("No quote is late.",))
    assert [(f.place, f.why) for f in check_draft(draft)] == [
        ("point 1", "every point and risk uses a fact"),
        ("risk 1", "every point and risk uses a fact"),
    ]


def test_what_an_error_says_aloud_holds_no_word_of_the_draft() -> None:
    faults = check_draft(RationaleDraft(headline="Secret 42", points=("twelve monkeys",)))
    error = DraftError(faults)
    assert "42" not in str(error) and "twelve" not in str(error)
    assert any("42" in str(fault) for fault in error.faults)


def test_every_word_that_is_offered_passes_the_first_lock() -> None:
    assert {"risk", "holds", "as", "quotes", "and"} <= set(allowed_words())
    assert not {"rises", "largest", "three", "more"} & set(allowed_words())
    for word in allowed_words():
        assert why(f"{word} {{portfolio.risk}}") == []


@given(st.text(max_size=60))
def test_any_text_is_judged_and_none_breaks_the_judge(text: str) -> None:
    draft: Any = RationaleDraft(headline=text or "x", points=(text or "x",))
    if any(c.isdigit() for c in text.replace("{", "").replace("}", "")) and "{" not in text:
        assert check_draft(draft)
    check_draft(draft)
