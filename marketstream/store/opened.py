"""What an open store holds: lock, connections, the writing thread and the reading ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from marketstream.clock import Clock
from marketstream.errors import ConfigurationError, TransientError
from marketstream.market.records import StoreKind
from marketstream.store import schema
from marketstream.store.database import CLOSE_S, Database
from marketstream.store.locking import FileLock
from marketstream.store.statements import Statements
from marketstream.store.tables import METADATA
from marketstream.store.writer import GROUP_WAIT_S, Writer, count_rows

logger = logging.getLogger(__name__)

T = TypeVar("T")

READERS = 2
"""Reads at the same time."""


class Opened:
    """A database that is locked, at the newest revision and ready to be written and read.

    Making one opens the database, and blocks as long as that takes.

    Args:
        database: Where it lies; closed with this, or where this fails.
        clock: Measures commits.
        probe: As for Writer.

    Raises:
        StoreBusyError: Another process has the file.
        ConfigurationError: It is at another revision, is no database, or cannot be reached.
    """

    def __init__(self, database: Database, *, clock: Clock, probe: Callable[[str], None]) -> None:
        address = database.address
        self._lock = FileLock(address.path) if address.path is not None else None
        self._database = database
        if self._lock is not None:
            self._lock.take()
        try:
            rows = self._prepare()
        except BaseException:
            self._let_go()
            raise
        self.revision = schema.newest()
        self.statements = Statements(self._database.dialect)
        # Nothing is synced in memory, so there is nothing to share by waiting for company.
        wait_s = 0.0 if address.kind is StoreKind.MEMORY else GROUP_WAIT_S
        self.writer = Writer(self._database, clock=clock, probe=probe, wait_s=wait_s)
        self.writer.start(rows)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._reading: set[Future[Any]] = set()

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Return what a query finds; a cancelled caller leaves at once.

        Raises:
            TransientError: The database is not available, or the store is closed.
            PermanentError: It refused.
        """
        try:
            reading = self._readers.submit(self._read, query)
        except RuntimeError:
            raise TransientError("the store is closed") from None
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        return await asyncio.wrap_future(reading)

    def close(self) -> None:
        """Write and read what waits, end the threads and let go of everything; a database that hangs is cut."""
        self.writer.stop()
        self._readers.shutdown(wait=False)
        if wait(tuple(self._reading), CLOSE_S).not_done:
            logger.error("the store does not answer: what is being read is given up")
            self._database.cut()
        self._readers.shutdown()
        self._let_go()

    def _read(self, query: Callable[[sa.Connection], T]) -> T:
        try:
            with self._database.reading() as connection:
                return query(connection)
        except SQLAlchemyError as error:
            raise self._database.judge(error) from None

    def _prepare(self) -> dict[str, int]:
        try:
            with self._database.writing() as connection:
                schema.prepare(connection)
                return {name: count_rows(connection, name) for name in METADATA.tables}
        except SQLAlchemyError as error:
            raise ConfigurationError(str(self._database.judge(error))) from None

    def _let_go(self) -> None:
        self._database.close()
        if self._lock is not None:
            self._lock.release()
