"""Drafts: what a model may answer, and the first lock, which refuses every figure, name or direction of its own.

A draft is strict JSON whose prose has slots in place of facts (slots.py fills them); verifier.py is the second lock,
which reads the finished text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import msgspec

from marketstream.errors import PermanentError
from marketstream.rationale.lexicon import NUMBER_WORDS, lexicon

MAX_TEXT = 400
MAX_POINTS = 8
MAX_RISKS = 4

SLOT = re.compile(r"\{([^{}]*)\}")
_ODD = re.compile(r"\S*[^A-Za-z ,.;:'’()-]\S*")
_URL = re.compile(r"[A-Za-z]\.[A-Za-z]")
_FENCE = "```"
# "All 64 quotes are live" is held against the sheet by the verifier; no other word may stand for a number.
_NUMBERS = NUMBER_WORDS - {"all"}

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]


class RationaleDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A text with slots.

    Attributes:
        headline: One line.
        points: What is so, each a short paragraph that uses a fact.
        risks: What to watch, written the same way; they come last.
    """

    headline: Text
    points: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=MAX_POINTS)]
    risks: Annotated[tuple[Text, ...], msgspec.Meta(max_length=MAX_RISKS)] = ()

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """Return points and risks in the order they are shown."""
        return (*self.points, *self.risks)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "headline": {"type": "string"},
        "points": {"type": "array", "items": {"type": "string"}},
        "risks": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["headline", "points", "risks"],
    "additionalProperties": False,
}
"""RationaleDraft for servers that hold a model to a JSON schema; limits of length are ours, not all know them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a draft: where, which words of its writer, and why in words of ours."""

    place: str = ""
    words: str = ""
    why: str

    def __str__(self) -> str:
        """Return all three, for the writer of the draft alone."""
        return ": ".join(part for part in (self.place, self.words[:80], self.why) if part)


class DraftError(PermanentError):
    """A draft that cannot be used. Its message holds no word of the draft; `faults` do, for its writer.

    Args:
        faults: At least one.
        malformed: It is not a draft at all.
    """

    def __init__(self, faults: Sequence[Fault], *, malformed: bool = False) -> None:
        reasons = "; ".join(dict.fromkeys(fault.why for fault in faults))
        super().__init__(reasons if malformed else f"the draft breaks the rules: {reasons}")
        self.faults = tuple(faults)
        self.malformed = malformed


def parse_draft(answer: str) -> RationaleDraft:
    """Return the draft in a model's answer: JSON, at most fenced as Markdown code.

    Raises:
        DraftError: It is not the JSON of a draft.

    >>> parse_draft('{"headline": "No stake is open", "points": ["{feeds.n_live} quotes are live."]}').risks
    ()
    """
    text = answer.strip()
    if text.startswith(_FENCE) and text.endswith(_FENCE):
        text = text.removeprefix(_FENCE).removeprefix("json").removesuffix(_FENCE)
    try:
        return msgspec.json.decode(text, type=RationaleDraft, strict=True)
    except msgspec.ValidationError as error:
        fault = Fault(words=str(error), why="the answer is not a draft: a field is missing, unknown or out of bounds")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        fault = Fault(why="the answer is not one JSON object")
    raise DraftError([fault], malformed=True)


def check_draft(draft: RationaleDraft) -> list[Fault]:
    """Return what the words between the slots may not say: figures, number words, directions, ranks, markup.

    >>> faults = check_draft(RationaleDraft(headline="Up 3 %", points=("The risk rises to {portfolio.risk}.", "Hold.")))
    >>> [(fault.place, fault.words) for fault in faults]
    [('headline', '3'), ('point 1', 'rises'), ('point 2', '')]
    """
    faults = list(_faults("headline", draft.headline))
    for name, texts in (("point", draft.points), ("risk", draft.risks)):
        for number, text in enumerate(texts, 1):
            place = f"{name} {number}"
            faults += _faults(place, text)
            if not SLOT.search(text):
                faults.append(Fault(place=place, why="every point and risk uses a fact"))
    return faults


def _faults(place: str, text: str) -> Iterator[Fault]:
    # A slot parts two runs of words, so that no phrase reaches across it.
    for words in SLOT.split(text)[::2]:
        odd = _ODD.search(words)
        if odd:
            yield Fault(place=place, words=odd.group(), why="only letters and , . ; : ' ( ) - stand between slots")
        if _URL.search(words):
            yield Fault(place=place, words=words, why="no address stands in a text")
        for claim, why in _own_claims(words):
            yield Fault(place=place, words=claim, why=why)


def _own_claims(words: str) -> Iterator[tuple[str, str]]:
    """Yield the words of number, direction or rank, by the lexicon's longest phrases, and why they are refused."""
    known = lexicon()
    found = re.findall(r"[a-z]+", words.lower())
    at = 0
    while at < len(found):
        lengths = range(min(known.longest.get(found[at], 0), len(found) - at), 0, -1)
        n = next((n for n in lengths if tuple(found[at : at + n]) in known.phrases), 0)
        sense = known.phrases[tuple(found[at : at + n])] if n else None
        if sense is not None and (sense.sign or sense.rank):
            yield " ".join(found[at : at + n]), "directions and ranks are written as slots"
        elif n < 2 and found[at] in _NUMBERS:
            yield found[at], "numbers, also in words, are written as slots"
        at += max(n, 1)


@cache
def allowed_words() -> tuple[str, ...]:
    """Return the words that may stand between slots, in order: the verifier's own, less numbers and directions."""
    own = {word for word in lexicon().words if next(_own_claims(word), None) is None}
    return tuple(sorted(own))
