"""Slots: what a draft writes in place of facts, and the text they are filled to. `{id}` is the figure of a fact.

| slot | becomes |
|---|---|
| `{id}` | the figure with its unit, the time, or the words in quotation marks |
| `{id.name}` | the instrument that the fact is about |
| `{id.venue}` | the venue that the fact is about |
| `{id.direction}` | rises or falls; more or less than its weight |
| `{id.comparison}` | more or less |
| `{id.rank}` | largest, second best ...: the place that the fact holds |
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator

from marketstream.market.rationale import Fact, FactSheet, SpanKind
from marketstream.rationale.draft import SLOT, DraftError, Fault, RationaleDraft, check_draft
from marketstream.rationale.prose import Draft, Segment, Sentence, figure, marked, quoted, unsigned

_SENTENCE = re.compile(r"(?:\{[^{}]*\}|[^.{}]|\.(?! ))+\.?")
MAX_HINTS = 12
_PLACES = {1: "", 2: "second ", 3: "third "}
_BEST = {"roi_rank": "best", "tradable_roi_rank": "best", "band_rank": "widest"}


class Slots:
    """Fill the slots of drafts with the facts of one sheet, and make slots of sentences that are full."""

    def __init__(self, sheet: FactSheet) -> None:
        self._facts = sheet.by_id()
        self._names = {(name.role, name.key): name for name in sheet.names}
        self._roles = {(name.key, name.text): name.role for name in sheet.names}
        self._forms: dict[str, Callable[[Fact], Segment | str]] = {
            "name": self._name,
            "venue": self._venue,
            "direction": _direction,
            "comparison": _comparison,
            "rank": _rank,
        }

    def fill(self, draft: RationaleDraft) -> Draft:
        """Return a draft as segments, every slot filled; points and risks are a paragraph each.

        Raises:
            DraftError: The words say what only facts may say, or a slot cannot be filled.
        """
        faults = check_draft(draft)
        headline = self._fill("headline", draft.headline.strip().rstrip("."), faults)
        paragraphs = []
        for number, text in enumerate(draft.paragraphs, 1):
            place = f"point {number}" if number <= len(draft.points) else f"risk {number - len(draft.points)}"
            text = text.strip()
            paragraphs.append(self._fill(place, text if text.endswith(".") else text + ".", faults))
        if faults:
            raise DraftError(list(dict.fromkeys(faults)))
        return Draft(headline=headline, paragraphs=tuple(paragraphs))

    def fill_sentence(self, text: str) -> Sentence:
        """Return one sentence with its slots filled; DraftError when one cannot be."""
        faults: list[Fault] = []
        segments = tuple(_capital(list(self._pieces("", text, faults))))
        if faults:
            raise DraftError(faults)
        return segments

    def empty(self, sentence: Sentence) -> str | None:
        """Return a sentence with slots in place of its marked segments; None where there is no slot for one."""
        spoken_of = {segment.fact_id for segment in sentence}
        pieces = []
        for segment in sentence:
            slot = self._slot(segment, spoken_of) if segment.kind is not None else segment.text
            if slot is None:
                return None
            pieces.append(slot)
        return "".join(pieces)

    # Filling ------------------------------------------------------------------------------------------------

    def _fill(self, place: str, text: str, faults: list[Fault]) -> Sentence:
        segments: list[Segment] = []
        for sentence in _SENTENCE.findall(text):
            if segments:
                segments.append(Segment(" "))
            segments += _capital(list(self._pieces(place, sentence.strip(), faults)))
        return tuple(segments)

    def _pieces(self, place: str, sentence: str, faults: list[Fault]) -> Iterator[Segment]:
        # A word that says the direction takes the sign of the figure beside it.
        directed = {slot.removesuffix(".direction") for slot in SLOT.findall(sentence) if slot.endswith(".direction")}
        at = 0
        for slot in SLOT.finditer(sentence):
            if slot.start() > at:
                yield Segment(sentence[at : slot.start()])
            found = self._filled(slot[1], directed)
            if isinstance(found, Segment):
                yield found
            else:
                # What is like a slot takes time to find: a draft of a thousand bad ones is told of the first alone.
                words = self._hint(slot[1]) if len(faults) < MAX_HINTS else f"{{{slot[1]}}}"
                faults.append(Fault(place=place, words=words, why=found))
            at = slot.end()
        if at < len(sentence):
            yield Segment(sentence[at:])

    def _filled(self, slot: str, directed: set[str]) -> Segment | str:
        """Return the segment of a slot, or why there is none."""
        fact = self._facts.get(slot)
        if fact is not None:
            return _figure(fact, is_directed=slot in directed)
        own, _, form = slot.rpartition(".")
        fact = self._facts.get(own)
        if fact is None or form not in self._forms:
            return "a slot names no fact of the sheet"
        return self._forms[form](fact)

    def _hint(self, slot: str) -> str:
        near = difflib.get_close_matches(slot, self._facts, n=1) if slot not in self._facts else []
        return f"{{{slot[:60]}}}" + (f" (there is {{{near[0]}}})" if near else "")

    def _name(self, fact: Fact) -> Segment | str:
        name = self._names.get(("instrument", fact.subject))
        return "the fact is about no instrument" if name is None else Segment(name.text, name.key, SpanKind.NAME)

    def _venue(self, fact: Fact) -> Segment | str:
        name = self._names.get(("venue", str(fact.venue)))
        return "the fact is about no venue" if name is None else Segment(name.text, name.key, SpanKind.NAME)

    # Emptying -----------------------------------------------------------------------------------------------

    def _slot(self, segment: Segment, spoken_of: set[str]) -> str | None:
        if segment.kind is SpanKind.NAME:
            return self._name_slot(segment, spoken_of)
        form = ""
        if segment.kind is SpanKind.RANK:
            form = ".rank"
        elif segment.kind is SpanKind.DIRECTION:
            form = ".comparison" if segment.text.lower() in ("more", "less") else ".direction"
        return f"{{{segment.fact_id}{form}}}" if fits_slot(segment.fact_id) else None

    def _name_slot(self, segment: Segment, spoken_of: set[str]) -> str | None:
        role = self._roles.get((segment.fact_id, segment.text))
        form = "name" if role == "instrument" else "venue"
        own = [f.id for f in self._facts.values() if segment.fact_id == (f.subject if form == "name" else f.venue)]
        # The name of what the sentence states reads best; else the shortest.
        own.sort(key=lambda fact_id: (fact_id not in spoken_of, len(fact_id)))
        return next((f"{{{fact_id}.{form}}}" for fact_id in own if fits_slot(fact_id)), None)


def fits_slot(fact_id: str) -> bool:
    """Return whether a slot can hold this id: an instrument may be called anything, also `a}b`."""
    return "{" not in fact_id and "}" not in fact_id


def _figure(fact: Fact, *, is_directed: bool) -> Segment | str:
    if fact.unit == "text":
        return quoted(fact)
    if fact.unit == "flag":
        return "a yes or no has no figure"
    return unsigned(fact) if is_directed else figure(fact)


def _direction(fact: Fact) -> Segment | str:
    if fact.value == 0:
        return "what is unchanged has no direction"
    if fact.metric == "risk_excess":
        return marked("more than its weight" if fact.value > 0 else "less than its weight", fact)
    if fact.metric.endswith("_change"):
        return marked("rises" if fact.value > 0 else "falls", fact)
    return "only a change or risk_excess has a direction"


def _comparison(fact: Fact) -> Segment | str:
    if fact.metric == "weight_change" and fact.value != 0:
        return marked("more" if fact.value > 0 else "less", fact)
    return "only a weight_change that is not zero compares"


def _rank(fact: Fact) -> Segment | str:
    place = _PLACES.get(int(fact.value)) if fact.unit == "rank" else None
    if place is None:
        return "only a rank of 1 to 3 has a word"
    return marked(f"{place}{_BEST.get(fact.metric, 'largest')}", fact, SpanKind.RANK)


def _capital(segments: list[Segment]) -> list[Segment]:
    """Return a sentence that starts with a capital, unless a figure or a name stands first."""
    first = segments[0] if segments else None
    if first is None or first.kind not in (None, SpanKind.DIRECTION, SpanKind.RANK):
        return segments
    return [Segment(first.text[:1].upper() + first.text[1:], first.fact_id, first.kind), *segments[1:]]
