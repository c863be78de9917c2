"""A server that stops answering without a word holds up neither a close nor the end of a start."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_server import PostgresServer
from store_records import event

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError, TransientError
from marketstream.market.records import EventFilter, PageRequest
from marketstream.store.address import read_address
from marketstream.store.database import STATEMENT_TIMEOUT_S, Database
from marketstream.store.repository import Store


class Proxy:
    """Passes bytes between clients and a server until it is frozen: then it takes them, and nothing comes back."""

    def __init__(self, port: int) -> None:
        self.flowing = threading.Event()
        self.flowing.set()
        self.taken = threading.Event()  # something came in while it was frozen
        self._target = port
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._run(self._let_in)

    def close(self) -> None:
        self.flowing.set()
        for one in (self._door, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _run(self, work: object, *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                self._run(self._pass_on, client, server)
                self._run(self._pass_on, server, client)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.flowing.is_set():
                    self.taken.set()
                self.flowing.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    proxy = Proxy(postgres.port)
    yield proxy
    proxy.close()


@pytest.fixture
def url(postgres: PostgresServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty store behind the proxy, whose close has little patience."""
    for module in ("writer", "opened", "repository"):
        monkeypatch.setattr(f"marketstream.store.{module}.CLOSE_S", 0.3)
    return postgres.without_tables().replace(f":{postgres.port}/", f":{proxy.port}/")


def threads(but: Collection[threading.Thread] = ()) -> set[threading.Thread]:
    """Return the threads of stores but those that were there before: engines of other tests may live as long as all."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("store-")} - set(but)


async def frozen(url: str, proxy: Proxy, folder: Path) -> tuple[Store, list[asyncio.Task[object]]]:
    """Return an open store, and a write and a read that wait for a server which has stopped answering."""
    store = Store(url, clock=ManualClock(), data_dir=folder)
    await store.open()
    await store.handle([event(1)])
    proxy.flowing.clear()
    waiting: list[asyncio.Task[object]] = [
        asyncio.create_task(store.handle([event(2)])),
        asyncio.create_task(store.events(EventFilter(), PageRequest())),
    ]
    assert await asyncio.to_thread(proxy.taken.wait, 10)
    return store, waiting


async def test_a_close_ends_and_says_what_it_gave_up(
    url: str, proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = threads()
    store, waiting = await frozen(url, proxy, tmp_path)
    await asyncio.wait_for(store.close(), 15)
    assert {type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)} == {TransientError}
    assert threads(before) == set() and "1 rows that wait are given up" in caplog.text


async def test_a_close_that_waits_for_ever_is_caught_by_the_same_check(
    url: str, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threads()
    store, waiting = await frozen(url, proxy, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("marketstream.store.writer.CLOSE_S", 30.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0) as limit:
                closing = asyncio.create_task(store.close())
                await asyncio.shield(closing)
        assert limit.expired() and threads(before) != set()
        proxy.flowing.set()
        await closing
    await asyncio.gather(*waiting)


async def test_what_was_acknowledged_before_is_there_after(url: str, proxy: Proxy, tmp_path: Path) -> None:
    store, waiting = await frozen(url, proxy, tmp_path)
    await store.close()
    await asyncio.gather(*waiting, return_exceptions=True)
    proxy.flowing.set()
    await store.open()
    assert event(1) in (await store.events(EventFilter(), PageRequest())).rows
    await store.close()


async def test_a_start_that_is_cancelled_ends_too(url: str, proxy: Proxy, tmp_path: Path) -> None:
    before = threads()
    first = Store(url, clock=ManualClock(), data_dir=tmp_path)
    await first.open()
    await first.close()
    proxy.flowing.clear()
    store = Store(url, clock=ManualClock(), data_dir=tmp_path)
    opening = asyncio.create_task(store.open())
    assert await asyncio.to_thread(proxy.taken.wait, 10)
    opening.cancel()
    with pytest.raises((asyncio.CancelledError, ConfigurationError)):
        await asyncio.wait_for(opening, 15)
    assert not store.is_open and threads(before) == set()


@pytest.mark.parametrize(("setting", "value"), [("statement_timeout", f"{STATEMENT_TIMEOUT_S // 60}min")])
def test_no_statement_waits_for_ever(postgres: PostgresServer, tmp_path: Path, setting: str, value: str) -> None:
    database = Database(read_address(postgres.without_tables(), tmp_path))
    with database.reading() as connection:
        assert connection.scalar(sa.text(f"SHOW {setting}")) == value
    database.close()


def test_a_peer_that_is_gone_is_noticed_unless_the_url_says_otherwise(postgres: PostgresServer, tmp_path: Path) -> None:
    found = []
    for query in ("", "?tcp_user_timeout=7000"):
        database = Database(read_address(postgres.url + query, tmp_path))
        with database.reading() as connection:
            given = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
            found.append((given.get("tcp_user_timeout"), given.get("keepalives_idle")))
        database.close()
    assert found == [("20000", "10"), ("7000", "10")]
