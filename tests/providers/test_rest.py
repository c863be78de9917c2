from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from loopback_venue import LoopbackVenue, idle, plain_server, until

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError, PermanentError
from marketstream.market.events import Absence
from marketstream.providers.peer import FeedLostError, FeedRefusedError
from marketstream.providers.rest import RestClient

PARAMS = {"symbol": "BTCUSDT", "limit": 1000}


@pytest.fixture
async def venue() -> AsyncIterator[LoopbackVenue]:
    async with LoopbackVenue() as venue:
        venue.snapshots["BTCUSDT"] = b'{"lastUpdateId":1}'
        yield venue


@pytest.fixture
async def client(venue: LoopbackVenue) -> AsyncIterator[RestClient]:
    client = RestClient(base_url=venue.rest_url, clock=ManualClock(), max_bytes=10_000)
    yield client
    await client.close()


async def test_returns_the_body_of_a_good_answer(venue: LoopbackVenue, client: RestClient) -> None:
    assert await client.get("/api/v3/depth", PARAMS) == b'{"lastUpdateId":1}'
    assert venue.requests == ["/api/v3/depth?symbol=BTCUSDT&limit=1000"]


async def test_inflates_what_was_packed(venue: LoopbackVenue, client: RestClient) -> None:
    venue.behaviour.rest_headers = {"Content-Encoding": "gzip"}
    venue.snapshots["BTCUSDT"] = gzip.compress(b"x" * 9_999)
    assert await client.get("/api/v3/depth", PARAMS) == b"x" * 9_999


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    venue: LoopbackVenue, client: RestClient, packed: bool
) -> None:
    bomb = b"x" * 50_000_000 if packed else b"x" * 10_001
    venue.behaviour.rest_headers = {"Content-Encoding": "gzip"} if packed else {}
    venue.snapshots["BTCUSDT"] = gzip.compress(bomb) if packed else bomb
    with pytest.raises(PermanentError, match="more than 10000 bytes"):
        await client.get("/api/v3/depth", PARAMS)


@pytest.mark.parametrize(("coding", "what"), [("gzip", "cannot be inflated"), ("br", "nobody asked for")])
async def test_a_body_that_cannot_be_read_is_refused(
    venue: LoopbackVenue, client: RestClient, coding: str, what: str
) -> None:
    venue.behaviour.rest_headers = {"Content-Encoding": coding}
    with pytest.raises(PermanentError, match=what):
        await client.get("/api/v3/depth", PARAMS)


async def test_a_redirect_is_not_followed(venue: LoopbackVenue, client: RestClient) -> None:
    venue.behaviour.rest_status = 302
    venue.behaviour.rest_headers = {"Location": venue.rest_url + "/elsewhere"}
    with pytest.raises(FeedRefusedError, match="302"):
        await client.get("/api/v3/depth", PARAMS)
    assert len(venue.requests) == 1


async def test_a_throttled_request_says_how_long_to_wait(venue: LoopbackVenue, client: RestClient) -> None:
    venue.behaviour.rest_status = 429
    venue.behaviour.rest_headers = {"Retry-After": "17"}
    with pytest.raises(FeedLostError) as caught:
        await client.get("/api/v3/depth", PARAMS)
    assert (caught.value.absence, caught.value.retry_after_s) == (Absence.THROTTLED, 17.0)


async def test_a_blocked_location_is_a_refusal(venue: LoopbackVenue, client: RestClient) -> None:
    venue.behaviour.rest_status = 451
    with pytest.raises(FeedRefusedError) as caught:
        await client.get("/api/v3/depth", PARAMS)
    assert caught.value.absence is Absence.GEO_BLOCKED


async def test_a_wrong_request_concerns_itself_only(client: RestClient) -> None:
    with pytest.raises(PermanentError, match="400") as caught:
        await client.get("/api/v3/depth", {"symbol": "NONE", "limit": 1000})
    assert not isinstance(caught.value, FeedRefusedError)


async def test_a_silent_server_is_given_up_on_our_clock(venue: LoopbackVenue) -> None:
    clock = ManualClock()
    client = RestClient(base_url=venue.rest_url, clock=clock, timeout_s=4.0)
    venue.rest_open.clear()
    request = asyncio.create_task(client.get("/api/v3/depth", PARAMS))
    await until(lambda: len(venue.requests) == 1)
    await clock.run_for(3.9)
    assert not request.done()
    await clock.run_for(0.2)
    with pytest.raises(FeedLostError, match="within 4 s"):
        await request
    await client.close()
    venue.rest_open.set()
    await idle()


async def test_a_server_that_is_not_there_is_a_loss() -> None:
    async with LoopbackVenue() as gone:
        url = gone.rest_url
    client = RestClient(base_url=url, clock=ManualClock())
    with pytest.raises(FeedLostError):
        await client.get("/api/v3/depth", PARAMS)
    await client.close()


async def test_a_server_without_tls_is_a_refusal() -> None:
    async with plain_server() as port:
        client = RestClient(base_url=f"https://127.0.0.1:{port}", clock=ManualClock())
        with pytest.raises(FeedRefusedError, match="secure connection"):
            await client.get("/api/v3/depth", PARAMS)
        await client.close()


async def test_a_proxy_in_the_environment_is_not_used(venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    client = RestClient(base_url=venue.rest_url, clock=ManualClock())
    assert await client.get("/api/v3/depth", PARAMS) == b'{"lastUpdateId":1}'
    await client.close()


def test_a_plain_address_elsewhere_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="https://"):
        RestClient(base_url="http://api.example.org", clock=ManualClock())
