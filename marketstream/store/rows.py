"""Nouns as rows: what goes in is checked here, so that the database has nothing left to refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from marketstream.errors import InvalidInputError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter
from marketstream.market.rationale import Rationale
from marketstream.market.records import Feedback, ProviderConfig, StoredAnswer
from marketstream.store.columns import finite, plain_mapping, short, whole

RECORD = "record"
"""Key under which the data of an event names the table that keeps what it told of."""
_ALLOCATION_MAPPINGS = ("weights", "previous_weights", "stakes", "cause")
_ALLOCATION_FIELDS = {"sequence", "status", "method", "turnover", *_ALLOCATION_MAPPINGS}


def event_row(event: MarketEvent) -> dict[str, object]:
    """Return the row of an event; one that carries a record keeps only where that is."""
    if not event.id:
        raise InvalidInputError(f"an event needs an id to be kept, that about {event.subject!r} has none")
    if event.topic is Topic.ALLOCATION:
        data: Any = {RECORD: "allocations"}
    elif event.topic is Topic.RATIONALE:
        data = {RECORD: "rationales", "id": _carried(event)["id"]}
    else:
        data = plain_mapping(event.data, f"data of event {event.id!r}")
    return {
        "event_id": short(event.id, "id of an event"),
        "ts": whole(event.ts, "ts of an event"),
        "topic": event.topic.value,
        "subject": short(event.subject, "subject of an event"),
        "message": event.message,
        "data": data,
    }


def state_row(event: MarketEvent) -> dict[str, object]:
    """Return what the statement of provider states wants to know of an event about one."""
    status = event.data.get("status", "")
    return {"of_event": event.id, "state": status if isinstance(status, str) else ""}


def allocation_row(event: MarketEvent) -> dict[str, object]:
    """Return the row of the allocation that an event carries.

    Raises:
        InvalidInputError: Its data are not the fields of AllocationRecord.
    """
    if set(event.data) != _ALLOCATION_FIELDS:
        raise InvalidInputError(
            f"an event about an allocation carries {sorted(_ALLOCATION_FIELDS)}, this one {sorted(event.data)}"
        )
    data = cast("Mapping[str, Any]", event.data)
    return {
        "event_id": event.id,
        "ts": event.ts,
        "sequence": whole(data["sequence"], "sequence"),
        "status": str(data["status"]),
        "method": str(data["method"]),
        "turnover": finite(data["turnover"], "turnover"),
        **{name: plain_mapping(data[name], name) for name in _ALLOCATION_MAPPINGS},
    }


def rationale_row(event: MarketEvent) -> dict[str, object]:
    """Return the row of the text that an event carries.

    Raises:
        InvalidInputError: It carries none.
    """
    text = Rationale.from_json(_carried(event))
    return {
        "id": short(text.id, "id of a text"),
        "event_id": event.id,
        "kind": text.kind.value,
        "subject": text.subject,
        "status": text.status.value,
        "created_at": whole(text.created_at, "created_at"),
        "record": plain_mapping(text.to_json(), f"rationale {text.id!r}"),
    }


def provider_row(config: ProviderConfig) -> dict[str, object]:
    """Return the row of a configuration."""
    return {
        "name": short(config.name, "name of a provider"),
        "kind": config.kind,
        "options": None if config.options is None else plain_mapping(config.options, f"options of {config.name!r}"),
        "enabled": config.enabled,
        "removed": config.removed,
        "stale_after_s": finite(config.stale_after_s, "stale_after_s"),
        "updated_at": whole(config.updated_at, "updated_at"),
    }


def dead_letter_row(letter: DeadLetter) -> dict[str, object]:
    """Return the row of a dead letter."""
    return {
        "id": short(letter.id, "id of a dead letter"),
        "handler": letter.handler,
        "event_id": letter.event_id,
        "topic": letter.topic,
        "subject": letter.subject,
        "payload": plain_mapping(letter.payload, f"payload of {letter.id!r}"),
        "error_type": letter.error_type,
        "error": letter.error,
        "attempts": whole(letter.attempts, "attempts"),
        "failed_at": whole(letter.failed_at, "failed_at"),
        "status": letter.status.value,
    }


def feedback_row(feedback: Feedback) -> dict[str, object]:
    """Return what the statement of feedback wants to know."""
    return {
        "new_rationale_id": feedback.rationale_id,
        "new_rating": feedback.rating,
        "new_reason": feedback.reason.value,
        "new_comment": feedback.comment,
        "new_at": whole(feedback.at, "at"),
    }


def answer_row(answer: StoredAnswer) -> dict[str, object]:
    """Return the row of a remembered answer."""
    return {
        "key": short(answer.key, "key of an answer"),
        "fingerprint": answer.fingerprint,
        "status": whole(answer.status, "status"),
        "headers": plain_mapping(answer.headers, "headers"),
        "body": answer.body,
        "at": whole(answer.at, "at"),
    }


def handled_row(handler: str, event_id: str, at: int) -> dict[str, object]:
    """Return the mark that a handler has dealt with an event at a moment (UTC ns)."""
    return {
        "handler": short(handler, "name of a handler"),
        "event_id": short(event_id, "id of an event"),
        "at": whole(at, "at"),
    }


def _carried(event: MarketEvent) -> Mapping[str, Any]:
    data = event.data.get("rationale")
    if not isinstance(data, Mapping) or "id" not in data:
        raise InvalidInputError("an event about a text carries it as `rationale`, this one does not")
    return data
