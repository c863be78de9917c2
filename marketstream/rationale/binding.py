"""Binding: which facts the words at one place of a clause can be about, as a reader would take them.

Part of the verifier. The subject is the instrument named nearest before, or "it", or the one named next; the venue
is the one that follows with only prepositions between, or one nearby. Claims about them are checked in claims.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from marketstream.market.rationale import EDGES, FEEDS, PORTFOLIO, Fact, FactSheet
from marketstream.rationale.lexicon import Sense
from marketstream.rationale.reading import Token, TokenKind

WHOLE = (PORTFOLIO, FEEDS, EDGES)
NOTHING = Sense()
_PLAIN_UNITS = {"count": "", "rank": "", "probability": ""}


class Binding:
    """Find subject, venue and facts for places in `clause`, and remember the topic between clauses."""

    def __init__(self, sheet: FactSheet) -> None:
        self.clause: Sequence[Token] = ()
        self._by_metric: dict[str, list[Fact]] = {}
        for fact in sheet.facts:
            self._by_metric.setdefault(fact.metric, []).append(fact)
        self._topic: Token | None = None
        self._topic_venue: Token | None = None

    def forget(self) -> None:
        """Forget the topic."""
        self._topic = self._topic_venue = None

    def facts_of(self, metric: str) -> Sequence[Fact]:
        """Return the facts of a metric, whoever they are about."""
        return self._by_metric.get(metric, ())

    def end_clause(self) -> None:
        """Remember whom the clause was about."""
        subject = last_of(t for t in self.clause if is_name(t, "instrument"))
        venue = last_of(t for t in self.clause if is_name(t, "venue"))
        if subject is not None:
            self._topic, self._topic_venue = subject, venue
        elif venue is not None:
            self._topic_venue = venue

    def left_cue(self, i: int) -> Token | None:
        """Return the phrase before place i that says what a figure there is, None behind another figure."""
        for token in reversed(self.clause[:i]):
            sense = token.sense or NOTHING
            if sense.before:
                return token
            if token.kind in (TokenKind.NUMBER, TokenKind.TIME, TokenKind.QUOTE) or sense.test:
                return None
        return None

    def is_beside(self, phrase: Token) -> bool:
        """Return whether a phrase that belongs to certain metrics stands next to one of them."""
        sense = phrase.sense or NOTHING
        if not sense.beside:
            return True
        at = self.clause.index(phrase)
        spoken = [t for t in self.clause if (t.sense or NOTHING).before and not (t.sense or NOTHING).beside]
        ahead = [t for t in spoken if t.start > phrase.start] if sense.looks_ahead else []
        behind = [t for t in self.clause[:at] if t in spoken]
        nearest = ahead[0] if ahead else behind[-1] if behind else None
        return nearest is not None and bool((nearest.sense or NOTHING).before & sense.beside)

    def is_of_number(self, i: int) -> bool:
        """Return whether figure i is the whole of a "3 of 16"."""
        before = [t for t in self.clause[max(0, i - 3) : i] if t.text != "the"]
        return len(before) >= 2 and before[-1].text == "of" and before[-2].kind is TokenKind.NUMBER

    def pool(self, i: int, metrics: Iterable[str]) -> tuple[list[Fact], list[Token]]:
        """Return the facts of `metrics` that words at place i can be about, and the names that say so."""
        facts = [f for m in metrics for f in self._by_metric.get(m, ())]
        whole = [f for f in facts if f.subject in WHOLE]
        single = [f for f in facts if f.subject not in WHOLE]
        if single and whole:
            facts = single if self._named(i) is not None else whole
        mentions: list[Token] = []
        if facts and facts[0].subject not in WHOLE:
            subject = self.subject(i)
            facts = [f for f in facts if f.subject == key_of(subject)]
            mentions += [subject] if subject is not None else []
        if any(f.venue is not None for f in facts):
            venue = self.venue(i)
            facts = [f for f in facts if f.venue == key_of(venue)]
            mentions += [venue] if venue is not None else []
        return facts, mentions

    def _named(self, i: int) -> Token | None:
        """Return the instrument named nearest before place i, by name or as "it", else the next one named."""
        before = last_of(t for t in self.clause[:i] if is_name(t, "instrument"))
        if before is not None:
            return before
        if self._topic is not None and any((t.sense or NOTHING).pronoun for t in self.clause[:i]):
            return self._topic
        return next((t for t in self.clause[i:] if is_name(t, "instrument")), None)

    def subject(self, i: int) -> Token | None:
        """Return the instrument that words at place i are about; without a name, the one spoken of last."""
        return self._named(i) or self._topic

    def venue(self, i: int) -> Token | None:
        """Return the venue that follows with only prepositions and names between, else one nearby."""
        for token in self.clause[i + 1 :]:
            if is_name(token, "venue"):
                return token
            sense = token.sense or NOTHING
            joins = sense.after or (sense.glue and token.text in ("on", "at", "of", "for", "from", "the", "in"))
            if not (joins or is_name(token, "instrument")):
                break
        before = last_of(t for t in self.clause[:i] if is_name(t, "venue"))
        after = next((t for t in self.clause[i:] if is_name(t, "venue")), None)
        return before or after or self._topic_venue


def shows(token: Token, fact: Fact, direction: int = 0) -> bool:
    """Return whether a figure is exactly this fact as it must be shown.

    Args:
        token: A NUMBER.
        fact: What it should say.
        direction: +1 or -1 where a word states the sign, so that the figure has none; else 0.
    """
    if not same_unit(token, fact) or token.decimals != fact.decimals:
        return False
    if Decimal(repr(abs(fact.value))) != token.value or token.sign == "±":
        return False
    sign = sign_of(fact.value)
    if direction:
        return token.sign == "" and sign == direction
    wanted = "-" if sign < 0 else "+" if sign > 0 and fact.directional else ""
    return token.sign == wanted


def same_unit(token: Token, fact: Fact) -> bool:
    """Return whether a figure has the unit of a fact."""
    return token.unit == _PLAIN_UNITS.get(fact.unit, fact.unit)


def is_name(token: Token, role: str) -> bool:
    """Return whether a token names an `instrument` or a `venue`."""
    return token.kind is TokenKind.NAME and token.name is not None and token.name.role == role


def key_of(token: Token | None) -> str | None:
    """Return the key of what a token names."""
    return token.name.key if token is not None and token.name is not None else None


def sign_of(value: float) -> int:
    """Return -1, 0 or +1."""
    return (value > 0) - (value < 0)


def last_of(tokens: Iterable[Token]) -> Token | None:
    """Return the last token, None when there is none."""
    found = None
    for token in tokens:
        found = token
    return found
