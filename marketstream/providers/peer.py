"""What can go wrong with a peer and what to do about it, for transport.py (WebSocket) and rest.py (HTTP)."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

from marketstream.clock import Clock
from marketstream.errors import ConfigurationError, PermanentError, TransientError
from marketstream.market.events import Absence
from marketstream.market.handling import full_jitter_s

MAX_DETAIL = 200
"""Characters of what went wrong with a peer that are kept: part of the text may be the peer's own."""

_T = TypeVar("_T")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# A handshake cut short is a lost connection; other TLS errors (a wrong certificate) stay.
_CUT_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class FeedLostError(TransientError):
    """A peer that may be there again later.

    Attributes:
        absence: Why there is no data meanwhile.
        retry_after_s: How long the peer asked to be left alone, in seconds.
    """

    def __init__(self, detail: str, absence: Absence = Absence.ERROR, retry_after_s: float = 0.0) -> None:
        super().__init__(_one_line(detail))
        self.absence = absence
        self.retry_after_s = retry_after_s


class FeedRefusedError(PermanentError):
    """A peer that will give the same answer next time, so nobody asks again until told to.

    Attributes:
        absence: Why there is no data.
    """

    def __init__(self, detail: str, absence: Absence = Absence.ERROR) -> None:
        super().__init__(_one_line(detail))
        self.absence = absence


class Backoff:
    """Count failures in a row, and wait longer after each: see `full_jitter_s` for the waits."""

    def __init__(self, rng: random.Random, *, first_s: float = 1.0, cap_s: float = 60.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self._cap_s = cap_s
        self._failures = 0

    def next(self) -> float:
        """Return the seconds to wait now."""
        self._failures += 1
        return full_jitter_s(self._failures, self._rng, first_s=self._first_s, cap_s=self._cap_s)

    def reset(self) -> None:
        """Start again from the first wait."""
        self._failures = 0


def judge_status(status: int, what: str, retry_after: str | None = None) -> FeedLostError | FeedRefusedError:
    """Return the error that an HTTP status other than success stands for."""
    detail = f"{what} answered HTTP {status}"
    if status == 451:
        return FeedRefusedError(f"{detail}: not available from this location", Absence.GEO_BLOCKED)
    if status in (401, 403):
        return FeedRefusedError(f"{detail}: access refused", Absence.AUTH)
    if status in (418, 429):
        return FeedLostError(f"{detail}: too many requests", Absence.THROTTLED, _seconds(retry_after))
    if status >= 500 or status in (408, 425):
        return FeedLostError(detail, retry_after_s=_seconds(retry_after))
    return FeedRefusedError(f"{detail}: wrong address or request")


def judge_tls(error: BaseException | None, what: str) -> FeedRefusedError | None:
    """Return the refusal when `error`, or what caused it, is a TLS fault that will not pass."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, _CUT_TLS):
            return FeedRefusedError(f"no secure connection to {what}: {str(error) or 'TLS error'}")
        error = error.__cause__ or error.__context__
    return None


def check_url(url: str, *, secure: str, plain: str) -> str:
    """Return `url` without trailing slash; ConfigurationError unless `secure`, or `plain` on loopback.

    >>> check_url("wss://example.org/", secure="wss", plain="ws")
    'wss://example.org'
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no URL: {error}") from None
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(f"a base URL is {secure}://host[:port][/path] and nothing more, was {url!r}")
    if parts.scheme != secure and not (parts.scheme == plain and host in _LOOPBACK):
        raise ConfigurationError(f"a base URL starts with {secure}:// (or {plain}:// on loopback), was {url!r}")
    return url.rstrip("/")


def origin(url: str) -> str:
    """Return scheme, host and port of an address, for people: its path may hold a key.

    >>> origin("wss://example.org:9443/key-123/ws?x=1")
    'wss://example.org:9443'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of `work`; TimeoutError when it takes longer than `seconds` of `clock`'s time."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError(f"no answer within {seconds:g} s")
        return task.result()
    finally:
        await _end(task, timer)


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, then cancel the others and wait for them; raise what the one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in tasks if task.done()]
    finally:
        await _end(*tasks)
    for task in ended:
        task.result()


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _one_line(text: str) -> str:
    # A peer writes part of it, such as the reason of a close: no text of its forges a line of a log or turns a page's.
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text[:MAX_DETAIL])


def _seconds(text: str | None) -> float:
    # Retry-After may also be a date; no venue here sends one. An hour is the longest wait that is believed.
    if text is None or not (text.isascii() and text.isdigit()):
        return 0.0
    return min(float(text[:9]), 3600.0)
