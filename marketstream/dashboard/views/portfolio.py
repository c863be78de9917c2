"""Portfolio: what to hold and to stake under this session's knobs and opinions, and what that would mean."""

from __future__ import annotations

from typing import Any

import panel as pn

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card, empty
from marketstream.dashboard.styles import PAIR_CSS, SIDE_CSS, WIDE_CSS
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.book_tables import BARS_CSS, stakes_table, weights_table
from marketstream.dashboard.views.opinions import OpinionsCard
from marketstream.dashboard.views.view import Context, Fence, Moment
from marketstream.market.allocation import Allocation, AllocationStatus

_HEADLINES = {
    AllocationStatus.INFEASIBLE: "✕ No book meets all limits",
    AllocationStatus.NO_DATA: "No weights yet",
    AllocationStatus.FAILED: "✕ The optimizer found no answer",
}


class PortfolioView:
    """Figures on top; weights and stakes at the left, opinions and limits at the right."""

    title = "Portfolio"

    def __init__(self, context: Context) -> None:
        cards = (FiguresCard(), WeightsCard(), StakesCard(), OpinionsCard(context), LimitsCard())
        self._fences = [Fence(card.title, card.view, card.refresh) for card in cards]

    def layout(self) -> Any:
        """Return the strip over two columns that stack on a narrow window."""
        strip, weights, stakes, *right = (fence.view for fence in self._fences)
        left = pn.Column(weights, stakes, margin=0, stylesheets=[WIDE_CSS])
        side = pn.Column(*right, margin=0, stylesheets=[SIDE_CSS])
        both = pn.Row(left, side, margin=0, sizing_mode="stretch_width", stylesheets=[PAIR_CSS])
        return pn.Column(strip, both, margin=0, sizing_mode="stretch_width")

    def refresh(self, moment: Moment) -> None:
        """Bring every card up to `moment`."""
        for fence in self._fences:
            fence.refresh(moment)


class FiguresCard:
    """What the book would earn and risk over the horizon, and what the stakes could win and lose."""

    title = "Book"

    def __init__(self) -> None:
        self._body = text.pane(css=_STRIP)
        self.view = pn.Column(self._body, margin=(0, 0, 8, 0), sizing_mode="stretch_width", stylesheets=[_BOX])

    def refresh(self, moment: Moment) -> None:
        """Bring the figures up to `moment`."""
        book = moment.snapshot.allocation
        over = formats.horizon(book.horizon_s)
        # Without usable weights there are no figures of the book; those of the stakes stand by themselves.
        usable = book.status is AllocationStatus.OPTIMAL
        bps = [book.expected_return * 1e4, book.risk * 1e4, -book.worst_loss * 1e4, book.cost * 1e4]
        mean, risk, loss, cost = (value if usable else float("nan") for value in bps)
        turnover = book.turnover * 100 if usable else float("nan")
        share = book.stake_total / book.bankroll * 100 if book.bankroll > 0 else float("nan")
        figures = [
            ("Expected return", formats.number(mean, 1, signed=True), f"bps per {over}", formats.direction(mean, 1)),
            ("Risk (1 sd)", formats.number(risk, 1), f"bps per {over}", ""),
            ("Loss at 99 %", formats.number(loss, 1), f"bps per {over}", formats.direction(loss, 1)),
            ("Turnover", formats.number(turnover, 1), f"% of capital, costs {formats.number(cost, 1)} bps", ""),
            ("Staked on outcomes", formats.number(share, 1), f"% of {formats.number(book.bankroll, 0)} USD", ""),
            (
                "Expected profit of stakes",
                formats.number(book.outcome_profit, 2, signed=True),
                "USD",
                formats.direction(book.outcome_profit, 2),
            ),
            (
                "Worst loss of stakes",
                formats.number(-book.outcome_worst_loss, 0),
                "USD",
                formats.direction(-book.outcome_worst_loss, 0),
            ),
        ]
        text.show(
            self._body,
            markup(
                '<div class="strip">{cells}</div>',
                cells=join(
                    markup(
                        '<div><span>{label}</span><p><b class="{way}">{value}</b> {unit}</p></div>',
                        label=label,
                        way=way,
                        value=value,
                        unit=unit,
                    )
                    for label, value, unit, way in figures
                ),
            ),
        )


