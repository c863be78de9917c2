"""The verifier: the second lock. It reads the rendered text and refuses whatever the fact sheet does not support.

It shares no formatting code with the narrator and does not trust spans. A text passes when every token is either
a word that says nothing by itself or part of a claim that a fact supports; what is not understood is refused.
Tokens come from reading.py, the vocabulary from lexicon.py, claims are checked in claims.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from marketstream.market.rationale import FactSheet, Issue, IssueKind, Span, SpanKind
from marketstream.rationale.claims import Claims
from marketstream.rationale.reading import Reader, Token, TokenKind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier found: issues in the order of the text, and how many figures and times the text shows."""

    issues: tuple[Issue, ...]
    n_figures: int


def examine(text: str, spans: Sequence[Span], sheet: FactSheet) -> Verdict:
    """Return what is wrong with a text and its spans, and how many figures it shows, in one reading.

    Args:
        text: As it will be shown, before escaping; a headline or paragraphs.
        spans: What the writer says about its pieces.
        sheet: All that may be said.
    """
    tokens, issues = _read(text, sheet)
    issues += _check_spans(text, spans, tokens)
    return Verdict(_in_order(issues), sum(token.kind in _MARKED[SpanKind.FIGURE] for token in tokens))


def verify(text: str, spans: Sequence[Span], sheet: FactSheet) -> tuple[Issue, ...]:
    """Return what is wrong with a text and its spans; nothing when all is supported. As `examine`."""
    return examine(text, spans, sheet).issues


def verify_text(text: str, sheet: FactSheet) -> tuple[Issue, ...]:
    """Return what is wrong with a text that comes without spans.

    This is the whole check of what is said; `verify` adds that the spans mark the same facts.
    """
    return _in_order(_read(text, sheet)[1])


def _read(text: str, sheet: FactSheet) -> tuple[list[Token], list[Issue]]:
    tokens = Reader(sheet).read(text)
    claims = Claims(sheet)
    claims.start_paragraph()
    sentences: list[list[Token]] = [[]]
    clause: list[Token] = []
    for token in tokens:
        if token.kind not in (TokenKind.STOP, TokenKind.PARAGRAPH):
            clause.append(token)
            continue
        claims.check(clause)
        sentences[-1] += clause
        clause = []
        if token.kind is TokenKind.PARAGRAPH:
            claims.start_paragraph()
        if token.kind is TokenKind.PARAGRAPH or token.text == ".":
            claims.start_sentence()
            sentences.append([])
    claims.check(clause)
    sentences[-1] += clause
    issues = claims.issues + [_leftover(t) for t in tokens if _is_claim(t) and not t.used]
    return tokens, issues + [_empty(s) for s in sentences if s and not any(t.used for t in s)]


def _is_claim(token: Token) -> bool:
    if token.kind is TokenKind.PHRASE:
        return token.sense is None or not token.sense.glue
    return token.kind not in (TokenKind.COMMA, TokenKind.STOP, TokenKind.PARAGRAPH)


def _leftover(token: Token) -> Issue:
    """Return the issue of a token that no supported claim rests on."""
    kind, why = _judge(token)
    return Issue(kind=kind, start=token.start, end=token.end, message=f"{token.text!r}: {why}")


def _judge(token: Token) -> tuple[IssueKind, str]:
    sense = token.sense
    if token.kind is TokenKind.NAME and token.name is not None:
        kind = IssueKind.WRONG_VENUE if token.name.role == "venue" else IssueKind.SWAPPED_SUBJECT
        return kind, "named, but nothing that the sheet supports is said about it"
    if token.kind is TokenKind.QUOTE:
        return IssueKind.UNKNOWN_ENTITY, "neither a name on the sheet nor words that it quotes here"
    if token.kind is TokenKind.NUMBER_WORD:
        return IssueKind.UNSUPPORTED_NUMBER, "a number in words that no fact supports"
    if sense is not None and sense.rank:
        return IssueKind.UNSUPPORTED_SUPERLATIVE, "the sheet does not rank it so"
    if sense is not None and sense.sign:
        return IssueKind.WRONG_DIRECTION, "the sheet has no such movement or difference"
    if sense is not None:
        return IssueKind.UNSUPPORTED_CLAIM, "the sheet does not support this here"
    return _judge_unreadable(token.text)


def _judge_unreadable(text: str) -> tuple[IssueKind, str]:
    if re.search(r"\d[:h]\d|\d{4}-\d{2}", text):
        return IssueKind.WRONG_TIME, "not a time on the sheet"
    if re.search(r"[\d½¼¾%‰]", text) and not re.match(r"[A-Za-z]{2}", text):
        return IssueKind.UNSUPPORTED_NUMBER, "not a figure of the sheet"
    if text != text.lower():
        return IssueKind.UNKNOWN_ENTITY, "not a name on the sheet"
    return IssueKind.UNSUPPORTED_CLAIM, "not a word that a fact can support"


def _empty(sentence: Sequence[Token]) -> Issue:
    return Issue(
        kind=IssueKind.UNSUPPORTED_CLAIM,
        start=sentence[0].start,
        end=sentence[-1].end,
        message="a sentence that states no fact of the sheet",
    )


_MARKED = {
    SpanKind.FIGURE: (TokenKind.NUMBER, TokenKind.TIME),
    SpanKind.NAME: (TokenKind.NAME,),
    SpanKind.DIRECTION: (TokenKind.PHRASE,),
    SpanKind.RANK: (TokenKind.PHRASE,),
    SpanKind.QUOTE: (TokenKind.QUOTE,),
}


def _check_spans(text: str, spans: Sequence[Span], tokens: Sequence[Token]) -> list[Issue]:
    by_place = {(token.start, token.end): token for token in tokens}
    issues, last_end = [], 0
    for span in spans:
        why = _fault(span, by_place.get((span.start, span.end)), last_end, len(text))
        last_end = max(last_end, span.end)
        if why:
            issues.append(Issue(kind=IssueKind.WRONG_SPAN, start=span.start, end=span.end, message=why))
    marked = {(span.start, span.end) for span in spans}
    for token in tokens:
        if token.kind in _MARKED[SpanKind.FIGURE] and (token.start, token.end) not in marked:
            message = f"{token.text!r}: a figure without a span"
            issues.append(Issue(kind=IssueKind.WRONG_SPAN, start=token.start, end=token.end, message=message))
    return issues


def _fault(span: Span, token: Token | None, last_end: int, length: int) -> str:
    if not last_end <= span.start < span.end <= length:
        return f"span {span.start}:{span.end} is out of order or outside the text of {length} characters"
    if token is None or token.kind not in _MARKED[span.kind]:
        return f"span {span.start}:{span.end} does not mark a {span.kind} of the text"
    if span.kind is SpanKind.NAME:
        right = token.name is not None and token.name.key == span.fact_id
    else:
        right = span.fact_id in token.fact_ids
    return (
        ""
        if right
        else f"span {span.start}:{span.end} says {span.fact_id}, the text says {token.fact_ids or 'nothing'}"
    )


def _in_order(issues: list[Issue]) -> tuple[Issue, ...]:
    return tuple(sorted(issues, key=lambda issue: (issue.start, issue.end)))
