"""Facts about the book: weights, trades, risk shares, limits and stakes. Put together in facts.py."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from marketstream.market.allocation import AllocationStatus
from marketstream.market.instruments import Instrument, Kind
from marketstream.market.rationale import PORTFOLIO
from marketstream.rationale.sheet import SheetBuilder, apportion, rounded

WEIGHT_DECIMALS = 1
NO_TRADE = "no trade band"
"""What the optimizer calls a trade that is not worth its cost: the weight is kept, but no limit holds it."""
Leg = tuple[str, str]
"""(instrument id, venue id)."""


class Book:
    """What is held, rounded so that the shown weights add up to the shown total.

    Weights, trades and ranks are worked out over the whole allocation; facts are added for chosen positions.
    """

    def __init__(self, sheet: SheetBuilder) -> None:
        self.sheet = sheet
        self.allocation = sheet.snapshot.allocation
        frame = self.allocation.frame
        is_asset = (frame.index.get_level_values("venue") == "").astype(bool)
        known = frame.index.get_level_values("instrument").isin(sheet.catalog.index)
        self._assets = frame[is_asset & known].droplevel("venue") if self.usable else frame.iloc[:0].droplevel("venue")
        self._weights()
        stakes = frame[~is_asset & known]
        self._stakes = stakes[stakes["stake"].to_numpy(dtype=np.float64) >= 0.5].sort_values(
            "stake", ascending=False, kind="stable"
        )

    @property
    def usable(self) -> bool:
        """Return whether there are weights to speak of."""
        return self.allocation.status is AllocationStatus.OPTIMAL

    @property
    def has_risk(self) -> bool:
        """Return whether the risk of the weights is known; of the house's it always is."""
        return not self.sheet.given or bool(np.isfinite(self.allocation.risk))

    def _weights(self) -> None:
        self._exact = _percent(self._assets["target"])
        self._exact_before = _percent(self._assets["current"])
        index = self._assets.index
        self.weight = pd.Series(apportion(self._exact, WEIGHT_DECIMALS), index=index)
        # So that they add up, two equal weights may be shown a step apart: which is larger is told by plain rounding.
        self._plain = pd.Series(np.round(self._exact, WEIGHT_DECIMALS), index=index)
        self.before = pd.Series(apportion(self._exact_before, WEIGHT_DECIMALS), index=index)
        change = np.round(self.weight.to_numpy() - self.before.to_numpy(), WEIGHT_DECIMALS) + 0.0
        # Of a caller's own book nobody knows what it was before.
        self.change = pd.Series(np.zeros(len(index)) if self.sheet.given else change, index=index)
        self.risk_share = pd.Series(np.round(_percent(self._assets["contribution"]), 1) + 0.0, index=index)
        words = self._assets["binding"].fillna("").astype(str)
        self.limits = words.where(words != NO_TRADE, "")
        self.kept = words.where(words == NO_TRADE, "")

    # Choices: ids in the order a text would name them. ------------------------------------------------------

    def largest(self, n: int) -> list[str]:
        """Return the `n` largest positive weights."""
        return _top(self.weight[self.weight > 0], n)

    def raised(self, n: int) -> list[str]:
        """Return the `n` weights that rise most."""
        return _top(self.change[self.change > 0], n)

    def lowered(self, n: int) -> list[str]:
        """Return the `n` weights that fall most."""
        return _top(-self.change[self.change < 0], n)

    def riskiest(self, n: int) -> list[str]:
        """Return the `n` largest positive shares of the risk."""
        return _top(self.risk_share[self.risk_share > 0], n)

    def limited(self, n: int) -> list[str]:
        """Return the `n` largest weights that a limit holds."""
        return _top(self.weight[(self.limits != "") & (self.weight != 0)], n)

    def held_or_all(self) -> list[str]:
        """Return what is held, largest first; everything listed when nothing is."""
        return self.largest(len(self.weight)) or [i.id for i in self.sheet.catalog.instruments]

    def largest_stakes(self, n: int) -> list[Leg]:
        """Return the `n` largest stakes."""
        return [(str(i), str(v)) for i, v in self._stakes.index[:n]]

    def stakes_on(self, instrument_id: str) -> list[Leg]:
        """Return the stakes on one outcome, largest first."""
        return [leg for leg in self.largest_stakes(len(self._stakes)) if leg[0] == instrument_id]

    # Facts --------------------------------------------------------------------------------------------------

    def add_totals(self) -> None:
        """Add the facts of the book as a whole."""
        sheet, allocation = self.sheet, self.allocation
        if sheet.given:
            sheet.flag(PORTFOLIO, "given", True, "portfolio_data")
        else:
            sheet.words(PORTFOLIO, "status", allocation.status.value, "allocation.status")
            sheet.words(PORTFOLIO, "status_reason", allocation.reason, "allocation.reason")
        sheet.words(PORTFOLIO, "method", allocation.method, "allocation.method")
        sheet.count(PORTFOLIO, "n_held", int((self.weight > 0).sum()), "allocation.target > 0")
        if self.usable and len(self._assets):
            self._add_risk()
            self._add_invested()
            if not sheet.given:
                self._add_trades()
            self._add_largest()
        if not sheet.given:
            self._add_stake_totals()

    def _add_risk(self) -> None:
        sheet, a = self.sheet, self.allocation
        bps = 1e4
        sheet.add(
            PORTFOLIO,
            "expected_return",
            a.expected_return * bps,
            "bps",
            "allocation.expected_return",
            decimals=1,
            directional=True,
        )
        sheet.add(PORTFOLIO, "risk", a.risk * bps, "bps", "allocation.risk", decimals=1)
        sheet.add(PORTFOLIO, "worst_loss", a.worst_loss * bps, "bps", "allocation.worst_loss", decimals=1)
        sheet.add(PORTFOLIO, "turnover", a.turnover * 100, "%", "allocation.turnover", decimals=1)
        sheet.add(PORTFOLIO, "cost", a.cost * bps, "bps", "allocation.cost", decimals=1)

    def _add_invested(self) -> None:
        total = rounded(float(self.weight.sum()), WEIGHT_DECIMALS)
        exact = float(self._exact.sum())
        self.sheet.add(PORTFOLIO, "invested", total, "%", "sum of allocation.target", decimals=1, exact=exact)

    def _add_trades(self) -> None:
        sheet = self.sheet
        sheet.count(PORTFOLIO, "n_trades", int((self.change != 0).sum()), "allocation.change rounded, not 0")
        sheet.count(PORTFOLIO, "n_up", int((self.change > 0).sum()), "allocation.change rounded, > 0")
        sheet.count(PORTFOLIO, "n_down", int((self.change < 0).sum()), "allocation.change rounded, < 0")
        limited = int(((self.limits != "") & (self.weight > 0)).sum())
        sheet.count(PORTFOLIO, "n_limited", limited, "allocation.binding of held weights")

    def _add_largest(self) -> None:
        """Add the three largest weights' remainder, and ties for the first place."""
        sheet = self.sheet
        top = self.largest(3)
        others = int((self.weight > 0).sum()) - len(top)
        sheet.count(PORTFOLIO, "n_other", others, "held beyond the 3 largest weights")
        rest = rounded(float(self.weight.sum() - self.weight[top].sum()), WEIGHT_DECIMALS)
        exact = float(self._exact.sum() - self._exact[self.weight.index.get_indexer(pd.Index(top))].sum())
        sheet.add(PORTFOLIO, "other_weight", rest, "%", "invested less the 3 largest", decimals=1, exact=exact)
        if top:
            largest = float(self._plain.max())
            ties = int((self._plain == largest).sum())
            sheet.add(PORTFOLIO, "largest_weight", largest, "%", "max of allocation.target", decimals=1)
            sheet.count(PORTFOLIO, "n_largest_weight", ties, "weights equal to the largest")

    def _weight_ranks(self) -> dict[object, float]:
        # One place only where the weights as shown and the weights as they are agree on it.
        plain, shown = _ranks(self._plain[self._plain > 0]), _ranks(self.weight[self.weight > 0])
        return {key: rank for key, rank in plain.items() if shown.get(key) == rank}

    def _add_stake_totals(self) -> None:
        sheet, a, stakes = self.sheet, self.allocation, self._stakes["stake"]
        sheet.count(PORTFOLIO, "n_stakes", len(stakes), "allocation.stake > 0")
        sheet.add(PORTFOLIO, "bankroll", a.bankroll, "USD", "optimizer.bankroll")
        if not len(stakes):
            return
        sheet.add(PORTFOLIO, "stake_total", float(stakes.sum()), "USD", "sum of allocation.stake")
        if a.bankroll > 0:
            share = float(stakes.sum()) / a.bankroll * 100
            sheet.add(PORTFOLIO, "stakes_share", share, "%", "stakes over bankroll", decimals=1)
        sheet.add(PORTFOLIO, "stakes_profit", a.outcome_profit, "USD", "allocation.outcome_profit", decimals=2)
        sheet.add(PORTFOLIO, "stakes_loss", a.outcome_worst_loss, "USD", "allocation.outcome_worst_loss")
        shown = np.round(stakes.to_numpy(dtype=np.float64))
        sheet.add(PORTFOLIO, "largest_stake", float(shown[0]), "USD", "max of allocation.stake")
        sheet.count(PORTFOLIO, "n_largest_stake", int((shown == shown[0]).sum()), "stakes equal to the largest")

    def add_weights(self, instrument_ids: Iterable[str]) -> None:
        """Add what there is to say about these weights."""
        if not self.usable:
            return
        ranks = {
            "weight_rank": self._weight_ranks(),
            "weight_change_rank": _ranks(self.change.abs()[self.change != 0]),
            "risk_share_rank": _ranks(self.risk_share[self.risk_share > 0]),
        }
        for instrument_id in dict.fromkeys(instrument_ids):
            if instrument_id in self.weight.index:
                self._add_weight(instrument_id)
                for metric, rank in ranks.items():
                    if instrument_id in rank:
                        instrument = self.sheet.instrument(instrument_id)
                        self.sheet.add(instrument, metric, rank[instrument_id], "rank", f"order of {metric[:-5]}")

    def _add_weight(self, instrument_id: str) -> None:
        sheet, instrument = self.sheet, self.sheet.instrument(instrument_id)
        if instrument.kind is not Kind.ASSET:
            return
        at = self.weight.index.get_loc(instrument_id)
        weight, exact = float(self.weight[instrument_id]), float(self._exact[at])
        sheet.add(instrument, "weight", weight, "%", "allocation.target", decimals=1, exact=exact)
        if self.has_risk:
            self._add_risk_share(instrument_id, weight)
        if not sheet.given:
            self._add_change(instrument, exact - float(self._exact_before[at]))
            limit = self.limits[instrument_id]
            sheet.count(instrument, "n_limits", int(limit != ""), "allocation.binding")
            sheet.words(instrument, "limit", limit, "allocation.binding")
            sheet.words(instrument, "kept_by", self.kept[instrument_id], "allocation.binding")

    def _add_change(self, instrument: Instrument, exact: float) -> None:
        sheet, at = self.sheet, self.weight.index.get_loc(instrument.id)
        before, exact_before = float(self.before[instrument.id]), float(self._exact_before[at])
        sheet.add(instrument, "weight_before", before, "%", "allocation.current", decimals=1, exact=exact_before)
        sheet.add(
            instrument,
            "weight_change",
            float(self.change[instrument.id]),
            "points",
            "weight less weight_before, as shown",
            decimals=1,
            directional=True,
            exact=exact,
        )

    def _add_risk_share(self, instrument_id: str, weight: float) -> None:
        sheet, instrument = self.sheet, self.sheet.instrument(instrument_id)
        share = float(self.risk_share[instrument_id])
        sheet.add(instrument, "risk_share", share, "%", "allocation.contribution", decimals=1)
        sheet.add(
            instrument,
            "risk_excess",
            rounded(share - weight, 1),
            "points",
            "risk_share less weight, as shown",
            decimals=1,
            directional=True,
        )

    def add_top_risk(self, n: int) -> None:
        """Add how much of the risk the `n` largest shares sum to."""
        top = self.riskiest(n)
        if self.usable and len(top) > 1:
            self.sheet.count(PORTFOLIO, "n_top_risk", len(top), "largest shares of the risk")
            total = rounded(float(self.risk_share[top].sum()), 1)
            self.sheet.add(PORTFOLIO, "top_risk", total, "%", "sum of the largest shares, as shown", decimals=1)

    def add_stakes(self, legs: Sequence[Leg]) -> None:
        """Add what there is to say about these stakes."""
        ranks = _ranks(self._stakes["stake"].astype(float).round())
        rows: dict[Leg, dict[Hashable, Any]] = dict(
            zip(self.largest_stakes(len(self._stakes)), self._stakes.to_dict("records"), strict=True)
        )
        for leg in legs:
            row = rows[leg]
            instrument, venue = self.sheet.instrument(leg[0]), leg[1]
            stake = float(row["stake"])
            add = self.sheet.add
            add(instrument, "stake", stake, "USD", "allocation.stake", venue=venue)
            add(instrument, "locked", float(row["locked"]), "USD", "allocation.locked", venue=venue)
            profit = float(row["contribution"])
            add(instrument, "profit", profit, "USD", "allocation.contribution", decimals=2, venue=venue)
            if self.allocation.bankroll > 0:
                share = stake / self.allocation.bankroll * 100
                add(instrument, "stake_share", share, "%", "stake over bankroll", decimals=1, venue=venue)
            if leg in ranks:
                add(instrument, "stake_rank", ranks[leg], "rank", "order of stake", venue=venue)
            self.sheet.words(instrument, "limit", str(row["binding"] or ""), "allocation.binding", venue=venue)


def _percent(fractions: pd.Series) -> np.ndarray:
    values = fractions.to_numpy(dtype=np.float64) * 100
    return np.where(np.isfinite(values), values, 0.0)


def _top(values: pd.Series, n: int) -> list[str]:
    return [str(i) for i in values.sort_values(ascending=False, kind="stable").index[:n]]


def _ranks(values: pd.Series) -> dict[object, float]:
    """Return places from 1 for the largest; what ties has none, since no text may call it the largest."""
    ranks = values.rank(ascending=False, method="min")
    single = ~ranks.duplicated(keep=False)
    return dict(zip(ranks.index[single], ranks[single].astype(float), strict=True))
