"""Requests made from an OpenAPI document: valid ones, near misses, and bodies that break parsers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

Schema = dict[str, Any]
Json = Any

NASTY_TOKENS = [
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"9" * 400,
    b"-0.0",
    b"1e-400",
    b'"\\ud800"',
    b'"\\u0000\\u202e"',
    b"[" * 500 + b"]" * 500,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b'{"a": 1, "a": 2}',
    b"9223372036854775808",
    b"null",
    b"true",
]
NASTY_BODIES = [b"", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b"{}{}", b'{"\\udfff": 1}', *NASTY_TOKENS]
HOLE = "@@hole@@"

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=6,
)
texts = st.text(max_size=70) | st.sampled_from(["..", "%", "a/b", "\x00", "NaN", "1e400", "9" * 400, "*", "#", "-1"])


@dataclass(frozen=True)
class Sent:
    """A request, ready to be sent."""

    method: str
    path: str
    params: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    content: bytes | None = field(default=None)


class Requests:
    """Strategies for requests to the operations of a document.

    Args:
        document: OpenAPI 3.1.
        known: Names and ids that exist, by the beginning of the paths that hold them.

    Attributes:
        operations: (method, path, operation); those that remove something come last.
    """

    def __init__(self, document: dict[str, Any], known: Mapping[str, Sequence[str]]) -> None:
        self.schemas: dict[str, Schema] = document["components"]["schemas"]
        self.known = known
        self.operations = [
            (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        self.operations.sort(key=lambda each: each[0] == "delete")

    def to(self, number: int) -> st.SearchStrategy[Sent]:
        """Return requests to one of `operations`."""
        return self._drawn(self, number)

    @st.composite
    @staticmethod
    def _drawn(draw: st.DrawFn, self: Requests, number: int) -> Sent:
        method, path, operation = self.operations[number]
        while "{" in path:
            known = st.sampled_from(self.known[path[: path.index("{")]])
            value = draw(known | known | texts).encode("utf-8", "replace")
            path = path[: path.index("{")] + quote(value, safe="") + path[path.index("}") + 1 :]
        params, headers = [], []
        for parameter in operation.get("parameters", ()):
            if parameter["in"] != "path" and draw(st.sampled_from([False, False, True])):
                value = draw(self.values(parameter["schema"]).map(str) | texts)
                if parameter["in"] == "query":
                    params.append((parameter["name"], value))
                else:
                    headers.append((parameter["name"], value.encode("ascii", "replace").decode().strip("\0\r\n")))
        if draw(st.sampled_from([False] * 9 + [True])):
            params.append((draw(texts), draw(texts)))
        content = None
        if "requestBody" in operation:
            content = draw(self._body(operation["requestBody"]["content"]["application/json"]["schema"]))
            kinds = ["application/json"] * 9 + ["application/json; charset=utf-8", "text/plain", ""]
            headers.append(("content-type", draw(st.sampled_from(kinds))))
        return Sent(method.upper(), path, params, headers, content)

    def _body(self, schema: Schema) -> st.SearchStrategy[bytes]:
        examples = st.sampled_from(self._resolved(schema)["examples"])
        valid = examples | self.values(schema)
        holed = st.tuples(valid, st.integers(0, 50), st.sampled_from(NASTY_TOKENS)).map(_pierced)
        dumped = (examples | examples | valid | any_json).map(json.dumps).map(str.encode)
        return dumped | dumped | holed | st.sampled_from(NASTY_BODIES)

    def values(self, schema: Schema) -> st.SearchStrategy[Json]:
        """Return values that fit a schema of the kinds that FastAPI writes."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return st.one_of([self.values(each) for each in schema["anyOf"]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        make = {
            "null": lambda _: st.none(),
            "boolean": lambda _: st.booleans(),
            "integer": _integers,
            "number": _numbers,
            "string": _strings,
            "array": self._arrays,
            "object": self._objects,
        }.get(schema.get("type", ""))
        return any_json if make is None else make(schema)

    def _resolved(self, schema: Schema) -> Schema:
        if "allOf" in schema and len(schema["allOf"]) == 1:
            schema = schema["allOf"][0]
        if "anyOf" in schema and len(schema["anyOf"]) == 2 and schema["anyOf"][1] == {"type": "null"}:
            named = schema["anyOf"][0]
            if "$ref" in named:
                return self.schemas[named["$ref"].rpartition("/")[2]]
        return self.schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def _arrays(self, schema: Schema) -> st.SearchStrategy[Json]:
        items = self.values(schema.get("items", {}))
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=min(schema.get("maxItems", 3), 3))

    def _objects(self, schema: Schema) -> st.SearchStrategy[Json]:
        fields = {name: self.values(each) for name, each in schema.get("properties", {}).items()}
        if not fields:
            return st.dictionaries(st.text(max_size=8), any_json, max_size=3)
        required = {name: fields.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(required, optional=fields)


def _integers(schema: Schema) -> st.SearchStrategy[Json]:
    return st.integers(schema.get("minimum"), schema.get("maximum"))


def _numbers(schema: Schema) -> st.SearchStrategy[Json]:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    open_low, open_high = "exclusiveMinimum" in schema, "exclusiveMaximum" in schema
    return st.floats(low, high, exclude_min=open_low, exclude_max=open_high, allow_nan=False, allow_infinity=False)


def _strings(schema: Schema) -> st.SearchStrategy[Json]:
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=st.just(None)).map(lambda moment: moment.isoformat() + "Z")
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda text: len(text) <= 64)
    return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 20), 20))


def _pierced(parts: tuple[Json, int, bytes]) -> bytes:
    """Return a body in which one value, at whatever depth, is a token that breaks parsers."""
    value, position, token = parts
    places = list(_places(value, ()))
    if not places:
        return token
    return json.dumps(_replaced(value, places[position % len(places)])).encode().replace(f'"{HOLE}"'.encode(), token)


def _places(value: Json, trail: tuple[Any, ...]) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*trail, key)
        yield from _places(inner, (*trail, key))


def _replaced(value: Json, trail: tuple[Any, ...]) -> Json:
    if not trail:
        return HOLE
    if isinstance(value, dict):
        return value | {trail[0]: _replaced(value[trail[0]], trail[1:])}
    return [_replaced(inner, trail[1:]) if i == trail[0] else inner for i, inner in enumerate(value)]