class WeightsCard:
    """Weights now and to come; a problem without a solution says so in words."""

    title = "Weights"

    def __init__(self) -> None:
        self._body = text.pane(css=BARS_CSS)
        self._card = Card(self.title, "", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to `moment`."""
        book = moment.snapshot.allocation
        total = "assets, % of capital · bar now, tick target"
        self._card.head(total, book.status.value.replace("_", " "))
        if book.status is not AllocationStatus.OPTIMAL:
            text.show(self._body, _no_book(book))
            return
        text.show(self._body, weights_table(book, moment.snapshot.market.catalog))


class StakesCard:
    """Stakes per outcome and bookmaker."""

    title = "Stakes"

    def __init__(self) -> None:
        self._body = text.pane(css=BARS_CSS)
        self._card = Card(self.title, "", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to `moment`."""
        fraction = float(moment.snapshot.knobs["optimizer"]["kelly_fraction"])
        stakes = moment.snapshot.allocation.stakes
        self._card.head(f"outcomes, {fraction:g} × Kelly per market", f"{len(stakes)} legs")
        if not len(stakes):
            limit = float(moment.snapshot.knobs["edge_finder"]["min_edge_se"])
            text.show(
                self._body,
                empty(
                    "Nothing to stake on now.",
                    f"No outcome can be bought at an edge of {limit:g} × se or more after commission. "
                    "Lower “Least edge” to see weaker ones; see Edges for the nearest.",
                ),
            )
            return
        text.show(self._body, stakes_table(moment.snapshot.allocation, moment.snapshot.market.catalog))


class LimitsCard:
    """Which limits hold the book, and how it was worked out."""

    title = "Binding limits"

    def __init__(self) -> None:
        self._body = text.pane()
        self._card = Card(self.title, "what holds the book back", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the list up to `moment`."""
        book = moment.snapshot.allocation
        if book.status is not AllocationStatus.OPTIMAL:
            text.show(self._body, markup('<p class="note">There are no weights that a limit could hold.</p>'))
            return
        rows = join(markup('<tr><td class="wrap">{limit}</td></tr>', limit=limit) for limit in book.binding)
        listed = (
            markup("<table><tbody>{rows}</tbody></table>", rows=rows)
            if book.binding
            else markup(
                '<p class="note">No limit holds: the weights and stakes are what the figures alone ask for.</p>'
            )
        )
        text.show(
            self._body,
            markup('{listed}<p class="note small">Worked out by {method}.</p>', listed=listed, method=book.method),
        )


def _no_book(book: Allocation) -> Markup:
    headline = _HEADLINES.get(book.status, book.status.value)
    after = (
        "Your knobs decide this for your page alone: undo the last one, or reset the group in the sidebar."
        if book.status is AllocationStatus.INFEASIBLE
        else "They are worked out as soon as the figures are there; stakes do not wait for them."
    )
    return markup(
        '<div class="empty"><b class="{tone}">{headline}</b>{reason}. {after}</div>',
        tone="down" if "✕" in headline else "",
        headline=headline,
        reason=book.reason.rstrip("."),
        after=after,
    )


_BOX = ":host { background: var(--ms-surface); border: 1px solid var(--ms-line); border-radius: 6px; }"
_STRIP = """
.strip { display: flex; flex-wrap: wrap; gap: 8px 32px; padding: 8px 12px 9px; }
.strip span { font-size: 11px; color: var(--ms-ink3); } .strip p { font-size: 11px; color: var(--ms-ink3);
  white-space: nowrap; } .strip b { font-size: 19px; font-weight: 400; color: var(--ms-ink); line-height: 24px; }
.strip b.up { color: var(--ms-up); } .strip b.down { color: var(--ms-down); }
@media (max-width: 759px) { .strip { display: grid; grid-template-columns: 1fr 1fr; }
  .strip p { white-space: normal; } }
"""
