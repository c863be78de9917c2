"""Build a MarketState from plain prices, so that a test can say what every venue quotes in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Fees, Instrument, Kind, Market, Venue
from marketstream.market.quotes import QuoteState
from marketstream.market.state import BEST_DTYPE, BOOK_DTYPE, DELTA_DTYPE, History, MarketState

NOW = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


class Q(NamedTuple):
    """One quote: NaN for a side that does not exist, age in seconds, and the state it was received with."""

    bid: float = math.nan
    ask: float = math.nan
    age: float = 0.0
    state: QuoteState = QuoteState.LIVE
    bid_size: float = 100.0
    ask_size: float = 100.0


def make_catalog(
    assets: Sequence[str] = (),
    markets: Mapping[str, Sequence[str]] | None = None,
    venues: Sequence[str] = ("alpha", "beta", "gamma", "delta"),
    *,
    books: Sequence[str] = ("ace", "bet", "cup", "dot"),
    fees: Mapping[str, Fees] | None = None,
    tick: float = 0.01,
    settles_at: int | None = None,
    stale_after_s: float = 10.0,
) -> Catalog:
    """Return a catalogue of assets on `venues` and outcome markets on `books`; outcomes are `market:name`."""
    markets, fees = markets or {}, fees or {}
    catalog = Catalog()
    outcomes = {name: tuple(f"{name}:{outcome}" for outcome in found) for name, found in markets.items()}
    kinds = [(name, Kind.ASSET) for name in venues if assets] + [(name, Kind.OUTCOME) for name in books if markets]
    catalog.add(
        Listing(
            instruments=(
                *(Instrument(id=name, kind=Kind.ASSET, tick=tick) for name in assets),
                *(
                    Instrument(id=leg, kind=Kind.OUTCOME, tick=0.0001, market_id=name)
                    for name, legs in outcomes.items()
                    for leg in legs
                ),
            ),
            venues=tuple(
                Venue(
                    id=name,
                    name=name.title(),
                    code=name[:3].upper(),
                    kind=kind,
                    fees=fees.get(name, Fees()),
                    stale_after_s=stale_after_s,
                )
                for name, kind in kinds
            ),
            pairs=(),
            markets=tuple(
                Market(id=name, name=name, outcomes=legs, settles_at=settles_at) for name, legs in outcomes.items()
            ),
        )
    )
    catalog.add_provider("test")
    return catalog


def make_market(
    catalog: Catalog,
    quotes: Mapping[tuple[str, str], Q],
    *,
    now: int = NOW,
    sequence: int = 1,
    history: np.ndarray | None = None,
    size: tuple[int, int] | None = None,
) -> MarketState:
    """Return the moment in which these are the quotes of (instrument, venue); no other pair ever quoted.

    `history` is (K, T) reference mids, one a second up to `now`; without it there is none. `size` is (K, V)
    when the moment knows less than the catalogue does by now.
    """
    n, v = size or (catalog.n_instruments, catalog.n_venues)
    book = np.zeros((n, v), dtype=BOOK_DTYPE)
    book["bid"] = book["ask"] = np.nan
    book["state"] = QuoteState.NO_DATA
    for (instrument, venue), quote in quotes.items():
        row: Any = book[catalog.code(instrument), catalog.venue_code(venue)]
        row["bid"], row["ask"] = quote.bid, quote.ask
        row["bid_size"] = 0.0 if math.isnan(quote.bid) else quote.bid_size
        row["ask_size"] = 0.0 if math.isnan(quote.ask) else quote.ask_size
        row["ts_received"] = row["ts_event"] = now - round(quote.age * SECOND)
        row["state"] = quote.state
    if history is None:
        history = np.zeros((n, 0))
    steps = np.arange(history.shape[1] - 1, -1, -1, dtype=np.int64)
    book.setflags(write=False)
    return MarketState(
        sequence=sequence,
        now=now,
        catalog=catalog,
        book=book,
        best=np.zeros(n, dtype=BEST_DTYPE),
        changed=np.zeros(0, dtype=DELTA_DTYPE),
        history=History(times=now - steps * SECOND, ref_mid=history),
    )


def random_history(n: int, seconds: int = 900, *, seed: int = 0, factor: float = 0.6) -> np.ndarray:
    """Return (n, seconds) prices around 100 that share one factor, 60 % a year volatile."""
    rng = np.random.default_rng(seed)
    sd = 0.6 / math.sqrt(365.25 * 86400)
    common = rng.normal(0.0, sd, seconds)
    own = rng.normal(0.0, sd, (n, seconds))
    steps = factor * common + math.sqrt(1.0 - factor**2) * own
    return np.asarray(100.0 * np.exp(np.cumsum(steps, axis=1)))


def large_market(n_assets: int = 500, n_markets: int = 0, *, seed: int = 0, sequence: int = 1) -> MarketState:
    """Return a moment with four venues on everything, for tests of speed and of sums over many rows."""
    rng = np.random.default_rng(seed)
    catalog = make_catalog(
        [f"A{i:03d}-USD" for i in range(n_assets)],
        {f"M{i:03d}": ("home", "draw", "away") for i in range(n_markets)},
        fees={"ace": Fees(commission=0.02), "alpha": Fees(per_trade=0.0002)},
    )
    history = np.vstack([random_history(n_assets, seed=seed), np.full((3 * n_markets, 900), 0.35)])
    quotes: dict[tuple[str, str], Q] = {}
    for i, name in enumerate(catalog.index[:n_assets]):
        for venue in ("alpha", "beta", "gamma", "delta"):
            mid = history[i, -1] * (1.0 + rng.normal(0.0, 1e-4))
            half = mid * rng.uniform(5e-5, 3e-4)
            quotes[name, venue] = Q(mid - half, mid + half, float(rng.uniform(0.0, 4.0)))
    for market in catalog.markets:
        chance = rng.dirichlet([5.0, 3.0, 4.0])
        for venue in ("ace", "bet", "cup", "dot"):
            price = np.clip(chance * np.exp(rng.normal(0.0, 0.04, 3)) * 1.04, 0.02, 0.95)
            age = float(rng.uniform(0.0, 4.0))
            for leg, ask in zip(market.outcomes, price, strict=True):
                quotes[leg, venue] = Q(ask=float(ask), age=age)
    return make_market(catalog, quotes, history=history, sequence=sequence)
