"""Switchboard: settles who is trusted, keeps what enters the next drain, and writes down every decision once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np

from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent
from marketstream.market.quotes import empty_quotes
from marketstream.providers.changes import ChangeKind, RegistryChange, no_trust
from marketstream.providers.failover import Moment, change_of, hand_over
from marketstream.providers.registry_entry import Entry
from marketstream.providers.trust import Trust

logger = logging.getLogger(__name__)


class Switchboard:
    """Trust and its consequences, for the ProviderRegistry, whose lock guards every call.

    Trust is settled lazily: after any number of changes once, when somebody looks or the next drain comes.

    Args:
        entries: The registry's entries by name, in order of trust; only looked at.
        catalog: Gives pairs their names.
        failback_s: How long an earlier provider must have been delivering to be trusted again, seconds.

    Attributes:
        on_change: Told of every decision made here.
        drained_at: UTC ns of the last drain.
        follows: Whether changes come from outside, and nothing is judged here.
    """

    def __init__(self, entries: Mapping[str, Entry], catalog: Catalog, failback_s: float) -> None:
        self.on_change: Callable[[RegistryChange], None] | None = None
        self.drained_at = 0
        self.follows = False
        self._entries = entries
        self._catalog = catalog
        self._failback_s = failback_s
        self._trust = Trust()
        self._seated = self._settled = True
        self._entering: list[np.ndarray] = []
        self._untold: list[MarketEvent] = []

    def unsettle(self, *, membership: bool = False) -> None:
        """Say that trust may have to change; with `membership`, that a provider came or went."""
        self._settled = False
        self._seated = self._seated and not membership

    def settle(self, now: int) -> None:
        """Move trust to where it should be at `now` (UTC ns), if anything changed since it was settled last."""
        self._seat()
        if self._settled or self.follows:
            return
        self._settled = True
        moment = Moment(now=now, drained_at=self.drained_at, failback_s=self._failback_s)
        for move in self._trust.moves():
            change = change_of(move, self._catalog, moment)
            self._carry_out(change)
            hand_over(move, change.rows)
            self._record(change)

    def enact(self, change: RegistryChange) -> None:
        """Carry out the trust, the rows and the events of a recorded change; from now on nothing is judged here."""
        self.follows = True
        self._seat()
        self._carry_out(change)

    def note(self, kind: ChangeKind, entry: Entry, ts: int, event: MarketEvent | None = None) -> None:
        """Write down a decision about one provider that moves no trust by itself."""
        change = change_about(kind, entry, ts, events=() if event is None else (event,))
        self._untold += change.events
        self._record(change)

    def tell(self, event: MarketEvent) -> None:
        """Keep an event that belongs to no decision until the next `take_events`."""
        self._untold.append(event)

    def take_events(self) -> list[MarketEvent]:
        """Return what has to be told, in order, and forget it."""
        events, self._untold = self._untold, []
        return events

    def take_entering(self) -> list[np.ndarray]:
        """Return the rows that enter this drain before what the providers received, and forget them."""
        parts = [self._trust.current(each) for each in self._entering]
        self._entering = []
        return parts

    def holder(self, key: int) -> Entry | None:
        """Return who is trusted for a packed pair; None for nobody."""
        return self._trust.holder(key)

    def standing(self, now: int) -> tuple[RegistryChange, ...]:
        """Return the changes that bring another registry of the same providers, in the same order, to where this is."""
        self.settle(now)
        rows = np.concatenate([empty_quotes(), *self._entering])
        changes = []
        for entry in self._entries.values():
            kind = ChangeKind.ENABLED if entry.enabled else ChangeKind.DISABLED
            changes.append(change_about(kind, entry, now, trust=self._trust.held_by(entry), rows=rows))
            rows = empty_quotes()
        return tuple(changes)

    def _seat(self) -> None:
        if not self._seated:
            self._seated = True
            self._trust.seat(self._entries.values(), self.drained_at)

    def _carry_out(self, change: RegistryChange) -> None:
        self._trust.assign(change.trust)
        # First in the next drain, so that another provider's quotes for the same pair come after.
        self._entering.append(change.rows)
        if change.kind is not ChangeKind.ADDED:
            # Of an arrival `add` has told, in a replay too.
            self._untold += change.events

    def _record(self, change: RegistryChange) -> None:
        if self.on_change is None:
            return
        try:
            self.on_change(change)
        except Exception:
            # The fence around the recorder: its fault is not the registry's.
            logger.error("a recorder failed on a change: %s of %r", change.kind, change.provider, exc_info=True)


def change_about(
    kind: ChangeKind,
    entry: Entry,
    ts: int,
    *,
    trust: np.ndarray | None = None,
    rows: np.ndarray | None = None,
    events: tuple[MarketEvent, ...] = (),
) -> RegistryChange:
    """Return a change about one provider as it stands."""
    return RegistryChange(
        kind=kind,
        provider=entry.name,
        ts=ts,
        enabled=entry.enabled,
        status=entry.provider.status,
        trust=no_trust() if trust is None else trust,
        rows=empty_quotes() if rows is None else rows,
        events=events,
    )
