"""`marketstream record`: run the engine without ports and write down its inputs and its quotes."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from marketstream.cli.options import add_feeds, log_to_stderr, say, settings_of, stop_on_signal
from marketstream.cli.tape import quotes_taken_in
from marketstream.errors import ConfigurationError

if TYPE_CHECKING:
    from marketstream.cli.options import Commands
    from marketstream.engine import Engine
    from marketstream.engine.recording import Recorder, RecordingStatus
    from marketstream.settings import Settings


def add(commands: Commands) -> None:
    """Add the subcommand."""
    command = commands.add_parser("record", help="write down what feeds send, for a replay")
    add_feeds(command)
    command.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="PATH",
        help="a folder, or a new file that ends in .msj",
    )
    command.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="default: until Ctrl-C")
    command.add_argument(
        "--warmup", type=int, default=0, metavar="SECONDS", help="simulated past to record first (default: 0)"
    )
    command.add_argument("--no-quotes", action="store_true", help="write no Parquet files beside the recording")
    command.add_argument("--fsync", action="store_true", help="wait for the disk each second, against a power loss")
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Record until the time is over, a signal comes, or nothing more can be written: then 1."""
    # The store belongs to `serve`; what is recorded is in the recording.
    settings = settings_of(chosen, warmup_s=chosen.warmup, store_url="memory")
    log_to_stderr(settings.log_level)
    return asyncio.run(_record(settings, chosen))


def make_recorder(engine: Engine, path: Path, *, quotes: bool = True, fsync: bool = False) -> Recorder:
    """Return a recorder that writes to `path`, a new `.msj` file or a folder; ConfigurationError when it cannot."""
    from marketstream.engine.recording import Recorder
    from marketstream.store.journal import SUFFIX

    if path.suffix == SUFFIX:
        journal, archive = path, path.with_name(f"{path.stem}-quotes")
    else:
        began = dt.datetime.fromtimestamp(engine.clock.now_ns() // 1_000_000_000, dt.UTC)
        journal, archive = path / f"{began:%Y-%m-%dT%H%M%SZ}{SUFFIX}", path / "quotes"
    try:
        return Recorder(engine, journal, archive=archive if quotes else None, fsync=fsync)
    except OSError as error:
        raise ConfigurationError(f"{journal} cannot be written: {error.strerror or error}") from None


def summary(status: RecordingStatus) -> str:
    """Return what was recorded, in a line."""
    journal = f"{status.cycles:,} cycles, {status.inputs:,} inputs in {status.size_bytes / 1e6:,.1f} MB"
    quotes = (
        f", {quotes_taken_in(status.quotes)} in {status.archive_bytes / 1e6:,.1f} MB of Parquet"
        if status.quotes
        else ""
    )
    return f"{status.path}: {journal}{quotes}; ended: {status.ended}"


async def _record(settings: Settings, chosen: argparse.Namespace) -> int:
    from marketstream.engine import Engine

    engine = Engine(settings)
    recorder = make_recorder(engine, chosen.to, quotes=not chosen.no_quotes, fsync=chosen.fsync)
    ends = {asyncio.create_task(end) for end in (stop_on_signal().wait(), recorder.wait_for_end())}
    file = settings.providers_file
    feeds = f"profile {settings.profile}" if file is None else f"the providers of {file.name}"
    say(f"recording {feeds} to {recorder.path}; end it with Ctrl-C")
    try:
        await engine.ensure_running()
        await asyncio.wait(ends, timeout=chosen.seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
        status = await recorder.close("done")
        await engine.close()
    say(summary(status))
    return 0 if status.ended == "done" else 1
