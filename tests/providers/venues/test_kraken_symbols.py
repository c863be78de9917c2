from __future__ import annotations

import pytest

from marketstream.errors import InvalidInputError
from marketstream.providers.venues.kraken import DEFAULT_SYMBOLS
from marketstream.providers.venues.kraken_symbols import parse_symbol, parse_symbols


@pytest.mark.parametrize(
    ("text", "symbol", "instrument", "quote"),
    [
        ("BTC/USD", "BTC/USD", "BTC-USD", "USD"),
        (" eth-eur ", "ETH/EUR", "ETH-EUR", "EUR"),
        ("BTC/USDT", "BTC/USDT", "BTC-USDT", "USDT"),
        ("1INCH/USD", "1INCH/USD", "1INCH-USD", "USD"),
        ("T/USD", "T/USD", "T-USD", "USD"),
        ("DOT.S/USD", "DOT.S/USD", "DOT.S-USD", "USD"),
        ("PEPE/USD:0.00000001", "PEPE/USD", "PEPE-USD", "USD"),
    ],
)
def test_reads_a_symbol(text: str, symbol: str, instrument: str, quote: str) -> None:
    parsed = parse_symbol(text)
    assert (parsed.symbol, parsed.instrument_id, parsed.quote) == (symbol, instrument, quote)


def test_a_tick_that_is_given_is_taken() -> None:
    assert parse_symbol("PEPE/USD:0.00000001").tick == 1e-8


@pytest.mark.parametrize("text", ["", "BTCUSD", "BTC/", "/USD", "BTC/USD/X", "BTC_USD", "ＢＴＣ/USD", "BTC\n/USD"])
def test_refuses_what_is_no_symbol_and_says_what_would_be(text: str) -> None:
    with pytest.raises(InvalidInputError, match="written BTC/USD or BTC-USD"):
        parse_symbol(text)


def test_refuses_a_symbol_given_twice_in_two_forms() -> None:
    with pytest.raises(InvalidInputError, match="BTC/USD is listed twice"):
        parse_symbols(["BTC/USD", "btc-usd"])


def test_the_default_symbols_are_good() -> None:
    assert len(parse_symbols(DEFAULT_SYMBOLS)) == len(DEFAULT_SYMBOLS)
