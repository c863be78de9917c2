"""Odds at the edges: decimal, American and fractional odds to and from probability-prices in (0, 1)."""

from __future__ import annotations

import math
from fractions import Fraction

from marketstream.errors import InvalidInputError

MAX_DECIMAL_ODDS = 10_000.0


def price_from_decimal(odds: float) -> float:
    """Return the probability-price 1/odds of decimal odds, which must be in (1, 10,000].

    >>> price_from_decimal(2.5)
    0.4
    """
    if not (math.isfinite(odds) and 1.0 < odds <= MAX_DECIMAL_ODDS):
        raise InvalidInputError(f"decimal odds must be > 1 and <= {MAX_DECIMAL_ODDS:g}, was {odds}")
    return 1.0 / odds


def price_from_american(odds: float) -> float:
    """Return the probability-price of American odds: +150 wins 150 on 100, -120 needs 120 to win 100.

    >>> price_from_american(150), round(price_from_american(-120), 4)
    (0.4, 0.5455)
    """
    if not (math.isfinite(odds) and abs(odds) >= 100.0):
        raise InvalidInputError(f"American odds must be <= -100 or >= +100, was {odds}")
    return price_from_decimal(1.0 + (odds / 100.0 if odds > 0 else 100.0 / -odds))


def price_from_fractional(odds: str) -> float:
    """Return the probability-price of fractional odds such as `6/4`, or `evens`.

    >>> price_from_fractional("6/4")
    0.4
    """
    text = odds.strip().lower()
    if text in {"evens", "evs", "even"}:
        return 0.5
    over, slash, under = text.partition("/")
    try:
        fraction = Fraction(int(over), int(under)) if slash else Fraction(0)
    except (ValueError, ZeroDivisionError):
        raise InvalidInputError(f"fractional odds look like '6/4', was {odds!r}") from None
    if fraction <= 0:
        raise InvalidInputError(f"fractional odds must be > 0, was {odds!r}")
    return price_from_decimal(1.0 + float(fraction))


def decimal_from_price(price: float) -> float:
    """Return decimal odds 1/price.

    >>> decimal_from_price(0.4)
    2.5
    """
    return 1.0 / _checked(price)


def american_from_price(price: float) -> float:
    """Return American odds; even money is +100.

    >>> american_from_price(0.4), american_from_price(0.6)
    (150.0, -150.0)
    """
    price = _checked(price)
    if price <= 0.5:
        return round(100.0 * (1.0 - price) / price, 9)
    return round(-100.0 * price / (1.0 - price), 9)


def fractional_from_price(price: float, *, max_denominator: int = 100) -> str:
    """Return the nearest fractional odds with at most `max_denominator` below the line.

    >>> fractional_from_price(0.4)
    '3/2'
    """
    fraction = Fraction((1.0 - _checked(price)) / price).limit_denominator(max_denominator)
    return f"{fraction.numerator}/{fraction.denominator}"


def overround(prices: list[float]) -> float:
    """Return sum(prices) - 1 over all outcomes of one market (alias vig, margin).

    >>> round(overround([0.5, 0.3, 0.25]), 6)
    0.05
    """
    return math.fsum(_checked(p) for p in prices) - 1.0


def _checked(price: float) -> float:
    if not (math.isfinite(price) and 0.0 < price < 1.0):
        raise InvalidInputError(f"a probability-price must be in (0, 1), was {price}")
    return price
