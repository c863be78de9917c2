"""The figures of the Edges page as arrays: ranked rows, venue against venue, and books that cross. No panel here."""

from __future__ import annotations

import numpy as np

from marketstream.analytics.analysis import Snapshot
from marketstream.dashboard.formats import duration
from marketstream.dashboard.views.market_rows import state_dot
from marketstream.market.instruments import Kind

SHOWN = 40
SIDES = {"buy": "▲ buy", "sell": "▽ sell", "lay": "▽ lay"}


def ranked(snapshot: Snapshot, *, only_tradable: bool) -> np.ndarray:
    """Return row numbers of the edges frame, best first.

    Tradable edges come first, by edge times size; the rest by edge ÷ standard error. A row without a figure
    for its edge is left out unless it is the only one of a market that has something to say.
    """
    frame = snapshot.edges
    edge, size = frame["edge"].to_numpy(), frame["size"].to_numpy()
    tradable = frame["executable"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = edge / frame["se"].to_numpy()
    known = np.flatnonzero((tradable if only_tradable else np.isfinite(ratio)) & np.isfinite(ratio))
    order = np.lexsort((-ratio[known], np.where(tradable[known], -edge[known] * size[known], np.inf)))
    return np.asarray(known[order][:SHOWN])


def edge_rows(snapshot: Snapshot, rows: np.ndarray, min_edge_se: float) -> dict[str, np.ndarray]:
    """Return the columns of the table by name, one element per ranked row."""
    market, found = snapshot.market, snapshot.after.edges
    if found is None:
        return {}
    frame = snapshot.edges.take(rows)
    instrument, venue = found.rows.instrument[rows], found.rows.venue[rows]
    instruments, venues = market.catalog.instruments, market.catalog.venues
    decimals = np.array([instruments[i].decimals for i in instrument], dtype=np.int64)
    age_s = frame["age_oldest_leg_ms"].to_numpy() / 1e3
    own_age_s = market.age_ns[instrument, venue] / 1e9
    dots = [state_dot(int(s), float(a)) for s, a in zip(market.state[instrument, venue], own_age_s, strict=True)]
    edge, se = frame["edge"].to_numpy(), frame["se"].to_numpy()
    opened, size = frame["opened"].to_numpy(), frame["size"].to_numpy()
    sides = frame.index.get_level_values("side")
    n = len(rows)
    return {
        "rank": np.arange(1, n + 1),
        "dot": _words(d[0] for d in dots),
        "state_words": _words(d[1] for d in dots),
        "id": _words(instruments[i].id for i in instrument),
        "name": _words(_full_name(snapshot, int(i)) for i in instrument),
        "venue": _words(venues[v].code for v in venue),
        "venue_name": _words(venues[v].name for v in venue),
        "side": _words(SIDES.get(side, side) for side in sides),
        "price": frame["price"].to_numpy(),
        "edge": edge,
        "roi": np.round(frame["roi"].to_numpy() * 100, 3),
        "gap": np.round(frame["gap_bps"].to_numpy(), 1),
        "ratio": np.round(edge / se, 1),
        "limit": np.full(n, min_edge_se),
        "size": size,
        "size_dp": np.where(size >= 100, 0, 3),
        "age": np.round(age_s, 1),
        "open_for": _words(duration((snapshot.now - int(o)) / 1e9) if o else "–" for o in opened),
        "tradable": frame["executable"].to_numpy(),
        "reason": frame["reason"].to_numpy(dtype=object),
        "dp": decimals,
        "dim": ~frame["executable"].to_numpy(),
    }


def edge_ratios(snapshot: Snapshot, kind: Kind | None) -> np.ndarray:
    """Return edge ÷ standard error of every priced quote, of one kind or of both."""
    frame, found = snapshot.edges, snapshot.after.edges
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = frame["edge"].to_numpy() / frame["se"].to_numpy()
    if kind is not None and found is not None:
        ratio = ratio[found.rows.is_outcome == (kind is Kind.OUTCOME)]
    return np.asarray(ratio[np.isfinite(ratio)])


def crossing(snapshot: Snapshot, code: int) -> tuple[np.ndarray, np.ndarray]:
    """Return venue codes, and bid of row ÷ ask of column - 1 in bps before fees; NaN where a side is missing."""
    market = snapshot.market
    venues = np.flatnonzero(market.fresh[code])
    book = market.book[code, venues]
    with np.errstate(invalid="ignore", divide="ignore"):
        table = (book["bid"][:, None] / book["ask"][None, :] - 1) * 1e4
    np.fill_diagonal(table, np.nan)
    return venues, table


def crossed_assets(snapshot: Snapshot) -> list[tuple[str, str, float, float]]:
    """Return (instrument, legs, size, profit %) of crossed assets after both venues' fees, best first."""
    market = snapshot.market
    found = []
    for code in np.flatnonzero(market.best["crossed"]).tolist():
        instrument, best = market.catalog.instruments[code], market.best[code]
        if instrument.kind is not Kind.ASSET:
            continue
        buy, sell = (market.catalog.venues[int(best[s])] for s in ("ask_venue", "bid_venue"))
        ask, bid = float(best["best_ask"]), float(best["best_bid"])
        profit = bid * (1 - sell.fees.per_trade) / (ask * (1 + buy.fees.per_trade)) - 1
        size = min(
            float(market.book["ask_size"][code, int(best["ask_venue"])]),
            float(market.book["bid_size"][code, int(best["bid_venue"])]),
        )
        found.append((instrument.name, f"buy {buy.code} · sell {sell.code}", size * ask, profit * 100))
    return sorted(found, key=lambda row: -row[3])


def sure_bets(snapshot: Snapshot) -> list[tuple[str, str, float, float]]:
    """Return (market, legs, locked per 1 paid, profit %) of markets whose best asks sum below 1 after commission.

    The commission is taken on the net winnings of the winning leg; the profit is that of the worst outcome
    when each leg pays the same.
    """
    market = snapshot.market
    found = []
    for group in market.catalog.markets:
        codes = market.catalog.market_codes(group.id)
        if codes.max(initial=0) >= market.shape[0]:
            continue
        best = market.best[codes]
        if (best["ask_venue"] < 0).any():
            continue
        asks = best["best_ask"]
        venues = [market.catalog.venues[int(v)] for v in best["ask_venue"]]
        # A contract at ask a pays 1 less commission on its win of 1 - a: equal pay needs 1/pay contracts of each.
        pays = np.array([1 - (1 - a) * v.fees.commission for a, v in zip(asks, venues, strict=True)])
        costs = asks * (1 + np.array([v.fees.per_trade for v in venues])) / pays
        total = float(costs.sum())
        if total < 1:
            legs = " · ".join(f"{a:.4f} {v.code}" for a, v in zip(asks, venues, strict=True))
            found.append((group.name, legs, total, (1 / total - 1) * 100))
    return sorted(found, key=lambda row: -row[3])


def _full_name(snapshot: Snapshot, code: int) -> str:
    instrument = snapshot.market.catalog.instruments[code]
    if instrument.market_id is None:
        return instrument.name
    return f"{snapshot.market.catalog.market(instrument.market_id).name} · {instrument.name}"


def _words(values: object) -> np.ndarray:
    return np.array(list(values), dtype=object)  # type: ignore[call-overload]  # any iterable of str
