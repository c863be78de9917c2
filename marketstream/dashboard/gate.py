"""What the dashboard's server refuses before a session is made: other hosts, other sites' frames, too many pages."""

from __future__ import annotations

import ipaddress
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import ErrorHandler, OutputTransform

MAX_SESSIONS = 32
"""Pages open at once; each costs the loop that carries the stream some milliseconds a second."""

PATHS = frozenset({"/", "/ws", "/autoload.js", "/metadata", "/favicon.ico"})
STATIC = "/static/"
"""What the page asks for. Panel serves more: `/components/...` imports whatever module the address names."""

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def guard(server: Any) -> None:
    """Put the gate in front of a Bokeh server: every request passes `refusal`, every answer carries HEADERS."""
    application = server._tornado
    find_handler = application.find_handler

    def checked(request: HTTPServerRequest, **named: Any) -> Any:
        status = refusal(request, len(server.get_sessions()))
        if status is None:
            return find_handler(request, **named)
        return application.get_handler_delegate(request, ErrorHandler, {"status_code": status})

    application.find_handler = checked
    application.add_transform(SafeHeaders)


def refusal(request: HTTPServerRequest, n_sessions: int) -> int | None:
    """Return the HTTP status to refuse with, or None.

    400 for a Host that is not loopback (DNS rebinding), 404 for what the page has no use for, 403 for another site's
    frame, script or fetch, 503 for one page too many. Following a link from another site to the page is allowed.
    """
    if not _is_loopback(request.host_name):
        return 400
    if request.path not in PATHS and not request.path.startswith(STATIC):
        return 404
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site in ("cross-site", "same-site"):
        follows_a_link = request.path == "/" and request.headers.get("Sec-Fetch-Dest") == "document"
        if not follows_a_link:
            return 403
    if request.path in ("/", "/autoload.js") and n_sessions >= MAX_SESSIONS:
        return 503
    return None


class SafeHeaders(OutputTransform):  # type: ignore[misc]  # tornado is left out of type checking
    """Add HEADERS to every answer."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Return the answer with the headers added."""
        del finishing
        for name, value in HEADERS.items():
            headers[name] = value
        return status_code, headers, chunk


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
