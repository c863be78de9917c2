"""Options of a provider in a request: checked against their kind, each fault with its place."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError

from marketstream.errors import InvalidInputError
from marketstream.providers.declare import KINDS
from marketstream.providers.peer import origin

_NAMED = re.compile(r"(?:unknown|required) field `([^`]*)`")
_PLACE = re.compile(r" - at `\$(?:\.([^`]*))?`$")
SECRET = re.compile(r"key|secret|token|password", re.IGNORECASE)


def check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raise the 422 that names the option which `kind` does not take, or the kind where there is none such."""
    form = KINDS.get(kind)
    if form is None:
        raise _refused(("kind",), f"Input should be one of {', '.join(KINDS)}")
    try:
        msgspec.convert(dict(options), form)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        named = _NAMED.search(str(error))
        where = [] if place is None or place[1] is None else re.split(r"[.\[]", place[1].replace("]", ""))
        allowed = ", ".join(field.encode_name for field in msgspec.structs.fields(form))
        detail = f"{_PLACE.sub('', str(error))}; options of {kind} are {allowed}"
        raise _refused(("options", *where, *([named[1]] if named else [])), detail) from None


@contextlib.contextmanager
def option_problems() -> Iterator[None]:
    """Say of a value that its kind takes but cannot use that it is one of the options."""
    try:
        yield
    except InvalidInputError as error:
        raise _refused(("options",), str(error)) from None


def shown_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return options as an answer may show them: what looks like a secret is left out, of an address its path.

    >>> shown_options({"symbols": ["BTC/USD"], "api_key": "x", "ws_url": "wss://example.org/key-123"})
    {'symbols': ['BTC/USD'], 'ws_url': 'wss://example.org'}
    """
    return {
        name: origin(value) if name.endswith("_url") and isinstance(value, str) else value
        for name, value in (options or {}).items()
        if not SECRET.search(name)
    }


def as_known(options: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return options of a request in which an address as `shown_options` shows it stands for the known one.

    >>> as_known({"ws_url": "wss://example.org"}, {"ws_url": "wss://example.org/key-123"})
    {'ws_url': 'wss://example.org/key-123'}
    """
    shown = shown_options(known)
    return {
        name: (known or {})[name] if name.endswith("_url") and shown.get(name) == value else value
        for name, value in options.items()
    }


def _refused(where: tuple[str, ...], detail: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", *where), "msg": detail}])
