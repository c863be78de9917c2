"""What an event carries, made plain JSON once, where it is handed in: a fact is not lost for an odd number in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from marketstream.market.events import Json

MAX_DEPTH = 24
"""Levels of lists and mappings that are kept; the store, which adds some of its own, takes 32."""
_MAX_INT = 2**63 - 1


def plain_data(data: Any) -> Mapping[str, Json]:
    """Return `data` as plain JSON of finite numbers; the same object where it is that already.

    A number that is not finite becomes None, a value of numpy that of Python, anything else its text. What is nested
    deeper than MAX_DEPTH becomes "...", and `data` that is no mapping is kept under `value`.

    >>> plain_data({"edge": float("nan"), "n": np.int64(3), "when": None})
    {'edge': None, 'n': 3, 'when': None}
    """
    if not isinstance(data, Mapping):
        data = {"value": data}
    return data if _is_plain(data, 0) else {_text(key): _plain(item, 1) for key, item in data.items()}


def _is_plain(value: object, depth: int) -> bool:
    # By exact type: a subclass may be a number of numpy, and writes itself in its own way.
    if type(value) is str or type(value) is bool or value is None:
        return True
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is int:
        return -_MAX_INT - 1 <= value <= _MAX_INT
    if depth == MAX_DEPTH:
        return False
    if type(value) is dict:
        return all(type(key) is str and _is_plain(item, depth + 1) for key, item in value.items())
    return type(value) in (list, tuple) and all(_is_plain(item, depth + 1) for item in cast("list[object]", value))


def _plain(value: Any, depth: int) -> Json:
    if isinstance(value, np.generic | np.ndarray):
        # One of a kind that Python lacks comes back as it was.
        value = value.tolist()
        value = str(value) if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_MAX_INT - 1 <= value <= _MAX_INT else _text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    nested = isinstance(value, Mapping | Sequence | set | frozenset) and not isinstance(value, str | bytes | bytearray)
    if not nested:
        return _text(value)
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    return [_plain(item, depth + 1) for item in value]


def _text(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _MAX_INT:
        # Python refuses to write very long ones in decimal.
        return hex(value)
    return str(value)
