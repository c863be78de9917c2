"""Analysis: the three stages wired in order, for the house or for a session; Snapshot: what they found."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import is_
from types import MappingProxyType
from typing import Any, TypeVar, cast

import pandas as pd

from marketstream.analytics.covariance import RETURN_STEP_S
from marketstream.analytics.edges import EdgeFinder, EdgeInputs, EdgeState
from marketstream.analytics.holdings import PortfolioState
from marketstream.analytics.optimizer import PortfolioInputs, PortfolioOptimizer
from marketstream.analytics.stage import Stage
from marketstream.analytics.valuation import FairState, FairValue
from marketstream.market.allocation import Allocation
from marketstream.market.state import MarketState

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnalysisState:
    """What the stages remember from one moment to the next; None before a stage has run."""

    fair: FairState | None = None
    edges: EdgeState | None = None
    portfolio: PortfolioState | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Snapshot:
    """Everything the analysis says about one moment.

    Attributes:
        sequence: Cycle number of the market it is about.
        now: UTC ns of that cycle.
        market: The moment itself.
        fair: The `fair` frame.
        edges: The `edges` frame.
        allocation: Weights and stakes.
        knobs: Stage name to knob name to value, as used.
        before: What the stages remembered before this moment.
        after: What they remember after it.
        returns: The `returns` frame that the covariance was made of.
        reused: Stages whose results are the house's own objects; empty for the house itself.
    """

    sequence: int
    now: int
    market: MarketState
    fair: pd.DataFrame
    edges: pd.DataFrame
    allocation: Allocation
    knobs: Mapping[str, Mapping[str, Any]]
    before: AnalysisState
    after: AnalysisState
    returns: pd.DataFrame
    reused: tuple[str, ...] = ()


class Analysis:
    """FairValue, EdgeFinder and PortfolioOptimizer in order.

    The house calls `step` with every market it looks at and keeps its own state. A session calls `follow`
    with a snapshot of the house: it takes over every result up to the first stage whose knobs it has moved
    and works out the rest from the state that the house had before, so that a moved knob never changes the
    house. Not thread-safe: one owner, one thread.
    """

    def __init__(self) -> None:
        self.fair_value = FairValue()
        self.edge_finder = EdgeFinder()
        self.optimizer = PortfolioOptimizer()
        self.stages: Mapping[str, Stage] = MappingProxyType(
            {"fair_value": self.fair_value, "edge_finder": self.edge_finder, "optimizer": self.optimizer}
        )
        self._last: Snapshot | None = None
        self._memos: dict[str, _Memo] = {}

    @property
    def state(self) -> AnalysisState:
        """Return what the stages remember after the newest step."""
        return AnalysisState() if self._last is None else self._last.after

    def knobs(self) -> dict[str, dict[str, Any]]:
        """Return every knob's value, by stage and name."""
        return {name: stage.knobs() for name, stage in self.stages.items()}

    def step(self, market: MarketState) -> Snapshot:
        """Work out `market` from the state after the step before, and keep the state that follows.

        The same market again is worked out from the same state again: a moved knob counts, time does not.
        """
        last = self._last
        if last is not None and last.market is market:
            before, returns = last.before, last.returns
        else:
            before, returns = self.state, market.returns(RETURN_STEP_S)
        self._last = self._memo("step", (market, before), lambda: self._run(market, returns, before))
        return self._last

    def follow(self, house: Snapshot) -> Snapshot:
        """Return the house's snapshot as these knobs see it; its own results where no knob differs."""
        return self._memo("follow", (house,), lambda: self._follow(house))

    def _follow(self, house: Snapshot) -> Snapshot:
        same = []
        for name, stage in self.stages.items():
            if stage.knobs() != house.knobs[name]:
                break
            same.append(name)
        if len(same) == len(self.stages):
            return replace(house, reused=tuple(same))
        return self._run(house.market, house.returns, house.before, house, tuple(same))

    def _run(
        self,
        market: MarketState,
        returns: pd.DataFrame,
        before: AnalysisState,
        house: Snapshot | None = None,
        reused: tuple[str, ...] = (),
    ) -> Snapshot:
        # A stage whose inputs and knobs are those of its last run is not run again: when only the optimizer's
        # knobs move, the session's own fair values and edges stay the objects they were.
        fair, fair_state = self._value(market, before, house if "fair_value" in reused else None)
        edges, edge_state = self._find(market, before, fair, fair_state, house if "edge_finder" in reused else None)
        known = house.after.portfolio if house is not None else None
        inputs = PortfolioInputs(
            market=market,
            fair=fair,
            edges=edges,
            returns=returns,
            legs=edge_state.legs,
            estimate=None if known is None else known.estimate,
        )
        allocation, portfolio_state = self._memo(
            "optimizer",
            (market, fair, edges, returns, before.portfolio),
            lambda: self.optimizer.apply(inputs, before.portfolio),
        )
        return Snapshot(
            sequence=market.sequence,
            now=market.now,
            market=market,
            fair=fair,
            edges=edges,
            allocation=allocation,
            knobs=MappingProxyType({name: MappingProxyType(knobs) for name, knobs in self.knobs().items()}),
            before=before,
            after=AnalysisState(fair=fair_state, edges=edge_state, portfolio=portfolio_state),
            returns=returns,
            reused=reused,
        )

    def _value(
        self, market: MarketState, before: AnalysisState, house: Snapshot | None
    ) -> tuple[pd.DataFrame, FairState]:
        if house is not None and house.after.fair is not None:
            return house.fair, house.after.fair
        run = partial(self.fair_value.apply, market, before.fair)
        return self._memo("fair_value", (market, before.fair), run)

    def _find(
        self,
        market: MarketState,
        before: AnalysisState,
        fair: pd.DataFrame,
        fair_state: FairState,
        house: Snapshot | None,
    ) -> tuple[pd.DataFrame, EdgeState]:
        if house is not None and house.after.edges is not None:
            return house.edges, house.after.edges
        inputs = EdgeInputs(market=market, fair=fair, consensus=fair_state.consensus)
        return self._memo(
            "edge_finder", (market, fair, before.edges), partial(self.edge_finder.apply, inputs, before.edges)
        )

    def _memo(self, name: str, inputs: tuple[object, ...], compute: Callable[[], _T]) -> _T:
        """Return the last result of `name` if inputs (by identity) and knobs are the same, else a new one."""
        stages = [self.stages[name]] if name in self.stages else self.stages.values()
        knobs = tuple(stage.knob_key() for stage in stages)
        last = self._memos.get(name)
        if last is not None and last.knobs == knobs and all(map(is_, last.inputs, inputs)):
            return cast("_T", last.result)
        result = compute()
        self._memos[name] = _Memo(inputs=inputs, knobs=knobs, result=result)
        return result


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Memo:
    inputs: tuple[object, ...]
    knobs: Hashable
    result: object
