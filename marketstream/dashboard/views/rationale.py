"""Rationale: the book in words, written from this session's own snapshot; every figure shows the fact behind it."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card, loading
from marketstream.dashboard.styles import PAIR_CSS, SIDE_CSS, WIDE_CSS
from marketstream.dashboard.text import join, markup
from marketstream.dashboard.views.chips import TEXT_CSS, age_s, fact_name, fact_unit, fact_value, rationale_markup
from marketstream.dashboard.views.view import Context, Fence, Moment
from marketstream.errors import NotFoundError, TransientError
from marketstream.market.rationale import Rationale, RationaleKind, RationaleRequest, RationaleStatus

OLD_S = 60.0
"""From this age on the chips of a text are amber."""
TITLES = {
    RationaleKind.PORTFOLIO_SUMMARY: "Portfolio summary",
    RationaleKind.POSITION_EXPLANATION: "Position",
    RationaleKind.RISK_REVIEW: "Risk review",
    RationaleKind.EDGE_NOTE: "Edges",
}


class RationaleView:
    """The text at the left, the facts it uses at the right."""

    title = "Rationale"

    def __init__(self, context: Context) -> None:
        self.writer = Writer(context)
        cards = (TextCard(context, self.writer), FactsCard(self.writer))
        self._fences = [Fence(card.title, card.view, card.refresh) for card in cards]

    def layout(self) -> Any:
        """Return both cards; the facts come below on a narrow window."""
        left, right = (fence.view for fence in self._fences)
        main = pn.Column(left, margin=0, stylesheets=[WIDE_CSS])
        side = pn.Column(right, margin=0, stylesheets=[SIDE_CSS])
        return pn.Row(main, side, margin=0, sizing_mode="stretch_width", stylesheets=[PAIR_CSS])

    def refresh(self, moment: Moment) -> None:
        """Write if something was chosen or a knob moved, and bring the ages up to `moment`."""
        for fence in self._fences:
            fence.refresh(moment)

    def close(self) -> None:
        """Leave no order behind: nobody looks any more."""
        self.writer.call_off()


class Writer:
    """Has the text written anew when its kind, its subject or a knob of this session has changed.

    The narrator's text is there at once. Where models are set, they are asked for one too when a text was chosen or
    asked for (not at every move of a knob), and theirs takes its place when it is ready.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.kind = RationaleKind.PORTFOLIO_SUMMARY
        self.rationale: Rationale | None = None
        self._chosen: object = None
        self._knobs: object = None
        self._order: str | None = None

    @property
    def asked(self) -> str:
        """Return the name of the model that is asked first, while an answer is awaited; else empty."""
        return self._context.engine.rationale.writers[0] if self._order is not None else ""

    def forget(self) -> None:
        """Ask for a new text."""
        self._chosen = None

    def call_off(self) -> None:
        """Give up what a model still writes: it costs, and is read by no one."""
        if self._order is not None:
            self._context.engine.rationale.call_off(self._order)
            self._order = None

    def bring_up(self, moment: Moment) -> Rationale:
        """Return the text that fits what is chosen now."""
        service = self._context.engine.rationale
        subject = self._context.choices.instrument if self.kind is RationaleKind.POSITION_EXPLANATION else None
        chosen, knobs = (self.kind, subject), tuple(s.knob_key() for s in self._context.analysis.stages.values())
        is_new = chosen != self._chosen
        if self.rationale is None or is_new or knobs != self._knobs:
            self.rationale = service.write_now(moment.snapshot, self.kind, subject)
            self.call_off()
            self._order = self._ordered(moment, subject) if is_new and service.writers else None
            self._chosen, self._knobs = chosen, knobs
        return self._taken(self.rationale)

    def _ordered(self, moment: Moment, subject: str | None) -> str | None:
        request = RationaleRequest(kind=self.kind, subject=subject)
        try:
            return self._context.engine.rationale.request(request, snapshot=moment.snapshot)
        except TransientError:
            # Too many wait already: the narrator's text stays, "Write again" asks again.
            return None

    def _taken(self, shown: Rationale) -> Rationale:
        """Return the ordered text once it is ready, until then the one that is shown."""
        if self._order is None:
            return shown
        try:
            text = self._context.engine.rationale.own(self._order)
        except NotFoundError:
            self._order = None
            return shown
        if text.status is not RationaleStatus.PENDING:
            self._order = None
            if text.status is RationaleStatus.READY:
                self.rationale = shown = text
        return shown


