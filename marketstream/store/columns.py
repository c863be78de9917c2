"""Column types that hold text and plain JSON the same way in SQLite and PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import sqlalchemy as sa

from marketstream.errors import InvalidInputError
from marketstream.market.events import Json

MAX_INT = 2**63 - 1
"""Largest whole number that both databases keep."""
MAX_DEPTH = 32
"""Levels of lists and mappings within one value."""
MAX_KEY_LENGTH = 500
"""Characters of a text that is searched by: an index of PostgreSQL takes 2,700 bytes."""


class Words(sa.types.TypeDecorator[str]):
    """Text that may hold anything a venue sends; characters that no database keeps become U+FFFD."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return what can be kept of `value`."""
        return None if value is None else keepable(value)


class JsonText(sa.types.TypeDecorator[Any]):
    """Plain JSON as text, written and read by msgspec; `plain` must have passed what goes in."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Return the JSON of `value`; None is an empty column, not `null`."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """Return the value that was written."""
        return None if value is None else msgspec.json.decode(value)


def keepable(text: str) -> str:
    """Return `text` with U+FFFD for NUL and lone surrogates, which PostgreSQL or UTF-8 cannot hold.

    >>> keepable("a" + chr(0) + "b") == "a" + chr(0xFFFD) + "b"
    True
    """
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    if text.isascii():
        return text
    # A lone surrogate takes three bytes under "surrogatepass", none of which is UTF-8.
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def whole(value: int, what: str) -> int:
    """Return `value`; InvalidInputError when it is no whole number of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -MAX_INT - 1 <= value <= MAX_INT:
        raise InvalidInputError(f"{what} must be a whole number of 64 bits, was {_short(value)}")
    return value


def finite(value: float, what: str) -> float:
    """Return `value` as a float; InvalidInputError when it is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"{what} must be a finite number, was {_short(value)}")
    return float(value)


def short(value: str, what: str) -> str:
    """Return `value`; InvalidInputError when it is too long to be searched by."""
    if len(value) > MAX_KEY_LENGTH:
        raise InvalidInputError(f"{what} must have at most {MAX_KEY_LENGTH} characters, had {len(value)}")
    return value


def plain(value: object, what: str, depth: int = 0) -> Json:
    """Return `value` as plain dicts, lists, texts and numbers that both databases keep.

    Raises:
        InvalidInputError: A number that is not finite or longer than 64 bits, a key that is no text, more than
            MAX_DEPTH levels, or something that is no JSON.
    """
    if isinstance(value, str):
        return keepable(str(value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return whole(int(value), what)
    if isinstance(value, float):
        return finite(value, what)
    if depth == MAX_DEPTH:
        raise InvalidInputError(f"{what} must have at most {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {_key(key, what): plain(item, what, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, what, depth + 1) for item in value]
    raise InvalidInputError(f"{what} must be plain JSON, held a {type(value).__name__}")


def plain_mapping(value: object, what: str) -> dict[str, Json]:
    """Return `value` as `plain` does; InvalidInputError when it is no mapping."""
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{what} must be a mapping, was {_short(value)}")
    return cast("dict[str, Json]", plain(value, what))


def _key(key: object, what: str) -> str:
    if not isinstance(key, str):
        raise InvalidInputError(f"the keys of {what} must be text, one was {_short(key)}")
    return keepable(str(key))


def _short(value: object) -> str:
    # repr of a huge integer raises, and of anything else may be endless.
    if isinstance(value, int) and not isinstance(value, bool):
        return repr(value) if abs(value) < 10**30 else f"one of {value.bit_length()} bits"
    return repr(value)[:80]
