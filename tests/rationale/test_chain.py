"""There is always a verified text in time, and it says who wrote it and who failed before."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import model_server as server
import pytest
from model_server import ModelServer
from pydantic import SecretStr
from snapshot_factory import World, random_snapshot
from test_backends import CANARY, FAULTS

from marketstream.clock import ManualClock, SystemClock
from marketstream.market.rationale import FactSheet, Outcome, Rationale, RationaleStatus
from marketstream.rationale import chain as chain_module
from marketstream.rationale.backends import MockBackend, OpenAIBackend, mock_draft
from marketstream.rationale.chain import Chain
from marketstream.rationale.completions import BackendError
from marketstream.rationale.draft import DraftError, Fault, RationaleDraft
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.narrator import narrate
from marketstream.rationale.verifier import verify


@pytest.fixture
def sheet() -> FactSheet:
    return fact_sheet(random_snapshot(World(seed=3, n_assets=7, n_markets=3)), "portfolio_summary")


def ordered(sheet: FactSheet) -> Rationale:
    return Rationale(
        id="r-1", kind=sheet.kind, status=RationaleStatus.PENDING, created_at=0, facts=sheet.facts, as_of=sheet.as_of
    )


def chain(*backends: Any, clock: Any = None, **options: Any) -> Chain:
    return Chain(SystemClock() if clock is None else clock, backends, **({"pause_s": 0.0} | options))


def tried(text: Rationale) -> list[tuple[str, str]]:
    return [(attempt.backend, attempt.outcome.value) for attempt in text.attempts]


def assert_is_narrated(text: Rationale, sheet: FactSheet) -> None:
    assert text.status is RationaleStatus.READY
    assert text.written_by == "narrator"
    assert text.text == narrate(sheet).render_text()[0]
    assert text.attempts[-1].outcome is Outcome.WRITTEN


async def test_a_model_writes_and_the_verifier_has_read_its_text(sheet: FactSheet) -> None:
    text = await chain(MockBackend()).written(ordered(sheet), sheet)
    assert (text.status, text.written_by) == (RationaleStatus.READY, "mock")
    assert tried(text) == [("mock", "written")]
    assert not verify(text.text, text.spans, sheet)
    assert text.n_figures > 5


async def test_without_a_backend_the_narrator_writes(sheet: FactSheet) -> None:
    text = await chain().written(ordered(sheet), sheet)
    assert_is_narrated(text, sheet)
    assert tried(text) == [("narrator", "written")]


async def test_the_first_backend_that_can_is_the_one_that_writes(sheet: FactSheet) -> None:
    down = BackendError(Outcome.RATE_LIMITED, "busy")
    first, second = MockBackend(name="first", answers=[down]), MockBackend(name="second")
    text = await chain(first, second).written(ordered(sheet), sheet)
    assert tried(text) == [("first", "rate_limited"), ("second", "written")]
    assert text.written_by == "second"


def with_point(sheet: FactSheet, point: str) -> RationaleDraft:
    draft = mock_draft(sheet)
    return RationaleDraft(headline=draft.headline, points=(point, *draft.points[1:]))


def lies(sheet: FactSheet) -> dict[str, RationaleDraft]:
    """Return drafts that say what the sheet does not, each in another way."""
    name = next(f.id for f in sheet.facts if f.metric == "weight")
    other = next(f.id for f in sheet.facts if f.metric == "weight" and f.id != name)
    return {
        "a figure of its own": with_point(sheet, "The risk is 9.9 % per {portfolio.horizon}."),
        "a figure in words": with_point(sheet, "The portfolio holds {portfolio.n_held} instruments, twelve are up."),
        "a name of its own": with_point(sheet, f"Bitcoin holds {{{name}}} of capital."),
        "a direction of its own": with_point(sheet, "The risk rises to {portfolio.risk} per {portfolio.horizon}."),
        "another fact than the words say": with_point(sheet, "The risk is {portfolio.turnover}."),
        "another subject's figure": with_point(sheet, f"{{{name}.name}} holds {{{other}}} of capital."),
        "a forecast": with_point(sheet, "The risk of {portfolio.risk} will fade soon."),
        "advice": with_point(sheet, "Buy: the risk is {portfolio.risk} per {portfolio.horizon}."),
        "a fact that does not exist": with_point(sheet, "The risk is {portfolio.sharpe}."),
        "a link": with_point(sheet, "The risk is {portfolio.risk}, see www.example.org for it."),
        "markup": with_point(sheet, "The risk is <b>{portfolio.risk}</b>."),
        "an image": with_point(sheet, "The risk is {portfolio.risk} ![x](http://example.org/x.png)."),
        "nothing": with_point(sheet, "The portfolio holds instruments."),
        "a sentence without a fact": with_point(sheet, "The risk is {portfolio.risk}. There is cost."),
        "a headline of its own": RationaleDraft(headline="All is well", points=mock_draft(sheet).points),
    }


LIES = tuple(lies(fact_sheet(random_snapshot(World(seed=3, n_assets=7, n_markets=3)), "portfolio_summary")))


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_refused_repaired_once_and_never_shown(sheet: FactSheet, lie: str) -> None:
    liar = MockBackend(name="liar", answers=[lies(sheet)[lie]] * 2)
    text = await chain(liar).written(ordered(sheet), sheet)
    assert tried(text) == [("liar", "refused"), ("liar", "refused"), ("narrator", "written")]
    assert_is_narrated(text, sheet)


@pytest.mark.parametrize("lie", LIES)
async def test_what_was_refused_is_quoted_nowhere(sheet: FactSheet, lie: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    point = lies(sheet)[lie].points[0]
    text = await chain(MockBackend(answers=[lies(sheet)[lie]] * 2)).written(ordered(sheet), sheet)
    shown = json.dumps(text.to_json()) + caplog.text
    for words in ("9.9", "twelve", "Bitcoin", "fade", "Buy", "sharpe", "example.org", "<b>", "All is well"):
        assert words not in point or words not in shown


@pytest.mark.parametrize("lie", ["another fact than the words say", "another subject's figure", "a forecast"])
async def test_without_the_verifier_a_lie_within_the_rules_of_slots_would_be_shown(
    sheet: FactSheet, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    # The planted twin: these pass the first lock, so it is the second that keeps them off the page.
    ready = chain_module.publish
    monkeypatch.setattr(chain_module, "publish", lambda *given: (ready(*given)[0], ()))
    text = await chain(MockBackend(name="liar", answers=[lies(sheet)[lie]])).written(ordered(sheet), sheet)
    assert text.written_by == "liar"


async def test_a_repair_is_told_what_was_wrong_and_is_shown(sheet: FactSheet) -> None:
    told: list[tuple[str, ...]] = []

    class Learner(MockBackend):
        async def draft(self, sheet: FactSheet, *, refused: Sequence[str] = (), **more: Any) -> RationaleDraft:
            told.append(tuple(refused))
            return lies(sheet)["a figure of its own"] if not refused else mock_draft(sheet)

    text = await chain(Learner(name="learner")).written(ordered(sheet), sheet)
    assert tried(text) == [("learner", "refused"), ("learner", "written")]
    assert told[0] == ()
    assert any("9.9" in reason for reason in told[1])


async def test_the_verifier_tells_a_repair_what_it_refused(sheet: FactSheet) -> None:
    told: list[Sequence[str]] = []

    class Learner(MockBackend):
        async def draft(self, sheet: FactSheet, *, refused: Sequence[str] = (), **more: Any) -> RationaleDraft:
            told.append(refused)
            return lies(sheet)["a forecast"]

    await chain(Learner()).written(ordered(sheet), sheet)
    assert any("will" in reason for reason in told[1])


@pytest.mark.parametrize(
    ("fault", "n_tries"),
    [
        (BackendError(Outcome.SERVER_ERROR, "x"), 2),
        (BackendError(Outcome.UNREACHABLE, "x"), 2),
        (DraftError([Fault(why="x")], malformed=True), 2),
        (BackendError(Outcome.RATE_LIMITED, "x"), 1),
        (BackendError(Outcome.TIMEOUT, "x"), 1),
        (BackendError(Outcome.REJECTED, "x"), 1),
        (BackendError(Outcome.FILTERED, "x"), 1),
        (BackendError(Outcome.CUT, "x"), 1),
        (RuntimeError("x"), 1),
    ],
)
async def test_only_what_may_pass_is_tried_again_and_only_once(
    sheet: FactSheet, fault: Exception, n_tries: int
) -> None:
    text = await chain(MockBackend(name="m", answers=[fault] * 9)).written(ordered(sheet), sheet)
    assert [backend for backend, _ in tried(text)] == ["m"] * n_tries + ["narrator"]
    assert_is_narrated(text, sheet)


async def test_a_second_try_waits_a_moment(sheet: FactSheet) -> None:
    clock = ManualClock()
    backend = MockBackend(name="m", answers=[BackendError(Outcome.SERVER_ERROR, "x")])
    writing = asyncio.ensure_future(chain(backend, clock=clock, pause_s=5.0).written(ordered(sheet), sheet))
    await clock.run_for(4.9)
    assert not writing.done()
    await clock.run_for(0.2)
    assert tried(await writing) == [("m", "server_error"), ("m", "written")]


async def test_a_clock_that_nobody_turns_holds_no_text(sheet: FactSheet) -> None:
    backend = MockBackend(name="m", answers=[BackendError(Outcome.SERVER_ERROR, "x")])
    text = await chain(backend, clock=ManualClock(), pause_s=0.01).written(ordered(sheet), sheet)
    assert tried(text) == [("m", "server_error"), ("m", "written")]


async def test_a_backend_that_breaks_is_logged_and_passed_over(
    sheet: FactSheet, caplog: pytest.LogCaptureFixture
) -> None:
    text = await chain(MockBackend(answers=[ZeroDivisionError()])).written(ordered(sheet), sheet)
    assert tried(text)[0] == ("mock", "failed")
    assert caplog.records[0].exc_info


async def test_a_draft_that_breaks_the_verifier_is_passed_over(
    sheet: FactSheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(chain_module, "publish", broken)
    text = await chain(MockBackend()).written(ordered(sheet), sheet)
    assert tried(text) == [("mock", "failed"), ("narrator", "written")]


async def test_a_backend_that_ignores_its_deadline_is_held_to_it(sheet: FactSheet) -> None:
    class Deaf(MockBackend):
        async def draft(self, sheet: FactSheet, **more: Any) -> RationaleDraft:
            await asyncio.Event().wait()
            raise AssertionError

    text = await chain(Deaf(name="deaf"), attempt_s=0.05).written(ordered(sheet), sheet)
    assert tried(text) == [("deaf", "timeout"), ("narrator", "written")]


async def test_when_the_deadline_is_over_no_other_backend_is_asked(sheet: FactSheet) -> None:
    clock = ManualClock()

    class Slow(MockBackend):
        async def draft(self, sheet: FactSheet, **more: Any) -> RationaleDraft:
            clock.advance(25.0)
            raise BackendError(Outcome.SERVER_ERROR, "slow")

    text = await chain(Slow(name="slow"), MockBackend(), clock=clock).written(ordered(sheet), sheet)
    assert tried(text) == [("slow", "server_error"), ("narrator", "written")]
    assert text.attempts[0].duration_ms == 25_000.0


@pytest.mark.parametrize("change", ["lying", "fact"])
async def test_a_model_that_lies_over_the_wire_is_refused(sheet: FactSheet, change: str) -> None:
    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "lying": lambda draft: draft | {"points": ["The risk is 9.9 %.", *draft["points"]]},
        "fact": lambda draft: draft | {"points": ["The risk is {portfolio.cost}.", *draft["points"]]},
    }
    async with ModelServer(models={change: server.drafting(changes[change])}) as running:
        backend = OpenAIBackend(change, base_url=running.url)
        text = await chain(backend).written(ordered(sheet), sheet)
        await backend.close()
    assert tried(text) == [(change, "refused"), (change, "refused"), ("narrator", "written")]
    assert len(running.requests) == 2
    assert running.requests[1].data["refused_before"]
    assert_is_narrated(text, sheet)


@pytest.mark.parametrize("name", FAULTS)
async def test_no_fault_of_a_server_stops_the_text_or_starts_a_storm(
    sheet: FactSheet, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with ModelServer(models={name: FAULTS[name][0], "good": server.drafting()}) as running:
        backends = [OpenAIBackend(model, base_url=running.url, api_key=SecretStr(CANARY)) for model in (name, "good")]
        began = asyncio.get_running_loop().time()
        text = await chain(*backends).written(ordered(sheet), sheet)
        took_s = asyncio.get_running_loop().time() - began
        for backend in backends:
            await backend.close()
    assert text.written_by == "good"
    assert text.attempts[0].outcome is FAULTS[name][1]
    assert len(running.requests) <= 3
    assert took_s < 15.0, "a Retry-After of 120 s was slept on"
    assert CANARY not in json.dumps(text.to_json()) + caplog.text


async def test_closing_closes_every_backend_also_after_one_that_cannot(
    sheet: FactSheet, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    class Stuck(MockBackend):
        async def close(self) -> None:
            closed.append(self.name)
            raise OSError("stuck")

    await chain(Stuck(name="a"), Stuck(name="b")).close()
    assert closed == ["a", "b"]
    assert "could not be closed" in caplog.text


async def test_hostile_names_change_no_figure_and_no_entity() -> None:
    for seed in range(6):
        hostile = fact_sheet(random_snapshot(World(seed=seed, hostile=True)), "portfolio_summary")
        text = await chain(MockBackend()).written(ordered(hostile), hostile)
        assert text.written_by == "mock"
        assert not verify(text.text, text.spans, hostile)
