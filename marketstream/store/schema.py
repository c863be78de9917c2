"""The revision of a database: what it is at, whether this program knows it, and the steps up and down."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from marketstream.errors import ConfigurationError
from marketstream.store import migrations
from marketstream.store.tables import METADATA

BASE = "base"
"""Before the first revision: no tables."""

_LOCK = 0x6D73_6462
"""Names the lock of PostgreSQL around changes of the schema."""


def revisions() -> tuple[str, ...]:
    """Return all known revisions, oldest first."""
    return tuple(step.revision for step in reversed(list(ScriptDirectory.from_config(_config()).walk_revisions())))


def newest() -> str:
    """Return the revision that this program works with."""
    return revisions()[-1]


def current(connection: sa.Connection) -> str:
    """Return the revision of a database, BASE where it has none.

    Raises:
        ConfigurationError: It has none, but a table that is named like one of ours.
    """
    at = " and ".join(MigrationContext.configure(connection).get_current_heads())
    if at:
        return at
    foreign = [name for name in sa.inspect(connection).get_table_names() if name in METADATA.tables]
    if foreign:
        raise ConfigurationError(
            f"there is a table {foreign[0]} that marketstream did not make: give the store a database of its own"
        )
    return BASE


def is_empty(connection: sa.Connection) -> bool:
    """Return whether a database holds no table of ours, parked ones included."""
    names = sa.inspect(connection).get_table_names()
    return current(connection) == BASE and not any(name.startswith("parked_") for name in names)


def prepare(connection: sa.Connection) -> None:
    """Bring an empty database to the newest revision; leave one that is there already as it is.

    Raises:
        ConfigurationError: It is at another revision; the message says what to run.
    """
    _alone(connection)
    at = current(connection)
    if is_empty(connection):
        upgrade(connection)
        return
    if at == newest():
        return
    if at == BASE or at in revisions():
        raise ConfigurationError(
            f"the store is at revision {at}, this program needs {newest()}: run `marketstream db upgrade`"
        )
    raise ConfigurationError(
        f"the store is at revision {at}, which this program does not know (its newest is {newest()}): "
        "install the newer marketstream that made it"
    )


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Take the steps up to `revision`, all or none.

    Raises:
        ConfigurationError: There is no such revision, or it lies below.
    """
    _move(connection, newest() if revision == "head" else revision, up=True)


def downgrade(connection: sa.Connection, revision: str) -> None:
    """Take the steps down to `revision` (BASE for all), all or none; what they held is parked.

    Raises:
        ConfigurationError: There is no such revision, or it lies above.
    """
    _move(connection, revision, up=False)


def _move(connection: sa.Connection, revision: str, *, up: bool) -> None:
    _alone(connection)
    known = (BASE, *revisions())
    at = current(connection)
    if at not in known:
        raise ConfigurationError(f"the store is at revision {at}, which this program does not know")
    if revision not in known:
        raise ConfigurationError(f"there is no revision {revision!r}; there are: {', '.join(known)}")
    if known.index(revision) != known.index(at) and up != (known.index(revision) > known.index(at)):
        way, other = ("upgrade", "downgrade") if up else ("downgrade", "upgrade")
        raise ConfigurationError(f"the store is at revision {at}: {way} cannot reach {revision}, {other} can")
    (command.upgrade if up else command.downgrade)(_config(connection), revision)


def _alone(connection: sa.Connection) -> None:
    # Of two processes that open one empty PostgreSQL database, one makes the tables and the other finds them; SQLite
    # has locked its file already.
    if connection.dialect.name == "postgresql":
        # A change of a large store, and of whoever comes first, takes as long as it takes.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    # Alembic reads % as the start of a variable.
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
