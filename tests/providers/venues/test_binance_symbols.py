from __future__ import annotations

import pytest

from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Instrument, Kind
from marketstream.providers.venues.binance import DEFAULT_SYMBOLS
from marketstream.providers.venues.binance_symbols import parse_symbol, parse_symbols
from marketstream.providers.venues.symbols import MAX_SYMBOLS


@pytest.mark.parametrize(
    ("text", "symbol", "instrument", "quote", "decimals"),
    [
        ("BTCUSDT", "BTCUSDT", "BTC-USDT", "USDT", 2),
        (" ethbtc ", "ETHBTC", "ETH-BTC", "BTC", 5),
        ("BTCFDUSD", "BTCFDUSD", "BTC-FDUSD", "FDUSD", 2),
        ("BTCUSDC", "BTCUSDC", "BTC-USDC", "USDC", 2),
        ("USDCUSDT", "USDCUSDT", "USDC-USDT", "USDT", 4),
        ("RUNEEUR", "RUNEEUR", "RUNE-EUR", "EUR", 4),
        ("BLZETH", "BLZETH", "BLZ-ETH", "ETH", 8),
        ("BTC-USD", "BTCUSD", "BTC-USD", "USD", 2),
        ("FOO/XYZ", "FOOXYZ", "FOO-XYZ", "XYZ", 8),
        ("PEPEUSDT:0.00000001", "PEPEUSDT", "PEPE-USDT", "USDT", 8),
        ("1000SATSUSDT", "1000SATSUSDT", "1000SATS-USDT", "USDT", 4),
    ],
)
def test_reads_a_symbol(text: str, symbol: str, instrument: str, quote: str, decimals: int) -> None:
    parsed = parse_symbol(text)
    assert (parsed.symbol, parsed.instrument_id, parsed.quote) == (symbol, instrument, quote)
    assert Instrument(id=instrument, kind=Kind.ASSET, tick=parsed.tick).decimals == decimals


@pytest.mark.parametrize(
    "text",
    [
        "",
        "USDT",
        "BTC",
        "BTC_USDT",
        "BTC-",
        "BTC-USDT-X",
        "B" * 50,
        "BTCXYZ",
        "btc usdt",
        "ＢＴＣUSDT",
        "BTC\n-USDT",
    ],
)
def test_refuses_what_is_no_symbol_and_says_what_would_be(text: str) -> None:
    with pytest.raises(InvalidInputError, match="BTC-USDT"):
        parse_symbol(text)


@pytest.mark.parametrize("tick", ["x", "0", "-1", "nan", "inf", "1:2"])
def test_refuses_a_tick_that_is_no_step(tick: str) -> None:
    with pytest.raises(InvalidInputError, match="tick"):
        parse_symbol(f"BTCUSDT:{tick}")


def test_refuses_none_too_many_and_repeated() -> None:
    for symbols in ([], [f"A{i}USDT" for i in range(MAX_SYMBOLS + 1)], "BTCUSDT"):
        with pytest.raises(InvalidInputError, match="list of 1 to 100"):
            parse_symbols(symbols)
    with pytest.raises(InvalidInputError, match="BTCUSDT is listed twice"):
        parse_symbols(["BTCUSDT", "ETHUSDT", "btc-usdt"])


def test_the_default_symbols_are_good() -> None:
    assert len(parse_symbols(DEFAULT_SYMBOLS)) == len(DEFAULT_SYMBOLS)
