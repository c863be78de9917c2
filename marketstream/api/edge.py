"""The outermost layer of the API: host check, origin check, security headers, and the fence for surprises."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketstream.api.errors import instance_of, problem

logger = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class EdgeStats:
    """Counts of what stopped at the edge."""

    def __init__(self) -> None:
        self.refused = 0
        self.errors = 0


class Edge:
    """ASGI middleware that lets in only what a program on this machine, or a page of this server, would send.

    A page on another site reaches 127.0.0.1 by DNS rebinding (its Host is foreign: 400) or by a cross-site
    form or fetch (its Origin is foreign: 403). There is no CORS header, so it can read nothing either.

    Args:
        app: The application behind.
        hosts: Host names, without port, to answer to beside localhost and loopback addresses (which no
            name server can point elsewhere).
        stats: Where refusals and unexpected errors are counted.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], stats: EdgeStats) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.stats = stats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass on what is no HTTP."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message)
            await send(message)

        try:
            await self._serve(scope, receive, send_guarded)
        except ClientDisconnect:
            return  # the client hung up in the middle of its own request: nobody to answer, nothing failed here
        except Exception:  # the fence of the API: one bad request must not end the server
            self.stats.errors += 1
            logger.error("API request failed: %s %s", scope["method"], instance_of(scope), exc_info=True)
            if started:
                raise  # half an answer is out: the connection has to break
            answer = problem(instance_of(scope), HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; see its log")
            await answer(scope, receive, send_guarded)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, send)
            return
        self.stats.refused += 1
        await problem(instance_of(scope), *refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._answers_to(host_name(hosts[0])):
            return HTTPStatus.BAD_REQUEST, "the Host header must be localhost or a loopback address"
        if scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{hosts[0].lower()}":
            return HTTPStatus.FORBIDDEN, "requests from pages of another origin are refused"
        return None

    def _answers_to(self, name: str) -> bool:
        return name in self.hosts or is_loopback(name)


def host_name(header: str) -> str:
    """Return the name in a Host header, lower case and without its port.

    >>> host_name("LocalHost:8000"), host_name("[::1]:8000"), host_name("[::1]")
    ('localhost', '[::1]', '[::1]')
    """
    name, colon, port = header.strip().lower().rpartition(":")
    return name if colon and port.isdigit() else header.strip().lower()


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine's own address, whatever a name server says.

    >>> [is_loopback(host) for host in ("127.0.0.1", "[::1]", "localhost", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _add_headers(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
