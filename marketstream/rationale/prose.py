"""Prose: sentences built of words and facts, and the figures as the narrator writes them. Used by narrator.py.

The verifier does not import this: it has to find the same meaning in the rendered text by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from marketstream.market.rationale import PORTFOLIO, Fact, FactSheet, Name, Span, SpanKind, fact_id

_SUFFIX = {
    "%": " %",
    "points": " points",
    "bps": " bps",
    "count": "",
    "rank": "",
    "probability": "",
    "probability per contract": " per contract",
    "s": " s",
    "min": " minutes",
    "standard errors": " standard errors",
}
_SINGULAR = {"min": " minute", "points": " point", "standard errors": " standard error"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a text: plain words, or words that stand for a fact or an entity."""

    text: str
    fact_id: str = ""
    kind: SpanKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A headline and paragraphs, each a run of segments."""

    headline: tuple[Segment, ...]
    paragraphs: tuple[tuple[Segment, ...], ...]

    def render_headline(self) -> tuple[str, tuple[Span, ...]]:
        """Return the headline and its spans."""
        return render([self.headline])

    def render_text(self) -> tuple[str, tuple[Span, ...]]:
        """Return the paragraphs, parted by an empty line, and their spans."""
        return render(self.paragraphs)


Sentence = tuple[Segment, ...]
Part = str | Fact | Name | Segment


def render(paragraphs: Iterable[Sequence[Segment]]) -> tuple[str, tuple[Span, ...]]:
    """Return the text of some paragraphs and the spans of their marked segments."""
    pieces: list[str] = []
    spans: list[Span] = []
    at = 0
    for number, paragraph in enumerate(paragraphs):
        for segment in ([Segment("\n\n")] if number else []) + list(paragraph):
            if segment.kind is not None:
                end = at + len(segment.text)
                spans.append(Span(start=at, end=end, fact_id=segment.fact_id, kind=segment.kind))
            pieces.append(segment.text)
            at += len(segment.text)
    return "".join(pieces), tuple(spans)


def say(template: str, *parts: Part) -> Sentence:
    """Return a sentence: `template` with each `{}` replaced by the next part, facts and names marked."""
    words = template.split("{}")
    if len(words) != len(parts) + 1:
        raise ValueError(f"{template!r} has {len(words) - 1} places, got {len(parts)} parts")
    segments = [Segment(words[0])] if words[0] else []
    for part, rest in zip(parts, words[1:], strict=True):
        segments.append(_segment(part))
        if rest:
            segments.append(Segment(rest))
    return tuple(segments)


def join(*sentences: Sentence | None, by: str = " ") -> Sentence:
    """Return sentences as one run, those that are None left out."""
    out: list[Segment] = []
    for sentence in sentences:
        if sentence:
            if out:
                out.append(Segment(by))
            out.extend(sentence)
    return tuple(out)


def figure(fact: Fact, *, signed: bool = True) -> Segment:
    """Return a fact as shown: true minus, + where the sign means something, thousands with a comma.

    Args:
        fact: A figure or a time.
        signed: False where a word beside it says the direction.
    """
    if fact.unit == "UTC":
        return Segment(f"{fact.text} UTC", fact.id, SpanKind.FIGURE)
    sign = "−" if fact.value < 0 else "+" if fact.directional and fact.value > 0 else ""
    number = f"{abs(fact.value):,.{fact.decimals}f}"
    suffixes = _SINGULAR if abs(fact.value) == 1 and fact.decimals == 0 else {}
    suffix = suffixes.get(fact.unit) or _SUFFIX.get(fact.unit, f" {fact.unit}")
    return Segment(f"{sign if signed else ''}{number}{suffix}", fact.id, SpanKind.FIGURE)


def unsigned(fact: Fact) -> Segment:
    """Return a fact without its sign, for use after a word that says it."""
    return figure(fact, signed=False)


def marked(word: str, fact: Fact, kind: SpanKind = SpanKind.DIRECTION) -> Segment:
    """Return a word of direction or rank, marked with the fact that bears it out."""
    return Segment(word, fact.id, kind)


def quoted(fact: Fact) -> Segment:
    """Return the words of a text fact in quotation marks."""
    return Segment(f"“{fact.text}”", fact.id, SpanKind.QUOTE)


def listed(names: Sequence[Name]) -> Sentence:
    """Return `A`, `A and B` or `A, B and C`."""
    template = " and ".join(["{}"] * len(names)) if len(names) < 3 else ", ".join(["{}"] * (len(names) - 1)) + " and {}"
    return say(template, *names)


def plural(fact: Fact, one: str, many: str) -> str:
    """Return the word that goes with a count."""
    return one if fact.value == 1 else many


def _segment(part: Part) -> Segment:
    if isinstance(part, Fact):
        return figure(part)
    if isinstance(part, Name):
        return Segment(part.text, part.key, SpanKind.NAME)
    if isinstance(part, Segment):
        return part
    return Segment(part)


class Facts:
    """Look facts and names of one sheet up by what they say."""

    def __init__(self, sheet: FactSheet) -> None:
        self.sheet = sheet
        self._facts = sheet.by_id()
        self._instruments = {name.key: name for name in sheet.names if name.role == "instrument"}
        self._venues = {name.key: name for name in sheet.names if name.role == "venue"}

    def get(self, metric: str, subject: str = PORTFOLIO, venue: str | None = None) -> Fact | None:
        """Return a fact, None where the sheet has none."""
        return self._facts.get(fact_id(subject, metric, venue))

    def all(self, metric: str) -> list[Fact]:
        """Return every fact of a metric, in the sheet's order."""
        return [fact for fact in self.sheet.facts if fact.metric == metric]

    def ranked(self, metric: str, rank: int) -> Fact | None:
        """Return the fact that holds this place in the order of `metric`, None on a tie."""
        return next((f for f in self.all(f"{metric}_rank") if f.value == rank), None)

    def number(self, metric: str, subject: str = PORTFOLIO) -> float:
        """Return a fact's value, 0 where the sheet has none."""
        fact = self.get(metric, subject)
        return fact.value if fact is not None else 0.0

    def name(self, fact: Fact) -> Name:
        """Return the instrument that a fact is about."""
        return self._instruments[fact.subject]

    def venue(self, fact: Fact) -> Name:
        """Return the venue that a fact is about."""
        return self._venues[str(fact.venue)]

    def instrument(self, key: str) -> Name:
        """Return an instrument's name by its key."""
        return self._instruments[key]
