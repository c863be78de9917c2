"""Where a store lies: the URL of a setting, read and checked. Passwords stay within `Address.url`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from marketstream.errors import ConfigurationError
from marketstream.market.records import StoreKind

FILE_NAME = "store.db"
"""Name of the file that the URL `sqlite` stands for, in the data folder."""
_RIGHT = "`sqlite`, `memory`, `sqlite:///path/to/file.db` or `postgresql://user:password@host/database`"
_KNOWN = ("sqlite", "postgres", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2", "mysql")
"""Schemes that a message may name, since they are no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where records are kept.

    Attributes:
        kind: SQLite file, PostgreSQL or memory.
        location: The same for people: file or server and database, never with user or password.
        url: What the driver connects to.
        path: The file of SQLite; None elsewhere.
    """

    kind: StoreKind
    location: str
    url: sa.URL = field(repr=False)
    path: Path | None = None

    def hide_password(self, text: str) -> str:
        """Return `text` without any password of the URL, for messages of drivers."""
        for secret in (self.url.password, self.url.query.get("password"), self.url.query.get("sslpassword")):
            if isinstance(secret, str) and secret:
                text = text.replace(secret, "***")
        return text

    def size_bytes(self) -> int | None:
        """Return the size of the file and its write-ahead log; None where there is no file."""
        if self.path is None:
            return None
        sizes = []
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            # The log comes and goes with the connections.
            with contextlib.suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        return sum(sizes) if sizes else None


def read_address(url: str, data_dir: Path) -> Address:
    """Return what a URL of a store means.

    Raises:
        ConfigurationError: It is none; the message shows nothing of it but a scheme that is known.
    """
    if url == "memory":
        return Address(kind=StoreKind.MEMORY, location="memory", url=sa.URL.create("sqlite"))
    if url == "sqlite":
        return _file(data_dir / FILE_NAME)
    scheme = url.partition(":")[0]
    if scheme == "sqlite" and url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return _file(Path(url.removeprefix("sqlite:///")).expanduser())
    if scheme == "postgresql":
        return _server(url)
    # What stands before a colon may be the beginning of a password.
    shown = scheme if scheme in _KNOWN and url != scheme else "something else"
    raise ConfigurationError(f"the store must be {_RIGHT}, was {shown}")


def _file(path: Path) -> Address:
    path = path.resolve()
    return Address(
        kind=StoreKind.SQLITE, location=str(path), url=sa.URL.create("sqlite", database=str(path)), path=path
    )


def _server(url: str) -> Address:
    # The errors of the parser may show the URL, so none of them is chained.
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"the URL of the store cannot be read; it must be {_RIGHT}") from None
    if not parsed.database or not (parsed.host or "host" in parsed.query):
        raise ConfigurationError("the URL of the store must name host and database: postgresql://user@host/database")
    hosts = parsed.host or parsed.query["host"]
    host = hosts if isinstance(hosts, str) else ",".join(hosts)
    if "@" in f"{host}{parsed.database}":
        # The rest of a password, which would be shown as the place of the store.
        raise ConfigurationError(
            "the URL of the store has an @ too many; write @ as %40 in user and password: "
            "postgresql://user:password@host/database"
        )
    port = f":{parsed.port}" if parsed.port else ""
    return Address(
        kind=StoreKind.POSTGRESQL,
        location=f"{host}{port}/{parsed.database}",
        url=parsed.set(drivername="postgresql+psycopg"),
    )
