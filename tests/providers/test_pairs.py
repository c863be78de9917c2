"""Packed pairs against plain sets of tuples."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marketstream.market.quotes import empty_quotes
from marketstream.providers.pairs import Pairs, instruments_of, key_of, keys_of, venues_of

CODES = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**15 - 1))
# Rows come from a decoder that may be wrong: any code that fits.
ANY_CODES = st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**15), 2**15 - 1))


def rows_of(codes: list[tuple[int, int]]) -> np.ndarray:
    rows = empty_quotes(len(codes))
    for row, (instrument, venue) in zip(rows, codes, strict=True):
        row["instrument"], row["venue"] = instrument, venue
    return rows


@given(st.lists(CODES, max_size=20), st.lists(ANY_CODES, max_size=20))
def test_rows_are_found_as_in_a_set(listed: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    pairs = Pairs(listed)
    asked = asked + listed
    assert pairs.holds(rows_of(asked)).tolist() == [pair in set(listed) for pair in asked]


@given(st.lists(CODES, min_size=1, max_size=20))
def test_a_position_names_the_pair_in_the_order_of_the_codes(listed: list[tuple[int, int]]) -> None:
    pairs = Pairs(listed)
    ordered = sorted(set(listed))
    assert list(zip(pairs.instruments.tolist(), pairs.venues.tolist(), strict=True)) == ordered
    assert [ordered[i] for i in pairs.positions(rows_of(listed))] == listed


@given(st.lists(CODES, max_size=20))
def test_packing_loses_nothing(codes: list[tuple[int, int]]) -> None:
    keys = keys_of(rows_of(codes))
    assert keys.tolist() == [key_of(*pair) for pair in codes]
    assert list(zip(instruments_of(keys).tolist(), venues_of(keys).tolist(), strict=True)) == codes
