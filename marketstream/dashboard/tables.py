"""LiveTable: a table that is given arrays and sends only the columns that changed; live_table.js draws them.

Tabulator draws a table anew at each patch and compiles the template of every cell again: 250 ms of the browser's
time for 52 rows, four times a second. Here a cell is written when its value has changed, as text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import param
from panel.custom import JSComponent

from marketstream.dashboard.styles import TABLE_CSS


class DrawnTable(JSComponent):  # type: ignore[misc]  # panel ships no types
    """The model of a table; `rows` is all of it, `patch` the columns that changed since."""

    columns = param.List(default=[], doc="How each column is drawn")
    key = param.String(default="key", doc="Field that names a row")
    group = param.String(default="", doc="Field that groups rows; none where empty")
    rows = param.String(default="", doc="JSON of all columns")
    patch = param.String(default="", doc="JSON of changed columns")
    selected = param.String(default="", doc="Key of the selected row")
    hidden = param.List(default=[], doc="Columns that are not shown")

    _esm = Path(__file__).parent / "live_table.js"

    @property
    def drawn(self) -> bool:
        """Return whether a page shows this table now."""
        return bool(self._models)


def column(kind: str, field: str, title: str, width: int, *, align: str = "left", **options: Any) -> dict[str, Any]:
    """Return one column; a width of 0 takes what is left.

    Kinds: dot (`words`), name, text, price (`decimals`, `venue`), figure (`decimals`, `signed`, `style`),
    moved (`decimals`, `arrow`, `bold`), age, share (`of`), tag, meter (`decimals`, `limit`), spark (`way`). Options
    that name a field read it from the row; `decimals` may be a number or a field. `tooltip` explains the column.
    """
    return {"kind": kind, "field": field, "title": title, "width": width, "align": align, **options}


def table_seed() -> Any:
    """Return an empty table for the first render of a page: bokeh tells the browser only then what a table is."""
    return DrawnTable(width=0, height=0, margin=0, visible=False)


class LiveTable:
    """A table whose rows have a stable key; `view` goes into a layout."""

    def __init__(
        self, columns: Sequence[Mapping[str, Any]], *, key: str, group: str = "", css: str = "", **params: Any
    ) -> None:
        self._data: dict[str, np.ndarray] = {}
        self.view = DrawnTable(
            columns=[dict(each) for each in columns],
            key=key,
            group=group,
            stylesheets=[TABLE_CSS + css],
            **{"margin": 0, "sizing_mode": "stretch_width", **params},
        )

    @property
    def keys(self) -> np.ndarray:
        """Return the keys of the rows, in the order they were given."""
        return self._data.get(self.view.key, np.zeros(0, dtype=object))

    def narrow(self, fields: Sequence[str]) -> None:
        """Hide columns; no fields is the wide table."""
        if self.view.hidden != list(fields):
            self.view.hidden = list(fields)

    def update(self, data: Mapping[str, np.ndarray]) -> int:
        """Show `data`, arrays of one length by field; returns how many columns were sent."""
        key = self.view.key
        if not self.view.drawn or not np.array_equal(data[key], self.keys):
            self._data = dict(data)
            self.view.param.update(rows=_json(self._data), patch="")
            return len(self._data)
        changed = {field: values for field, values in data.items() if not _same(values, self._data[field])}
        if changed:
            self._data.update(changed)
            self.view.patch = _json(changed)
        return len(changed)

    def select(self, key: str) -> None:
        """Mark the row of `key`, if there is one."""
        if self.view.selected != key:
            self.view.selected = key


def _json(columns: Mapping[str, np.ndarray]) -> str:
    return json.dumps({field: _values(values) for field, values in columns.items()}, separators=(",", ":"))


def _values(values: np.ndarray) -> list[Any]:
    if values.dtype.kind == "f":
        # JSON knows no NaN: what is missing is null.
        return [value if math.isfinite(value) else None for value in values.tolist()]
    return list(values.tolist())


def _same(new: np.ndarray, old: np.ndarray) -> bool:
    if new.dtype.kind == "f":
        return np.array_equal(new, old, equal_nan=True)
    return np.array_equal(new, old)
