"""Events: all that happened, from the store; beside it what failed, who handles events, and where they are kept."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card, empty, loading
from marketstream.dashboard.styles import PAIR_CSS
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.dead_letters import DeadLettersCard
from marketstream.dashboard.views.fetch import Fetch
from marketstream.dashboard.views.storage import HandlersCard, StoreCard
from marketstream.dashboard.views.view import Context, Fence, Moment
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.records import EventFilter, Page, PageRequest

ROWS = 40
KINDS: dict[str, tuple[str, ...]] = {
    "Everything": (),
    "Feeds": ("provider.#", "feed.#"),
    "Large changes": (Topic.MARKET_DELTA.value,),
    "Allocations": (Topic.ALLOCATION.value,),
    "Texts": (Topic.RATIONALE.value,),
    "Program": ("engine.#", "store.#", "handler.#"),
}
"""What can be chosen, as patterns of topics."""


class EventsView:
    """The list of events at the left, the machinery behind it at the right."""

    title = "Events"

    def __init__(self, context: Context) -> None:
        self.audit = AuditCard(context)
        self.letters = DeadLettersCard(context)
        cards = (self.audit, self.letters, HandlersCard(context), StoreCard(context))
        self._fences = [Fence(card.title, card.view, card.refresh) for card in cards]

    def layout(self) -> Any:
        """Return both columns; the right one comes below on a narrow window."""
        left, *right = (fence.view for fence in self._fences)
        main = pn.Column(left, margin=0, stylesheets=[_HALF])
        side = pn.Column(*right, margin=0, stylesheets=[_HALF])
        return pn.Row(main, side, margin=0, sizing_mode="stretch_width", stylesheets=[PAIR_CSS])

    def refresh(self, moment: Moment) -> None:
        """Bring every card up to `moment`."""
        for fence in self._fences:
            fence.refresh(moment)


class AuditCard:
    """Events of the store, newest first, a page at a time."""

    title = "Events"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cursors: list[int | None] = [None]
        self._shown: int | None = None  # the cursor that the page in hand was asked with
        self.page = Fetch(context, self._load)
        self.kind = pmui.Select(
            label="",
            options=list(KINDS),
            value="Everything",
            size="small",
            width=140,
            height=26,
            margin=(2, 6, 2, 0),
            description="Which events",
        )
        self.kind.param.watch(lambda _: self.newest(), "value")
        self.older_button = self._button("Older", self.older)
        self.newest_button = self._button("Newest", self.newest)
        self._body = text.pane(loading("Reading the store."))
        self._card = Card(self.title, "", self._body, actions=(self.kind, self.newest_button, self.older_button))
        self.view = self._card.view

    def older(self) -> None:
        """Show the page after the one that is shown; while another is still awaited, there is none."""
        page = self.page.value
        if page is not None and page.next_cursor is not None and self._shown == self._cursors[-1]:
            self._go([*self._cursors, page.next_cursor])

    def newest(self) -> None:
        """Show the newest page."""
        self._go([None])

    def refresh(self, moment: Moment) -> None:
        """Show the rows that were read last, and have them read again when they are old."""
        self.page.refresh()
        page = self.page.value
        if self.page.error:
            text.show(self._body, empty("The store cannot be read.", self.page.error))
            return
        if page is None:
            return
        place = "newest first, UTC" if self._cursors[-1] is None else f"page {len(self._cursors)}, UTC"
        self._card.head(place, f"{len(page.rows)} shown")
        self.older_button.disabled = page.next_cursor is None
        self.newest_button.disabled = self._cursors[-1] is None
        text.show(
            self._body, _table(page.rows, moment.status.now) if page.rows else empty("No such event is kept.", "")
        )

    async def _load(self) -> Page[MarketEvent]:
        chosen, cursor = EventFilter(topics=KINDS[str(self.kind.value)]), self._cursors[-1]
        page = await self._context.engine.store.events(chosen, PageRequest(limit=ROWS, cursor=cursor))
        self._shown = cursor
        return page

    def _go(self, cursors: list[int | None]) -> None:
        self._cursors = cursors
        self.page.forget()
        self._context.touch()

    @staticmethod
    def _button(label: str, press: Any) -> Any:
        return pmui.Button(
            label=label,
            variant="text",
            size="small",
            height=26,
            width=66,
            margin=(0, 4, 0, 0),
            disabled=True,
            on_click=lambda _: press(),
        )


def _table(events: tuple[MarketEvent, ...], now: int) -> Markup:
    rows = join(
        markup(
            '<tr><td class="muted when">{when}</td><td title="{topic}"><b>{who}</b></td>'
            '<td class="wrap">{what}</td></tr>',
            when=formats.since_midnight(event.ts, now),
            topic=event.topic.value,
            who=event.subject,
            what=event.message,
        )
        for event in events
    )
    return markup(
        '<table><thead><tr><th scope="col">When</th><th scope="col">Whom</th><th scope="col">What</th></tr></thead>'
        "<tbody>{rows}</tbody></table>",
        rows=rows,
    )


_HALF = """
:host { flex: 1 1 0; min-width: 0; width: auto; }
@media (max-width: 1099px) { :host { flex: 1 0 100%; width: 100%; } }
"""
