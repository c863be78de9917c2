"""The nouns of the rationale refuse what no text may hold, and turn into plain JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest

from marketstream.errors import InvalidInputError
from marketstream.market.rationale import (
    Fact,
    FactSheet,
    Issue,
    IssueKind,
    Name,
    Rationale,
    RationaleHead,
    RationaleKind,
    RationaleRequest,
    RationaleStatus,
    Span,
    SpanKind,
    entity_key,
    fact_id,
)


def fact(value: float = 3.3, **changes: object) -> Fact:
    base = Fact(
        id="BTC-USD.weight",
        subject="BTC-USD",
        subject_name="BTC-USD",
        metric="weight",
        value=3.3,
        unit="%",
        decimals=1,
        as_of=1,
        source="test",
        exact=3.31,
    )
    return replace(base, value=value, **changes)


def sheet(*facts: Fact, names: tuple[Name, ...] = ()) -> FactSheet:
    return FactSheet(
        kind=RationaleKind.RISK_REVIEW, subject=None, as_of=1, sequence=1, facts=facts or (fact(),), names=names
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3.31, -0.0])
def test_a_fact_refuses_what_cannot_be_shown(value: float) -> None:
    with pytest.raises(InvalidInputError, match=r"BTC-USD\.weight"):
        fact(value)


@pytest.mark.parametrize("field", ["exact", "age_ms"])
def test_a_fact_refuses_figures_behind_it_that_are_not_finite(field: str) -> None:
    with pytest.raises(InvalidInputError, match=field):
        fact(**{field: float("nan")})


def test_a_sheet_refuses_two_facts_of_one_id() -> None:
    with pytest.raises(InvalidInputError, match="unique"):
        sheet(fact(), fact(4.0))


def test_a_sheet_refuses_two_names_written_alike() -> None:
    one = Name(key="a", role="instrument", id="a", text="“Draw”")
    with pytest.raises(InvalidInputError, match="unique"):
        sheet(names=(one, replace(one, key="b", id="b")))


def test_a_sheet_refuses_to_be_empty() -> None:
    with pytest.raises(InvalidInputError, match="1 to 400"):
        FactSheet(kind=RationaleKind.RISK_REVIEW, subject=None, as_of=1, sequence=1, facts=(), names=())


def test_a_sheet_gives_its_facts_by_id() -> None:
    assert sheet().by_id()[fact_id("BTC-USD", "weight")].value == 3.3


def test_ids_of_hostile_names_stay_apart() -> None:
    # An instrument "A@b" and instrument "A" at venue "b" are two things; so are "feeds" and the feeds.
    assert fact_id(entity_key("A@b"), "edge") != fact_id(entity_key("A"), "edge", entity_key("b"))
    assert entity_key("feeds") != "feeds"
    assert len({entity_key(i) for i in ("a@b", "a%40b", "a%2540b")}) == 3


def test_a_request_takes_its_kind_by_name() -> None:
    assert RationaleRequest.of("edge_note").kind is RationaleKind.EDGE_NOTE


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("poem", None),
        ("position_explanation", None),
        ("risk_review", "BTC-USD"),
        ("position_explanation", ""),
        ("position_explanation", "x" * 65),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(kind: str, subject: str | None) -> None:
    with pytest.raises(InvalidInputError):
        RationaleRequest.of(kind, subject)


def test_a_rationale_becomes_strict_json() -> None:
    text = Rationale(
        id="rationale-000001",
        kind=RationaleKind.RISK_REVIEW,
        status=RationaleStatus.READY,
        text="3.3 %",
        spans=(Span(start=0, end=5, fact_id="BTC-USD.weight", kind=SpanKind.FIGURE),),
        facts=(fact(),),
        issues=(Issue(kind=IssueKind.WRONG_UNIT, start=0, end=5, message="no"),),
        created_at=7,
    )
    plain = json.loads(json.dumps(text.to_json(), allow_nan=False))
    assert plain["kind"] == "risk_review"
    assert plain["spans"] == [{"start": 0, "end": 5, "fact_id": "BTC-USD.weight", "kind": "figure"}]
    assert plain["facts"][0]["value"] == 3.3
    assert plain["issues"][0]["kind"] == "wrong_unit"


def test_used_facts_are_those_that_spans_show_each_once() -> None:
    other = fact(id="portfolio.risk", subject="portfolio", metric="risk")
    spans = tuple(
        Span(start=i, end=i + 1, fact_id=key, kind=kind)
        for i, (key, kind) in enumerate(
            [
                ("portfolio.risk", SpanKind.FIGURE),
                ("BTC-USD", SpanKind.NAME),
                ("BTC-USD.weight", SpanKind.FIGURE),
                ("portfolio.risk", SpanKind.FIGURE),
            ]
        )
    )
    text = Rationale(
        id="r",
        kind=RationaleKind.RISK_REVIEW,
        status=RationaleStatus.READY,
        spans=spans,
        facts=(fact(), other),
        created_at=0,
    )
    assert [f.id for f in text.used_facts] == ["portfolio.risk", "BTC-USD.weight"]


def test_a_rationale_comes_back_from_its_json() -> None:
    text = Rationale(
        id="rationale-000001",
        kind=RationaleKind.POSITION_EXPLANATION,
        subject="BTC-USD",
        status=RationaleStatus.READY,
        text="3.3 %",
        spans=(Span(start=0, end=5, fact_id="BTC-USD.weight", kind=SpanKind.FIGURE),),
        facts=(fact(), fact(id="x", venue="alder", age_ms=5.0, text="words")),
        issues=(Issue(kind=IssueKind.WRONG_UNIT, start=0, end=5, message="no"),),
        created_at=2**63 - 1,
    )
    assert Rationale.from_json(json.loads(json.dumps(text.to_json()))) == text


@pytest.mark.parametrize(
    "changes",
    [{"kind": "poem"}, {"created_at": "soon"}, {"spans": [{"start": 0}]}, {"id": None}, {"facts": [{"value": 0.33}]}],
)
def test_what_is_no_rationale_is_refused(changes: dict[str, object]) -> None:
    plain = Rationale(id="r", kind=RationaleKind.RISK_REVIEW, status=RationaleStatus.READY, created_at=0).to_json()
    with pytest.raises(InvalidInputError, match="this is no rationale"):
        Rationale.from_json({**plain, **changes})


def test_a_head_is_read_from_the_json_of_a_whole_text() -> None:
    text = Rationale(
        id="r",
        kind=RationaleKind.RISK_REVIEW,
        status=RationaleStatus.READY,
        headline="3.3 % in BTC-USD",
        facts=(fact(),),
        n_figures=1,
        written_by="narrator",
        created_at=1,
    )
    head = RationaleHead.from_record(json.dumps(text.to_json()))
    names = [field.name for field in dataclasses.fields(RationaleHead)]
    assert [getattr(head, name) for name in names] == [getattr(text, name) for name in names]
    assert "facts" not in names


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", '{"id": "r", "kind": "ballad", "status": "ready", "created_at": 1}']
)
def test_what_is_no_text_has_no_head(record: str) -> None:
    with pytest.raises(InvalidInputError, match="no rationale"):
        RationaleHead.from_record(record)
