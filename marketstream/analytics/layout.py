"""Layout: what the catalogue says, as arrays by code, so that no stage loops over instruments each time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketstream.market.catalog import Catalog
from marketstream.market.instruments import Kind
from marketstream.market.state import MarketState


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Layout:
    """The first K instruments and V venues of a catalogue, and every market that lies within them.

    Attributes:
        catalog: Where it comes from.
        n_markets: How many markets the catalogue had.
        index: Instrument ids in code order.
        venue_ids: (V,) object.
        is_outcome: (K,) bool.
        tick: (K,) smallest price step.
        per_trade: (V,) fees as a fraction of the price.
        commission: (V,) fraction of net winnings.
        legs: (M, n) instrument codes of the outcomes, -1 where a market has fewer than n.
        settles_at: (M,) UTC ns, 0 where unknown.
        market_of: (K,) row of the instrument's market in `legs`, -1 for none.
        slot_of: (K,) its column there.
    """

    catalog: Catalog
    n_markets: int
    index: pd.Index
    venue_ids: np.ndarray
    is_outcome: np.ndarray
    tick: np.ndarray
    per_trade: np.ndarray
    commission: np.ndarray
    legs: np.ndarray
    settles_at: np.ndarray
    market_of: np.ndarray
    slot_of: np.ndarray

    @classmethod
    def of(cls, market: MarketState, previous: Layout | None = None) -> Layout:
        """Return the layout of `market`; the previous one where the catalogue has not grown since."""
        if previous is not None and previous.fits(market):
            return previous
        return _layout(market.catalog, *market.shape)

    def fits(self, market: MarketState) -> bool:
        """Return whether this is still the layout of `market`."""
        same = self.catalog is market.catalog and self.n_markets == len(market.catalog.markets)
        return same and market.shape == (len(self.index), len(self.venue_ids))


def multi_index(**levels: tuple[Iterable[str], np.ndarray]) -> pd.MultiIndex:
    """Return an index made of codes into the names of each level, without looking at every name again.

    >>> multi_index(instrument=(["A", "B"], np.array([1, 0])), venue=(["x"], np.array([0, 0]))).tolist()
    [('B', 'x'), ('A', 'x')]
    """
    # The stubs know lists only; pandas takes arrays and indexes.
    names: list[Any] = [pd.Index(list(level), dtype=object) for level, _ in levels.values()]
    codes: list[Any] = [code for _, code in levels.values()]
    return pd.MultiIndex(levels=names, codes=codes, names=list(levels), verify_integrity=False)


def _layout(catalog: Catalog, n_instruments: int, n_venues: int) -> Layout:
    instruments = catalog.instruments[:n_instruments]
    venues = catalog.venues[:n_venues]
    codes = [(market, catalog.market_codes(market.id)) for market in catalog.markets]
    within = [(market, code) for market, code in codes if code.max() < n_instruments]
    width = max((len(code) for _, code in within), default=0)
    legs = np.full((len(within), width), -1, dtype=np.int64)
    market_of = np.full(n_instruments, -1, dtype=np.int64)
    slot_of = np.zeros(n_instruments, dtype=np.int64)
    for row, (_, code) in enumerate(within):
        legs[row, : len(code)] = code
        market_of[code] = row
        slot_of[code] = np.arange(len(code))
    return Layout(
        catalog=catalog,
        n_markets=len(codes),
        index=catalog.index[:n_instruments],
        venue_ids=np.array([venue.id for venue in venues], dtype=object),
        is_outcome=np.array([i.kind is Kind.OUTCOME for i in instruments], dtype=np.bool_),
        tick=np.array([i.tick for i in instruments], dtype=np.float64),
        per_trade=np.array([venue.fees.per_trade for venue in venues], dtype=np.float64),
        commission=np.array([venue.fees.commission for venue in venues], dtype=np.float64),
        legs=legs,
        settles_at=np.array([market.settles_at or 0 for market, _ in within], dtype=np.int64),
        market_of=market_of,
        slot_of=slot_of,
    )
