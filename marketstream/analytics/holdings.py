"""Holdings: what is held on paper between one allocation and the next. Kept by optimizer.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from marketstream.analytics.covariance import Estimate
from marketstream.analytics.layout import Layout
from marketstream.analytics.staking import Slip, Staking, empty_slip
from marketstream.analytics.weighting import Weighting
from marketstream.market.quotes import QuoteState
from marketstream.market.state import MarketState


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PortfolioState:
    """What is held: on paper, and changed only when the house adopts its target.

    Attributes:
        layout: The catalogue as arrays.
        weights: (K,) weights held, 0 for outcomes.
        slip: Stakes placed.
        rebalanced_at: UTC ns of the last adoption, or of the start.
        adopted: Whether a target was ever adopted.
        estimate: The newest covariance of the assets; the returns it is made of change every 30 s only.
    """

    layout: Layout
    weights: np.ndarray
    slip: Slip
    rebalanced_at: int
    adopted: bool
    estimate: Estimate | None = None


def held_now(
    market: MarketState,
    layout: Layout,
    assets: np.ndarray,
    fair: np.ndarray,
    state: PortfolioState | None,
    invested_share: float,
) -> PortfolioState:
    """Return what is held now; bets that settled are gone.

    Until the first adoption it is equal weights of every asset that ever had a live source, so that a feed
    that comes a moment later than the others is not left out.
    """
    weights = np.zeros(len(layout.index))
    if state is None:
        state = PortfolioState(
            layout=layout, weights=weights, slip=empty_slip(), rebalanced_at=market.now, adopted=False
        )
    weights[: len(state.weights)] = state.weights
    if not state.adopted:
        owned = assets[(weights[assets] > 0.0) | np.isfinite(fair[assets])]
        total = float(weights.sum())
        weights[owned] = (total if total > 0.0 else invested_share) / max(len(owned), 1)
    return replace(state, layout=layout, weights=weights, slip=_unsettled(state.slip, market, layout))


def _unsettled(slip: Slip, market: MarketState, layout: Layout) -> Slip:
    if not len(slip.stake):
        return slip
    rows = layout.market_of[slip.instrument]
    settles_at = layout.settles_at[rows]
    states = market.state[slip.instrument]
    shut = ((states == QuoteState.CLOSED) | (states == QuoteState.NO_DATA)).all(axis=1)
    over = ((settles_at > 0) & (market.now >= settles_at)) | shut
    return slip.take(np.flatnonzero(~over)) if over.any() else slip


def adopted(
    before: PortfolioState, assets: np.ndarray, weighting: Weighting, staking: Staking, now: int
) -> PortfolioState:
    """Return what is held once the target was adopted, on paper: weights replaced, bets placed."""
    weights = before.weights.copy()
    weights[assets] = weighting.target
    return replace(before, weights=weights, slip=staking.slip, rebalanced_at=now, adopted=True)
