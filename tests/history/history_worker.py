"""The process that is killed: events through lanes into the store, a ledger and the table of handled events.

Run as a program by history_source.py. It reads commands on its standard input, a JSON list a line:

    ["deliver", [3, 4, 7]]   hand in events 3, 4 and 7
    ["settle"]               wait until every lane is empty, then say `idle`
    ["replay"]               hand in every waiting dead letter again, then say `idle`
    ["quit"]                 stop in good order

and says on its standard output, one line each and only after the await returned, `ack LANE N...`, and `stop POINT` at
the point where it was told to stop. There it freezes itself, every thread of it, until its parent kills it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from marketstream.clock import SystemClock
from marketstream.errors import PermanentError, TransientError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter, DeadLetterStatus, HandlerOutcome, RetryPolicy
from marketstream.market.records import PageRequest
from marketstream.store.repository import Store
from marketstream.streaming.handlers import DeltaHandlerManager

START_NS = 1_767_225_600_000_000_000
POISON_EVERY = 499
"""Every so many events one is refused by the ledger until it is cured."""
BUSY_EVERY = 331
"""Every so many events the ledger is busy at the first call."""
STORE_BATCH, LEDGER_BATCH = 250, 50
STORE_POINTS = ("before_effect", "after_effect", "before_commit", "after_commit", "before_ack", "after_ack")
LEDGER_POINTS = tuple(f"ledger_{point}" for point in STORE_POINTS)
LETTER_POINTS = ("letter_before_save", "letter_after_save", "letter_before_ack", "letter_after_ack")
POINTS = STORE_POINTS + LEDGER_POINTS + LETTER_POINTS
"""Where the process can be told to stop."""


def make_event(n: int) -> MarketEvent:
    """Return event number `n`, the same at every delivery; every tenth carries an allocation."""
    topic = (Topic.PROVIDER_SWITCH, Topic.FEED_GAP, Topic.PROVIDER_STATUS)[n % 3]
    data: dict[str, Any] = {"n": n}
    if n % 10 == 0:
        topic = Topic.ALLOCATION
        data = {
            "sequence": n, "status": "OPTIMAL", "method": "test", "turnover": 0.5, "weights": {"BTC-USD": 0.5},
            "previous_weights": {}, "stakes": {}, "cause": {"n": n},
        }  # fmt: skip
    return MarketEvent(
        ts=START_NS + n, topic=topic, subject=f"feed-{n % 7}", message=str(n), data=data, id=f"e-{n:08d}"
    )


def say(*words: object) -> None:
    """Say one line, whole, whatever happens next."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Stop:
    """A probe that freezes the process when a point is passed for the n-th time."""

    def __init__(self, point: str | None, occurrence: int) -> None:
        self._point = point
        self._left = occurrence
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        """Pass a point."""
        with self._lock:
            if point != self._point:
                return
            self._left -= 1
            if self._left == 0:
                say("stop", point)
                os.kill(os.getpid(), signal.SIGSTOP)


