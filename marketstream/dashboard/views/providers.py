"""The feeds: figures of each, a switch to take it in or out, and, on simulated ones, faults to play."""

from __future__ import annotations

from collections import Counter
from typing import Any

import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card
from marketstream.dashboard.text import Markup, markup
from marketstream.dashboard.views.view import Context, Moment
from marketstream.errors import MarketStreamError
from marketstream.market.events import ProviderStatus
from marketstream.providers.base import Fault
from marketstream.providers.registry import ProviderReport

FAULT_S = 15.0
"""How long a fault from the menu lasts."""

_DOTS = {
    ProviderStatus.RUNNING: "live",
    ProviderStatus.DEGRADED: "late",
    ProviderStatus.READY: "stale",
    ProviderStatus.FAULTED: "fault",
    ProviderStatus.STOPPED: "off",
    ProviderStatus.DISABLED: "off",
}


class ProviderRow:
    """One provider: its figures, its switch and, where it can play faults, their menu."""

    def __init__(self, context: Context, report: ProviderReport) -> None:
        self._context = context
        self._name = report.name
        self._figures = text.pane(css=_ROW)
        self.switch = pmui.Switch(
            label=text.plain(f"{report.name} enabled"),
            value=report.enabled,
            size="small",
            width=44,
            height=28,
            margin=0,
            align="center",
            stylesheets=[_SWITCH],
        )
        self.switch.param.watch(self._switched, "value")
        controls: list[Any] = [self.switch]
        if report.faults:
            items = [{"label": f"{fault.value} for {FAULT_S:g} s"} for fault in report.faults]
            self._faults = dict(zip((item["label"] for item in items), report.faults, strict=True))
            self.menu = pmui.MenuButton(
                label="Fault",
                items=items,
                size="small",
                variant="outlined",
                width=82,
                height=26,
                margin=(0, 8, 0, 4),
                align="center",
                on_click=self.play,
            )
            controls.append(self.menu)
        self._busy = False
        self.view = pn.Row(self._figures, *controls, margin=0, sizing_mode="stretch_width", stylesheets=[_LINE])

    def refresh(self, report: ProviderReport) -> None:
        """Bring figures and switch up to the newest report."""
        text.show(self._figures, provider_cells(report))
        self.switch.disabled = bool(self._context.engine.feeds.fixed)
        if self.switch.value != report.enabled and not self._busy:
            self._busy = True
            self.switch.value = report.enabled
            self._busy = False

    async def turn(self, *, on: bool) -> None:
        """Take the provider in or out; what the registry refuses is said in the row."""
        self._busy = True
        try:
            await self._context.engine.feeds.change(self._name, enabled=on)
        except MarketStreamError as fault:
            self._say(fault)
        finally:
            self._busy = False
        self._context.touch()

    async def _switched(self, event: Any) -> None:
        if not self._busy:
            await self.turn(on=bool(event.new))

    def play(self, item: Any) -> None:
        """Play the fault that a menu item names, for FAULT_S seconds."""
        fault: Fault | None = self._faults.get(item["label"] if isinstance(item, dict) else str(item))
        if fault is None:
            return
        try:
            self._context.engine.registry.play_fault(self._name, fault, FAULT_S)
        except MarketStreamError as refused:
            self._say(refused)
        self._context.touch()

    def _say(self, fault: MarketStreamError) -> None:
        text.show(self._figures, markup('<div class="row down" role="alert">{why}</div>', why=fault))


