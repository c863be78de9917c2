"""What the API takes and gives about rationales: the order, and the text with its spans, facts and issues."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from marketstream.api.schemas import Input, Output, Timestamp

RationaleType = Literal["portfolio_summary", "position_explanation", "risk_review", "edge_note"]


class RationaleOrder(Input):
    """Which text to write."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rationale_type": "portfolio_summary"}]},
    )

    rationale_type: RationaleType = Field(default="portfolio_summary", description="What the text is about.")
    subject: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Instrument id; required for position_explanation, not allowed otherwise.",
    )


class RationaleTicket(Output):
    """The receipt for an order; the text is at /streaming/rationale/{id}."""

    id: str = Field(description="Names the text that will be written.")


class FactInfo(Output):
    """One thing that the text may say."""

    id: str = Field(description="Stable and readable: subject.metric or subject@venue.metric.")
    subject: str = Field(description="Key of an instrument, or portfolio, feeds or edges.")
    subject_name: str = Field(description="How the text writes the subject.")
    metric: str = Field(description="What is said about it.")
    venue: str | None = Field(description="Key of the venue it is about; null for none.")
    value: float = Field(description="Rounded to `decimals`, in `unit`.")
    unit: str = Field(description="Unit of value, such as %, bps, USD, probability, count, s or text.")
    decimals: int = Field(description="Digits shown after the point.")
    directional: bool = Field(description="Its sign means better or worse and is always shown.")
    as_of: Timestamp = Field(description="Moment of the snapshot, UTC.")
    source: str = Field(description="What it was computed from.")
    age_ms: float | None = Field(description="Age of the oldest quote behind it, milliseconds; null where none.")
    exact: float = Field(description="The value before rounding, in `unit`.")
    text: str = Field(description="The words of a fact of unit text, the time of one of unit UTC; else empty.")


class SpanInfo(Output):
    """A marked piece of a text, by character positions."""

    start: int = Field(description="First character.", ge=0)
    end: int = Field(description="Character after the last.", ge=0)
    fact_id: str = Field(description="Id of the fact that stands behind it; for a name the key of what it names.")
    kind: Literal["figure", "name", "direction", "rank", "quote"] = Field(description="What kind of piece it is.")


class IssueInfo(Output):
    """One thing that the verifier refused."""

    kind: str = Field(description="What is wrong, such as unsupported_number or wrong_sign.")
    start: int = Field(description="First character.", ge=0)
    end: int = Field(description="Character after the last.", ge=0)
    message: str = Field(description="The same in a sentence.")


class RationaleInfo(Output):
    """A text and what stands behind it. Plain text with names that venues chose: escape it for a page."""

    id: str = Field(description="Names it.")
    rationale_type: RationaleType = Field(description="What it is about.")
    subject: str | None = Field(description="Instrument id; null where it is about none.")
    status: Literal["pending", "ready", "failed"] = Field(description="Only a ready one has a text.")
    headline: str = Field(description="One line.")
    headline_spans: list[SpanInfo] = Field(description="What is marked in the headline.")
    text: str = Field(description="Paragraphs, parted by an empty line.")
    spans: list[SpanInfo] = Field(description="What is marked in the text; figures carry their fact.")
    facts: list[FactInfo] = Field(description="The facts that headline and text show; the whole sheet with facts=all.")
    issues: list[IssueInfo] = Field(description="What the verifier refused.")
    n_figures: int = Field(description="Figures in headline and text, all of them verified.", ge=0)
    written_by: str = Field(description="narrator, or safe sentence where the narrator's text was refused.")
    created_at: Timestamp = Field(description="When it was ordered, UTC.")
    as_of: Timestamp | None = Field(description="Moment of the snapshot it is about, UTC; null before there is one.")
    sequence: int | None = Field(description="Cycle of that snapshot; null before there is one.")
    reason: str = Field(description="Why it failed; else empty.")


class RationaleQuery(Input):
    """How much to send of a text."""

    facts: Literal["used", "all"] = Field(
        default="used",
        description="used: the facts that the text shows; all: the whole sheet it was written from.",
    )
