"""`marketstream replay`: play a recording, or a file of quotes, through the engine, with a progress bar."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from marketstream.cli.options import log_to_stderr, plain, say
from marketstream.cli.tape import add_playing, open_replay, quotes_taken_in
from marketstream.clock import SECOND_NS, Clock, SystemClock

if TYPE_CHECKING:
    import pandas as pd

    from marketstream.cli.options import Commands
    from marketstream.engine.replaying import ReplayEngine
    from marketstream.market.quotes import QuoteBatch

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
        say(f"note: {note}")
    taken_in = TakenIn()
    engine.streamer.on_cycle = taken_in.add
    clock = SystemClock()
    began = clock.monotonic_ns()
    try:
        await engine.ensure_running()
        await _watch(engine, clock)
    finally:
        code = _report(engine, taken_in, (clock.monotonic_ns() - began) / 1e9)
        await engine.close()
    if engine.streamer.failure is not None:
        raise engine.streamer.failure
    return code


async def _watch(engine: ReplayEngine, clock: Clock) -> None:
    from tqdm import tqdm

    class Progress(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # no thread of its own

    total = (engine.tape.end - engine.tape.begin) / 1e9
    with Progress(total=total, desc=plain(engine.tape.path.name), file=sys.stderr, bar_format=_BAR) as bar:
        while not engine.streamer.ended:
            await clock.sleep(_LOOK_EVERY_S)
            status = engine.replay_status()
            bar.set_postfix_str(f"{status.cycles:,} cycles, {status.cycles_per_s:,.0f} a second", refresh=False)
            bar.update(min(max((status.position - status.begin) / 1e9, 0.0), total) - bar.n)
    # The analysis of the last cycle too.
    await engine.handlers.settle()


def _report(engine: ReplayEngine, taken_in: TakenIn, taken_s: float) -> int:
    replay = engine.replay_status()
    refused: dict[str, int] = {}
    for provider in engine.registry:
        for reason, n in provider.stats.refused.items():
            refused[reason] = refused.get(reason, 0) + n
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(refused.items())) or "none"
    say(
        f"{quotes_taken_in(taken_in.n)}, {_count(len(taken_in.venues), 'venue')}, {_count(replay.cycles, 'cycle')}; "
        f"refused: {reasons}"
    )
    say(
        f"{_time(replay.begin)} to {_time(replay.end)} in the file; "
        f"{_duration(taken_in.span_ns)} of quotes played in {taken_s:,.1f} s"
    )
    for line in (*venue_lines(engine, taken_in), *closing_lines(engine)):
        say(line)
    say(f"digest {engine.digest}{_verdict(engine)}")
    return 0 if replay.diverged_at is None else 1


def _verdict(engine: ReplayEngine) -> str:
    diverged = engine.replay_status().diverged_at
    if not engine.compared:
        return ""
    return ", as recorded" if diverged is None else f", differs from the recording since cycle {diverged}"


class TakenIn:
    """The quotes that went into the stream, by venue code: how many, the first and the last time (UTC ns)."""

    def __init__(self) -> None:
        self.venues: dict[int, tuple[int, int, int]] = {}

    @property
    def n(self) -> int:
        """Return how many there were."""
        return sum(n for n, _, _ in self.venues.values())

    @property
    def span_ns(self) -> int:
        """Return the time from the first of them to the last."""
        if not self.venues:
            return 0
        return max(last for _, _, last in self.venues.values()) - min(first for _, first, _ in self.venues.values())

    def add(self, batch: QuoteBatch, dispatched: bool) -> None:
        """Take in the quotes of a cycle."""
        for code in set(batch.rows["venue"].tolist()):
            stamps = batch.rows["ts_received"][batch.rows["venue"] == code]
            first, last = int(stamps.min()), int(stamps.max())
            n, began, ended = self.venues.get(code, (0, first, last))
            self.venues[code] = (n + len(stamps), min(began, first), max(ended, last))


def venue_lines(engine: ReplayEngine, taken_in: TakenIn) -> list[str]:
    """Return a table of the venues: how many quotes, when the first and when the last."""
    venues = engine.catalog.venues
    rows = [
        (venues[code].id, f"{n:,}", _time(first), _time(last))
        for code, (n, first, last) in sorted(taken_in.venues.items())
    ]
    return _table(("venue", "quotes", "first", "last"), rows)


def closing_lines(engine: ReplayEngine) -> list[str]:
    """Return a table of the closing fair values, those on most venues first, and which venues had no part in them."""
    if engine.snapshot is None or engine.market is None:
        return []
    fair, books, now = engine.snapshot.fair, engine.market.books, engine.market.now
    first = fair.sort_values("n_venues", ascending=False, kind="stable").head(_SHOWN)
    rows: list[tuple[str, ...]] = []
    missing: list[str] = []
    for key, row in first.iterrows():
        name = str(key)
        book = books[books.index.get_level_values("instrument") == name]
        decimals = engine.catalog.instrument(name).decimals
        value, sd = (_price(row[column], decimals) for column in ("fair", "fair_sd"))
        rows.append((name, value, sd, f"{row['n_venues']} of {len(book)}"))
        if row["n_venues"] < len(book):
            missing += _missing(name, book, now, row)
    title = f"closing fair values at {_time(engine.snapshot.now)}:"
    more = [f"and {len(fair) - len(first):,} more instruments"] if len(fair) > len(first) else []
    return [title, *_table(("instrument", "fair", "sd", "venues"), rows), *more, *missing]


def _missing(name: str, book: pd.DataFrame, now: int, fair: pd.Series) -> Iterator[str]:
    # Venues without a price at the close, each with the time of its last quote; then those with one that did not count.
    venues = book.index.get_level_values("venue")
    ended = [
        f"{venue} never" if math.isnan(age_ms) else f"{venue} {_time(now - round(age_ms * 1e6))}"
        for venue, state, age_ms in zip(venues, book["state"].tolist(), book["age_ms"].tolist(), strict=True)
        if state != "LIVE"
    ]
    if ended:
        more = f" and {len(ended) - _SHOWN} more" if len(ended) > _SHOWN else ""
        yield f"{name}: no price at the close from these venues, last heard of: {', '.join(ended[:_SHOWN])}{more}"
    if len(ended) < len(book) - fair["n_venues"]:
        yield f"{name}: left out of the fair value: {fair['left_out']}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    # Names to the left, figures to the right.
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if i else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    ]


def _price(value: float, decimals: int) -> str:
    return "none" if math.isnan(value) else f"{value:,.{decimals}f}"


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def _duration(span_ns: int) -> str:
    minutes, seconds = divmod(span_ns // SECOND_NS, 60)
    return f"{minutes // 60:,} h {minutes % 60} min" if minutes else f"{seconds} s"


def _time(now: int) -> str:
    return dt.datetime.fromtimestamp(now // SECOND_NS, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
