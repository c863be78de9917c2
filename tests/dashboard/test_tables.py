"""LiveTable sends the columns that changed and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.document import Document

from marketstream.dashboard.tables import LiveTable, TableColumn, figure_cell, name_cell


@pytest.fixture
def table() -> LiveTable:
    columns = (
        TableColumn(field="name", title="Name", width=0, template=name_cell("name")),
        TableColumn(field="x", title="X", width=50, template=figure_cell("x", "1")),
        TableColumn(field="y", title="Y", width=50, template=figure_cell("y", "1")),
    )
    return LiveTable(columns, hidden=("key", "dim"), key="key")


def rows(x: list[float], y: list[float]) -> dict[str, np.ndarray]:
    n = len(x)
    return {
        "key": np.array([f"k{i}" for i in range(n)], dtype=object),
        "name": np.array([f"n{i}" for i in range(n)], dtype=object),
        "x": np.array(x),
        "y": np.array(y),
        "dim": np.zeros(n, dtype=np.bool_),
    }


def drawn(table: LiveTable) -> Document:
    document = Document()
    table.view.server_doc(document)
    return document


def test_only_changed_columns_are_sent_once_the_table_is_drawn(table: LiveTable) -> None:
    table.update(rows([1.0, 2.0], [3.0, np.nan]))
    document = drawn(table)
    assert table.update(rows([1.0, 5.0], [3.0, np.nan])) == 1
    (source,) = (model for model in document.models if type(model).__name__ == "ColumnDataSource")
    assert list(source.data["x"]) == [1.0, 5.0]
    assert table.update(rows([1.0, 5.0], [3.0, np.nan])) == 0


def test_another_number_of_rows_is_a_new_table(table: LiveTable) -> None:
    table.update(rows([1.0], [1.0]))
    drawn(table)
    table.update(rows([1.0, 2.0], [1.0, 2.0]))
    assert len(table.view.value) == 2


def test_a_table_drawn_again_shows_the_newest_values(table: LiveTable) -> None:
    table.update(rows([1.0], [1.0]))
    table.update(rows([7.0], [1.0]))
    assert table.view.value["x"].tolist() == [7.0]


def test_a_row_is_selected_by_its_key_and_an_unknown_key_selects_none(table: LiveTable) -> None:
    table.update(rows([1.0, 2.0], [1.0, 2.0]))
    table.select("k1")
    assert table.view.selection == [1]
    table.select("nobody")
    assert table.view.selection == []


def test_narrow_hides_columns_and_wide_shows_them_again(table: LiveTable) -> None:
    table.narrow(("y",))
    assert table.view.hidden_columns == ["key", "dim", "y"]
    table.narrow(())
    assert table.view.hidden_columns == ["key", "dim"]
