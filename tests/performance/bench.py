"""`make bench`: speed of stream, analysis, page and bus in CPU time, of the store in rows; peers beside as ratios.

Every figure is taken on the engine's own graph, and each run is checked to have done its work.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from bench_bus import bus_figures
from bench_page import knob_to_weights, page_update
from bench_peers import PEERS
from bench_store import store_figures

from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import QuoteBatch, empty_quotes
from marketstream.streaming.deltas import DeltaGraph

N_INSTRUMENTS = 500
N_VENUES = 4
START = 1_767_225_600_000_000_000
QUOTES_PER_S = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="where to store the figures as JSON")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, for a look")
    chosen = parser.parse_args()
    repeats = 3 if chosen.quick else 9
    figures: dict[str, Any] = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    figures |= stream_figures(repeats)
    figures |= knob_to_weights(repeats * 5)
    figures |= page_update(repeats * 10)
    figures |= bus_figures(repeats)
    figures |= store_figures(3)
    report(figures)
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    missed = [name for name, figure in figures.items() if isinstance(figure, dict) and figure.get("met") is False]
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


def catalog() -> Catalog:
    """500 assets on 4 venues."""
    venues = tuple(Venue(id=f"v{i}", name=f"Venue {i}", code=f"V{i}", kind=Kind.ASSET) for i in range(N_VENUES))
    instruments = tuple(Instrument(id=f"A{i:04}-USD", kind=Kind.ASSET) for i in range(N_INSTRUMENTS))
    known = Catalog()
    known.add(
        Listing(instruments=instruments, venues=venues, pairs=tuple((i.id, v.id) for i in instruments for v in venues))
    )
    known.add_provider("bench")
    return known


def quotes(n: int) -> np.ndarray:
    """Random instruments and venues, 20,000 quotes a second, prices that walk."""
    rng = np.random.default_rng(7)
    rows = empty_quotes(n)
    rows["instrument"] = rng.integers(0, N_INSTRUMENTS, n)
    rows["venue"] = rng.integers(0, N_VENUES, n)
    mid = 100.0 + np.cumsum(rng.normal(0, 1e-4, n))
    rows["bid"], rows["ask"] = mid - 0.01, mid + 0.01
    rows["bid_size"], rows["ask_size"] = rng.uniform(1, 100, n), rng.uniform(1, 100, n)
    rows["ts_received"] = rows["ts_event"] = START + np.arange(n, dtype=np.int64) * (1_000_000_000 // QUOTES_PER_S)
    return rows


def cut(rows: np.ndarray, size: int) -> list[QuoteBatch]:
    return [QuoteBatch(rows[i : i + size], int(rows["ts_received"][i + size - 1])) for i in range(0, len(rows), size)]


def cpu_per_item(send: Callable[[Any], object], items: Iterable[Any]) -> float:
    """CPU seconds per item."""
    items = list(items)
    started = time.process_time()
    for item in items:
        send(item)
    return (time.process_time() - started) / len(items)


def kernel_node_only(graph: DeltaGraph) -> None:
    """Cut the engine's graph off behind the kernel node."""
    for node in list(graph.results.downstreams):
        graph.results.disconnect(node)


def run_graph(rows: np.ndarray, size: int, *, whole: bool) -> float:
    """CPU seconds per quote through a fresh graph; checks that every quote was taken in."""
    states: list[int] = []
    graph = DeltaGraph(catalog(), lambda state: states.append(state.sequence))
    if not whole:
        kernel_node_only(graph)
    batches = cut(rows, size)
    graph.emit(batches[0])  # compiled code is loaded from its cache here
    spent = cpu_per_item(graph.emit, batches[1:]) / size
    book = graph.kernel.step(QuoteBatch(empty_quotes(0), batches[-1].now)).book
    assert book["ts_received"].max() == rows["ts_received"][-1], "the graph did not take in every quote"
    assert len(states) == (len(batches) if whole else 0) and graph.errors == 0
    graph.close()
    return spent


def stream_figures(repeats: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    fast: dict[int, float] = {}
    for size, whole, goal in ((100, False, 5e6), (1000, False, 10e6), (100, True, 0.3e6), (1000, True, 2e6)):
        rows = quotes(200_000 if not whole or size > 100 else 50_000)
        rates = [1.0 / run_graph(rows, size, whole=whole) for _ in range(repeats)]
        what = "frame and sink" if whole else "kernel node"
        figures[f"streamz to {what}, batches of {size:,}"] = figure(rates, "quotes per CPU-second", goal)
        if not whole:
            fast[size] = statistics.median(rates)
    for name, peer in PEERS.items():
        for size in (100, 1000):
            rows = quotes(size * 12)
            rate = size / min(cpu_per_item(peer(N_INSTRUMENTS, N_VENUES), cut(rows, size)) for _ in range(2))
            figures[f"peer: {name}, batches of {size:,}"] = {
                "median": rate,
                "unit": "quotes per CPU-second",
                "marketstream is faster by": fast[size] / rate,
            }
    size = DeltaGraph(catalog(), lambda state: None).kernel.bytes_per_instrument()
    figures["state per instrument"] = {"median": size, "unit": "bytes", "goal": 2500.0, "met": size <= 2500}
    return figures


def figure(values: list[float], unit: str, goal: float, *, at_least: bool = True) -> dict[str, Any]:
    median = statistics.median(values)
    return {
        "median": median,
        "min": min(values),
        "max": max(values),
        "unit": unit,
        "goal": goal,
        "met": median >= goal if at_least else median <= goal,
    }


def report(figures: dict[str, Any]) -> None:
    print(figures["machine"])
    for name, row in figures.items():
        if isinstance(row, dict):
            goal = f"  goal {row['goal']:>12,.4g}  {'met' if row['met'] else 'MISSED'}" if "goal" in row else ""
            faster = row.get("marketstream is faster by")
            ratio = (
                ""
                if faster is None
                else f"  marketstream x {faster:,.2g}"
                if faster < 10
                else f"  marketstream x {faster:,.0f}"
            )
            print(f"{name:<58}{row['median']:>16,.4g} {row['unit']:<22}{goal}{ratio}")


if __name__ == "__main__":
    sys.exit(main())
