"""Kraken's names for what it lists: `BTC/USD` is the instrument `BTC-USD`. The provider: kraken.py."""

from __future__ import annotations

import re
from collections.abc import Sequence

from marketstream.errors import InvalidInputError
from marketstream.providers.venues.symbols import VenueSymbol, make_symbol, parse_all

_FORM = re.compile(r"([A-Z0-9.]{1,20})[-/]([A-Z0-9.]{1,20})")


def parse_symbol(text: str) -> VenueSymbol:
    """Read one symbol: `BTC/USD` or `BTC-USD`, or `PEPE/USD:0.00000001` with its tick.

    The second interface of the venue says BTC and DOGE where the first said XBT and XDG.

    Raises:
        InvalidInputError: The text has another form.

    >>> parse_symbol("eth-eur").symbol, parse_symbol("BTC/USD").instrument_id
    ('ETH/EUR', 'BTC-USD')
    """
    name, _, tick_text = text.strip().partition(":")
    match = _FORM.fullmatch(name.upper())
    if match is None:
        raise InvalidInputError(f"a Kraken symbol is written BTC/USD or BTC-USD, was {text!r:.80}")
    base, quote = match.groups()
    return make_symbol(f"{base}/{quote}", base, quote, tick_text, text)


def parse_symbols(texts: Sequence[str]) -> tuple[VenueSymbol, ...]:
    """Read a list of symbols; at least one, none twice, at most `symbols.MAX_SYMBOLS`."""
    return parse_all(texts, parse_symbol)
