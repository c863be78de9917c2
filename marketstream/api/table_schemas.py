"""The rows of the live tables, with their units. tables.py makes them; a test holds the two together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from marketstream.api.schemas import Input, Output, Timestamp

PRICE = "in `unit`"
KIND = "asset: a price in money; outcome: a probability-price, 0 to 1."
SIDE = "buy: take the ask; sell: hit the bid of an asset; lay: hit the bid of an outcome."
UNIT = "Unit of the prices of this row: a currency such as USD, or probability."

KindName = Literal["asset", "outcome"]
SideName = Literal["buy", "sell", "lay"]
StateName = Literal["LIVE", "STALE", "GAP", "RESYNCING", "CROSSED", "SUSPENDED", "CLOSED", "NO_DATA"]


class Page(Input):
    """Which part of a table."""

    limit: int = Field(default=1000, ge=1, le=10_000, description="At most this many rows.")
    offset: int = Field(default=0, ge=0, le=1_000_000, description="Leave out this many rows first.")


class MarketQuery(Page):
    """Filters of /markets."""

    kind: KindName | None = Field(default=None, description=KIND)
    market: str | None = Field(default=None, max_length=64, description="Id of an outcome market.")
    venue: str | None = Field(default=None, max_length=64, description="Only what this venue has quoted.")


class EdgeQuery(Page):
    """Filters of /edges."""

    kind: KindName | None = Field(default=None, description=KIND)
    instrument: str | None = Field(default=None, max_length=64, description="Id of an instrument.")
    venue: str | None = Field(default=None, max_length=64, description="Id of a venue.")
    side: SideName | None = Field(default=None, description=SIDE)
    executable: bool | None = Field(default=None, description="Only edges that can, or cannot, be traded now.")


class PositionQuery(Page):
    """Filters of /portfolio; they choose positions, the figures beside them stay those of the whole."""

    kind: KindName | None = Field(default=None, description=KIND)


class VenueQuote(Output):
    """The newest quote of one venue."""

    venue: str = Field(description="Venue id.")
    provider: str = Field(description="Provider that delivered it.")
    state: StateName = Field(description="Only LIVE feeds a price.")
    age_ms: float = Field(description="Time since it was received, milliseconds.")
    bid: float | None = Field(description=f"Best bid {PRICE}; null where the venue has none.")
    ask: float | None = Field(description=f"Best ask {PRICE}; null where the venue has none.")
    bid_size: float = Field(description="Size at the bid, contracts; 0 where there is none.")
    ask_size: float = Field(description="Size at the ask, contracts; 0 where there is none.")


class LeftOut(Output):
    """Why a venue feeds no fair value, or why there is none."""

    venue: str | None = Field(description="Venue id; null where the reason is about the instrument as a whole.")
    reason: str = Field(description="Why it was left out, or why there is no fair value.")


class MarketRow(Output):
    """One instrument now."""

    instrument: str = Field(description="Instrument id.")
    name: str = Field(description="Its name, as a page shows it.")
    kind: KindName = Field(description=KIND)
    market: str | None = Field(description="Id of the outcome market it belongs to; null for assets.")
    unit: str = Field(description=UNIT)
    fair: float | None = Field(description=f"Consensus price {PRICE}; null where no fresh venue is left.")
    fair_sd: float | None = Field(description=f"Standard deviation of fair {PRICE}, common-mode error included.")
    method: str = Field(description="How fair was made.")
    n_venues: int = Field(description="Venues that fair rests on.", ge=0)
    n_live: int = Field(description="Venues whose quote is fresh.", ge=0)
    best_bid: float | None = Field(description=f"Highest fresh bid {PRICE}.")
    best_ask: float | None = Field(description=f"Lowest fresh ask {PRICE}.")
    bid_venue: str | None = Field(description="Venue of the best bid.")
    ask_venue: str | None = Field(description="Venue of the best ask.")
    mid: float | None = Field(description=f"Mean of best bid and ask {PRICE}, or the one side there is.")
    spread: float | None = Field(description=f"Best ask minus best bid {PRICE}; negative when crossed.")
    crossed: bool = Field(description="Best bid above best ask: an arbitrage between venues.")
    age_ms: float | None = Field(description="Age of the newest LIVE quote, milliseconds; null without one.")
    oldest_age_ms: float | None = Field(description="Age of the oldest LIVE quote, milliseconds; null without one.")
    sources: list[VenueQuote] = Field(description="Every venue that ever quoted it, with age and state.")
    left_out: list[LeftOut] = Field(description="Venues that fair does not use, each with its reason.")


class EdgeRow(Output):
    """One side of one instrument at one venue."""

    instrument: str = Field(description="Instrument id.")
    venue: str = Field(description="Venue id.")
    side: SideName = Field(description=SIDE)
    kind: KindName = Field(description=KIND)
    unit: str = Field(description=UNIT)
    price: float | None = Field(description=f"Price to trade at {PRICE}.")
    size: float | None = Field(description="Size at that price, contracts.")
    edge: float | None = Field(description=f"Net expected profit per contract after fees {PRICE}.")
    roi: float | None = Field(description="edge divided by the capital it locks, fraction.")
    gap_bps: float | None = Field(
        description="Assets: venue against the fair value without it, basis points. A gap is not a return."
    )
    se: float | None = Field(description=f"Standard error of edge {PRICE}.")
    age_oldest_leg_ms: float | None = Field(description="Age of the oldest quote it rests on, milliseconds.")
    executable: bool = Field(description="Can be traded now under the knobs of the house analysis.")
    reason: str = Field(description="Why not, where not.")
    opened: Timestamp | None = Field(description="When the edge opened, UTC; null while it is not open.")


class PositionRow(Output):
    """One asset position or outcome leg."""

    instrument: str = Field(description="Instrument id.")
    venue: str | None = Field(description="Venue of an outcome leg; null for an asset position.")
    kind: KindName = Field(description=KIND)
    unit: str = Field(description="Unit of target, current and change: weight (fraction of capital) or USD.")
    target: float | None = Field(description="What to hold: a weight, or a stake in USD.")
    current: float | None = Field(description="What is held before trading, in `unit`.")
    change: float | None = Field(description="target minus current, in `unit`.")
    stake: float | None = Field(description="Money put in, USD.")
    locked: float | None = Field(description="Capital locked, USD.")
    contribution: float | None = Field(
        description="Assets: share of the risk, fraction. Outcomes: expected profit, USD."
    )
    binding: str = Field(description="The limit that holds it, empty when none does.")


class Table(Output):
    """What every table says about itself."""

    as_of: Timestamp | None = Field(description="Moment of the snapshot, UTC; null while there is none.")
    sequence: int | None = Field(description="Cycle of the snapshot; null while there is none.")
    simulated: bool = Field(description="True when the prices come from the simulator.")
    absence: Literal["NO_DATA"] | None = Field(description="NO_DATA while there is no snapshot; else null.")
    total: int = Field(description="Rows that match the filters.", ge=0)
    count: int = Field(description="Rows in this answer.", ge=0)


class MarketTable(Table):
    """The live market, one row per instrument in the order of the catalogue."""

    rows: list[MarketRow] = Field(description="One row per instrument.")


class EdgeTable(Table):
    """The edges, in the order of the house analysis."""

    rows: list[EdgeRow] = Field(description="One row per instrument, venue and side.")


class MarketDetail(Output):
    """One instrument now, with its edges and the outcomes beside it."""

    as_of: Timestamp = Field(description="Moment of the snapshot, UTC.")
    sequence: int = Field(description="Cycle of the snapshot.")
    simulated: bool = Field(description="True when the prices come from the simulator.")
    row: MarketRow = Field(description="The same row as in /markets.")
    outcomes: dict[str, float | None] = Field(
        description="Fair probabilities of all outcomes of its market, 0 to 1; empty for an asset."
    )
    edges: list[EdgeRow] = Field(description="The same rows as in /edges.")


class Portfolio(Table):
    """The house allocation; `absence` is NO_DATA, and the figures null, while there is none."""

    status: Literal["optimal", "infeasible", "no_data", "failed"] = Field(description="Of the asset weights.")
    reason: str = Field(description="What is wrong and which limits conflict; empty when optimal.")
    method: str = Field(description="Solver and covariance that made it.")
    horizon_s: float | None = Field(description="Returns and risks are over this time, seconds.")
    expected_return: float | None = Field(description="Log return of the capital before cost, fraction.")
    risk: float | None = Field(description="Standard deviation of that return, fraction.")
    worst_loss: float | None = Field(
        description="Loss not exceeded with 99 % under a normal law, positive fraction of capital."
    )
    turnover: float | None = Field(description="Sum of absolute weight changes, fraction.")
    cost: float | None = Field(description="Cost of the turnover, fraction of capital.")
    bankroll: float | None = Field(description="Set aside for outcomes, USD.")
    stake_total: float | None = Field(description="Staked on outcomes, USD.")
    outcome_profit: float | None = Field(description="Expected profit of the stakes, USD.")
    outcome_worst_loss: float | None = Field(description="Largest possible loss of the stakes, USD, positive.")
    binding: list[str] = Field(description="Limits that hold, in words.")
    rows: list[PositionRow] = Field(description="One row per asset position or outcome leg.")
