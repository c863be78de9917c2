"""The writer commits in groups, acknowledges only what was committed, and fails nobody for another's row."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from store_records import event

from marketstream.clock import ManualClock
from marketstream.errors import NotFoundError, PermanentError, TransientError
from marketstream.store import schema
from marketstream.store.address import read_address
from marketstream.store.database import Database
from marketstream.store.rows import event_row
from marketstream.store.tables import DEAD_LETTERS, EVENTS
from marketstream.store.writer import GROUP_ROWS, MAX_WAITING_ROWS, Transaction, Write, Writer

ADD = insert(EVENTS).on_conflict_do_nothing()


def write(*numbers: int) -> Write[None]:
    return Write(rows=len(numbers), inserts=((ADD, [event_row(event(n)) for n in numbers]),))


def bad_row() -> Write[None]:
    """A row that the database refuses: a column that must not be empty."""
    row = {**event_row(event(99)), "message": None}
    return Write(rows=1, inserts=((ADD, [row]),))


class Gate:
    """A probe that records the points, and stops the thread at one of them until it is opened."""

    def __init__(self, *stop_at: str) -> None:
        self.points: list[str] = []
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._stop_at = stop_at

    def __call__(self, point: str) -> None:
        self.points.append(point)
        if point in self._stop_at:
            self.reached.set()
            assert self.opened.wait(10)


class Bench:
    """A writer over a file, and the numbers of the events in it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(read_address("sqlite", folder))
        with self.database.writing() as connection:
            schema.prepare(connection)
        self.writers: list[Writer] = []

    def writer(self, probe: Callable[[str], None] = lambda point: None, *, wait_s: float = 0.02) -> Writer:
        writer = Writer(self.database, clock=ManualClock(), probe=probe, wait_s=wait_s)
        writer.start({"events": 0})
        self.writers.append(writer)
        return writer

    def kept(self) -> list[int]:
        with self.database.reading() as connection:
            return [int(row.data["n"]) for row in connection.execute(sa.select(EVENTS).order_by(EVENTS.c.row))]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for writer in bench.writers:
        await asyncio.to_thread(writer.stop)
    bench.database.close()


