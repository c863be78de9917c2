"""Who should be trusted, by the entries' standing; checked against the rule written down pair by pair."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from provider_fakes import START_NS, QueueProvider

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog
from marketstream.providers.registry_entry import Entry
from marketstream.providers.trust import Trust

# (available, healthy, delivering, proven): each implies the one before
OUT, DEGRADED, WAITING, DELIVERING, PROVEN = (tuple(i > n for n in range(4)) for i in range(5))


class Bench:
    """Entries that list what a test says, and the trust among them."""

    def __init__(self, **lists: tuple[str, ...]) -> None:
        self.clock = ManualClock(START_NS)
        self.catalog = Catalog()
        self.trust = Trust()
        self.entries = {name: self.entry(name, instruments) for name, instruments in lists.items()}
        self.trust.seat(self.entries.values(), START_NS)

    def entry(self, name: str, instruments: tuple[str, ...]) -> Entry:
        provider = QueueProvider(name, self.clock, instruments)
        provider.attach(self.catalog)
        return Entry(provider, enabled=True)

    def stand(self, **standings: tuple[bool, ...]) -> None:
        for name, standing in standings.items():
            entry = self.entries[name]
            entry.available, entry.healthy, entry.delivering, entry.proven = standing

    def settle(self) -> list[tuple[str | None, str | None, int]]:
        """Carry out all moves and return them as (from, to, number of pairs)."""
        moves = self.trust.moves()
        for move in moves:
            self.trust.assign(move.trust)
        return [(m.old and m.old.name, m.new and m.new.name, len(m.keys)) for m in moves]

    def holders(self) -> list[str | None]:
        """Return who has each pair, in code order."""
        keys = np.unique(np.concatenate([e.provider.pairs.keys for e in self.entries.values()]))
        found = [self.trust.holder(int(key)) for key in keys]
        return [entry and entry.name for entry in found]


def ruled(standings: list[tuple[bool, ...]], holder: int | None) -> int | None:
    """Return who should have one pair: the rule of DESIGN's failover, word for word."""
    if holder is not None and standings[holder] >= WAITING:
        earlier = [i for i in range(holder) if standings[i] == PROVEN]
        return earlier[0] if earlier else holder
    for wanted in (DELIVERING, WAITING):
        found = [i for i, standing in enumerate(standings) if standing >= wanted]
        if found:
            return found[0]
    if holder is not None and standings[holder] == DEGRADED:
        return holder
    return next((i for i, standing in enumerate(standings) if standing != OUT), None)


def test_at_first_every_pair_goes_to_the_first_that_lists_it() -> None:
    bench = Bench(first=("BTC-USD",), second=("BTC-USD", "ETH-USD"))
    assert bench.settle() == [(None, "first", 1), (None, "second", 1)]
    assert bench.holders() == ["first", "second"]
    assert bench.settle() == []


@pytest.mark.parametrize("holder", [None, 0, 1, 2])
def test_every_case_of_three_providers_follows_the_rule(holder: int | None) -> None:
    bench = Bench(a=("BTC-USD",), b=("BTC-USD",), c=("BTC-USD",))
    names = list(bench.entries)
    for standings in product((OUT, DEGRADED, WAITING, DELIVERING, PROVEN), repeat=3):
        bench.stand(a=OUT, b=OUT, c=OUT)
        bench.settle()
        if holder is not None:
            bench.stand(**{names[holder]: PROVEN})
            bench.settle()
        bench.stand(**dict(zip(names, standings, strict=True)))
        bench.settle()
        expected = ruled(list(standings), holder)
        assert bench.holders() == [None if expected is None else names[expected]], (standings, holder)


def test_the_check_above_catches_trust_without_hysteresis(monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted: whoever is healthy counts as proven.
    def hasty(self: Trust) -> list[object]:
        for entry in self._entries:
            entry.proven = entry.healthy
        return sound(self)

    sound = Trust.moves
    monkeypatch.setattr(Trust, "moves", hasty)
    with pytest.raises(AssertionError):
        test_every_case_of_three_providers_follows_the_rule(1)


def test_pairs_that_go_the_same_way_are_one_move() -> None:
    bench = Bench(a=("A", "B", "C", "D"), b=("A", "B"), c=("B", "C"))
    bench.settle()
    bench.stand(a=DEGRADED)
    assert bench.settle() == [("a", "b", 2), ("a", "c", 1)]
    assert bench.holders() == ["b", "b", "c", "a"], "D has no other provider"


def test_rows_pass_for_who_has_the_pair_and_nobody_else() -> None:
    bench = Bench(a=("A", "B"), b=("B", "C"))
    bench.settle()
    assert (bench.entries["a"].mine.tolist(), bench.entries["b"].mine.tolist()) == ([True, True], [False, True])
    bench.stand(a=OUT)
    bench.settle()
    assert (bench.entries["a"].mine.tolist(), bench.entries["b"].mine.tolist()) == ([False, False], [True, True])


def test_who_comes_later_takes_only_what_nobody_has() -> None:
    bench = Bench(a=("A",))
    bench.settle()
    bench.entries["b"] = bench.entry("b", ("A", "B"))
    bench.trust.seat(bench.entries.values(), START_NS)
    assert bench.settle() == [(None, "b", 1)]
    assert bench.holders() == ["a", "b"]


def test_only_who_shares_pairs_keeps_newest_rows() -> None:
    bench = Bench(a=("A", "B"), b=("C",))
    assert [e.newest for e in bench.entries.values()] == [None, None]
    bench.entries["c"] = bench.entry("c", ("B",))
    bench.trust.seat(bench.entries.values(), START_NS)
    assert [e.newest is not None for e in bench.entries.values()] == [True, False, True]
    del bench.entries["c"]
    bench.trust.seat(bench.entries.values(), START_NS)
    assert bench.entries["a"].newest is None


def test_a_pair_that_nobody_lists_has_nobody() -> None:
    assert Trust().holder(7) is None
    bench = Bench(a=("A",))
    assert bench.trust.holder(1 << 40) is None


def test_what_a_provider_has_can_be_read_back() -> None:
    bench = Bench(a=("A", "B"), b=("B", "C"))
    bench.settle()
    held = bench.trust.held_by(bench.entries["b"])
    assert held["instrument"].tolist() == [bench.catalog.code("C")]
    assert held["provider"].tolist() == [bench.entries["b"].provider.code]


def test_nobody_at_all_is_settled_at_once() -> None:
    assert Bench().settle() == []
