"""The book against plain dictionaries of decimals, its checksum against the venue's example; with planted bugs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kraken_frames import ASKS, BIDS, CHECKSUM
from kraken_market import checksum_of

from marketstream.providers.venues.kraken_book import DEPTH, KrakenBook
from marketstream.providers.venues.kraken_messages import TextLevel, checksum_digits, parse_books
from marketstream.providers.venues.levels import PRICE_SCALE, parse_level

Texts = Sequence[tuple[str, str]]
Update = tuple[Texts, Texts]
MakeBook = Callable[[], KrakenBook]

_SIZES = st.sampled_from(["0", "0.00000000", "0.10000000", "1.5", "12.00", "0.00000001"])


def _side(first: int) -> st.SearchStrategy[Texts]:
    # Few prices and many changes of each, written with the zeros of two ticks.
    prices = st.integers(first, first + 18).map(lambda p: f"{p / 10:.1f}")
    return st.lists(st.tuples(prices, _SIZES), max_size=14)


_UPDATES = st.lists(st.tuples(_side(800), _side(1000)), min_size=1, max_size=12)


def levels(texts: Texts) -> list[TextLevel]:
    """Return levels as a frame gives them."""
    return [TextLevel(*parse_level(price, size), checksum_digits(price, size)) for price, size in texts]


class Reference:
    """The same book as plain dictionaries of decimals, straight from the venue's description."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def apply(self, update: Update) -> None:
        for name, texts, is_bid in (("bids", update[0], True), ("asks", update[1], False)):
            side = getattr(self, name) | {Decimal(p): Decimal(q) for p, q in texts}
            kept = sorted(((p, q) for p, q in side.items() if q), reverse=is_bid)[:DEPTH]
            setattr(self, name, dict(kept))


def _check_book(make: MakeBook, updates: Sequence[Update]) -> None:
    book, reference = make(), Reference()
    book.load(*map(levels, updates[0]))
    reference.apply(updates[0])
    for update in updates[1:]:
        book.apply(*map(levels, update))
        reference.apply(update)
    for ladder, side in ((book.bids, reference.bids), (book.asks, reference.asks)):
        assert ladder.levels() == [(int(p * PRICE_SCALE), float(q)) for p, q in side.items()], "other levels"
    assert book.checksum() == checksum_of(reference.bids, reference.asks), "another checksum"


@settings(max_examples=150, deadline=None)
@given(_UPDATES)
def test_any_updates_make_the_book_that_plain_dictionaries_make(updates: list[Update]) -> None:
    _check_book(KrakenBook, updates)


def test_the_checksum_is_that_of_the_venues_own_example() -> None:
    book = KrakenBook()
    book.load(levels(BIDS), levels(ASKS))
    assert book.checksum() == CHECKSUM
    assert checksum_of({Decimal(p): Decimal(q) for p, q in BIDS}, {Decimal(p): Decimal(q) for p, q in ASKS}) == CHECKSUM


def test_an_empty_book_has_the_checksum_of_nothing() -> None:
    book = KrakenBook()
    book.load((), ())
    assert book.checksum() == 0
    assert book.tops() == (None, None)


def test_a_dropped_book_is_empty_and_waits() -> None:
    book = KrakenBook()
    book.load(levels(BIDS), levels(ASKS))
    book.drop()
    assert (book.synced, book.tops(), book.checksum()) == (False, (None, None), 0)


def test_what_is_pushed_out_leaves_nothing_behind() -> None:
    book = KrakenBook()
    for price in range(1, 2_000):
        book.apply(levels([(f"{price}", "1.0")]), levels([(f"{10_000 - price}", "1.0")]))
    assert (len(book.bids), len(book.asks)) == (DEPTH, DEPTH)
    assert all(len(side._digits) == DEPTH for side in (book._bids, book._asks))


# ---- planted bugs

_PUSHED_OUT = [
    ([(f"{80 + i}.0", "1.0") for i in range(DEPTH)], [("100.0", "1.0")]),
    # The best bid comes first and would push out the lowest, were it not for the removal after it.
    ([("95.0", "2.0"), ("89.0", "0")], []),
]
_ZEROS = [([("80.0", "0.10000000")], [("100.0", "12.00")])]


class BookThatCutsEarly(KrakenBook):
    """Cuts to depth after each level in place of after each frame."""

    def apply(self, bids: Sequence[TextLevel], asks: Sequence[TextLevel]) -> None:
        for level in bids:
            super().apply([level], ())
        for level in asks:
            super().apply((), [level])


class BookThroughFloats(KrakenBook):
    """Reads numbers as floats, so that the zeros at their end are lost."""

    def apply(self, bids: Sequence[TextLevel], asks: Sequence[TextLevel]) -> None:
        super().apply(_through_floats(bids), _through_floats(asks))


class BookThatNeverCuts(KrakenBook):
    """Keeps whatever comes."""

    def apply(self, bids: Sequence[TextLevel], asks: Sequence[TextLevel]) -> None:
        super().apply(bids, asks)
        self._bids.ladder._depth = self._asks.ladder._depth = 1_000


def _through_floats(given_levels: Sequence[TextLevel]) -> list[TextLevel]:
    return [
        level._replace(digits=checksum_digits(str(level.price / PRICE_SCALE), str(level.size)))
        for level in given_levels
    ]


@pytest.mark.parametrize(
    ("planted", "updates", "says"),
    [
        (BookThatCutsEarly, _PUSHED_OUT, "other levels"),
        (BookThroughFloats, _ZEROS, "another checksum"),
        (BookThatNeverCuts, [*_PUSHED_OUT, ([("96.0", "1.0"), ("97.0", "1.0")], [])], "other levels"),
    ],
)
def test_the_check_catches_a_planted_bug(planted: MakeBook, updates: list[Update], says: str) -> None:
    _check_book(KrakenBook, updates)
    with pytest.raises(AssertionError, match=says):
        _check_book(planted, updates)


def test_a_reader_that_goes_through_floats_fails_the_venues_example() -> None:
    # What json.loads makes of the example: 0.10000000 becomes 0.1, and the checksum another.
    texts = [[(repr(float(p)), repr(float(q))) for p, q in side] for side in (BIDS, ASKS)]
    data = [{"symbol": "A/B", "checksum": CHECKSUM, **dict(zip(("bids", "asks"), map(_json, texts), strict=True))}]
    (change,) = parse_books(json.dumps(data).encode())
    book = KrakenBook()
    book.load(change.bids, change.asks)
    assert book.checksum() != CHECKSUM


def _json(texts: Texts) -> list[dict[str, float]]:
    return [{"price": float(p), "qty": float(q)} for p, q in texts]
