"""Reading: a rendered text as tokens. It knows names, figures with units, times and the lexicon's phrases.

Part of the verifier, and like it without a line of code in common with the narrator: it sees characters alone.
What it cannot read becomes a token of kind UNREADABLE, which the verifier refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from marketstream.market.rationale import FactSheet, Name
from marketstream.rationale.lexicon import NUMBER_WORDS, Sense, lexicon


class TokenKind(Enum):
    """What a token is."""

    NUMBER = "number"
    TIME = "time"
    NAME = "name"
    QUOTE = "quote"
    PHRASE = "phrase"
    COMMA = "comma"
    STOP = "stop"
    PARAGRAPH = "paragraph"
    NUMBER_WORD = "number word"
    UNREADABLE = "unreadable"


@dataclass(slots=True, eq=False, kw_only=True)
class Token:
    """A piece of the text.

    Attributes:
        kind: What it is.
        start: Where it begins.
        end: Where it ends.
        text: The piece itself.
        value: Of a number, without its sign.
        sign: `+`, `-` or empty.
        unit: Canonical unit of a number, as in Fact.
        name: The entity named.
        sense: What a phrase says.
        used: A verified claim rests on it.
        fact_ids: Facts that it was found to state.
    """

    kind: TokenKind
    start: int
    end: int
    text: str
    value: Decimal = Decimal(0)
    sign: str = ""
    unit: str = ""
    name: Name | None = None
    sense: Sense | None = None
    used: bool = False
    fact_ids: list[str] = field(default_factory=list)

    @property
    def decimals(self) -> int:
        """Return how many digits stand after the point."""
        exponent = self.value.as_tuple().exponent
        return -exponent if isinstance(exponent, int) else 0


_UNITS = {
    r"\s?%": "%",
    r"\spoints?": "points",
    r"\sbps": "bps",
    r"\sstandard\serrors?": "standard errors",
    r"\s(?:minutes?|min)": "min",
    r"\s(?:seconds?|s)": "s",
    r"\sprice\sunits\sper\scontract": "price units per contract",
    r"\sprice\sunits": "price units",
    r"\sper\scontract": "probability per contract",
}
_NUMBER = re.compile(r"(?P<sign>[+\-−–±])?(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)")
_TIME = re.compile(r"(?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2}) UTC(?!\w)")
_WORD = re.compile(r"[A-Za-z]+")
_QUOTE = re.compile(r"“[^“”\n]*”")
_SPACE = re.compile(r"[ \u00a0]+")
# A letter, digit or joining mark on either side makes a piece part of something longer.
_OPEN_END = re.compile(r"\w|[-−–/_@#&*+=<>$€£^~'’°](?=\S)|[:.,](?=\w)|%")


class Reader:
    """Cut texts into tokens, for one sheet's names and units."""

    def __init__(self, sheet: FactSheet) -> None:
        self._names = {name.text: name for name in sheet.names}
        bare = sorted((n for n in self._names if not n.startswith("“")), key=len, reverse=True)
        self._bare = re.compile("|".join(map(re.escape, bare))) if bare else None
        units = dict(_UNITS)
        for unit in sorted({fact.unit for fact in sheet.facts}, key=len, reverse=True):
            if re.fullmatch(r"[A-Z]{2,8}(?: per contract)?", unit) and unit != "UTC":
                units[r"\s" + unit.replace(" ", r"\s")] = unit
        ordered = sorted(units, key=len, reverse=True)
        self._unit = re.compile("|".join(f"({pattern})" for pattern in ordered))
        self._unit_names = [units[pattern] for pattern in ordered]

    def read(self, text: str) -> list[Token]:
        """Return the tokens of `text`, phrases joined."""
        return list(_join(self._pieces(text)))

    def _pieces(self, text: str) -> Iterator[Token]:
        at = 0
        while at < len(text):
            space = _SPACE.match(text, at)
            if space:
                at = space.end()
                continue
            token = self._piece(text, at)
            yield token
            at = token.end

    def _piece(self, text: str, at: int) -> Token:
        c = text[at]
        if c == "\n":
            return Token(kind=TokenKind.PARAGRAPH, start=at, end=at + 1, text=c)
        if c in ".;:":
            return Token(kind=TokenKind.STOP, start=at, end=at + 1, text=c)
        if c == ",":
            return Token(kind=TokenKind.COMMA, start=at, end=at + 1, text=c)
        return (
            self._quoted(text, at)
            or self._named(text, at)
            or _time(text, at)
            or self._number(text, at)
            or _word(text, at)
        )

    def _quoted(self, text: str, at: int) -> Token | None:
        found = _QUOTE.match(text, at)
        if not found or not _is_whole(text, at, found.end()):
            return None
        name = self._names.get(found.group())
        kind = TokenKind.QUOTE if name is None else TokenKind.NAME
        return Token(kind=kind, start=at, end=found.end(), text=found.group(), name=name)

    def _named(self, text: str, at: int) -> Token | None:
        found = self._bare.match(text, at) if self._bare else None
        if not found or not _is_whole(text, at, found.end()):
            return None
        name = self._names[found.group()]
        return Token(kind=TokenKind.NAME, start=at, end=found.end(), text=found.group(), name=name)

    def _number(self, text: str, at: int) -> Token | None:
        found = _NUMBER.match(text, at)
        if not found:
            return None
        end, unit = found.end(), ""
        measure = self._unit.match(text, end)
        if measure and not _OPEN_END.match(text, measure.end()):
            end, unit = measure.end(), self._unit_names[(measure.lastindex or 1) - 1]
        if not _is_whole(text, at, end):
            return None
        sign = found["sign"] or ""
        return Token(
            kind=TokenKind.NUMBER,
            start=at,
            end=end,
            text=text[at:end],
            value=Decimal(found["digits"].replace(",", "")),
            sign="-" if sign in "-−–" and sign else sign,
            unit=unit,
        )


