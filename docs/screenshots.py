"""Make the pictures of the README and the docs: start the demo, photograph it in Chromium, write docs/images/*.png.

Run from the project's root, in its environment: `python docs/screenshots.py`. Needs Chromium.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from marketstream.dashboard.server import dashboard_server
from marketstream.engine import Engine
from marketstream.settings import load_settings

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
TABS = ("Markets", "Edges", "Portfolio", "Rationale", "Health")
SHOTS = (
    # size, dark, tabs
    ((1440, 900), False, TABS),
    ((1440, 900), True, ("Markets",)),
    ((390, 844), False, ("Markets",)),
)
RUNS_BEFORE_S = 90
"""The demo runs for so long before the first picture, so that charts have something to show."""


async def main(chromium: str) -> None:
    """Serve the demo and take every picture."""
    engine = Engine(load_settings(profile="demo", store_url="memory"))
    await engine.ensure_running()
    server = dashboard_server(engine, "127.0.0.1", 0)
    server.start()
    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        # A page that is open lets the trail of venue prices grow.
        watching = await browser.new_page()
        await watching.goto(f"http://127.0.0.1:{server.port}/")
        await asyncio.sleep(RUNS_BEFORE_S)
        await watching.close()
        for size, dark, tabs in SHOTS:
            await shoot(browser, f"http://127.0.0.1:{server.port}/", size, dark=dark, tabs=tabs)
        await browser.close()
    server.stop()
    await engine.close()


async def shoot(browser: Browser, url: str, size: tuple[int, int], *, dark: bool, tabs: tuple[str, ...]) -> None:
    """Photograph some tabs at one size in one mode."""
    width, height = size
    page = await browser.new_page(viewport={"width": width, "height": height})
    await page.goto(url, wait_until="domcontentloaded")
    await page.get_by_text("BTC-USD").first.wait_for(timeout=60_000)
    if dark:
        await page.get_by_label("Toggle theme").click()
    for tab in tabs:
        await page.get_by_role("tab", name=tab).click()
        await page.wait_for_timeout(4_000)
        kind = "-phone" if width < 760 else ""
        target = IMAGES / f"{tab.lower()}{kind}-{'dark' if dark else 'light'}.png"
        await page.screenshot(path=target)
        print(target.relative_to(IMAGES.parent.parent))
    await page.close()


if __name__ == "__main__":
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sys.exit("chromium is not installed; install it with: apt-get install chromium")
    asyncio.run(main(program))
