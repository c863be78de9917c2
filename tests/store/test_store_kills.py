"""A process killed (SIGKILL) at placed points of the writer: what was acknowledged is there, and nothing is doubled."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("kept_worker.py")
TESTS = Path(__file__).parents[1]
COUNT = 60
POINTS = ["before_effect", "after_effect", "before_commit", "after_commit", "before_ack", "after_ack"]

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]


def run(path: Path, *, point: str = "-", occurrence: int = 1, bug: str = "-") -> list[int]:
    """Run the worker until it is done, or stands at the point and is killed; return what it printed as acknowledged."""
    command = [sys.executable, str(WORKER), str(path), "0", str(COUNT), point, str(occurrence), bug]
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


def rows(path: Path) -> tuple[Counter[int], Counter[int]]:
    """Return how often each event, and each allocation, is in the file; read without the store."""
    with sqlite3.connect(path) as connection:
        events = Counter(int(message[5:-1]) for (message,) in connection.execute("SELECT message FROM events"))
        allocations = Counter(n for (n,) in connection.execute("SELECT sequence FROM allocations"))
    connection.close()
    return events, allocations


def faults(acknowledged: list[int], path: Path) -> list[str]:
    """Return what is wrong: acknowledged and not there, there twice, an event without what it told of."""
    events, allocations = rows(path)
    carried = {n for n in events if n % 7 == 0}
    return [
        *(f"{n} was acknowledged and lost" for n in acknowledged if n not in events),
        *(f"{n} is there {times} times" for n, times in events.items() if times > 1),
        *(f"{n} and its allocation are not one" for n in carried ^ set(allocations)),
    ]


@pytest.mark.parametrize("point", POINTS)
def test_what_was_acknowledged_is_there_after_a_kill_and_nothing_is_doubled(tmp_path: Path, point: str) -> None:
    path = tmp_path / "store.db"
    acknowledged = run(path, point=point, occurrence=2)
    assert 0 < len(acknowledged) < COUNT, "the kill came between the first group and the last"
    assert faults(acknowledged, path) == []
    # The next start needs no hand work, and a source that hands in everything again doubles nothing.
    again = run(path)
    assert sorted(again) == list(range(COUNT))
    assert faults(again, path) == []
    assert sum(rows(path)[0].values()) == COUNT


def test_acknowledging_before_the_commit_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    acknowledged = run(path, point="before_commit", occurrence=2, bug="ack-first")
    assert any("lost" in fault for fault in faults(acknowledged, path))


def test_leaving_out_the_dedupe_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    run(path, point="before_ack", occurrence=2, bug="no-dedupe")
    acknowledged = run(path, bug="no-dedupe")
    assert any("times" in fault for fault in faults(acknowledged, path))
