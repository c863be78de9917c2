"""Markets: the live table of everything quoted at the left, the selected instrument at the right."""

from __future__ import annotations

from typing import Any

import panel as pn

from marketstream.dashboard import text
from marketstream.dashboard.cards import Card, loading
from marketstream.dashboard.styles import PAIR_CSS, SIDE_CSS, WIDE_CSS
from marketstream.dashboard.tables import LiveTable, column
from marketstream.dashboard.views.instrument import ErrorsCard, EventsCard, InstrumentCard, QuotesCard
from marketstream.dashboard.views.market_rows import market_rows, sparklines
from marketstream.dashboard.views.view import Context, Fence, Moment

SPARK_EVERY_NS = 5_000_000_000
PHONE_HIDES = ("bid", "ask", "sd", "gap", "z", "spark")

COLUMNS = (
    column("dot", "dot", "", 24, align="center", words="state_words"),
    column("name", "name", "Instrument", 0),
    column(
        "price",
        "bid",
        "Best bid, venue",
        112,
        align="right",
        decimals="dp",
        venue="bid_venue",
        tooltip="Highest bid over fresh venues, and whose it is",
    ),
    column(
        "price",
        "ask",
        "Best ask, venue",
        112,
        align="right",
        decimals="dp",
        venue="ask_venue",
        tooltip="Lowest ask over fresh venues, and whose it is",
    ),
    column(
        "price",
        "fair",
        "Fair value",
        88,
        align="right",
        decimals="dp",
        tooltip="Consensus price over fresh venues, under your knobs",
    ),
    column(
        "figure",
        "sd",
        "± 1 sd",
        60,
        align="right",
        decimals="sd_dp",
        style="soft",
        tooltip="Standard deviation of the fair value, in its own unit",
    ),
    column(
        "moved",
        "gap",
        "Gap bps",
        48,
        align="right",
        decimals=1,
        tooltip="Mid of the best prices against the fair value; assets only. A gap is not a return",
    ),
    column(
        "figure",
        "z",
        "z sd",
        38,
        align="right",
        decimals=1,
        signed=True,
        tooltip="Last change against the changes before it, in their standard deviations",
    ),
    column(
        "moved",
        "moved",
        "60 s %",
        60,
        align="right",
        decimals=2,
        arrow=True,
        tooltip="Change of the reference mid over the last 60 s",
    ),
    column("spark", "spark", "15 min", 82, way="way", tooltip="Reference mid, one point each 20 s"),
    column("share", "live", "Live", 34, align="right", of="of", tooltip="Fresh sources of all seen"),
    column("age", "age", "Age s", 42, align="right", tooltip="Age of the newest quote"),
)


class MarketsView:
    """The first page: everything quoted, and one instrument in depth."""

    title = "Markets"

    def __init__(self, context: Context) -> None:
        self._choices = context.choices
        self._trail = context.trail
        self._table = LiveTable(COLUMNS, key="id", group="kind", css=_TABLE)
        self._waiting = text.pane(loading("Waiting for the first prices.", 16))
        self._card = Card("Markets", "", self._waiting, css_classes=["ms-markets"])
        self._sparks: tuple[Any, Any] | None = None
        self._sparked_ns = 0
        self.instrument = InstrumentCard(context)
        right = (self.instrument, QuotesCard(context), EventsCard(context), ErrorsCard(context))
        self._fences = [Fence("Markets", self._card.view, self._fill)]
        self._fences += [Fence(card.title, card.view, card.refresh) for card in right]
        self._table.view.param.watch(self._picked, "selected")
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
        n_assets = int((rows["kind"] == rows["kind"][0]).sum()) if len(rows["kind"]) else 0
        self._card.head(
            f"{len(rows['id'])} instruments · {moment.status.n_venues} venues · newest quote of each",
            f"{n_assets} assets · {len(rows['id']) - n_assets} outcomes",
        )

    def _picked(self, event: Any) -> None:
        if event.new:
            self._choices.instrument = event.new

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
:host { height: calc(100vh - 136px); min-height: 320px; }
@media (max-width: 1099px) { :host { height: 620px; } }
"""
