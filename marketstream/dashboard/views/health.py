"""Health: how every feed and the loop fare, what was refused and what happened; the feeds are in providers.py."""

from __future__ import annotations

from collections import Counter
from typing import Any

import panel as pn

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card
from marketstream.dashboard.styles import THREE_CSS
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.failovers import FailoversCard
from marketstream.dashboard.views.providers import ProvidersCard
from marketstream.dashboard.views.view import Context, Fence, Moment
from marketstream.engine import EngineStatus
from marketstream.market.events import Topic


class HealthView:
    """Providers and failovers over loop, refused quotes and events."""

    title = "Health"

    def __init__(self, context: Context) -> None:
        self.providers = ProvidersCard(context)
        cards = (self.providers, FailoversCard(context), LoopCard(), RefusedCard(), EngineEventsCard(context))
        self._fences = [Fence(card.title, card.view, card.refresh) for card in cards]

    def layout(self) -> Any:
        """Return providers and failovers over three cards."""
        top, switches, *below = (fence.view for fence in self._fences)
        row = pn.Row(*below, margin=0, sizing_mode="stretch_width", stylesheets=[THREE_CSS])
        return pn.Column(top, switches, row, margin=0, sizing_mode="stretch_width")

    def refresh(self, moment: Moment) -> None:
        """Bring every card up to `moment`."""
        for fence in self._fences:
            fence.refresh(moment)


class LoopCard:
    """How long a cycle and an analysis take, against what they may take."""

    title = "Loop"

    def __init__(self) -> None:
        self._body = text.pane(css=_METERS)
        self._card = Card(self.title, "", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the meters up to `moment`."""
        status = moment.status
        budget = status.cycle_s * 1e3
        self._card.head(f"one cycle each {budget:,.0f} ms", status.state.value)
        text.show(
            self._body,
            join(
                [
                    _meter("Cycle, median", status.cycle_ms_p50, "ms", budget, f"budget {budget:,.0f} ms"),
                    _meter("Cycle, 99th percentile", status.cycle_ms_p99, "ms", budget, f"budget {budget:,.0f} ms"),
                    _meter("House analysis", status.analysis_ms, "ms", budget, f"budget {budget:,.0f} ms"),
                    _plain("Quotes", formats.number(status.quotes_per_s, 0), "per s"),
                    _plain("Cycles since start", formats.number(status.sequence, 0), ""),
                    _plain("Up", _uptime(status), ""),
                    _plain("Errors caught", formats.number(status.errors, 0), ""),
                ]
            ),
        )


class RefusedCard:
    """Quotes refused at the providers' edge, by reason."""

    title = "Refused quotes"

    def __init__(self) -> None:
        self._body = text.pane()
        self._card = Card(self.title, "since start, by reason", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the list up to `moment`."""
        reasons: Counter[str] = Counter()
        for report in moment.reports:
            reasons.update(report.refused)
        most = max(reasons.values(), default=1)
        self._card.head("since start, by reason", f"{formats.number(moment.status.refused_share * 100, 2)} % of all")
        if not reasons:
            text.show(
                self._body,
                markup(
                    '<p class="note">Nothing was refused: every quote was finite, positive, '
                    "in range and not crossed.</p>"
                ),
            )
            return
        rows = join(
            markup(
                '<tr><td>{reason}</td><td class="num">{n}</td><td><span class="bar plain" role="img" '
                'aria-label="{n}"><i style="width: {width}%"></i></span></td></tr>',
                reason=reason.replace("_", " "),
                n=formats.number(n, 0),
                width=f"{n / most * 100:.0f}",
            )
            for reason, n in reasons.most_common()
        )
        text.show(self._body, markup("<table><tbody>{rows}</tbody></table>", rows=rows))


class EngineEventsCard:
    """The newest events of the feeds and of the program; those of instruments are in the Events tab."""

    title = "Feeds and program"

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._body = text.pane()
        self._card = Card(self.title, "newest first, UTC", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the list up to `moment`."""
        until = max(moment.snapshot.now, moment.status.now)
        news = [e for e in self._engine.events if e.ts <= until and e.topic is not Topic.MARKET_DELTA]
        events = news[-14:][::-1]
        rows = join(
            markup(
                '<tr><td class="muted when">{when}</td><td><b>{who}</b></td><td class="wrap">{what}</td></tr>',
                when=formats.clock(e.ts),
                who=e.subject,
                what=e.message,
            )
            for e in events
        )
        text.show(self._body, markup("<table><tbody>{rows}</tbody></table>", rows=rows))


def _meter(label: str, value: float, unit: str, budget: float, note: str) -> Markup:
    width = min(100.0, value / budget * 100) if budget > 0 else 0.0
    return markup(
        '<div class="m"><p>{label}<span><b>{value}</b> {unit}</span></p><span class="bar" role="img" '
        'aria-label="{label} {value} {unit}, {note}"><i style="width: {width}%"></i></span><i>{note}</i></div>',
        label=label,
        value=formats.number(value, 1),
        unit=unit,
        width=f"{width:.1f}",
        note=note,
    )


def _plain(label: str, value: str, unit: str) -> Markup:
    return markup(
        '<div class="m"><p>{label}<span><b>{value}</b> {unit}</span></p></div>', label=label, value=value, unit=unit
    )


def _uptime(status: EngineStatus) -> str:
    return formats.MISSING if status.started_at is None else formats.duration((status.now - status.started_at) / 1e9)


_METERS = """
.m { padding: 6px 12px 4px; } .m p { display: flex; justify-content: space-between; } .m p span { color: var(--ms-ink3);
  font-size: 11px; } .m b { font-size: 12px; color: var(--ms-ink); } .m .bar { margin-top: 4px; }
.m > i { display: block; text-align: right; font-style: normal; font-size: 11px; color: var(--ms-ink3); }
"""
