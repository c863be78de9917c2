"""A process killed (SIGKILL) at placed points of the writer: what was acknowledged is there, and nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from postgres_server import PostgresServer
from store_records import event

from marketstream.clock import SystemClock
from marketstream.errors import TransientError
from marketstream.store.repository import Store

WORKER = Path(__file__).with_name("kept_worker.py")
TESTS = Path(__file__).parents[1]
COUNT = 60
POINTS = ["before_effect", "after_effect", "before_commit", "after_commit", "before_ack", "after_ack"]

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]


def run(url: str, *, point: str = "-", occurrence: int = 1, bug: str = "-") -> list[int]:
    """Run the worker until it is done, or stands at the point and is killed; return what it printed as acknowledged."""
    command = [sys.executable, str(WORKER), url, str(COUNT), point, str(occurrence), bug]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)})
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.strip())
        if line.startswith("at "):
            process.kill()
            break
    process.communicate(timeout=30)
    ended = (said[-1], process.returncode)
    assert ended == (("done", 0) if point == "-" else (f"at {point}", -signal.SIGKILL))
    return [int(line.split()[1]) for line in said if line.startswith("ack ")]


def kept(url: str) -> tuple[Counter[int], Counter[int]]:
    """Return how often each event, and each allocation, is in the database; read without the store."""
    asked = ("SELECT message FROM events", "SELECT sequence FROM allocations")
    if url.startswith("sqlite"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"))
        messages, sequences = (file.execute(statement).fetchall() for statement in asked)
        file.close()
    else:
        with psycopg.connect(url) as server:
            messages, sequences = (server.execute(statement.encode()).fetchall() for statement in asked)
    return Counter(int(message[5:-1]) for (message,) in messages), Counter(n for (n,) in sequences)


def faults(acknowledged: list[int], url: str) -> list[str]:
    """Return what is wrong: acknowledged and not there, there twice, an event without what it told of."""
    events, allocations = kept(url)
    carried = {n for n in events if n % 7 == 0}
    return [
        *(f"{n} was acknowledged and lost" for n in acknowledged if n not in events),
        *(f"{n} is there {times} times" for n, times in events.items() if times > 1),
        *(f"{n} and its allocation are not one" for n in carried ^ set(allocations)),
    ]


@pytest.mark.parametrize("point", POINTS)
def test_what_was_acknowledged_is_there_after_a_kill_and_nothing_is_doubled(tmp_path: Path, point: str) -> None:
    check(f"sqlite:///{tmp_path / 'store.db'}", point)


@pytest.mark.parametrize("point", ["after_effect", "after_commit", "before_ack"])
def test_the_same_holds_with_postgresql(postgres: PostgresServer, point: str) -> None:
    check(postgres.without_tables(), point)


def check(url: str, point: str) -> None:
    acknowledged = run(url, point=point, occurrence=2)
    assert 0 < len(acknowledged) < COUNT, "the kill came between the first group and the last"
    assert faults(acknowledged, url) == []
    # The next start needs no hand work, and a source that hands in everything again doubles nothing.
    again = run(url)
    assert sorted(again) == list(range(COUNT))
    assert faults(again, url) == []
    assert sum(kept(url)[0].values()) == COUNT


def test_acknowledging_before_the_commit_is_caught(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    acknowledged = run(url, point="before_commit", occurrence=2, bug="ack-first")
    assert any("lost" in fault for fault in faults(acknowledged, url))


def test_an_event_without_what_it_tells_of_is_caught(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    # The first half of the second group.
    acknowledged = run(url, point="after_commit", occurrence=3, bug="apart")
    assert any("not one" in fault for fault in faults(acknowledged, url))


def test_leaving_out_the_dedupe_is_caught(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    run(url, point="before_ack", occurrence=2, bug="no-dedupe")
    acknowledged = run(url, bug="no-dedupe")
    assert any("times" in fault for fault in faults(acknowledged, url))


async def test_a_server_that_dies_under_way_loses_nothing_acknowledged_and_is_used_again(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    store = Store(postgres.without_tables(), clock=SystemClock(), data_dir=tmp_path)
    await store.open()
    acknowledged: list[int] = []
    refused: list[int] = []

    async def hand_in(numbers: range) -> None:
        for n in numbers:
            try:
                await store.handle([event(n)])
            except TransientError:
                refused.append(n)
            else:
                acknowledged.append(n)

    await hand_in(range(20))
    dying = asyncio.create_task(asyncio.to_thread(postgres.crash))
    await hand_in(range(20, 60))
    await dying
    await hand_in(range(60, 62))
    await asyncio.to_thread(postgres.start)
    lost = [n for n in acknowledged if n not in kept(postgres.url)[0]]
    await hand_in(range(62))
    await store.close()
    assert refused and lost == []
    assert kept(postgres.url)[0] == Counter(range(62))
