"""Opinions: from the books to what every venue says of an asset's price or a market's probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketstream.analytics.consensus import Opinions, masked_median
from marketstream.analytics.devig import normalised
from marketstream.analytics.layout import Layout
from marketstream.market.state import History, MarketState

LOGIT_HALF_FLOOR = 0.005
"""Least half spread of a devigged price, in log-odds: no margin is known better than that."""

_DRIFT_STEP = 10
_DRIFT_SAMPLES = 300


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evidence:
    """One moment as FairValue sees it.

    Attributes:
        market: The moment.
        layout: Its catalogue as arrays.
        usable: (K, V) quotes that are LIVE, young enough and have a side.
        age_s: (K, V) their ages.
        half_life_s: Of a quote's weight.
        band: Standard deviation of a lone venue, as a fraction of an asset's price or of probability 1.
    """

    market: MarketState
    layout: Layout
    usable: np.ndarray
    age_s: np.ndarray
    half_life_s: float
    band: float


def asset_opinions(evidence: Evidence, rows: np.ndarray) -> Opinions:
    """Return the mids of the instruments `rows`, (M, 1, V); a venue with one side counts with that side.

    A lone ask is moved down by the half spread that is typical of the other venues (a lone bid up), and gets
    three times that half spread itself. Where nobody has two sides, the price is the side with the lone band.
    """
    book, usable, age_s = evidence.market.book[rows], evidence.usable[rows], evidence.age_s[rows]
    bid, ask = book["bid"], book["ask"]
    two_sided = np.isfinite(bid) & np.isfinite(ask)
    mid, half = 0.5 * (bid + ask), 0.5 * (ask - bid)
    # A locked quote is not certain: half a tick, within reason for a tick that does not fit the price.
    tick = np.minimum(0.5 * evidence.layout.tick[rows][:, None], 1e-4 * mid)
    half = np.maximum(np.maximum(half, tick), 1e-7 * mid)
    typical = masked_median(half, usable & two_sided)[:, None]
    side = np.where(np.isfinite(ask), ask, bid)
    toward = np.where(np.isfinite(ask), -1.0, 1.0)
    lone_half = np.where(np.isfinite(typical), 3.0 * typical, np.maximum(evidence.band, 1e-4) * side)
    value = np.where(two_sided, mid, side + toward * np.where(np.isfinite(typical), typical, 0.0))
    half = np.where(two_sided, half, lone_half)
    size = np.fmin(
        np.where(np.isfinite(bid), book["bid_size"], np.nan),
        np.where(np.isfinite(ask), book["ask_size"], np.nan),
    )
    return Opinions(
        value=value[:, None, :],
        half=half[:, None, :],
        alone=np.hypot(evidence.band * value, half)[:, None, :],
        recency=np.exp2(-age_s / evidence.half_life_s),
        width=half,
        size=size,
        age_s=age_s,
        usable=usable,
        is_leg=np.ones((len(rows), 1), dtype=np.bool_),
        drift=drift(evidence.market.history, rows, in_log_odds=False)[:, None],
    )


def outcome_opinions(evidence: Evidence) -> Opinions:
    """Return the log-odds of every market's outcomes, (M, n, V), of the venues that quote all of them.

    A venue with both sides on every outcome counts with its mids, else with its asks; both are devigged by
    the multiplicative method. The half spread of a price is how far its ask lies above it, in log-odds.
    """
    legs = evidence.layout.legs
    is_leg = legs >= 0
    on_leg = is_leg[:, :, None]
    book = evidence.market.book[legs]
    bid, ask = book["bid"], book["ask"]
    ready = evidence.usable[legs] & np.isfinite(ask)
    usable = (ready | ~on_leg).all(axis=1)
    two_sided = (np.isfinite(bid) | ~on_leg).all(axis=1, keepdims=True)
    price = np.where(on_leg, np.where(two_sided, 0.5 * (bid + ask), ask), 0.0)
    probability = np.moveaxis(normalised(np.moveaxis(price, 1, -1)), -1, 1)
    value = np.where(on_leg, log_odds(probability), 0.0)
    below = np.where(two_sided, log_odds(bid), 2.0 * value - log_odds(ask))
    half = np.where(on_leg, np.maximum(0.5 * np.abs(log_odds(ask) - below), LOGIT_HALF_FLOOR), 0.0)
    age_s = np.where(on_leg, evidence.age_s[legs], 0.0).max(axis=1, initial=0.0)
    size = np.where(on_leg, book["ask_size"], np.inf).min(axis=1, initial=np.inf)
    slope = np.maximum(probability * (1.0 - probability), 1e-6)
    moved = drift(evidence.market.history, np.maximum(legs, 0).ravel(), in_log_odds=True).reshape(legs.shape)
    return Opinions(
        value=value,
        half=half,
        alone=np.hypot(evidence.band / slope, half),
        recency=np.exp2(-age_s / evidence.half_life_s),
        width=half.sum(axis=1) / np.maximum(is_leg.sum(axis=1), 1)[:, None],
        size=size,
        age_s=age_s,
        usable=usable,
        is_leg=is_leg,
        drift=np.where(is_leg, moved, 0.0),
    )


def drift(history: History, rows: np.ndarray, *, in_log_odds: bool) -> np.ndarray:
    """Return the variance that prices of `rows` gain per second, from the last five minutes; 0 if unknown.

    It is measured over ten seconds: at one second the noise of the venues would count as movement.
    """
    mids = history.ref_mid[:, -_DRIFT_SAMPLES - 1 :: _DRIFT_STEP][rows]
    if in_log_odds:
        mids = log_odds(mids)
    moves = np.diff(mids, axis=1)
    known = np.isfinite(moves)
    total = np.where(known, moves, 0.0) ** 2
    return np.asarray(total.sum(axis=1) / np.maximum(known.sum(axis=1), 1) / _DRIFT_STEP)


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)).

    >>> log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    return np.asarray(np.log(probability / (1.0 - probability)))
