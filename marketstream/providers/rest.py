"""A bounded HTTP GET for snapshots: no redirects, no proxy, no answer larger than allowed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import httpx2

from marketstream.clock import Clock
from marketstream.errors import PermanentError
from marketstream.providers.peer import FeedLostError, check_url, judge_status, judge_tls, origin, within

MAX_BODY_BYTES = 4 << 20
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip"}


class RestClient:
    """Ask one server.

    Args:
        base_url: `https://host`, or `http://` on loopback; ConfigurationError otherwise.
        clock: Times every request.
        timeout_s: A request that takes longer is lost.
        max_bytes: Most bytes of an answer, after inflating.
    """

    def __init__(
        self, *, base_url: str, clock: Clock, timeout_s: float = 10.0, max_bytes: int = MAX_BODY_BYTES
    ) -> None:
        self._base_url = check_url(base_url, secure="https", plain="http")
        self._peer = origin(base_url)
        self._clock = clock
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._client: httpx2.AsyncClient | None = None

    async def get(self, path: str, params: Mapping[str, str | int]) -> bytes:
        """Return the body of a successful answer.

        Raises:
            FeedLostError: No answer, or one that may be better later (429, 5xx).
            FeedRefusedError: An answer that stays (401, 403, 404, 451, a redirect, TLS).
            PermanentError: This one request is wrong (400), or its answer is too large or cannot be inflated.
        """
        try:
            return await within(self._clock, self._timeout_s, self._fetch(path, params))
        except (httpx2.TransportError, httpx2.InvalidURL, OSError) as error:
            # TimeoutError is an OSError.
            refusal = judge_tls(error, self._peer)
            raise (refusal or FeedLostError(f"{self._peer}{path}: {error or type(error).__name__}")) from error

    async def close(self) -> None:
        """Close the connections; the next `get` opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _fetch(self, path: str, params: Mapping[str, str | int]) -> bytes:
        what = f"{self._peer}{path}"
        request = self._open_client().stream("GET", f"{self._base_url}{path}", params=dict(params), headers=_HEADERS)
        async with request as response:
            if response.status_code == 400:
                raise PermanentError(f"{what} answered HTTP 400: wrong request {dict(params)}")
            if response.status_code != 200:
                raise judge_status(response.status_code, what, response.headers.get("Retry-After"))
            return await self._body(response, what)

    async def _body(self, response: httpx2.Response, what: str) -> bytes:
        coding = response.headers.get("Content-Encoding", "identity").lower()
        if coding not in ("identity", "gzip"):
            raise PermanentError(f"{what} sent an encoding that nobody asked for")
        inflate = zlib.decompressobj(wbits=31) if coding == "gzip" else None
        body = bytearray()
        async for chunk in response.aiter_raw():
            # One byte more than allowed is enough to know; the rest stays packed.
            room = self._max_bytes + 1 - len(body)
            try:
                body += chunk if inflate is None else inflate.decompress(chunk, room)
            except zlib.error as error:
                raise PermanentError(f"{what} sent a body that cannot be inflated: {error}") from error
            if len(body) > self._max_bytes:
                raise PermanentError(f"{what} sent more than {self._max_bytes} bytes")
        return bytes(body)

    def _open_client(self) -> httpx2.AsyncClient:
        # Made on the loop that uses it. Our clock bounds each request, so httpx's own timeouts are off.
        if self._client is None:
            self._client = httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None)
        return self._client
