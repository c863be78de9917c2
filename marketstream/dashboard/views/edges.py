"""Edges: every price worth looking at, ranked, with why it cannot be traded; more about them in edge_cards.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import text
from marketstream.dashboard.cards import Card, empty
from marketstream.dashboard.styles import THREE_CSS
from marketstream.dashboard.tables import LiveTable, column
from marketstream.dashboard.text import Markup
from marketstream.dashboard.views.edge_cards import EdgesCard, SureCard, VenueCard
from marketstream.dashboard.views.edge_rows import edge_rows, ranked
from marketstream.dashboard.views.view import Context, Fence, Moment

RERANK_NS = 2_000_000_000
"""Rows keep their places for this long, so that a table that is read does not jump."""
PHONE_HIDES = ("rank", "venue", "price", "roi", "gap", "size", "age", "open_for", "reason")
COLUMNS = (
    column("figure", "rank", "#", 36, align="right", decimals=0, style="v"),
    column("dot", "dot", "", 24, align="center", words="state_words"),
    column("name", "name", "Instrument", 190),
    column("text", "venue", "Venue", 50, tooltip="Whose price it is"),
    column("text", "side", "Side", 54),
    column(
        "price",
        "price",
        "Price",
        100,
        align="right",
        decimals="dp",
        tooltip="Price to trade at, in the quote currency or as a probability",
    ),
    column(
        "moved",
        "edge",
        "Edge per contract",
        94,
        align="right",
        decimals="dp",
        bold=True,
        tooltip="Net expected profit per contract after fees, in the unit of the price",
    ),
    column(
        "figure",
        "roi",
        "ROI %",
        58,
        align="right",
        decimals=3,
        signed=True,
        tooltip="Edge divided by the capital it locks",
    ),
    column(
        "figure",
        "gap",
        "Gap bps",
        56,
        align="right",
        decimals=1,
        signed=True,
        tooltip="Assets: the venue's mid against the fair value without that venue",
    ),
    column(
        "meter",
        "ratio",
        "Edge ÷ se",
        84,
        align="right",
        decimals=1,
        limit="limit",
        tooltip="Edge in its standard errors, 0 to 5; the tick is your least edge",
    ),
    column("figure", "size", "Size contracts", 84, align="right", decimals="size_dp"),
    column("age", "age", "Oldest leg s", 54, align="right", tooltip="Age of the oldest quote the edge rests on"),
    column("text", "open_for", "Open for", 62, align="right"),
    column("tag", "tradable", "Can trade", 64, align="center"),
    column("text", "reason", "Reason if not", 0),
)


class EdgesView:
    """What is worth trading now."""

    title = "Edges"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rows = np.zeros(0, dtype=np.int64)
        self._ids: dict[str, str] = {}
        self._ranked: tuple[int, int, bool] = (0, -1, False)
        self._only = pmui.Checkbox(label="Only tradable", value=False, size="small", margin=(0, 8, 0, 0), height=26)
        self._only.param.watch(lambda _: context.touch(), "value")
        self._table = LiveTable(COLUMNS, key="key", css=_TABLE)
        self._none = text.pane()
        self._card = Card("Edges", "", self._none, actions=(self._only,))
        below = (VenueCard(context), EdgesCard(context), SureCard())
        self._fences = [Fence("Edges", self._card.view, self._fill)]
        self._fences += [Fence(card.title, card.view, card.refresh) for card in below]
        self._table.view.param.watch(self._picked, "selected")
        context.choices.param.watch(self._narrowed, "phone")

    def layout(self) -> Any:
        """Return the table over three cards."""
        top, *below = (fence.view for fence in self._fences)
        row = pn.Row(*below, margin=0, sizing_mode="stretch_width", stylesheets=[THREE_CSS])
        return pn.Column(top, row, margin=0, sizing_mode="stretch_width")

    def refresh(self, moment: Moment) -> None:
        """Bring every card up to `moment`."""
        for fence in self._fences:
            fence.refresh(moment)

    def _fill(self, moment: Moment) -> None:
        snapshot, only = moment.snapshot, bool(self._only.value)
        n_open = int(snapshot.edges["executable"].to_numpy().sum())
        self._card.head(
            f"{n_open} can be traded now · {len(snapshot.edges)} prices looked at · ranked by edge × size, after fees",
        )
        self._rank(moment, only)
        if not len(self._rows):
            self._card.body(self._none)
            text.show(self._none, self._nothing(moment))
            return
        limit = float(snapshot.knobs["edge_finder"]["min_edge_se"])
        data = edge_rows(snapshot, self._rows, limit)
        data["key"] = np.array([str(row) for row in self._rows], dtype=object)
        self._ids = dict(zip(data["key"], data["id"], strict=True))
        self._table.update(data)
        self._card.body(self._table.view)

    def _rank(self, moment: Moment, only: bool) -> None:
        since, n, before = self._ranked
        now = moment.snapshot.now
        knobs_moved = moment.snapshot.edges is not None and n != len(moment.snapshot.edges)
        if now - since >= RERANK_NS or knobs_moved or only != before or now < since:
            self._rows = ranked(moment.snapshot, only_tradable=only)
            self._ranked = (now, len(moment.snapshot.edges), only)

    def _nothing(self, moment: Moment) -> Markup:
        best = ranked(moment.snapshot, only_tradable=False)[:1]
        limit = float(moment.snapshot.knobs["edge_finder"]["min_edge_se"])
        if not len(best):
            return empty("No edge can be worked out now.", "No price has a fair value made by other venues.")
        row = edge_rows(moment.snapshot, best, limit)
        return empty(
            f"No edge can be traded at a least edge of {limit:g} × se.",
            f"Nearest is {row['name'][0]} on {row['venue_name'][0]}: {row['ratio'][0]:.1f} × se, {row['reason'][0]}. "
            "Lower “Least edge” or raise “Oldest leg allowed” in the sidebar, or show all candidates.",
        )

    def _picked(self, event: Any) -> None:
        if event.new:
            self._context.choices.instrument = self._ids[event.new]

    def _narrowed(self, event: Any) -> None:
        self._table.narrow(PHONE_HIDES if event.new else ())


_TABLE = ":host { height: 430px; }"
