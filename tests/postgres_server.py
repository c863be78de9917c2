"""A throw-away PostgreSQL server on a loopback port, for tests; stopped at the end with all it held."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from marketstream.store.schema import newest
from marketstream.store.tables import METADATA

DEBIAN = Path("/usr/lib/postgresql")
# A crash of the server is no matter here; the tests kill our own process, not this one.
QUICK = "-c fsync=off -c full_page_writes=off -c max_connections=50"


class PostgresServer:
    """One running server with one database, `store`, that tests use one after the other."""

    def __init__(self, port: int, password: str, start: list[str], stop: list[str]) -> None:
        self.port = port
        self.password = password
        self._start = start
        self._stop = stop

    def start(self) -> None:
        """Start it and wait until it answers."""
        _run(self._start)

    def crash(self) -> None:
        """End it at once, without a word to its clients; the next start recovers from its log."""
        _run(self._stop)

    @property
    def url(self) -> str:
        return self.url_of("store")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "store") -> list[tuple[object, ...]]:
        """Execute one statement, or several without results."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def without_tables(self) -> str:
        """Drop every table and return the URL."""
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self.url

    def without_rows(self) -> str:
        """Empty every table of the newest revision, which costs less than making them, and return the URL."""
        found = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        if {name for (name,) in found} != {"alembic_version", *METADATA.tables}:
            return self.without_tables()
        if self.execute("SELECT version_num FROM alembic_version") != [(newest(),)]:
            return self.without_tables()
        self.execute(f"TRUNCATE {', '.join(METADATA.tables)} RESTART IDENTITY")
        return self.url


def programs() -> tuple[str, str]:
    """Return the paths of initdb and pg_ctl, or skip where PostgreSQL is not installed."""
    newest = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name)) if DEBIAN.is_dir() else []
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(newest))])
    initdb, pg_ctl = shutil.which("initdb", path=path), shutil.which("pg_ctl", path=path)
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed; install it with: apt-get install postgresql")
    return initdb, pg_ctl


def running_server() -> Iterator[PostgresServer]:
    """Run a server until the generator is closed."""
    initdb, pg_ctl = programs()
    # Not under pytest's own folder, which only its owner may enter: PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    as_user = _as_user(folder)
    password, port = secrets.token_hex(16), _free_port()
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o644)
    data = str(folder / "data")
    options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories='' {QUICK}"
    make = [initdb, "-D", data, "-U", "postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    control = [*as_user, pg_ctl, "-D", data, "-w"]
    server = PostgresServer(
        port,
        password,
        [*control, "-l", str(folder / "log"), "-o", options, "start"],
        [*control, "-m", "immediate", "stop"],
    )
    try:
        _run([*as_user, *make, f"--pwfile={folder / 'password'}"])
        server.start()
        server.execute("CREATE DATABASE store", "postgres")
        yield server
        server.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_user(folder: Path) -> list[str]:
    if os.geteuid() != 0:
        return []
    try:
        shutil.chown(folder, "postgres", "postgres")
    except LookupError:
        pytest.skip("there is no user postgres, and PostgreSQL does not run as root")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _run(command: list[str]) -> None:
    # The server inherits what it is given: with a pipe the end of `pg_ctl start` would never be seen.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", timeout=60, check=False
        )
        said.seek(0)
        assert done.returncode == 0, said.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
