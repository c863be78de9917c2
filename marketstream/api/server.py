"""The HTTP server of the API: uvicorn on the engine's own loop, on loopback; signals are its caller's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from marketstream.api.edge import is_loopback
from marketstream.errors import ConfigurationError

GRACEFUL_SHUTDOWN_S = 3


class ApiServer(uvicorn.Server):
    """A server that is one task among others: it installs no signal handlers and never exits the process.

    `listening` is set once it can be reached. Set `should_exit` to end it; `serve` then returns after open
    requests, or after 3 s.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell those who wait for `listening`."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGINT and SIGTERM to whoever owns the process."""
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`; ConfigurationError when the port cannot be had."""
        own = [] if sockets else [listening_socket(self.config.host, self.config.port)]
        try:
            await super().serve(sockets or own)
        finally:
            for each in own:
                each.close()

    @property
    def port(self) -> int:
        """Return the port that is listened on, which the system chose if 0 was asked for."""
        listening = [each for server in getattr(self, "servers", []) for each in server.sockets]
        return int(listening[0].getsockname()[1]) if listening else self.config.port


def api_server(app: FastAPI, host: str = "127.0.0.1", port: int = 8000) -> ApiServer:
    """Return a server for `app` that the engine's loop awaits with `serve()`.

    Args:
        app: What `create_app` made.
        host: A loopback address; the API has no authentication, so no other is allowed.
        port: TCP port; 0 lets the system choose.

    Raises:
        ConfigurationError: The host is not a loopback address, or the port is none.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"the API has no login and listens on loopback only: host must be 127.0.0.1, was {host!r}"
        )
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"the API port must be 0 to 65535, was {port}")
    return ApiServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,  # the program has set up logging; uvicorn would replace it
            access_log=False,
            lifespan="off",  # the engine is started and stopped by its owner
            proxy_headers=False,  # nothing in front may change who the client seems to be
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        )
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket; ConfigurationError says which address is taken and what moves it."""
    address = "127.0.0.1" if host == "localhost" else host.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only where it is: an answer goes out in two parts, and the
    # second would wait 40 ms for the peer's acknowledgement of the first.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}); set MARKETSTREAM_API_PORT to a free port"
        ) from error
    return bound
