"""A session pulls, shows its own analysis, freezes when asked, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from bokeh.document import Document
from drawn_pages import end, go_to, shown

from marketstream.dashboard.session import Session
from marketstream.dashboard.trail import Trail
from marketstream.engine import Engine
from marketstream.settings import load_settings


async def test_before_the_first_snapshot_the_page_says_what_it_waits_for() -> None:
    session = Session(Engine(load_settings(profile="null")), Trail())
    assert not session.refresh()
    assert "Playing the simulated past" in shown(session.page.main[0])
    assert "NULL" in shown_header(session)
    session.close()


async def test_a_look_without_news_changes_nothing(engine: Engine, session: Session) -> None:
    assert not session.refresh()
    await engine.run_for(0.5)
    assert session.refresh()


@pytest.mark.parametrize("tab", ["Markets", "Edges", "Portfolio", "Rationale", "Health", "Events"])
async def test_every_tab_shows_its_figures_and_no_fault(engine: Engine, session: Session, tab: str) -> None:
    words = go_to(session, tab)
    await engine.run_for(1.0)
    assert session.refresh()
    assert "stopped" not in words and session.faults == 0
    assert "SIMULATED DATA" in shown_header(session)


def shown_header(session: Session) -> str:
    return "\n".join(shown(item) for item in session.shell.header)


async def test_a_moved_knob_changes_this_session_and_neither_the_house_nor_another_session(
    engine: Engine, session: Session
) -> None:
    assert engine.snapshot is not None
    other = Session(engine, Trail())
    before = go_to(session, "Portfolio")
    session.analysis.optimizer.invested_share = 0.5
    session.refresh()
    assert before != shown(session.page.main[0])
    assert session.analysis.follow(engine.snapshot).allocation.weights.sum() == pytest.approx(0.5)
    assert other.analysis.follow(engine.snapshot).allocation is engine.snapshot.allocation
    assert engine.snapshot.allocation.weights.sum() == pytest.approx(1.0)
    other.close()


async def test_a_page_begins_as_the_house_looks_at_things(engine: Engine) -> None:
    engine.house.fair_value.half_life_s = 60.0
    session = Session(engine, Trail())
    assert session.analysis.fair_value.half_life_s == 60.0
    session.close()


async def test_an_impossible_limit_is_explained_in_words(session: Session) -> None:
    go_to(session, "Portfolio")
    session.analysis.optimizer.max_weight = 0.01
    session.refresh()
    words = shown(session.page.main[0])
    assert "No book meets all limits" in words


async def test_a_view_of_the_analyst_moves_the_expected_return(engine: Engine, session: Session) -> None:
    assert engine.snapshot is not None
    go_to(session, "Portfolio")
    asset = str(engine.snapshot.allocation.weights.index[0])
    session.analysis.optimizer.views = {asset: 0.02}
    session.refresh()
    book = session.analysis.follow(engine.snapshot).allocation
    assert book.expected_return == pytest.approx(0.02 * book.weights[asset])
    assert "+200.0" in shown(session.page.main[0])


async def test_pause_freezes_this_page_alone(engine: Engine, session: Session) -> None:
    session.toggle_pause()
    assert session.paused is not None
    frozen = session.paused.sequence
    assert "Paused at" in shown(session.page.main[0])
    await engine.run_for(2.0)
    session.refresh()
    assert session.paused.sequence == frozen
    assert engine.snapshot is not None and engine.snapshot.sequence > frozen
    session.toggle_pause()
    assert "Paused at" not in shown(session.page.main[0])


async def test_the_search_and_the_table_select_the_same_instrument(session: Session) -> None:
    session.shell.search.value = session.shell.search.options[3]
    chosen = session.choices.instrument
    assert chosen == list(session.analysis.follow(session.snapshot).fair.index)[3]
    assert chosen in shown(session.page.main[0])


async def test_a_late_feed_is_named_with_its_consequence(engine: Engine, session: Session) -> None:
    name = engine.registry.names[1]  # one without a reserve
    engine.registry.get(name).play_fault(engine.registry.get(name).faults[0], 60.0)
    await engine.run_for(30.0)
    session.touch()
    words = shown(session.page.main[0])
    assert f"{name}:" in words and "left out of every fair value" in words


async def test_knob_to_page_is_measured_by_what_the_browser_confirms(engine: Engine, session: Session) -> None:
    engine.clock.advance(0.2)  # type: ignore[attr-defined]  # a manual clock
    session.analysis.optimizer.max_weight = 0.1
    asked = session.browser.asked
    assert asked >= 1 and session.knob_ms is None
    engine.clock.advance(0.084)  # type: ignore[attr-defined]  # a manual clock
    session.browser.seen = asked
    assert session.knob_ms == pytest.approx(84.0)


async def test_nothing_of_a_closed_session_stays(engine: Engine) -> None:
    dead = []
    for _ in range(3):
        session, document = Session(engine, Trail()), Document()
        session.page.server_doc(document)
        for tab in list(session.views):
            go_to(session, tab)
        dead += [weakref.ref(thing) for thing in (session, session.analysis, session.choices, session.knobs)]
        end(session, document)
        del session, document
    # What a page still asked the store for was cancelled with it, and ends at the loop's next turns.
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert [ref() for ref in dead] == [None] * len(dead)


async def test_the_leak_test_would_find_a_session_that_somebody_holds(engine: Engine) -> None:
    # The planted bug: a watcher on something that outlives the session.
    session = Session(engine, Trail())
    holder = engine.house.optimizer.param.watch(session.choose, "max_weight")
    ref = weakref.ref(session)
    session.close()
    del session
    gc.collect()
    assert ref() is not None
    engine.house.optimizer.param.unwatch(holder)


async def test_a_narrow_window_gets_few_columns_and_a_wide_one_an_open_drawer(session: Session) -> None:
    assert session.page.sidebar_open is False
    session.browser.width_px = 1440
    session.touch()
    assert session.page.sidebar_open is True and not session.choices.phone
    session.browser.width_px = 390
    session.touch()
    assert session.choices.phone
