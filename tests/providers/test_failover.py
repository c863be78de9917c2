"""What one move of trust brings into the stream and tells, row by row and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, QueueProvider

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog
from marketstream.market.quotes import QuoteState
from marketstream.providers.changes import ChangeKind, RegistryChange
from marketstream.providers.failover import Moment, change_of, hand_over
from marketstream.providers.registry_entry import Entry
from marketstream.providers.trust import Move, Trust

NOW = START_NS + 20 * SECOND_NS
NAMES = ("A", "B", "C")


class Pair:
    """Two entries of one venue, the first trusted for all of A, B and C."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        clock = ManualClock(START_NS)
        self.old, self.new = (self.entry(name, clock) for name in ("old", "new"))
        self.trust = Trust()
        self.trust.seat([self.old, self.new], START_NS)
        for move in self.trust.moves():
            self.trust.assign(move.trust)

    def entry(self, name: str, clock: ManualClock) -> Entry:
        provider = QueueProvider(name, clock, NAMES)
        provider.attach(self.catalog)
        return Entry(provider, enabled=True)

    def quote(self, entry: Entry, name: str, second: float, ask: float = 101.0, bid: float = 99.0) -> None:
        assert isinstance(entry.provider, QueueProvider)
        entry.provider.enqueue(START_NS + round(second * SECOND_NS), bid, ask, instrument=name)
        entry.passed(entry.provider.drain(NOW))

    def change(self, *, old: Entry | None = None, new: Entry | None = None) -> RegistryChange:
        move = Move(old or self.old, new or self.new, self.old.provider.pairs.keys)
        change = change_of(move, self.catalog, Moment(now=NOW, drained_at=NOW - SECOND_NS, failback_s=30.0))
        self.trust.assign(change.trust)
        hand_over(move, change.rows)
        return change


def told(change: RegistryChange) -> dict[str, tuple[int, float]]:
    """Return state and seconds since the start of each row that enters, by instrument."""
    rows = change.rows
    seconds = ((rows["ts_received"] - START_NS) / SECOND_NS).tolist()
    return {NAMES[k]: (s, t) for k, s, t in zip(rows["instrument"], rows["state"].tolist(), seconds, strict=True)}


def test_only_what_is_newer_than_the_last_delivered_enters() -> None:
    pair = Pair()
    for name in NAMES:
        pair.quote(pair.old, name, 14.0)
    pair.quote(pair.new, "A", 13.0)
    pair.quote(pair.new, "B", 15.0)
    change = pair.change()
    assert told(change) == {"B": (QuoteState.LIVE, 15.0)}
    assert change.rows["provider"].tolist() == [pair.new.provider.code]


def test_what_is_gone_is_withdrawn_unless_something_newer_enters() -> None:
    pair = Pair()
    for name in NAMES:
        pair.quote(pair.old, name, 14.0)
    pair.quote(pair.new, "B", 15.0)
    pair.old.bar("removed", QuoteState.CLOSED)
    change = pair.change()
    assert told(change) == {
        "A": (QuoteState.CLOSED, 19.0),
        "B": (QuoteState.LIVE, 15.0),
        "C": (QuoteState.CLOSED, 19.0),
    }
    gone = change.rows[change.rows["state"] == QuoteState.CLOSED]
    assert set(gone["provider"].tolist()) == {pair.old.provider.code}
    assert np.isnan(gone["bid"]).all() and (gone["ask_size"] == 0).all()


@pytest.mark.parametrize(("second", "enters"), [(9.9, False), (10.0, True)])
def test_a_quote_enters_while_it_may_feed_a_price(second: float, enters: bool) -> None:
    pair = Pair()
    pair.quote(pair.new, "A", second)
    assert (told(pair.change()) != {}) is enters


def test_a_quote_that_entered_does_not_enter_again_on_the_way_back() -> None:
    pair = Pair()
    pair.quote(pair.old, "A", 14.0)
    pair.quote(pair.new, "A", 15.0)
    pair.change()
    assert told(pair.change(old=pair.new, new=pair.old)) == {}
    assert told(pair.change()) == {}, "nor when trust goes there once more"


def test_jumps_are_of_mids_or_of_the_only_side_and_of_last_known_prices() -> None:
    pair = Pair()
    pair.quote(pair.old, "A", 14.0, ask=101.0, bid=99.0)
    pair.quote(pair.old, "A", 14.5, ask=98.0, bid=99.0)
    pair.quote(pair.new, "A", 15.0, ask=102.0, bid=99.0)
    pair.quote(pair.old, "B", 14.0)
    pair.quote(pair.new, "B", 15.0, ask=98.0, bid=99.0)
    pair.quote(pair.new, "C", 15.0)
    (event,) = pair.change().events
    # A: 100.0 before it crossed, 100.5 after; B is crossed at the new one; C never had a price.
    assert event.data["jumps_bps"] == {"A@kraken": pytest.approx(50.0)}
    assert event.data["max_jump_bps"] == pytest.approx(50.0)


def test_without_any_price_no_jump_is_told() -> None:
    (event,) = Pair().change().events
    assert (event.data["jumps_bps"], event.data["max_jump_bps"], event.data["without_data_s"]) == ({}, None, None)
    assert "jump" not in event.message


def test_a_move_from_or_to_nobody_is_told_by_no_event() -> None:
    pair = Pair()
    keys = pair.old.provider.pairs.keys
    moment = Moment(now=NOW, drained_at=NOW, failback_s=30.0)
    for move in (Move(None, pair.new, keys), Move(pair.old, None, keys)):
        change = change_of(move, pair.catalog, moment)
        assert (change.kind, change.events) == (ChangeKind.SETTLED, ())
    with pytest.raises(ValueError, match="from nobody to nobody"):
        change_of(Move(None, None, keys), pair.catalog, moment)
