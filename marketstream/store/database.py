"""Connections that keep what they acknowledge: SQLite in WAL mode with full syncs, or PostgreSQL."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from marketstream.errors import ConfigurationError, MarketStreamError, PermanentError, TransientError
from marketstream.market.records import StoreKind
from marketstream.store.address import Address

BUSY_TIMEOUT_MS = 5_000
"""How long SQLite waits for somebody else's lock, such as that of a backup, before it says so."""
JOURNAL_LIMIT_BYTES = 64 << 20
"""Size to which the write-ahead log is cut back after a checkpoint."""
POOL_SIZE = 4
CONNECT_TIMEOUT_S = 5
_READ = "marketstream_read"


class Database:
    """One writing and one reading way to a database; nothing is connected before the first use.

    Args:
        address: Where it lies.

    Raises:
        ConfigurationError: The driver of PostgreSQL is not installed.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._engine = _engine(address)
        self._reader = self._engine.execution_options(**{_READ: True})
        # In memory there is one connection for all threads, which take turns.
        self._turn = threading.Lock() if address.kind is StoreKind.MEMORY else contextlib.nullcontext()

    @property
    def dialect(self) -> str:
        """Return `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, committed at the end unless something raises."""
        with self._turn, self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the database and keeps no writer waiting."""
        with self._turn, self._reader.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def judge(self, error: SQLAlchemyError) -> MarketStreamError:
        """Return an error of the database as one of ours: worth another try, or not."""
        text = self.address.hide_password(_first_line(error))
        if _may_pass(error):
            return TransientError(f"the store at {self.address.location} is not available now: {text}")
        return PermanentError(f"the store at {self.address.location} refused: {text}")


def _engine(address: Address) -> sa.Engine:
    # Statements with their values never reach a log or a message.
    common: dict[str, Any] = {"hide_parameters": True}
    if address.kind is StoreKind.POSTGRESQL:
        common |= {"pool_size": POOL_SIZE, "max_overflow": 0, "pool_pre_ping": True}
        common["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "marketstream"}
    elif address.kind is StoreKind.MEMORY:
        common |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    try:
        engine = sa.create_engine(address.url, **common)
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(
            "PostgreSQL needs psycopg 3, which is not installed: pip install 'marketstream[postgresql]'"
        ) from None
    if address.kind is StoreKind.POSTGRESQL:
        sa.event.listen(engine, "connect", _keep_commits)
    else:
        sa.event.listen(engine, "connect", _set_pragmas)
        sa.event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _: object) -> None:
    # The driver must not begin transactions by itself; `_begin` does.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"journal_size_limit={JOURNAL_LIMIT_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # A writer that starts as a reader can be refused the lock half way; IMMEDIATE takes it at once.
    reads = connection.get_execution_options().get(_READ, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _keep_commits(connection: Any, _: object) -> None:
    # A server set to synchronous_commit=off loses acknowledged rows when it is killed.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def _may_pass(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    # Both drivers also call statements operational errors that fail the same way each time.
    wrong = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    too_much = (getattr(error.orig, "sqlstate", None) or "").startswith("54")  # beyond a limit of the server
    return isinstance(error, OperationalError) and not wrong and not too_much


def _first_line(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"[:300]
