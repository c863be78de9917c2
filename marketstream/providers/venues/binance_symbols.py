"""Binance's names for what it lists: `BTCUSDT` is the instrument `BTC-USDT`. The provider: binance.py."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from marketstream.errors import InvalidInputError

MAX_SYMBOLS = 100
"""A connection carries two streams a symbol; a snapshot costs 50 of 6,000 request weights a minute."""

# Longer names first where one ends with another. The figure is the tick of a symbol not listed below: fine
# enough to show any price of that currency, since a catalogue is made before the venue can be asked.
_MONEY = ("FDUSD", "USDT", "USDC", "TUSD", "USD1", "USDP", "DAI", "USD", "EUR", "GBP", "TRY", "BRL")
_QUOTE_TICKS = MappingProxyType(dict.fromkeys(_MONEY, 0.0001) | {"JPY": 0.001, "BTC": 1e-8, "ETH": 1e-8, "BNB": 1e-7})
_TICKS = MappingProxyType(
    {
        "BTCUSDT": 0.01, "ETHUSDT": 0.01, "BNBUSDT": 0.01, "SOLUSDT": 0.01, "LTCUSDT": 0.01, "BCHUSDT": 0.1,
        "BTCUSDC": 0.01, "ETHUSDC": 0.01, "BTCFDUSD": 0.01, "ETHFDUSD": 0.01, "BTCEUR": 0.01, "ETHEUR": 0.01,
        "XRPUSDT": 0.0001, "ADAUSDT": 0.0001, "AVAXUSDT": 0.01, "LINKUSDT": 0.01, "DOGEUSDT": 0.00001,
        "DOTUSDT": 0.001, "ETHBTC": 0.00001, "SOLBTC": 1e-7, "BNBBTC": 1e-6,
    }
)  # fmt: skip
_FORM = re.compile(r"[A-Z0-9]{2,20}([-/][A-Z0-9]{2,20})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceSymbol:
    """A pair as the venue writes it, and what it means.

    Attributes:
        symbol: As in frames, such as `BTCUSDT`.
        base: What is traded.
        quote: The currency of its price.
        tick: Smallest price step, in the quote currency; decides the decimals shown.
    """

    symbol: str
    base: str
    quote: str
    tick: float

    @property
    def instrument_id(self) -> str:
        """Return the name of the instrument, such as `BTC-USDT`."""
        return f"{self.base}-{self.quote}"


def parse_symbol(text: str) -> BinanceSymbol:
    """Read one symbol: `BTCUSDT`, or `BTC-USDT` to tell the split, or `PEPEUSDT:0.00000001` with its tick.

    Raises:
        InvalidInputError: The text has another form, or ends in no quote currency that is known.

    >>> parse_symbol("ethbtc").instrument_id, parse_symbol("PEPE/USDT:0.00000001").tick
    ('ETH-BTC', 1e-08)
    """
    name, _, tick_text = text.strip().partition(":")
    name = name.upper()
    if not _FORM.fullmatch(name):
        raise InvalidInputError(f"a Binance symbol is written BTCUSDT or BTC-USDT, was {text!r:.80}")
    base, quote = _split(name)
    tick = _parse_tick(tick_text, text) if tick_text else _default_tick(base + quote, quote)
    return BinanceSymbol(symbol=base + quote, base=base, quote=quote, tick=tick)


def parse_symbols(texts: Sequence[str]) -> tuple[BinanceSymbol, ...]:
    """Read a list of symbols; at least one, none twice, at most `MAX_SYMBOLS`."""
    if isinstance(texts, str) or not 1 <= len(texts) <= MAX_SYMBOLS:
        raise InvalidInputError(f"symbols must be a list of 1 to {MAX_SYMBOLS} names, was {texts!r:.80}")
    symbols = tuple(parse_symbol(text) for text in texts)
    names = [s.symbol for s in symbols]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InvalidInputError(f"symbols must differ, {', '.join(twice)} is listed twice")
    return symbols


def _split(name: str) -> tuple[str, str]:
    base, mark, quote = name.replace("/", "-").partition("-")
    if mark:
        return base, quote
    for known in _QUOTE_TICKS:
        if name.endswith(known) and len(name) > len(known):
            return name[: -len(known)], known
    known_names = ", ".join(_QUOTE_TICKS)
    raise InvalidInputError(
        f"{name!r} ends in no known quote currency ({known_names}); write it with a hyphen, such as BTC-USDT"
    )


def _default_tick(symbol: str, quote: str) -> float:
    return _TICKS.get(symbol, _QUOTE_TICKS.get(quote, 1e-8))


def _parse_tick(text: str, whole: str) -> float:
    try:
        tick = float(text)
    except ValueError:
        tick = math.nan
    if not (math.isfinite(tick) and tick > 0):
        raise InvalidInputError(f"the tick after the colon must be a number > 0, was {whole!r}")
    return tick
