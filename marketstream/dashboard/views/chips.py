"""A rationale as markup: its figures are chips that show the fact behind them on hover and on focus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import empty
from marketstream.dashboard.text import Markup, join, markup
from marketstream.market.rationale import Fact, Outcome, Rationale, RationaleStatus, Span, SpanKind


def rationale_markup(rationale: Rationale, *, old: bool) -> Markup:
    """Return headline, paragraphs with figures as chips, and the line that answers for them."""
    if rationale.status is RationaleStatus.FAILED:
        return empty("Nothing could be written.", rationale.reason)
    facts = {fact.id: fact for fact in rationale.facts}
    headline = join(_marked(rationale.headline, rationale.headline_spans, 0, facts))
    paragraphs = join(
        markup("<p>{words}</p>", words=join(_marked(paragraph, rationale.spans, start, facts)))
        for start, paragraph in _paragraphs(rationale.text)
    )
    return markup(
        '<div class="text {old}"><h2>{headline}</h2>{paragraphs}</div><div class="foot">'
        '<span class="ok">✓ {n} of {n} figures verified</span><span>written by <b>{who}</b> from a snapshot of '
        "{when} UTC, cycle {cycle}</span></div>{trace}",
        old="old" if old else "",
        headline=headline,
        paragraphs=paragraphs,
        n=rationale.n_figures,
        who=rationale.written_by,
        when=formats.clock(rationale.as_of),
        cycle=f"{rationale.sequence:,}",
        trace=_trace(rationale),
    )


def _trace(rationale: Rationale) -> Markup:
    """Return one line about the other writers, which failed before; nothing where there were none."""
    others = (a for a in rationale.attempts if a.backend != rationale.written_by)
    failed = dict.fromkeys((a.backend, a.detail) for a in others if a.outcome is not Outcome.WRITTEN)
    if not failed:
        return markup("")
    reasons = join((markup("<b>{who}</b>: {why}", who=who, why=why) for who, why in failed), "; ")
    return markup('<div class="foot"><span class="late">in place of {reasons}</span></div>', reasons=reasons)


def fact_name(fact: Fact) -> str:
    """Return what a fact is about in words."""
    parts = [_metric(fact.metric), fact.subject_name if fact.subject_name != fact.subject else fact.subject]
    if fact.venue is not None:
        parts.append(fact.venue)
    words = ", ".join(part for part in parts if part)
    return words[:1].upper() + words[1:]


def _metric(name: str) -> str:
    words = name.removeprefix("n_").replace("_", " ")
    return f"number of {words}" if name.startswith("n_") else words


def fact_value(fact: Fact) -> str:
    """Return a fact's value as a text shows it."""
    if fact.text:
        return fact.text
    if fact.unit == "flag":
        return "yes" if fact.value else "no"
    return formats.number(fact.value, fact.decimals, signed=fact.directional)


def fact_unit(fact: Fact) -> str:
    """Return a fact's unit, empty where it has none."""
    return "" if fact.unit in ("flag", "text", "count", "rank") else fact.unit


def _marked(words: str, spans: tuple[Span, ...], start: int, facts: Mapping[str, Fact]) -> Iterator[Markup]:
    """Yield a piece of the text that begins at `start`, with its figures as chips and its names in bold."""
    at = 0
    for span in sorted(spans, key=lambda span: span.start):
        begin, end = span.start - start, span.end - start
        if begin < at or end > len(words):
            continue
        yield text.escape(words[at:begin])
        yield _span(words[begin:end], span, facts)
        at = end
    yield text.escape(words[at:])


def _span(words: str, span: Span, facts: Mapping[str, Fact]) -> Markup:
    fact = facts.get(span.fact_id)
    if span.kind is SpanKind.NAME:
        return markup("<b>{words}</b>", words=words)
    if fact is None:
        return text.escape(words)
    rows = [
        ("Value", f"{fact_value(fact)} {fact_unit(fact)}".strip()),
        ("Shown with", f"{fact.decimals} decimals"),
        ("From", fact.source),
        ("Oldest quote", f"{formats.age(age_s(fact))} s" if fact.age_ms is not None else "not from one quote"),
        ("As of", f"{formats.clock(fact.as_of)} UTC"),
    ]
    tip = join(markup("<span>{label}</span><span>{value}</span>", label=label, value=value) for label, value in rows)
    return markup(
        '<span class="{look}" tabindex="0">{words}<span class="tip" role="tooltip"><b>{name}</b>{tip}</span></span>',
        look="chip" if span.kind is SpanKind.FIGURE else "claim",
        words=words,
        name=fact_name(fact),
        tip=tip,
    )


def _paragraphs(words: str) -> Iterator[tuple[int, str]]:
    start = 0
    for paragraph in words.split("\n\n"):
        if paragraph.strip():
            yield start, paragraph
        start += len(paragraph) + 2


def age_s(fact: Fact) -> float | None:
    """Return the age of the oldest quote behind a fact, in seconds."""
    return None if fact.age_ms is None else fact.age_ms / 1e3


TEXT_CSS = """
.text { padding: 12px 16px 8px; max-width: 74ch; font-size: 14px; line-height: 1.75; white-space: normal; }
.text h2 { font-size: 16px; line-height: 1.5; font-weight: 700; margin-bottom: 8px; } .text p { margin: 0 0 10px; }
.chip { position: relative; background: var(--ms-accentbg); color: var(--ms-accent); border-radius: 4px;
  padding: 1px 5px; cursor: help; white-space: nowrap; outline-offset: 1px; }
.claim { position: relative; border-bottom: 1px dotted var(--ms-ink3); cursor: help; }
.old .chip { background: var(--ms-warnbg); color: var(--ms-warn); }
.tip { display: none; position: absolute; left: -8px; top: 1.9em; z-index: 30; min-width: 290px; max-width: 360px;
  grid-template-columns: auto 1fr; gap: 1px 14px; padding: 9px 12px; background: var(--ms-surface);
  color: var(--ms-ink); border: 1px solid var(--ms-line2); border-radius: 6px; font-size: 12px; line-height: 1.5;
  box-shadow: 0 4px 14px rgba(0, 0, 0, .18); white-space: normal; }
.tip b { grid-column: 1 / 3; margin-bottom: 3px; } .tip span { color: var(--ms-ink3); }
.tip span:nth-of-type(even) { text-align: right; color: var(--ms-ink); }
.chip:hover .tip, .chip:focus .tip, .claim:hover .tip, .claim:focus .tip { display: grid; }
.foot { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; border-top: 1px solid var(--ms-line);
  padding: 8px 16px; font-size: 11px; color: var(--ms-ink3); }
.ok { border: 1px solid var(--ms-up); color: var(--ms-up); border-radius: 10px; padding: 1px 9px; }
@media (max-width: 759px) { .tip { position: fixed; left: 8px; right: 8px; top: auto; bottom: 8px; max-width: none; } }
"""
