"""docs/store.md names every table, every column, every revision and every method of the store."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from store_records import event

from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.engine.backbone import KEPT_EVENTS
from marketstream.engine.engine import TOLD_AGAIN_S
from marketstream.engine.house import KEPT_EDGES
from marketstream.settings import load_settings
from marketstream.store import schema
from marketstream.store.database import CLOSE_S, STATEMENT_TIMEOUT_S
from marketstream.store.repository import Store
from marketstream.store.tables import METADATA
from marketstream.store.writer import GROUP_ROWS, GROUP_WAIT_S, MAX_WAITING_ROWS

PAGE = Path(__file__).parents[2] / "docs" / "store.md"
TEXT = PAGE.read_text(encoding="utf-8")


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


async def test_the_example_of_a_handler_does_its_effect_once(tmp_path: Path) -> None:
    (example,) = (part.split("```")[0] for part in TEXT.split("```python\n") if "mark_handled(" in part.split("```")[0])
    store, sent = Store("memory", clock=ManualClock(), data_dir=tmp_path), list[str]()
    engine = Engine(load_settings(store_url="memory"), clock=ManualClock())

    async def send(message: str) -> None:
        sent.append(message)

    names: dict[str, Any] = {"store": store, "engine": engine, "send": send}
    exec(example, names)  # noqa: S102 - our own documentation
    await store.open()
    await names["mail"]([event(1), event(2)])
    await names["mail"]([event(2), event(3)])
    assert sent == [event(n).message for n in (1, 2, 3)] and "mail" in engine.handlers.names
    await store.close()
    await engine.close()


def test_the_figures_of_the_engine_are_those_of_the_program() -> None:
    events = (PAGE.parent / "events.md").read_text(encoding="utf-8")
    for figure in (f"once in {TOLD_AGAIN_S:g} seconds", f"the last {KEPT_EVENTS} events"):
        assert figure in events
    settings = load_settings()
    for figure in (
        f"`MARKETSTREAM_STORE_KEEP_DAYS` ({settings.store_keep_days})",
        f"`MARKETSTREAM_STORE_KEEP_RECORDS_DAYS` ({settings.store_keep_records_days})",
        f"the best {KEPT_EDGES} edges",
        f"after {STATEMENT_TIMEOUT_S} seconds",
        f"for {CLOSE_S:g} seconds",
    ):
        assert figure in TEXT
