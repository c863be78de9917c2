"""Serving the dashboard: beside the API in `marketstream serve`, or by itself in `panel serve app.py`."""

from __future__ import annotations

import asyncio
import atexit
from typing import Any

from panel.io.server import get_server

from marketstream.dashboard.dashboard import Dashboard
from marketstream.dashboard.gate import guard
from marketstream.engine import Engine
from marketstream.errors import ConfigurationError
from marketstream.settings import load_settings


def dashboard_server(engine: Engine, host: str, port: int) -> Any:
    """Return a server of the dashboard on the running loop that has taken its port and waits for `start`.

    Args:
        engine: Is started and stopped by the caller.
        host: Address to listen on.
        port: TCP port; 0 takes a free one, which `server.port` tells.

    Raises:
        ConfigurationError: The port cannot be had.
    """
    dashboard = Dashboard(engine)
    # A page of another site has another origin, and the server refuses its WebSocket.
    origins = [f"{name}:{port}" for name in dict.fromkeys((host, "127.0.0.1", "localhost"))]
    try:
        server = get_server(
            {"/": dashboard.page},
            port=port,
            address=host,
            title={"/": "marketstream"},
            start=False,
            show=False,
            verbose=False,
            websocket_origin=origins if port else None,
            check_unused_sessions_milliseconds=5_000,
            unused_session_lifetime_milliseconds=10_000,
        )
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}); set MARKETSTREAM_DASHBOARD_PORT to a free port"
        ) from None
    guard(server)
    return server


def local_dashboard() -> Dashboard:
    """Return a dashboard over a new engine of this process, with the settings of the environment.

    Nothing runs yet, since `panel serve --warm` and `--dev` come here before there is a loop: the first page
    starts the engine, and the end of the process stops it.
    """
    dashboard = Dashboard(Engine(load_settings()), start_engine=True)
    atexit.register(_stop, dashboard)
    return dashboard


def _stop(dashboard: Dashboard) -> None:
    # The server has stopped its loop but not closed it: what the engine runs there is ended there.
    loop: asyncio.AbstractEventLoop | None = dashboard.loop
    if loop is not None and not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(dashboard.engine.close())
