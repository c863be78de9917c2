"""Markets: the live table of everything quoted at the left, the selected instrument at the right."""

from __future__ import annotations

from typing import Any

import panel as pn

from marketstream.dashboard import text
from marketstream.dashboard.cards import Card, loading
from marketstream.dashboard.styles import PAIR_CSS, SIDE_CSS, WIDE_CSS
from marketstream.dashboard.tables import (
    LiveTable,
    TableColumn,
    age_cell,
    dot_cell,
    figure_cell,
    moved_cell,
    name_cell,
    price_cell,
    spark_cell,
)
from marketstream.dashboard.views.instrument import ErrorsCard, EventsCard, InstrumentCard, QuotesCard
from marketstream.dashboard.views.market_rows import market_rows, sparklines
from marketstream.dashboard.views.view import Context, Fence, Moment

SPARK_EVERY_NS = 5_000_000_000
PHONE_HIDES = ("bid", "ask", "sd", "gap", "z", "spark")

_LIVE = "<span class='<%= live<of?'late':'' %>'><%= live %></span><span class='v'>/<%= of %></span>"
COLUMNS = (
    TableColumn(field="dot", title="", width=20, template=dot_cell(), align="center"),
    TableColumn(field="name", title="Instrument", width=0, template=name_cell("name")),
    TableColumn(
        field="bid",
        title="Best bid, venue",
        width=112,
        template=price_cell("bid", "bid_venue"),
        align="right",
        tooltip="Highest bid over fresh venues, and whose it is",
    ),
    TableColumn(
        field="ask",
        title="Best ask, venue",
        width=112,
        template=price_cell("ask", "ask_venue"),
        align="right",
        tooltip="Lowest ask over fresh venues, and whose it is",
    ),
    TableColumn(
        field="fair",
        title="Fair value",
        width=88,
        template=price_cell("fair"),
        align="right",
        tooltip="Consensus price over fresh venues, under your knobs",
    ),
    TableColumn(
        field="sd",
        title="± 1 sd",
        width=62,
        template=figure_cell("sd", "sd_dp", style="soft"),
        align="right",
        tooltip="Standard deviation of the fair value, in its own unit",
    ),
    TableColumn(
        field="gap",
        title="Gap bps",
        width=52,
        template=moved_cell("gap", 1, arrow=False),
        align="right",
        tooltip="Mid of the best prices against the fair value; assets only. A gap is not a return",
    ),
    TableColumn(
        field="z",
        title="z sd",
        width=38,
        template=figure_cell("z", "1", signed=True),
        align="right",
        tooltip="Last change against the changes before it, in their standard deviations",
    ),
    TableColumn(
        field="moved",
        title="60 s %",
        width=62,
        template=moved_cell("moved", 2),
        align="right",
        tooltip="Change of the reference mid over the last 60 s",
    ),
    TableColumn(
        field="spark",
        title="15 min",
        width=80,
        template=spark_cell("spark", "way"),
        tooltip="Reference mid, one point each 20 s",
    ),
    TableColumn(
        field="live", title="Live", width=34, template=_LIVE, align="right", tooltip="Fresh sources of all seen"
    ),
    TableColumn(
        field="age", title="Age s", width=40, template=age_cell("age"), align="right", tooltip="Age of the newest quote"
    ),
)
HIDDEN = ("id", "Kind", "state_words", "bid_venue", "ask_venue", "sd_dp", "way", "of", "dp", "dim")


class MarketsView:
    """The first page: everything quoted, and one instrument in depth."""

    title = "Markets"

    def __init__(self, context: Context) -> None:
        self._choices = context.choices
        self._trail = context.trail
        self._table = LiveTable(
            COLUMNS,
            hidden=HIDDEN,
            key="id",
            groupby=["Kind"],
            frozen_columns=["dot", "name"],
            sizing_mode="stretch_width",
            height=700,
            css_classes=["ms-market-table"],
            css=_TABLE,
        )
        self._waiting = text.pane(loading("Waiting for the first prices.", 16))
        self._card = Card("Markets", "", self._waiting, css_classes=["ms-markets"])
        self._sparks: tuple[Any, Any] | None = None
        self._sparked_ns = 0
        right = (InstrumentCard(context), QuotesCard(context), EventsCard(context), ErrorsCard(context))
        self._fences = [Fence("Markets", self._card.view, self._fill)]
        self._fences += [Fence(card.title, card.view, card.refresh) for card in right]
        self._table.view.param.watch(self._picked, "selection")
        self._choices.param.watch(self._chosen, ["instrument", "phone"])

    def layout(self) -> Any:
        """Return both sides; on a narrow window the instrument comes first, then the table, then the rest."""
        left, *right = (fence.view for fence in self._fences)
        for place, view in enumerate(right):
            view.stylesheets = [_FIRST if place == 0 else _LAST]
        side = pn.Column(*right, margin=0, stylesheets=[SIDE_CSS + _SIDE])
        main = pn.Column(left, margin=0, stylesheets=[WIDE_CSS])
        return pn.Row(main, side, margin=0, sizing_mode="stretch_width", stylesheets=[PAIR_CSS])

    def refresh(self, moment: Moment) -> None:
        """Bring every card up to `moment`."""
        for fence in self._fences:
            fence.refresh(moment)

    def _fill(self, moment: Moment) -> None:
        rows = market_rows(moment.snapshot, self._trail.z_change)
        if (
            self._sparks is None
            or moment.snapshot.now - self._sparked_ns >= SPARK_EVERY_NS
            or len(self._sparks[0]) != len(rows["id"])
        ):
            self._sparks = sparklines(moment.snapshot.market)
            self._sparked_ns = moment.snapshot.now
        rows["spark"], rows["way"] = self._sparks
        first = not len(self._table.keys)
        self._table.update(rows)
        if first:
            self._card.body(self._table.view)
            self._table.select(self._choices.instrument)
        n_assets = int((rows["Kind"] == rows["Kind"][0]).sum()) if len(rows["Kind"]) else 0
        self._card.head(
            f"{len(rows['id'])} instruments · {moment.status.n_venues} venues · newest quote of each",
            f"{n_assets} assets · {len(rows['id']) - n_assets} outcomes",
        )

    def _picked(self, event: Any) -> None:
        if event.new:
            self._choices.instrument = str(self._table.keys[event.new[0]])

    def _chosen(self, _event: Any) -> None:
        self._table.select(self._choices.instrument)
        self._table.narrow(PHONE_HIDES if self._choices.phone else ())


_SIDE = """
@media (min-width: 1100px) { :host { flex: 0 0 372px; width: 372px; } }
@media (max-width: 1099px) { :host { display: contents; } }
"""
_FIRST = "@media (max-width: 1099px) { :host { order: -1; } }"
_LAST = "@media (max-width: 1099px) { :host { order: 1; } }"
_TABLE = """
:host, .tabulator { height: calc(100vh - 136px) !important; min-height: 320px; }
@media (max-width: 1099px) { :host, .tabulator { height: 620px !important; } }
@media (max-width: 759px) {
  .tabulator-row, .tabulator-row .tabulator-cell { height: 38px !important; min-height: 38px !important; }
  .tabulator-row .tabulator-cell { padding: 11px 4px !important; }
}
"""
