"""The catalogue gives stable codes and refuses two meanings for one name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Fees, Instrument, Kind, Market, Venue

ALDER = Venue(id="alder", name="Alder", code="ALD", kind=Kind.ASSET)
BTC = Instrument(id="BTC-USD", kind=Kind.ASSET, tick=0.1)
HOME = Instrument(id="M1:home", kind=Kind.OUTCOME, market_id="M1", tick=0.0001)
AWAY = Instrument(id="M1:away", kind=Kind.OUTCOME, market_id="M1", tick=0.0001)
M1 = Market(id="M1", name="Match", outcomes=("M1:home", "M1:away"))


def listing(*instruments: Instrument, markets: tuple[Market, ...] = (), venue: Venue = ALDER) -> Listing:
    return Listing(
        instruments=instruments,
        venues=(venue,),
        markets=markets,
        pairs=tuple((i.id, venue.id) for i in instruments),
    )


def test_codes_count_up_and_stay() -> None:
    catalog = Catalog()
    catalog.add(listing(BTC))
    catalog.add(listing(HOME, AWAY, BTC, markets=(M1,)))
    assert [catalog.code(i) for i in ("BTC-USD", "M1:home", "M1:away")] == [0, 1, 2]
    assert catalog.is_outcome().tolist() == [False, True, True]
    assert catalog.market_codes("M1").tolist() == [1, 2]
    assert list(catalog.index) == ["BTC-USD", "M1:home", "M1:away"]
    assert catalog.add_provider("a") == 0 and catalog.add_provider("b") == 1 and catalog.add_provider("a") == 0


def test_one_name_has_one_meaning() -> None:
    catalog = Catalog()
    catalog.add(listing(BTC))
    with pytest.raises(InvalidInputError, match="'BTC-USD' is known already with another meaning"):
        catalog.add(listing(Instrument(id="BTC-USD", kind=Kind.ASSET, tick=0.5)))
    with pytest.raises(InvalidInputError, match="venue 'alder' is known already"):
        catalog.add(listing(BTC, venue=Venue(id="alder", name="Other", code="OTH", kind=Kind.ASSET)))


def test_a_venue_may_be_given_another_time_to_go_stale_and_nothing_else() -> None:
    catalog = Catalog()
    catalog.add(listing(BTC))
    before = catalog.version
    catalog.retime("alder", 3.5)
    assert catalog.venue("alder").stale_after_s == 3.5 and catalog.stale_after_ns().tolist() == [3_500_000_000]
    assert catalog.version == before + 1
    catalog.retime("alder", 3.5)
    assert catalog.version == before + 1
    with pytest.raises(InvalidInputError, match="stale_after_s must be > 0"):
        catalog.retime("alder", 0.0)
    with pytest.raises(NotFoundError, match="unknown venue"):
        catalog.retime("birch", 1.0)


def test_a_market_names_instruments_that_exist() -> None:
    with pytest.raises(InvalidInputError, match=r"names unknown instruments \['M1:away'\]"):
        Catalog().add(listing(HOME, markets=(M1,)))


def test_an_unknown_name_is_answered_with_what_there_is() -> None:
    catalog = Catalog()
    catalog.add(listing(BTC))
    with pytest.raises(NotFoundError, match="unknown instrument 'ETH-USD'; there are BTC-USD"):
        catalog.code("ETH-USD")
    with pytest.raises(NotFoundError, match="unknown venue"):
        catalog.venue("birch")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Instrument(id="", kind=Kind.ASSET), "1 to 64 characters"),
        (lambda: Instrument(id="x" * 65, kind=Kind.ASSET), "1 to 64 characters"),
        (lambda: Instrument(id="BTC\u202eUSD", kind=Kind.ASSET), "printable"),
        (lambda: Instrument(id="BTC", kind=Kind.ASSET, tick=0.0), "tick of 'BTC' must be 1e-12 to"),
        (lambda: Instrument(id="BTC", kind=Kind.ASSET, tick=1e-320), "tick of 'BTC' must be 1e-12 to"),
        (lambda: Instrument(id="BTC", kind=Kind.ASSET, market_id="M"), "an asset has none"),
        (lambda: Instrument(id="yes", kind=Kind.OUTCOME), "an outcome names its market_id"),
        (lambda: Market(id="M", name="M", outcomes=("a",)), "two or more distinct outcomes"),
        (lambda: Market(id="M", name="M", outcomes=("a", "a")), "two or more distinct outcomes"),
        (lambda: Fees(per_trade=1.0), r"per_trade must be a fraction in \[0, 1\)"),
        (lambda: Fees(commission=float("nan")), "commission must be a fraction"),
        (lambda: Venue(id="v", name="v", code="V", kind=Kind.ASSET, stale_after_s=0), "stale_after_s must be > 0"),
    ],
)
def test_nouns_refuse_what_makes_no_sense(make: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(("tick", "decimals"), [(1.0, 0), (0.5, 1), (0.01, 2), (0.05, 2), (1e-8, 8), (10.0, 0)])
def test_decimals_follow_the_tick(tick: float, decimals: int) -> None:
    assert Instrument(id="X", kind=Kind.ASSET, tick=tick).decimals == decimals


def shape(catalog: Catalog) -> tuple[object, ...]:
    things = catalog.venues, catalog.instruments, catalog.markets, catalog.providers
    return (*things, catalog.version, list(catalog.index), catalog.stale_after_ns().tolist())


BIRCH = Venue(id="birch", name="Birch", code="BIR", kind=Kind.OUTCOME)
REFUSED = [
    (listing(HOME, Instrument(id="BTC-USD", kind=Kind.ASSET, tick=0.5), venue=BIRCH), "'BTC-USD' is known already"),
    (listing(HOME, venue=BIRCH, markets=(M1,)), r"'M1' names unknown instruments \['M1:away'\]"),
    (listing(HOME, Instrument(id="M1:home", kind=Kind.ASSET), venue=BIRCH), "'M1:home' is known already"),
    (Listing(instruments=(HOME,), venues=(BIRCH, ALDER), pairs=(("M1:home", "cedar"),)), "unknown venue 'cedar'"),
    (Listing(instruments=(HOME,), venues=(BIRCH,), pairs=(("M1:away", "birch"),)), "unknown instrument 'M1:away'"),
]


@pytest.mark.parametrize(("refused", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_a_listing_that_is_refused_leaves_nothing_behind(refused: Listing, why: str) -> None:
    catalog = Catalog()
    catalog.add(listing(BTC))
    before = shape(catalog)
    with pytest.raises((InvalidInputError, NotFoundError), match=why):
        catalog.add(refused)
    assert shape(catalog) == before
    catalog.add(listing(HOME, AWAY, venue=BIRCH, markets=(M1,)))
    assert catalog.market_codes("M1").tolist() == [1, 2] and catalog.venue_code("birch") == 1


def test_a_listing_tells_how_old_quotes_of_known_venues_may_be() -> None:
    catalog = Catalog()
    catalog.add(listing(BTC))
    other = listing(BTC, venue=replace(ALDER, stale_after_s=4.0))
    with pytest.raises(InvalidInputError, match="venue 'alder' is known already"):
        catalog.add(other)
    catalog.retime_known(Listing(instruments=(), venues=(*other.venues, BIRCH), pairs=()))
    assert catalog.venue("alder").stale_after_s == 4.0 and catalog.n_venues == 1
    catalog.add(other)
