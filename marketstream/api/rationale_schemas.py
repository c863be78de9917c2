"""What the API takes and gives about rationales: orders, texts with spans, facts and attempts, and feedback."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from marketstream.api.listing import Listed, Listing
from marketstream.api.schemas import Input, Output, Timestamp
from marketstream.market.instruments import MAX_NAME_LENGTH
from marketstream.market.rationale import MAX_CONTEXT, MAX_HOLDINGS, MAX_QUANTITY
from marketstream.market.records import MAX_COMMENT_LENGTH

RationaleType = Literal["portfolio_summary", "position_explanation", "risk_review", "edge_note"]
Status = Literal["pending", "ready", "failed", "cancelled"]
Reason = Literal["useful", "wrong_figure", "unclear", "too_long", "missing", "other"]


class HoldingOrder(Input):
    """One row of a book: an asset with its weight or its quantity."""

    instrument: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, description="Instrument id of an asset.")
    weight: float | None = Field(default=None, ge=0, le=1, strict=True, description="Fraction of the capital, 0 to 1.")
    quantity: float | None = Field(
        default=None, ge=0, le=MAX_QUANTITY, strict=True, description="Units held, in place of a weight."
    )


class RationaleOrder(Input):
    """Which text to write."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"rationale_type": "portfolio_summary"},
                {"rationale_type": "position_explanation", "subject": "BTC-USD"},
                {
                    "rationale_type": "risk_review",
                    "portfolio_data": [
                        {"instrument": "BTC-USD", "weight": 0.6},
                        {"instrument": "ETH-USD", "weight": 0.3},
                    ],
                    "context": "For a reader who holds only these two.",
                },
            ]
        },
    )

    rationale_type: RationaleType = Field(default="portfolio_summary", description="What the text is about.")
    subject: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="Instrument id; required for position_explanation, not allowed otherwise.",
    )
    portfolio_data: list[HoldingOrder] | None = Field(
        default=None,
        max_length=MAX_HOLDINGS,
        description="Your own book, in place of the house's: each asset once, all by weight (the sum at most 1, the "
        "rest is cash) or all by quantity (weighed at fair values of one quote currency). The text says that the "
        "weights are yours; what they do not tell, such as changes and limits, it leaves out.",
    )
    context: str | None = Field(
        default=None,
        max_length=MAX_CONTEXT,
        description="Your own words for a model to bear in mind. No figure and no name of the text comes from them.",
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


class AttemptInfo(Output):
    """One try of one writer at a text."""

    backend: str = Field(description="Who tried: a model's name, narrator or safe sentence.")
    outcome: Literal[
        "written",
        "refused",
        "malformed",
        "empty",
        "cut",
        "filtered",
        "too_large",
        "timeout",
        "unreachable",
        "rate_limited",
        "rejected",
        "server_error",
        "failed",
    ] = Field(description="How it ended; only what was written is shown.")
    detail: str = Field(description="Why it was not written, without a word of the model; empty when it was.")
    duration_ms: float = Field(description="How long it took, milliseconds.", ge=0)


class RationaleRow(Output):
    """A text in a list."""

    id: str = Field(description="Names it.")
    rationale_type: RationaleType = Field(description="What it is about.")
    subject: str | None = Field(description="Instrument id; null where it is about none.")
    status: Status = Field(description="Only a ready one has a text.")
    headline: str = Field(description="One line. Plain text with names that venues chose: escape it for a page.")
    n_figures: int = Field(description="Figures in headline and text, all of them verified.", ge=0)
    written_by: str = Field(
        description="The model that wrote it, else narrator, or safe sentence where even that was refused."
    )
    created_at: Timestamp = Field(description="When it was ordered, UTC.")
    as_of: Timestamp | None = Field(description="Moment of the snapshot it is about, UTC; null before there is one.")
    sequence: int | None = Field(description="Cycle of that snapshot; null before there is one.")
    reason: str = Field(description="Why it failed or was cancelled; else empty.")


class RationaleInfo(RationaleRow):
    """A text and what stands behind it. Plain text with names that venues chose: escape it for a page."""

    headline_spans: list[SpanInfo] = Field(description="What is marked in the headline.")
    text: str = Field(description="Paragraphs, parted by an empty line.")
    spans: list[SpanInfo] = Field(description="What is marked in the text; figures carry their fact.")
    facts: list[FactInfo] = Field(description="The facts that headline and text show; the whole sheet with facts=all.")
    issues: list[IssueInfo] = Field(description="What the verifier refused.")
    attempts: list[AttemptInfo] = Field(
        description="Every try, in order; more than one means that an earlier writer failed."
    )


class RationalePage(Listed):
    """Texts, newest first: those that wait or are in work, then those that have ended."""

    rows: list[RationaleRow] = Field(description="The texts.")


class RationaleListQuery(Listing):
    """Filters of /streaming/rationale; all that are given must hold."""

    rationale_type: RationaleType | None = Field(default=None, description="Texts of this type.")
    status: Status | None = Field(default=None, description="Texts in this state.")


class FeedbackOrder(Input):
    """What you think of a text."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rating": -1, "reason": "unclear", "comment": "Which venue is late?"}]}
    )

    rating: Literal[-1, 0, 1] = Field(description="-1 bad, 0 neither, 1 good.")
    reason: Reason = Field(default="other", description="What the rating is about.")
    comment: str = Field(default="", max_length=MAX_COMMENT_LENGTH, description="More, in your own words.")


class FeedbackInfo(Output):
    """What a reader thought of a text."""

    rating: Literal[-1, 0, 1] = Field(description="-1 bad, 0 neither, 1 good.")
    reason: Reason = Field(description="What the rating is about.")
    comment: str = Field(description="More, in the reader's words, on one line. Escape it for a page.")
    at: Timestamp = Field(description="When it was given, UTC.")


class FeedbackList(Output):
    """All feedback on one text, oldest first."""

    id: str = Field(description="The text.")
    count: int = Field(description="How many there are.", ge=0)
    feedback: list[FeedbackInfo] = Field(description="What readers thought.")


class RationaleQuery(Input):
    """How much to send of a text."""

    facts: Literal["used", "all"] = Field(
        default="used",
        description="used: the facts that the text shows; all: the whole sheet it was written from.",
    )
