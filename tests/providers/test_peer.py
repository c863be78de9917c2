from __future__ import annotations

import asyncio
import random
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError
from marketstream.market.events import Absence
from marketstream.providers.peer import (
    MAX_DETAIL,
    Backoff,
    FeedLostError,
    FeedRefusedError,
    check_url,
    first_of,
    judge_status,
    judge_tls,
    origin,
    within,
)


class Highest(random.Random):
    """Jitter that is always the longest allowed."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_waits_double_from_the_first_to_the_cap_and_start_again_after_a_reset() -> None:
    backoff = Backoff(Highest(), first_s=1.0, cap_s=60.0)
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.reset()
    assert backoff.next() == 1


@given(st.integers(0, 2**32), st.integers(1, 80))
def test_jitter_is_full_from_zero_to_the_ceiling(seed: int, failures: int) -> None:
    backoff = Backoff(random.Random(seed))
    waits = [backoff.next() for _ in range(failures)]
    assert all(0 <= wait <= min(60.0, 2.0**i) for i, wait in enumerate(waits))


def test_jitter_spreads_over_the_whole_range() -> None:
    waits = []
    for seed in range(400):
        backoff = Backoff(random.Random(seed))
        waits.append(backoff.next())
    # Uniform on 0..1: mean 1/2 with standard error 0.0144.
    assert abs(sum(waits) / 400 - 0.5) < 0.06
    assert min(waits) < 0.05
    assert max(waits) > 0.95


@pytest.mark.parametrize(
    ("status", "absence"),
    [
        (401, Absence.AUTH),
        (403, Absence.AUTH),
        (451, Absence.GEO_BLOCKED),
        (404, Absence.ERROR),
        (302, Absence.ERROR),
        (400, Absence.ERROR),
        (200, Absence.ERROR),
    ],
)
def test_an_answer_that_stays_is_a_refusal(status: int, absence: Absence) -> None:
    error = judge_status(status, "the venue")
    assert isinstance(error, FeedRefusedError)
    assert error.absence is absence
    assert str(status) in str(error)


@pytest.mark.parametrize(
    ("status", "absence"),
    [
        (429, Absence.THROTTLED),
        (418, Absence.THROTTLED),
        (500, Absence.ERROR),
        (503, Absence.ERROR),
        (408, Absence.ERROR),
    ],
)
def test_an_answer_that_may_pass_is_a_loss(status: int, absence: Absence) -> None:
    error = judge_status(status, "the venue", "7")
    assert isinstance(error, FeedLostError)
    assert error.absence is absence


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("30", 30.0), (None, 0.0), ("", 0.0), ("-1", 0.0), ("soon", 0.0), ("٣", 0.0), ("9" * 5000, 3600.0)],
)
def test_a_wait_that_is_asked_for_is_bounded(retry_after: str | None, seconds: float) -> None:
    error = judge_status(429, "the venue", retry_after)
    assert isinstance(error, FeedLostError)
    assert error.retry_after_s == seconds


def test_a_wrong_certificate_is_a_refusal_and_a_cut_handshake_is_not() -> None:
    wrapped = OSError("outside")
    wrapped.__cause__ = ssl.SSLCertVerificationError("certificate has expired")
    assert isinstance(judge_tls(wrapped, "the venue"), FeedRefusedError)
    assert judge_tls(ssl.SSLEOFError("cut"), "the venue") is None
    assert judge_tls(OSError("refused"), "the venue") is None


@pytest.mark.parametrize(
    "url",
    [
        "wss://stream.example.org:9443",
        "wss://stream.example.org/",
        "ws://127.0.0.1:8080",
        "ws://localhost",
        "ws://[::1]:1",
    ],
)
def test_an_address_is_secure_or_on_loopback(url: str) -> None:
    assert check_url(url, secure="wss", plain="ws") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "stream.example.org",
        "ws://stream.example.org",
        "http://127.0.0.1",
        "wss://",
        "wss://a:b@example.org",
        "wss://example.org?x=1",
        "wss://example.org#x",
        "wss://[::1",
        "wss://example.org:99999",
        "ws://127.0.0.1.example.org",
    ],
)
def test_any_other_address_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"wss://|is no URL"):
        check_url(url, secure="wss", plain="ws")


@pytest.mark.parametrize("kind", [FeedLostError, FeedRefusedError])
def test_what_a_peer_says_is_one_printable_line_of_bounded_length(
    kind: type[FeedLostError] | type[FeedRefusedError],
) -> None:
    text = str(kind("closed: bye\nERROR forged\x1b[2J\u202egnp " + "x" * 500))
    assert text.startswith("closed: bye ERROR forged?[2J?gnp xxx")
    assert text.isprintable() and len(text) == MAX_DETAIL


def test_of_an_address_scheme_and_host_are_shown() -> None:
    assert origin("wss://u:p@example.org:9443/key-123/ws?k=1#f") == "wss://example.org:9443"
    assert origin("wss://[bad") == "the address"


async def test_work_that_takes_too_long_on_our_clock_is_cancelled() -> None:
    clock = ManualClock()
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(within(clock, 3.0, work()))
    await clock.run_for(2.9)
    assert not waiting.done()
    await clock.run_for(0.2)
    with pytest.raises(TimeoutError, match="3 s"):
        await waiting
    assert cancelled.is_set()


async def test_work_that_is_done_in_time_gives_its_result_or_its_error() -> None:
    async def work(result: int) -> int:
        if result < 0:
            raise ValueError("below 0")
        return result

    assert await within(ManualClock(), 1.0, work(5)) == 5
    with pytest.raises(ValueError, match="below 0"):
        await within(ManualClock(), 1.0, work(-1))


async def test_the_first_that_ends_cancels_the_others_and_its_error_is_raised() -> None:
    ended: list[str] = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def fail() -> None:
        raise FeedLostError("gone")

    with pytest.raises(FeedLostError, match="gone"):
        await first_of(wait_for_ever(), fail(), wait_for_ever())
    assert ended == ["cancelled", "cancelled"]


async def test_a_cancelled_race_cancels_all_and_stays_cancelled() -> None:
    ended: list[str] = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    race = asyncio.create_task(first_of(wait_for_ever(), wait_for_ever()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    race.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race
    assert len(ended) == 2
