from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketstream.providers.venues.binance_book import MAX_WAITING_LEVELS, Delta, LocalBook, Step
from marketstream.providers.venues.levels import Level

BookMaker = Callable[[], LocalBook]


class VenueModel:
    """A venue's true book as plain dicts, and every update it ever sent."""

    def __init__(self, seed: int, n: int) -> None:
        rng = random.Random(seed)
        self.deltas: list[Delta] = []
        self.states: list[tuple[dict[int, float], dict[int, float]]] = [({10: 1.0}, {90: 1.0})]
        last = 0
        for _ in range(n):
            first, last = last + 1, last + rng.randrange(1, 4)
            bids = [(rng.randrange(1, 50), float(rng.randrange(0, 3))) for _ in range(rng.randrange(0, 4))]
            asks = [(rng.randrange(51, 99), float(rng.randrange(0, 3))) for _ in range(rng.randrange(0, 4))]
            self.deltas.append(Delta(first, last, bids, asks, 0))
            self.states.append((_changed(self.states[-1][0], bids), _changed(self.states[-1][1], asks)))

    def last(self, i: int) -> int:
        return self.deltas[i - 1].last if i else 0

    def load(self, book: LocalBook, i: int) -> bool:
        bids, asks = self.states[i]
        return book.load(self.last(i), list(bids.items()), list(asks.items()))


def _changed(side: dict[int, float], levels: Sequence[Level]) -> dict[int, float]:
    side = dict(side)
    for price, size in levels:
        side[price] = size
    return {price: size for price, size in side.items() if size > 0}


def _sides(book: LocalBook) -> tuple[dict[int, float], dict[int, float]]:
    return dict(book.bids.levels()), dict(book.asks.levels())


def _check_every_order_ends_in_the_true_book(make: BookMaker, seed: int) -> None:
    rng = random.Random(seed)
    venue = VenueModel(seed, 12)
    arrivals = list(range(1, 13)) + rng.choices(range(1, 13), k=4)
    rng.shuffle(arrivals)
    book = make()
    seen = 0
    for i in arrivals:
        seen = max(seen, i)
        book.apply(venue.deltas[i - 1])
        assert not book.synced or _sides(book) == venue.states[_index(venue, book.last)], "a book that never was"
        if not book.synced and rng.random() < 0.5:
            # The venue answers with what it knows, which is at least what it has sent.
            venue.load(book, rng.randrange(seen, 13))
    while not book.synced:
        venue.load(book, 12)
    for delta in venue.deltas:
        book.apply(delta)
    if not book.synced:
        venue.load(book, 12)
    assert _sides(book) == venue.states[12]


def _index(venue: VenueModel, last: int) -> int:
    return next(i for i in range(len(venue.states)) if venue.last(i) == last)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_updates_in_any_order_with_repeats_end_in_the_true_book(seed: int) -> None:
    _check_every_order_ends_in_the_true_book(LocalBook, seed)


class BookWithoutGapRule(LocalBook):
    """A planted bug: whatever comes next is taken."""

    def _follows(self, delta: Delta) -> bool:
        return True


class BookThatAppliesEarly(LocalBook):
    """A planted bug: updates change the book before a snapshot came."""

    def apply(self, delta: Delta) -> Step:
        if self.synced:
            return super().apply(delta)
        self.synced = True
        self._change(delta)
        return Step.APPLIED


class BookThatTakesOldOnes(LocalBook):
    """A planted bug: an older update is applied once more."""

    def apply(self, delta: Delta) -> Step:
        if self.synced and delta.last <= self.last:
            self.bids.update(delta.bids)
            self.asks.update(delta.asks)
            return Step.APPLIED
        return super().apply(delta)


@pytest.mark.parametrize("planted", [BookWithoutGapRule, BookThatAppliesEarly, BookThatTakesOldOnes])
def test_the_check_of_orders_catches_planted_bugs(planted: BookMaker) -> None:
    with pytest.raises(AssertionError):
        for seed in range(50):
            _check_every_order_ends_in_the_true_book(planted, seed)


def test_updates_in_order_are_all_applied() -> None:
    venue = VenueModel(3, 40)
    book = LocalBook()
    assert venue.load(book, 0)
    assert {book.apply(delta) for delta in venue.deltas} == {Step.APPLIED}
    assert (_sides(book), book.applied) == (venue.states[40], 40)


def _check_no_update_is_applied_between_gap_and_snapshot(make: BookMaker) -> None:
    venue = VenueModel(5, 20)
    book = make()
    venue.load(book, 5)
    assert book.apply(venue.deltas[7]) is Step.GAP
    assert [book.apply(delta) for delta in venue.deltas[8:12]] == [Step.WAITING] * 4
    assert (book.synced, len(book.bids), len(book.asks)) == (False, 0, 0)
    assert not venue.load(book, 6), "a snapshot from before the gap must not do"
    assert venue.load(book, 9)
    assert (book.last, _sides(book)) == (venue.last(12), venue.states[12])


def test_no_update_is_applied_between_a_gap_and_the_next_snapshot() -> None:
    _check_no_update_is_applied_between_gap_and_snapshot(LocalBook)


def test_the_check_of_the_gap_rule_catches_its_absence() -> None:
    with pytest.raises(AssertionError):
        _check_no_update_is_applied_between_gap_and_snapshot(BookWithoutGapRule)


def test_the_first_update_may_overlap_the_snapshot_and_no_later_one() -> None:
    book = LocalBook()
    book.load(100, [], [])
    assert book.apply(Delta(95, 102, [(7, 1.0)], [], 0)) is Step.APPLIED
    assert book.apply(Delta(102, 103, [(8, 1.0)], [], 0)) is Step.GAP


def test_a_gap_among_the_waiting_updates_asks_for_another_snapshot() -> None:
    book = LocalBook()
    for delta in (Delta(1, 2, [(1, 1.0)], [], 0), Delta(5, 6, [(2, 1.0)], [], 0)):
        book.apply(delta)
    assert not book.load(0, [], [])
    assert not book.synced
    assert book.load(4, [(1, 1.0)], [])
    assert (book.last, book.bids.best()) == (6, (2, 1.0))


def test_what_waits_is_bounded_even_without_levels() -> None:
    book = LocalBook()
    for i in range(MAX_WAITING_LEVELS + 500):
        book.apply(Delta(i + 1, i + 1, (), (), 0))
    assert book.waiting_levels == MAX_WAITING_LEVELS