async def waited(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


# Groups -----------------------------------------------------------------------------------------------------


async def test_writers_that_come_together_share_a_commit(bench: Bench) -> None:
    writer = bench.writer()
    await asyncio.gather(*(writer.submit(write(n)) for n in range(200)))
    assert (writer.report.commits, writer.report.written) == (1, 200)
    assert bench.kept() == list(range(200))


async def test_a_full_group_does_not_wait_for_company(bench: Bench) -> None:
    writer = bench.writer(wait_s=3600.0)
    await writer.submit(write(*range(GROUP_ROWS)))
    assert writer.report.commits == 1


async def test_small_writes_that_fill_a_group_do_not_wait_either(bench: Bench) -> None:
    writer = bench.writer(wait_s=3600.0)
    await asyncio.gather(*(writer.submit(write(n)) for n in range(GROUP_ROWS)))
    assert writer.report.written == GROUP_ROWS


async def test_a_group_takes_no_more_than_its_rows(bench: Bench) -> None:
    gate = Gate("before_effect")
    writer = bench.writer(gate)
    first = asyncio.create_task(writer.submit(write(0)))
    await waited(gate.reached)
    rest = [asyncio.create_task(writer.submit(write(*range(n, n + 400)))) for n in (1, 401, 801, 1201)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, *rest)
    # 1; 400 + 400 + 400, which passes 1,000; 400.
    assert writer.report.commits == 3


async def test_flush_hurries_a_group_that_waits(bench: Bench) -> None:
    writer = bench.writer(wait_s=3600.0)
    waiting = asyncio.create_task(writer.submit(write(1)))
    await asyncio.sleep(0)
    await writer.flush()
    assert waiting.done() and bench.kept() == [1]


async def test_flush_with_nothing_waiting_commits_nothing(bench: Bench) -> None:
    writer = bench.writer()
    await writer.flush()
    assert writer.report.commits == 0


async def test_writes_are_done_in_the_order_they_came(bench: Bench) -> None:
    writer = bench.writer()
    await asyncio.gather(*(writer.submit(write(n)) for n in (5, 3, 9, 1)))
    assert bench.kept() == [5, 3, 9, 1]


async def test_what_a_write_applies_sees_what_came_before_it_in_its_group(bench: Bench) -> None:
    def count(transaction: Transaction) -> int:
        return int(transaction.connection.scalar(sa.select(sa.func.count()).select_from(EVENTS)) or 0)

    writer = bench.writer()
    counts = await asyncio.gather(
        writer.submit(write(1, 2)), writer.submit(Write(rows=1, apply=count)), writer.submit(write(3)),
        writer.submit(Write(rows=1, apply=count)),
    )  # fmt: skip
    assert (counts, writer.report.commits) == ([None, 2, None, 3], 1)


# Acknowledged means kept ------------------------------------------------------------------------------------


async def test_the_points_of_a_group_come_in_order(bench: Bench) -> None:
    gate = Gate()
    writer = bench.writer(gate)
    await writer.submit(write(1))
    await asyncio.to_thread(writer.stop)
    assert gate.points == ["before_effect", "after_effect", "before_commit", "after_commit", "before_ack", "after_ack"]


@pytest.mark.parametrize("point", ["before_effect", "after_effect", "before_commit", "after_commit", "before_ack"])
async def test_nobody_hears_before_the_commit_returned(bench: Bench, point: str) -> None:
    gate = Gate(point)
    waiting = asyncio.create_task(bench.writer(gate).submit(write(1)))
    await waited(gate.reached)
    heard, there = waiting.done(), bench.kept() == [1]
    gate.opened.set()
    await waiting
    assert (heard, there) == (False, point in {"after_commit", "before_ack"})


async def test_acknowledging_before_the_commit_is_caught_by_the_same_check(bench: Bench) -> None:
    gate = Gate("before_commit")
    writer = AckFirst(bench.database, clock=ManualClock(), probe=gate)
    writer.start({})
    bench.writers.append(writer)
    waiting = asyncio.create_task(writer.submit(write(1)))
    await waited(gate.reached)
    await waiting
    there = bench.kept()
    gate.opened.set()
    assert there == [], "acknowledged, and not there"


class AckFirst(Writer):
    """The planted bug: callers hear before the commit."""

    def _together(self, transaction: Transaction, group: Any) -> list[Any]:
        outcomes = super()._together(transaction, group)
        self._acknowledge(group, outcomes)
        return outcomes


async def test_readers_see_nothing_of_a_group_that_is_not_committed(bench: Bench) -> None:
    gate = Gate("before_commit")
    waiting = asyncio.create_task(bench.writer(gate).submit(write(1)))
    await waited(gate.reached)
    assert bench.kept() == []
    gate.opened.set()
    await waiting


# Failures ---------------------------------------------------------------------------------------------------


async def test_a_row_that_is_refused_fails_only_its_caller(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    writer = bench.writer()
    outcomes = await asyncio.gather(
        writer.submit(write(1)), writer.submit(bad_row()), writer.submit(write(2)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), PermanentError, type(None)]
    assert (bench.kept(), writer.report.rows["events"], writer.report.written) == ([1, 2], 2, 2)
    assert "NOT NULL" in caplog.text and "Fact 99" not in caplog.text


async def test_a_write_that_is_refused_leaves_nothing_of_itself(bench: Bench) -> None:
    writer = bench.writer()
    mixed: Write[None] = Write(rows=2, inserts=(*write(5).inserts, (insert(DEAD_LETTERS), [{"id": "x"}])))
    outcomes = await asyncio.gather(writer.submit(mixed), writer.submit(write(1)), return_exceptions=True)
    assert isinstance(outcomes[0], PermanentError)
    assert bench.kept() == [1]


async def test_an_error_of_ours_fails_only_its_caller_and_costs_no_second_try(bench: Bench) -> None:
    def refuse(transaction: Transaction) -> None:
        raise NotFoundError("nobody")

    gate = Gate()
    writer = bench.writer(gate)
    outcomes = await asyncio.gather(
        writer.submit(write(1)), writer.submit(Write(rows=1, apply=refuse)), return_exceptions=True
    )
    assert isinstance(outcomes[1], NotFoundError) and bench.kept() == [1]
    assert gate.points.count("before_effect") == 1


async def test_a_database_that_is_not_available_is_worth_another_try(bench: Bench) -> None:
    writer = bench.writer(wait_s=0.0)
    with bench.database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    broken = asyncio.gather(writer.submit(write(*range(1000))), writer.submit(write(2000)), return_exceptions=True)
    outcomes = await broken
    with bench.database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    await writer.submit(write(1))
    assert TransientError in {type(outcome) for outcome in outcomes}
    assert 1 in bench.kept() and writer.report.errors >= 1


async def test_a_locked_file_is_worth_another_try(bench: Bench) -> None:
    # Somebody else holds the write lock, such as a backup, for longer than we wait.
    other = Database(bench.database.address)
    with bench.database.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    writer = bench.writer()
    with other.writing(), pytest.raises(TransientError, match="database is locked"):
        await writer.submit(write(1))
    await writer.submit(write(1))
    other.close()
    assert bench.kept() == [1]


async def test_a_fault_of_ours_fails_only_its_caller_and_is_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(transaction: Transaction) -> None:
        raise ZeroDivisionError

    writer = bench.writer()
    outcomes = await asyncio.gather(
        writer.submit(write(1)), writer.submit(Write(rows=1, apply=break_down)), return_exceptions=True
    )
    await writer.submit(write(2))
    assert isinstance(outcomes[1], PermanentError) and "ZeroDivisionError" in str(outcomes[1])
    assert bench.kept() == [1, 2]
    assert any(record.exc_info for record in caplog.records if record.levelno == logging.ERROR)


async def test_each_caller_gets_an_error_of_its_own(bench: Bench) -> None:
    with bench.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE events")
    writer = bench.writer()
    first, second = await asyncio.gather(writer.submit(write(1)), writer.submit(write(2)), return_exceptions=True)
    assert str(first) == str(second) and first is not second


# Waiting and stopping ---------------------------------------------------------------------------------------


async def test_who_brings_more_than_may_wait_is_kept_waiting(bench: Bench) -> None:
    gate = Gate("before_effect")
    writer = bench.writer(gate)
    n_writes = MAX_WAITING_ROWS // 1000 + 5
    writes = [asyncio.create_task(writer.submit(write(*range(n * 1000, n * 1000 + 1000)))) for n in range(n_writes)]
    await waited(gate.reached)
    waiting = writer.waiting
    gate.opened.set()
    await asyncio.gather(*writes)
    assert waiting == MAX_WAITING_ROWS
    assert (writer.waiting, len(bench.kept())) == (0, n_writes * 1000)


async def test_a_caller_that_is_cancelled_while_waiting_is_not_written(bench: Bench) -> None:
    gate = Gate("before_effect")
    writer = bench.writer(gate)
    first = asyncio.create_task(writer.submit(write(1)))
    await waited(gate.reached)
    second = asyncio.create_task(writer.submit(write(2)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.opened.set()
    await first
    await writer.flush()
    assert (bench.kept(), writer.waiting) == ([1], 0)


async def test_stopping_writes_what_waits(bench: Bench) -> None:
    writer = bench.writer(wait_s=3600.0)
    writes = [asyncio.create_task(writer.submit(write(n))) for n in range(2500)]
    await asyncio.sleep(0)
    await asyncio.to_thread(writer.stop)
    await asyncio.gather(*writes)
    assert len(bench.kept()) == 2500


async def test_a_stopped_writer_says_so(bench: Bench) -> None:
    writer = bench.writer()
    await asyncio.to_thread(writer.stop)
    with pytest.raises(TransientError, match="closed"):
        await writer.submit(write(1))
    assert writer.waiting == 0


def test_a_loop_that_is_gone_does_not_stop_the_writing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    gate = Gate("before_ack")
    writer = bench.writer(gate)

    async def leave() -> None:
        task = asyncio.create_task(writer.submit(write(1)))
        await waited(gate.reached)
        task.cancel()

    asyncio.run(leave())
    gate.opened.set()
    writer.stop()
    assert bench.kept() == [1]
    bench.database.close()
