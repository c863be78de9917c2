"""Texts are English of the right length, the same for the same sheet, and pass the verifier whatever the sheet says.

MARKETSTREAM_FUZZ=2000 checks that many random sheets of each kind in place of 75 (`make fuzz`).
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from snapshot_factory import HOSTILE, World, random_catalog, random_market, random_snapshot

from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.market.allocation import AllocationStatus
from marketstream.market.rationale import RationaleKind, SpanKind
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.narrator import MAX_WORDS, MIN_WORDS, count_words, narrate, safe_draft
from marketstream.rationale.verifier import verify

FUZZ = int(os.environ.get("MARKETSTREAM_FUZZ", "75"))
CHUNK = 25
OTHERS = (RationaleKind.PORTFOLIO_SUMMARY, RationaleKind.RISK_REVIEW, RationaleKind.EDGE_NOTE)


def random_world(seed: int) -> World:
    rng = np.random.default_rng(seed + 1_000_000)
    status = AllocationStatus.OPTIMAL if rng.random() < 0.7 else AllocationStatus(rng.choice(list(AllocationStatus)))
    return World(
        seed=seed,
        n_assets=int(rng.integers(0, 10)),
        n_markets=int(rng.integers(1, 4)),
        hostile=bool(rng.random() < 0.5),
        late=float(rng.choice([0.0, 0.1, 0.5])),
        dark=float(rng.choice([0.0, 0.2, 1.0])),
        status=status,
        views={"BTC-USD": float(rng.normal(0, 1e-3))} if rng.random() < 0.3 else {},
    )


def orders(snapshot: Snapshot, seed: int) -> list[tuple[RationaleKind, str | None]]:
    instruments = snapshot.market.catalog.instruments
    subject = instruments[seed % len(instruments)].id
    return [(RationaleKind.POSITION_EXPLANATION, subject), *((kind, None) for kind in OTHERS)]


def body(snapshot: Snapshot, kind: RationaleKind, subject: str | None = None) -> str:
    return narrate(fact_sheet(snapshot, kind, subject)).render_text()[0]


@pytest.mark.parametrize("first", range(0, FUZZ, CHUNK))
def test_every_text_of_a_random_sheet_is_verified(first: int) -> None:
    for seed in range(first, min(first + CHUNK, FUZZ)):
        snapshot = random_snapshot(random_world(seed))
        for kind, subject in orders(snapshot, seed):
            sheet = fact_sheet(snapshot, kind, subject)
            for draft in (narrate(sheet), safe_draft(sheet)):
                for text, spans in (draft.render_headline(), draft.render_text()):
                    issues = verify(text, spans, sheet)
                    assert not issues, f"seed {seed}, {kind}: {issues}\n{text}"


@pytest.mark.parametrize("seed", range(4))
def test_every_text_about_the_real_analysis_is_verified(seed: int) -> None:
    world, rng = World(seed=seed, n_assets=6, n_markets=3, late=0.05, dark=0.1), np.random.default_rng(seed)
    snapshot = Analysis().step(random_market(rng, random_catalog(rng, world), world))
    for kind, subject in orders(snapshot, seed):
        sheet = fact_sheet(snapshot, kind, subject)
        for text, spans in (narrate(sheet).render_headline(), narrate(sheet).render_text()):
            assert not verify(text, spans, sheet), text


@pytest.mark.parametrize("seed", range(10))
def test_texts_of_a_full_sheet_have_80_to_200_words_in_three_to_eight_paragraphs(seed: int) -> None:
    snapshot = random_snapshot(World(seed=seed, n_assets=8, n_markets=3))
    for kind, subject in orders(snapshot, seed):
        text = body(snapshot, kind, subject)
        assert MIN_WORDS <= count_words(text) <= MAX_WORDS + 10, text
        assert 3 <= text.count("\n\n") + 1 <= 8


def test_words_differ_with_the_facts_and_only_with_them() -> None:
    texts = [body(random_snapshot(World(seed=s)), RationaleKind.PORTFOLIO_SUMMARY) for s in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_figures_have_a_true_minus_and_a_plus_where_the_sign_means_something() -> None:
    texts = "".join(body(random_snapshot(World(seed=s)), RationaleKind.EDGE_NOTE) for s in range(12))
    assert "−" in texts
    assert "+" in texts
    assert " -" not in texts


def test_no_figure_is_a_signed_zero() -> None:
    for seed in range(30):
        snapshot = random_snapshot(random_world(seed))
        for kind, subject in orders(snapshot, seed):
            draft = narrate(fact_sheet(snapshot, kind, subject))
            text, spans = draft.render_text()
            for span in spans:
                shown = text[span.start : span.end]
                if span.kind is SpanKind.FIGURE and shown[0] in "+−":
                    assert any(c in "123456789" for c in shown), shown


def test_returns_name_their_horizon_in_words() -> None:
    text = body(random_snapshot(World(seed=3)), RationaleKind.RISK_REVIEW)
    assert " bps per 30 minutes" in text or " bps per 1 minute" in text or " bps per 45 s" in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (AllocationStatus.INFEASIBLE, "the limits conflict"),
        (AllocationStatus.NO_DATA, "the assets have no data"),
        (AllocationStatus.FAILED, "the optimizer failed"),
    ],
)
def test_a_text_says_why_there_are_no_weights(status: AllocationStatus, words: str) -> None:
    snapshot = random_snapshot(World(seed=4, status=status))
    for kind in (RationaleKind.PORTFOLIO_SUMMARY, RationaleKind.RISK_REVIEW):
        draft = narrate(fact_sheet(snapshot, kind))
        assert words in draft.render_headline()[0]
        assert f"there are no weights: {words}" in draft.render_text()[0]
        assert f"“{snapshot.allocation.reason}”" in draft.render_text()[0]


def test_a_text_says_which_feeds_are_late_and_which_instruments_are_dark() -> None:
    snapshot = random_snapshot(World(seed=5, late=0.5, dark=0.6))
    text = body(snapshot, RationaleKind.PORTFOLIO_SUMMARY)
    assert "no live quote" in text or "late quote" in text
    assert "no live source" in text
    # Trouble stands right behind the opening paragraph.
    assert "live" in text.split("\n\n")[1]


def test_a_market_without_any_quote_says_so() -> None:
    snapshot = random_snapshot(World(seed=6, dark=1.0, status=AllocationStatus.NO_DATA))
    assert "No quote is live." in body(snapshot, RationaleKind.PORTFOLIO_SUMMARY)


def test_a_weight_kept_by_the_trade_band_is_not_called_limited() -> None:
    world, rng = World(seed=1, n_assets=6, n_markets=3, late=0.05, dark=0.0), np.random.default_rng(1)
    snapshot = Analysis().step(random_market(rng, random_catalog(rng, world), world))
    assert set(snapshot.allocation.frame["binding"]) == {"no trade band"}
    assert "SOL-USD is kept by the “no trade band”." in body(snapshot, RationaleKind.POSITION_EXPLANATION, "SOL-USD")
    assert "No weight is held by a limit." in body(snapshot, RationaleKind.PORTFOLIO_SUMMARY)


def test_hostile_names_stand_in_quotation_marks_and_change_nothing_else() -> None:
    for seed in range(20):
        snapshot = random_snapshot(World(seed=seed, hostile=True))
        sheet = fact_sheet(snapshot, RationaleKind.PORTFOLIO_SUMMARY)
        text, spans = narrate(sheet).render_text()
        named = [text[s.start : s.end] for s in spans if s.kind is SpanKind.NAME]
        for hostile in HOSTILE:
            assert hostile not in named


def test_a_view_is_told_with_its_horizon() -> None:
    snapshot = random_snapshot(World(seed=3, views={"BTC-USD": 0.0012}))
    assert "The view on BTC-USD is +12.0 bps per " in body(snapshot, RationaleKind.POSITION_EXPLANATION, "BTC-USD")


def test_importing_the_narrator_loads_no_model_library() -> None:
    code = "import sys, marketstream.rationale.service; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"openai", "anthropic", "litellm", "panel", "fastapi", "streamz"} & set(loaded)
