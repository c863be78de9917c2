"""An open store reads beside its writer, lets callers leave at once, and closes whole."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_server import PostgresServer
from store_records import event

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError, PermanentError, TransientError
from marketstream.market.records import EventFilter, PageRequest
from marketstream.store.opened import READERS, Opened
from marketstream.store.repository import Store


def opened_file(store: Store) -> Opened:
    assert store._opened is not None
    return store._opened


class Standing:
    """A query that stands until it is told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, connection: sa.Connection) -> str:
        self.reached.set()
        assert self.go_on.wait(10)
        return "read"


async def test_a_reader_keeps_neither_the_loop_nor_a_writer_waiting(tmp_path: Path) -> None:
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    standing = Standing()
    reading = asyncio.create_task(opened_file(store).read(standing))
    assert await asyncio.to_thread(standing.reached.wait, 10)
    await store.handle([event(1)])
    assert len((await store.events(EventFilter(), PageRequest())).rows) == 1
    standing.go_on.set()
    assert await reading == "read"
    await store.close()


async def test_a_reader_that_is_cancelled_leaves_at_once(tmp_path: Path) -> None:
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    standing = [Standing() for _ in range(READERS)]
    readings = [asyncio.create_task(opened_file(store).read(query)) for query in standing]
    for query in standing:
        assert await asyncio.to_thread(query.reached.wait, 10)
    queued = Standing()
    readings.append(asyncio.create_task(opened_file(store).read(queued)))
    await asyncio.sleep(0)
    for reading in readings:
        reading.cancel()
    # Nobody has told the queries to go on.
    results = await asyncio.gather(*readings, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    for query in standing:
        query.go_on.set()
    await store.close()
    assert not queued.reached.is_set(), "a query that nobody waits for is not begun"


async def test_closing_lets_a_reader_finish(tmp_path: Path) -> None:
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    standing = Standing()
    reading = asyncio.create_task(opened_file(store).read(standing))
    assert await asyncio.to_thread(standing.reached.wait, 10)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    standing.go_on.set()
    await closing
    assert await reading == "read"


async def test_reading_a_store_that_was_closed_meanwhile_says_so(store: Store) -> None:
    opened = opened_file(store)
    await store.close()
    with pytest.raises(TransientError, match="closed"):
        await opened.read(lambda connection: None)


def test_a_store_may_be_opened_on_another_loop_than_before(tmp_path: Path) -> None:
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)

    async def day(n: int) -> None:
        await asyncio.gather(store.open(), store.open())
        await asyncio.gather(*(store.handle([event(10 * n + i)]) for i in range(3)))
        await asyncio.gather(store.close(), store.close())

    for n in range(3):
        asyncio.run(day(n))
    assert not store.is_open


async def test_a_query_that_the_database_refuses_is_an_error_of_ours(store: Store) -> None:
    with pytest.raises(PermanentError, match="refused"):
        await opened_file(store).read(lambda connection: connection.execute(sa.text("SELECT * FROM nowhere")))


async def test_no_thread_and_no_lock_outlives_a_store(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    await store.events(EventFilter(), PageRequest())
    await store.close()
    left = {thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("store-")}
    assert left == set()
    again = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    await again.open()
    await again.close()


async def test_an_open_that_fails_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database, though long enough to look at" * 100)
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConfigurationError):
        await Store("sqlite", clock=ManualClock(), data_dir=tmp_path).open()
    assert not {t.name for t in threading.enumerate() if t.name.startswith("store-")} - before


async def test_two_programs_that_open_one_empty_server_at_once_share_it(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.without_tables()
    stores = [Store(url, clock=ManualClock(), data_dir=tmp_path) for _ in range(3)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.handle([event(n), event(100 + n % 2)]) for n, store in enumerate(stores)))
    found = await stores[0].events(EventFilter(), PageRequest())
    assert sorted(e.data["n"] for e in found.rows) == [0, 1, 2, 100, 101]
    for store in stores:
        await store.close()
