"""The catalogue as arrays, and when they are made anew."""

from __future__ import annotations

import numpy as np
from market_factory import make_catalog, make_market

from marketstream.analytics.layout import Layout, multi_index
from marketstream.market.catalog import Listing
from marketstream.market.instruments import Fees, Instrument, Kind, Venue

CATALOG = make_catalog(
    ["BTC-USD"], {"M": ("x", "y", "z"), "N": ("over", "under")}, fees={"ace": Fees(per_trade=0.01, commission=0.02)}
)


def test_it_says_what_the_catalogue_says() -> None:
    layout = Layout.of(make_market(CATALOG, {}))
    assert layout.index.equals(CATALOG.index)
    assert layout.is_outcome.tolist() == [False, *[True] * 5]
    assert layout.legs.tolist() == [[1, 2, 3], [4, 5, -1]]
    assert layout.market_of.tolist() == [-1, 0, 0, 0, 1, 1]
    assert layout.slot_of.tolist() == [0, 0, 1, 2, 0, 1]
    ace = list(layout.venue_ids).index("ace")
    assert (layout.per_trade[ace], layout.commission[ace]) == (0.01, 0.02)


def test_it_is_kept_until_the_catalogue_grows() -> None:
    catalog = make_catalog(["BTC-USD"])
    layout = Layout.of(make_market(catalog, {}))
    assert Layout.of(make_market(catalog, {}), layout) is layout
    venue = Venue(id="epsilon", name="Epsilon", code="EPS", kind=Kind.ASSET)
    catalog.add(Listing(instruments=(Instrument(id="ETH-USD", kind=Kind.ASSET),), venues=(venue,), pairs=()))
    grown = Layout.of(make_market(catalog, {}), layout)
    assert grown is not layout
    assert len(grown.index) == 2 and len(grown.venue_ids) == 5


def test_another_catalogue_of_the_same_size_is_not_mistaken_for_it() -> None:
    layout = Layout.of(make_market(make_catalog(["BTC-USD"]), {}))
    assert Layout.of(make_market(make_catalog(["ETH-USD"]), {}), layout).index.tolist() == ["ETH-USD"]


def test_a_market_that_the_moment_does_not_know_whole_is_left_out() -> None:
    layout = Layout.of(make_market(CATALOG, {}, size=(5, CATALOG.n_venues)))
    assert layout.market_of.tolist() == [-1, 0, 0, 0, -1]


def test_an_index_made_of_codes_is_the_one_made_of_names() -> None:
    index = multi_index(instrument=(["B", "A"], np.array([0, 1, 1])), venue=(["x", ""], np.array([0, 0, 1])))
    assert index.tolist() == [("B", "x"), ("A", "x"), ("A", "")]
    assert index.names == ["instrument", "venue"]
    assert index.get_loc(("A", "")) == 2
