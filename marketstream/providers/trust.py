"""Trust: which provider's rows of an (instrument, venue) go into the stream. failover.py says what a move means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from marketstream.market.quotes import QuoteState
from marketstream.providers.changes import TRUST_DTYPE
from marketstream.providers.pairs import instruments_of, keys_of, venues_of
from marketstream.providers.registry_entry import Entry

_NOBODY = -1


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """Pairs (packed, see pairs.py) that should go from one provider to another; None is nobody."""

    old: Entry | None
    new: Entry | None
    keys: np.ndarray

    @property
    def trust(self) -> np.ndarray:
        """Return the move as rows of TRUST_DTYPE."""
        return _trust_rows(self.keys, _NOBODY if self.new is None else self.new.provider.code)


class Trust:
    """Who is trusted for each pair, among the providers that list it, in their order.

    Two steps: `moves` proposes what should change by the entries' health, `assign` carries out. A provider keeps a pair
    while it is healthy, unless an earlier one is proven. From one that is not healthy the pair goes to the first that
    is delivering, else to the first that is healthy; where there is none it stays, as long as the provider is
    available at all.
    """

    def __init__(self) -> None:
        self._entries: tuple[Entry, ...] = ()
        self._by_code: dict[int, Entry] = {}
        # (P,) every pair that anybody lists, in order, and the code of the provider that has it
        self._keys = np.empty(0, dtype=np.int64)
        self._holder = np.empty(0, dtype=np.int16)
        # (n,) candidates, by pair and then in the order of the entries: position of the pair, of the entry; its code
        self._pair = np.empty(0, dtype=np.int64)
        self._who = np.empty(0, dtype=np.int64)
        self._codes = np.empty(0, dtype=np.int16)

    def seat(self, entries: Iterable[Entry], delivered_at: int) -> None:
        """Take in who is there, in order; who has a pair keeps it.

        Args:
            entries: All entries of the registry.
            delivered_at: UTC ns up to which rows were delivered already.
        """
        before, holder = self._keys, self._holder
        self._entries = tuple(entries)
        self._by_code = {e.provider.code: e for e in self._entries}
        lists = [e.provider.pairs.keys for e in self._entries]
        keys = np.concatenate([np.empty(0, dtype=np.int64), *lists])
        who = np.repeat(np.arange(len(lists)), [len(each) for each in lists])
        order = np.argsort(keys, kind="stable")
        self._who = who[order]
        self._codes = np.array(list(self._by_code), dtype=np.int16)[self._who]
        self._keys, self._pair, n_candidates = np.unique(keys[order], return_inverse=True, return_counts=True)
        self._holder = np.full(len(self._keys), _NOBODY, dtype=np.int16)
        _, here, there = np.intersect1d(self._keys, before, assume_unique=True, return_indices=True)
        self._holder[here] = holder[there]
        sharing = np.bincount(self._who[n_candidates[self._pair] > 1], minlength=len(lists)) > 0
        for entry, shared in zip(self._entries, sharing.tolist(), strict=True):
            entry.share(shared=shared, delivered_at=delivered_at)

    def moves(self) -> list[Move]:
        """Return what should change by the entries' health, in a fixed order."""
        wanted = self._wanted()
        changed = np.flatnonzero(wanted != self._holder)
        # By (old, new), so that each pair of providers is one move.
        route = (self._holder[changed].astype(np.int64) + 1 << 16) | (wanted[changed].astype(np.int64) + 1)
        order = np.argsort(route, kind="stable")
        cuts = np.flatnonzero(np.diff(route[order])) + 1
        return [
            Move(
                self._by_code.get(int(self._holder[part[0]])), self._by_code.get(int(wanted[part[0]])), self._keys[part]
            )
            for part in np.split(changed[order], cuts)
            if len(part)
        ]

    def assign(self, trust: np.ndarray) -> None:
        """Carry out a change of trust, rows of TRUST_DTYPE; the pairs must be listed by somebody."""
        keys = keys_of(trust)
        at = self._keys.searchsorted(keys)
        before, after = self._holder[at], trust["provider"]
        self._holder[at] = after
        for code in np.unique(np.concatenate([before, after])).tolist():
            entry = self._by_code.get(code)
            if entry is not None:
                positions = entry.provider.pairs.keys.searchsorted
                entry.trust(positions(keys[before == code]), trusted=False)
                entry.trust(positions(keys[after == code]), trusted=True)

    def current(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows without quotes of a provider that has lost the pair since; state rows stay."""
        kept: np.ndarray = rows["state"] != QuoteState.LIVE
        if len(self._keys):
            keys = keys_of(rows)
            at = np.minimum(self._keys.searchsorted(keys), len(self._keys) - 1)
            kept = kept | ((self._keys[at] == keys) & (self._holder[at] == rows["provider"]))
        return np.asarray(rows[kept])

    def holder(self, key: int) -> Entry | None:
        """Return the provider that has a packed pair; None where nobody has it."""
        at = int(self._keys.searchsorted(key))
        if at == len(self._keys) or self._keys[at] != key:
            return None
        return self._by_code.get(int(self._holder[at]))

    def held_by(self, entry: Entry) -> np.ndarray:
        """Return the pairs that a provider has, as rows of TRUST_DTYPE."""
        return _trust_rows(entry.provider.pairs.keys[entry.mine], entry.provider.code)

    def _wanted(self) -> np.ndarray:
        flags = np.array([(e.available, e.healthy, e.delivering, e.proven) for e in self._entries], dtype=np.bool_)
        available, healthy, delivering, proven = flags.reshape(-1, 4)[self._who].T
        holds = self._codes == self._holder[self._pair]
        kept = np.zeros(len(self._keys), dtype=np.bool_)
        kept[self._pair[holds & healthy]] = True
        wanted = np.full(len(self._keys), _NOBODY, dtype=np.int16)
        for eligible in (kept[self._pair] & (holds | proven), delivering, healthy, holds & available, available):
            # Backwards, so that of one pair's candidates the first is written last.
            chosen = np.flatnonzero(eligible & (wanted[self._pair] == _NOBODY))[::-1]
            wanted[self._pair[chosen]] = self._codes[chosen]
        return wanted


def _trust_rows(keys: np.ndarray, code: int) -> np.ndarray:
    rows = np.empty(len(keys), dtype=TRUST_DTYPE)
    rows["instrument"], rows["venue"], rows["provider"] = instruments_of(keys), venues_of(keys), code
    return rows
