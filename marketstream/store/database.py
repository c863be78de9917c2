"""Connections that keep what they acknowledge: SQLite in WAL mode with full syncs, or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
import weakref
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
STATEMENT_TIMEOUT_S = 60
"""Longest statement of PostgreSQL, a change of the schema aside; `statement_timeout` of the server or role wins."""
CLOSE_S = 5.0
"""How long a close waits for a database that does not answer, seconds."""
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
# A server that went away without a word is noticed within half a minute. Parameters of the URL win.
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
        self._connected: weakref.WeakSet[Any] = weakref.WeakSet()
        self.is_cut = False
        """Whether it was given up."""
        if address.kind is StoreKind.POSTGRESQL:
            sa.event.listen(self._engine, "connect", lambda connection, _: self._connected.add(connection))
        # In memory there is one connection for all threads, which take turns.
        self._turn = threading.Lock() if address.kind is StoreKind.MEMORY else contextlib.nullcontext()

    @property
    def dialect(self) -> str:
        """Return `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, committed at the end unless something raises."""
        self._check()
        with self._turn, self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the database and keeps no writer waiting."""
        self._check()
        with self._turn, self._reader.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def cut(self) -> None:
        """Break all connections to a server that does not answer, for good: who waits for it in a thread fails at once.

        From any thread. A file answers or says that it is locked, so of a file nothing is broken.
        """
        self.is_cut = True
        for connection in tuple(self._connected):
            _shut_down(connection)

    def _check(self) -> None:
        if self.is_cut:
            raise TransientError(f"the store at {self.address.location} did not answer and was given up")

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
        given = address.url.query
        network = {name: value for name, value in _TCP.items() if name not in given}
        common["connect_args"] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "marketstream",
            **network,
        }
    elif address.kind is StoreKind.MEMORY:
        common |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    try:
        engine = sa.create_engine(address.url, **common)
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(
            "PostgreSQL needs psycopg 3, which is not installed: pip install 'marketstream[postgresql]'"
        ) from None
    if address.kind is StoreKind.POSTGRESQL:
        sa.event.listen(engine, "connect", _set_up)
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


def _set_up(connection: Any, _: object) -> None:
    # A server set to synchronous_commit=off loses acknowledged rows when it is killed; one without a limit may keep a
    # statement waiting for ever, behind somebody's lock.
    settings = (("synchronous_commit", "off", "on"), ("statement_timeout", "0", f"{STATEMENT_TIMEOUT_S}s"))
    with connection.cursor() as cursor:
        for name, found, wanted in settings:
            cursor.execute(
                "SELECT set_config(%s, %s, false) WHERE current_setting(%s) = %s", (name, wanted, name, found)
            )
    connection.commit()


def _shut_down(connection: Any) -> None:
    # The thread that waits on the socket sees its end; closing the connection under it would not be safe. What is
    # closed already has none.
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


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
