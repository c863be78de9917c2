"""The things that are quoted and the places that quote them. The Catalog that numbers them is in catalog.py."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from marketstream.errors import InvalidInputError

MAX_NAME_LENGTH = 64
MIN_TICK = 1e-12
MAX_TICK = 1e6


class Kind(StrEnum):
    """What a price means: money for an asset, a probability for an outcome."""

    ASSET = "asset"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What a venue takes: `per_trade` as a fraction of notional, `commission` on net winnings of a market."""

    per_trade: float = 0.0
    commission: float = 0.0

    def __post_init__(self) -> None:
        for name in ("per_trade", "commission"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value < 1.0):
                raise InvalidInputError(f"{name} must be a fraction in [0, 1), was {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A place whose price it is.

    Args:
        id: Short stable name in lower case, such as `kraken`.
        name: What a page shows.
        code: Three letters for narrow columns, such as `KRK`.
        kind: Assets or outcomes; a venue that does both is two venues.
        fees: What it takes.
        stale_after_s: A quote older than this feeds no price.
    """

    id: str
    name: str
    code: str
    kind: Kind
    fees: Fees = field(default_factory=Fees)
    stale_after_s: float = 10.0

    def __post_init__(self) -> None:
        check_name(self.id, "venue id")
        check_name(self.name, "venue name")
        check_name(self.code, "venue code")
        if not (math.isfinite(self.stale_after_s) and self.stale_after_s > 0):
            raise InvalidInputError(f"stale_after_s must be > 0, was {self.stale_after_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One thing quoted: an asset pair, or one outcome of a market.

    Args:
        id: Stable name, such as `BTC-USD` or `ARS-CHE:draw`.
        name: What a page shows; defaults to the id.
        kind: Decides the unit of every price of this instrument.
        quote_currency: `USD`, `USDT` and `USDC` are three currencies, never mixed.
        tick: Smallest price step; decides the decimals shown.
        market_id: For an outcome, the market it belongs to.
    """

    id: str
    kind: Kind
    name: str = ""
    quote_currency: str = "USD"
    tick: float = 0.01
    market_id: str | None = None

    def __post_init__(self) -> None:
        check_name(self.id, "instrument id")
        if not self.name:
            object.__setattr__(self, "name", self.id)
        check_name(self.name, "instrument name")
        if not MIN_TICK <= self.tick <= MAX_TICK:
            raise InvalidInputError(f"tick of {self.id!r} must be {MIN_TICK:g} to {MAX_TICK:g}, was {self.tick}")
        if (self.kind is Kind.OUTCOME) != (self.market_id is not None):
            raise InvalidInputError(f"{self.id!r}: an outcome names its market_id, an asset has none")

    @property
    def decimals(self) -> int:
        """Return how many decimals a price of this instrument is shown with.

        >>> Instrument(id="BTC-USD", kind=Kind.ASSET, tick=0.05).decimals
        2
        """
        return max(0, math.ceil(-math.log10(self.tick) - 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A set of outcomes that exclude each other and whose probabilities sum to 1.

    Args:
        id: Stable name.
        name: What a page shows.
        outcomes: Instrument ids, at least two.
        line: 24.5 in over/under 24.5; different lines are different markets.
        settles_at: UTC ns when the result is expected, if known.
    """

    id: str
    name: str
    outcomes: tuple[str, ...]
    line: float | None = None
    settles_at: int | None = None

    def __post_init__(self) -> None:
        check_name(self.id, "market id")
        check_name(self.name, "market name")
        if len(set(self.outcomes)) != len(self.outcomes) or len(self.outcomes) < 2:
            raise InvalidInputError(f"market {self.id!r} needs two or more distinct outcomes, had {self.outcomes}")


def check_name(text: str, what: str) -> None:
    """Refuse a name that is empty, too long, or has control or direction-changing characters."""
    if not text or len(text) > MAX_NAME_LENGTH:
        raise InvalidInputError(f"{what} must have 1 to {MAX_NAME_LENGTH} characters, had {len(text)}")
    if not text.isprintable():
        raise InvalidInputError(f"{what} must be printable text, was {text!r}")
