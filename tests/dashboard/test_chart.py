"""The price chart draws what was seen, and nothing over the time in which nobody looked."""

from __future__ import annotations

import numpy as np
from drawn_pages import go_to

from marketstream.dashboard.session import Session
from marketstream.dashboard.views.chart import MISSED_NS, PriceChart
from marketstream.engine import Engine


def chart(session: Session) -> PriceChart:
    return session.views["Markets"].instrument.chart  # type: ignore[attr-defined,no-any-return]


def lines(session: Session) -> tuple[np.ndarray, np.ndarray]:
    """Return times (ms) and fair values that are drawn."""
    figure = chart(session).pane.object
    (source,) = {renderer.data_source for renderer in figure.renderers if "fair" in renderer.data_source.data}
    return np.asarray(source.data["t"]), np.asarray(source.data["fair"])


async def test_a_time_without_a_page_is_a_gap(engine: Engine, session: Session) -> None:
    go_to(session, "Markets")
    for _ in range(4):
        await engine.run_for(1.0)
        session.refresh()
    await engine.run_for(30.0)  # nobody looks
    for _ in range(2):
        session.refresh()
        await engine.run_for(1.0)
    times, fair = lines(session)
    (at,) = np.flatnonzero(np.diff(times) > MISSED_NS / 1e6)
    assert np.isnan(fair[at]) and np.isfinite(fair[at - 1]) and np.isfinite(fair[at + 1])


async def test_a_time_with_a_page_has_none(engine: Engine, session: Session) -> None:
    go_to(session, "Markets")
    for _ in range(6):
        await engine.run_for(1.0)
        session.refresh()
    _, fair = lines(session)
    assert len(fair) >= 4 and np.isfinite(fair).all()
