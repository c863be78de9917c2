"""Records to keep, small and readable, for tests of the store and of what stands on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from marketstream.market.events import MarketEvent, Topic, event_to_json
from marketstream.market.handling import DeadLetter
from marketstream.market.rationale import (
    Fact,
    Issue,
    IssueKind,
    Rationale,
    RationaleKind,
    RationaleStatus,
    Span,
    SpanKind,
)
from marketstream.market.records import Feedback, FeedbackReason, ProviderConfig, StoredAnswer

MIDNIGHT = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND = 1_000_000_000


def event(n: int, topic: Topic = Topic.FEED_GAP, *, subject: str = "kraken", **data: Any) -> MarketEvent:
    return MarketEvent(
        ts=MIDNIGHT + n * SECOND,
        topic=topic,
        subject=subject,
        message=f"Fact {n}.",
        data=data or {"n": n},
        id=f"run-{n:08d}",
    )


def status_event(n: int, status: str, *, subject: str = "kraken") -> MarketEvent:
    return event(n, Topic.PROVIDER_STATUS, subject=subject, status=status)


def allocation_event(n: int, **changes: Any) -> MarketEvent:
    data = {
        "sequence": n,
        "status": "optimal",
        "method": "newton; shrunk",
        "turnover": 0.25,
        "weights": {"BTC-USD": 0.1},
        "previous_weights": {"BTC-USD": -0.15},
        "stakes": {"home@alder": 12.5},
        "cause": {"edges": [{"instrument": "BTC-USD", "edge": 1.5}], "limits": ["weight of BTC-USD"]},
    }
    return event(n, Topic.ALLOCATION, subject="portfolio", **{**data, **changes})


def fact(**changes: Any) -> Fact:
    base = Fact(
        id="BTC-USD.weight",
        subject="BTC-USD",
        subject_name="BTC-USD",
        metric="weight",
        value=3.3,
        unit="%",
        decimals=1,
        as_of=MIDNIGHT,
        source="optimizer",
        exact=3.31,
    )
    return replace(base, **changes)


def rationale(n: int = 1, **changes: Any) -> Rationale:
    base = Rationale(
        id=f"rationale-{n:06d}",
        kind=RationaleKind.RISK_REVIEW,
        status=RationaleStatus.READY,
        headline="3.3 % in BTC-USD",
        headline_spans=(Span(start=0, end=5, fact_id="BTC-USD.weight", kind=SpanKind.FIGURE),),
        text="BTC-USD holds 3.3 %.",
        spans=(Span(start=14, end=19, fact_id="BTC-USD.weight", kind=SpanKind.FIGURE),),
        facts=(fact(),),
        issues=(Issue(kind=IssueKind.WRONG_UNIT, start=0, end=5, message="no such unit"),),
        n_figures=2,
        written_by="narrator",
        created_at=MIDNIGHT + n * SECOND,
        as_of=MIDNIGHT,
        sequence=n,
    )
    return replace(base, **changes)


def rationale_event(n: int, text: Rationale | None = None) -> MarketEvent:
    text = text or rationale(n)
    return event(n, Topic.RATIONALE, subject=text.id, rationale=text.to_json())


def dead_letter(n: int, handler: str = "ledger", **changes: Any) -> DeadLetter:
    failed = event(n)
    base = DeadLetter(
        id=f"{handler}:{failed.id}",
        handler=handler,
        event_id=failed.id,
        topic=failed.topic.value,
        subject=failed.subject,
        payload=event_to_json(failed),
        error_type="PermanentError",
        error="refused",
        attempts=1,
        failed_at=failed.ts,
    )
    return replace(base, **changes)


def provider(name: str = "kraken", **changes: Any) -> ProviderConfig:
    base = ProviderConfig(name=name, kind="kraken", options={"symbols": ["BTC/USD"]}, enabled=True, updated_at=MIDNIGHT)
    return replace(base, **changes)


def feedback(rationale_id: str, **changes: Any) -> Feedback:
    base = Feedback(
        rationale_id=rationale_id, rating=1, reason=FeedbackReason.USEFUL, comment="Clear.", at=MIDNIGHT + SECOND
    )
    return replace(base, **changes)


def answer(key: str = "key-1", **changes: Any) -> StoredAnswer:
    base = StoredAnswer(
        key=key, fingerprint="sha", status=201, headers={"location": "/x"}, body=b'{"id":"\x00"}', at=MIDNIGHT
    )
    return replace(base, **changes)
