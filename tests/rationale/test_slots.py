"""Slots are filled with what the sheet says and with nothing else; every sentence of the narrator can be written so."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from snapshot_factory import World, random_market, random_snapshot
from test_narrator import orders, random_world

from marketstream.analytics.analysis import Analysis
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.rationale import Fact, FactSheet
from marketstream.rationale.draft import DraftError, RationaleDraft
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.narrator import further, passages
from marketstream.rationale.prompt import prompt, sentences
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
        for sentence in [headline, *(s for paragraph in paragraphs for s in paragraph), *further(sheet)]:
            text = slots.empty(sentence)
            assert text is not None
            (written, spans), (meant, marks) = render([slots.fill_sentence(text)]), render([sentence])
            assert (written[1:], spans) == (meant[1:], marks), text


@pytest.mark.parametrize("seed", range(20))
def test_every_passage_of_the_narrator_is_verified_at_any_length(seed: int) -> None:
    snapshot = random_snapshot(random_world(seed))
    for kind, subject in orders(snapshot, seed):
        sheet = fact_sheet(snapshot, kind, subject)
        for paragraph in [*passages(sheet)[1], *([sentence] for sentence in further(sheet))]:
            for part in (paragraph, paragraph[:1]):
                slots = Slots(sheet)
                text = " ".join(str(slots.empty(s)) for s in part)
                if "{" not in text:
                    continue
                draft = slots.fill(RationaleDraft(headline="x", points=(text,)))
                assert not verify(*draft.render_text(), sheet), draft.render_text()[0]


def test_every_kind_of_slot_is_filled_with_what_the_sheet_says(sheet: FactSheet) -> None:
    change = moving(sheet)
    rank = next(f for f in sheet.facts if f.metric == "weight_change_rank" and f.value == 1)
    name = next(n.text for n in sheet.names if n.role == "instrument" and n.key == change.subject)
    verb = "rises" if change.value > 0 else "falls"
    text = filled(
        sheet,
        f"the weight of {{{change.id}.name}} {{{change.id}.direction}} by {{{change.id}}}",
        f"{{{rank.id}.rank}} trade, {{{change.id}.comparison}} {{{change.id}.name}}",
    )
    assert text.split("\n\n") == [
        f"The weight of {name} {verb} by {abs(change.value):.1f} points.",
        f"Largest trade, {'more' if change.value > 0 else 'less'} {name}.",
    ]


def test_a_figure_without_a_direction_beside_it_keeps_its_sign(sheet: FactSheet) -> None:
    change = moving(sheet)
    sign = "+" if change.value > 0 else "−"
    text = filled(sheet, f"A {{{change.id}.direction}}. B {{{change.id}}}.")
    assert f"B {sign}{abs(change.value):.1f} points." in text


def test_words_of_the_program_are_quoted_and_times_are_dated(sheet: FactSheet) -> None:
    assert filled(sheet, "{portfolio.method} as of {feeds.as_of}").startswith("“piqp; factor")
    assert "14:14:59 UTC" in filled(sheet, "As of {feeds.as_of}")


@pytest.mark.parametrize(
    ("slot", "why"),
    [
        ("{portfolio.sharpe}", "names no fact"),
        ("{portfolio.risk.value}", "names no fact"),
        ("{}", "names no fact"),
        ("{ portfolio.risk }", "names no fact"),
        ("{portfolio.risk.__class__}", "names no fact"),
        ("{portfolio.risk.name}", "about no instrument"),
        ("{portfolio.risk.venue}", "about no venue"),
        ("{portfolio.risk.direction}", "only a change"),
        ("{portfolio.risk.comparison}", "only a weight_change"),
        ("{portfolio.risk.rank}", "only a rank"),
    ],
)
def test_a_slot_that_cannot_be_filled_is_refused_with_its_reason(sheet: FactSheet, slot: str, why: str) -> None:
    with pytest.raises(DraftError, match=why) as caught:
        filled(sheet, f"The risk is {slot}")
    assert caught.value.faults[0].place == "point 1"


def test_what_is_unchanged_has_no_direction_and_a_flag_no_figure() -> None:
    for seed in range(30):
        sheet = fact_sheet(random_snapshot(World(seed=seed, n_assets=8, n_markets=3)), "edge_note")
        flag = next((f for f in sheet.facts if f.unit == "flag"), None)
        if flag is not None:
            with pytest.raises(DraftError, match="yes or no"):
                filled(sheet, f"It is {{{flag.id}}}")
    still = fact_sheet(random_snapshot(World(seed=3, n_assets=7)), "portfolio_summary")
    flat = next((f for f in still.facts if f.metric == "weight_change" and f.value == 0), None)
    if flat is not None:
        with pytest.raises(DraftError, match="unchanged"):
            filled(still, f"It {{{flat.id}.direction}}")


def test_a_mistyped_fact_is_told_the_nearest_one(sheet: FactSheet) -> None:
    with pytest.raises(DraftError) as caught:
        filled(sheet, "The risk is {portfolio.rsk}")
    assert "{portfolio.risk}" in str(caught.value.faults[0])
    assert "rsk" not in str(caught.value)


def test_all_faults_of_a_draft_are_told_at_once(sheet: FactSheet) -> None:
    with pytest.raises(DraftError) as caught:
        filled(sheet, "Up 3 {portfolio.rsk}", "no fact here", headline="twelve")
    assert {fault.place for fault in caught.value.faults} == {"headline", "point 1", "point 2"}


def test_a_draft_of_a_thousand_bad_slots_is_judged_at_once(sheet: FactSheet) -> None:
    point = "{portfolio.rsk}" * 26
    draft = RationaleDraft(headline="x", points=(point,) * 8, risks=("{a}" * 130,) * 4)
    began = time.process_time()
    with pytest.raises(DraftError):
        Slots(sheet).fill(draft)
    assert time.process_time() - began < 0.5


def test_a_fact_whose_id_no_slot_can_hold_is_neither_offered_nor_filled() -> None:
    catalog = Catalog()
    catalog.add_provider("p")
    odd = Instrument(id="a}b{c", kind=Kind.ASSET)
    venue = Venue(id="v", name="Vee", code="VEE", kind=Kind.ASSET)
    catalog.add(Listing(instruments=(odd,), venues=(venue,), pairs=((odd.id, venue.id),)))
    market = random_market(np.random.default_rng(0), catalog, World(late=0.0, dark=0.0))
    sheet = fact_sheet(Analysis().step(market), "position_explanation", odd.id)
    offered = json.loads(prompt(sheet)[1]["content"])
    assert offered["facts"] and not [fact for fact in offered["facts"] if "}" in fact["id"]]
    assert not [s for paragraph in sentences(sheet) for s in paragraph if "a}b" in s]
    with pytest.raises(DraftError):
        filled(sheet, "It is {a}b{c.fair}")
