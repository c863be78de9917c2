"""What a move of trust means: the rows that enter the stream, what the move cost, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.market.catalog import Catalog
from marketstream.market.events import Json, MarketEvent, Topic
from marketstream.market.quotes import QuoteState, empty_quotes
from marketstream.providers.changes import ChangeKind, RegistryChange
from marketstream.providers.pairs import instruments_of, venues_of
from marketstream.providers.registry_entry import Entry
from marketstream.providers.trust import Move

MOST_LISTED = 20
"""An event names at most this many pairs and price jumps; the counts are of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When trust is settled.

    Attributes:
        now: UTC ns.
        drained_at: UTC ns of the last drain; what was received up to then has left or is kept.
        failback_s: How long a provider must have been delivering to be trusted again, seconds.
    """

    now: int
    drained_at: int
    failback_s: float


def change_of(move: Move, catalog: Catalog, moment: Moment) -> RegistryChange:
    """Return the change that carries out a move; from one provider to another, with the one event that tells of it."""
    entry = move.new or move.old
    if entry is None:
        raise ValueError("a move from nobody to nobody is none")
    kind = ChangeKind.SETTLED
    events: tuple[MarketEvent, ...] = ()
    if move.old is not None and move.new is not None:
        # From a healthy one trust only goes because of the order.
        kind = ChangeKind.RETURNED if move.old.healthy else ChangeKind.SWITCHED
        events = (_Switch(kind, move.keys, move.old, move.new, moment).event(catalog),)
    return RegistryChange(
        kind=kind,
        provider=entry.name,
        ts=moment.now,
        enabled=entry.enabled,
        status=entry.provider.status,
        trust=move.trust,
        rows=_entering(move, catalog, moment),
        events=events,
    )


def hand_over(move: Move, entering: np.ndarray) -> None:
    """Let the new provider know up to when rows of the pairs were delivered, those that enter now included."""
    if move.old is None or move.new is None or move.old.newest is None or move.new.newest is None:
        return
    here, there = _positions(move.new, move.keys), _positions(move.old, move.keys)
    delivered = move.new.newest.delivered
    delivered[here] = np.maximum(delivered[here], move.old.newest.delivered[there])
    at = move.new.provider.pairs.positions(entering)
    delivered[at] = np.maximum(delivered[at], entering["ts_received"])


def _entering(move: Move, catalog: Catalog, moment: Moment) -> np.ndarray:
    # One row per pair at most: the new source's newest word if nothing as new was delivered, else the end of a price
    # whose source can no longer stand by it, else nothing: then the old price ages where it is.
    rows = empty_quotes(len(move.keys))
    enters = np.zeros(len(rows), dtype=np.bool_)
    old, new = move.old, move.new
    if old is not None and not old.available:
        rows["instrument"], rows["venue"] = instruments_of(move.keys), venues_of(move.keys)
        rows["provider"] = old.provider.code
        rows["state"] = old.withdrawal
        rows["ts_event"] = rows["ts_received"] = moment.drained_at
        enters[:] = True
    if old is not None and new is not None and old.newest is not None and new.newest is not None:
        here, there = _positions(new, move.keys), _positions(old, move.keys)
        kept = new.newest.rows[here]
        newer = kept["ts_received"] > np.maximum(old.newest.delivered[there], new.newest.delivered[here])
        # A quote too old to feed a price is no news; the delta kernel would count it as if it came now.
        age = moment.now - kept["ts_received"]
        told = newer & ((kept["state"] != QuoteState.LIVE) | (age <= catalog.stale_after_ns()[kept["venue"]]))
        rows[told] = kept[told]
        enters |= told
    return rows[enters]


@dataclass(frozen=True, slots=True, eq=False)
class _Switch:
    """One move from one provider to another, as an event tells it."""

    kind: ChangeKind
    keys: np.ndarray
    old: Entry
    new: Entry
    moment: Moment

    def event(self, catalog: Catalog) -> MarketEvent:
        jumps = self._jumps_bps()
        known = np.flatnonzero(np.isfinite(jumps))
        largest = known[np.argsort(-np.abs(jumps[known]), kind="stable")][:MOST_LISTED]
        data: dict[str, Json] = {
            "from": self.old.name,
            "to": self.new.name,
            "direction": "failback" if self._returned else "failover",
            "cause": self._cause,
            "n_pairs": len(self.keys),
            "pairs": _names(self.keys[:MOST_LISTED], catalog),
            "without_data_s": self._without_data_s,
            "jumps_bps": dict(zip(_names(self.keys[largest], catalog), jumps[largest].tolist(), strict=True)),
            "max_jump_bps": float(abs(jumps[largest[0]])) if len(largest) else None,
        }
        return MarketEvent(
            ts=self.moment.now,
            topic=Topic.PROVIDER_SWITCH,
            subject=self.new.name,
            message=self._sentence(jumps[largest]),
            data=data,
        )

    @property
    def _returned(self) -> bool:
        return self.kind is ChangeKind.RETURNED

    @property
    def _cause(self) -> str:
        return f"{self.new.name} was healthy for {self.moment.failback_s:g} s" if self._returned else self.old.cause

    @property
    def _without_data_s(self) -> float | None:
        last = self.old.provider.stats.last_data_ns
        return None if last is None else max(self.moment.now - last, 0) / SECOND_NS

    def _jumps_bps(self) -> np.ndarray:
        # By pair: the new source's price against the last one of the old; NaN where one of them has none.
        if self.old.newest is None or self.new.newest is None:
            return np.full(len(self.keys), np.nan)
        here = _positions(self.new, self.keys)
        before = self.old.newest.price[_positions(self.old, self.keys)]
        live = self.new.newest.rows["state"][here] == QuoteState.LIVE
        return np.asarray((np.where(live, self.new.newest.price[here], np.nan) / before - 1.0) * 1e4)

    def _sentence(self, largest: np.ndarray) -> str:
        pairs = "1 pair" if len(self.keys) == 1 else f"{len(self.keys)} pairs"
        what = f"from {self.old.name} to {self.new.name} for {pairs}"
        if self._returned:
            what = f"failed back {what} after {self.moment.failback_s:g} s of health"
        elif self._without_data_s is None:
            what = f"switched {what}, before any data ({self._cause})"
        else:
            what = f"switched {what}, {self._without_data_s:.1f} s after the last data ({self._cause})"
        return f"{what}; largest price jump {abs(largest[0]):.1f} bps" if len(largest) else what


def _positions(entry: Entry, keys: np.ndarray) -> np.ndarray:
    return entry.provider.pairs.keys.searchsorted(keys)


def _names(keys: np.ndarray, catalog: Catalog) -> list[str]:
    instruments, venues = catalog.index, catalog.venues
    codes = zip(instruments_of(keys).tolist(), venues_of(keys).tolist(), strict=True)
    return [f"{instruments[k]}@{venues[v].id}" for k, v in codes]
