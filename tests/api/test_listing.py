"""Cursors that only their own list takes back, and times in queries."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.api.listing import cursor_of, moment, row_of, rows_of
from marketstream.errors import InvalidInputError

names = st.sampled_from(["events", "allocations", "dead-letters"])


@given(names, st.integers(0, 10**18 - 1))
def test_a_cursor_comes_back_as_the_row_it_was_made_of(name: str, row: int) -> None:
    cursor = cursor_of(name, row)
    assert cursor is not None and len(cursor) <= 64
    assert row_of(name, cursor) == row


@given(names, names, st.integers(0, 10**6))
def test_another_list_does_not_take_it(name: str, other: str, row: int) -> None:
    if name != other:
        with pytest.raises(InvalidInputError, match="next_cursor of an answer of this list"):
            row_of(other, cursor_of(name, row))


@given(names, st.text(max_size=64))
def test_any_other_text_is_refused_and_nothing_worse(name: str, text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        row = row_of(name, text)
        assert row is not None and row >= 0


@given(names, st.lists(st.integers(0, 10**15), min_size=1, max_size=2))
def test_a_cursor_may_be_made_of_more_than_one_number(name: str, rows: list[int]) -> None:
    cursor = cursor_of(name, *rows)
    assert cursor is not None and len(cursor) <= 64
    assert rows_of(name, cursor, 2) == tuple(rows)
    if len(rows) == 2:
        with pytest.raises(InvalidInputError, match="next_cursor of an answer of this list"):
            row_of(name, cursor)


def test_no_cursor_is_no_row() -> None:
    assert row_of("events", None) is None
    assert rows_of("events", None, 2) == ()
    assert cursor_of("events", None) is None


@given(
    st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1)),  # noqa: DTZ001 - the zone is put on below
    st.integers(-23, 23),
    st.integers(0, 999),
)
def test_a_time_with_its_offset_is_what_the_calendar_says(local: datetime, hours: int, ns: int) -> None:
    zoned = local.replace(tzinfo=timezone(timedelta(hours=hours)))
    since_1970 = zoned - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (since_1970 // timedelta(microseconds=1)) * 1000 + ns
    text = zoned.isoformat(timespec="microseconds")
    assert moment(f"{text[:26]}{ns:03}{text[26:]}") == expected


def test_z_is_utc_in_either_case_and_a_space_may_part_day_and_hour() -> None:
    assert moment("1970-01-01T00:00:01Z") == moment("1970-01-01 00:00:01z") == 1_000_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:30:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+25:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-01-01T00:00:00.0000000001Z",
        "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        5,
        None,
    ],
)
def test_what_is_no_such_time_is_a_value_error(text: object) -> None:
    with pytest.raises(ValueError, match="must be a time"):
        moment(text)
