"""What the table routes share: the envelope of a table, and filters that must name something known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marketstream.analytics.analysis import Snapshot
from marketstream.api.body import JsonAnswer
from marketstream.api.schemas import timestamp
from marketstream.api.table_schemas import Page
from marketstream.api.tables import Row
from marketstream.engine import Engine
from marketstream.errors import InvalidInputError, NotFoundError


def table_answer(engine: Engine, snapshot: Snapshot | None, rows: list[Row], page: Page, **figures: Any) -> JsonAnswer:
    """Return the asked page of `rows` with what a table says about itself, and `figures` beside it."""
    shown = rows[page.offset : page.offset + page.limit]
    envelope = {
        "as_of": None if snapshot is None else timestamp(snapshot.now),
        "sequence": None if snapshot is None else snapshot.sequence,
        "simulated": engine.simulated,
        "absence": "NO_DATA" if snapshot is None else None,
        "total": len(rows),
        "count": len(shown),
    }
    return JsonAnswer(envelope | figures | {"rows": shown})


def known(find: Callable[[str], object], name: str) -> None:
    """Raise InvalidInputError when a filter names what `find` does not know; an empty table would hide it."""
    try:
        find(name)
    except NotFoundError as error:
        raise InvalidInputError(str(error)) from None
