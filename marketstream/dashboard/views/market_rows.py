"""The figures of the Markets table, as arrays by instrument code. No panel here: arrays in, arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np

from marketstream.analytics.analysis import Snapshot
from marketstream.market.instruments import Kind
from marketstream.market.quotes import QuoteState
from marketstream.market.state import MarketState

LATE_S = 3.0
ASSETS = "Assets, prices in quote currency"
OUTCOMES = "Outcomes, probability-prices 0 to 1"

_DOTS = {
    QuoteState.LIVE: ("live", "live"),
    QuoteState.STALE: ("stale", "stale: no fresh source"),
    QuoteState.GAP: ("gap", "gap: no fresh source"),
    QuoteState.RESYNCING: ("gap", "resyncing: no fresh source"),
    QuoteState.CROSSED: ("gap", "crossed quote refused: no fresh source"),
    QuoteState.SUSPENDED: ("off", "suspended"),
    QuoteState.CLOSED: ("off", "closed"),
    QuoteState.NO_DATA: ("stale", "no data yet"),
}


def state_dot(state: int, age_s: float) -> tuple[str, str]:
    """Return the shape of a quote's dot and its name in words; a live quote is late from 3 s."""
    if state == QuoteState.LIVE and age_s >= LATE_S:
        return "late", "live but late"
    return _DOTS[QuoteState(state)]


def market_rows(snapshot: Snapshot, z_change: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of the table by name, one element per instrument in code order."""
    market = snapshot.market
    k = market.shape[0]
    instruments = market.catalog.instruments[:k]
    decimals = np.array([i.decimals for i in instruments], dtype=np.int64)
    fair = snapshot.fair["fair"].to_numpy()[:k]
    fair_sd = snapshot.fair["fair_sd"].to_numpy()[:k]
    dots, words, ages, quoted = _states(market)
    asset = np.array([i.kind is Kind.ASSET for i in instruments], dtype=np.bool_)
    mid = market.best["mid"]
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.where(asset, (mid / fair - 1) * 1e4, np.nan)
    codes = np.array([v.code for v in market.catalog.venues] + [""], dtype=object)
    return {
        "id": np.array([i.id for i in instruments], dtype=object),
        "kind": np.where(asset, ASSETS, OUTCOMES).astype(object),
        "dot": dots,
        "state_words": words,
        "name": np.array([i.name for i in instruments], dtype=object),
        "bid": _rounded(market.best["best_bid"], decimals),
        "bid_venue": codes[market.best["bid_venue"]],
        "ask": _rounded(market.best["best_ask"], decimals),
        "ask_venue": codes[market.best["ask_venue"]],
        "fair": _rounded(fair, decimals),
        "sd": fair_sd,
        "sd_dp": sd_decimals(decimals, fair_sd),
        "gap": np.round(gap, 1),
        "z": np.round(_padded(z_change, k), 1),
        "moved": np.round(change_over(market, 60) * 100, 2),
        "live": market.best["n_live"].astype(np.int64),
        "of": quoted,
        "age": np.round(ages, 1),
        "dp": decimals,
        "dim": market.best["n_live"] == 0,
    }


def change_over(market: MarketState, seconds: int) -> np.ndarray:
    """Return (K,) relative changes of the reference mid over the last `seconds`, NaN where either end is missing."""
    mids = market.history.ref_mid
    if mids.shape[1] <= seconds:
        return np.full(market.shape[0], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(mids[:, -1] / mids[:, -1 - seconds] - 1)


def sparklines(
    market: MarketState, *, points: int = 45, width: int = 74, height: int = 15
) -> tuple[np.ndarray, np.ndarray]:
    """Return SVG paths of the history by instrument, and which way each went over it."""
    mids = market.history.ref_mid
    step = max(1, mids.shape[1] // points)
    mids = mids[:, ::-1][:, ::step][:, ::-1]
    low, high = _extremes(mids)
    x = np.linspace(0, width, mids.shape[1]) if mids.shape[1] > 1 else np.zeros(mids.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        y = height - 1 - (mids - low[:, None]) / np.where(high > low, high - low, np.inf)[:, None] * (height - 2)
    paths = np.array([_path(x, row) for row in y], dtype=object)
    way = np.array([_way(row) for row in mids])
    return paths, way


def sd_decimals(decimals: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return decimals of the uncertainties: the tick's, more only where the figure would show as nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        needed = np.ceil(-np.log10(sd))
    hidden = np.isfinite(needed) & (np.round(sd * 10.0**decimals) == 0)
    return np.where(hidden, np.clip(needed, 0, 8), decimals).astype(np.int64)


def _states(market: MarketState) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    seen = market.book["state"] != QuoteState.NO_DATA
    age_s = np.where(seen, market.age_ns / 1e9, np.inf).min(axis=1, initial=np.inf)
    age_s = np.where(np.isfinite(age_s), age_s, np.nan)
    live = market.fresh.any(axis=1)
    # Without a live source the row shows the gravest state of its venues; no data counts least.
    gravity = np.where(seen, market.state, 0).max(axis=1, initial=0)
    state = np.where(live, QuoteState.LIVE, np.where(seen.any(axis=1), gravity, QuoteState.NO_DATA))
    pairs = [state_dot(int(s), float(a)) for s, a in zip(state, age_s, strict=True)]
    dots = np.array([pair[0] for pair in pairs], dtype=object)
    words = np.array([pair[1] for pair in pairs], dtype=object)
    return dots, words, age_s, seen.sum(axis=1).astype(np.int64)


def _rounded(values: np.ndarray, decimals: np.ndarray) -> np.ndarray:
    scale = 10.0**decimals
    return np.asarray(np.round(values * scale) / scale)


def _padded(values: np.ndarray, n: int) -> np.ndarray:
    padded = np.full(n, np.nan)
    padded[: min(n, len(values))] = values[:n]
    return padded


def _extremes(mids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(mids)
    low = np.where(known, mids, np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, mids, -np.inf).max(axis=1, initial=-np.inf)
    return low, high


def _path(x: np.ndarray, y: np.ndarray) -> str:
    parts: list[Any] = []
    pen = "M"
    for xi, yi in zip(x.tolist(), y.tolist(), strict=True):
        if yi != yi:
            pen = "M"
            continue
        parts.append(f"{pen}{xi:.0f},{yi:.1f}")
        pen = "L"
    return "".join(parts)


def _way(row: np.ndarray) -> int:
    known = row[np.isfinite(row)]
    return 0 if len(known) < 2 else int(np.sign(known[-1] - known[0]))
