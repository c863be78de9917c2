"""What a simulated world is made of: assets, markets, venues, parameters. Lists are in simulated_lists.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Fees, Kind


class Margin(StrEnum):
    """How a book turns a probability p into its price; none of them is the multiplicative way."""

    ODDS_RATIO = "odds_ratio"
    """logit(price) = logit(p) + margin"""
    POWER = "power"
    """price = p ** (1 - margin)"""
    ADDITIVE = "additive"
    """price = p + margin"""
    EXCHANGE = "exchange"
    """back and lay around p, each `margin` away in logit; the house lives on commission"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSpec:
    """One asset.

    Args:
        id: `BASE-QUOTE`.
        price: True price at the start.
        tick: Price step of every venue.
        volatility: Annualised standard deviation of the log price, all parts together; not used by a cross.
        market_beta: Share of the standard deviation that is the market factor, 0..1.
        sector: Name of the sector factor.
        sector_beta: Share of the standard deviation that is the sector factor, 0..1.
        spread_scale: Multiplies the spread, noise and error of every venue.
        rate_scale: Multiplies the quote rate of every venue.
        cross: (base, quote) assets of which this one is the ratio.
        absent_from: Venues that do not list it.
    """

    id: str
    price: float
    tick: float
    volatility: float = 0.6
    market_beta: float = 0.6
    sector: str = "base"
    sector_beta: float = 0.4
    spread_scale: float = 1.0
    rate_scale: float = 1.0
    cross: tuple[str, str] | None = None
    absent_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.market_beta**2 + self.sector_beta**2 > 1.0:
            raise InvalidInputError(f"{self.id!r}: the squares of market_beta and sector_beta must sum to at most 1")

    @property
    def quote_currency(self) -> str:
        """Return the currency that the price is in."""
        return self.id.rpartition("-")[2]

    @property
    def own_share(self) -> float:
        """Return the share of the standard deviation that no factor explains."""
        return float((1.0 - self.market_beta**2 - self.sector_beta**2) ** 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpec:
    """One outcome market.

    Args:
        id: Stable name; outcomes are called `id:outcome`.
        name: What a page shows.
        outcomes: (short id, name, probability at the start), probabilities summing to 1, in the order of
            the latent score: a draw lies between the two wins.
        settles_after_s: Seconds from the world's start to the result.
        event_s: Length of the event itself, at the end of that time.
        event_share: Share of the information that arrives during the event, 0..1.
        line: 24.5 in over/under 24.5.
    """

    id: str
    name: str
    outcomes: tuple[tuple[str, str, float], ...]
    settles_after_s: float
    event_s: float = 6300.0
    event_share: float = 0.8
    line: float | None = None

    def __post_init__(self) -> None:
        total = sum(p for _, _, p in self.outcomes)
        if abs(total - 1.0) > 1e-9 or min(p for _, _, p in self.outcomes) <= 0.0:
            raise InvalidInputError(f"{self.id!r}: probabilities must be > 0 and sum to 1, summed to {total}")

    def outcome_id(self, short: str) -> str:
        """Return the instrument id of an outcome."""
        return f"{self.id}:{short}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """One simulated venue.

    Prices of assets deviate in log price, given in basis points; those of outcomes in logit.

    Args:
        id: Name of the venue and, in the built-in profiles, of its provider.
        name: What a page shows.
        code: Three letters.
        kind: Assets or outcomes.
        rate: Updates per second of one instrument (assets) or one market (outcomes).
        fees: What it takes.
        lag_s: How old the truth is that it quotes.
        latency_s: Median seconds from the venue to us, 20 % log-normal jitter.
        spread_bps: Full spread, assets only.
        margin: Size of the margin, in the unit of `method`; outcomes only.
        method: How the margin is put on; outcomes only.
        error: Standard deviation of its slow error (AR(1)): bps or logit.
        error_s: Time constant of that error.
        noise: Standard deviation of the noise of each quote: bps or logit.
        size: Median size, in USD for assets and contracts for outcomes.
        dropouts_per_hour: Mean number of short silences.
        dropout_s: Median length of a silence.
    """

    id: str
    name: str
    code: str
    kind: Kind
    rate: float
    fees: Fees = field(default_factory=Fees)
    lag_s: float = 0.1
    latency_s: float = 0.05
    spread_bps: float = 2.0
    margin: float = 0.08
    method: Margin = Margin.ODDS_RATIO
    error: float = 1.0
    error_s: float = 40.0
    noise: float = 0.3
    size: float = 20_000.0
    dropouts_per_hour: float = 0.0
    dropout_s: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantingSpec:
    """How true mispricings are planted: `per_slot` of them in each slot of `slot_s` seconds.

    Args:
        per_slot: How many at once.
        slot_s: Length of a slot.
        lead_s: Seconds from the slot's start to the windows' start.
        length_s: Length of each window; it ends within the slot.
        bps: (smallest, largest) net profit of an asset edge, basis points of the true price.
        probability: (smallest, largest) net profit of an outcome edge per contract.
    """

    per_slot: int = 8
    slot_s: float = 60.0
    lead_s: float = 5.0
    length_s: float = 45.0
    bps: tuple[float, float] = (15.0, 40.0)
    probability: tuple[float, float] = (0.02, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """All parameters of a world.

    Args:
        name: Name of the profile.
        common_error: Standard deviation of the error that all venues share: (bps, logit).
        common_error_s: Its time constant.
        planting: Where mispricings are planted, if at all.
    """

    name: str
    assets: tuple[AssetSpec, ...]
    markets: tuple[MarketSpec, ...]
    venues: tuple[VenueSpec, ...]
    common_error: tuple[float, float] = (0.0, 0.0)
    common_error_s: float = 60.0
    planting: PlantingSpec | None = None

    def __post_init__(self) -> None:
        for venue in self.venues:
            if not (self.assets_of(venue.id) if venue.kind is Kind.ASSET else self.markets):
                raise InvalidInputError(f"world {self.name!r}: venue {venue.id!r} has nothing to quote")

    def venue(self, venue_id: str) -> VenueSpec:
        """Return a venue by id; InvalidInputError when the world has none of that name."""
        for venue in self.venues:
            if venue.id == venue_id:
                return venue
        names = ", ".join(v.id for v in self.venues)
        raise InvalidInputError(f"world {self.name!r} has no venue {venue_id!r}; it has {names}")

    @property
    def asset_venues(self) -> tuple[VenueSpec, ...]:
        """Return the venues that quote assets."""
        return tuple(v for v in self.venues if v.kind is Kind.ASSET)

    @property
    def outcome_venues(self) -> tuple[VenueSpec, ...]:
        """Return the venues that quote outcomes."""
        return tuple(v for v in self.venues if v.kind is Kind.OUTCOME)

    def assets_of(self, venue_id: str) -> tuple[AssetSpec, ...]:
        """Return the assets that a venue lists."""
        return tuple(a for a in self.assets if venue_id not in a.absent_from)
