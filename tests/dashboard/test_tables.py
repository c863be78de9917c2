"""LiveTable sends the columns that changed and nothing else, and its script never takes markup."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bokeh.document import Document

from marketstream.dashboard import tables
from marketstream.dashboard.tables import LiveTable, column


@pytest.fixture
def table() -> LiveTable:
    columns = (
        column("name", "name", "Name", 0),
        column("figure", "x", "X", 50, decimals=1),
        column("figure", "y", "Y", 50, decimals=1),
    )
    return LiveTable(columns, key="key")


def rows(x: list[float], y: list[float]) -> dict[str, np.ndarray]:
    n = len(x)
    return {
        "key": np.array([f"k{i}" for i in range(n)], dtype=object),
        "name": np.array([f"n{i}" for i in range(n)], dtype=object),
        "x": np.array(x),
        "y": np.array(y),
        "dim": np.zeros(n, dtype=np.bool_),
    }


def draw(table: LiveTable) -> None:
    table.view.server_doc(Document())


def test_only_changed_columns_are_sent_once_the_table_is_drawn(table: LiveTable) -> None:
    table.update(rows([1.0, 2.0], [3.0, np.nan]))
    draw(table)
    assert table.update(rows([1.0, 5.0], [3.0, np.nan])) == 1
    assert json.loads(table.view.patch) == {"x": [1.0, 5.0]}
    assert table.update(rows([1.0, 5.0], [3.0, np.nan])) == 0


def test_what_is_missing_is_null_since_json_knows_no_nan(table: LiveTable) -> None:
    table.update(rows([np.nan, np.inf], [1.0, 2.0]))
    assert json.loads(table.view.rows)["x"] == [None, None]


def test_other_rows_are_a_new_table(table: LiveTable) -> None:
    table.update(rows([1.0], [1.0]))
    draw(table)
    assert table.update(rows([1.0, 2.0], [1.0, 2.0])) == 5
    assert json.loads(table.view.rows)["key"] == ["k0", "k1"]
    assert table.view.patch == ""


def test_a_table_drawn_again_has_the_newest_values(table: LiveTable) -> None:
    table.update(rows([1.0], [1.0]))
    table.update(rows([7.0], [1.0]))
    assert json.loads(table.view.rows)["x"] == [7.0]


def test_narrow_hides_columns_and_wide_shows_them_again(table: LiveTable) -> None:
    table.narrow(("y",))
    assert table.view.hidden == ["y"]
    table.narrow(())
    assert table.view.hidden == []


@pytest.mark.parametrize(
    "way_in", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
@pytest.mark.parametrize("name", ["live_table.js", "browser.py"])
def test_no_script_of_ours_takes_markup(name: str, way_in: str) -> None:
    assert way_in not in (Path(tables.__file__).parent / name).read_text(encoding="utf-8")
