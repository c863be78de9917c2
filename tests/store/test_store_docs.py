"""docs/store.md names every table, every column, every revision and every method of the store."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from marketstream.store import schema
from marketstream.store.repository import Store
from marketstream.store.tables import METADATA
from marketstream.store.writer import GROUP_ROWS, GROUP_WAIT_S, MAX_WAITING_ROWS

TEXT = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")


def section(table: str) -> str:
    """Return what is written under the heading that names a table."""
    (found,) = (
        part for part in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:] if f"`{table}`" in part.split("\n")[0]
    )
    return found


@pytest.mark.parametrize(("table", "column"), [(t.name, c.name) for t in METADATA.tables.values() for c in t.columns])
def test_every_column_is_documented(table: str, column: str) -> None:
    assert f"`{column}`" in section(table)


@pytest.mark.parametrize("revision", schema.revisions())
def test_every_revision_is_documented(revision: str) -> None:
    assert f"| `{revision}` |" in TEXT


@pytest.mark.parametrize("name", [name for name, _ in inspect.getmembers(Store, callable) if not name.startswith("_")])
def test_every_method_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT)


def test_the_figures_of_the_writer_are_those_of_the_program() -> None:
    for figure in (f"{GROUP_WAIT_S * 1000:.0f} ms", f"{GROUP_ROWS:,} rows", f"{MAX_WAITING_ROWS:,} rows"):
        assert figure in TEXT
