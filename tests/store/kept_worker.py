"""A process to be killed: hands events to a store and prints what was acknowledged; see test_store_kills.py.

Arguments: URL of the store, number of events, point and occurrence to stop at (`-` for none), planted bug.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from store_records import allocation_event, event

import marketstream.store.opened
from marketstream.clock import SystemClock
from marketstream.market.events import MarketEvent
from marketstream.store.opened import Writer as KeptWriter
from marketstream.store.repository import Store
from marketstream.store.writer import Transaction

PER_CALL = 5


def say(what: str) -> None:
    # One write per line, so that a killed process leaves whole lines.
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


class StopAt:
    """Stop for ever at the given occurrence of a point, after saying so."""

    def __init__(self, loop: asyncio.AbstractEventLoop, point: str, occurrence: int) -> None:
        self._loop = loop
        self._point = point
        self._occurrence = occurrence
        self._passed: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self._passed[point] += 1
        if point == self._point and self._passed[point] == self._occurrence:
            self._let_the_loop_speak()
            say(f"at {point}")
            threading.Event().wait()

    def _let_the_loop_speak(self) -> None:
        # Whoever heard an acknowledgement prints it before the parent kills: a bug must not hide behind a slow loop.
        for _ in range(10):
            turn = threading.Event()
            self._loop.call_soon_threadsafe(turn.set)
            turn.wait()


class AckFirst(KeptWriter):
    """The planted bug: callers hear before the commit."""

    def _together(self, transaction: Transaction, group: Sequence[Any]) -> list[Any]:
        outcomes = super()._together(transaction, group)
        self._acknowledge(group, outcomes)
        return outcomes


class Apart(KeptWriter):
    """The planted bug: an event is committed before what it tells of."""

    def _kept(self, group: Sequence[Any]) -> list[Any]:
        for part in (slice(0, 1), slice(1, None)):
            outcomes = super()._kept([replace(e, write=replace(e.write, inserts=e.write.inserts[part])) for e in group])
        return outcomes


PLANTED = {"ack-first": AckFirst, "apart": Apart}


def told(n: int, bug: str) -> MarketEvent:
    """Return event n, which carries an allocation now and then; without dedupe it has another id in each process."""
    found = allocation_event(n) if n % 7 == 0 else event(n)
    return replace(found, id=f"{found.id}-{os.getpid()}") if bug == "no-dedupe" else found


async def run(url: str, count: int, point: str, occurrence: int, bug: str) -> None:
    probe = StopAt(asyncio.get_running_loop(), point, occurrence)
    store = Store(url, clock=SystemClock(), data_dir=Path(), probe=probe)
    await store.open()

    async def hand_in(some: range) -> None:
        await store.handle([told(n, bug) for n in some])
        for n in some:
            say(f"ack {n}")

    async def lane(first: int) -> None:
        for start in range(first * PER_CALL, count, 3 * PER_CALL):
            await hand_in(range(start, min(start + PER_CALL, count)))

    # Three lanes share groups.
    await asyncio.gather(*(lane(first) for first in range(3)))
    await store.close()
    say("done")


def main() -> None:
    """Run as the arguments say."""
    url, count, point, occurrence, bug = sys.argv[1:]
    if bug in PLANTED:
        marketstream.store.opened.Writer = PLANTED[bug]  # type: ignore[misc, attr-defined]
    asyncio.run(run(url, int(count), point, int(occurrence), bug))


if __name__ == "__main__":
    main()
