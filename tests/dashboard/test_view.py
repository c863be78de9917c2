"""The fence: one failing card shows its error and touches nothing else."""

from __future__ import annotations

import logging

import panel as pn
import pytest
from drawn_pages import shown

from marketstream.dashboard.session import Session
from marketstream.dashboard.views.view import Fence, Moment
from marketstream.engine import Engine


def moment(engine: Engine) -> Moment:
    assert engine.snapshot is not None
    return Moment(snapshot=engine.snapshot, status=engine.status(), reports=())


class Part:
    """A card that fails when told to."""

    def __init__(self) -> None:
        self.broken, self.runs = False, 0

    def refresh(self, _moment: Moment) -> None:
        self.runs += 1
        if self.broken:
            raise ZeroDivisionError("<b>three</b> instruments have one return")


async def test_a_fault_is_shown_logged_and_counted_and_its_words_are_escaped(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    part = Part()
    fence = Fence("Frontier", pn.Column(), part.refresh)
    fence.refresh(moment(engine))
    part.broken = True
    with caplog.at_level(logging.WARNING):
        fence.refresh(moment(engine))
    assert fence.faults == 1
    assert caplog.records[0].exc_info is not None
    words = shown(fence.view)
    assert "This card stopped" in words and "&lt;b&gt;three&lt;/b&gt;" in words and "last good picture" in words


async def test_a_failed_part_rests_until_somebody_asks_again(engine: Engine) -> None:
    part = Part()
    body = pn.Column()
    fence = Fence("Frontier", body, part.refresh)
    part.broken = True
    fence.refresh(moment(engine))
    fence.refresh(moment(engine))
    assert part.runs == 1
    part.broken = False
    fence.retry()
    fence.refresh(moment(engine))
    assert part.runs == 2 and list(fence.view) == [body]


async def test_one_failing_card_leaves_its_neighbours_alive(
    engine: Engine, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("no sparkline today")

    monkeypatch.setattr("marketstream.dashboard.views.markets.market_rows", fail)
    await engine.run_for(0.5)
    assert session.refresh()
    words = shown(session.page.main[0])
    assert words.count("This card stopped") == 1 and "no sparkline today" in words
    assert "Fair value, USD" in words and session.faults == 0
