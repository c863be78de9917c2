"""The /docs page as a person meets it: drawn, usable, and whole without the network."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from playwright.async_api import async_playwright

from marketstream.api.server import api_server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.mark.browser
@pytest.mark.timeout(90)
async def test_the_docs_page_sends_an_order_and_nothing_leaves(app: FastAPI, chromium: str) -> None:
    server = api_server(app, port=0)
    serving = asyncio.create_task(server.serve())
    await server.listening.wait()
    home = f"http://127.0.0.1:{server.port}"
    asked: list[str] = []
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{home}/docs")
        await page.locator("#operations-streaming-status").click()
        await page.locator("#operations-streaming-status button.execute").click()
        answer = page.locator("#operations-streaming-status .live-responses-table .response-col_status")
        await answer.last.wait_for()
        assert "200" in await answer.last.inner_text()
        await browser.close()
    server.should_exit = True
    await serving
    assert f"{home}/streaming/status" in asked
    assert [url for url in asked if not url.startswith((f"{home}/", "data:"))] == []
    assert complaints == []
