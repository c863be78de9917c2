"""A small engine on a manual clock, and a session over it that is drawn in a document without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import panel as pn
import pytest
from bokeh.document import Document
from drawn_pages import end

from marketstream.clock import ManualClock
from marketstream.dashboard.session import Session
from marketstream.dashboard.trail import Trail
from marketstream.engine import Engine
from marketstream.settings import load_settings


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Return a demo engine that has run for two seconds of its own time."""
    engine = Engine(load_settings(profile="demo", warmup_s=90, analysis_interval_s=0.25), clock=ManualClock())
    await engine.run_for(2.0)
    yield engine
    await engine.close()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Return a session whose page is drawn, and shows the newest snapshot."""
    pn.extension()
    session = Session(engine, Trail())
    document = Document()
    session.page.server_doc(document)
    session.refresh()
    yield session
    end(session, document)
