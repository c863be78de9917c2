"""Lists that are read in parts, newest first: opaque cursors, times in queries, and the envelope of an answer."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from marketstream.api.body import JsonAnswer
from marketstream.api.schemas import EPOCH, Input, Output, Timestamp, timestamp
from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError
from marketstream.market.records import MAX_PAGE, Page, PageRequest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def moment(text: Any) -> int:
    """Return RFC 3339 text with its offset as UTC ns; ValueError for anything else.

    >>> moment("1970-01-01T01:00:00.000000001+01:00")
    1
    """
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("must be a time in RFC 3339 with its offset, such as 2026-01-01T00:00:00Z")
    day, hour, fraction, offset = found.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{hour}{offset.upper().replace('Z', '+00:00')}") - EPOCH
    except (ValueError, OverflowError):
        raise ValueError("must be a time that exists, such as 2026-01-01T00:00:00Z") from None
    ns = (whole.days * 86_400 + whole.seconds) * SECOND_NS + int((fraction or "").ljust(9, "0"))
    if not -(2**63) <= ns < 2**63:
        raise ValueError("must be a time from 1678 to 2262, which is what 64 bits of nanoseconds hold")
    return ns


Moment = Annotated[int, BeforeValidator(moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time in a query: RFC 3339 with its offset. In a URL a `+` is written %2B."""


class Listing(Input):
    """Which part of a list to send, newest first."""

    limit: int = Field(default=100, ge=1, le=MAX_PAGE, description="At most this many rows.")
    cursor: str | None = Field(
        default=None, max_length=64, description="`next_cursor` of the answer before; left out for the newest rows."
    )


class Listed(Output):
    """One part of a list, newest first."""

    as_of: Timestamp = Field(description="The engine's time, UTC.")
    count: int = Field(description="Rows in this answer.", ge=0)
    next_cursor: str | None = Field(description="Give it as `cursor` for the rows after these; null after the last.")


def cursor_of(list_name: str, row: int | None, *more: int) -> str | None:
    """Return `row`, and what else says where to go on, as a cursor that only `list_name` takes back; None stays None.

    >>> cursor_of("events", 42), row_of("events", cursor_of("events", 42))
    ('ZXZlbnRzLjQy', 42)
    """
    if row is None:
        return None
    text = ".".join([list_name, *map(str, (row, *more))])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def row_of(list_name: str, cursor: str | None) -> int | None:
    """Return the row that a cursor stands for; InvalidInputError for one that this list did not give."""
    rows = rows_of(list_name, cursor, 1)
    return rows[0] if rows else None


def rows_of(list_name: str, cursor: str | None, most: int) -> tuple[int, ...]:
    """Return the numbers that a cursor was made of, at most so many; none for None. Raises as `row_of`."""
    if cursor is None:
        return ()
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        name, *rows = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(".")
    except (UnicodeError, binascii.Error):
        name, rows = "", []
    if name != list_name or not 1 <= len(rows) <= most or not all(re.fullmatch(r"[0-9]{1,18}", row) for row in rows):
        raise InvalidInputError("cursor must be the next_cursor of an answer of this list")
    return tuple(map(int, rows))


def page_request(list_name: str, query: Listing) -> PageRequest:
    """Return the part of a list that a query asks for."""
    return PageRequest(limit=query.limit, cursor=row_of(list_name, query.cursor))


def fields_of(record: DataclassInstance) -> dict[str, Any]:
    """Return the fields of a record by name, as they are: `asdict` would copy all that is in them."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def listed(list_name: str, now: int, page: Page[T], show: Callable[[T], dict[str, Any]]) -> JsonAnswer:
    """Return the answer with one part of a list; `now` is UTC ns, `show` gives the fields of a row."""
    return listing(now, page.rows, cursor_of(list_name, page.next_cursor), show)


def listing(now: int, rows: Sequence[T], next_cursor: str | None, show: Callable[[T], dict[str, Any]]) -> JsonAnswer:
    """Return the answer with these rows, where the cursor of the next ones is known; else as `listed`."""
    return JsonAnswer(
        {
            "as_of": timestamp(now),
            "count": len(rows),
            "next_cursor": next_cursor,
            "rows": [show(row) for row in rows],
        }
    )
