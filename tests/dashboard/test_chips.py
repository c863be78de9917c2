"""A rationale as markup: every figure is a chip with its fact, every other word is inert text."""

from __future__ import annotations

import dataclasses
import re

from drawn_pages import go_to

from marketstream.dashboard.session import Session
from marketstream.dashboard.text import clean
from marketstream.dashboard.views.chips import rationale_markup
from marketstream.engine import Engine
from marketstream.market.rationale import Rationale, RationaleKind, RationaleStatus, SpanKind


def written(engine: Engine) -> Rationale:
    assert engine.snapshot is not None
    return engine.rationale.write_now(engine.snapshot, RationaleKind.PORTFOLIO_SUMMARY)


async def test_every_figure_is_a_chip_and_the_words_are_those_of_the_text(engine: Engine) -> None:
    rationale = written(engine)
    drawn = clean(rationale_markup(rationale, old=False))
    figures = [s for s in (*rationale.headline_spans, *rationale.spans) if s.kind is SpanKind.FIGURE]
    assert drawn.count('class="chip"') == len(figures) > 0
    words = re.sub(r'<span class="tip".*?</span></span></span>', "</span>", drawn)
    plain = re.sub(r"<[^>]*>", "", words.split('<div class="foot">')[0])
    assert plain.startswith(rationale.headline)
    assert plain.endswith(rationale.text.split("\n\n")[-1])


async def test_a_chip_shows_where_its_figure_comes_from(engine: Engine) -> None:
    rationale = written(engine)
    drawn = rationale_markup(rationale, old=False)
    for fact in rationale.used_facts:
        assert fact.source in drawn.replace("&#x27;", "'").replace("&gt;", ">").replace("&quot;", '"')


async def test_hostile_words_in_a_text_stay_words(engine: Engine) -> None:
    rationale = dataclasses.replace(
        written(engine), headline="<img src=x onerror=alert(1)>", headline_spans=(), text="<script>x</script>", spans=()
    )
    drawn = rationale_markup(rationale, old=False)
    assert "<img" not in drawn and "<script" not in drawn


async def test_a_failed_text_says_why(engine: Engine) -> None:
    failed = dataclasses.replace(written(engine), status=RationaleStatus.FAILED, reason="nothing has been analysed")
    assert "nothing has been analysed" in rationale_markup(failed, old=False)


async def test_the_text_is_about_this_sessions_knobs_and_is_written_once(engine: Engine, session: Session) -> None:
    go_to(session, "Rationale")
    view = session.views["Rationale"]
    first = view.writer.rationale  # type: ignore[attr-defined]  # the Rationale view has one
    await engine.run_for(1.0)
    session.refresh()
    assert view.writer.rationale is first  # type: ignore[attr-defined]
    session.analysis.optimizer.invested_share = 0.5
    session.refresh()
    assert view.writer.rationale is not first  # type: ignore[attr-defined]
