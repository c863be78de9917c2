"""`marketstream replay`: play a recording, or a file of quotes, through the engine, with a progress bar."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketstream.cli.options import log_to_stderr
from marketstream.cli.tape import add_playing, open_replay
from marketstream.clock import Clock, SystemClock

if TYPE_CHECKING:
    from marketstream.cli.options import Commands
    from marketstream.engine.replaying import ReplayEngine

_LOOK_EVERY_S = 0.2
_SHOWN = 10
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s [{elapsed}<{remaining}{postfix}]"


def add(commands: Commands) -> None:
    """Add the subcommand."""
    command = commands.add_parser("replay", help="play a recording or a file of quotes through the engine")
    command.add_argument("file", type=Path, help="a recording (.msj), a folder with one, .csv, .csv.gz or .parquet")
    add_playing(command)
    command.add_argument("--analysis-interval", type=float, metavar="SECONDS", help="least time between two analyses")
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Play it to its end and print what came out; 1 when that differs from what the recording says."""
    log_to_stderr("WARNING")
    given = {} if chosen.analysis_interval is None else {"analysis_interval_s": chosen.analysis_interval}
    return asyncio.run(_play(open_replay(chosen.file, chosen, **given)))


async def _play(engine: ReplayEngine) -> int:
    for note in engine.tape.notes:
        print(f"note: {note}")
    widest = _Widest()
    looking = engine.deltas.stream.sink(lambda _: widest.look(engine.snapshot))
    clock = SystemClock()
    began = clock.monotonic_ns()
    try:
        await engine.ensure_running()
        await _watch(engine, clock)
    finally:
        looking.destroy()
        taken_s = (clock.monotonic_ns() - began) / 1e9
        widest.look(engine.snapshot)
        code = _report(engine, widest, taken_s)
        await engine.close()
    if engine.streamer.failure is not None:
        raise engine.streamer.failure
    return code


async def _watch(engine: ReplayEngine, clock: Clock) -> None:
    from tqdm import tqdm

    class Progress(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # no thread of its own

    total = (engine.tape.end - engine.tape.begin) / 1e9
    with Progress(total=total, desc=engine.tape.path.name, file=sys.stderr, bar_format=_BAR) as bar:
        while not engine.streamer.ended:
            await clock.sleep(_LOOK_EVERY_S)
            status = engine.replay_status()
            bar.set_postfix_str(f"{status.cycles:,} cycles, {status.cycles_per_s:,.0f} a second", refresh=False)
            bar.update(min((status.position - status.begin) / 1e9, total) - bar.n)


def _report(engine: ReplayEngine, widest: _Widest, taken_s: float) -> int:
    status, replay = engine.status(), engine.replay_status()
    quotes = sum(provider.stats.quotes for provider in engine.registry)
    refused: dict[str, int] = {}
    for provider in engine.registry:
        for reason, n in provider.stats.refused.items():
            refused[reason] = refused.get(reason, 0) + n
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(refused.items())) or "none"
    span_s = (replay.position - replay.begin) / 1e9
    print(
        f"{replay.cycles:,} cycles and {quotes:,} good quotes of {_venues(status.n_venues)}; refused: {reasons}\n"
        f"{span_s:,.1f} s of market time in {taken_s:,.1f} s"
    )
    for line in widest.lines():
        print(line)
    print(f"digest {engine.digest}{_verdict(engine)}")
    return 0 if replay.diverged_at is None else 1


def _verdict(engine: ReplayEngine) -> str:
    diverged = engine.replay_status().diverged_at
    if not engine.compared:
        return ""
    return ", as recorded" if diverged is None else f", differs from the recording since cycle {diverged}"


class _Widest:
    # For each instrument the fair value on most venues, the newest of them.

    def __init__(self) -> None:
        self._seen: Any = None
        self._found: dict[str, tuple[int, float, int]] = {}

    def look(self, snapshot: Any) -> None:
        """Take in a snapshot, once."""
        if snapshot is None or snapshot is self._seen:
            return
        self._seen = snapshot
        fair = snapshot.fair
        for name, n, value in zip(fair.index, fair["n_venues"].tolist(), fair["fair"].tolist(), strict=True):
            if n and n >= self._found.get(name, (0, 0.0, 0))[0]:
                self._found[name] = (n, value, snapshot.now)

    def lines(self) -> list[str]:
        """Return a line per instrument, those on most venues first."""
        first = sorted(self._found.items(), key=lambda item: -item[1][0])[:_SHOWN]
        more = len(self._found) - len(first)
        return [
            f"{name}: fair value {value:,.6g} from {_venues(n)} at {_time(now)}" for name, (n, value, now) in first
        ] + ([f"and {more} more instruments"] if more else [])


def _venues(n: int) -> str:
    return f"{n} venue" if n == 1 else f"{n} venues"


def _time(now: int) -> str:
    return dt.datetime.fromtimestamp(now // 1_000_000_000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
