"""Plain JSON of whatever an event was given."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.store.columns import plain_mapping
from marketstream.streaming.plain import MAX_DEPTH, plain_data

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ODD = st.recursive(
    PLAIN
    | st.floats()
    | st.integers()
    | st.binary(max_size=4)
    | st.decimals()
    | st.datetimes()
    | st.complex_numbers()
    | st.sampled_from([np.int64(4), np.float32("inf"), np.bool_(True), np.datetime64("NaT"), np.longdouble(1), pd.NaT]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


class Colour(enum.StrEnum):
    RED = "red"


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_what_is_plain_stays_the_same_object(data: dict[str, Any]) -> None:
    assert plain_data(data) is data


@given(ODD)
def test_whatever_it_was_the_store_takes_it_and_any_parser_reads_it(value: Any) -> None:
    data = plain_data({"value": value})
    kept = msgspec.json.encode(plain_mapping(data, "data"))
    json.loads(kept, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float64("nan"), None),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(False), False),
        (np.array([1.0, math.inf]), [1.0, None]),
        (Colour.RED, "red"),
        (Decimal("0.10"), "0.10"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        ({1: (np.int8(2), {"a": math.nan})}, {"1": [2, {"a": None}]}),
        (10**30, hex(10**30)),
    ],
)
def test_odd_values_become_the_nearest_plain_ones(odd: Any, plain: Any) -> None:
    became = plain_data({"value": odd})["value"]
    assert became == plain and type(became) is type(plain)


def test_what_holds_itself_ends_somewhere() -> None:
    endless: dict[str, Any] = {}
    endless["me"] = endless
    level, depth = plain_data(endless), 0
    while isinstance(level["me"], dict):
        level, depth = level["me"], depth + 1
    assert level["me"] == "..." and depth == MAX_DEPTH - 1


def test_data_that_are_no_mapping_are_kept_under_a_name() -> None:
    assert plain_data([1, math.nan]) == {"value": [1, None]}
