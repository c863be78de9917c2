"""FairValue: the consensus price of everything, from fresh venues only. The pooling is in consensus.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marketstream.analytics.consensus import Opinions, Pool, pool
from marketstream.analytics.layout import Layout
from marketstream.analytics.opinions import Evidence, asset_opinions, outcome_opinions
from marketstream.analytics.stage import Knob, Stage, WholeKnob
from marketstream.analytics.words import Reasons, left_out, sentence
from marketstream.market.state import MarketState

METHODS = (
    "none",
    "weighted mid",
    "single source",
    "one side only",
    "devigged pool",
    "devigged, single source",
)
"""How a fair value is made; `none` where there is none."""

_NONE, _MID, _SINGLE, _ONE_SIDE, _DEVIG, _DEVIG_SINGLE = range(6)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Consensus:
    """The fair values as arrays by code, with what each venue is judged against.

    Attributes:
        fair: (K,) consensus price, NaN where there is none.
        sd: (K,) its standard deviation.
        n_venues: (K,) venues used.
        method: (K,) row of METHODS.
        usable: (K, V) quotes that are LIVE and young enough.
        used: (K, V) venues that feed the consensus.
        without: (K, V) the consensus that the other venues make.
        without_sd: (K, V) its standard deviation.
        without_age_s: (K, V) age of the oldest quote in it.
    """

    fair: np.ndarray
    sd: np.ndarray
    n_venues: np.ndarray
    method: np.ndarray
    usable: np.ndarray
    used: np.ndarray
    without: np.ndarray
    without_sd: np.ndarray
    without_age_s: np.ndarray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FairState:
    """What FairValue hands on: the catalogue as arrays, the consensus behind the frame, and who is not in it why."""

    layout: Layout
    consensus: Consensus
    left_out: tuple[Reasons, ...]


class FairValue(Stage):
    """The price that fresh venues agree on.

    Assets: the mean of the venues' mids, weighted by spread, size and recency, without outliers. Outcomes:
    whole markets at once; each venue that quotes every outcome is devigged, the probabilities are pooled in
    log-odds and normalised, so that they sum to 1. The standard deviation includes what venues have in
    common.
    """

    half_life_s = Knob(
        default=8.0,
        bounds=(0.5, 120.0),
        softbounds=(1.0, 60.0),
        step=0.5,
        label="Recency half-life",
        doc="A quote this old has half the weight of one that came now.",
        metadata={"unit": "s"},
    )
    outlier_sd = Knob(
        default=4.0,
        bounds=(1.5, 20.0),
        softbounds=(2.0, 10.0),
        step=0.1,
        label="Outlier limit",
        doc="With three or more venues, one further than this from their median is left out; robust sd.",
        metadata={"unit": "sd"},
    )
    stale_after_s = Knob(
        default=10.0,
        bounds=(0.5, 300.0),
        softbounds=(1.0, 60.0),
        step=0.5,
        label="Stale after",
        doc="A quote older than this feeds no fair value; a venue's own limit may be shorter.",
        metadata={"unit": "s"},
    )
    min_venues = WholeKnob(
        default=1,
        bounds=(1, 8),
        step=1,
        label="Venues needed",
        doc="With fewer venues than this there is no fair value.",
        metadata={"unit": "venues"},
    )
    single_source_band_bps = Knob(
        default=25.0,
        bounds=(0.0, 1000.0),
        softbounds=(0.0, 200.0),
        step=1.0,
        label="Single-source band",
        doc="Standard deviation added when one venue is left: bps of an asset's price, or of probability 1.",
        metadata={"unit": "bps"},
    )

    def apply(self, inputs: MarketState, state: FairState | None) -> tuple[pd.DataFrame, FairState]:
        """Return the `fair` frame of a moment, one row per instrument, and the arrays behind it."""
        layout = Layout.of(inputs, None if state is None else state.layout)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            evidence = self._evidence(inputs, layout)
            judged = _judge(evidence, self.outlier_sd)
            consensus = _consensus(evidence, judged, int(self.min_venues))
            distance = _distances(inputs.shape, judged)
        reasons = left_out(evidence, consensus.used, consensus.fair, distance, int(self.min_venues))
        return _frame(layout, consensus, reasons), FairState(layout=layout, consensus=consensus, left_out=reasons)

    def _evidence(self, market: MarketState, layout: Layout) -> Evidence:
        age_s = np.maximum(market.age_ns, 0) / 1e9
        some_side = np.isfinite(market.book["bid"]) | np.isfinite(market.book["ask"])
        return Evidence(
            market=market,
            layout=layout,
            usable=market.fresh & (age_s <= self.stale_after_s) & some_side,
            age_s=age_s,
            half_life_s=self.half_life_s,
            band=self.single_source_band_bps / 1e4,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """The pool of one kind, and the instrument codes (M, n) that it speaks of."""

    codes: np.ndarray
    opinions: Opinions
    pool: Pool


def _judge(evidence: Evidence, outlier_sd: float) -> tuple[_Judged, _Judged]:
    layout = evidence.layout
    rows = np.flatnonzero(~layout.is_outcome)
    assets, markets = asset_opinions(evidence, rows), outcome_opinions(evidence)
    return (
        _Judged(rows[:, None], assets, pool(assets, outlier_sd)),
        _Judged(layout.legs, markets, _as_probabilities(pool(markets, outlier_sd), markets.is_leg)),
    )


def _consensus(evidence: Evidence, judged: tuple[_Judged, ...], min_venues: int) -> Consensus:
    shape = evidence.market.shape
    consensus = Consensus(
        fair=np.full(shape[0], np.nan),
        sd=np.full(shape[0], np.nan),
        n_venues=np.zeros(shape[0], dtype=np.int64),
        method=np.full(shape[0], _NONE),
        usable=evidence.usable,
        used=np.zeros(shape, dtype=np.bool_),
        without=np.full(shape, np.nan),
        without_sd=np.full(shape, np.nan),
        without_age_s=np.full(shape, np.nan),
    )
    for one in judged:
        _enter(consensus, one, min_venues)
    _name_methods(consensus, evidence)
    return consensus


def _as_probabilities(pooled: Pool, is_leg: np.ndarray) -> Pool:
    """Return the pool with log-odds turned into probabilities that sum to 1 over each market."""
    raw = 1.0 / (1.0 + np.exp(-pooled.centre))
    total = np.where(is_leg, raw, 0.0).sum(axis=-1, keepdims=True)
    probability = raw / total
    return replace(pooled, centre=probability, sd=probability * (1.0 - probability) * pooled.sd)


def _enter(consensus: Consensus, judged: _Judged, min_venues: int) -> None:
    """Write one kind's pool into the arrays by instrument code."""
    is_leg, codes = judged.opinions.is_leg, judged.codes[judged.opinions.is_leg]
    if not len(codes):
        return
    row = np.nonzero(is_leg)[0]
    n = judged.pool.keep.sum(axis=-1)
    enough = (n >= min_venues)[:, :, None]
    centre = np.where(enough, judged.pool.centre, np.nan)[:, is_leg]
    sd = np.where(enough, judged.pool.sd, np.nan)[:, is_leg]
    consensus.fair[codes], consensus.sd[codes] = centre[0], sd[0]
    consensus.n_venues[codes] = n[0, row]
    consensus.used[codes] = judged.pool.keep[0, row]
    consensus.without[codes], consensus.without_sd[codes] = centre[1:].T, sd[1:].T
    consensus.without_age_s[codes] = judged.pool.oldest_s[1:, row].T


