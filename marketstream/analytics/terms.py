"""Terms: the rows of the `edges` frame and what one contract at each would earn. Judged in edges.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketstream.analytics.layout import Layout, multi_index
from marketstream.analytics.valuation import Consensus
from marketstream.market.quotes import QuoteState
from marketstream.market.state import MarketState

SIDES = ("buy", "sell", "lay")
"""Buy at the ask; sell an asset at the bid; lay an outcome at the bid."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rows:
    """Which (instrument, venue, side) have a row; the set only grows.

    Attributes:
        seen: (K, V, 2) bool; the last axis is ask, bid.
        instrument: (n,) instrument codes.
        venue: (n,) venue codes.
        is_bid: (n,) whether the row trades at the bid: sells an asset, lays an outcome.
        is_outcome: (n,) whether the price is a probability.
        index: The index of the `edges` frame.
    """

    seen: np.ndarray
    instrument: np.ndarray
    venue: np.ndarray
    is_bid: np.ndarray
    is_outcome: np.ndarray
    index: pd.MultiIndex


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Terms:
    """What one contract at each row would earn, (n,) each, in price units.

    Attributes:
        price: To trade at, NaN where the side is missing.
        size: Contracts there.
        fair: The consensus without this venue.
        won: Profit if an outcome's bet wins, after commission, before fees; NaN for assets.
        fee: Fees per contract.
        gross: Expected profit before commission and fees.
        edge: Expected profit after both.
        se: Standard error of the edge.
        locked: Capital that a contract locks.
        age_s: Of the oldest quote that the edge rests on.
        gap_bps: Venue mid against the consensus without it, NaN for outcomes.
    """

    price: np.ndarray
    size: np.ndarray
    fair: np.ndarray
    won: np.ndarray
    fee: np.ndarray
    gross: np.ndarray
    edge: np.ndarray
    se: np.ndarray
    locked: np.ndarray
    age_s: np.ndarray
    gap_bps: np.ndarray


def rows_of(market: MarketState, layout: Layout, previous: Rows | None = None) -> Rows:
    """Return the rows of `market`; the previous object where no new (instrument, venue, side) has come."""
    book = market.book
    quoting = book["state"] != QuoteState.NO_DATA
    # An asset has both sides, a bookmaker only the ask: the bid of an outcome has a row once one was seen.
    bid = quoting & (~layout.is_outcome[:, None] | np.isfinite(book["bid"]))
    seen = np.stack([quoting, bid], axis=-1)
    if previous is not None:
        old_k, old_v = previous.seen.shape[:2]
        seen[:old_k, :old_v] |= previous.seen
        if seen.shape == previous.seen.shape and np.array_equal(seen, previous.seen):
            return previous
    instrument, venue, side = np.nonzero(seen)
    named = np.where(side == 0, 0, np.where(layout.is_outcome[instrument], 2, 1))
    index = multi_index(instrument=(layout.index, instrument), venue=(layout.venue_ids, venue), side=(SIDES, named))
    return Rows(
        seen=seen,
        instrument=instrument,
        venue=venue,
        is_bid=side == 1,
        is_outcome=layout.is_outcome[instrument],
        index=index,
    )


def terms_of(market: MarketState, consensus: Consensus, layout: Layout, rows: Rows, extra_fee: float) -> Terms:
    """Return what a contract at each row would earn; `extra_fee` is a fraction of the price."""
    at = (rows.instrument, rows.venue)
    book = market.book[at]
    price = np.where(rows.is_bid, book["bid"], book["ask"])
    fair, fair_sd = consensus.without[at], consensus.without_sd[at]
    fee = price * (layout.per_trade[rows.venue] + extra_fee)
    kept = 1.0 - layout.commission[rows.venue]
    gross = np.where(rows.is_bid, price - fair, fair - price)
    # Of an outcome, per contract: what is won if the bet wins and what is lost if it does not.
    won = np.where(rows.is_bid, price, 1.0 - price) * kept
    lost = np.where(rows.is_bid, 1.0 - price, price)
    chance = np.where(rows.is_bid, 1.0 - fair, fair)
    expected = np.where(rows.is_outcome, chance * won - (1.0 - chance) * lost, gross)
    age_s = np.maximum(market.age_ns[at] / 1e9, consensus.without_age_s[at])
    gap_bps = (0.5 * (book["bid"] + book["ask"]) / fair - 1.0) * 1e4
    return Terms(
        price=price,
        size=np.where(rows.is_bid, book["bid_size"], book["ask_size"]),
        fair=fair,
        won=np.where(rows.is_outcome, won, np.nan),
        fee=fee,
        gross=gross,
        edge=expected - fee,
        se=np.where(rows.is_outcome, won + lost, 1.0) * fair_sd,
        locked=np.where(rows.is_outcome, lost, price),
        age_s=age_s,
        gap_bps=np.where(rows.is_outcome, np.nan, gap_bps),
    )
