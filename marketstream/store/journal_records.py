"""What a journal holds, in the order in which it happened: the inputs of one engine. The file itself is journal.py."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from marketstream.market.catalog import Listing
from marketstream.market.quotes import QUOTE_DTYPE

RECORDED_SETTINGS = (
    "profile", "cycle_s", "analysis_interval_s", "health_interval_s", "window", "history_s", "seed", "delta_z_min",
    "allocation_move",
)  # fmt: skip
"""The settings that decide what a stream computes, and all that a header may hold: no address, no folder, no key."""

Scalar = bool | int | float | str | None
Knob = Scalar | dict[str, int | float]
"""What a knob may be. Typed, so that a short file cannot unfold into a deep tree of objects."""

_ROW_BYTES = sum(QUOTE_DTYPE[name].itemsize for name in QUOTE_DTYPE.names or ())


class Header(msgspec.Struct, frozen=True, array_like=True, tag="header", forbid_unknown_fields=True, kw_only=True):
    """How the engine was set up; the first record.

    Attributes:
        program: Version of marketstream that wrote it.
        created: UTC ns.
        profile: Which feeds were asked for.
        settings: Those of RECORDED_SETTINGS, by name.
        knobs: Of the house analysis, by stage and name.
    """

    program: str
    created: int
    profile: str
    settings: dict[str, Scalar]
    knobs: dict[str, dict[str, Knob]]


class ProviderEntry(
    msgspec.Struct, frozen=True, array_like=True, tag="provider", forbid_unknown_fields=True, kw_only=True
):
    """A provider that was taken in, with all it lists, so that every code comes out the same again.

    Attributes:
        name: Unique among the providers of one moment.
        kind: Kind of feed.
        frames: Whether its inputs are a venue's frames, for its own decoder; else they are rows.
        options: Of that kind, enough to decode its frames; no addresses and no keys.
        stale_after_s: Silence after which it counts as degraded, seconds.
        enabled: Whether it was enabled when it came.
        code: Its code in the catalogue.
        listing: Instruments, venues, pairs and markets, in order.
    """

    name: str
    kind: str
    frames: bool
    options: dict[str, list[str]]
    stale_after_s: float
    enabled: bool
    code: int
    listing: Listing


class InputEntry(msgspec.Struct, frozen=True, array_like=True, tag="input", forbid_unknown_fields=True, kw_only=True):
    """Something that came in from outside: a frame, a snapshot, a connection that opened or closed, simulated rows.

    Attributes:
        provider: Code of the provider.
        kind: What it was.
        epoch: Connection it came on.
        ts: When it was received, UTC ns.
        key: Symbol of a snapshot.
        body: The bytes as received; rows as `pack_rows` packs them.
    """

    provider: int
    kind: str
    epoch: int
    ts: int
    key: str
    body: bytes


class ChangeEntry(msgspec.Struct, frozen=True, array_like=True, tag="change", forbid_unknown_fields=True, kw_only=True):
    """What the registry decided.

    Attributes:
        kind: What was decided.
        provider: Name of the provider it is about.
        ts: When, UTC ns.
        enabled: Whether the provider is drained after it.
        status: What the provider is doing after it.
        trust: Pairs whose trusted provider changes, as rows of the registry's own type.
        rows: What enters the next cycle, as `pack_rows` packs them.
        events: What was told of it, as JSON.
    """

    kind: str
    provider: str
    ts: int
    enabled: bool
    status: str
    trust: bytes
    rows: bytes
    events: list[dict[str, Any]]


class KnobEntry(msgspec.Struct, frozen=True, array_like=True, tag="knob", forbid_unknown_fields=True, kw_only=True):
    """A knob of the house analysis that was moved before the next cycle."""

    stage: str
    knob: str
    value: Knob


class CycleEntry(msgspec.Struct, frozen=True, array_like=True, tag="cycle", forbid_unknown_fields=True, kw_only=True):
    """A cycle of the stream.

    Attributes:
        now: The moment up to which quotes were taken, UTC ns.
        monotonic: The same on the monotonic clock, ns; a replay is paced by it.
        dispatched: Whether the analysis was asked; a warm-up only fills the books.
        digest: Of all that was computed before this cycle; empty where the recorder keeps none.
    """

    now: int
    monotonic: int
    dispatched: bool
    digest: bytes


class EndEntry(msgspec.Struct, frozen=True, array_like=True, tag="end", forbid_unknown_fields=True, kw_only=True):
    """A recording that was ended in order; one without it was cut.

    Attributes:
        ts: When, UTC ns.
        cycles: How many it holds.
        digest: Of all that was computed.
        reason: Why it ended.
    """

    ts: int
    cycles: int
    digest: bytes
    reason: str


Entry = Header | ProviderEntry | InputEntry | ChangeEntry | KnobEntry | CycleEntry | EndEntry
"""Every kind of record. Another kind is another version of the file."""


def pack_rows(rows: np.ndarray) -> bytes:
    """Return quote rows as columns whose bytes lie by significance, which packs far better than rows do.

    >>> from marketstream.market.quotes import empty_quotes
    >>> len(pack_rows(empty_quotes(2))), len(unpack_rows(pack_rows(empty_quotes(2))))
    (130, 2)
    """
    n = len(rows)
    return b"".join(
        np.ascontiguousarray(rows[name]).view(np.uint8).reshape(n, -1).T.tobytes() if n else b""
        for name in QUOTE_DTYPE.names or ()
    )


def unpack_rows(packed: bytes) -> np.ndarray:
    """Return the quote rows of `pack_rows`; ValueError when the bytes are no whole number of rows."""
    n, rest = divmod(len(packed), _ROW_BYTES)
    if rest:
        raise ValueError(f"{len(packed)} bytes are no whole number of rows of {_ROW_BYTES} bytes")
    rows = np.zeros(n, dtype=QUOTE_DTYPE)
    at = 0
    for name in QUOTE_DTYPE.names or ():
        kind = QUOTE_DTYPE[name]
        column = np.frombuffer(packed, np.uint8, n * kind.itemsize, at).reshape(kind.itemsize, n)
        rows[name] = np.ascontiguousarray(column.T).view(kind)[:, 0] if n else 0
        at += n * kind.itemsize
    return rows
