"""What goes into a column is plain JSON and text that both databases keep; anything else is refused by name."""

from __future__ import annotations

import json
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from marketstream.errors import InvalidInputError
from marketstream.store.columns import JsonText, finite, keepable, plain, plain_mapping, whole

DIALECT = sqlite.dialect()
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class Colour(StrEnum):
    RED = "red"


@given(JSON)
def test_plain_json_comes_back_as_it_was(value: object) -> None:
    column = JsonText()
    text = column.process_bind_param(plain({"value": value}, "it"), DIALECT)
    assert text is not None
    assert column.process_result_value(text, DIALECT) == plain({"value": value}, "it")
    # Read by somebody else's parser, too.
    assert json.loads(text) == plain({"value": value}, "it")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert keepable(text) == text


@given(st.text(st.characters()) | st.text(st.characters(categories=["Cs"])))
def test_what_is_kept_of_any_text_can_be_encoded_and_holds_no_nul(text: str) -> None:
    assert b"\x00" not in keepable(text).encode()
    assert len(keepable(text)) == len(text)


def test_relatives_of_plain_types_become_plain() -> None:
    found = plain(MappingProxyType({"a": (Colour.RED, np.float64(1.5), True)}), "it")
    assert found == {"a": ["red", 1.5, True]}
    assert [type(item) for item in found["a"]] == [str, float, bool]  # type: ignore[index, call-overload, union-attr]


@pytest.mark.parametrize("value", [np.int64(3), np.array([1.0]), {1, 2}, b"x", object(), 1j])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="it must be plain JSON, held a"):
        plain({"a": [value]}, "it")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1.5, "1", True, None])
def test_what_is_no_whole_number_of_64_bits_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="it must be a whole number of 64 bits"):
        whole(value, "it")  # type: ignore[arg-type]


def test_an_endless_number_is_refused_without_writing_it_out() -> None:
    with pytest.raises(InvalidInputError, match="64 bits, was one of 19932 bits"):
        whole(10**6000, "it")


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), "1", True, None])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="it must be a finite number"):
        finite(value, "it")  # type: ignore[arg-type]


def test_32_levels_are_kept_and_33_are_not() -> None:
    value: object = 1
    for _ in range(32):
        value = [value]
    assert plain(value, "it") == value
    with pytest.raises(InvalidInputError, match="at most 32 levels"):
        plain([value], "it")


@pytest.mark.parametrize("value", [None, "text", [1]])
def test_what_is_no_mapping_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="it must be a mapping"):
        plain_mapping(value, "it")


def test_an_absent_value_is_an_empty_column() -> None:
    assert JsonText().process_bind_param(None, DIALECT) is None
    assert JsonText().process_result_value(None, DIALECT) is None
