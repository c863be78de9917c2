"""Edges: every price worth looking at, ranked, with why it cannot be traded; more about them in edge_cards.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import text
from marketstream.dashboard.cards import Card, empty
from marketstream.dashboard.styles import THREE_CSS
from marketstream.dashboard.tables import (
    LiveTable,
    TableColumn,
    age_cell,
    dot_cell,
    figure_cell,
    moved_cell,
    name_cell,
    price_cell,
    text_cell,
)
from marketstream.dashboard.text import Markup
from marketstream.dashboard.views.edge_cards import EdgesCard, SureCard, VenueCard
from marketstream.dashboard.views.edge_rows import edge_rows, ranked
from marketstream.dashboard.views.view import Context, Fence, Moment

RERANK_NS = 2_000_000_000
"""Rows keep their places for this long, so that a table that is read does not jump."""
PHONE_HIDES = ("rank", "venue", "price", "roi", "gap", "size", "age", "open_for", "reason")
_RATIO = (
    "<% var w=function(v){return Math.max(0,Math.min(100,v/5*100)).toFixed(0)}; %>"
    + figure_cell("ratio", "1")
    + "<span class='meter' aria-hidden='true'><i style='width:<%= w(ratio) %>%'></i>"
    "<u style='left:<%= w(limit) %>%'></u></span>"
)
_TRADE = "<span class='tag <%= tradable?'tag-yes':'tag-no' %>'><%= tradable?'✓ yes':'✕ no' %></span>"
COLUMNS = (
    TableColumn(field="rank", title="#", width=34, template=figure_cell("rank", "0", style="v"), align="right"),
    TableColumn(field="dot", title="", width=22, template=dot_cell(), align="center"),
    TableColumn(field="name", title="Instrument", width=196, template=name_cell("name")),
    TableColumn(field="venue", title="Venue", width=52, template=text_cell("venue"), tooltip="Whose price it is"),
    TableColumn(field="side", title="Side", width=56, template=text_cell("side")),
    TableColumn(
        field="price",
        title="Price",
        width=96,
        template=price_cell("price"),
        align="right",
        tooltip="Price to trade at, in the quote currency or as a probability",
    ),
    TableColumn(
        field="edge",
        title="Edge per contract",
        width=98,
        template=moved_cell("edge", "dp", arrow=False, bold_from=0),
        align="right",
        tooltip="Net expected profit per contract after fees, in the unit of the price",
    ),
    TableColumn(
        field="roi",
        title="ROI %",
        width=58,
        template=figure_cell("roi", "3", signed=True),
        align="right",
        tooltip="Edge divided by the capital it locks",
    ),
    TableColumn(
        field="gap",
        title="Gap bps",
        width=54,
        template=figure_cell("gap", "1", signed=True),
        align="right",
        tooltip="Assets: the venue's mid against the fair value without that venue",
    ),
    TableColumn(
        field="ratio",
        title="Edge ÷ se",
        width=84,
        template=_RATIO,
        align="right",
        tooltip="Edge in its standard errors, 0 to 5; the tick is your least edge",
    ),
    TableColumn(
        field="size", title="Size contracts", width=82, template=figure_cell("size", "size>=100?0:3"), align="right"
    ),
    TableColumn(
        field="age",
        title="Oldest leg s",
        width=54,
        template=age_cell("age"),
        align="right",
        tooltip="Age of the oldest quote the edge rests on",
    ),
    TableColumn(field="open_for", title="Open for", width=70, template=text_cell("open_for"), align="right"),
    TableColumn(field="tradable", title="Can trade", width=68, template=_TRADE, align="center"),
    TableColumn(field="reason", title="Reason if not", width=0, template=text_cell("reason")),
)
HIDDEN = ("key", "id", "state_words", "venue_name", "limit", "dp", "dim")


class EdgesView:
    """What is worth trading now."""

    title = "Edges"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rows = np.zeros(0, dtype=np.int64)
        self._ranked: tuple[int, int, bool] = (0, -1, False)
        self._only = pmui.Checkbox(label="Only tradable", value=False, size="small", margin=(0, 8, 0, 0), height=26)
        self._only.param.watch(lambda _: context.touch(), "value")
        self._table = LiveTable(
            COLUMNS,
            hidden=HIDDEN,
            key="key",
            frozen_columns=["rank", "dot", "name"],
            sizing_mode="stretch_width",
            height=430,
            css=_TABLE,
        )
        self._none = text.pane()
        self._card = Card("Edges", "", self._none, actions=(self._only,))
        below = (VenueCard(context), EdgesCard(context), SureCard())
        self._fences = [Fence("Edges", self._card.view, self._fill)]
        self._fences += [Fence(card.title, card.view, card.refresh) for card in below]
        self._table.view.param.watch(self._picked, "selection")
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
        data["key"] = self._rows
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
        if event.new and event.new[0] < len(self._table.column("id")):
            self._context.choices.instrument = str(self._table.column("id")[event.new[0]])

    def _narrowed(self, event: Any) -> None:
        self._table.narrow(PHONE_HIDES if event.new else ())


_TABLE = """
@media (max-width: 759px) {
  .tabulator-row, .tabulator-row .tabulator-cell { height: 38px !important; min-height: 38px !important; }
  .tabulator-row .tabulator-cell { padding: 11px 4px !important; }
}
"""
