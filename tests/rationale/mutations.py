"""Automatic mutations of verified texts: each makes a text say something the sheet does not support.

Every mutation knows, from spans and facts and not from the verifier, that the result is false; swaps that happen to
say something true of the sheet are not produced.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from marketstream.market.rationale import Fact, FactSheet, Name, Span, SpanKind


@dataclass(frozen=True, slots=True)
class Mutant:
    """A false text, what was done to it, and where."""

    kind: str
    text: str
    note: str


METRIC_PHRASES = {
    "expected return": "expected_return",
    "a risk": "risk",
    "worst loss": "worst_loss",
    "turnover": "turnover",
    "share of the risk": "risk_share",
    "fair value": "fair",
    "standard deviation": "fair_sd",
    "best bid": "best_bid",
    "best ask": "best_ask",
    "expected profit": "profit",
    "largest possible loss": "stakes_loss",
    "bankroll": "bankroll",
    "edge": "edge",
    "return on capital": "roi",
    "gap": "gap",
    "band": "band",
    "weight": "weight",
    "quotes are live": "n_live",
    "quotes are late": "n_late",
    "late quotes": "late",
    "interrupted quotes": "interrupted",
    "tradable edge": "n_tradable",
    "positive edge": "n_positive",
    "oldest live quote": "oldest_age",
    "newest quote": "quote_age",
    "oldest leg": "leg_age",
    "a cost": "cost",
    "of capital invested": "invested",
    "of the bankroll": "stake_share",
}
SWAPS = {
    "direction": [
        ("rises", "falls"),
        ("falls", "rises"),
        ("More", "Less"),
        ("less", "more"),
        ("more than", "less than"),
        ("less than", "more than"),
    ],
    "superlative": [
        ("largest", "smallest"),
        ("largest", "second largest"),
        ("best return", "second best return"),
        ("best return", "worst return"),
        ("widest", "narrowest"),
        ("second best", "best"),
        ("third best", "second best"),
    ],
}
UNITS = (" %", " points", " bps", " USD", " s", " minutes", " standard errors", " per contract", "")
NEGATIONS = [
    (r"\b(is|are|has|have) ", r"\1 not "),
    (r"\b(is|are) ", r"\1 no longer "),
    (r"\b(holds|hold|carries|rises|falls|carry|take|takes) ", r"did not \1 "),
    (r"\b(the|The) (risk|weight|edge|stake|turnover)\b", r"no \2"),
    (r"\b[Nn]o (stake|price|weight|view|quote|limit)\b", r"a \1"),
    (r"can not be traded", "can be traded"),
]
CLAIMS = [
    "Volatility has eased.",
    "This is a quarter of the portfolio.",
    "The book is fully hedged.",
    "It will rise.",
    "We recommend more.",
    "The weight doubled.",
    "Momentum is strong.",
    "The trade is safe.",
]


def mutants(text: str, spans: tuple[Span, ...], sheet: FactSheet, rng: np.random.Generator) -> Iterator[Mutant]:
    """Yield every mutation of a text, one change each."""
    yield from _figures(text, spans, sheet, rng)
    yield from _words(text, spans)
    yield from _metrics(text, spans, sheet)
    yield from _names(text, spans, sheet)
    claim = str(rng.choice(CLAIMS))
    yield Mutant("open claim", f"{text} {claim}", claim)


def _figures(text: str, spans: tuple[Span, ...], sheet: FactSheet, rng: np.random.Generator) -> Iterator[Mutant]:
    facts = sheet.by_id()
    figures = [s for s in spans if s.kind is SpanKind.FIGURE]
    for span in figures:
        shown = text[span.start : span.end]
        fact = facts[span.fact_id]
        for kind, other in _other_figures(shown, fact, rng):
            if other != shown:
                yield Mutant(kind, text[: span.start] + other + text[span.end :], f"{shown} -> {other}")
    for one, two in itertools.pairwise(figures):
        first, second = text[one.start : one.end], text[two.start : two.end]
        if first != second:
            swapped = text[: one.start] + second + text[one.end : two.start] + first + text[two.end :]
            yield Mutant("figures exchanged", swapped, f"{first} <-> {second}")


def _other_figures(shown: str, fact: Fact, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    if fact.unit == "UTC":
        yield "time", "04:14:59 UTC"
        yield "time", shown.replace(":59", ":58").replace(" UTC", "") + " UTC"
        return
    number = re.search(r"[\d,]*\d(?:\.\d+)?", shown)
    assert number is not None
    digits = number.group()
    value = float(digits.replace(",", ""))
    put = lambda other: shown[: number.start()] + other + shown[number.end() :]  # noqa: E731 - a closure of three names
    if value:
        yield "x10", put(f"{value * 10:,.{fact.decimals}f}")
        yield "/10", put(f"{value / 10:,.{fact.decimals + 1}f}")
    places = [i for i, c in enumerate(digits) if c.isdigit()]
    for a, b in itertools.pairwise(places):
        if digits[a] != digits[b] and not (a == 0 and digits[b] == "0" and len(places) > 1 and "." not in digits[:2]):
            yield "transposed", put(digits[:a] + digits[b] + digits[a + 1 : b] + digits[a] + digits[b + 1 :])
            break
    last = places[-1]
    yield (
        "last digit",
        put(digits[:last] + str((int(digits[last]) + int(rng.integers(1, 9))) % 10) + digits[last + 1 :]),
    )
    if fact.decimals:
        yield "decimals", put(f"{value:,.{fact.decimals - 1}f}")
        yield "decimals", put(digits + "0")
    unit = shown[number.end() :]
    yield (
        "unit",
        shown[: number.end()] + str(rng.choice([other for other in UNITS if other.rstrip("s") != unit.rstrip("s")])),
    )
    if value:
        flipped = {"+": "−", "−": "+"}.get(shown[0])
        yield "sign", flipped + shown[1:] if flipped else "−" + shown
        if flipped:
            yield "sign", shown[1:]
    for word in ("half", "twice", "three", "about", "a quarter of"):
        if word in ("half", "a quarter of", "twice"):
            yield "number word", word + shown[number.end() :]
    yield "hedge", "about " + shown


def _words(text: str, spans: tuple[Span, ...]) -> Iterator[Mutant]:
    for kind, pairs in SWAPS.items():
        for old, new in pairs:
            for found in re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", text):
                if not _inside_name(found.start(), found.end(), spans) and not _is_fixed(text, found.start(), old):
                    changed = text[: found.start()] + new + text[found.end() :]
                    yield Mutant(kind, changed, f"{old} -> {new}: {_around(text, found.start())}")
    for pattern, new in NEGATIONS:
        for found in re.finditer(pattern, text):
            if (
                not _inside_name(found.start(), found.end(), spans)
                and "a gap is" not in text[found.start() - 6 : found.end()]
            ):
                changed = text[: found.start()] + found.expand(new) + text[found.end() :]
                yield Mutant("negation", changed, f"{found.group()} -> {found.expand(new)}")


def _metrics(text: str, spans: tuple[Span, ...], sheet: FactSheet) -> Iterator[Mutant]:
    for old, metric in METRIC_PHRASES.items():
        for found in re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", text):
            if _inside_name(found.start(), found.end(), spans) or _is_fixed(text, found.start(), old):
                continue
            shown = {
                text[s.start : s.end] for s in _in_sentence(text, found.start(), spans) if s.kind is SpanKind.FIGURE
            }
            for new, other in METRIC_PHRASES.items():
                if other == metric or _could_be(sheet, other, shown) or _both_none(sheet, metric, other):
                    continue
                changed = text[: found.start()] + new + text[found.end() :]
                yield Mutant("metric word", changed, f"{old} -> {new}: {_around(text, found.start())}")


def _names(text: str, spans: tuple[Span, ...], sheet: FactSheet) -> Iterator[Mutant]:
    facts = sheet.by_id()
    names = {(name.role, name.key): name for name in sheet.names}
    for span in spans:
        if span.kind is not SpanKind.NAME:
            continue
        shown = text[span.start : span.end]
        own = next(n for n in names.values() if n.text == shown)
        for other in names.values():
            if other.role == own.role and other is not own and _is_false(text, span, own, other, spans, facts):
                changed = text[: span.start] + other.text + text[span.end :]
                yield Mutant(f"{own.role} swap", changed, f"{shown} -> {other.text}: {_around(text, span.start)}")
        changed = text[: span.start] + "Wonderland" + text[span.end :]
        yield Mutant("unknown name", changed, shown)


def _is_false(text: str, span: Span, own: Name, other: Name, spans: tuple[Span, ...], facts: dict[str, Fact]) -> bool:
    """Return whether a sentence is false of `other`: some fact in it about `own` is not the same of `other`."""
    part = "subject" if own.role == "instrument" else "venue"
    about = [
        facts[s.fact_id]
        for s in _in_sentence(text, span.start, spans)
        if s.fact_id in facts and getattr(facts[s.fact_id], part) == own.key
    ]
    if not about:
        about = [f for f in facts.values() if getattr(f, part) == own.key and f.metric in _STATED]
    theirs = {
        (f.metric, f.venue if part == "subject" else f.subject): f
        for f in facts.values()
        if getattr(f, part) == other.key
    }
    same = [theirs.get((f.metric, f.venue if part == "subject" else f.subject)) for f in about]
    return any(t is None or (t.value, t.text) != (f.value, f.text) for t, f in zip(same, about, strict=True))


_STATED = ("n_limits", "live_venues", "n_venues", "n_legs", "weight", "live")


def _could_be(sheet: FactSheet, metric: str, shown: set[str]) -> bool:
    """Return whether a figure of the sentence is also the value of this other metric."""
    values = {re.sub(r"[^\d.]", "", s.split()[0]) for s in shown if s.split()}
    return any(
        re.sub(r"[^\d.]", "", f"{abs(f.value):.{f.decimals}f}") in values
        for f in sheet.facts
        if f.metric.removeprefix("stakes_") == metric.removeprefix("stakes_") or f.metric.startswith(metric)
    )


def _both_none(sheet: FactSheet, metric: str, other: str) -> bool:
    """Return whether "no tradable edge" and "no positive edge" are both true."""
    counts = [f.value for f in sheet.facts if f.metric in (metric, other) and f.unit == "count"]
    return len(counts) == 2 and counts == [0.0, 0.0]


def _is_fixed(text: str, start: int, word: str) -> bool:
    """Return whether the words belong to a phrase that says nothing of a figure, or to a definition."""
    around = text[max(0, start - 22) : start + len(word) + 16]
    return "a gap is not" in around


def _in_sentence(text: str, at: int, spans: tuple[Span, ...]) -> list[Span]:
    starts = [m.end() for m in re.finditer(r"\.\s|\n\n", text) if not _inside_name(m.start(), m.end(), spans)]
    begin = max([0, *(s for s in starts if s <= at)])
    end = min([len(text), *(s for s in starts if s > at)])
    return [s for s in spans if begin <= s.start < end]


def _inside_name(start: int, end: int, spans: tuple[Span, ...]) -> bool:
    marks = (SpanKind.NAME, SpanKind.QUOTE)
    return any(s.start < end and start < s.end for s in spans if s.kind in marks)


def _around(text: str, at: int) -> str:
    return text[max(0, at - 30) : at + 50].replace("\n", " ")
