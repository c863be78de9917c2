"""Chromium on a page that is really served: engine, server and browser in one process, everything on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from chromium_page import FLAGS, OPENS_WITHIN_MS, Open, Served
from playwright.async_api import async_playwright

from marketstream.dashboard.server import dashboard_server
from marketstream.engine import Engine
from marketstream.settings import load_settings


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Return a demo engine on the machine's own clock."""
    engine = Engine(load_settings(profile="demo", warmup_s=120))
    yield engine
    await engine.close()


@pytest.fixture
async def served(chromium: str, engine: Engine) -> AsyncIterator[Served]:
    """Serve the engine's dashboard on a free port and drive Chromium to it."""
    await engine.ensure_running()
    server = dashboard_server(engine, "127.0.0.1", 0)
    server.start()
    url = f"http://127.0.0.1:{server.port}/"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)

        async def open_page(width: int = 1440, height: int = 900) -> Open:
            opened = Open(await browser.new_page(viewport={"width": width, "height": height}))
            opened.watch()
            await opened.page.goto(url, wait_until="domcontentloaded")
            await opened.page.get_by_role("tab", name="Markets").wait_for(timeout=OPENS_WITHIN_MS)
            await opened.page.get_by_text("BTC-USD").first.wait_for(timeout=OPENS_WITHIN_MS)
            return opened

        yield Served(engine, url, open_page)
        await browser.close()
    server.stop()
