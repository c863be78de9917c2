"""Slots are filled with what the sheet says and with nothing else; every sentence of the narrator can be written so."""

from __future__ import annotations

import pytest
from snapshot_factory import World, random_snapshot
from test_narrator import orders, random_world

from marketstream.market.rationale import Fact, FactSheet
from marketstream.rationale.draft import RationaleDraft
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.narrator import passages
from marketstream.rationale.prose import render
from marketstream.rationale.slots import Slots
from marketstream.rationale.verifier import verify


@pytest.fixture
def sheet() -> FactSheet:
    return fact_sheet(random_snapshot(World(seed=3, n_assets=7, n_markets=3)), "portfolio_summary")


def moving(sheet: FactSheet) -> Fact:
    return next(f for f in sheet.facts if f.metric == "weight_change" and f.value)


def filled(sheet: FactSheet, *points: str, headline: str = "The weights") -> str:
    draft = RationaleDraft(headline=headline, points=points)
    return Slots(sheet).fill(draft).render_text()[0]


@pytest.mark.parametrize("seed", range(40))
def test_every_sentence_of_the_narrator_survives_being_emptied_and_filled(seed: int) -> None:
    snapshot = random_snapshot(random_world(seed))
    for kind, subject in orders(snapshot, seed):
        sheet = fact_sheet(snapshot, kind, subject)
        headline, paragraphs = passages(sheet)
        slots = Slots(sheet)
        for sentence in [headline, *(s for paragraph in paragraphs for s in paragraph)]:
            text = slots.empty(sentence)
            assert text is not None
            (written, spans), (meant, marks) = render([slots.fill_sentence(text)]), render([sentence])
            assert (written[1:], spans) == (meant[1:], marks), text


@pytest.mark.parametrize("seed", range(20))
def test_every_passage_of_the_narrator_is_verified_at_any_length(seed: int) -> None:
    snapshot = random_snapshot(random_world(seed))
    for kind, subject in orders(snapshot, seed):
        sheet = fact_sheet(snapshot, kind, subject)
        for paragraph in passages(sheet)[1]:
            for sentences in (paragraph, paragraph[:1]):
                slots = Slots(sheet)
                text = " ".join(str(slots.empty(s)) for s in sentences)
                if "{" not in text:
                    continue
                draft = slots.fill(RationaleDraft(headline="x", points=(text,)))
                assert not verify(*draft.render_text(), sheet), draft.render_text()[0]
