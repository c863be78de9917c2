"""Allocation: how much to hold of what, and what that would mean. Made by analytics/optimizer.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pandas as pd


class AllocationStatus(StrEnum):
    """Whether the weights can be used."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    NO_DATA = "no_data"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Allocation:
    """Target weights of assets and stakes on outcomes.

    Attributes:
        frame: The `allocation` frame; assets have venue "" and weights, outcome legs a venue and stakes.
        status: Of the asset weights; an infeasible problem is a value, not an exception.
        reason: What is wrong and which limits conflict, empty when optimal.
        method: Which solver and which covariance made it.
        horizon_s: Every return and risk below is over this time.
        expected_return: Log return of the capital before cost, as a fraction.
        risk: Standard deviation of that return, as a fraction.
        worst_loss: Loss not exceeded with 99 % under a normal law, as a positive fraction of capital.
        turnover: Sum of absolute weight changes.
        cost: Turnover times its cost, as a fraction of capital.
        bankroll: USD set aside for outcomes.
        stake_total: USD staked on outcomes.
        outcome_profit: Expected profit of the stakes, USD.
        outcome_worst_loss: Largest possible loss of the stakes, USD, positive.
        binding: Limits that hold, in words.
    """

    frame: pd.DataFrame
    status: AllocationStatus
    reason: str
    method: str
    horizon_s: float
    expected_return: float
    risk: float
    worst_loss: float
    turnover: float
    cost: float
    bankroll: float
    stake_total: float
    outcome_profit: float
    outcome_worst_loss: float
    binding: tuple[str, ...]

    @property
    def weights(self) -> pd.Series:
        """Return target weights of the assets, by instrument."""
        return self._assets()["target"]

    @property
    def previous_weights(self) -> pd.Series:
        """Return the weights held before, by instrument."""
        return self._assets()["current"]

    @property
    def stakes(self) -> pd.DataFrame:
        """Return the rows of the outcome legs, by (instrument, venue)."""
        return self.frame[self.frame.index.get_level_values("venue") != ""]

    def _assets(self) -> pd.DataFrame:
        held = self.frame[self.frame.index.get_level_values("venue") == ""]
        return held.droplevel("venue")
