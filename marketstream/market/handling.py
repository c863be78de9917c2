"""How effects are retried and what becomes of those that fail: values that handlers, store, API and page share."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from marketstream.errors import InvalidInputError
from marketstream.market.events import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again: see `full_jitter_s` for the waits.

    Args:
        max_attempts: Calls in all, the first included.
        first_s: Upper bound of the first wait, seconds.
        cap_s: No wait is longer, seconds.
    """

    max_attempts: int = 5
    first_s: float = 0.1
    cap_s: float = 5.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise InvalidInputError(f"max_attempts must be >= 1, was {self.max_attempts}")
        if not (math.isfinite(self.cap_s) and 0 < self.first_s <= self.cap_s):
            raise InvalidInputError(f"waits must be 0 < first_s <= cap_s, were {self.first_s} and {self.cap_s} seconds")

    def wait_s(self, failures: int, rng: random.Random) -> float:
        """Return how long to wait after `failures` failed calls, seconds.

        >>> 0.0 <= RetryPolicy().wait_s(40, random.Random(1)) <= 5.0
        True
        """
        return full_jitter_s(failures, rng, first_s=self.first_s, cap_s=self.cap_s)


def full_jitter_s(failures: int, rng: random.Random, *, first_s: float, cap_s: float) -> float:
    """Return seconds to wait after `failures` failures in a row: uniform in 0..min(cap_s, first_s * 2**(failures - 1)).

    (Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)

    >>> 0.0 <= full_jitter_s(3, random.Random(1), first_s=1.0, cap_s=60.0) <= 4.0
    True
    """
    # 2.0**1100 overflows; the cap is reached long before.
    return rng.uniform(0.0, min(cap_s, first_s * 2.0 ** min(failures - 1, 60)))


class HandlerOutcome(StrEnum):
    """What became of one event in one handler."""

    DONE = "done"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerResult:
    """What one handler made of one event; `duration_ms` is the work alone, without waits between attempts."""

    handler: str
    event_id: str
    outcome: HandlerOutcome
    attempts: int
    duration_ms: float
    error: str = ""


class DeadLetterStatus(StrEnum):
    """Where a dead letter stands."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that a handler could not deal with, kept whole so that it can be replayed.

    Attributes:
        id: `handler:event_id`, so that one event fails one handler at most once.
        handler: Who failed.
        event_id: Id of the event; the effect is idempotent by it.
        topic: Topic of the event.
        subject: Subject of the event.
        payload: The event as plain JSON, enough to hand it in again.
        error_type: Class of the last exception.
        error: Its message, cut to 500 characters.
        attempts: Calls that were made in all, replays included.
        failed_at: UTC ns of the last failure.
        status: Waiting, replayed or discarded.
    """

    id: str
    handler: str
    event_id: str
    topic: str
    subject: str
    payload: Mapping[str, Json]
    error_type: str
    error: str
    attempts: int
    failed_at: int
    status: DeadLetterStatus = DeadLetterStatus.WAITING


class HandlerKind(StrEnum):
    """What a handler is for."""

    ANALYSIS = "analysis"
    """Looks at every cycle, in order of registration; never retried, since the next cycle makes it pointless."""
    EFFECT = "effect"
    """Does something with every event of its topics, in a lane of its own; retried, then dead-lettered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerReport:
    """How one handler fares.

    Attributes:
        name: Its name.
        topics: Patterns of the topics it takes; none for an analysis, which takes cycles.
        waiting: Events in its lane, those it is at included.
        done: Events, or cycles, dealt with.
        retries: Calls that were made again.
        dead_lettered: Events it could not deal with.
        dropped: Conflatable events that a full lane let go of; control events never are.
        overflow: Control events that a full lane took in beyond its capacity.
        ms_p50: Median time of a call over the last 300, ms; None before the first.
        ms_p99: 99th percentile of the same.
        retrying: The error that is being retried now, else empty.
        kind: Analysis or effect.
        errors: Calls that raised.
        last_error: The newest of them.
    """

    name: str
    topics: tuple[str, ...]
    waiting: int
    done: int
    retries: int
    dead_lettered: int
    dropped: int
    ms_p50: float | None
    ms_p99: float | None
    retrying: str = ""
    kind: HandlerKind = HandlerKind.EFFECT
    errors: int = 0
    last_error: str = ""
    overflow: int = 0
