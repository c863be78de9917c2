"""EdgeFinder: what every quote would earn against the other venues' fair value, after fees; since when."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from marketstream.analytics.edge_words import edge_reasons, far_off
from marketstream.analytics.layout import Layout
from marketstream.analytics.lifetimes import Lifetimes
from marketstream.analytics.stage import Knob, Stage
from marketstream.analytics.terms import Rows, Terms, rows_of, terms_of
from marketstream.analytics.valuation import Consensus
from marketstream.market.state import MarketState


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EdgeInputs:
    """One moment, its `fair` frame, and the consensus arrays behind that frame."""

    market: MarketState
    fair: pd.DataFrame
    consensus: Consensus


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Legs:
    """The outcome prices that can be bought now, one row each; what the optimizer may stake on.

    Attributes:
        instrument: Instrument codes.
        venue: Venue codes.
        price: Ask, a probability.
        size: Contracts at that price.
        probability: Of the outcome, as the other venues see it.
        gain: Profit per contract if it wins, after commission and fees.
        cost: Money put in per contract, fees included; lost if it does not win.
    """

    instrument: np.ndarray
    venue: np.ndarray
    price: np.ndarray
    size: np.ndarray
    probability: np.ndarray
    gain: np.ndarray
    cost: np.ndarray

    def take(self, rows: np.ndarray) -> Legs:
        """Return some of the legs."""
        return Legs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EdgeState:
    """What EdgeFinder remembers: the rows of its frame, the lifetimes of its edges, the legs to stake on."""

    layout: Layout
    rows: Rows
    lifetimes: Lifetimes
    legs: Legs


class EdgeFinder(Stage):
    """What is worth trading, at whose price, and why the rest is not.

    A price is judged by the fair value that the other venues make, never by one that it is part of. For
    assets the edge is the distance to that value less fees. For outcomes with commission c it is, when
    bought at ask a, p(1-a)(1-c) - (1-p)a; when laid at bid b, (1-p)b(1-c) - p(1-b); less fees per trade.
    """

    min_edge_se = Knob(
        default=1.0,
        bounds=(0.0, 10.0),
        softbounds=(0.0, 5.0),
        step=0.1,
        label="Least edge",
        doc="An edge below this many standard errors is not called tradable.",
        metadata={"unit": "se"},
    )
    max_leg_age_s = Knob(
        default=5.0,
        bounds=(0.1, 300.0),
        softbounds=(0.5, 60.0),
        step=0.1,
        label="Oldest leg allowed",
        doc="An edge that rests on a quote older than this is not called tradable.",
        metadata={"unit": "s"},
    )
    extra_fee_bps = Knob(
        default=0.0,
        bounds=(0.0, 500.0),
        softbounds=(0.0, 50.0),
        step=0.5,
        label="Extra fee",
        doc="Cost per trade on top of the venue's own fees, in bps of the price paid.",
        metadata={"unit": "bps"},
    )

    def apply(self, inputs: EdgeInputs, state: EdgeState | None) -> tuple[pd.DataFrame, EdgeState]:
        """Return the `edges` frame of a moment, a row per instrument, venue and side, and the next state."""
        market = inputs.market
        layout = Layout.of(market, None if state is None else state.layout)
        rows = rows_of(market, layout, None if state is None else state.rows)
        consensus = inputs.consensus
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            terms = terms_of(market, consensus, layout, rows, self.extra_fee_bps / 1e4)
            known = consensus.usable[rows.instrument, rows.venue] & np.isfinite(terms.edge)
            known &= terms.age_s <= self.max_leg_age_s
            worth = (terms.edge > 0.0) & (terms.edge >= self.min_edge_se * terms.se) & (terms.size > 0.0)
            executable = known & worth & ~far_off(rows, terms)
            reason = edge_reasons(
                market, rows, terms, executable, consensus.usable, self.min_edge_se, self.max_leg_age_s
            )
        before = Lifetimes() if state is None else state.lifetimes
        lifetimes = before.advance(market.now, rows, terms.edge, executable, known)
        frame = _frame(rows, terms, executable, reason, lifetimes)
        legs = _legs(rows, terms, executable)
        return frame, EdgeState(layout=layout, rows=rows, lifetimes=lifetimes, legs=legs)


def _frame(rows: Rows, terms: Terms, executable: np.ndarray, reason: np.ndarray, lifetimes: Lifetimes) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "price": terms.price,
            "size": terms.size,
            "edge": terms.edge,
            "roi": np.divide(terms.edge, terms.locked, out=np.full_like(terms.edge, np.nan), where=terms.locked > 0),
            "gap_bps": terms.gap_bps,
            "se": terms.se,
            "age_oldest_leg_ms": terms.age_s * 1e3,
            "executable": executable,
            "reason": pd.Series(reason, index=rows.index, dtype=object),
            "opened": lifetimes.opened_at(rows),
        },
        index=rows.index,
        copy=False,
    )


def _legs(rows: Rows, terms: Terms, executable: np.ndarray) -> Legs:
    at = np.flatnonzero(executable & rows.is_outcome & ~rows.is_bid)
    return Legs(
        instrument=rows.instrument[at],
        venue=rows.venue[at],
        price=terms.price[at],
        size=terms.size[at],
        probability=terms.fair[at],
        gain=terms.won[at] - terms.fee[at],
        cost=terms.locked[at] + terms.fee[at],
    )
