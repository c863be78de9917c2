"""The `marketstream` command. Each subcommand is a file beside this one with `add(commands)`, which sets `run`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from marketstream.cli.db import add as add_db
from marketstream.cli.dead_letters import add as add_dead_letters
from marketstream.cli.options import say
from marketstream.cli.providers import add as add_providers
from marketstream.cli.record import add as add_record
from marketstream.cli.replay import add as add_replay
from marketstream.cli.serve import add as add_serve
from marketstream.cli.warm import add as add_warm
from marketstream.errors import MarketStreamError

SUBCOMMANDS = (add_serve, add_record, add_replay, add_providers, add_dead_letters, add_db, add_warm)
"""In the order in which the help lists them; each adds its own parser."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 something given cannot be used."""
    # Matrices here are small: the threads of a BLAS only wait for each other. It is read when numpy is first imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    chosen = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = chosen.run
    try:
        return run(chosen)
    except MarketStreamError as error:
        say(f"marketstream: {error}", error=True)
        return 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command; a subcommand sets `run`."""
    whole = argparse.ArgumentParser(prog="marketstream", description="A live market workbench.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in SUBCOMMANDS:
        add(commands)
    return whole
