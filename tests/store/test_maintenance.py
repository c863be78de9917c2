"""The revision of a store is looked at without touching it, and changed only while nobody else has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_records import event

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError
from marketstream.market.records import EventFilter, PageRequest
from marketstream.store.locking import StoreBusyError
from marketstream.store.maintenance import downgrade_store, schema_report, upgrade_store
from marketstream.store.repository import Store


def test_looking_at_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    report = schema_report("sqlite", tmp_path / "data")
    assert (report.after, report.empty, report.known) == ("base", True, True)
    assert not (tmp_path / "data").exists()


def test_steps_up_and_down_are_reported(lasting_url: str, tmp_path: Path) -> None:
    reports = [
        upgrade_store(lasting_url, tmp_path, "0001"),
        upgrade_store(lasting_url, tmp_path),
        downgrade_store(lasting_url, tmp_path, "base"),
        schema_report(lasting_url, tmp_path),
    ]
    assert [(report.before, report.after, report.empty) for report in reports] == [
        ("base", "0001", False),
        ("0001", "0003", False),
        ("0003", "base", False),
        ("base", "base", False),
    ]
    assert {report.newest for report in reports} == {"0003"}


async def test_an_open_store_can_be_looked_at_but_not_changed(tmp_path: Path) -> None:
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    assert schema_report("sqlite", tmp_path).after == "0003"
    for change in (lambda: upgrade_store("sqlite", tmp_path), lambda: downgrade_store("sqlite", tmp_path, "base")):
        with pytest.raises(StoreBusyError, match="in use by process"):
            change()
    await store.handle([event(1)])
    await store.close()


async def test_a_store_that_was_taken_down_opens_again_after_the_upgrade(lasting_url: str, tmp_path: Path) -> None:
    store = Store(lasting_url, clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    await store.handle([event(1)])
    await store.close()
    downgrade_store(lasting_url, tmp_path, "0001")
    with pytest.raises(ConfigurationError, match=r"revision 0001.*needs 0003: run `marketstream db upgrade`"):
        await store.open()
    upgrade_store(lasting_url, tmp_path)
    await store.open()
    assert (await store.events(EventFilter(), PageRequest())).rows == (event(1),)
    await store.close()


def test_memory_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`memory`, which has no revision"):
        schema_report("memory", tmp_path)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database, though long enough to look at" * 100)
    for look in (schema_report, upgrade_store):
        with pytest.raises(ConfigurationError, match="file is not a database"):
            look("sqlite", tmp_path)


def test_a_change_that_is_refused_lets_go_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no revision"):
        upgrade_store("sqlite", tmp_path, "0009")
    assert upgrade_store("sqlite", tmp_path).after == "0003"
