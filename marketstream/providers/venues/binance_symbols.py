"""Binance's names for what it lists: `BTCUSDT` is the instrument `BTC-USDT`. The provider: binance.py."""

from __future__ import annotations

import re
from collections.abc import Sequence

from marketstream.errors import InvalidInputError
from marketstream.providers.venues.symbols import QUOTE_CURRENCIES, VenueSymbol, make_symbol, parse_all

_FORM = re.compile(r"[A-Z0-9]{2,20}([-/][A-Z0-9]{2,20})?")


def parse_symbol(text: str) -> VenueSymbol:
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
    return make_symbol(base + quote, base, quote, tick_text, text)


def parse_symbols(texts: Sequence[str]) -> tuple[VenueSymbol, ...]:
    """Read a list of symbols; at least one, none twice, at most `symbols.MAX_SYMBOLS`."""
    # A connection carries two streams a symbol; a snapshot costs 50 of 6,000 request weights a minute.
    return parse_all(texts, parse_symbol)


def _split(name: str) -> tuple[str, str]:
    base, mark, quote = name.replace("/", "-").partition("-")
    if mark:
        return base, quote
    for known in QUOTE_CURRENCIES:
        if name.endswith(known) and len(name) > len(known):
            return name[: -len(known)], known
    known_names = ", ".join(QUOTE_CURRENCIES)
    raise InvalidInputError(
        f"{name!r} ends in no known quote currency ({known_names}); write it with a hyphen, such as BTC-USDT"
    )
