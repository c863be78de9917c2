"""The narrator: a fact sheet as English, the same sheet always as the same words.

Each kind of text has paragraphs in order of importance and a budget of words; what does not fit is left out from
the end. It writes nothing but words and facts, so every figure is right by construction; verifier.py then reads
the result as a stranger would.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from marketstream.market.rationale import FEEDS, FactSheet, RationaleKind
from marketstream.rationale.book_texts import Paragraphs, background, risk_review, summary
from marketstream.rationale.market_texts import edge_note, position
from marketstream.rationale.prose import Draft, Facts, Segment, Sentence, join, say

MIN_WORDS, MAX_WORDS = 80, 190

_WRITERS: dict[RationaleKind, Callable[[Facts], tuple[Sentence, Paragraphs]]] = {
    RationaleKind.PORTFOLIO_SUMMARY: summary,
    RationaleKind.POSITION_EXPLANATION: position,
    RationaleKind.RISK_REVIEW: risk_review,
    RationaleKind.EDGE_NOTE: edge_note,
}


def narrate(sheet: FactSheet) -> Draft:
    """Return the text of a sheet: a headline and short paragraphs of at most MAX_WORDS words."""
    facts = Facts(sheet)
    headline, paragraphs = _written(facts)
    kept = _filled(_fit(paragraphs), facts)
    return Draft(headline=headline, paragraphs=tuple(_capital(join(*paragraph)) for paragraph in kept))


def passages(sheet: FactSheet) -> tuple[Sentence, list[list[Sentence]]]:
    """Return the headline and all that the narrator has for a sheet, in paragraphs, whatever the length.

    Sentences of a paragraph belong together: a later one may say "it" of what an earlier one names.
    """
    return _written(Facts(sheet))


def further(sheet: FactSheet) -> list[Sentence]:
    """Return what else the narrator can say of a sheet, each sentence by itself; some of it in other words again."""
    facts = Facts(sheet)
    said = {sentence for paragraph in _written(facts)[1] for sentence in paragraph}
    return [sentence for sentence in background(facts) if sentence and sentence not in said]


def safe_draft(sheet: FactSheet) -> Draft:
    """Return the least that can be said: what is live and when. Shown where a full text was refused."""
    facts = Facts(sheet)
    live, quotes, as_of = (facts.get(m, FEEDS) for m in ("n_live", "n_quotes", "as_of"))
    if live is None or quotes is None or as_of is None or quotes.value == 0:
        return Draft(headline=say("No quote has arrived"), paragraphs=(say("No quote has arrived."),))
    verb = "quote is live" if quotes.value == 1 else "quotes are live"
    return Draft(
        headline=say(f"{{}} of {{}} {verb}", live, quotes),
        paragraphs=(say(f"As of {{}}, {{}} of {{}} {verb}.", as_of, live, quotes),),
    )


def count_words(text: str) -> int:
    """Return how many words a reader sees; a unit sign alone is none.

    >>> count_words("Risk is 21.6 % of capital.")
    5
    """
    return len(re.findall(r"[^\W_][\w.,:'’+−-]*", text))


def _written(facts: Facts) -> tuple[Sentence, list[list[Sentence]]]:
    headline, paragraphs = _WRITERS[facts.sheet.kind](facts)
    kept = [[s for s in paragraph if s] for paragraph in paragraphs]
    return headline, [paragraph for paragraph in kept if paragraph]


def _fit(paragraphs: list[list[Sentence]]) -> list[list[Sentence]]:
    """Leave out last sentences of the longest later paragraphs, then last paragraphs; the first two always stay."""
    while _words(paragraphs) > MAX_WORDS and any(len(p) > 1 for p in paragraphs[2:]):
        longest = max(range(2, len(paragraphs)), key=lambda i: (len(paragraphs[i]), i))
        paragraphs[longest].pop()
    while _words(paragraphs) > MAX_WORDS and len(paragraphs) > 2:
        paragraphs.pop()
    return paragraphs


def _filled(paragraphs: list[list[Sentence]], facts: Facts) -> list[list[Sentence]]:
    """Add what else is known of book, feeds and edges to a text shorter than MIN_WORDS, while there is something."""
    said = {sentence for paragraph in paragraphs for sentence in paragraph}
    more: list[Sentence] = []
    for sentence in background(facts):
        if _words([*paragraphs, more]) >= MIN_WORDS:
            break
        if sentence and sentence not in said:
            more.append(sentence)
    return [*paragraphs, more] if more else paragraphs


def _words(paragraphs: list[list[Sentence]]) -> int:
    return sum(count_words("".join(segment.text for segment in s)) for p in paragraphs for s in p)


def _capital(sentence: Sentence) -> Sentence:
    """Return a run that starts with a capital, where it starts with plain words."""
    first = sentence[0]
    if first.kind is not None:
        return sentence
    return (Segment(first.text[:1].upper() + first.text[1:]), *sentence[1:])
