"""Cards: a title bar of 28 px with what is shown, its unit and its state, over any content."""

from __future__ import annotations

from typing import Any

import panel as pn

from marketstream.dashboard import text
from marketstream.dashboard.styles import BAR_CSS, CARD_CSS, HEAD_CSS, HEAD_IN_BAR_CSS
from marketstream.dashboard.text import Markup, markup


class Card:
    """A title bar over a body. `view` is what goes into a layout."""

    def __init__(
        self, title: str, subtitle: str = "", *body: Any, actions: tuple[Any, ...] = (), **params: Any
    ) -> None:
        self.title = title
        self._head = text.pane(self._heading(title, subtitle, Markup()), css=HEAD_IN_BAR_CSS if actions else HEAD_CSS)
        bar: Any = self._head
        if actions:
            bar = pn.Row(self._head, *actions, margin=0, sizing_mode="stretch_width", stylesheets=[BAR_CSS])
        params.setdefault("sizing_mode", "stretch_width")
        params.setdefault("margin", (0, 0, 8, 0))
        self._bar = bar
        self.view = pn.Column(bar, *body, stylesheets=[CARD_CSS], **params)

    def head(self, subtitle: str = "", state: object = "", title: str | None = None) -> None:
        """Change the words of the title bar; `state` may be Markup."""
        self.title = title or self.title
        text.show(self._head, self._heading(self.title, subtitle, state))

    def body(self, *content: Any) -> None:
        """Put other content under the title bar, if it is not there already."""
        if tuple(self.view[1:]) != content:
            self.view[:] = [self._bar, *content]

    @staticmethod
    def _heading(title: str, subtitle: str, state: object) -> Markup:
        return markup(
            '<div class="head"><b role="heading" aria-label="{title}">{title}</b>'
            '<span class="sub" title="{subtitle}">{subtitle}</span><span class="state">{state}</span></div>',
            title=title,
            subtitle=subtitle,
            state=state,
        )


def loading(what: str, rows: int = 8) -> Markup:
    """Return grey bars in the shape of rows, with what is awaited."""
    bars = text.join(markup('<div class="ghost" aria-hidden="true"></div>') for _ in range(rows))
    return markup('<div class="note" role="status">{what}</div>{bars}', what=what, bars=bars)


def empty(headline: str, why: str = "") -> Markup:
    """Return a sentence that says why there is nothing here."""
    return markup('<div class="empty"><b>{headline}</b>{why}</div>', headline=headline, why=why)
