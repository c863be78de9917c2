"""HouseHandler: runs the house analysis on the stream and tells of allocations that moved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.clock import SECOND_NS, Clock
from marketstream.market.allocation import Allocation
from marketstream.market.events import Json, MarketEvent, Topic
from marketstream.streaming.handlers import DeltaBatch

KEPT_EDGES = 20
"""Best edges that are kept with an allocation."""
FIGURES = ("horizon_s", "expected_return", "risk", "worst_loss", "cost", "bankroll", "stake_total", "outcome_profit")


class HouseHandler:
    """Work out the newest market at most once per `interval_s`; the last good snapshot stays where one fails.

    Args:
        analysis: The stages and their knobs.
        clock: Times the work.
        interval_s: Least seconds of market time between two snapshots; 0 works out every cycle.
        move: `distance` from the allocation told last at which the next one is told.
    """

    def __init__(self, analysis: Analysis, clock: Clock, *, interval_s: float, move: float) -> None:
        self._analysis = analysis
        self.snapshot: Snapshot | None = None
        self.duration_ms = 0.0
        self._clock = clock
        self._interval_ns = round(interval_s * SECOND_NS)
        self._move = move
        self._looked_at: int | None = None
        self._told: Allocation | None = None

    def __call__(self, delta: DeltaBatch) -> Iterable[MarketEvent]:
        """Take one cycle; returns the event of an allocation that has moved, if it has."""
        now = delta.batch.now
        if self._looked_at is not None and now - self._looked_at < self._interval_ns:
            return ()
        self._looked_at = now
        started = self._clock.monotonic_ns()
        # Where this raises, its fence counts it, and the last good snapshot stays with its time.
        self.snapshot = self._analysis.step(delta.market)
        self.duration_ms = (self._clock.monotonic_ns() - started) / 1e6
        return self._news(self.snapshot)

    def _news(self, snapshot: Snapshot) -> Iterable[MarketEvent]:
        allocation, told = snapshot.allocation, self._told
        if told is not None and allocation.status is told.status and distance(told, allocation) < self._move:
            return ()
        self._told = allocation
        return (allocation_event(snapshot, told),)


def distance(before: Allocation, after: Allocation) -> float:
    """Return how far apart two allocations are: absolute changes of weights, and of stakes over bankroll, added up."""
    old, new = _shares(before), _shares(after)
    return sum(abs(new.get(key, 0.0) - old.get(key, 0.0)) for key in old.keys() | new.keys())


def allocation_event(snapshot: Snapshot, before: Allocation | None) -> MarketEvent:
    """Return the event that tells of a snapshot's allocation, with what led to it; `before` is the one told last."""
    allocation = snapshot.allocation
    weights = _numbers(allocation.weights)
    moved = "first" if before is None else f"{distance(before, allocation):.1%} from the one told before"
    return MarketEvent(
        ts=snapshot.now,
        topic=Topic.ALLOCATION,
        subject="portfolio",
        message=f"Allocation is {allocation.status.value.replace('_', ' ')}, {moved}; "
        f"{_counted(sum(1 for w in weights.values() if w), 'weight')}, {_counted(len(allocation.stakes), 'stake')}.",
        data={
            "sequence": snapshot.sequence,
            "status": allocation.status.value,
            "method": allocation.method,
            "turnover": _finite(allocation.turnover),
            "weights": weights,
            "previous_weights": {} if before is None else _numbers(before.weights),
            "stakes": _stakes(allocation),
            "cause": _cause(snapshot),
        },
    )


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _cause(snapshot: Snapshot) -> dict[str, Json]:
    allocation = snapshot.allocation
    fair = {
        str(name): {
            "fair": _finite(row["fair"]),
            "fair_sd": _finite(row["fair_sd"]),
            "method": str(row["method"]),
            "n_venues": int(row["n_venues"]),
        }
        for name, row in snapshot.fair.iterrows()
    }
    return {
        "reason": allocation.reason,
        "binding": list(allocation.binding),
        **{name: _finite(getattr(allocation, name)) for name in FIGURES},
        "fair": fair,
        "edges": _best_edges(snapshot.edges),
        "knobs": {stage: _plain(knobs) for stage, knobs in snapshot.knobs.items()},
    }


def _shares(allocation: Allocation) -> dict[tuple[str, str], float]:
    # Of capital for assets, of the bankroll for legs. Plain dicts: aligning frames took longer than the analysis.
    frame = allocation.frame
    per_stake = 1.0 / allocation.bankroll if allocation.bankroll > 0 else 0.0
    weights, stakes = (np.nan_to_num(frame[name].to_numpy()).tolist() for name in ("target", "stake"))
    return {key: s * per_stake if key[1] else w for key, w, s in zip(frame.index, weights, stakes, strict=True)}


def _stakes(allocation: Allocation) -> dict[str, Json]:
    stakes = allocation.stakes["stake"]
    instruments, venues = (stakes.index.get_level_values(level) for level in ("instrument", "venue"))
    return {f"{i}@{v}": _finite(stake) for i, v, stake in zip(instruments, venues, stakes, strict=True)}


def _best_edges(edges: pd.DataFrame) -> list[Json]:
    best = edges[edges["executable"]].nlargest(KEPT_EDGES, "edge").reset_index()
    names, figures = ["instrument", "venue", "side"], ["price", "edge", "se"]
    return [{**{n: str(row[n]) for n in names}, **{n: _finite(row[n]) for n in figures}} for _, row in best.iterrows()]


def _numbers(series: pd.Series[float]) -> dict[str, Json]:
    return {str(name): _finite(value) for name, value in series.items()}


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _plain(knobs: Mapping[str, Any]) -> dict[str, Json]:
    # Views and other rich knobs are written as text: the record is for reading, not for setting.
    plain = (str, int, float, bool, type(None))
    return {name: value if isinstance(value, plain) else str(value) for name, value in knobs.items()}