class Ledger:
    """A balance that counts every event once: a row and the new total in one transaction.

    Args:
        path: The file.
        probe: Called at each point.
        dedupe: Whether an event that is in the ledger changes nothing.
    """

    def __init__(self, path: Path, probe: Callable[[str], None], *, dedupe: bool) -> None:
        self._probe = probe
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A kill, unlike a power cut, takes nothing that was handed to the system: no need to wait for the disk.
        self._connection.execute("PRAGMA synchronous=OFF")
        unique = "UNIQUE" if dedupe else ""
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS entries (n INTEGER {unique}, amount INTEGER)")
        self._connection.execute("CREATE TABLE IF NOT EXISTS balance (total INTEGER)")
        if not self._connection.execute("SELECT count(*) FROM balance").fetchone()[0]:
            self._connection.execute("INSERT INTO balance VALUES (0)")

    def book(self, numbers: Sequence[int]) -> None:
        """Book events; returns after the commit."""
        connection = self._connection
        self._probe("ledger_before_effect")
        connection.execute("BEGIN IMMEDIATE")
        for n in numbers:
            new = connection.execute("INSERT OR IGNORE INTO entries VALUES (?, ?)", (n, n)).rowcount
            connection.execute("UPDATE balance SET total = total + ?", (n * new,))
        self._probe("ledger_after_effect")
        self._probe("ledger_before_commit")
        connection.execute("COMMIT")
        self._probe("ledger_after_commit")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Worker:
    """The lanes between the commands and the files.

    Args:
        folder: Of both files.
        probe: Where to stop.
        plant: A bug to have: `ack_first`, `no_dedupe`, `new_ids` or `letter_ack_first`.
        cured: Whether the ledger takes what it used to refuse.
    """

    def __init__(self, folder: Path, probe: Callable[[str], None], plant: str, *, cured: bool) -> None:
        self._probe = probe
        self._plant = plant
        self._cured = cured
        self._busy: set[int] = set()
        clock = SystemClock()
        self.store = Store("sqlite", clock=clock, data_dir=folder, probe=probe)
        self.ledger = Ledger(folder / "ledger.db", probe, dedupe=plant != "no_dedupe")
        self.manager = DeltaHandlerManager(
            clock=clock, market=lambda: None, on_dead_letter=self._bury, rng=random.Random(1)
        )
        retry = RetryPolicy(max_attempts=5, first_s=0.001, cap_s=0.01)
        self.manager.add_effect("store", self._keep, max_batch=STORE_BATCH, retry=retry)
        self.manager.add_effect("ledger", self._book, max_batch=LEDGER_BATCH, retry=retry)
        self.manager.add_effect("handled", self._mark, max_batch=STORE_BATCH, retry=retry)

    async def obey(self, command: list[Any]) -> bool:
        """Carry out one command; False when it was the last."""
        match command:
            case ["deliver", numbers]:
                for n in numbers:
                    event = make_event(n)
                    self.manager.submit(replace(event, id="") if self._plant == "new_ids" else event)
            case ["settle"]:
                await self.manager.settle()
                say("idle")
            case ["replay"]:
                await self._replay()
                say("idle")
            case _:
                return False
        return True

    async def _keep(self, events: Sequence[MarketEvent]) -> None:
        if self._plant == "ack_first":
            _acknowledge("store", events)
        await self.store.handle(events)
        if self._plant != "ack_first":
            _acknowledge("store", events)

    async def _book(self, events: Sequence[MarketEvent]) -> None:
        numbers = [int(event.message) for event in events]
        for n in numbers:
            if n % POISON_EVERY == 0 and not self._cured:
                raise PermanentError(f"event {n} is poison")
            if n % BUSY_EVERY == 0 and n not in self._busy:
                self._busy.add(n)
                raise TransientError("the ledger is busy")
        self.ledger.book(numbers)
        self._probe("ledger_before_ack")
        _acknowledge("ledger", events)
        self._probe("ledger_after_ack")

    async def _mark(self, events: Sequence[MarketEvent]) -> None:
        await self.store.mark_handled("handled", [event.id for event in events])
        _acknowledge("handled", events)

    async def _bury(self, letter: DeadLetter) -> None:
        if self._plant == "letter_ack_first":
            say("ack", "letter", letter.payload["message"])
        self._probe("letter_before_save")
        await self.store.save_dead_letter(letter)
        self._probe("letter_after_save")
        self._probe("letter_before_ack")
        if self._plant != "letter_ack_first":
            say("ack", "letter", letter.payload["message"])
        self._probe("letter_after_ack")

    async def _replay(self) -> None:
        cursor = None
        while True:
            page = await self.store.dead_letters(DeadLetterStatus.WAITING, None, PageRequest(limit=1000, cursor=cursor))
            for letter in page.rows:
                result = await self.manager.replay(letter)
                if result.outcome is HandlerOutcome.DONE:
                    await self.store.mark_dead_letter(letter.id, DeadLetterStatus.REPLAYED, result.attempts)
                    # A second replay, as an impatient person asks for, must change nothing.
                    await self.manager.replay(letter)
            cursor = page.next_cursor
            if cursor is None:
                return


def _acknowledge(lane: str, events: Sequence[MarketEvent]) -> None:
    say("ack", lane, *(event.message for event in events))


async def work(worker: Worker) -> None:
    """Obey commands until the last one."""
    await worker.store.open()
    await worker.manager.start()
    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        if not await worker.obey(json.loads(line)):
            break
    await worker.manager.stop()
    await worker.store.close()


def main() -> None:
    """Run the worker that the first argument describes."""
    wish = json.loads(sys.argv[1])
    logging.disable(logging.CRITICAL)  # the faults are planned
    worker = Worker(Path(wish["folder"]), Stop(wish["point"], wish["occurrence"]), wish["plant"], cured=wish["cured"])
    with closing(worker.ledger):
        asyncio.run(work(worker))


if __name__ == "__main__":
    main()
