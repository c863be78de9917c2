"""Migrations: up, down and up again with data, from nothing and from each revision, in SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from store_records import (
    allocation_event,
    answer,
    dead_letter,
    event,
    feedback,
    provider,
    rationale_event,
    status_event,
)

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError
from marketstream.market.records import EventFilter, PageRequest
from marketstream.store import migrations, schema
from marketstream.store.address import read_address
from marketstream.store.columns import JsonText, Words
from marketstream.store.database import Database
from marketstream.store.repository import Store
from marketstream.store.tables import METADATA

REVISIONS = schema.revisions()


@pytest.fixture
def database(lasting_url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(read_address(lasting_url, tmp_path))
    yield database
    database.close()


def tables(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(sa.inspect(connection).get_table_names())


def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Read every table that is there, whatever its columns: independent of tables.py."""
    found = {}
    with database.reading() as connection:
        for name in sorted(sa.inspect(connection).get_table_names()):
            rows = connection.execute(sa.text(f'SELECT * FROM "{name}"')).all()  # noqa: S608 - names of our own
            found[name] = sorted(map(tuple, rows), key=repr)
    return found


def move(database: Database, revision: str) -> None:
    known = (schema.BASE, *REVISIONS)
    with database.writing() as connection:
        up = known.index(schema.current(connection)) < known.index(revision)
        (schema.upgrade if up else schema.downgrade)(connection, revision)


async def fill(url: str, folder: Path) -> None:
    """Put a row into every table through the store itself."""
    store = Store(url, clock=ManualClock(), data_dir=folder)
    await store.open()
    await store.handle([event(1), status_event(2, "RUNNING"), allocation_event(3), rationale_event(4)])
    await store.save_feedback(feedback("rationale-000004"))
    await store.save_dead_letter(dead_letter(5))
    await store.save_provider(provider())
    await store.remember(answer())
    await store.mark_handled("ledger", ["a"])
    assert all(store.status().rows.values()), "every table has a row"
    await store.close()


def test_the_steps_are_numbered_without_gap() -> None:
    assert list(REVISIONS) == [f"{n:04d}" for n in range(1, len(REVISIONS) + 1)]


def test_the_migrated_schema_is_that_of_the_tables(database: Database) -> None:
    with database.writing() as connection:
        schema.upgrade(connection)
        assert differences(connection) == []


def test_a_schema_that_lacks_a_column_an_index_or_a_constraint_is_noticed(database: Database) -> None:
    other = sa.MetaData(naming_convention=METADATA.naming_convention)
    for table in METADATA.tables.values():
        table.to_metadata(other)
    other.tables["events"].append_column(sa.Column("severity", Words(), index=True))
    other.tables["answers"].append_column(sa.Column("notes", JsonText(), unique=True))
    with database.writing() as connection:
        schema.upgrade(connection)
        found = {change[0] for change in differences(connection, other)}
    assert found >= {"add_column", "add_index", "add_constraint"}


def differences(connection: sa.Connection, metadata: sa.MetaData = METADATA) -> list[tuple[object, ...]]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("start", [schema.BASE, *REVISIONS])
def test_each_revision_leads_to_the_same_schema(database: Database, start: str) -> None:
    if start != schema.BASE:
        move(database, start)
    if start != REVISIONS[-1]:
        move(database, REVISIONS[-1])
    with database.reading() as connection:
        assert (schema.current(connection), differences(connection)) == (REVISIONS[-1], [])


@pytest.mark.parametrize("revision", [schema.BASE, *REVISIONS[:-1]])
async def test_down_and_up_again_keeps_every_row(
    lasting_url: str, database: Database, tmp_path: Path, revision: str
) -> None:
    await fill(lasting_url, tmp_path)
    before = await asyncio.to_thread(contents, database)
    await asyncio.to_thread(move, database, revision)
    assert contents(database) != before
    await asyncio.to_thread(move, database, REVISIONS[-1])
    assert await asyncio.to_thread(contents, database) == before
    with database.reading() as connection:
        assert differences(connection) == []


