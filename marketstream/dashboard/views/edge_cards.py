"""The cards under the table of edges: venue against venue, the distribution, and what no outcome can take away."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card, empty
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.distribution import histogram, histogram_pane
from marketstream.dashboard.views.edge_rows import crossed_assets, crossing, edge_ratios, sure_bets
from marketstream.dashboard.views.view import Context, Moment
from marketstream.market.instruments import Kind

HEAT_STEPS = 6
"""Shades of a cell, one per bp."""


class VenueCard:
    """Every venue's bid against every other's ask, for the selected instrument."""

    title = "Venue × venue"

    def __init__(self, context: Context) -> None:
        self._choices = context.choices
        self._body = text.pane(css=_HEAT)
        self._card = Card(self.title, "", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to `moment`."""
        market = moment.snapshot.market
        code = market.catalog.code(self._choices.instrument)
        venues, table = crossing(moment.snapshot, code)
        self._card.head(f"{market.catalog.instruments[code].name}, bps before fees, now")
        names = [market.catalog.venues[int(v)] for v in venues]
        if len(names) < 2 or not np.isfinite(table).any():
            text.show(self._body, empty("Nothing to compare.", "It takes two live venues, one with a bid."))
            return
        head = join(
            markup('<th class="num" scope="col" title="{name}">{code}</th>', name=v.name, code=v.code) for v in names
        )
        rows = join(
            markup(
                '<tr><th scope="row" title="{name}">{code}</th>{cells}</tr>',
                name=v.name,
                code=v.code,
                cells=join(_heat(float(x)) for x in row),
            )
            for v, row in zip(names, table, strict=True)
        )
        text.show(
            self._body,
            markup(
                '<table class="heat"><thead><tr><th>sell ↓ buy →</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
                '<p class="note small">Bid of the row ÷ ask of the column − 1. Above 0 the two books cross.</p>',
                head=head,
                rows=rows,
            ),
        )


class EdgesCard:
    """How the edges of all priced quotes are spread; drawn on selection."""

    title = "Distribution of edges"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._scope = pmui.RadioButtonGroup(
            options={"All": "all", "Assets": Kind.ASSET.value, "Outcomes": Kind.OUTCOME.value},
            value="all",
            size="small",
            margin=(0, 4, 0, 0),
            height=24,
            label="",
        )
        self._again = pmui.Button(
            label="Update",
            variant="text",
            size="small",
            height=24,
            width=60,
            margin=(0, 6, 0, 0),
            on_click=self._forget,
        )
        self._scope.param.watch(lambda _: context.touch(), "value")
        self._pane = histogram_pane("Distribution of edges")
        self._card = Card(self.title, "", self._pane, actions=(self._scope, self._again))
        self.view = self._card.view
        self._drawn: tuple[object, ...] = ()

    def refresh(self, moment: Moment) -> None:
        """Draw it again if another scope, mode or least edge was chosen."""
        limit = float(moment.snapshot.knobs["edge_finder"]["min_edge_se"])
        fees = float(moment.snapshot.knobs["edge_finder"]["extra_fee_bps"])
        wanted = (self._scope.value, self._context.choices.dark, limit, fees)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        kind = None if self._scope.value == "all" else Kind(self._scope.value)
        ratios = edge_ratios(moment.snapshot, kind)
        self._card.head(f"{len(ratios)} prices at {formats.clock(moment.snapshot.now)} UTC")
        self._pane.object = histogram(
            ratios,
            dark=self._context.choices.dark,
            axis="edge ÷ standard error",
            mark=limit,
            mark_label="least edge",
        )

    def _forget(self, _event: Any) -> None:
        self._drawn = ()
        self._context.touch()


class SureCard:
    """Profits that no outcome can take away, after fees."""

    title = "Sure bets and crossed books"

    def __init__(self) -> None:
        self._body = text.pane()
        self._card = Card(self.title, "after fees", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to `moment`."""
        bets, crossed = sure_bets(moment.snapshot), crossed_assets(moment.snapshot)[:8]
        n_sure = len(bets) + sum(row[3] > 0 for row in crossed)
        self._card.head("after fees", f"{n_sure} open")
        if not bets and not crossed:
            text.show(
                self._body,
                empty(
                    "No book crosses another now.",
                    "Every best bid is below the best ask, and the best asks of every market sum above 1.",
                ),
            )
            return
        rows = join(
            markup(
                '<tr class="{dim}"><td class="wrap"><b>{what}</b></td><td class="wrap">{legs}</td>'
                '<td class="num">{amount}</td><td class="num">{profit}</td></tr>',
                dim="" if profit > 0 else "dim",
                what=what,
                legs=legs,
                amount=formats.number(amount, 2),
                profit=formats.moved(profit, 2),
            )
            for what, legs, amount, profit in [*bets, *crossed]
        )
        text.show(
            self._body,
            markup(
                '<table><thead><tr><th>What</th><th>Legs</th><th class="num">Locks</th>'
                '<th class="num">Profit %</th></tr>'
                "</thead><tbody>{rows}</tbody></table>"
                '<p class="note small">Locks: per 1 paid for markets, in the quote currency for assets.</p>',
                rows=rows,
            ),
        )


def _heat(value: float) -> Markup:
    if not np.isfinite(value):
        return markup('<td class="num muted">·</td>')
    way = "up" if value > 0 else "down"
    depth = min(HEAT_STEPS, round(abs(value)))
    arrow = ("▲ " if value > 0 else "▼ ") if abs(value) > 3 else ""
    return markup(
        '<td class="heat-{way}-{depth}">{arrow}{value}</td>',
        way=way,
        depth=depth,
        arrow=arrow,
        value=formats.number(value, 1, signed=True),
    )


_HEAT = """
.heat { table-layout: fixed; } .heat td, .heat tbody th { height: 40px; border: 1px solid var(--ms-surface); }
.heat td { text-align: center; } .heat thead th { text-align: center; border: 0; }
.heat th:first-child { text-align: left; }
""" + "\n".join(
    f".heat-{way}-{depth} {{ background: color-mix(in srgb, var(--ms-{way}) {depth * 10}%, var(--ms-surface)); }}"
    for way in ("up", "down")
    for depth in range(1, HEAT_STEPS + 1)
)
