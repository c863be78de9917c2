"""The analyst's opinions: an expected return per asset, in bps over the horizon, given to the optimizer as its mean."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card
from marketstream.dashboard.text import join, markup
from marketstream.dashboard.views.view import Context, Moment
from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Kind

LARGEST_BPS = 1_000.0


class OpinionsCard:
    """Set, see and clear views; they move this session's weights at once."""

    title = "Your views"

    def __init__(self, context: Context) -> None:
        self._optimizer = context.analysis.optimizer
        self._names: dict[str, str] = {}
        self._asset = pmui.Select(
            label="Asset", options={}, size="small", margin=(8, 4, 4, 10), sizing_mode="stretch_width"
        )
        self._bps = pmui.FloatInput(
            label="Expected return, bps",
            value=10.0,
            step=1.0,
            start=-LARGEST_BPS,
            end=LARGEST_BPS,
            size="small",
            width=140,
            margin=(8, 4, 4, 4),
        )
        self._set = pmui.Button(
            label="Set", size="small", height=30, width=52, margin=(13, 4, 4, 4), on_click=self._give
        )
        self._clear = pmui.Button(
            label="Clear all",
            variant="text",
            size="small",
            height=24,
            width=72,
            margin=(0, 6, 0, 0),
            on_click=self._drop,
        )
        self._body = text.pane()
        form = pn.Row(self._asset, self._bps, self._set, margin=0, sizing_mode="stretch_width")
        self._card = Card(self.title, "", form, self._body, actions=(self._clear,))
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Offer the assets there are and list the views that are set."""
        catalog = moment.snapshot.market.catalog
        names = {i.id: i.name for i in catalog.instruments if i.kind is Kind.ASSET}
        if names != self._names:
            self._names = names
            self._asset.options = {text.plain(name): key for key, name in names.items()}
            self._asset.value = self._asset.value if self._asset.value in names else next(iter(names), None)
        over = formats.horizon(moment.snapshot.allocation.horizon_s)
        views: dict[str, float] = self._optimizer.views
        self._clear.disabled = not views
        self._card.head(f"expected return, bps per {over}", f"{len(views)} set" if views else "")
        rows = join(
            markup(
                '<tr><td><b>{name}</b></td><td class="num">{bps}</td></tr>',
                name=names.get(key, key),
                bps=formats.moved(value * 1e4, 1),
            )
            for key, value in views.items()
        )
        table = (
            markup(
                '<table><thead><tr><th>Asset</th><th class="num">bps per {over}</th></tr></thead>'
                "<tbody>{rows}</tbody></table>",
                over=over,
                rows=rows,
            )
            if views
            else ""
        )
        text.show(
            self._body,
            markup(
                '{table}<p class="note small">An asset without a view is expected to return 0: a gap to the fair '
                "value is not a return. A view of 0 takes it back.</p>",
                table=table,
            ),
        )

    def _give(self, _event: Any) -> None:
        key, bps = self._asset.value, self._bps.value
        if key is None or bps is None:
            return
        views = {name: value for name, value in self._optimizer.views.items() if name != key}
        if bps:
            views[key] = min(max(float(bps), -LARGEST_BPS), LARGEST_BPS) / 1e4
        try:
            self._optimizer.views = views
        except InvalidInputError as fault:
            text.show(self._body, markup('<p class="note down" role="alert">{why}</p>', why=fault))

    def _drop(self, _event: Any) -> None:
        self._optimizer.views = {}
