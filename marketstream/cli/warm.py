"""`marketstream warm`: compile the numeric kernels, so that the first start takes no longer than the second."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from marketstream.settings import bare_settings

if TYPE_CHECKING:
    from marketstream.cli.options import Commands


def add(commands: Commands) -> None:
    """Add the subcommand."""
    command = commands.add_parser("warm", help="compile the numeric kernels, so that the first start takes no longer")
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Build and step a small engine: what a start would compile goes into the cache beside the sources."""
    del chosen
    asyncio.run(_play())
    return 0


async def _play() -> None:
    from marketstream.clock import ManualClock
    from marketstream.engine import Engine

    # The settings of this user's environment are no matter here, and nothing is left behind.
    engine = Engine(bare_settings(profile="demo", warmup_s=60), clock=ManualClock())
    await engine.run_for(1.0)
    await engine.close()