class ProvidersCard:
    """All providers; rows follow the registry, which may gain and lose some while running."""

    title = "Providers"

    def __init__(self, context: Context) -> None:
        self._context = context
        self.rows: dict[str, ProviderRow] = {}
        self._head = text.pane(_headings(playable=True), css=_ROW + ":host { flex: none; }")
        self._card = Card(self.title, "")
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring every row up to `moment`."""
        reports = {report.name: report for report in moment.reports}
        if list(reports) != list(self.rows):
            self.rows = {n: self.rows.get(n) or ProviderRow(self._context, r) for n, r in reports.items()}
            self._card.body(self._head, *(row.view for row in self.rows.values()))
        for name, report in reports.items():
            self.rows[name].refresh(report)
        states = Counter(report.status.value.lower() for report in moment.reports)
        playable = any(report.faults for report in moment.reports)
        text.show(self._head, _headings(playable=playable))
        fixed = self._context.engine.feeds.fixed
        self._card.head(
            f"{len(reports)} declared · " + " · ".join(f"{n} {state}" for state, n in states.items()),
            fixed or ("simulated feeds: faults can be played" if playable else ""),
        )


def provider_cells(report: ProviderReport) -> Markup:
    """Return one provider's figures."""
    rate = None if report.success_rate is None else report.success_rate * 100
    why = f"{report.absence.value}: {report.detail}" if report.absence is not None else report.detail
    bad = report.status in (ProviderStatus.DEGRADED, ProviderStatus.FAULTED)
    return markup(
        '<div class="row"><span><span class="dot dot-{dot}" role="img" aria-label="{status}"></span></span>'
        '<b>{name}</b><span class="kind">{kind}</span><span class="{tone}">{status}</span>'
        '<span class="num {late}">{age}</span><span class="num rate">{rate}</span><span class="num rate">{good}</span>'
        '<span class="num more">{quotes}</span><span class="num more">{refused}</span>'
        '<span class="num more">{errors}</span><span class="num more">{n}</span>'
        '<span class="why" title="{why}">{why}</span></div>',
        dot=_DOTS[report.status],
        name=report.name,
        kind=report.kind,
        tone="late bold" if bad else "soft",
        status=report.status.value,
        late=formats.age_class(report.age_s),
        age=formats.age(report.age_s),
        rate=formats.number(report.rate, 0),
        good=formats.number(rate, 2),
        quotes=formats.number(report.quotes, 0),
        refused=formats.number(sum(report.refused.values()), 0),
        errors=formats.number(report.errors, 0),
        n=formats.number(report.n_instruments, 0),
        why=why,
    )


def _headings(*, playable: bool) -> Markup:
    # The switch stands at the right of each row, and a menu of faults beside it where faults can be played.
    return markup(
        '<div class="row head {controls}"><span></span><span>Provider</span><span class="kind">Kind</span>'
        '<span>State</span><span class="num">Age s</span><span class="num rate">Quotes/s</span>'
        '<span class="num rate">Good %</span><span class="num more">Quotes</span><span class="num more">Refused</span>'
        '<span class="num more">Errors</span><span class="num more">Instruments</span>'
        '<span class="why">Why</span></div>',
        controls="both" if playable else "one",
    )


_ROW = """
:host { min-width: 0; flex: 1 1 0; width: auto; }
.row { display: grid; align-items: center; height: 33px; padding: 0 10px; gap: 10px; white-space: nowrap;
  grid-template-columns: 10px minmax(90px, 1.2fr) 74px 82px 48px 62px 56px 70px 60px 50px 76px minmax(0, 3fr); }
.row.head { height: 26px; font-size: 11px; color: var(--ms-ink3); padding-right: 150px;
  border-bottom: 1px solid var(--ms-line2); } .row.head.one { padding-right: 54px; }
.row > * { overflow: hidden; text-overflow: ellipsis; } .why, .kind { color: var(--ms-ink3); }
@media (max-width: 1099px) { .row { grid-template-columns: 10px minmax(70px, 1fr) 78px 36px 44px 48px; gap: 6px; }
  .more, .kind, .why { display: none; } }
@media (max-width: 759px) { .row { height: 40px; grid-template-columns: 10px minmax(60px, 1fr) 76px 34px; }
  .row .rate { display: none; } .row.head { padding-right: 148px; height: 26px; } }
"""
_LINE = """
:host { border-bottom: 1px solid var(--ms-line); align-items: center; }
:host(:last-child) { border-bottom: 0; }
"""
_SWITCH = """
.MuiFormControlLabel-label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""
