"""Connections keep what they acknowledge, keep nobody waiting who only reads, and show no password or value."""

from __future__ import annotations

import logging
import random
import string
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_server import PostgresServer

from marketstream.errors import ConfigurationError, PermanentError, TransientError
from marketstream.store.address import read_address
from marketstream.store.database import BUSY_TIMEOUT_MS, JOURNAL_LIMIT_BYTES, Database


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    database = Database(read_address("sqlite", tmp_path))
    yield database
    database.close()


@pytest.fixture
def server(postgres: PostgresServer, tmp_path: Path) -> Iterator[Database]:
    database = Database(read_address(postgres.without_tables(), tmp_path))
    yield database
    database.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),  # FULL
        ("foreign_keys", 1),
        ("busy_timeout", BUSY_TIMEOUT_MS),
        ("journal_size_limit", JOURNAL_LIMIT_BYTES),
    ],
)
@pytest.mark.parametrize("way", ["reading", "writing"])
def test_every_connection_to_a_file_is_set_to_keep_what_it_acknowledges(
    file: Database, way: str, pragma: str, value: object
) -> None:
    with getattr(file, way)() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_writer_takes_the_lock_before_its_first_statement(file: Database) -> None:
    other = Database(file.address)
    with other.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with file.writing(), pytest.raises(sa.exc.OperationalError, match="locked"), other.writing():
        pass
    other.close()


def test_readers_do_not_wait_for_a_writer_and_see_one_state(file: Database) -> None:
    with file.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
    with file.reading() as reader:
        before = reader.exec_driver_sql("SELECT COUNT(*) FROM t").scalar()
        with file.writing() as writer:
            writer.exec_driver_sql("INSERT INTO t VALUES (1)")
        after = reader.exec_driver_sql("SELECT COUNT(*) FROM t").scalar()
    with file.reading() as reader:
        later = reader.exec_driver_sql("SELECT COUNT(*) FROM t").scalar()
    assert (before, after, later) == (0, 0, 1)


def test_what_raises_is_rolled_back(file: Database) -> None:
    with pytest.raises(ZeroDivisionError), file.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        raise ZeroDivisionError
    with file.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_threads_take_turns_in_memory(tmp_path: Path) -> None:
    memory = Database(read_address("memory", tmp_path))
    seen: list[object] = []

    def read() -> None:
        with memory.reading() as connection:
            seen.append(connection.exec_driver_sql("SELECT COUNT(*) FROM t").scalar())

    with memory.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        reader = threading.Thread(target=read)
        reader.start()
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert seen == []
    reader.join(10)
    assert seen == [1]
    memory.close()


def test_commits_of_a_server_are_synchronous_even_where_it_is_set_otherwise(
    postgres: PostgresServer, server: Database
) -> None:
    postgres.execute("ALTER DATABASE store SET synchronous_commit = off")
    try:
        with server.writing() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    finally:
        postgres.execute("ALTER DATABASE store RESET synchronous_commit")


def test_a_stricter_server_stays_so(postgres: PostgresServer, server: Database) -> None:
    postgres.execute("ALTER DATABASE store SET synchronous_commit = remote_apply")
    try:
        with server.writing() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "remote_apply"
    finally:
        postgres.execute("ALTER DATABASE store RESET synchronous_commit")


def test_a_connection_that_the_server_ended_is_replaced(postgres: PostgresServer, server: Database) -> None:
    with server.writing() as connection:
        first = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    postgres.execute(f"SELECT pg_terminate_backend({first})")
    with server.writing() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() != first


def test_a_connection_that_ends_under_way_is_worth_another_try(postgres: PostgresServer, server: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught, server.writing() as connection:
        postgres.execute(
            f"SELECT pg_terminate_backend({connection.exec_driver_sql('SELECT pg_backend_pid()').scalar()})"
        )
        connection.exec_driver_sql("SELECT 1")
    assert isinstance(server.judge(caught.value), TransientError)


def test_what_the_database_refuses_is_not_worth_another_try(file: Database) -> None:
    with file.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER NOT NULL)")
    with pytest.raises(sa.exc.IntegrityError) as caught, file.writing() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (:x)"), {"x": None})
    judged = file.judge(caught.value)
    assert isinstance(judged, PermanentError) and "NOT NULL" in str(judged)


# Secrets ----------------------------------------------------------------------------------------------------

CANARY = "s3cr3t-c4n4ry"


def test_a_wrong_password_is_in_no_error_and_no_log(
    postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = read_address(postgres.url.replace(postgres.password, CANARY), tmp_path)
    database = Database(address)
    with pytest.raises(sa.exc.OperationalError) as caught, database.reading():
        pass
    shown = f"{database.judge(caught.value)}{address!r}{database!r}{vars(database)}"
    assert "authentication failed" in shown and CANARY not in shown + caplog.text


@pytest.mark.parametrize("echoed", [f"could not use postgresql://u:{CANARY}@h/db", f"password={CANARY} is bad"])
def test_a_driver_that_shows_the_password_is_not_passed_on(tmp_path: Path, echoed: str) -> None:
    database = Database(read_address(f"postgresql://u:{CANARY}@127.0.0.1:1/db", tmp_path))
    error = sa.exc.OperationalError("SELECT 1", {}, Exception(echoed))
    assert CANARY in str(error) and CANARY not in str(database.judge(error))


def test_values_of_a_statement_are_in_no_error_and_no_log(file: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with file.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x TEXT UNIQUE)")
    with pytest.raises(sa.exc.IntegrityError) as caught, file.writing() as connection:
        for _ in range(2):
            connection.execute(sa.text("INSERT INTO t VALUES (:x)"), {"x": CANARY})
    assert CANARY not in f"{caught.value}{file.judge(caught.value)}{caplog.text}"


def test_the_driver_of_postgresql_is_asked_for_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("psycopg")

    monkeypatch.setattr(sa, "create_engine", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'marketstream\[postgresql\]'"):
        Database(read_address("postgresql://u@h/db", tmp_path))


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT * FROM nowhere", PermanentError),
        ("INSERT INTO t VALUES (NULL)", PermanentError),
        ("SELEC", PermanentError),
    ],
)
@pytest.mark.parametrize("which", ["file", "server"])
def test_a_statement_that_fails_the_same_way_each_time_is_not_worth_another_try(
    request: pytest.FixtureRequest, which: str, statement: str, kind: type[Exception]
) -> None:
    database: Database = request.getfixturevalue(which)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER NOT NULL)")
    with pytest.raises(sa.exc.DBAPIError) as caught, database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert type(database.judge(caught.value)) is kind


def test_a_text_that_is_too_long_for_an_index_is_not_worth_another_try(server: Database) -> None:
    noise = "".join(random.Random(7).choices(string.printable.strip(), k=20_000))  # does not compress
    with server.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x TEXT UNIQUE)")
    with pytest.raises(sa.exc.DBAPIError, match="index row") as caught, server.writing() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (:x)"), {"x": noise})
    assert isinstance(server.judge(caught.value), PermanentError)


@pytest.mark.parametrize("way", ["reading", "writing"])
def test_a_database_that_was_cut_is_used_no_more(file: Database, way: str) -> None:
    file.cut()
    with pytest.raises(TransientError, match="did not answer and was given up"), getattr(file, way)():
        pass
