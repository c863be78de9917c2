"""What a page shows and how it ends, for tests without a browser."""

from __future__ import annotations

from types import SimpleNamespace

import panel as pn
from bokeh.document import Document

from marketstream.dashboard.session import Session


def end(session: Session, document: Document) -> None:
    """Do what the server does when a browser has gone."""
    session.close()
    for destroyed in list(document.session_destroyed_callbacks):
        destroyed(SimpleNamespace(_document=document, id="gone"))
    document.clear()


def shown(viewable: object) -> str:
    """Return all markup in a layout, one pane after the other."""
    panes = viewable.select(pn.pane.HTML)  # type: ignore[attr-defined]  # any panel object
    return "\n".join(pane.object or "" for pane in panes)


def go_to(session: Session, tab: str) -> str:
    """Open a tab and return what it shows."""
    session.shell.tabs.active = list(session.views).index(tab)
    session.refresh()
    return shown(session.page.main[0])
