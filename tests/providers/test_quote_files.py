"""A file of quotes becomes rows with names, limits and notes on all that was taken for granted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from marketstream.errors import ConfigurationError
from marketstream.market.quotes import QuoteState
from marketstream.providers.quote_files import QuoteFile, QuoteFileOptions, load_quotes

HEADER = "ts,venue,instrument,bid,ask,bid_size,ask_size\n"


def quotes(folder: Path, *lines: str, options: QuoteFileOptions | None = None) -> QuoteFile:
    path = folder / "quotes.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return load_quotes(path, options)


def names(file: QuoteFile) -> list[str]:
    return [instrument.id for instrument in file.listing.instruments]


def test_times_that_are_centuries_apart_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text("ts,venue,instrument,bid,ask\n1700-01-01,a,X/USD,1,2\n2261-01-01,a,X/USD,1,2\n")
    with pytest.raises(ConfigurationError, match="more than 200 years apart"):
        load_quotes(path)


def test_rows_come_in_order_of_time_and_equal_times_in_order_of_the_file(tmp_path: Path) -> None:
    file = quotes(tmp_path, "20,a,X/USD,2,3,1,1", "10,a,X/USD,1,2,1,1", "20,b,X/USD,4,5,1,1")
    assert file.rows["bid"].tolist() == [1.0, 2.0, 4.0]
    assert file.rows["ts_received"].tolist() == [10 * 10**9, 20 * 10**9, 20 * 10**9]
    assert np.array_equal(file.rows["ts_event"], file.rows["ts_received"])


def test_instruments_are_written_as_everywhere_here(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,BTC/EUR,1.25,2,1,1")
    (instrument,) = file.listing.instruments
    assert (instrument.id, instrument.quote_currency, instrument.tick) == ("BTC-EUR", "EUR", 0.01)


def test_dollars_and_stable_coins_of_different_venues_are_one_instrument_and_it_is_said(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,BTC/USD,1,2,1,1", "1,b,BTC/USDT,1,2,1,1", "1,c,BTC/EUR,1,2,1,1")
    assert names(file) == ["BTC-USD", "BTC-EUR"]
    assert file.listing.pairs == (("BTC-USD", "a"), ("BTC-USD", "b"), ("BTC-EUR", "c"))
    assert any("BTC-USDT read as BTC-USD" in note for note in file.notes)


def test_currencies_that_one_venue_quotes_side_by_side_are_kept_apart(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,BTC/USD,1,2,1,1", "1,a,BTC/USDT,1,2,1,1")
    assert names(file) == ["BTC-USD", "BTC-USDT"]


def test_currencies_can_be_kept_apart(tmp_path: Path) -> None:
    options = QuoteFileOptions(keep_currencies=True)
    file = quotes(tmp_path, "1,a,BTC/USD,1,2,1,1", "1,b,BTC/USDT,1,2,1,1", options=options)
    assert names(file) == ["BTC-USD", "BTC-USDT"]


def test_an_alias_reads_one_instrument_as_another(tmp_path: Path) -> None:
    options = QuoteFileOptions(alias={"XBT/EUR": "BTC/EUR"})
    file = quotes(tmp_path, "1,a,XBT/EUR,1,2,1,1", "1,b,BTC/EUR,1,2,1,1", options=options)
    assert names(file) == ["BTC-EUR"]


def test_an_alias_for_what_the_file_lacks_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'XBT-EUR', which the file does not quote"):
        quotes(tmp_path, "1,a,BTC/EUR,1,2,1,1", options=QuoteFileOptions(alias={"XBT/EUR": "BTC/EUR"}))


def test_a_cell_that_is_no_number_takes_its_pair_out_of_the_book(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,X/USD,1,2,1,1", "2,a,X/USD,oops,2,1,1", "3,a,X/USD,1,2,1,1")
    assert file.rows["state"].tolist() == [QuoteState.LIVE, QuoteState.GAP, QuoteState.LIVE]
    assert np.isnan(file.rows["bid"][1]) and np.isnan(file.rows["ask"][1])
    assert file.malformed == {"a price or size that is no number": 1}


def test_an_empty_cell_is_a_side_that_is_not_there(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,X/USD,,2,,1")
    assert np.isnan(file.rows["bid"][0]) and file.rows["bid_size"][0] == 0.0
    assert file.rows["state"][0] == QuoteState.LIVE and not file.malformed


def test_a_row_without_a_time_is_left_out_and_counted(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,X/USD,1,2,1,1", "soon,a,X/USD,1,2,1,1", "2,a,X/USD,1,2,1,1")
    assert len(file.rows) == 2 and file.malformed == {"a time that cannot be read": 1}


def test_a_row_without_instrument_or_venue_is_left_out_and_counted(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,X/USD,1,2,1,1", "2,,X/USD,1,2,1,1", "3,a,,1,2,1,1")
    assert len(file.rows) == 1 and file.malformed == {"no instrument or no venue": 2}
    with pytest.raises(ConfigurationError, match="no row has time, instrument and venue"):
        quotes(tmp_path, "1,,X/USD,1,2,1,1")


def test_a_row_with_too_many_or_too_few_cells_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text("ts,instrument,bid,ask\n1,A-USD,1,2\n2,A-USD,1\n\n3,A-USD,1,2,9\n4,A-USD,1,2\n5\n")
    file = load_quotes(path)
    assert len(file.rows) == 2 and file.malformed == {"not 4 cells, as the header has": 3}


def test_a_file_without_any_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no time in the column 'ts'"):
        quotes(tmp_path, "soon,a,X/USD,1,2,1,1")


def test_a_file_without_sizes_has_none(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("ts,instrument,bid,ask\n1,X/USD,1,2\n")
    rows = load_quotes(path).rows
    assert rows["bid_size"][0] == rows["ask_size"][0] == 0.0


def test_sizes_in_different_units_become_shares_of_the_usual_size_and_it_is_said(tmp_path: Path) -> None:
    lines = [
        f"{t},{venue},X/USD,1,2,{size * t},{size * t}" for t in (1, 2, 3) for venue, size in (("a", 1), ("b", 1e6))
    ]
    file = quotes(tmp_path, *lines)
    a, b = (file.rows[file.rows["venue"] == code] for code in (0, 1))
    assert a["bid_size"].tolist() == b["bid_size"].tolist() == [0.5, 1.0, 1.5]
    assert any("different units" in note for note in file.notes)


def test_sizes_of_one_unit_stay(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,X/USD,1,2,5,5", "1,b,X/USD,1,2,500,500")
    assert file.rows["bid_size"].tolist() == [5.0, 500.0]


def test_a_quote_is_stale_after_three_usual_spacings_of_its_venue(tmp_path: Path) -> None:
    lines = [f"{t},{venue},X/USD,1,2,1,1" for venue, step in (("a", 10), ("b", 60)) for t in range(0, 6000, step)]
    file = quotes(tmp_path, *lines)
    assert {v.id: v.stale_after_s for v in file.listing.venues} == {"a": 30.0, "b": 180.0}
    assert file.step_s == 10.0


def test_the_limit_can_be_given(tmp_path: Path) -> None:
    file = quotes(tmp_path, "1,a,X/USD,1,2,1,1", options=QuoteFileOptions(stale_after_s=77.0))
    assert [v.stale_after_s for v in file.listing.venues] == [77.0]


def test_venues_get_short_names_of_their_own(tmp_path: Path) -> None:
    file = quotes(tmp_path, *(f"1,{v},X/USD,1,2,1,1" for v in ("bybit-spot", "bybit-linear", "kraken", "kra", "é")))
    codes = [v.code for v in file.listing.venues]
    assert codes == ["BYS", "BYL", "KRA", "V04", "V05"]


def test_a_name_that_no_page_could_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="printable"):
        quotes(tmp_path, "1,a,X\u202e/USD,1,2,1,1")


def test_four_real_venues_are_read_as_one_instrument(shared_data: Path) -> None:
    file = load_quotes(shared_data / "intraday" / "btc_quotes_1m_2022-12-13.csv.gz")
    assert names(file) == ["BTC-USD"] and len(file.listing.pairs) == 4
    assert len(file.rows) == 2749 and not file.malformed and file.step_s == 60.0


def test_a_file_of_one_real_venue_is_named_after_itself(shared_data: Path) -> None:
    file = load_quotes(shared_data / "intraday" / "us_equity_quotes_1s_2013-10-07.csv.gz")
    assert len(file.rows) == 39_085
    assert [v.id for v in file.listing.venues] == ["us_equity_quotes_1s_2013-10-07"]
    assert names(file) == ["IBM-USD", "SPY-USD"]
