"""Changes of revision from outside, while no engine has the store: what `marketstream db` does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from marketstream.errors import ConfigurationError
from marketstream.market.records import StoreKind
from marketstream.store import schema
from marketstream.store.address import Address, read_address
from marketstream.store.database import Database
from marketstream.store.locking import FileLock


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReport:
    """Which revision a store is at.

    Attributes:
        location: File or server, without any password.
        before: Revision before, `base` where it has none.
        after: Revision now.
        newest: The one that this program works with.
        known: Whether this program knows the revision.
        empty: Whether there are no tables of ours, parked ones included.
    """

    location: str
    before: str
    after: str
    newest: str
    known: bool
    empty: bool


def schema_report(url: str, data_dir: Path) -> SchemaReport:
    """Return the revision of a store without changing it; a file that is not there is at `base`.

    Raises:
        ConfigurationError: The URL is none, or the database cannot be read.
    """
    address = _lasting(url, data_dir)
    if address.path is not None and not address.path.exists():
        return _report(address, schema.BASE, schema.BASE, empty=True)
    with _connected(address) as database, database.reading() as connection:
        at = schema.current(connection)
        return _report(address, at, at, empty=schema.is_empty(connection))


def upgrade_store(url: str, data_dir: Path, revision: str = "head") -> SchemaReport:
    """Take the steps up to a revision, all or none.

    Raises:
        StoreBusyError: A process has the file.
        ConfigurationError: The URL is none, there is no such revision above, or the database cannot be reached.
    """
    return _moved(url, data_dir, lambda connection: schema.upgrade(connection, revision))


def downgrade_store(url: str, data_dir: Path, revision: str) -> SchemaReport:
    """Take the steps down to a revision, all or none; what they held is parked, not lost.

    Raises:
        StoreBusyError: A process has the file.
        ConfigurationError: The URL is none, there is no such revision below, or the database cannot be reached.
    """
    return _moved(url, data_dir, lambda connection: schema.downgrade(connection, revision))


def _moved(url: str, data_dir: Path, move: Callable[[sa.Connection], None]) -> SchemaReport:
    address = _lasting(url, data_dir)
    lock = FileLock(address.path) if address.path is not None else None
    if lock is not None:
        lock.take()
    try:
        with _connected(address) as database, database.writing() as connection:
            before = schema.current(connection)
            move(connection)
            after = schema.current(connection)
            return _report(address, before, after, empty=schema.is_empty(connection))
    finally:
        if lock is not None:
            lock.release()


@contextlib.contextmanager
def _connected(address: Address) -> Iterator[Database]:
    database = Database(address)
    try:
        yield database
    except SQLAlchemyError as error:
        raise ConfigurationError(str(database.judge(error))) from None
    finally:
        database.close()


def _lasting(url: str, data_dir: Path) -> Address:
    address = read_address(url, data_dir)
    if address.kind is StoreKind.MEMORY:
        raise ConfigurationError("the store is `memory`, which has no revision to look at or to change")
    return address


def _report(address: Address, before: str, after: str, *, empty: bool) -> SchemaReport:
    known = after in (schema.BASE, *schema.revisions())
    return SchemaReport(
        location=address.location, before=before, after=after, newest=schema.newest(), known=known, empty=empty
    )
