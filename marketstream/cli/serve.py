"""`marketstream serve`: one process, one loop, one engine; the dashboard on one port and the API on another."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketstream.cli.options import add_feeds, log_to_stderr, say, settings_of, stop_on_signal
from marketstream.cli.record import make_recorder, summary
from marketstream.cli.tape import add_playing, open_replay
from marketstream.errors import InvalidInputError, TransientError

if TYPE_CHECKING:
    from marketstream.cli.options import Commands
    from marketstream.engine import Engine
    from marketstream.settings import Settings

logger = logging.getLogger(__name__)

STOP_WITHIN_S = 10.0


def add(commands: Commands) -> None:
    """Add the subcommand."""
    command = commands.add_parser("serve", help="start the stream, the dashboard and the API")
    add_feeds(command)
    command.add_argument("--record", type=Path, metavar="PATH", help="write down what comes in; see the command record")
    command.add_argument("--replay", type=Path, metavar="FILE", help="play a recording or a file of quotes instead")
    add_playing(command)
    command.add_argument("--dashboard-port", type=int, help="port of the dashboard (default: 5006)")
    command.add_argument("--api-port", type=int, help="port of the API (default: 8000)")
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    settings = settings_of(chosen, dashboard_port=chosen.dashboard_port, api_port=chosen.api_port)
    if chosen.record is not None and chosen.replay is not None:
        raise InvalidInputError("--record writes down live feeds and --replay has none; choose one of them")
    if chosen.replay is not None and (chosen.profile is not None or chosen.providers is not None):
        raise InvalidInputError(
            "--profile and --providers say which feeds to open and --replay opens none; leave them out"
        )
    log_to_stderr(settings.log_level)
    # While the libraries are loaded there is nothing to tidy up yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return asyncio.run(_serve_until_told(settings, chosen))
    except KeyboardInterrupt:
        return 0


def _make_engine(settings: Settings, chosen: argparse.Namespace) -> Engine:
    from marketstream.engine import Engine

    if chosen.replay is None:
        return Engine(settings)
    engine = open_replay(chosen.replay, chosen, settings_file=chosen.settings)
    for note in engine.tape.notes:
        say(f"note: {note}")
    return engine


async def _serve_until_told(settings: Settings, chosen: argparse.Namespace) -> int:
    from marketstream.api.app import create_app
    from marketstream.api.server import api_server, listening_socket
    from marketstream.dashboard.server import dashboard_server

    engine = _make_engine(settings, chosen)
    api = api_server(create_app(engine), settings.host, settings.api_port)
    # Both ports are taken before the engine starts: a port that is not free is said at once.
    with listening_socket(settings.host, settings.api_port) as api_socket:
        recorder = None if chosen.record is None else make_recorder(engine, chosen.record)
        dashboard = dashboard_server(engine, settings.host, settings.dashboard_port)
        # After Panel's server was made, which installs a handler of its own that stops the loop under our feet.
        told = asyncio.create_task(stop_on_signal().wait(), name="stop-signal")
        serving = asyncio.create_task(api.serve([api_socket]), name="api-server")
        starting = asyncio.create_task(_start(engine, dashboard, settings), name="start")
        try:
            await asyncio.wait({serving, told, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            starting.cancel()
            dashboard.stop()
            api.should_exit = True
            async with asyncio.timeout(STOP_WITHIN_S):
                if recorder is not None:
                    say(summary(await recorder.close("done")))
                await engine.close()
                await asyncio.gather(starting, return_exceptions=True)
                await serving
    return 0


def writers(engine: Engine) -> str:
    """Return in words who writes the rationales."""
    models = engine.rationale.writers
    return f"{', '.join(models)}; then the narrator" if models else "the narrator alone; MARKETSTREAM_LLM is none"


async def _start(engine: Engine, dashboard: Any, settings: Settings) -> None:
    try:
        await engine.ensure_running()
    except TransientError:
        logger.info("the stream was stopped while it started; POST /streaming/control starts it")
    dashboard.start()
    say(f"texts by   {writers(engine)}")
    say(f"dashboard  http://{settings.host}:{settings.dashboard_port}")
    say(f"API        http://{settings.host}:{settings.api_port}/docs")
