"""Topic patterns against a matcher that walks word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.errors import InvalidInputError
from marketstream.market.topics import TopicPattern

WORDS = st.sampled_from(["market", "data", "a", "status_1"])


def walk(pattern: list[str], topic: list[str]) -> bool:
    """The rule, as it reads: word by word."""
    if not pattern:
        return not topic
    if pattern == ["#"]:
        return True
    return bool(topic) and pattern[0] in ("*", topic[0]) and walk(pattern[1:], topic[1:])


@given(st.lists(st.one_of(WORDS, st.just("*")), max_size=4), st.booleans(), st.lists(WORDS, min_size=1, max_size=5))
def test_a_pattern_matches_word_by_word(words: list[str], rest: bool, topic: list[str]) -> None:
    pattern = [*words, "#"] if rest or not words else words
    assert TopicPattern(".".join(pattern)).matches(".".join(topic)) == walk(pattern, topic)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "#.a", "a.#.b", "a*", "a#", "**", "a b", "ä", "a\n"])
def test_what_is_no_pattern_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(InvalidInputError, match="a topic pattern is words"):
        TopicPattern(text)


def test_a_dot_in_a_pattern_is_only_a_dot() -> None:
    assert not TopicPattern("a.b").matches("axb")
    assert repr(TopicPattern("a.b")) == "TopicPattern('a.b')"
