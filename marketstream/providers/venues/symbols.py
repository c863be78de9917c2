"""What a venue's names mean: one instrument has one id and one tick at every venue. Forms: binance_symbols.py ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from marketstream.errors import InvalidInputError

MAX_SYMBOLS = 100
"""So many fit one connection of every venue here."""

# The tick of what is not listed below, by quote currency: fine enough to show any price of that currency,
# since a catalogue is made before a venue can be asked. Venues that differ share the finer step.
_MONEY = ("FDUSD", "USDT", "USDC", "TUSD", "USD1", "USDP", "DAI", "USD", "EUR", "GBP", "TRY", "BRL")
_QUOTE_TICKS = MappingProxyType(dict.fromkeys(_MONEY, 0.0001) | {"JPY": 0.001, "BTC": 1e-8, "ETH": 1e-8, "BNB": 1e-7})
_TICKS = MappingProxyType(
    {
        "BTC-USDT": 0.01, "ETH-USDT": 0.01, "BNB-USDT": 0.01, "SOL-USDT": 0.01, "LTC-USDT": 0.01, "BCH-USDT": 0.1,
        "BTC-USDC": 0.01, "ETH-USDC": 0.01, "BTC-FDUSD": 0.01, "ETH-FDUSD": 0.01, "BTC-EUR": 0.01, "ETH-EUR": 0.01,
        "XRP-USDT": 0.0001, "ADA-USDT": 0.0001, "AVAX-USDT": 0.01, "LINK-USDT": 0.01, "DOGE-USDT": 0.00001,
        "DOT-USDT": 0.001, "ETH-BTC": 0.00001, "SOL-BTC": 1e-7, "BNB-BTC": 1e-6,
        "BTC-USD": 0.01, "ETH-USD": 0.01, "SOL-USD": 0.001, "XRP-USD": 0.00001, "ADA-USD": 0.00001,
        "AVAX-USD": 0.0001, "DOT-USD": 0.0001, "LINK-USD": 0.0001, "LTC-USD": 0.001, "BCH-USD": 0.001,
        "DOGE-USD": 0.000001, "ATOM-USD": 0.00001, "XLM-USD": 0.000001, "EUR-USD": 0.000001,
        "SOL-EUR": 0.001, "XRP-EUR": 0.00001,
    }
)  # fmt: skip

QUOTE_CURRENCIES = tuple(_QUOTE_TICKS)
"""Known quote currencies; longer names first where one ends with another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSymbol:
    """A pair as its venue writes it, and what it means.

    Attributes:
        symbol: As in frames, such as `BTCUSDT` or `BTC/USD`.
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


def make_symbol(symbol: str, base: str, quote: str, tick_text: str, whole: str) -> VenueSymbol:
    """Return a symbol with the tick that `tick_text` says, or the usual one of its instrument when it is empty.

    Raises:
        InvalidInputError: The tick is no number > 0; the message shows `whole`, which the user wrote.
    """
    tick = _parse_tick(tick_text, whole) if tick_text else _TICKS.get(f"{base}-{quote}", _QUOTE_TICKS.get(quote, 1e-8))
    return VenueSymbol(symbol=symbol, base=base, quote=quote, tick=tick)


def parse_all(texts: Sequence[str], parse: Callable[[str], VenueSymbol]) -> tuple[VenueSymbol, ...]:
    """Read a list of symbols; at least one, none twice, at most `MAX_SYMBOLS`."""
    if isinstance(texts, str) or not 1 <= len(texts) <= MAX_SYMBOLS:
        raise InvalidInputError(f"symbols must be a list of 1 to {MAX_SYMBOLS} names, was {texts!r:.80}")
    symbols = tuple(parse(text) for text in texts)
    names = [s.symbol for s in symbols]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InvalidInputError(f"symbols must differ, {', '.join(twice)} is listed twice")
    return symbols


def _parse_tick(text: str, whole: str) -> float:
    try:
        tick = float(text)
    except ValueError:
        tick = math.nan
    if not (math.isfinite(tick) and tick > 0):
        raise InvalidInputError(f"the tick after the colon must be a number > 0, was {whole!r}")
    return tick