def _name_methods(consensus: Consensus, evidence: Evidence) -> None:
    book, outcome = evidence.market.book, evidence.layout.is_outcome
    both = (consensus.used & np.isfinite(book["bid"]) & np.isfinite(book["ask"])).any(axis=1)
    single = consensus.n_venues == 1
    asset_method = np.where(~both, _ONE_SIDE, np.where(single, _SINGLE, _MID))
    method = np.where(outcome, np.where(single, _DEVIG_SINGLE, _DEVIG), asset_method)
    consensus.method[:] = np.where(np.isfinite(consensus.fair), method, _NONE)


def _distances(shape: tuple[int, int], judged: tuple[_Judged, ...]) -> np.ndarray:
    distance = np.zeros(shape)
    for one in judged:
        is_leg = one.opinions.is_leg
        distance[one.codes[is_leg]] = one.pool.distance[np.nonzero(is_leg)[0]]
    return distance


def _frame(layout: Layout, consensus: Consensus, reasons: tuple[Reasons, ...]) -> pd.DataFrame:
    methods = np.array(METHODS, dtype=object)
    sentences = [sentence(each) for each in reasons]
    return pd.DataFrame(
        {
            "fair": consensus.fair,
            "fair_sd": consensus.sd,
            "n_venues": consensus.n_venues,
            "method": pd.Series(methods[consensus.method], index=layout.index, dtype=object),
            "left_out": pd.Series(sentences, index=layout.index, dtype=object),
        },
        index=layout.index,
        copy=False,
    )
