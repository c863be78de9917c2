"""The service answers at once, writes later, shows nothing unverified and survives what goes wrong."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from snapshot_factory import World, random_snapshot

from marketstream.analytics.analysis import Snapshot
from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError, NotFoundError, TransientError
from marketstream.market.rationale import (
    FactSheet,
    IssueKind,
    RationaleKind,
    RationaleRequest,
    RationaleStatus,
    SpanKind,
)
from marketstream.rationale import publishing
from marketstream.rationale.facts import sheet_for
from marketstream.rationale.narrator import narrate
from marketstream.rationale.prose import Draft, Segment
from marketstream.rationale.service import PortfolioRationaleService

SUMMARY = RationaleRequest.of("portfolio_summary")


@pytest.fixture
def snapshot() -> Snapshot:
    return random_snapshot(World(seed=3, n_assets=7, n_markets=3))


@asynccontextmanager
async def running(service: PortfolioRationaleService) -> Any:
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def settled(service: PortfolioRationaleService, rationale_id: str) -> Any:
    for _ in range(1000):
        text = service.get(rationale_id)
        if text.status is not RationaleStatus.PENDING:
            return text
        await asyncio.sleep(0)
    raise AssertionError("the text stayed pending")


def lying(sheet: FactSheet) -> Draft:
    """Be a writer that adds a tenth to the first figure of the text and keeps its span."""
    draft = narrate(sheet)
    segments = list(draft.paragraphs[0])
    at = next(i for i, s in enumerate(segments) if s.kind is SpanKind.FIGURE and "UTC" not in s.text)
    segments[at] = Segment("9" + segments[at].text, segments[at].fact_id, SpanKind.FIGURE)
    return replace(draft, paragraphs=(tuple(segments), *draft.paragraphs[1:]))


async def test_a_request_is_answered_before_the_text_is_written(snapshot: Snapshot) -> None:
    written: list[FactSheet] = []

    def write(sheet: FactSheet) -> Draft:
        written.append(sheet)
        return narrate(sheet)

    async with running(PortfolioRationaleService(lambda: snapshot, ManualClock(), write=write)) as service:
        rationale_id = service.request(SUMMARY)
        assert service.get(rationale_id).status is RationaleStatus.PENDING
        assert written == []
        text = await settled(service, rationale_id)
    assert text.status is RationaleStatus.READY
    assert len(written) == 1
    assert text.created_at == ManualClock().now_ns()
    assert text.sequence == snapshot.sequence
    assert text.written_by == "narrator"


async def test_a_text_says_how_many_figures_it_shows_and_which_facts(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock())
    text = service.write_now(snapshot, "portfolio_summary")
    marks = [s for s in (*text.headline_spans, *text.spans) if s.kind is SpanKind.FIGURE]
    assert text.n_figures == len(marks) > 5
    assert {s.fact_id for s in marks} <= {f.id for f in text.used_facts}
    json.dumps(text.to_json(), allow_nan=False)


async def test_texts_are_written_in_the_order_they_were_asked_for(snapshot: Snapshot) -> None:
    async with running(PortfolioRationaleService(lambda: snapshot, ManualClock())) as service:
        asked = [service.request(RationaleRequest.of(kind)) for kind in ("edge_note", "risk_review", "edge_note")]
        await settled(service, asked[-1])
        assert [t.id for t in service.history()] == asked[::-1]
        assert service.newest(RationaleKind.EDGE_NOTE).id == asked[2]
        assert service.newest(RationaleKind.RISK_REVIEW).id == asked[1]
        assert service.newest(RationaleKind.PORTFOLIO_SUMMARY) is None


async def test_orders_from_before_the_start_and_from_other_threads_are_written(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock())
    early = service.request(SUMMARY)
    async with running(service):
        assert (await settled(service, early)).status is RationaleStatus.READY
        ids: list[str] = []
        thread = threading.Thread(target=lambda: ids.append(service.request(SUMMARY)))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert (await settled(service, ids[0])).status is RationaleStatus.READY


def test_an_unknown_subject_or_id_is_not_found(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock())
    with pytest.raises(NotFoundError, match="NOPE"):
        service.request(RationaleRequest.of("position_explanation", "NOPE"))
    with pytest.raises(NotFoundError, match="NOPE"):
        service.write_now(snapshot, "position_explanation", "NOPE")
    with pytest.raises(InvalidInputError, match="poem"):
        service.write_now(snapshot, "poem")
    with pytest.raises(NotFoundError, match="rationale-9"):
        service.get("rationale-9")
    assert service.history() == ()


async def test_without_a_snapshot_a_text_fails_with_its_reason() -> None:
    async with running(PortfolioRationaleService(lambda: None, ManualClock())) as service:
        text = await settled(service, service.request(RationaleRequest.of("position_explanation", "BTC-USD")))
    assert text.status is RationaleStatus.FAILED
    assert "no snapshot" in text.reason
    assert text.text == ""


async def test_a_false_figure_is_never_shown(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock(), write=lying)
    text = service.write_now(snapshot, "portfolio_summary")
    assert text.status is RationaleStatus.READY
    assert text.written_by == "safe sentence"
    assert IssueKind.UNSUPPORTED_NUMBER in {i.kind for i in text.issues}
    assert "quotes are live" in text.text
    assert service.refused == 1


async def test_without_the_verifier_the_false_figure_would_be_shown(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The planted twin of the test above: it is the verifier that keeps the figure off the page.
    monkeypatch.setattr(publishing, "verify", lambda *_: ())
    service = PortfolioRationaleService(lambda: snapshot, ManualClock(), write=lying)
    assert service.write_now(snapshot, "portfolio_summary").text == lying_text(service, snapshot)


def lying_text(service: PortfolioRationaleService, snapshot: Snapshot) -> str:
    return lying(sheet_for(snapshot, SUMMARY)).render_text()[0]


async def test_when_not_even_the_safe_sentence_verifies_the_text_fails(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "safe_draft", lying)
    service = PortfolioRationaleService(lambda: snapshot, ManualClock(), write=lying)
    text = service.write_now(snapshot, "portfolio_summary")
    assert text.status is RationaleStatus.FAILED
    assert text.text == text.headline == ""
    assert "verifier" in text.reason
    assert text.issues


async def test_a_writer_that_breaks_does_not_end_the_worker(
    snapshot: Snapshot, caplog: pytest.LogCaptureFixture
) -> None:
    def faults() -> Iterator[Callable[[FactSheet], Draft]]:
        yield lambda _: 1 / 0  # type: ignore[arg-type, return-value]
        yield narrate

    plays = faults()
    service = PortfolioRationaleService(lambda: snapshot, ManualClock(), write=lambda sheet: next(plays)(sheet))
    async with running(service):
        broken = await settled(service, service.request(SUMMARY))
        fine = await settled(service, service.request(SUMMARY))
    assert broken.status is RationaleStatus.FAILED
    assert "ZeroDivisionError" in broken.reason
    assert fine.status is RationaleStatus.READY
    assert service.errors == 1
    assert caplog.records[0].exc_info


def test_the_queue_is_bounded(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock(), max_pending=2)
    service.request(SUMMARY)
    service.request(SUMMARY)
    with pytest.raises(TransientError, match="2 rationales"):
        service.request(SUMMARY)
    assert len(service.history()) == 2


async def test_the_history_is_bounded_and_keeps_what_still_waits(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock(), max_history=3)
    async with running(service):
        ids = []
        for _ in range(5):
            ids.append(service.request(SUMMARY))
            await settled(service, ids[-1])
    assert [t.id for t in service.history()] == ids[:1:-1]
    waiting = PortfolioRationaleService(lambda: snapshot, ManualClock(), max_history=1)
    kept = [waiting.request(SUMMARY) for _ in range(3)]
    assert [t.id for t in waiting.history()] == kept[::-1]


async def test_stopping_fails_what_waits_and_may_be_done_twice(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock())
    rationale_id = service.request(SUMMARY)
    await service.stop()
    await service.stop()
    assert service.get(rationale_id).status is RationaleStatus.FAILED
    assert "stopped" in service.get(rationale_id).reason
    await service.start()
    await service.start()
    assert (await settled(service, service.request(SUMMARY))).status is RationaleStatus.READY
    await service.stop()


def test_a_session_writes_about_its_own_snapshot_without_entering_history(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: None, ManualClock())
    text = service.write_now(snapshot, "position_explanation", "M0:home")
    assert text.status is RationaleStatus.READY
    assert text.subject == "M0:home"
    assert service.history() == ()
