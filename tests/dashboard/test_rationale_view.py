"""The Rationale tab: the narrator's text at once, a model's in its place when it is ready, and who failed before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document
from drawn_pages import end, go_to

from marketstream.clock import ManualClock
from marketstream.dashboard.session import Session
from marketstream.dashboard.text import clean
from marketstream.dashboard.trail import Trail
from marketstream.dashboard.views.chips import rationale_markup
from marketstream.dashboard.views.rationale import RationaleView, Writer
from marketstream.engine import Engine
from marketstream.market.rationale import Attempt, FactSheet, Outcome, Rationale, RationaleKind
from marketstream.rationale.backends import Backend, MockBackend, mock_draft
from marketstream.rationale.completions import BackendError
from marketstream.rationale.draft import RationaleDraft
from marketstream.rationale.service import PortfolioRationaleService
from marketstream.settings import load_settings


class Slow(MockBackend):
    """Draft when told to, and count."""

    def __init__(self) -> None:
        super().__init__(name="slow <b>model</b>")
        self.told = asyncio.Event()
        self.asked = self.inside = 0

    async def draft(self, sheet: FactSheet, **_: Any) -> RationaleDraft:
        self.asked += 1
        self.inside += 1
        try:
            await self.told.wait()
        finally:
            self.inside -= 1
        return mock_draft(sheet)


@pytest.fixture
async def drawn() -> AsyncIterator[Any]:
    """Return a maker of sessions over an engine whose texts are drafted by given backends."""
    made: list[tuple[Engine, Session, Document]] = []

    async def make(backends: Sequence[Backend]) -> tuple[Engine, Session]:
        pn.extension()
        settings = load_settings(profile="demo", warmup_s=90, analysis_interval_s=0.25, store_url="memory")
        engine = Engine(settings, clock=ManualClock())
        engine.rationale = PortfolioRationaleService(lambda: engine.snapshot, engine.clock, backends=backends)
        await engine.run_for(2.0)
        session = Session(engine, Trail())
        document = Document()
        session.page.server_doc(document)
        session.refresh()
        made.append((engine, session, document))
        return engine, session

    yield make
    for engine, session, document in made:
        end(session, document)
        await engine.close()


def writer_of(session: Session) -> Writer:
    return session.views["Rationale"].writer  # type: ignore[attr-defined, no-any-return]  # the Rationale view has one


async def until_answered(engine: Engine, session: Session) -> Rationale:
    """Let the engine go on until no model is awaited any more."""
    for _ in range(20):
        await engine.run_for(0.25)
        session.refresh()
        if not writer_of(session).asked:
            rationale = writer_of(session).rationale
            assert rationale is not None
            return rationale
    raise AssertionError("the model never answered")


async def test_the_narrator_is_shown_while_a_model_writes_and_the_model_after_that(drawn: Any) -> None:
    slow = Slow()
    engine, session = await drawn([slow])
    page = go_to(session, "Rationale")
    assert "written by <b>narrator</b>" in page
    assert "slow &lt;b&gt;model&lt;/b&gt; is writing" in page
    slow.told.set()
    await until_answered(engine, session)
    page = go_to(session, "Rationale")
    assert "written by <b>slow &lt;b&gt;model&lt;/b&gt;</b>" in page
    assert "is writing" not in page
    assert slow.asked == 1


async def test_a_moved_knob_is_narrated_at_once_and_asks_no_model(drawn: Any) -> None:
    slow = Slow()
    slow.told.set()
    engine, session = await drawn([slow])
    go_to(session, "Rationale")
    assert (await until_answered(engine, session)).written_by == slow.name
    session.analysis.optimizer.invested_share = 0.5
    session.refresh()
    assert writer_of(session).rationale.written_by == "narrator"  # type: ignore[union-attr]
    assert slow.asked == 1
    writer_of(session).forget()
    await engine.run_for(0.25)
    session.refresh()
    assert (await until_answered(engine, session)).written_by == slow.name
    assert slow.asked == 2


async def test_what_nobody_waits_for_any_more_is_called_off(drawn: Any) -> None:
    slow = Slow()
    engine, session = await drawn([slow])
    go_to(session, "Rationale")
    await engine.run_for(0.25)
    assert slow.inside == 1
    writer_of(session).kind = RationaleKind.EDGE_NOTE
    session.refresh()
    await engine.run_for(0.25)
    assert (slow.asked, slow.inside) == (2, 1)
    session.analysis.optimizer.invested_share = 0.5
    session.refresh()
    await engine.run_for(0.25)
    assert (slow.asked, slow.inside) == (2, 0)


async def test_a_closed_page_leaves_no_model_at_work(drawn: Any) -> None:
    slow = Slow()
    engine, session = await drawn([slow])
    go_to(session, "Rationale")
    await engine.run_for(0.25)
    assert slow.inside == 1
    session.close()
    await engine.run_for(0.25)
    assert (slow.asked, slow.inside) == (1, 0)


async def test_a_page_that_does_not_call_its_order_off_leaves_the_model_at_work(
    drawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The planted twin of the test above.
    monkeypatch.delattr(RationaleView, "close")
    slow = Slow()
    engine, session = await drawn([slow])
    go_to(session, "Rationale")
    await engine.run_for(0.25)
    session.close()
    await engine.run_for(0.25)
    assert slow.inside == 1


async def test_a_page_that_is_closed_before_its_order_is_begun_asks_no_model(drawn: Any) -> None:
    slow = Slow()
    engine, session = await drawn([slow])
    go_to(session, "Rationale")
    session.close()
    await engine.run_for(0.25)
    assert slow.asked == 0


async def test_a_model_writes_about_this_sessions_snapshot_and_nobody_else_sees_it(drawn: Any) -> None:
    engine, session = await drawn([MockBackend()])
    session.analysis.optimizer.invested_share = 0.5
    session.refresh()
    go_to(session, "Rationale")
    rationale = await until_answered(engine, session)
    assert rationale.written_by == "mock"
    assert {f.id: f.value for f in rationale.facts}["portfolio.invested"] == 50.0
    assert engine.rationale.history() == ()


async def test_after_a_fallback_the_page_says_why_in_one_line(drawn: Any) -> None:
    away = BackendError(Outcome.REJECTED, "the server does not accept the key (status 401)")
    engine, session = await drawn([MockBackend(name="gpt", answers=[away])])
    go_to(session, "Rationale")
    await until_answered(engine, session)
    page = go_to(session, "Rationale")
    assert "written by <b>narrator</b>" in page
    assert "in place of <b>gpt</b>: the server does not accept the key (status 401)" in page


async def test_a_model_that_needed_a_repair_is_not_said_to_be_in_place_of_itself(drawn: Any) -> None:
    engine, session = await drawn([MockBackend(name="gpt", answers=[RationaleDraft(headline="3", points=("4",))])])
    go_to(session, "Rationale")
    rationale = await until_answered(engine, session)
    assert [attempt.backend for attempt in rationale.attempts] == ["gpt", "gpt"]
    assert "in place of" not in go_to(session, "Rationale")


async def test_a_full_queue_leaves_the_narrators_text(drawn: Any) -> None:
    engine, session = await drawn([MockBackend()])
    engine.rationale._max_pending = 0
    assert "written by <b>narrator</b>" in go_to(session, "Rationale")
    assert writer_of(session).asked == ""


async def test_without_a_model_nothing_is_ordered(drawn: Any) -> None:
    _, session = await drawn([])
    page = go_to(session, "Rationale")
    assert "written by <b>narrator</b>" in page
    assert "is writing" not in page and "in place of" not in page


async def test_the_line_of_who_failed_is_inert_and_names_each_reason_once(drawn: Any) -> None:
    engine, _ = await drawn([])
    assert engine.snapshot is not None
    text: Rationale = engine.rationale.write_now(engine.snapshot, RationaleKind.EDGE_NOTE)
    twice = Attempt(backend="<script>x</script>", outcome=Outcome.REFUSED, detail="<img src=x>")
    markup = clean(rationale_markup(replace(text, attempts=(twice, twice, *text.attempts)), old=False))
    assert "<script" not in markup and "<img" not in markup
    assert markup.count("in place of") == markup.count("&lt;img src=x&gt;") == 1
