"""`marketstream serve --profile live`, the very command, with loopback venues behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kraken_venue import declare_feeds, kraken_thread
from loopback_venue import final_tops, load_binance, small_recording, venue_thread
from running import Program, serve

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]


def until(program: Program, path: str, good: Callable[[Any], bool]) -> Any:
    """Ask again, as fast as the program answers, until it says what is awaited; the test's time limit ends it."""
    while True:
        answer = program.get(path)
        if good(answer):
            return answer


def instrument_of(symbol: str) -> str:
    """NKNUSDT -> NKN-USDT."""
    for quote in ("USDT", "BTC", "ETH", "EUR", "USDC"):
        if symbol.endswith(quote):
            return f"{symbol.removesuffix(quote)}-{quote}"
    raise AssertionError(symbol)


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded frames", "frames of our own"])
def test_the_fair_values_of_live_feeds_are_the_mids_of_their_venues(
    recorded: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    recording = load_binance(request.getfixturevalue("shared_data")) if recorded else small_recording()
    tops = final_tops(recording)
    with (
        venue_thread(recording) as venue,
        kraken_thread() as kraken,
        serve(
            "--profile", "live", "--providers", str(declare_feeds(tmp_path, venue, recording.symbols, kraken))
        ) as program,
    ):
        expected = {instrument_of(symbol): 0.5 * (bid + ask) for symbol, (bid, ask) in tops.items()}

        def settled(answer: Any) -> bool:
            found = {row["instrument"]: row["fair"] for row in answer["rows"]}
            followed = all(found.get(name) is not None for name in ("BTC-USD", "ETH-USD"))
            return followed and all(found.get(name) == pytest.approx(mid, rel=1e-9) for name, mid in expected.items())

        rows = {row["instrument"]: row for row in until(program, "/markets", settled)["rows"]}
        # Kraken's market moves on; dollars are another instrument than tethers.
        assert rows.keys() == expected.keys() | {"BTC-USD", "ETH-USD"}
        for symbol, (bid, ask) in kraken.market.tops().items():
            assert rows[symbol.replace("/", "-")]["fair"] == pytest.approx(0.5 * (bid + ask), rel=1e-3)
        assert {row["method"] for row in rows.values()} == {"single source"}
        for row in rows.values():
            # One venue has nobody to agree with: the band is 25 basis points or wider.
            assert row["fair_sd"] >= 0.0025 * row["fair"] * (1 - 1e-9)
        status = program.get("/streaming/status")
        assert (status["profile"], status["simulated"]) == ("live", False)
        providers = program.get("/streaming/providers")["providers"]
        assert [(p["name"], p["status"]) for p in providers] == [("binance", "RUNNING"), ("kraken", "RUNNING")]


@pytest.mark.browser
def test_the_page_shows_the_same_fair_values(shared_data: Path, tmp_path: Path, chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    recording = load_binance(shared_data)
    with (
        venue_thread(recording) as venue,
        kraken_thread() as kraken,
        serve(
            "--profile", "live", "--providers", str(declare_feeds(tmp_path, venue, recording.symbols, kraken))
        ) as program,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(program.dashboard)
        for symbol, (bid, ask) in final_tops(recording).items():
            row = page.locator("tr[data-key]", has_text=instrument_of(symbol))
            cell = row.locator(".c-fair")
            cell.wait_for(timeout=60_000)
            shown = float(cell.inner_text().replace(",", ""))
            assert shown == pytest.approx(0.5 * (bid + ask), rel=1e-3), symbol
        assert page.get_by_text("LIVE", exact=True).first.is_visible()
        browser.close()
