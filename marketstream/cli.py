"""The `marketstream` command: serve | providers | warm."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketstream.errors import ConfigurationError, TransientError
from marketstream.settings import PROFILES, Settings, load_settings

if TYPE_CHECKING:
    from marketstream.engine import Engine

logger = logging.getLogger(__name__)

STOP_WITHIN_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 a setting cannot be used."""
    # Matrices here are small: the threads of a BLAS only wait for each other. It is read when numpy is first imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    chosen = _parser().parse_args(arguments)
    if chosen.command == "warm":
        return _warm()
    try:
        settings = load_settings(
            chosen.settings,
            profile=chosen.profile,
            providers_file=chosen.providers,
            dashboard_port=chosen.dashboard_port,
            api_port=chosen.api_port,
        )
        return _list_providers(settings) if chosen.command == "providers" else _serve(settings)
    except ConfigurationError as error:
        print(f"marketstream: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="marketstream", description="A live market workbench.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("warm", help="compile the numeric kernels, so that the first start takes no longer")
    for name, text in (
        ("serve", "start the stream, the dashboard and the API"),
        ("providers", "list the providers that a profile or a file declares"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--profile", choices=PROFILES, help="which feeds to open (default: demo)")
        command.add_argument("--providers", type=Path, metavar="FILE", help="JSON or TOML file that declares providers")
        command.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
        command.add_argument("--dashboard-port", type=int, help="port of the dashboard (default: 5006)")
        command.add_argument("--api-port", type=int, help="port of the API (default: 8000)")
    return parser


def _warm() -> int:
    # Building and stepping a small engine compiles what a start would compile, into the cache beside the sources.
    from marketstream.clock import ManualClock
    from marketstream.engine import Engine

    async def play() -> None:
        # The settings of this user's environment are no matter here.
        settings = Settings.model_construct(profile="demo", warmup_s=60)
        engine = Engine(settings, clock=ManualClock())
        await engine.run_for(1.0)
        await engine.close()

    asyncio.run(play())
    return 0


def _list_providers(settings: Settings) -> int:
    from marketstream.clock import SystemClock
    from marketstream.engine import declared_providers

    clock = SystemClock()
    for provider, enabled in declared_providers(settings, clock, clock.now_ns()):
        listing = provider.listing()
        venues = ", ".join(venue.id for venue in listing.venues)
        note = "" if enabled else " (disabled)"
        print(f"{provider.name:<20} {provider.kind:<12} {len(listing.instruments):>4} instruments on {venues}{note}")
    return 0


def _serve(settings: Settings) -> int:
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx2", "websockets", "bokeh", "tornado"):
        # The HTTP client logs whole URLs at INFO, and a URL may carry a key.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # While the libraries are loaded there is nothing to tidy up yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return asyncio.run(_serve_until_told(settings))
    except KeyboardInterrupt:
        return 0


async def _serve_until_told(settings: Settings) -> int:
    from marketstream.api.app import create_app
    from marketstream.api.server import api_server, listening_socket
    from marketstream.dashboard.server import dashboard_server
    from marketstream.engine import Engine

    engine = Engine(settings)
    api = api_server(create_app(engine), settings.host, settings.api_port)
    # Both ports are taken before the engine starts: a port that is not free is said at once.
    with listening_socket(settings.host, settings.api_port) as api_socket:
        dashboard = dashboard_server(engine, settings.host, settings.dashboard_port)
        # After Panel's server was made, which installs a handler of its own that stops the loop under our feet.
        told = asyncio.create_task(_stop_on_signal().wait(), name="stop-signal")
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
                await engine.close()
                await asyncio.gather(starting, return_exceptions=True)
                await serving
    return 0


async def _start(engine: Engine, dashboard: Any, settings: Settings) -> None:
    try:
        await engine.ensure_running()
    except TransientError:
        logger.info("the stream was stopped while it started; POST /streaming/control starts it")
    dashboard.start()
    print(f"dashboard  http://{settings.host}:{settings.dashboard_port}", flush=True)
    print(f"API        http://{settings.host}:{settings.api_port}/docs", flush=True)


def _stop_on_signal() -> asyncio.Event:
    # The first signal asks; the second one, to somebody who will not wait, ends the process by the usual means.
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(number: int) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told, number)
    return stop
