"""How many event rows per second the store keeps in a SQLite file, beside sqlite3 called by hand; for bench.py."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from marketstream.clock import SystemClock
from marketstream.market.events import MarketEvent, Topic
from marketstream.store.repository import Store

N_EVENTS = 50_000
BATCH = 1_000
GOAL = 10_000.0
TOPICS = (Topic.MARKET_DELTA, Topic.FEED_GAP, Topic.PROVIDER_SWITCH, Topic.ENGINE_STATUS)


def events(n: int) -> list[MarketEvent]:
    """Return events as an engine makes them."""
    return [
        MarketEvent(
            ts=1_767_225_600_000_000_000 + i * 1_000_000,
            topic=TOPICS[i % len(TOPICS)],
            subject=f"A{i % 500:04}-USD",
            message=f"moved by {i % 70} standard errors within a second",
            data={"change": i / 7, "z_change": -4.25, "ref_mid": 100.5, "venues": ["alder", "birch"], "n": i},
            id=f"bench-{i:08d}",
        )
        for i in range(n)
    ]


async def _kept(folder: Path, told: list[MarketEvent], callers: int) -> float:
    store = Store("sqlite", clock=SystemClock(), data_dir=folder)
    await store.open()

    async def hand_in(first: int) -> None:
        for start in range(first * BATCH, len(told), callers * BATCH):
            await store.handle(told[start : start + BATCH])

    started = time.perf_counter()
    await asyncio.gather(*(hand_in(first) for first in range(callers)))
    took = time.perf_counter() - started
    assert store.status().rows["events"] == len(told), "the store did not keep every event"
    await store.close()
    return len(told) / took


def rows_per_s(told: list[MarketEvent], *, callers: int = 1) -> float:
    """Return event rows per second, acknowledged after their commit, by callers that wait for each batch."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_kept(Path(folder), told, callers))


def by_hand_per_s(told: list[MarketEvent]) -> float:
    """Return the same for a bare sqlite3 connection: same table, indexes and batches, no threads, no checks."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_kept(Path(folder), [], 1))
        connection = sqlite3.connect(Path(folder) / "store.db")
        connection.execute("PRAGMA synchronous=FULL")
        insert = (
            "INSERT INTO events (event_id, ts, topic, subject, message, data) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING"
        )
        started = time.perf_counter()
        for start in range(0, len(told), BATCH):
            rows = [
                (e.id, e.ts, e.topic.value, e.subject, e.message, json.dumps(e.data))
                for e in told[start : start + BATCH]
            ]
            with connection:
                connection.executemany(insert, rows)
        took = time.perf_counter() - started
        connection.close()
    return len(told) / took


def store_figures(repeats: int) -> dict[str, Any]:
    """Return the figures in the form of bench.py."""
    told = events(N_EVENTS)
    rates = [rows_per_s(told) for _ in range(repeats)]
    shared = [rows_per_s(told, callers=4) for _ in range(repeats)]
    found = {}
    for name, values in (("one caller", rates), ("four callers", shared)):
        median = statistics.median(values)
        found[f"store, SQLite, batches of {BATCH:,}, {name}"] = {
            "median": median,
            "min": min(values),
            "max": max(values),
            "unit": "rows per second",
            "goal": GOAL,
            "met": median >= GOAL,
        }
    by_hand = max(by_hand_per_s(told) for _ in range(2))
    return found | {
        "peer: sqlite3 by hand, same table and batches": {
            "median": by_hand,
            "unit": "rows per second",
            "marketstream is faster by": statistics.median(rates) / by_hand,
        }
    }


if __name__ == "__main__":
    print(json.dumps(store_figures(3), indent=2))
