"""MarketState: the books, best prices, deltas and history of one moment, as analytics read them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.frames import BEST, DELTAS
from marketstream.market.quotes import QuoteState

BOOK_DTYPE = np.dtype(
    [
        ("bid", np.float64),
        ("ask", np.float64),
        ("bid_size", np.float64),
        ("ask_size", np.float64),
        ("ts_event", np.int64),
        ("ts_received", np.int64),
        ("seq", np.int64),
        ("weight", np.float32),
        ("provider", np.int16),
        ("state", np.int8),
    ],
    align=True,
)
"""The newest quote of one (instrument, venue); `weight` is its size weight in the reference mid."""

BEST_DTYPE = np.dtype(
    [
        ("best_bid", np.float64),
        ("best_ask", np.float64),
        ("mid", np.float64),
        ("spread", np.float64),
        ("bid_venue", np.int16),
        ("ask_venue", np.int16),
        ("n_live", np.int16),
        ("crossed", np.bool_),
    ],
    align=True,
)
"""Best bid and ask over fresh venues; a venue code of -1 is none."""

DELTA_DTYPE = np.dtype(
    [
        ("ref_mid", np.float64),
        ("change", np.float64),
        ("rel_change", np.float64),
        ("mean", np.float64),
        ("sd", np.float64),
        ("z_change", np.float64),
        ("rate", np.float64),
        ("age_ms", np.float64),
        ("instrument", np.int32),
    ],
    align=True,
)
"""Rolling deltas of one instrument that changed."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Reference mids sampled once a second.

    Attributes:
        times: (T,) int64, UTC ns, oldest first, one second apart.
        ref_mid: (K, T) float64; NaN where an instrument had no fresh venue.
    """

    times: np.ndarray
    ref_mid: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class MarketState:
    """One frozen moment of the market. Arrays are read-only copies; frames are made when first asked for.

    Attributes:
        sequence: Number of the cycle, rising by one.
        now: UTC ns of the cycle; ages are counted to here.
        catalog: Gives codes their names.
        book: (K, V) BOOK_DTYPE by instrument and venue code.
        best: (K,) BEST_DTYPE by instrument code.
        changed: (n,) DELTA_DTYPE, the instruments that got a quote in this cycle.
        history: Samples for time windows.
    """

    sequence: int
    now: int
    catalog: Catalog
    book: np.ndarray
    best: np.ndarray
    changed: np.ndarray
    history: History

    @property
    def shape(self) -> tuple[int, int]:
        """Return (instruments, venues) of this moment."""
        return self.book.shape[0], self.book.shape[1]

    @cached_property
    def age_ns(self) -> np.ndarray:
        """Return (K, V) ages of the quotes at `now`; where none ever came, the age is meaningless."""
        return self.now - self.book["ts_received"]

    @cached_property
    def state(self) -> np.ndarray:
        """Return (K, V) int8 quote states at `now`, with STALE told from LIVE by age."""
        state = self.book["state"].copy()
        stale = (state == QuoteState.LIVE) & (self.age_ns > self.catalog.stale_after_ns()[None, : self.shape[1]])
        state[stale] = QuoteState.STALE
        return state

    @cached_property
    def fresh(self) -> np.ndarray:
        """Return (K, V) booleans: LIVE and young enough to feed a price."""
        return np.asarray(self.state == QuoteState.LIVE)

    @cached_property
    def books(self) -> pd.DataFrame:
        """Return the `books` frame: one row per (instrument, venue) that ever quoted."""
        k, v = np.nonzero(self.book["state"] != QuoteState.NO_DATA)
        rows = self.book[k, v]
        venues = np.array([venue.id for venue in self.catalog.venues], dtype=object)
        providers = np.array(self.catalog.providers, dtype=object)
        names = np.array([state.name for state in QuoteState], dtype=object)
        index = pd.MultiIndex.from_arrays([self.catalog.index.take(k), venues[v]], names=["instrument", "venue"])
        return pd.DataFrame(
            {
                "bid": rows["bid"],
                "ask": rows["ask"],
                "bid_size": rows["bid_size"],
                "ask_size": rows["ask_size"],
                "state": pd.Series(names[self.state[k, v]], index=index, dtype=object),
                "age_ms": self.age_ns[k, v] / 1e6,
                "source": pd.Series(providers[rows["provider"]], index=index, dtype=object),
                "seq": rows["seq"],
            },
            index=index,
        )

    @cached_property
    def best_quotes(self) -> pd.DataFrame:
        """Return the `best` frame: one row per instrument."""
        venues = np.array([venue.id for venue in self.catalog.venues] + [""], dtype=object)
        index = self.catalog.index[: self.shape[0]]
        columns: dict[str, np.ndarray | pd.Series] = {name: self.best[name] for name in BEST_DTYPE.names or ()}
        for side in ("bid_venue", "ask_venue"):
            columns[side] = pd.Series(venues[self.best[side]], index=index, dtype=object)
        columns["n_live"] = self.best["n_live"].astype(np.int64)
        return pd.DataFrame({name: columns[name] for name in BEST.columns}, index=index)

    @cached_property
    def deltas(self) -> pd.DataFrame:
        """Return the `deltas` frame: one row per instrument that changed in this cycle."""
        return deltas_frame(self.changed, self.catalog)

    def returns(self, step_s: int = 30) -> pd.DataFrame:
        """Return the `returns` frame: log returns of the reference mid over whole steps of `step_s` seconds.

        Rows are sample times (UTC ns), columns instruments; NaN where either end had no fresh venue.
        """
        if step_s < 1:
            raise InvalidInputError(f"step_s must be >= 1 whole second, was {step_s}")
        # On whole multiples of the step since 1970, so that a row keeps its meaning as time goes on.
        keep = (self.history.times // 1_000_000_000) % step_s == 0
        times, mids = self.history.times[keep], self.history.ref_mid[:, keep]
        with np.errstate(invalid="ignore", divide="ignore"):
            log_returns = np.diff(np.log(mids), axis=1)
        return pd.DataFrame(
            log_returns.T, index=pd.Index(times[1:], name="ts"), columns=self.catalog.index[: self.shape[0]]
        )


def deltas_frame(changed: np.ndarray, catalog: Catalog) -> pd.DataFrame:
    """Return DELTA_DTYPE rows as the `deltas` frame."""
    values = np.empty((len(changed), 8))
    for i, name in enumerate(DELTA_COLUMNS):
        values[:, i] = changed[name]
    return pd.DataFrame(values, index=catalog.index.take(changed["instrument"]), columns=DELTA_COLUMNS)


DELTA_COLUMNS = list(DELTAS.columns)
