"""Names cannot be taken for words or numbers, and no two things are written alike."""

from __future__ import annotations

import re
import unicodedata

import pytest
from snapshot_factory import HOSTILE

from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Instrument, Kind, Market, Venue
from marketstream.rationale.names import NameBook, clean_text, written_name


def catalog(*instruments: Instrument, markets: tuple[Market, ...] = ()) -> Catalog:
    made = Catalog()
    made.add(Listing(instruments=instruments, venues=(), pairs=(), markets=markets))
    return made


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_ticker_stands_in_quotation_marks(name: str) -> None:
    written = written_name(clean_text(name), is_venue=True)
    assert re.fullmatch(r"“[^“”\n]*”", written)


@pytest.mark.parametrize("name", ["BTC-USD", "1INCH-USD", "ETH-USDT"])
def test_a_ticker_stands_bare(name: str) -> None:
    assert written_name(name, is_venue=False) == name


def test_cleaning_leaves_no_hidden_character() -> None:
    cleaned = clean_text("a\u202eb\u200bc\x00d\te“f”" + "x" * 300)
    assert not any(unicodedata.category(c).startswith("C") for c in cleaned)
    assert "“" not in cleaned
    assert len(cleaned) == 160


def test_outcomes_that_share_a_name_are_told_apart_by_their_market() -> None:
    outcomes = [Instrument(id=f"{m}:draw", kind=Kind.OUTCOME, name="Draw", market_id=m) for m in ("A", "B")]
    others = [Instrument(id=f"{m}:home", kind=Kind.OUTCOME, name=f"{m} wins", market_id=m) for m in ("A", "B")]
    markets = tuple(Market(id=m, name=f"{m} v C", outcomes=(f"{m}:draw", f"{m}:home")) for m in ("A", "B"))
    book = NameBook(catalog(*outcomes, *others, markets=markets))
    assert [book.instrument(o).text for o in outcomes] == ["“A v C: Draw”", "“B v C: Draw”"]


def test_an_instrument_and_a_venue_of_one_name_are_written_differently() -> None:
    instrument = Instrument(id="x", kind=Kind.ASSET, name="Kraken")
    venue = Venue(id="kraken", name="“Kraken”", code="KRK", kind=Kind.ASSET)
    book = NameBook(catalog(instrument))
    written = {book.instrument(instrument).text, book.venue(venue).text}
    assert len(written) == 2


def test_names_that_differ_in_spaces_alone_are_still_told_apart() -> None:
    twins = [Instrument(id=f"t{i}", kind=Kind.ASSET, name=name) for i, name in enumerate(("A b", "A  b"))]
    book = NameBook(catalog(*twins))
    assert len({book.instrument(t).text for t in twins}) == 2
