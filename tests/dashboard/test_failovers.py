"""A failover is shown where it happened: in a card, on the chart's time axis, and in words."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from drawn_pages import go_to, shown

from marketstream.clock import ManualClock
from marketstream.dashboard.session import Session
from marketstream.dashboard.views.failovers import is_return, switches_of
from marketstream.engine import Engine
from marketstream.providers.base import Fault
from marketstream.settings import load_settings


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Return a demo engine that seldom analyses and soon goes back, so that half a minute is quickly over."""
    settings = load_settings(profile="demo", warmup_s=30, analysis_interval_s=2.0, failback_after_s=5.0)
    engine = Engine(settings, clock=ManualClock())
    await engine.run_for(2.0)
    yield engine
    await engine.close()


def marked(session: Session) -> list[int]:
    markets = session.views["Markets"]
    return [event.ts for event in markets.instrument.chart.marks.shown]  # type: ignore[attr-defined]


async def fail(engine: Engine, name: str = "alder") -> None:
    engine.registry.play_fault(name, Fault.STALL, 20.0)
    await engine.run_for(15.0)


async def test_before_any_failover_the_card_says_so(session: Session) -> None:
    assert "No feed has taken over" in go_to(session, "Health")


async def test_a_failover_and_the_way_back_are_in_the_card_with_cause_and_cost(
    engine: Engine, session: Session
) -> None:
    await fail(engine)
    words = go_to(session, "Health")
    assert "alder-reserve" in words and "no valid quote for" in words
    await engine.run_for(15.0)
    switches = switches_of(engine.events, until=engine.clock.now_ns())
    assert [is_return(event) for event in switches] == [False, True]
    assert "was healthy for 5 s" in go_to(session, "Health")


async def test_the_chart_marks_the_moment_of_the_switch_for_instruments_of_that_feed_only(
    engine: Engine, session: Session
) -> None:
    await fail(engine)
    words = go_to(session, "Markets")
    (switch,) = switches_of(engine.events, until=engine.clock.now_ns())
    assert marked(session) == [switch.ts]
    assert "alder-reserve for alder" in words
    other = next(i.id for i in engine.catalog.instruments if i.market_id is not None)
    session.choose(other)
    assert not marked(session)
    assert "alder-reserve for alder" not in shown(session.page.main[0])


async def test_the_line_on_top_says_that_another_feed_carries_the_venue(engine: Engine, session: Session) -> None:
    await fail(engine)
    session.touch()
    words = shown(session.page.main[0])
    assert "alder: late" in words and "no price is left out for it" in words
    engine.registry.play_fault("cedar", Fault.STALL, 20.0)
    await engine.run_for(15.0)
    session.touch()
    words = shown(session.page.main[0])
    assert "Their prices are left out of every fair value" in words


async def test_marks_leave_the_price_axis_alone(engine: Engine, session: Session) -> None:
    await fail(engine)
    go_to(session, "Markets")
    figure = session.views["Markets"].instrument.chart.pane.object  # type: ignore[attr-defined]
    drawn = {glyph for renderer in figure.y_range.renderers for glyph in [type(renderer.glyph).__name__]}
    # A diamond at 0.96 of the height would draw the axis of a price of 97,000 down to nothing.
    assert drawn == {"VArea", "Line"} and len(figure.renderers) > len(figure.y_range.renderers)


async def test_an_instrument_beyond_those_the_event_lists_is_marked_too(engine: Engine, session: Session) -> None:
    await fail(engine)
    (switch,) = switches_of(engine.events, until=engine.clock.now_ns())
    pairs = switch.data["pairs"]
    assert isinstance(pairs, list | tuple)
    listed = {str(pair).rpartition("@")[0] for pair in pairs}
    listing = engine.registry.get("alder").listing()
    unlisted = next(name for name, _ in listing.pairs if name not in listed)
    go_to(session, "Markets")
    session.choose(unlisted)
    assert marked(session) == [switch.ts]