def _time(text: str, at: int) -> Token | None:
    found = _TIME.match(text, at)
    if not found:
        return None
    return Token(kind=TokenKind.TIME, start=at, end=found.end(), text=found["clock"])


def _word(text: str, at: int) -> Token:
    found = _WORD.match(text, at)
    if not found or not _is_whole(text, at, found.end()):
        end = at + 1
        while end < len(text) and not text[end].isspace():
            end += 1
        return Token(kind=TokenKind.UNREADABLE, start=at, end=end, text=text[at:end])
    kind = TokenKind.NUMBER_WORD if found.group().lower() in NUMBER_WORDS else TokenKind.UNREADABLE
    return Token(kind=kind, start=at, end=found.end(), text=found.group())


def _is_whole(text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else " "
    return before.isspace() and not _OPEN_END.match(text, end)


def _join(pieces: Iterable[Token]) -> Iterator[Token]:
    """Join single words to the longest phrases of the lexicon."""
    known, tokens, at = lexicon(), list(pieces), 0
    while at < len(tokens):
        n = _phrase_length(tokens, at, starts=at == 0 or _ends_sentence(tokens[at - 1]))
        if n == 0:
            yield tokens[at]
            at += 1
            continue
        words = tokens[at : at + n]
        yield Token(
            kind=TokenKind.PHRASE,
            start=words[0].start,
            end=words[-1].end,
            text=" ".join(w.text for w in words),
            sense=known.phrases[tuple(w.text.lower() for w in words)],
        )
        at += n


def _phrase_length(tokens: list[Token], at: int, *, starts: bool) -> int:
    """Return how many tokens from `at` make the longest known phrase; capitals only where a sentence starts."""
    known = lexicon()
    words: list[str] = []
    first = tokens[at].text.lower()
    for i, token in enumerate(tokens[at : at + known.longest.get(first, 0)]):
        word = token.text.lower()
        as_written = token.text == word or (i == 0 and starts and token.text == word.capitalize())
        if token.kind not in (TokenKind.UNREADABLE, TokenKind.NUMBER_WORD) or not as_written:
            break
        words.append(word)
    for n in range(len(words), 0, -1):
        if tuple(words[:n]) in known.phrases:
            return n
    return 0


def _ends_sentence(token: Token) -> bool:
    return token.kind is TokenKind.PARAGRAPH or (token.kind is TokenKind.STOP and token.text == ".")
