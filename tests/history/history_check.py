"""What must hold after any kill, read from the files with sqlite3 alone: nothing acknowledged is lost, nothing doubled.

The check knows what was delivered and what was acknowledged, and nothing of the code that did it.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from history_source import Claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the files hold, by event number.

    Attributes:
        events: Rows of each event in the store.
        allocations: Rows of each allocation in the store.
        handled: Events marked as handled.
        letters: Status of each dead letter.
        entries: Rows of each event in the ledger.
        balance: Total of the ledger.
    """

    events: Counter[int]
    allocations: Counter[int]
    handled: frozenset[int]
    letters: dict[int, str]
    entries: Counter[int]
    balance: int


def read_files(folder: Path) -> Kept:
    """Read copies, so that it is the program that recovers the originals."""
    with _copied(folder) as copies:
        store, ledger = (copies / name for name in ("store.db", "ledger.db"))
        return Kept(
            events=Counter(int(m) for (m,) in _rows(store, "SELECT message FROM events")),
            allocations=Counter(n for (n,) in _rows(store, "SELECT sequence FROM allocations")),
            handled=frozenset(_number(e) for (e,) in _rows(store, "SELECT event_id FROM handled")),
            letters={_number(e): s for e, s in _rows(store, "SELECT event_id, status FROM dead_letters")},
            entries=Counter(n for (n,) in _rows(ledger, "SELECT n FROM entries")),
            balance=sum(total for (total,) in _rows(ledger, "SELECT total FROM balance")),
        )


def lost(claims: Claims, kept: Kept) -> list[str]:
    """Return what was acknowledged and is not there."""
    said = claims.acknowledged
    there = {
        "store": set(kept.events),
        "ledger": set(kept.entries),
        "handled": set(kept.handled),
        "letter": set(kept.letters),
    }
    found = [f"{lane} acknowledged {n}, which is not there" for lane in said for n in sorted(said[lane] - there[lane])]
    torn = {n for n in kept.events if n % 10 == 0} ^ set(kept.allocations)
    return found + [f"only one of event {n} and its allocation is there" for n in sorted(torn)]


def doubled(kept: Kept) -> list[str]:
    """Return what has more than one effect."""
    tables = {"events": kept.events, "allocations": kept.allocations, "ledger": kept.entries}
    found = [f"{name} has {n} {times} times" for name, rows in tables.items() for n, times in rows.items() if times > 1]
    if kept.balance != sum(kept.entries):
        found.append(f"the balance is {kept.balance}, its entries add up to {sum(kept.entries)}")
    return found


def unfinished(claims: Claims, kept: Kept) -> list[str]:
    """Return what is still missing once everything was delivered and every dead letter replayed."""
    found = [
        f"{name} lacks {sorted(claims.delivered - set(rows))[:5]}"
        for name, rows in (("events", kept.events), ("ledger", kept.entries), ("handled", kept.handled))
        if set(rows) != claims.delivered
    ]
    return found + [f"the letter of {n} is {status}" for n, status in kept.letters.items() if status != "replayed"]


@contextmanager
def _copied(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for path in folder.glob("*.db*"):
            shutil.copy(path, name)
        yield Path(name)


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            # Killed before it had made its tables.
            assert "no such table" in str(error), error
            return []


def _number(event_id: object) -> int:
    return int(str(event_id).rpartition("-")[2])
