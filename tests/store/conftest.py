"""Stores of every kind: in memory, in a file, and in PostgreSQL where that is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, running_server

from marketstream.clock import ManualClock
from marketstream.store.repository import Store


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server, or skip where there is none."""
    yield from running_server()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty store of each kind."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.without_rows()
    return str(request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def lasting_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store that outlives its process."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.without_tables()
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
async def store(store_url: str, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
    """Open a store of each kind."""
    opened = Store(store_url, clock=clock, data_dir=tmp_path)
    await opened.open()
    yield opened
    await opened.close()
