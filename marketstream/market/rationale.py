"""Nouns of the rationale: facts, the sheet that holds them, spans and the finished text. Made by rationale/."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, cast

import msgspec

from marketstream.errors import InvalidInputError
from marketstream.market.instruments import MAX_NAME_LENGTH, check_name

MAX_FACTS = 400
MAX_HOLDINGS = 200
MAX_CONTEXT = 500
MAX_QUANTITY = 1e15
WEIGHT_TOLERANCE = 1e-6
"""By how much given weights may sum to more than 1, for rounding."""
PORTFOLIO, FEEDS, EDGES = "portfolio", "feeds", "edges"
"""Subjects that are no instrument: the whole book, all quotes, all priced edges."""


class RationaleKind(StrEnum):
    """What a text is about."""

    PORTFOLIO_SUMMARY = "portfolio_summary"
    POSITION_EXPLANATION = "position_explanation"
    RISK_REVIEW = "risk_review"
    EDGE_NOTE = "edge_note"


class RationaleStatus(StrEnum):
    """How far a text is."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """How one attempt at a text ended."""

    WRITTEN = "written"
    REFUSED = "refused"
    MALFORMED = "malformed"
    EMPTY = "empty"
    CUT = "cut"
    FILTERED = "filtered"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    SERVER_ERROR = "server_error"
    FAILED = "failed"


class SpanKind(StrEnum):
    """What a marked piece of text is."""

    FIGURE = "figure"
    NAME = "name"
    DIRECTION = "direction"
    RANK = "rank"
    QUOTE = "quote"


class IssueKind(StrEnum):
    """What is wrong with a text."""

    UNSUPPORTED_NUMBER = "unsupported_number"
    SWAPPED_SUBJECT = "swapped_subject"
    WRONG_VENUE = "wrong_venue"
    WRONG_METRIC = "wrong_metric"
    WRONG_UNIT = "wrong_unit"
    WRONG_SIGN = "wrong_sign"
    WRONG_DIRECTION = "wrong_direction"
    WRONG_TIME = "wrong_time"
    WRONG_SPAN = "wrong_span"
    UNKNOWN_ENTITY = "unknown_entity"
    UNSUPPORTED_SUPERLATIVE = "unsupported_superlative"
    UNSUPPORTED_CLAIM = "unsupported_claim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that a text may say.

    Attributes:
        id: Stable and readable: `subject.metric` or `subject@venue.metric`; see `fact_id`.
        subject: Key of an instrument, or PORTFOLIO, FEEDS or EDGES.
        subject_name: How a text writes the subject.
        metric: What is said about it.
        venue: Key of the venue it is about, or None.
        value: Rounded to `decimals`, never negative zero; 1 or 0 for a yes or no, 1 for words.
        unit: `%`, `points`, `bps`, `USD` (or another currency), `probability`, `USD per contract`,
            `probability per contract`, `count`, `rank`, `s`, `min`, `standard errors`, `UTC`, `flag`, `text`.
        decimals: Digits shown after the point.
        directional: Its sign means better or worse, more or less, and is always shown.
        as_of: UTC ns.
        source: What it was computed from.
        age_ms: Age of the oldest quote behind it at `as_of`, where that means something.
        exact: The value before rounding; for parts of a whole `value` may be one unit off it, so that they add up.
        text: The words of a fact of unit `text`, the clock time of one of unit `UTC`; else empty.
    """

    id: str
    subject: str
    subject_name: str
    metric: str
    venue: str | None = None
    value: float
    unit: str
    decimals: int = 0
    directional: bool = False
    as_of: int
    source: str
    age_ms: float | None = None
    exact: float
    text: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "exact", "age_ms"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise InvalidInputError(f"{name} of fact {self.id!r} must be finite, was {number}")
        if self.value != round(self.value, self.decimals) or (self.value == 0 and math.copysign(1, self.value) < 0):
            raise InvalidInputError(
                f"value of fact {self.id!r} must be rounded to {self.decimals} decimals and no -0.0, was {self.value}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """How a text writes an instrument or a venue.

    Attributes:
        key: Stands for it in facts.
        role: `instrument` or `venue`.
        id: Its id in the Catalog.
        text: What the text holds, in “ ” unless it cannot be taken for a word or a number.
    """

    key: str
    role: str
    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSheet:
    """All that one text may say.

    Attributes:
        kind: What the text is about.
        subject: Key of the instrument it is about, or None.
        as_of: UTC ns of the snapshot.
        sequence: Number of the snapshot's cycle.
        facts: At most MAX_FACTS, unique ids.
        names: Every instrument and venue that may be named; written forms are unique.
    """

    kind: RationaleKind
    subject: str | None
    as_of: int
    sequence: int
    facts: tuple[Fact, ...]
    names: tuple[Name, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.facts) <= MAX_FACTS:
            raise InvalidInputError(f"a fact sheet has 1 to {MAX_FACTS} facts, had {len(self.facts)}")
        for what, keys in (("fact id", [f.id for f in self.facts]), ("name", [n.text for n in self.names])):
            twice = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) != len(keys) else []
            if twice:
                raise InvalidInputError(f"each {what} of a sheet must be unique, {twice[:3]} are not")

    def by_id(self) -> dict[str, Fact]:
        """Return the facts by id."""
        return {fact.id: fact for fact in self.facts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A marked piece `text[start:end]`; `fact_id` is a fact, or for a name the key of its entity."""

    start: int
    end: int
    fact_id: str
    kind: SpanKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing that the verifier refused: what kind, where in the text, and why in a sentence."""

    kind: IssueKind
    start: int
    end: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one writer at a text.

    Attributes:
        backend: Who tried: a model's name, `narrator` or `safe sentence`.
        outcome: How it ended; only a written one was shown.
        detail: Why it was not, in a sentence without anything the model said; empty when written.
        duration_ms: How long it took.
    """

    backend: str
    outcome: Outcome
    detail: str = ""
    duration_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One row of a caller's own book: an asset by its share of the capital, or by how many units are held.

    Args:
        instrument: Instrument id.
        weight: Fraction of the capital, 0 to 1.
        quantity: Units held, 0 or more.

    Raises:
        InvalidInputError: Neither or both are given, or the figure is out of range.
    """

    instrument: str
    weight: float | None = None
    quantity: float | None = None

    def __post_init__(self) -> None:
        check_name(self.instrument, "instrument of a holding")
        if (self.weight is None) == (self.quantity is None):
            raise InvalidInputError(f"holding of {self.instrument!r} needs a weight or a quantity, and not both")
        if self.weight is not None and not 0.0 <= self.weight <= 1.0:
            raise InvalidInputError(f"weight of {self.instrument!r} must be 0 to 1, was {self.weight}")
        if self.quantity is not None and not 0.0 <= self.quantity <= MAX_QUANTITY:
            raise InvalidInputError(
                f"quantity of {self.instrument!r} must be 0 to {MAX_QUANTITY:g}, was {self.quantity}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RationaleRequest:
    """An order for a text; `of` takes the kind as a plain string.

    Args:
        kind: What it is about.
        subject: Instrument id, for `position_explanation` alone.
        portfolio_data: The caller's own book, in place of the house's; at most MAX_HOLDINGS rows, all by weight
            (which sum to at most 1, the rest is cash) or all by quantity.
        context: The caller's own words for a model to bear in mind, at most MAX_CONTEXT characters. They are no
            facts: no figure of a text comes from them.

    Raises:
        InvalidInputError: A subject where none belongs, or none where one does; a book that cannot be.
    """

    kind: RationaleKind
    subject: str | None = None
    portfolio_data: tuple[Holding, ...] = ()
    context: str = ""

    @classmethod
    def of(cls, kind: str, subject: str | None = None) -> RationaleRequest:
        """Return an order by the name of its kind; InvalidInputError when there is no such kind."""
        try:
            return cls(kind=RationaleKind(kind), subject=subject)
        except ValueError as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"kind must be one of {', '.join(RationaleKind)}, was {kind!r}") from None

    def __post_init__(self) -> None:
        needs = self.kind is RationaleKind.POSITION_EXPLANATION
        if needs != (self.subject is not None):
            rule = "needs the id of an instrument as subject" if needs else "has no subject"
            raise InvalidInputError(f"{self.kind} {rule}, was {self.subject!r}")
        if self.subject is not None and not 1 <= len(self.subject) <= MAX_NAME_LENGTH:
            raise InvalidInputError(f"subject must have 1 to {MAX_NAME_LENGTH} characters, had {len(self.subject)}")
        if len(self.context) > MAX_CONTEXT:
            raise InvalidInputError(f"context must have at most {MAX_CONTEXT} characters, had {len(self.context)}")
        _check_book(self.portfolio_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class RationaleHead:
    """A text as a list shows it, without its words, its facts and its attempts.

    Attributes:
        id: Names it in the API.
        kind: What it is about.
        subject: Instrument id, where it is about one.
        status: Only a ready one has a text, and its text has passed the verifier.
        headline: One line.
        n_figures: Figures in headline and text, all of them verified.
        written_by: The model that wrote it, else `narrator`, or `safe sentence` where the narrator's text was refused.
        created_at: UTC ns of the order.
        as_of: UTC ns of the snapshot, 0 before there is one.
        sequence: Cycle of the snapshot, -1 before there is one.
        reason: Why it failed or was cancelled, else empty.
    """

    id: str
    kind: RationaleKind
    subject: str | None = None
    status: RationaleStatus
    headline: str = ""
    n_figures: int = 0
    written_by: str = ""
    created_at: int
    as_of: int = 0
    sequence: int = -1
    reason: str = ""

    @classmethod
    def from_record(cls, record: str) -> RationaleHead:
        """Return the head of a whole text in JSON; the rest of it is stepped over, not decoded.

        Raises:
            InvalidInputError: It is no such thing.
        """
        try:
            return msgspec.json.decode(record, type=RationaleHead)
        except msgspec.DecodeError as error:
            raise InvalidInputError(f"this is no rationale: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rationale(RationaleHead):
    """A text and what stands behind it.

    Attributes:
        headline_spans: What is marked in the headline.
        text: Paragraphs, parted by an empty line. Plain text: names in it are untrusted, escape them.
        spans: What is marked in the text.
        facts: The sheet it was written from.
        issues: What the verifier refused; not empty on a ready text only when a safe sentence took its place.
        attempts: Every try, in order; more than one means that an earlier writer failed.
    """

    headline_spans: tuple[Span, ...] = ()
    text: str = ""
    spans: tuple[Span, ...] = ()
    facts: tuple[Fact, ...] = ()
    issues: tuple[Issue, ...] = ()
    attempts: tuple[Attempt, ...] = ()

    @property
    def used_facts(self) -> tuple[Fact, ...]:
        """Return the facts that the text shows, in the order they appear, each once."""
        facts = {fact.id: fact for fact in self.facts}
        shown = [s.fact_id for s in (*self.headline_spans, *self.spans) if s.kind is not SpanKind.NAME]
        return tuple(facts[i] for i in dict.fromkeys(shown) if i in facts)

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and finite numbers."""
        return cast("dict[str, Any]", _plain(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rationale:
        """Return the text that `to_json` wrote.

        Raises:
            InvalidInputError: It is no such thing.
        """
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise InvalidInputError(f"this is no rationale: {error}") from None


def fact_id(subject: str, metric: str, venue: str | None = None) -> str:
    """Return `subject.metric` or `subject@venue.metric` of keys made by `entity_key`.

    >>> fact_id("BTC-USD", "edge", "alder")
    'BTC-USD@alder.edge'
    """
    return f"{subject}@{venue}.{metric}" if venue is not None else f"{subject}.{metric}"


def entity_key(instrument_or_venue_id: str) -> str:
    """Return the id as it stands in fact ids: `%` and `@` as %25 and %40, never a reserved subject.

    >>> entity_key("BTC-USD"), entity_key("a@b"), entity_key("feeds")
    ('BTC-USD', 'a%40b', '%66eeds')
    """
    key = instrument_or_venue_id.replace("%", "%25").replace("@", "%40")
    if key in (PORTFOLIO, FEEDS, EDGES):
        return f"%{ord(key[0]):x}{key[1:]}"
    return key


def _check_book(holdings: tuple[Holding, ...]) -> None:
    if len(holdings) > MAX_HOLDINGS:
        raise InvalidInputError(f"portfolio_data has at most {MAX_HOLDINGS} rows, had {len(holdings)}")
    names = [holding.instrument for holding in holdings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"portfolio_data names each instrument once, named {twice[:3]} more than once")
    weights = [holding.weight for holding in holdings if holding.weight is not None]
    if weights and len(weights) < len(holdings):
        raise InvalidInputError("portfolio_data is all weights or all quantities, was a mix of both")
    total = math.fsum(weights)
    if total > 1.0 + WEIGHT_TOLERANCE:
        raise InvalidInputError(f"weights of portfolio_data sum to at most 1 (the rest is cash), were {total:.6g}")
    if holdings and not any(holding.weight or holding.quantity for holding in holdings):
        raise InvalidInputError("portfolio_data holds nothing: every weight or quantity was 0")


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
