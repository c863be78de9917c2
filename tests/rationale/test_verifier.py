"""The verifier refuses what the sheet does not support, says why, and lets other true words pass."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from marketstream.market.rationale import (
    EDGES,
    FEEDS,
    PORTFOLIO,
    Fact,
    FactSheet,
    IssueKind,
    Name,
    RationaleKind,
    Span,
    SpanKind,
    fact_id,
)
from marketstream.rationale import binding, claims, lexicon, reading, verifier
from marketstream.rationale.verifier import examine, verify, verify_text


def fact(subject: str, metric: str, value: float, unit: str, decimals: int = 0, **more: object) -> Fact:
    venue = more.pop("venue", None)
    return Fact(
        id=fact_id(subject, metric, venue),
        subject=subject,
        subject_name=subject,
        metric=metric,
        venue=venue,
        value=value,
        unit=unit,
        decimals=decimals,
        as_of=0,
        source="test",
        exact=value,
        **more,
    )


def hand_made() -> FactSheet:
    """Return a sheet with two assets, an outcome called 3M Co, two venues and a handful of facts."""
    percent, points = ("%", 1), ("points", 1)
    facts = (
        fact(FEEDS, "as_of", 51299.0, "UTC", text="14:14:59"),
        fact(FEEDS, "n_live", 62.0, "count"),
        fact(FEEDS, "n_quotes", 64.0, "count"),
        fact(FEEDS, "n_late", 2.0, "count"),
        fact(FEEDS, "oldest_age", 0.6, "s", 1),
        fact(FEEDS, "late", 2.0, "count", venue="kraken"),
        fact(FEEDS, "live", 14.0, "count", venue="kraken"),
        fact(PORTFOLIO, "n_held", 16.0, "count"),
        fact(PORTFOLIO, "invested", 100.0, *percent),
        fact(PORTFOLIO, "expected_return", 4.1, "bps", 1, directional=True),
        fact(PORTFOLIO, "risk", 21.6, "bps", 1),
        fact(PORTFOLIO, "worst_loss", 50.2, "bps", 1),
        fact(PORTFOLIO, "confidence", 99.0, "%"),
        fact(PORTFOLIO, "horizon", 30.0, "min"),
        fact(PORTFOLIO, "turnover", 6.8, *percent),
        fact(PORTFOLIO, "cost", 0.5, "bps", 1),
        fact(PORTFOLIO, "n_stakes", 4.0, "count"),
        fact(PORTFOLIO, "n_limited", 0.0, "count"),
        fact(EDGES, "n_tradable", 3.0, "count"),
        fact(EDGES, "n_prices", 120.0, "count"),
        fact("SOL-USD", "weight", 15.7, *percent),
        fact("SOL-USD", "weight_before", 12.4, *percent),
        fact("SOL-USD", "weight_change", 3.3, *points, directional=True),
        fact("SOL-USD", "weight_change_rank", 1.0, "rank"),
        fact("SOL-USD", "risk_share", 24.1, *percent),
        fact("SOL-USD", "risk_excess", 8.4, *points, directional=True),
        fact("SOL-USD", "price_change", -0.87, "%", 2, directional=True),
        fact("SOL-USD", "price_window", 15.0, "min"),
        fact("SOL-USD", "n_limits", 1.0, "count"),
        fact("SOL-USD", "limit", 1.0, "text", text="largest weight"),
        fact("SOL-USD", "gap", 9.4, "bps", 1, venue="kraken", directional=True),
        fact("SOL-USD", "gap", -2.0, "bps", 1, venue="alder", directional=True),
        fact("SOL-USD", "live_venues", 4.0, "count"),
        fact("ETH-USD", "weight", 14.0, *percent),
        fact("ETH-USD", "weight_change", -2.1, *points, directional=True),
        fact("ETH-USD", "n_limits", 0.0, "count"),
        fact("3m", "ask", 0.694, "probability", 4, venue="kraken"),
        fact("3m", "fair", 0.7124, "probability", 4),
        fact("3m", "edge", 0.0121, "probability per contract", 4, venue="kraken", directional=True),
        fact("3m", "tradable", 1.0, "flag", venue="kraken"),
        fact("3m", "stake", 400.0, "USD", venue="kraken"),
        fact("3m", "profit", 12.1, "USD", 2, venue="kraken"),
        fact("not", "fair", 0.25, "probability", 4),
    )
    names = (
        Name(key="SOL-USD", role="instrument", id="SOL-USD", text="SOL-USD"),
        Name(key="ETH-USD", role="instrument", id="ETH-USD", text="ETH-USD"),
        Name(key="3m", role="instrument", id="3m", text="“3M Co”"),
        Name(key="not", role="instrument", id="not", text="“NOT”"),
        Name(key="kraken", role="venue", id="kraken", text="Kraken"),
        Name(key="alder", role="venue", id="alder", text="Alder"),
    )
    kind = RationaleKind.PORTFOLIO_SUMMARY
    return FactSheet(kind=kind, subject=None, as_of=0, sequence=1, facts=facts, names=names)


SHEET = hand_made()
K = IssueKind

TRUE = [
    "As of 14:14:59 UTC the portfolio holds 16 instruments with 100.0 % of capital invested.",
    "The risk is 21.6 bps per 30 minutes, and the expected return +4.1 bps.",
    "The worst loss is 50.2 bps at a confidence of 99 %.",
    "The turnover of 6.8 % has a cost of 0.5 bps.",
    "SOL-USD has a weight of 15.7 %. It carries 24.1 % of the risk: 8.4 points more than its weight.",
    "The weight of SOL-USD climbs from 12.4 % by 3.3 points to 15.7 %, while the weight of ETH-USD drops to 14.0 %.",
    "The largest trade is SOL-USD.",
    "More SOL-USD, less ETH-USD",
    "SOL-USD: the weight grows by 3.3 points",
    "The reference price of SOL-USD declines by 0.87 % over 15 minutes.",
    "Kraken has 2 late quotes; 62 of the 64 quotes are live.",
    "The gap of SOL-USD is +9.4 bps on Kraken and the gap on Alder is −2.0 bps; a gap is not a return.",
    "For “3M Co” Kraken has an ask of 0.6940 and an edge after fees of +0.0121 per contract. It can be traded.",
    "The stake on “3M Co” at Kraken is 400 USD, with an expected profit of 12.10 USD.",
    "The fair value of “NOT” is 0.2500.",
    "SOL-USD is held by the limit “largest weight”.",
    "3 of 120 prices carry a tradable edge.",
]

FALSE = [
    # Figures: value, decimals, unit, sign, thousands, notation.
    ("The risk is 21.7 bps.", K.UNSUPPORTED_NUMBER),
    ("The risk is 22 bps.", K.UNSUPPORTED_NUMBER),
    ("The risk is 21.60 bps.", K.UNSUPPORTED_NUMBER),
    ("The risk is 21.6 %.", K.WRONG_UNIT),
    ("The risk is 21.6.", K.WRONG_UNIT),
    ("The risk is −21.6 bps.", K.WRONG_SIGN),
    ("The expected return is −4.1 bps.", K.WRONG_SIGN),
    ("The expected return is 4.1 bps.", K.WRONG_SIGN),
    ("The expected return is ±4.1 bps.", K.WRONG_SIGN),
    ("The risk is 2.16e1 bps.", K.UNSUPPORTED_NUMBER),
    ("The risk is ２１.６ bps.", K.UNSUPPORTED_NUMBER),
    ("The stake on “3M Co” at Kraken is 4,00 USD.", K.UNSUPPORTED_NUMBER),
    ("The stake on “3M Co” at Kraken is $400.", K.UNSUPPORTED_NUMBER),
    ("There are 16 portfolios.", K.UNSUPPORTED_NUMBER),
    # Whom, where and what.
    ("ETH-USD has a weight of 15.7 %.", K.SWAPPED_SUBJECT),
    ("SOL-USD and ETH-USD have a weight of 14.0 %.", K.SWAPPED_SUBJECT),
    ("The gap of SOL-USD is +9.4 bps on Alder.", K.WRONG_VENUE),
    ("The risk is 21.6 bps on Kraken.", K.WRONG_VENUE),
    ("The turnover is 21.6 bps.", K.WRONG_METRIC),
    ("The expected return per 30 minutes and a turnover of 6.8 % per 30 minutes.", K.WRONG_METRIC),
    ("At a confidence of 99 % the expected return is +4.1 bps.", K.WRONG_METRIC),
    ("The weight of SOL-USD rises by 3.3 points over 15 minutes.", K.WRONG_METRIC),
    ("The fair value of 3M Co is 0.7124.", K.UNSUPPORTED_NUMBER),
    ("The fair value of NOT is 0.2500.", K.UNKNOWN_ENTITY),
    ("The weight of DOGE-USD is 15.7 %.", K.UNKNOWN_ENTITY),
    ("The weight of “Tesla” is 15.7 %.", K.UNKNOWN_ENTITY),
    ("The weight of SOL-USDT is 15.7 %.", K.UNKNOWN_ENTITY),
    # Direction, rank, negation.
    ("The weight of SOL-USD falls by 3.3 points.", K.WRONG_DIRECTION),
    ("The weight of SOL-USD falls to 15.7 %.", K.WRONG_DIRECTION),
    ("The weight of SOL-USD rises to 12.4 %.", K.WRONG_METRIC),
    ("The weight of SOL-USD rises by −3.3 points.", K.WRONG_DIRECTION),
    ("Less SOL-USD, more ETH-USD", K.WRONG_DIRECTION),
    ("SOL-USD carries 24.1 % of the risk, 8.4 points less than its weight.", K.WRONG_DIRECTION),
    ("The reference price of SOL-USD did not rise 0.87 %.", K.UNSUPPORTED_CLAIM),
    ("The reference price of SOL-USD rises by 0.87 %.", K.WRONG_DIRECTION),
    ("The largest trade is ETH-USD.", K.UNSUPPORTED_SUPERLATIVE),
    ("The smallest trade is SOL-USD.", K.UNSUPPORTED_SUPERLATIVE),
    ("SOL-USD has the largest weight.", K.UNSUPPORTED_SUPERLATIVE),
    ("“3M Co” at Kraken can not be traded.", K.UNSUPPORTED_CLAIM),
    ("No stake is open.", K.UNSUPPORTED_CLAIM),
    ("No price carries a tradable edge.", K.UNSUPPORTED_CLAIM),
    ("SOL-USD has no live source.", K.UNSUPPORTED_CLAIM),
    ("Kraken has no live quote.", K.UNSUPPORTED_CLAIM),
    ("ETH-USD is held by the limit “largest weight”.", K.UNKNOWN_ENTITY),
    ("SOL-USD is held by the limit “smallest weight”.", K.UNKNOWN_ENTITY),
    ("All 64 quotes are live.", K.UNSUPPORTED_NUMBER),
    ("SOL-USD: the weight is unchanged at 15.7 %.", K.UNSUPPORTED_CLAIM),
    ("The largest hold is SOL-USD.", K.UNSUPPORTED_SUPERLATIVE),
    ("SOL-USD, among them ETH-USD, has a weight of 15.7 %.", K.UNSUPPORTED_CLAIM),
    ("No weight is held by a limit of 15.7 %.", K.UNSUPPORTED_CLAIM),
    # Times.
    ("As of 14:14:58 UTC the risk is 21.6 bps.", K.WRONG_TIME),
    ("As of 14:14 the risk is 21.6 bps.", K.WRONG_TIME),
    ("As of 2026-01-01 the risk is 21.6 bps.", K.WRONG_TIME),
    # Words in place of figures, and words that no fact can support.
    ("A quarter of the portfolio is in SOL-USD.", K.UNSUPPORTED_NUMBER),
    ("SOL-USD carries a quarter of the risk.", K.UNSUPPORTED_NUMBER),
    ("The weight of SOL-USD doubled to 15.7 %.", K.UNSUPPORTED_NUMBER),
    ("The stake is twice the expected profit of 12.10 USD.", K.UNSUPPORTED_NUMBER),
    ("Three stakes are open.", K.UNSUPPORTED_NUMBER),
    ("Most of the risk is in SOL-USD.", K.UNSUPPORTED_NUMBER),
    ("The portfolio holds ½ of capital.", K.UNSUPPORTED_NUMBER),
    ("Volatility has eased.", K.UNSUPPORTED_CLAIM),
    ("The book is fully hedged.", K.UNSUPPORTED_CLAIM),
    ("The risk is only 21.6 bps.", K.UNSUPPORTED_CLAIM),
    ("The risk is about 21.6 bps.", K.UNSUPPORTED_CLAIM),
    ("The risk will be 21.6 bps.", K.UNSUPPORTED_CLAIM),
    ("The risk is 21.6 bps because the turnover is 6.8 %.", K.UNSUPPORTED_CLAIM),
    ("Buy SOL-USD at a weight of 15.7 %.", K.UNKNOWN_ENTITY),
    ("“3M Co” has a larger edge than the Lakers.", K.UNKNOWN_ENTITY),
    ("The risk is high.", K.UNSUPPORTED_CLAIM),
    ("The portfolio is at risk.", K.UNSUPPORTED_CLAIM),
    ("The portfolio is.", K.UNSUPPORTED_CLAIM),
    ("Is the risk 21.6 bps?", K.UNSUPPORTED_CLAIM),
    # Characters that hide something.
    ("The risk is 21.6\u200b bps.", K.WRONG_UNIT),
    ("The risk is \u202e6.12 bps.", K.UNSUPPORTED_NUMBER),
    ("The r\u0456sk is 21.6 bps.", K.UNSUPPORTED_CLAIM),
    ("<b>The risk is 21.6 bps.</b>", K.UNKNOWN_ENTITY),
    ("The risk is 21.6 bps, see https://example.org.", K.UNSUPPORTED_CLAIM),
]


@pytest.mark.parametrize("text", TRUE)
def test_true_words_that_the_narrator_does_not_use_pass(text: str) -> None:
    assert verify_text(text, SHEET) == ()


@pytest.mark.parametrize(("text", "kind"), FALSE)
def test_a_false_or_unsupported_text_is_refused_for_its_reason(text: str, kind: IssueKind) -> None:
    kinds = {issue.kind for issue in verify_text(text, SHEET)}
    assert kind in kinds, kinds


def test_issues_point_at_the_words_they_are_about() -> None:
    text = "The risk is 21.6 bps and the turnover is 9.9 %."
    (issue,) = [i for i in verify_text(text, SHEET) if i.kind is K.UNSUPPORTED_NUMBER]
    assert text[issue.start : issue.end] == "9.9 %"
    assert "6.8" in issue.message


def spans_of(text: str, *marks: tuple[str, str, SpanKind]) -> tuple[Span, ...]:
    return tuple(
        Span(start=text.index(piece), end=text.index(piece) + len(piece), fact_id=key, kind=kind)
        for piece, key, kind in marks
    )


TEXT = "SOL-USD: the weight rises by 3.3 points to 15.7 % of capital"
MARKS = (
    ("SOL-USD", "SOL-USD", SpanKind.NAME),
    ("rises", "SOL-USD.weight_change", SpanKind.DIRECTION),
    ("3.3 points", "SOL-USD.weight_change", SpanKind.FIGURE),
    ("15.7 %", "SOL-USD.weight", SpanKind.FIGURE),
)


def test_spans_that_say_what_the_text_says_pass() -> None:
    assert verify(TEXT, spans_of(TEXT, *MARKS), SHEET) == ()


@pytest.mark.parametrize("place", range(4))
def test_a_span_that_says_another_fact_is_refused(place: int) -> None:
    marks = [(p, "ETH-USD" if i == place else key, k) for i, (p, key, k) in enumerate(MARKS)]
    assert [i.kind for i in verify(TEXT, spans_of(TEXT, *marks), SHEET)] == [K.WRONG_SPAN]


def test_a_figure_without_a_span_is_refused() -> None:
    assert [i.kind for i in verify(TEXT, spans_of(TEXT, *MARKS[:3]), SHEET)] == [K.WRONG_SPAN]


def test_spans_out_of_place_are_refused() -> None:
    spans = spans_of(TEXT, *MARKS)
    shifted = (*spans[:3], replace(spans[3], start=spans[3].start - 1))
    overlapping = (*spans, spans[0])
    beyond = (*spans, Span(start=500, end=505, fact_id="SOL-USD.weight", kind=SpanKind.FIGURE))
    for bad in (shifted, overlapping, beyond):
        assert K.WRONG_SPAN in {i.kind for i in verify(TEXT, bad, SHEET)}


def test_spans_cannot_make_a_false_text_true() -> None:
    text = TEXT.replace("15.7 %", "16.7 %")
    marks = [(p.replace("15.7", "16.7"), key, k) for p, key, k in MARKS]
    assert K.UNSUPPORTED_NUMBER in {i.kind for i in verify(text, spans_of(text, *marks), SHEET)}


def test_every_figure_and_time_is_counted() -> None:
    assert examine("As of 14:14:59 UTC the risk is 21.6 bps per 30 minutes.", (), SHEET).n_figures == 3


def test_the_verifier_imports_nothing_of_the_narrator() -> None:
    for module in (verifier, claims, binding, reading, lexicon):
        source = inspect.getsource(module)
        for writer in (
            "prose",
            "narrator",
            "sentences",
            "book_texts",
            "market_texts",
            "edge_sentences",
            "sheet import",
        ):
            assert f"rationale.{writer}" not in source
