"""Dashboard(engine): one per process, one page per browser session."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import panel as pn

from marketstream.dashboard.session import Session
from marketstream.dashboard.trail import Trail
from marketstream.engine import Engine


class Dashboard(pn.viewable.Viewer):  # type: ignore[misc]  # panel ships no types
    """Builds a `panel_material_ui.Page` for each session over one engine.

    Args:
        engine: Is only read, but for the switches and fault buttons of Health.
        start_engine: Let the first page start the engine, where nobody else does.
    """

    def __init__(self, engine: Engine, *, start_engine: bool = False) -> None:
        super().__init__()
        self.engine = engine
        self.trail = Trail()
        self.sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self.loop: asyncio.AbstractEventLoop | None = None
        """The loop that the engine was started on, if a page did."""
        self._start_engine = start_engine

    def page(self) -> Any:
        """Return the page of a new session; it refreshes from the moment it has loaded until its session ends."""
        pn.extension()
        session = Session(self.engine, self.trail)
        self.sessions.add(session)
        if self._start_engine:
            pn.state.onload(self._ensure_running)
        pn.state.onload(session.start)
        pn.state.on_session_destroyed(_closer(session))
        session.refresh()
        return session.page

    def __panel__(self) -> Any:
        return self.page()

    async def _ensure_running(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self.engine.ensure_running()


def _closer(session: Session) -> Any:
    def close(_context: Any) -> None:
        session.close()

    return close