async def test_a_downgrade_that_drops_is_caught_by_the_same_test(
    lasting_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(revision: str, *names: str) -> None:
        for name in reversed(names):
            op.drop_table(name)

    await fill(lasting_url, tmp_path)
    before = contents(database)
    monkeypatch.setattr("marketstream.store.migrations.parking.park", drop)
    move(database, schema.BASE)
    move(database, REVISIONS[-1])
    assert contents(database) != before


async def test_what_an_older_program_wrote_meanwhile_is_kept_beside_what_was_parked(
    lasting_url: str, database: Database, tmp_path: Path
) -> None:
    await fill(lasting_url, tmp_path)
    move(database, "0001")
    with database.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO events (event_id, ts, topic, subject, message, data)"
                " VALUES ('older', 9, 'feed.gap.found', 'kraken', 'Gap.', '{}')"
            )
        )
    move(database, REVISIONS[-1])
    store = Store(lasting_url, clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    events = await store.events(EventFilter(), PageRequest())
    assert events.rows[-1].id == "older" and len(events.rows) == 5
    assert (await store.rationale("rationale-000004")).sequence == 4
    await store.save_feedback(feedback("rationale-000004"))
    assert len(await store.feedback("rationale-000004")) == 2
    await store.close()


async def test_what_belongs_together_still_does_after_down_and_up(
    lasting_url: str, database: Database, tmp_path: Path
) -> None:
    await fill(lasting_url, tmp_path)
    move(database, schema.BASE)
    move(database, REVISIONS[-1])
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        connection.execute(
            sa.text("INSERT INTO feedback (rationale_id, rating, reason, comment, at) VALUES ('nobody', 1, '', '', 1)")
        )
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        connection.execute(sa.text("INSERT INTO answers SELECT * FROM answers"))


def test_a_step_that_fails_half_way_leaves_nothing_behind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    move(database, "0001")
    before = tables(database)
    with database.writing() as connection:
        # In the way of the third table of the next step.
        connection.execute(sa.text("CREATE TABLE dead_letters (x INTEGER)"))
    with pytest.raises(sa.exc.SQLAlchemyError), database.writing() as connection:
        schema.upgrade(connection)
    assert tables(database) == before | {"dead_letters"}
    with database.reading() as connection:
        assert schema.current(connection) == "0001"


def test_an_empty_database_is_brought_to_the_newest_revision(database: Database) -> None:
    with database.writing() as connection:
        schema.prepare(connection)
        assert schema.current(connection) == REVISIONS[-1]


@pytest.mark.parametrize("revision", [schema.BASE, *REVISIONS[:-1]])
def test_an_older_revision_is_refused_and_it_is_said_what_to_run(database: Database, revision: str) -> None:
    move(database, REVISIONS[-1])
    move(database, revision)
    before = tables(database)
    with database.writing() as connection, pytest.raises(ConfigurationError, match="run `marketstream db upgrade`"):
        schema.prepare(connection)
    assert tables(database) == before


def test_an_unknown_revision_is_refused_and_it_is_said_what_to_install(database: Database) -> None:
    move(database, REVISIONS[-1])
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(ConfigurationError, match=r"9999.*does not know.*newer marketstream"):
            schema.prepare(connection)
        with pytest.raises(ConfigurationError, match=r"9999.*does not know"):
            schema.upgrade(connection)


def test_tables_of_ours_without_a_revision_are_left_alone(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE events (x INTEGER)"))
        for touch in (schema.prepare, schema.upgrade):
            with pytest.raises(ConfigurationError, match=r"table events.*database of its own"):
                touch(connection)


def test_tables_of_others_are_no_hindrance(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE invoices (x INTEGER)"))
        schema.prepare(connection)
    assert "invoices" in tables(database)


@pytest.mark.parametrize(
    ("up", "revision", "message"),
    [
        (True, "0009", r"no revision '0009'; there are: base, 0001, 0002, 0003"),
        (False, "0009", r"no revision '0009'"),
        (True, "base", r"at revision 0001: upgrade cannot reach base, downgrade can"),
        (False, "0002", r"at revision 0001: downgrade cannot reach 0002, upgrade can"),
        (False, "head", r"no revision 'head'"),
        (True, "0001; DROP TABLE events", "no revision"),
    ],
)
def test_a_revision_that_cannot_be_reached_is_refused(
    database: Database, up: bool, revision: str, message: str
) -> None:
    move(database, "0001")
    with database.writing() as connection, pytest.raises(ConfigurationError, match=message):
        (schema.upgrade if up else schema.downgrade)(connection, revision)


def test_migrations_work_from_a_folder_with_a_percent_sign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "100%s (copy)"
    shutil.copytree(Path(str(migrations.__file__)).parent, folder)
    monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))
    assert schema.revisions() == REVISIONS


def test_a_plain_import_of_the_environment_runs_nothing() -> None:
    module = importlib.import_module("marketstream.store.migrations.env")
    assert callable(module.run)
