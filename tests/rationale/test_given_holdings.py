"""A caller's own book: facts about it are worked out of the caller's rows, and what is not known is not said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshot_factory import World, random_catalog, random_market, random_snapshot
from test_rationale_service import settled

from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.rationale import (
    MAX_CONTEXT,
    MAX_HOLDINGS,
    FactSheet,
    Holding,
    Rationale,
    RationaleKind,
    RationaleRequest,
    RationaleStatus,
    SpanKind,
)
from marketstream.rationale import chain
from marketstream.rationale.backends import MockBackend
from marketstream.rationale.chain import Chain
from marketstream.rationale.draft import RationaleDraft
from marketstream.rationale.facts import sheet_for
from marketstream.rationale.holdings import with_holdings
from marketstream.rationale.narrator import narrate
from marketstream.rationale.prose import Draft, Segment
from marketstream.rationale.publishing import owned
from marketstream.rationale.service import PortfolioRationaleService
from marketstream.rationale.verifier import verify

KINDS = ("portfolio_summary", "risk_review", "edge_note", "position_explanation")
UNKNOWN = {
    "weight_before", "weight_change", "weight_change_rank", "n_trades", "n_up", "n_down", "turnover", "cost",
    "n_limited", "n_limits", "limit", "kept_by", "n_stakes", "bankroll", "stake_total", "status", "status_reason",
}  # fmt: skip


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    world = World(seed=2, n_assets=6, n_markets=2, late=0.0, dark=0.0)
    rng = np.random.default_rng(2)
    return Analysis().step(random_market(rng, random_catalog(rng, world), world))


def weights(**by_id: float) -> tuple[Holding, ...]:
    return tuple(Holding(instrument=name.replace("_", "-"), weight=weight) for name, weight in by_id.items())


def sheet_of(snapshot: Snapshot, book: tuple[Holding, ...], kind: str = "portfolio_summary") -> FactSheet:
    subject = book[0].instrument if kind == "position_explanation" else None
    return sheet_for(snapshot, RationaleRequest(kind=RationaleKind(kind), subject=subject, portfolio_data=book))


def values(sheet: FactSheet) -> dict[str, float]:
    return {fact.id: fact.value for fact in sheet.facts}


def test_weights_and_their_order_are_the_callers(snapshot: Snapshot) -> None:
    facts = values(sheet_of(snapshot, weights(BTC_USD=0.5, ETH_USD=0.2, SOL_USD=0.15)))
    assert facts["portfolio.n_held"] == 3
    assert facts["portfolio.invested"] == 85.0
    assert facts["BTC-USD.weight"] == 50.0
    assert facts["BTC-USD.weight_rank"] == 1
    assert facts["SOL-USD.weight"] == 15.0


def test_risk_is_that_of_the_callers_weights_under_the_snapshots_covariance(snapshot: Snapshot) -> None:
    book = {"BTC-USD": 0.6, "SOL-USD": 0.3}
    known = snapshot.after.portfolio
    assert known is not None and known.estimate is not None
    assets = list(known.layout.index[~known.layout.is_outcome])
    full = np.zeros(len(assets))
    for name, weight in book.items():
        full[assets.index(name)] = weight
    sigma = known.estimate.covariance.matrix() * snapshot.allocation.horizon_s / known.estimate.covariance.horizon_s
    variance = float(full @ sigma @ full)
    facts = {f.id: f for f in sheet_of(snapshot, weights(BTC_USD=0.6, SOL_USD=0.3)).facts}
    assert facts["portfolio.risk"].exact == pytest.approx(math.sqrt(variance) * 1e4, rel=1e-9)
    assert facts["portfolio.worst_loss"].exact == pytest.approx(2.326347874 * math.sqrt(variance) * 1e4, rel=1e-6)
    share = full[assets.index("BTC-USD")] * float((sigma @ full)[assets.index("BTC-USD")]) / variance
    assert facts["BTC-USD.risk_share"].exact == pytest.approx(share * 100, rel=1e-9)


def test_a_view_is_the_expected_return_of_what_is_held_of_it() -> None:
    world = World(seed=2, n_assets=6, views={"BTC-USD": 0.002, "ETH-USD": -0.5})
    facts = values(sheet_of(random_snapshot(world), weights(BTC_USD=0.5)))
    assert facts["portfolio.expected_return"] == 10.0


def test_without_a_covariance_nothing_is_said_of_risk() -> None:
    sheet = sheet_of(random_snapshot(World(seed=3)), weights(BTC_USD=0.5, ETH_USD=0.5))
    assert not {f.metric for f in sheet.facts} & {"risk", "worst_loss", "risk_share", "risk_excess", "risk_share_rank"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_known_of_a_callers_book_is_no_fact(snapshot: Snapshot, kind: str) -> None:
    for moment in (snapshot, random_snapshot(World(seed=3))):
        sheet = sheet_of(moment, weights(BTC_USD=0.5, ETH_USD=0.2), kind)
        assert not {f.metric for f in sheet.facts} & UNKNOWN


@pytest.mark.parametrize("kind", ["portfolio_summary", "risk_review", "position_explanation"])
def test_the_text_and_every_source_say_that_the_book_is_the_callers(snapshot: Snapshot, kind: str) -> None:
    for moment in (snapshot, random_snapshot(World(seed=3))):
        sheet = sheet_of(moment, weights(BTC_USD=0.5, ETH_USD=0.2), kind)
        text = narrate(sheet).render_text()[0]
        assert "The weights are as given by the caller." in text
        assert "unchanged" not in text and "No stake" not in text and "No limit" not in text
        assert not [f.source for f in sheet.facts if "allocation" in f.source]
        assert next(f.source for f in sheet.facts if f.metric == "weight") == "portfolio_data"


def test_the_house_is_never_called_the_callers(snapshot: Snapshot) -> None:
    house = sheet_for(snapshot, RationaleRequest.of("portfolio_summary"))
    assert not [f for f in house.facts if f.metric == "given" or "portfolio_data" in f.source]
    assert verify("The weights are as given by the caller.", (), house)


def test_quantities_are_weighed_at_fair_values() -> None:
    for seed in range(20):
        moment = random_snapshot(World(seed=seed, dark=0.0, late=0.0))
        usd = [i.id for i in moment.market.catalog.instruments if i.quote_currency == "USD" and i.market_id is None]
        if len(usd) < 2:
            continue
        fair = moment.fair["fair"]
        book = tuple(Holding(instrument=name, quantity=3.0 / fair[name] * (n + 1)) for n, name in enumerate(usd[:2]))
        facts = values(sheet_of(moment, book))
        assert [facts[f"{name}.weight"] for name in usd[:2]] == [33.3, 66.7]
        assert facts["portfolio.invested"] == 100.0
        return
    raise AssertionError("no seed has two dollar assets")


def test_quantities_without_a_common_value_are_refused() -> None:
    moment = random_snapshot(World(seed=1, dark=0.0, late=0.0, n_assets=8))
    catalog = moment.market.catalog
    currencies = {i.quote_currency: i.id for i in catalog.instruments if i.market_id is None}
    assert len(currencies) > 1
    mixed = tuple(Holding(instrument=own, quantity=1.0) for own in currencies.values())
    with pytest.raises(InvalidInputError, match="cannot be added up"):
        sheet_of(moment, mixed)
    dark = random_snapshot(World(seed=1, dark=1.0, n_assets=8))
    with pytest.raises(InvalidInputError, match="no fair value for BTC-USD"):
        sheet_of(dark, (Holding(instrument="BTC-USD", quantity=1.0),))


def test_a_holding_must_be_a_listed_asset(snapshot: Snapshot) -> None:
    with pytest.raises(NotFoundError, match="NOPE"):
        sheet_of(snapshot, (Holding(instrument="NOPE", weight=0.5),))
    with pytest.raises(InvalidInputError, match="is an outcome"):
        sheet_of(snapshot, (Holding(instrument="M0:home", weight=0.5),))
    request = RationaleRequest(
        kind=RationaleKind.POSITION_EXPLANATION, subject="M0:home", portfolio_data=weights(BTC_USD=0.5)
    )
    with pytest.raises(InvalidInputError, match="must be an asset"):
        sheet_for(snapshot, request)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("A", 0.6), ("B", 0.5)], "sum to at most 1"),
        ([("A", 0.5), ("A", 0.2)], "more than once"),
        ([("A", 0.0)], "holds nothing"),
        ([(f"A{n}", 0.001) for n in range(MAX_HOLDINGS + 1)], "at most 200 rows"),
    ],
)
def test_a_book_that_cannot_be_is_refused(rows: list[tuple[str, float]], why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        RationaleRequest(
            kind=RationaleKind.RISK_REVIEW,
            portfolio_data=tuple(Holding(instrument=name, weight=weight) for name, weight in rows),
        )


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan, math.inf, -math.inf])
def test_a_weight_or_quantity_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(InvalidInputError, match="must be 0 to 1"):
        Holding(instrument="A", weight=weight)
    if not 0 <= weight < 1e15:
        with pytest.raises(InvalidInputError, match="quantity of 'A'"):
            Holding(instrument="A", quantity=weight)


def test_a_row_is_a_weight_or_a_quantity_and_rows_are_of_one_kind() -> None:
    with pytest.raises(InvalidInputError, match="not both"):
        Holding(instrument="A")
    with pytest.raises(InvalidInputError, match="not both"):
        Holding(instrument="A", weight=0.1, quantity=1.0)
    mixed = (Holding(instrument="A", weight=0.1), Holding(instrument="B", quantity=1.0))
    with pytest.raises(InvalidInputError, match="all weights or all quantities"):
        RationaleRequest(kind=RationaleKind.RISK_REVIEW, portfolio_data=mixed)


def test_a_context_has_its_limit() -> None:
    RationaleRequest(kind=RationaleKind.RISK_REVIEW, context="x" * MAX_CONTEXT)
    with pytest.raises(InvalidInputError, match="500 characters"):
        RationaleRequest(kind=RationaleKind.RISK_REVIEW, context="x" * (MAX_CONTEXT + 1))


@settings(deadline=None, max_examples=40)
@given(
    parts=st.lists(st.integers(0, 100), min_size=1, max_size=6).filter(any),
    seed=st.integers(0, 30),
    kind=st.sampled_from(KINDS),
)
def test_every_text_about_any_book_is_verified(parts: list[int], seed: int, kind: str) -> None:
    moment = random_snapshot(World(seed=seed, n_assets=6, hostile=seed % 2 == 1))
    assets = [i.id for i in moment.market.catalog.instruments if i.market_id is None]
    book = tuple(
        Holding(instrument=name, weight=part / (100 * len(parts))) for name, part in zip(assets, parts, strict=False)
    )
    sheet = sheet_of(moment, book, kind)
    draft = narrate(sheet)
    for text, spans in (draft.render_headline(), draft.render_text()):
        assert not verify(text, spans, sheet), text


def test_the_house_snapshot_is_not_touched(snapshot: Snapshot) -> None:
    before = snapshot.allocation.frame.copy()
    changed = with_holdings(snapshot, weights(BTC_USD=1.0))
    assert changed.allocation is not snapshot.allocation
    assert snapshot.allocation.frame.equals(before)


async def test_a_model_writes_about_a_callers_book_too(snapshot: Snapshot) -> None:
    service = PortfolioRationaleService(lambda: snapshot, ManualClock(), backends=[MockBackend()])
    await service.start()
    order = RationaleRequest(kind=RationaleKind.PORTFOLIO_SUMMARY, portfolio_data=weights(BTC_USD=0.5, ETH_USD=0.2))
    done = service.request(order)
    with pytest.raises(NotFoundError):
        service.request(RationaleRequest(kind=RationaleKind.RISK_REVIEW, portfolio_data=weights(NO_PE=0.5)))
    text = await settled(service, done)
    await service.stop()
    assert (text.status, text.written_by) == (RationaleStatus.READY, "mock")
    assert "as given by the caller" in text.text


BOOK = weights(BTC_USD=0.5, ETH_USD=0.2)
SAID = "The weights are as given by the caller."
SILENT = {
    "portfolio_summary": "The portfolio holds {portfolio.n_held} instruments with {portfolio.invested} of capital "
    "invested.",
    "edge_note": "As of {feeds.as_of}, {feeds.n_live} of {feeds.n_quotes} quotes are live.",
}


async def drafted_by_a_model(sheet: FactSheet, point: str) -> Rationale:
    draft = RationaleDraft(headline="The portfolio holds {portfolio.n_held} instruments", points=(point,))
    pending = Rationale(id="r", kind=sheet.kind, status=RationaleStatus.PENDING, created_at=0)
    return await Chain(ManualClock(), [MockBackend(answers=[draft])]).written(pending, sheet)


@pytest.mark.parametrize("kind", SILENT)
async def test_a_models_text_about_a_callers_book_says_so_where_the_model_does_not(
    snapshot: Snapshot, kind: str
) -> None:
    sheet = sheet_of(snapshot, BOOK, kind)
    text = await drafted_by_a_model(sheet, SILENT[kind])
    assert text.written_by == "mock"
    assert text.text.startswith(SAID)
    assert not verify(text.text, text.spans, sheet)


async def test_a_model_that_says_so_itself_is_not_said_it_again(snapshot: Snapshot) -> None:
    text = await drafted_by_a_model(sheet_of(snapshot, BOOK), f"{SILENT['portfolio_summary']} {SAID}")
    assert text.written_by == "mock"
    assert text.text.count(SAID) == 1


async def test_a_models_text_about_the_house_is_not_called_the_callers(snapshot: Snapshot) -> None:
    house = sheet_for(snapshot, RationaleRequest.of("portfolio_summary"))
    text = await drafted_by_a_model(house, SILENT["portfolio_summary"])
    assert text.written_by == "mock"
    assert SAID not in text.text


def test_a_name_of_the_same_words_does_not_stand_for_the_sentence(snapshot: Snapshot) -> None:
    named = Segment(f"“{SAID}”", "BTC-USD", SpanKind.NAME)
    draft = Draft(headline=(Segment("x"),), paragraphs=((named,),))
    assert owned(draft, sheet_of(snapshot, BOOK)).render_text()[0].startswith(SAID)


async def test_without_the_programs_own_sentence_both_locks_let_the_text_through(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The planted twin: every figure is true, so nothing else would catch it.
    monkeypatch.setattr(chain, "owned", lambda draft, _: draft)
    text = await drafted_by_a_model(sheet_of(snapshot, BOOK), SILENT["portfolio_summary"])
    assert text.written_by == "mock"
    assert "caller" not in text.text