class TextCard:
    """The text, the choice of its kind, and who answers for its figures."""

    title = "Rationale"

    def __init__(self, context: Context, writer: Writer) -> None:
        self._context, self._writer = context, writer
        self._kinds = pmui.Select(
            label="",
            options={title: kind for kind, title in TITLES.items()},
            value=writer.kind,
            size="small",
            width=170,
            height=26,
            margin=(2, 6, 2, 0),
            sx=_SELECT,
            description="What to write about",
        )
        self._again = pmui.Button(
            label="Write again",
            icon="refresh",
            variant="text",
            size="small",
            height=24,
            width=110,
            margin=(0, 6, 0, 0),
            on_click=self._rewrite,
        )
        self._kinds.param.watch(self._chosen, "value")
        self._body = text.pane(loading("Writing.", 4), css=TEXT_CSS)
        self._card = Card(self.title, "", self._body, actions=(self._kinds, self._again))
        self.view = self._card.view
        self._shown: tuple[str, bool] = ("", False)

    def refresh(self, moment: Moment) -> None:
        """Show the newest text and how old its figures are."""
        rationale = self._writer.bring_up(moment)
        age_s = max(0.0, (moment.snapshot.now - rationale.as_of) / 1e9) if rationale.as_of else 0.0
        old = age_s >= OLD_S
        what = f" · {formats.duration(age_s)} ago" if age_s >= 1 else ""
        if self._writer.asked:
            what += f" · {self._writer.asked} is writing"
        self._card.head(
            f"as of {formats.clock(rationale.as_of)} UTC{what}",
            _OLD if old else "",
            title=TITLES[rationale.kind],
        )
        if self._shown == (rationale.id, old):
            return
        self._shown = (rationale.id, old)
        text.show(self._body, rationale_markup(rationale, old=old))

    def _chosen(self, event: Any) -> None:
        self._writer.kind = event.new
        self._context.touch()

    def _rewrite(self, _event: Any) -> None:
        self._writer.forget()
        self._context.touch()


class FactsCard:
    """The facts that the text shows, in the order they appear."""

    title = "Facts used"

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._body = text.pane()
        self._card = Card(self.title, "", self._body)
        self.view = self._card.view
        self._shown = ""

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to the newest text."""
        rationale = self._writer.bring_up(moment)
        used = rationale.used_facts
        self._card.head(f"{len(used)} of {len(rationale.facts)} on the sheet")
        if rationale.id == self._shown:
            return
        self._shown = rationale.id
        rows = join(
            markup(
                '<tr><td class="wrap">{name}</td><td class="{look}">{value}</td><td>{unit}</td>'
                '<td class="num {late}">{age}</td></tr>',
                name=fact_name(fact),
                look="wrap" if fact.text else "num",
                value=fact_value(fact),
                unit=fact_unit(fact),
                late=formats.age_class(age_s(fact)),
                age=formats.age(age_s(fact)),
            )
            for fact in used
        )
        table = markup(
            '<table><thead><tr><th>Fact</th><th class="num">Value</th><th>Unit</th><th class="num">Age s</th></tr>'
            "</thead><tbody>{rows}</tbody></table>",
            rows=rows,
        )
        text.show(self._body, table if used else markup('<p class="note">The text shows no figure.</p>'))


_OLD = markup('<span class="late">older than {limit}, write again</span>', limit=formats.duration(OLD_S))
_SELECT = {"& .MuiInputBase-root": {"height": "24px", "fontSize": "12px"}}
