"""PortfolioOptimizer: asset weights (weighting.py) and outcome stakes (staking.py) under stated limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marketstream.analytics.covariance import Estimate, FactorCovariance
from marketstream.analytics.edges import Legs
from marketstream.analytics.holdings import PortfolioState, adopted, held_now
from marketstream.analytics.layout import Layout, multi_index
from marketstream.analytics.stage import Knob, Stage, Views
from marketstream.analytics.staking import StakeLimits, Staking, stake
from marketstream.analytics.weighting import Weighting, WeightLimits, weigh
from marketstream.market.allocation import Allocation
from marketstream.market.state import MarketState

LOSS_QUANTILE = 2.3263478740408408
"""99 % quantile of the standard normal law."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PortfolioInputs:
    """One moment with its frames, the returns for the covariance and the outcome legs worth buying.

    `estimate` may be a covariance made elsewhere; it is used where it was made of the same returns.
    """

    market: MarketState
    fair: pd.DataFrame
    edges: pd.DataFrame
    returns: pd.DataFrame
    legs: Legs
    estimate: Estimate | None = None


class PortfolioOptimizer(Stage):
    """What to hold: mean-variance weights of assets, fractional Kelly stakes on outcomes.

    Assets: maximise mu'w - risk_aversion/2 w'Sigma w - cost of turnover, weights from 0 to `max_weight` that
    sum to `invested_share`. mu is the analyst's `views` over `horizon_s`, 0 where there is none: a gap is not
    a return. A trade is paid once but its risk is carried on, so variance is charged over `holding_s`. An
    asset without a live source cannot be traded: it stays at what is held of it. Held weights start out
    equal and are replaced by the target every `rebalance_s`; in between the target is a proposal.
    """

    risk_aversion = Knob(
        default=6.0,
        bounds=(0.1, 200.0),
        softbounds=(0.5, 50.0),
        step=0.1,
        label="Risk aversion",
        doc="Price of variance: a variance of v over the holding time costs half of this times v in return.",
        metadata={"unit": "1/variance"},
    )
    max_weight = Knob(
        default=0.20,
        bounds=(0.001, 1.0),
        softbounds=(0.01, 1.0),
        step=0.005,
        label="Largest weight",
        doc="No asset gets more than this share of the capital.",
        metadata={"unit": "fraction"},
    )
    invested_share = Knob(
        default=1.0,
        bounds=(0.0, 1.0),
        step=0.01,
        label="Invested share",
        doc="What the weights of the assets sum to; the rest is cash.",
        metadata={"unit": "fraction"},
    )
    turnover_cost_bps = Knob(
        default=8.0,
        bounds=(0.0, 200.0),
        softbounds=(0.0, 50.0),
        step=0.5,
        label="Turnover cost",
        doc="Cost of changing a weight, in bps of the amount traded.",
        metadata={"unit": "bps"},
    )
    horizon_s = Knob(
        default=1800.0,
        bounds=(60.0, 86400.0),
        softbounds=(300.0, 14400.0),
        step=60.0,
        label="Horizon",
        doc="Every return and risk shown is over this time; so are the views.",
        metadata={"unit": "s"},
    )
    holding_s = Knob(
        default=86400.0,
        bounds=(60.0, 2592000.0),
        softbounds=(1800.0, 604800.0),
        step=60.0,
        label="Holding time",
        doc="How long the risk of a position is carried for one payment of its turnover cost.",
        metadata={"unit": "s"},
    )
    rebalance_s = Knob(
        default=300.0,
        bounds=(1.0, 86400.0),
        softbounds=(30.0, 3600.0),
        step=1.0,
        label="Rebalance every",
        doc="How often the house adopts its target as what is held (on paper).",
        metadata={"unit": "s"},
    )
    kelly_fraction = Knob(
        default=0.25,
        bounds=(0.0, 1.0),
        step=0.01,
        label="Kelly fraction",
        doc="Share of the full Kelly stake; less grows slower and forgives errors in the fair value.",
        metadata={"unit": "fraction"},
    )
    max_stake = Knob(
        default=0.02,
        bounds=(0.0, 1.0),
        softbounds=(0.0, 0.2),
        step=0.001,
        label="Largest stake",
        doc="No bet gets more than this share of the bankroll.",
        metadata={"unit": "fraction of bankroll"},
    )
    bankroll = Knob(
        default=20_000.0,
        bounds=(0.0, 1e9),
        softbounds=(1_000.0, 200_000.0),
        step=1_000.0,
        label="Bankroll",
        doc="Money set aside for outcomes; all stakes together never exceed it.",
        metadata={"unit": "USD"},
    )
    views = Views(
        default={},
        label="Views",
        doc="The analyst's expected log return by asset id, over the horizon; an asset without one has 0.",
        metadata={"unit": "log return over the horizon"},
    )

    def apply(self, inputs: PortfolioInputs, state: PortfolioState | None) -> tuple[Allocation, PortfolioState]:
        """Return the allocation of a moment and what is held next; infeasible is a value, not an error."""
        market = inputs.market
        layout = Layout.of(market, None if state is None else state.layout)
        assets = np.flatnonzero(~layout.is_outcome)
        fair = _fair(inputs.fair, layout)
        returns = _asset_returns(inputs.returns, layout, assets)
        known = inputs.estimate if state is None or inputs.estimate is not None else state.estimate
        estimate = Estimate.of(returns, known)
        covariance = estimate.covariance.scaled_to(self.horizon_s)
        before = held_now(market, layout, assets, fair, state, self.invested_share)
        before = replace(before, estimate=estimate)
        mean, unknown = self._mean(layout, assets)
        held = before.weights[assets]
        weighting = weigh(held, np.isfinite(fair[assets]), mean, covariance, self._weight_limits())
        staking = stake(inputs.legs, before.slip, fair, layout, self._stake_limits())
        allocation = self._allocation(layout, assets, held, mean, covariance, weighting, staking, unknown)
        due = market.now - before.rebalanced_at >= self.rebalance_s * 1e9
        return allocation, adopted(before, assets, weighting, staking, market.now) if due else before

    def _weight_limits(self) -> WeightLimits:
        return WeightLimits(
            risk_aversion=self.risk_aversion,
            max_weight=self.max_weight,
            invested_share=self.invested_share,
            turnover_cost=self.turnover_cost_bps / 1e4,
            holding_s=self.holding_s,
        )

    def _stake_limits(self) -> StakeLimits:
        return StakeLimits(kelly_fraction=self.kelly_fraction, max_stake=self.max_stake, bankroll=self.bankroll)

    def _mean(self, layout: Layout, assets: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return the views by asset, and the names in them that are no asset."""
        views: dict[str, float] = self.views
        rows = (
            layout.index[assets].get_indexer(pd.Index(list(views), dtype=object))
            if views
            else np.zeros(0, dtype=np.int64)
        )
        mean = np.zeros(len(assets))
        mean[rows[rows >= 0]] = np.array(list(views.values()), dtype=np.float64)[rows >= 0]
        return mean, tuple(name for name, row in zip(views, rows.tolist(), strict=True) if row < 0)

    def _allocation(
        self,
        layout: Layout,
        assets: np.ndarray,
        held: np.ndarray,
        mean: np.ndarray,
        covariance: FactorCovariance,
        weighting: Weighting,
        staking: Staking,
        unknown: tuple[str, ...],
    ) -> Allocation:
        target = weighting.target
        marginal = target * covariance.times(target)
        variance = float(marginal.sum())
        share = marginal / variance if variance > 0.0 else np.zeros_like(marginal)
        turnover = float(np.abs(target - held).sum())
        cost, expected, risk = (
            turnover * self.turnover_cost_bps / 1e4,
            float(mean @ target),
            float(np.sqrt(variance)),
        )
        return Allocation(
            frame=_frame(layout, assets, held, share, weighting, staking),
            status=weighting.status,
            reason=weighting.reason,
            method=weighting.method,
            horizon_s=self.horizon_s,
            expected_return=expected,
            risk=risk,
            worst_loss=max(0.0, LOSS_QUANTILE * risk - expected + cost),
            turnover=turnover,
            cost=cost,
            bankroll=self.bankroll,
            stake_total=float(staking.slip.stake.sum()),
            outcome_profit=staking.expected_profit,
            outcome_worst_loss=staking.worst_loss,
            binding=_summary(weighting.binding, "assets") + _summary(staking.binding, "bets") + _ignored(unknown),
        )


def _fair(frame: pd.DataFrame, layout: Layout) -> np.ndarray:
    column = frame["fair"]
    aligned = column if column.index.equals(layout.index) else column.reindex(layout.index)
    return aligned.to_numpy(dtype=np.float64)


def _asset_returns(frame: pd.DataFrame, layout: Layout, assets: np.ndarray) -> np.ndarray:
    aligned = frame if frame.columns.equals(layout.index) else frame.reindex(columns=layout.index)
    return np.asarray(aligned.to_numpy(dtype=np.float64)[:, assets])


def _frame(
    layout: Layout,
    assets: np.ndarray,
    held: np.ndarray,
    share: np.ndarray,
    weighting: Weighting,
    staking: Staking,
) -> pd.DataFrame:
    """Return the `allocation` frame: assets first, then outcome legs; an asset has no money column."""
    slip, money = staking.slip, np.full(len(assets), np.nan)
    target = np.concatenate([weighting.target, slip.stake])
    current = np.concatenate([held, staking.held])
    n_venues = len(layout.venue_ids)
    index = multi_index(
        instrument=(layout.index, np.concatenate([assets, slip.instrument])),
        venue=([*layout.venue_ids, ""], np.concatenate([np.full(len(assets), n_venues), slip.venue])),
    )
    binding = np.concatenate([weighting.binding, staking.binding])
    return pd.DataFrame(
        {
            "target": target,
            "current": current,
            "change": target - current,
            "stake": np.concatenate([money, slip.stake]),
            "locked": np.concatenate([money, slip.stake]),
            "contribution": np.concatenate([share, staking.profit]),
            "binding": pd.Series(binding, index=index, dtype=object),
        },
        index=index,
        copy=False,
    )


def _summary(binding: np.ndarray, things: str) -> tuple[str, ...]:
    """Return one phrase per limit that holds something, the most frequent first."""
    counts = Counter(word for word in binding.tolist() if word)
    return tuple(f"{word}: {n} {things if n != 1 else things[:-1]}" for word, n in counts.most_common())


def _ignored(unknown: tuple[str, ...]) -> tuple[str, ...]:
    return (f"views on no listed asset are left out: {', '.join(unknown[:5])}",) if unknown else ()
