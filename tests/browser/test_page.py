"""The page in Chromium: it opens, lives, obeys its sliders and switches, and lets nothing out or in."""

from __future__ import annotations

import pytest
from chromium_page import Served
from playwright.async_api import Page, expect

from marketstream.clock import SystemClock
from marketstream.engine import Engine
from marketstream.market.catalog import Listing
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import empty_quotes
from marketstream.providers.base import Provider
from marketstream.settings import load_settings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(90),
    # bokeh warns when the browser sends a style sheet back that the theme has put on a table.
    pytest.mark.filterwarnings("ignore:reference already known"),
]
SOON_MS = 30_000
HOSTILE = "<img src=x onerror=window.hacked=1>"


async def changes(page: Page, read: str) -> None:
    """Wait until what the JavaScript expression reads is no longer what it is now."""
    before = await page.evaluate(read)
    await page.wait_for_function(
        f"before => {{ const now = {read}; return now && now !== before }}", arg=before, timeout=SOON_MS
    )


def text_of(selector: str) -> str:
    """Return JavaScript that reads the text of an element, through shadow roots."""
    return (
        "(() => { const find = (root) => { const hit = root.querySelector('" + selector + "'); if (hit) { return hit }"
        " for (const el of root.querySelectorAll('*')) { if (el.shadowRoot) { const inner = find(el.shadowRoot);"
        " if (inner) { return inner } } } return null }; return find(document)?.textContent })()"
    )


HEADINGS = {
    "Markets": "Markets",
    "Edges": "Distribution of edges",
    "Portfolio": "Weights",
    "Rationale": "Facts used",
    "Health": "Providers",
    "Events": "Dead letters",
}
"""A card of each tab, which shows that the tab is drawn."""


async def test_the_page_opens_and_its_numbers_change_without_a_word_to_the_outside(served: Served) -> None:
    opened = await served.open()
    page = opened.page
    await expect(page.get_by_text("SIMULATED DATA")).to_be_visible(timeout=SOON_MS)
    await changes(page, text_of(".clock"))
    await changes(page, text_of(".four .big"))
    await changes(page, text_of("tr[data-key] .c-fair"))
    for tab, heading in HEADINGS.items():
        await page.get_by_role("tab", name=tab).click()
        await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=SOON_MS)
        assert await page.get_by_text("This card stopped").count() == 0
    assert opened.errors == []
    assert opened.outside == []


async def test_a_moved_slider_changes_the_weights_of_this_page_alone(served: Served) -> None:
    opened, other = await served.open(), await served.open()
    for one in (opened, other):
        await one.page.get_by_role("tab", name="Portfolio").click()
        await expect(one.page.get_by_role("heading", name="Weights")).to_be_visible(timeout=SOON_MS)
    slider = opened.page.get_by_role("slider", name="Invested share")
    await slider.focus()
    await slider.press("Home")
    await expect(opened.page.get_by_text("1 changed").first).to_be_visible(timeout=SOON_MS)
    await opened.page.wait_for_function(
        text_of("tr.sum").replace("?.textContent", "?.cells[3]?.textContent") + " === '0.0'", timeout=SOON_MS
    )
    assert await other.page.evaluate(text_of("tr.sum").replace("?.textContent", "?.cells[3]?.textContent")) == "100.0"
    await opened.page.get_by_role("button", name="Undo").click()
    await opened.page.wait_for_function(
        text_of("tr.sum").replace("?.textContent", "?.cells[3]?.textContent") + " === '100.0'", timeout=SOON_MS
    )
    await expect(opened.page.locator(".loop")).to_contain_text("ms", timeout=SOON_MS)


async def test_a_switch_in_health_disables_its_provider_and_the_page_says_so(served: Served) -> None:
    opened = await served.open()
    page, name = opened.page, served.engine.registry.names[0]
    await page.get_by_role("tab", name="Health").click()
    await page.get_by_label(f"{name} enabled").click(timeout=SOON_MS, force=True)
    await expect(page.get_by_text("DISABLED").first).to_be_visible(timeout=SOON_MS)
    assert not served.engine.registry.is_enabled(name)


async def test_slash_finds_an_instrument(served: Served) -> None:
    page = (await served.open()).page
    await page.keyboard.press("/")
    await page.keyboard.type("ETH-USD")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="ETH-USD", exact=True)).to_be_visible(timeout=SOON_MS)


async def test_on_a_phone_the_drawer_starts_closed_and_nothing_scrolls_sideways(served: Served) -> None:
    opened = await served.open(390, 844)
    page = opened.page
    await expect(page.get_by_role("button", name="Open drawer")).to_be_visible(timeout=SOON_MS)
    await expect(page.locator("tr[data-key] .c-bid").first).to_be_hidden(timeout=SOON_MS)
    name = await page.locator("tr[data-key] .c-name").first.bounding_box()
    assert name is not None and name["width"] > 90, "the columns that are left do not share the whole width"
    for tab, heading in HEADINGS.items():
        await page.get_by_role("tab", name=tab).click()
        await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=SOON_MS)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.errors == []


class Hostile(Provider):
    """A venue whose names are attacks."""

    kind = "hostile"

    def listing(self) -> Listing:
        """Return one asset and one venue that are up to no good."""
        venue = Venue(id="evil", name=HOSTILE, code="<i>", kind=Kind.ASSET)
        names = (Instrument(id="BTC-USD", kind=Kind.ASSET), Instrument(id=HOSTILE, kind=Kind.ASSET, name=HOSTILE))
        return Listing(instruments=names, venues=(venue,), pairs=tuple((i.id, "evil") for i in names))

    def collect(self, now: int) -> object:
        """Return a quote of each instrument."""
        rows = empty_quotes(2)
        rows["instrument"] = [self.catalog.code("BTC-USD"), self.catalog.code(HOSTILE)]
        rows["venue"] = self.catalog.venue_code("evil")
        rows["bid"], rows["ask"], rows["bid_size"], rows["ask_size"] = 99.0, 101.0, 1.0, 1.0
        rows["ts_event"] = rows["ts_received"] = now
        return rows


class TestHostileNames:
    """A page over a venue whose names are attacks."""

    @pytest.fixture
    async def engine(self) -> Engine:
        """Return an engine over the hostile venue alone."""
        clock = SystemClock()
        feed = Hostile(name="<b onclick=window.hacked=1>feed</b>", clock=clock)
        return Engine(load_settings(profile="demo"), clock=clock, providers=[feed])

    async def test_no_name_of_a_venue_runs_as_script(self, served: Served) -> None:
        opened = await served.open()
        page = opened.page
        await page.get_by_text(HOSTILE).first.click(timeout=SOON_MS)
        for tab, heading in HEADINGS.items():
            await page.get_by_role("tab", name=tab).click()
            await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=SOON_MS)
        assert await page.evaluate("window.hacked") is None
        assert await page.evaluate("window.location.pathname") == "/"
        assert opened.outside == []
