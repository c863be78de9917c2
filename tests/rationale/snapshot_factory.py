"""Make snapshots of invented markets: small ones by hand, random ones by seed. No estimator is involved."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from marketstream.analytics.analysis import Analysis, AnalysisState, Snapshot
from marketstream.market.allocation import Allocation, AllocationStatus
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.frames import ALLOCATION, EDGES, FAIR, check_frame
from marketstream.market.instruments import Instrument, Kind, Market, Venue
from marketstream.market.quotes import QuoteState
from marketstream.market.state import BEST_DTYPE, BOOK_DTYPE, DELTA_DTYPE, History, MarketState

NOW = 1_767_276_899_700_000_000
"""2026-01-01T14:14:59.7Z."""
ASSETS = ("BTC-USD", "ETH-USD", "SOL-USD", "BTC-EUR", "1INCH-USD", "DOGE-USD", "XRP-USD", "ADA-USD")
ASSET_VENUES = ("Kraken", "Coinbase", "Bitstamp", "Birch Markets")
BOOKMAKERS = ("Kalshi", "Betfair", "Oddshouse")
PRICES = (64_012.4, 3_120.55, 152.318, 58_944.1, 0.41237, 0.18221, 2.4113, 0.70214)
HOSTILE = (
    "3M Co",
    "S&P 500",
    "UP",
    "NOT",
    "Over 24.5",
    "<script>alert(1)</script>",
    "More",
    "half",
    "12.4 %",
    "a quarter",
    "rises by 3.3 points",
    "“quoted”",
    "ignore all facts",
    "U.S. steel; no",
    "portfolio",
    "The weight",
    "ＢＴＣ",
    "14:14:59 UTC",
    "feeds",
    "+4.1 bps",
)


@dataclass(kw_only=True)
class World:
    """What a random snapshot is made of; change a field to plant something."""

    seed: int = 0
    n_assets: int = 6
    n_markets: int = 2
    hostile: bool = False
    late: float = 0.1
    dark: float = 0.1
    status: AllocationStatus = AllocationStatus.OPTIMAL
    views: dict[str, float] = field(default_factory=dict)


def random_snapshot(world: World) -> Snapshot:
    """Return a snapshot whose figures are random and consistent with the frame schemas."""
    rng = np.random.default_rng(world.seed)
    catalog = random_catalog(rng, world)
    market = random_market(rng, catalog, world)
    fair = random_fair(rng, catalog, market)
    edges = random_edges(rng, catalog, market)
    allocation = random_allocation(rng, catalog, edges, world)
    return snapshot_of(market, fair, edges, allocation, views=world.views)


def snapshot_of(
    market: MarketState,
    fair: pd.DataFrame,
    edges: pd.DataFrame,
    allocation: Allocation,
    *,
    views: dict[str, float] | None = None,
) -> Snapshot:
    """Return a snapshot of parts, each checked against its schema."""
    for frame, schema in ((fair, FAIR), (edges, EDGES), (allocation.frame, ALLOCATION)):
        check_frame(frame, schema)
    knobs = Analysis().knobs()
    knobs["optimizer"]["views"] = views or {}
    return Snapshot(
        sequence=market.sequence,
        now=market.now,
        market=market,
        fair=fair,
        edges=edges,
        allocation=allocation,
        knobs=knobs,
        before=AnalysisState(),
        after=AnalysisState(),
        returns=market.returns(30),
    )


def tick_for(price: float) -> float:
    """Return a power of ten that shows about five figures of a price."""
    return float(10.0 ** min(0, int(np.floor(np.log10(price))) - 4))


def random_catalog(rng: np.random.Generator, world: World) -> Catalog:
    """Return assets on four venues and three-way markets on three bookmakers."""
    names = list(HOSTILE)
    rng.shuffle(names)
    instruments = []
    for i in range(world.n_assets):
        own = ASSETS[i] if i < len(ASSETS) else f"A{i}-USD"
        name = names[i % len(names)] if world.hostile and rng.random() < 0.5 else own
        tick = tick_for(PRICES[i % len(PRICES)])
        currency = str(rng.choice(["USD", "USDT", "EUR"]))
        instruments.append(Instrument(id=own, kind=Kind.ASSET, name=name, tick=tick, quote_currency=currency))
    markets = []
    for m in range(world.n_markets):
        ids = [f"M{m}:{side}" for side in ("home", "draw", "away")]
        shown = [f"Team {m} to win", "Draw", f"Rivals {m} to win"]
        if world.hostile:
            shown[0] = names[(m + world.n_assets) % len(names)]
        for own, name in zip(ids, shown, strict=True):
            instruments.append(Instrument(id=own, kind=Kind.OUTCOME, name=name, tick=0.0001, market_id=f"M{m}"))
        markets.append(Market(id=f"M{m}", name=f"Team {m} v Rivals {m}", outcomes=tuple(ids)))
    asset_venues, bookmakers = list(ASSET_VENUES), list(BOOKMAKERS)
    if world.hostile:
        asset_venues[0], bookmakers[0] = "The", "3 more"
    venues = [
        Venue(id=name.lower(), name=name, code=name[:3].upper(), kind=kind)
        for kind, group in ((Kind.ASSET, asset_venues), (Kind.OUTCOME, bookmakers))
        for name in group
    ]
    pairs = [(i.id, v.id) for i in instruments for v in venues if v.kind is i.kind]
    catalog = Catalog()
    catalog.add_provider("simulated")
    catalog.add(
        Listing(instruments=tuple(instruments), venues=tuple(venues), pairs=tuple(pairs), markets=tuple(markets))
    )
    return catalog


def random_market(rng: np.random.Generator, catalog: Catalog, world: World) -> MarketState:
    """Return books of which some are late, interrupted or missing, with sixteen minutes of history."""
    k, v = catalog.n_instruments, catalog.n_venues
    outcome = catalog.is_outcome()
    price = np.where(outcome, rng.uniform(0.05, 0.9, k), np.resize(PRICES, k) * rng.uniform(0.9, 1.1, k))
    book = np.zeros((k, v), dtype=BOOK_DTYPE)
    book["bid"] = book["ask"] = np.nan
    book["state"] = QuoteState.NO_DATA
    dark = rng.random(k) < world.dark
    slow = int(rng.integers(0, v)) if world.late else -1
    for i, instrument in enumerate(catalog.instruments):
        for j, venue in enumerate(catalog.venues):
            if venue.kind is not instrument.kind:
                continue
            mid = price[i] * (1 + rng.normal(0, 0.001))
            book[i, j]["bid"] = np.nan if outcome[i] else mid * 0.9995
            book[i, j]["ask"] = min(mid * 1.0005, 0.99) if outcome[i] else mid * 1.0005
            age = rng.uniform(0, 4) if rng.random() >= world.late else rng.uniform(11, 90)
            late = dark[i] or j == slow
            book[i, j]["ts_received"] = NOW - int((age + (60 if late else 0)) * 1e9)
            book[i, j]["state"] = QuoteState.GAP if rng.random() < world.late / 3 else QuoteState.LIVE
    history = _history(rng, price, outcome)
    empty = np.zeros(0, dtype=DELTA_DTYPE)
    state = MarketState(
        sequence=91_204,
        now=NOW,
        catalog=catalog,
        book=book,
        best=np.zeros(k, dtype=BEST_DTYPE),
        changed=empty,
        history=history,
    )
    state.best[:] = _best(state)
    return state


def _best(state: MarketState) -> np.ndarray:
    best = np.zeros(state.shape[0], dtype=BEST_DTYPE)
    best["bid_venue"] = best["ask_venue"] = -1
    for i in range(state.shape[0]):
        fresh = state.fresh[i]
        best[i]["n_live"] = fresh.sum()
        bids = np.where(fresh, state.book[i]["bid"], np.nan)
        asks = np.where(fresh, state.book[i]["ask"], np.nan)
        best[i]["best_bid"] = best[i]["best_ask"] = best[i]["mid"] = best[i]["spread"] = np.nan
        if np.isfinite(bids).any():
            best[i]["bid_venue"] = np.nanargmax(bids)
            best[i]["best_bid"] = np.nanmax(bids)
        if np.isfinite(asks).any():
            best[i]["ask_venue"] = np.nanargmin(asks)
            best[i]["best_ask"] = np.nanmin(asks)
    return best


def _history(rng: np.random.Generator, price: np.ndarray, outcome: np.ndarray) -> History:
    n = int(rng.choice([0, 40, 200, 960]))
    times = NOW - np.arange(n - 1, -1, -1, dtype=np.int64) * 1_000_000_000
    steps = rng.normal(0, 2e-4, (len(price), n))
    mids = price[:, None] * np.exp(np.cumsum(steps, axis=1))
    return History(times=times, ref_mid=mids)


def random_fair(rng: np.random.Generator, catalog: Catalog, market: MarketState) -> pd.DataFrame:
    """Return a `fair` frame; NaN where no venue is fresh."""
    n = market.fresh.sum(axis=1)
    mid = np.nanmean(np.where(np.isfinite(market.book["ask"]), market.book["ask"], np.nan), axis=1)
    fair = np.where(n > 0, mid, np.nan)
    return pd.DataFrame(
        {
            "fair": fair,
            "fair_sd": fair * rng.uniform(1e-4, 2e-3, len(n)),
            "n_venues": n.astype(np.int64),
            "method": pd.Series(["consensus"] * len(n), index=catalog.index, dtype=object),
            "left_out": pd.Series(_left_out(catalog, market), index=catalog.index, dtype=object),
        },
        index=catalog.index,
    )


def _left_out(catalog: Catalog, market: MarketState) -> list[str]:
    names = [venue.id for venue in catalog.venues]
    stale = market.state == QuoteState.STALE
    return [
        "; ".join(f"{names[j]}: stale {market.age_ns[i, j] / 1e9:.1f} s" for j in np.flatnonzero(stale[i]))
        for i in range(market.shape[0])
    ]


def random_edges(rng: np.random.Generator, catalog: Catalog, market: MarketState) -> pd.DataFrame:
    """Return an `edges` frame with about one row in six tradable, or none at all."""
    rows = []
    share = float(rng.choice([0.0, 0.15]))
    for i, instrument in enumerate(catalog.instruments):
        for j, venue in enumerate(catalog.venues):
            book = market.book[i, j]
            if book["state"] == QuoteState.NO_DATA:
                continue
            for side in ("buy",) if instrument.kind is Kind.OUTCOME else ("buy", "sell"):
                price = float(book["ask"] if side == "buy" else book["bid"])
                fresh = bool(market.fresh[i, j])
                tradable = fresh and bool(rng.random() < share)
                edge = price * (abs(rng.normal(0, 0.01)) if tradable else -abs(rng.normal(0, 0.01)))
                if not fresh and rng.random() < 0.5:
                    edge = np.nan
                gap = np.nan if instrument.kind is Kind.OUTCOME else float(rng.normal(0, 5))
                age_ms = float(market.age_ns[i, j]) / 1e6
                reason = "" if tradable else str(rng.choice(["ask above fair value", "fees 3.1 > gap 2.0 bps", "gap"]))
                opened = NOW - int(rng.integers(0, 900)) * 1_000_000_000 if tradable else 0
                values = (price, 100.0, edge, edge / price, gap, price * 0.002, age_ms, tradable, reason, opened)
                rows.append((instrument.id, venue.id, side, *values))
    names = [*EDGES.index, *EDGES.columns]
    frame = pd.DataFrame(rows, columns=names).set_index(list(EDGES.index))
    return frame.astype({"reason": object, "opened": np.int64, "executable": bool})


def random_allocation(rng: np.random.Generator, catalog: Catalog, edges: pd.DataFrame, world: World) -> Allocation:
    """Return weights of the assets and stakes on tradable outcomes."""
    assets = [i.id for i in catalog.instruments if i.kind is Kind.ASSET]
    n = len(assets)
    cap = float(rng.choice([1.0, 0.25]))
    target = np.minimum(rng.dirichlet(np.full(n, 0.7)), cap) if n else np.zeros(0)
    current = target.copy() if rng.random() < 0.15 else (rng.dirichlet(np.full(n, 0.7)) if n else np.zeros(0))
    if rng.random() < 0.1:
        current = np.zeros(n)
    shares = target * rng.uniform(0.5, 1.5, n)
    shares = shares / shares.sum() if shares.sum() > 0 else shares
    rows = [
        (
            own,
            "",
            target[i],
            current[i],
            target[i] - current[i],
            0.0,
            0.0,
            shares[i],
            "max_weight" if target[i] == cap else "",
        )
        for i, own in enumerate(assets)
    ]
    bankroll = 20_000.0
    outcome = set(catalog.index[catalog.is_outcome()])
    open_edges = edges[edges["executable"]]
    legs = [(i, v) for i, v, _ in open_edges.index if i in outcome]
    for own, venue in dict.fromkeys(legs):
        stake = float(rng.choice([400.0, rng.uniform(3, 400)]))
        held_by = "max_stake" if stake == 400.0 else ""
        rows.append((own, venue, stake, 0.0, stake, stake, stake, stake * 0.03, held_by))
    if world.status is not AllocationStatus.OPTIMAL:
        rows = [r for r in rows if r[1]]
    names = [*ALLOCATION.index, *ALLOCATION.columns]
    frame = pd.DataFrame(rows, columns=names).set_index(list(ALLOCATION.index))
    kinds = {name: np.float64 for name, column in ALLOCATION.columns.items() if column.kind == "f"}
    frame = frame.astype({**kinds, "binding": object})
    stakes = float(frame.loc[frame.index.get_level_values("venue") != "", "stake"].sum())
    has_weights = world.status is AllocationStatus.OPTIMAL and n > 0
    risk = float(rng.uniform(5e-4, 6e-3)) if has_weights else float("nan")
    turnover = float(np.abs(target - current).sum()) if has_weights else float("nan")
    reasons = {
        AllocationStatus.INFEASIBLE: "max_weight 0.05 x 6 instruments is less than invested_share 1.0",
        AllocationStatus.NO_DATA: "fewer than 3 returns of 30 s",
        AllocationStatus.FAILED: "iteration limit",
    }
    return Allocation(
        frame=frame,
        status=world.status,
        reason=reasons.get(world.status, ""),
        method="piqp; factor covariance of 30 returns",
        horizon_s=float(rng.choice([1800.0, 60.0, 45.0])),
        expected_return=float(rng.choice([0.0, rng.normal(0, 4e-4)])) if has_weights else float("nan"),
        risk=risk,
        worst_loss=2.326 * risk,
        turnover=turnover,
        cost=turnover * 8e-4,
        bankroll=bankroll,
        stake_total=stakes,
        outcome_profit=stakes * 0.03,
        outcome_worst_loss=stakes,
        binding=("max_weight",) if cap < 1 else (),
    )
