"""An edge opens, has a peak, and closes; or it is lost with its feed, and then its length is not claimed."""

from __future__ import annotations

from market_factory import NOW, SECOND, Q, make_catalog, make_market

from marketstream.analytics.edges import EdgeFinder, EdgeInputs, EdgeState
from marketstream.analytics.lifetimes import KEPT, Lifetime
from marketstream.analytics.valuation import FairValue
from marketstream.market.quotes import QuoteState

CHEAP, DEARER, DEAR = Q(97.9, 98.1), Q(97.4, 97.6), Q(99.9, 100.1)
CATALOG = make_catalog(["BTC-USD"])


def play(*moments: Q, others: tuple[Q, ...] = ()) -> EdgeState:
    """Return the state after alpha quoted these in turn, a second apart, while two others said 100."""
    state: EdgeState | None = None
    for i, quote in enumerate(moments):
        other = others[i] if others else Q(99.95, 100.05)
        quotes = {("BTC-USD", "alpha"): quote, ("BTC-USD", "beta"): other, ("BTC-USD", "gamma"): other}
        market = make_market(CATALOG, quotes, now=NOW + i * SECOND)
        fair, after = FairValue().apply(market, None)
        _, state = EdgeFinder().apply(EdgeInputs(market=market, fair=fair, consensus=after.consensus), state)
    assert state is not None
    return state


def ended(state: EdgeState) -> list[Lifetime]:
    return [life for life in state.lifetimes.ended if (life.venue, life.side) == ("alpha", "buy")]


def test_an_edge_that_vanishes_on_good_quotes_is_closed_with_its_peak() -> None:
    lives = ended(play(DEAR, CHEAP, DEARER, CHEAP, DEAR))
    assert len(lives) == 1
    life = lives[0]
    assert (life.opened, life.ended) == (NOW + SECOND, NOW + 4 * SECOND)
    assert abs(life.peak - 2.4) < 1e-9
    assert not life.censored


def test_an_edge_whose_own_feed_is_lost_is_censored() -> None:
    for lost in (Q(state=QuoteState.GAP), Q(97.9, 98.1, 30.0), Q(97.9, 98.1, 6.0)):
        assert [life.censored for life in ended(play(CHEAP, lost))] == [True]


def test_an_edge_whose_judges_are_lost_is_censored() -> None:
    good, gone = Q(99.95, 100.05), Q(state=QuoteState.SUSPENDED)
    assert [life.censored for life in ended(play(CHEAP, CHEAP, others=(good, gone)))] == [True]


def test_an_edge_that_comes_back_opens_anew() -> None:
    state = play(CHEAP, DEAR, CHEAP)
    assert state.lifetimes.opened_at(state.rows).max() == NOW + 2 * SECOND
    assert len(ended(state)) == 1


def test_an_open_edge_keeps_its_time() -> None:
    state = play(CHEAP, CHEAP, CHEAP)
    assert state.lifetimes.opened_at(state.rows).max() == NOW
    assert state.lifetimes.ended == ()


def test_only_the_newest_are_remembered() -> None:
    state = play(*([CHEAP, DEAR] * (KEPT + 5)))
    lives = state.lifetimes.ended
    assert len(lives) == KEPT
    assert lives[-1].ended == NOW + (2 * KEPT + 9) * SECOND
