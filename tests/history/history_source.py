"""A source that delivers at least once, and the kills: a new history_worker.py gets what has no answer yet."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import history_worker
from history_worker import LEDGER_BATCH, LEDGER_POINTS, POINTS, POISON_EVERY, STORE_BATCH, STORE_POINTS

LANES = ("store", "ledger", "handled", "letter")


def kill_plan(n: int, *, per_round: int, seed: int) -> list[tuple[str, int]]:
    """Return where to kill `n` workers: every point in turn, at any of the times that a round surely passes it."""
    rng = random.Random(f"kills {seed}")
    passes = dict.fromkeys(STORE_POINTS, per_round // STORE_BATCH)
    passes |= dict.fromkeys(LEDGER_POINTS, per_round // LEDGER_BATCH)
    points = [POINTS[i % len(POINTS)] for i in range(n)]
    return [(point, rng.randint(1, passes.get(point, per_round // POISON_EVERY))) for point in points]


@dataclass
class Claims:
    """What the worker has said: the events that each lane has acknowledged, and every event that was delivered."""

    acknowledged: dict[str, set[int]] = field(default_factory=lambda: {lane: set() for lane in LANES})
    delivered: set[int] = field(default_factory=set)

    def settled(self) -> set[int]:
        """Return the events that need not be delivered again: every lane has done them or kept their letter."""
        done = self.acknowledged
        return done["store"] & done["handled"] & (done["ledger"] | done["letter"])


class Source:
    """Number events, deliver them to one worker after another, and remember what was acknowledged.

    Args:
        folder: Where the worker keeps its files.
        seed: Of which acknowledged events are delivered again all the same.
        per_round: New events a round.
        plant: The worker's planted bug, where it is to have one.
    """

    def __init__(self, folder: Path, *, seed: int = 0, per_round: int = 1000, plant: str = "") -> None:
        self.folder = folder
        self.claims = Claims()
        self._rng = random.Random(f"source {seed}")
        self._per_round = per_round
        self._plant = plant

    def killed_at(self, point: str, occurrence: int = 1) -> None:
        """Deliver new events and kill the worker where it passes `point` for the n-th time."""
        first = len(self.claims.delivered) + 1
        self.claims.delivered |= set(range(first, first + self._per_round))
        with self._worker(point=point, occurrence=occurrence) as worker:
            _tell(worker, ["deliver", self._due()], ["settle"])
            last = self._listen(worker)
            assert last == f"stop {point}", f"the worker did not come to {point} number {occurrence}: {last!r}"

    def killed_in_replay(self, point: str) -> None:
        """Let a worker that is cured replay the dead letters, and kill it where it first passes `point`."""
        with self._worker(point=point, occurrence=1, cured=True) as worker:
            _tell(worker, ["replay"])
            last = self._listen(worker)
            assert last == f"stop {point}", f"the worker did not come to {point} in its replay: {last!r}"

    def finish(self) -> None:
        """Deliver what is left to a worker that nobody kills, then let one that is cured replay the dead letters."""
        for cured in (False, True):
            with self._worker(cured=cured) as worker:
                _tell(worker, ["deliver", self._due()], ["settle"])
                assert self._listen(worker) == "idle"
                if cured:
                    _tell(worker, ["replay"])
                    assert self._listen(worker) == "idle"
                _tell(worker, ["quit"])
                assert worker.wait(timeout=60) == 0

    def _due(self) -> list[int]:
        # What has no answer, and some of what has one: at least once is not exactly once.
        settled = self.claims.settled()
        again = self._rng.sample(sorted(settled), k=min(len(settled), 50))
        return sorted([*(self.claims.delivered - settled), *again])

    @contextmanager
    def _worker(self, *, point: str = "", occurrence: int = 0, cured: bool = False) -> Iterator[subprocess.Popen[str]]:
        wish = {
            "folder": str(self.folder), "point": point, "occurrence": occurrence, "plant": self._plant, "cured": cured,
        }  # fmt: skip
        command = [sys.executable, history_worker.__file__, json.dumps(wish)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            try:
                yield worker
            finally:
                worker.kill()
                self._listen(worker, to_the_end=True)

    def _listen(self, worker: subprocess.Popen[str], *, to_the_end: bool = False) -> str:
        # Note what is acknowledged, up to a line that is something else; the last line that was said.
        assert worker.stdout is not None
        line = ""
        for line in worker.stdout:
            if not line.endswith("\n"):
                break  # killed while it spoke: what was not said whole was not said
            word, *rest = line.split()
            if word == "ack":
                self.claims.acknowledged[rest[0]] |= set(map(int, rest[1:]))
            elif word != "ready" and not to_the_end:
                break
        return line.strip()


def _tell(worker: subprocess.Popen[str], *commands: Iterable[object]) -> None:
    assert worker.stdin is not None
    for command in commands:
        worker.stdin.write(json.dumps(command) + "\n")
    worker.stdin.flush()
