"""Facts about the market: feeds and their ages, fair values and bands, prices by venue, edges. See facts.py."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from marketstream.market.instruments import Instrument
from marketstream.market.quotes import QuoteState
from marketstream.market.rationale import EDGES, FEEDS
from marketstream.rationale.book_facts import Leg
from marketstream.rationale.sheet import SheetBuilder, price_unit

NAMED = 3
"""How many late venues or dark instruments a sheet names."""
MAX_WINDOW_MIN = 15


def add_feeds(sheet: SheetBuilder) -> None:
    """Add how many quotes are live, late or interrupted, and the venues that they come from.

    A quote whose market is closed for good counts as none. Late is older than its venue allows; interrupted is
    any other state in which a quote feeds no price (gap, resyncing, crossed, suspended).
    """
    market = sheet.snapshot.market
    state = market.state
    quoted = (state != QuoteState.NO_DATA) & (state != QuoteState.CLOSED)
    live, late = market.fresh, state == QuoteState.STALE
    interrupted = quoted & ~live & ~late
    for metric, cells in (("n_quotes", quoted), ("n_live", live), ("n_late", late), ("n_interrupted", interrupted)):
        sheet.count(FEEDS, metric, int(cells.sum()), "market.state")
    if live.any():
        sheet.duration(FEEDS, "oldest_age", float(market.age_ns[live].max()) / 1e9, "market.age_ns of live quotes")
    troubled = (late | interrupted).sum(axis=0)
    for code in np.argsort(-troubled, kind="stable")[:NAMED]:
        if troubled[code]:
            venue = sheet.catalog.venues[code].id
            counts = (("live", live), ("late", late), ("interrupted", interrupted))
            for metric, cells in counts:
                sheet.count(FEEDS, metric, int(cells[:, code].sum()), "market.state", venue=venue)


def add_sources(sheet: SheetBuilder, first: Sequence[str]) -> None:
    """Add how many instruments have no live source or a single one, naming those in the order of `first`."""
    market = sheet.snapshot.market
    n = market.shape[0]
    live = market.fresh.sum(axis=1)
    closed = (market.state == QuoteState.CLOSED).any(axis=1) & (live == 0)
    dark = (live == 0) & ~closed
    sheet.count(FEEDS, "n_instruments", int(n - closed.sum()), "catalog less closed markets")
    sheet.count(FEEDS, "n_no_source", int(dark.sum()), "market.fresh")
    fair = sheet.snapshot.fair
    n_venues = fair["n_venues"].to_numpy()
    priced = np.isfinite(fair["fair"].to_numpy(dtype=np.float64))
    sheet.count(FEEDS, "n_priced", int(priced.sum()), "fair.fair")
    sheet.count(FEEDS, "n_single", int((priced & (n_venues == 1)).sum()), "fair.n_venues")
    named = [i for i in first if dark[sheet.catalog.code(i)]] if dark.any() else []
    for instrument_id in named[:NAMED]:
        _add_live_venues(sheet, sheet.instrument(instrument_id))


def _add_live_venues(sheet: SheetBuilder, instrument: Instrument) -> None:
    market = sheet.snapshot.market
    code = sheet.catalog.code(instrument.id)
    state, fresh = market.state[code], market.fresh[code]
    quoted = (state != QuoteState.NO_DATA) & (state != QuoteState.CLOSED)
    sheet.count(instrument, "live_venues", int(fresh.sum()), "market.fresh")
    sheet.count(instrument, "quoted_venues", int(quoted.sum()), "market.state")
    if fresh.any():
        age_s = float(market.age_ns[code][fresh].min()) / 1e9
        sheet.duration(instrument, "quote_age", max(age_s, 0.0), "market.age_ns of live quotes")


def add_fair(sheet: SheetBuilder, instruments: Iterable[Instrument]) -> None:
    """Add fair value, its standard deviation, how many venues made it and how many are live."""
    frame = sheet.snapshot.fair
    for instrument in instruments:
        _add_live_venues(sheet, instrument)
        if instrument.id not in frame.index:
            continue
        row: dict[Hashable, Any] = frame.loc[[instrument.id]].to_dict("records")[0]
        fair, sd = float(row["fair"]), float(row["fair_sd"])
        sheet.count(instrument, "n_venues", int(row["n_venues"]) if np.isfinite(fair) else 0, "fair.n_venues")
        sheet.price(instrument, "fair", fair, "fair.fair")
        sheet.price(instrument, "fair_sd", sd, "fair.fair_sd")
        sheet.words(instrument, "left_out", str(row["left_out"] or ""), "fair.left_out")


def add_asset_price(sheet: SheetBuilder, instrument: Instrument) -> None:
    """Add best bid and ask, the widest gaps between venues and fair value, and the move over the history."""
    row: dict[Hashable, Any] = sheet.snapshot.market.best_quotes.loc[[instrument.id]].to_dict("records")[0]
    for metric, side in (("best_bid", "bid_venue"), ("best_ask", "ask_venue")):
        if row[side]:
            sheet.price(instrument, metric, float(row[metric]), f"best.{metric}", venue=str(row[side]))
    _add_gaps(sheet, instrument)
    _add_move(sheet, instrument)


def _add_gaps(sheet: SheetBuilder, instrument: Instrument) -> None:
    edges = sheet.snapshot.edges
    own = edges.index.get_level_values("instrument") == instrument.id
    rows = edges["gap_bps"][own]
    venues = rows.index.get_level_values("venue")
    gaps = pd.Series({str(v): float(gap) for v, gap in zip(venues, rows, strict=True)}, dtype=np.float64)
    fresh = [sheet.is_fresh(instrument.id, venue) for venue in gaps.index]
    gaps = gaps[np.array(fresh, dtype=bool) & np.isfinite(gaps.to_numpy())].round(1)
    gaps = gaps.reindex(gaps.abs().sort_values(ascending=False, kind="stable").index)
    ranks = gaps.abs().rank(ascending=False, method="min")
    for venue in gaps.index[:2]:
        gap = float(gaps[venue])
        sheet.add(instrument, "gap", gap, "bps", "edges.gap_bps", decimals=1, directional=True, venue=venue, exact=gap)
        if (ranks == ranks[venue]).sum() == 1:
            sheet.add(instrument, "gap_rank", float(ranks[venue]), "rank", "order of gap without sign", venue=venue)


def _add_move(sheet: SheetBuilder, instrument: Instrument) -> None:
    """Add the move of the reference price over the longest whole number of minutes there is, at most 15."""
    history = sheet.snapshot.market.history
    minutes = min((len(history.times) - 1) // 60, MAX_WINDOW_MIN)
    if minutes < 1:
        return
    mids = history.ref_mid[sheet.catalog.code(instrument.id)]
    then, now = float(mids[-1 - 60 * minutes]), float(mids[-1])
    if np.isfinite(then) and np.isfinite(now) and then > 0:
        change = (now / then - 1.0) * 100
        sheet.add(instrument, "price_change", change, "%", "market.history.ref_mid", decimals=2, directional=True)
        sheet.add(instrument, "price_window", float(minutes), "min", "market.history.times")


def add_bands(sheet: SheetBuilder) -> None:
    """Add the asset whose fair value is least certain, in bps of it."""
    fair = sheet.snapshot.fair
    values = fair["fair"].to_numpy(dtype=np.float64)
    bands = fair["fair_sd"].to_numpy(dtype=np.float64) / values * 1e4
    is_asset = ~sheet.catalog.is_outcome()[sheet.catalog.index.get_indexer(fair.index)]
    bands = np.where(is_asset & np.isfinite(bands), np.round(bands, 1), -1.0)
    if not len(bands) or bands.max() < 0:
        return
    at = int(bands.argmax())
    instrument = sheet.instrument(str(fair.index[at]))
    add_fair(sheet, [instrument])
    sheet.add(instrument, "band", float(bands[at]), "bps", "fair.fair_sd over fair.fair", decimals=1)
    if int((bands == bands[at]).sum()) == 1:
        sheet.add(instrument, "band_rank", 1.0, "rank", "order of band over assets")


class EdgeBoard:
    """The edges worth a sentence: tradable ones by return on capital, or the nearest to it where none is.

    Prices that are late or interrupted are not counted: nothing is said of them but that they are late.
    """

    def __init__(self, sheet: SheetBuilder) -> None:
        self.sheet = sheet
        edges = sheet.snapshot.edges
        edges = edges[_fresh_rows(sheet, edges)]
        roi = edges["roi"].to_numpy(dtype=np.float64)
        finite = np.isfinite(roi) & np.isfinite(edges["edge"].to_numpy(dtype=np.float64))
        tradable = edges["executable"].to_numpy(dtype=bool)
        self.n_prices = int(finite.sum())
        self.n_positive = int((finite & (edges["edge"].to_numpy(dtype=np.float64) > 0)).sum())
        self.n_tradable = int((finite & tradable).sum())
        # Tradable first, then by return; one row per instrument and venue, its better side.
        order = np.lexsort((-np.where(finite, roi, -np.inf), ~tradable))
        self._rows = edges.iloc[order[finite[order]]]
        self._seen: set[Leg] = set()

    def candidates(self, n: int) -> list[Leg]:
        """Return the `n` best legs: tradable ones, or the single nearest where there is none."""
        rows = self._rows.head(self.n_tradable or 1)
        legs = [(str(i), str(v)) for i, v, _ in rows.index]
        return list(dict.fromkeys(legs))[:n]

    def best_of(self, instrument_id: str) -> list[Leg]:
        """Return the best leg on one instrument, if it has a price."""
        own = self._rows.index.get_level_values("instrument") == instrument_id
        return [(str(i), str(v)) for i, v, _ in self._rows.index[own][:1]]

    def add_totals(self) -> None:
        """Add how many prices there are, with how many edges."""
        sheet = self.sheet
        sheet.count(EDGES, "n_prices", self.n_prices, "edges.edge")
        sheet.count(EDGES, "n_positive", self.n_positive, "edges.edge > 0")
        sheet.count(EDGES, "n_tradable", self.n_tradable, "edges.executable")

    def add_legs(self, legs: Iterable[Leg]) -> None:
        """Add what there is to say about these legs' best sides."""
        places = {leg: place for place, leg in enumerate(self.candidates(self.n_tradable or 1), 1)}
        for leg in legs:
            if leg in self._seen:
                continue
            self._seen.add(leg)
            own = self._rows.index.get_level_values("instrument") == leg[0]
            own &= self._rows.index.get_level_values("venue") == leg[1]
            rows = self._rows[own]
            if len(rows):
                self._add_leg(leg, rows.iloc[0], str(rows.index[0][2]), places.get(leg))

    def _add_leg(self, leg: Leg, row: pd.Series, side: str, place: int | None) -> None:
        sheet, (instrument_id, venue) = self.sheet, leg
        instrument = sheet.instrument(instrument_id)
        age_ms = float(row["age_oldest_leg_ms"])
        unit, decimals = price_unit(instrument)
        sheet.price(
            instrument,
            "ask" if side == "buy" else "bid",
            float(row["price"]),
            "edges.price",
            venue=venue,
            age_ms=age_ms,
        )
        sheet.add(
            instrument,
            "edge",
            float(row["edge"]),
            f"{unit} per contract",
            "edges.edge",
            decimals=decimals,
            venue=venue,
            directional=True,
            age_ms=age_ms,
        )
        roi = float(row["roi"]) * 100
        sheet.add(instrument, "roi", roi, "%", "edges.roi", decimals=2, venue=venue, directional=True, age_ms=age_ms)
        if float(row["se"]) > 0:
            ratio = float(row["edge"]) / float(row["se"])
            sheet.add(instrument, "edge_ratio", ratio, "standard errors", "edges.edge over se", decimals=1, venue=venue)
        sheet.duration(instrument, "leg_age", age_ms / 1e3, "edges.age_oldest_leg_ms", venue=venue)
        self._add_verdict(instrument, venue, row, place)

    def _add_verdict(self, instrument: Instrument, venue: str, row: pd.Series, place: int | None) -> None:
        sheet = self.sheet
        sheet.flag(instrument, "tradable", bool(row["executable"]), "edges.executable", venue=venue)
        if not bool(row["executable"]):
            sheet.words(instrument, "reason", str(row["reason"]), "edges.reason", venue=venue)
        if int(row["opened"]) > 0:
            seconds = (sheet.snapshot.now - int(row["opened"])) / 1e9
            sheet.duration(instrument, "open_for", seconds, "now less edges.opened", venue=venue)
        if place is None:
            return
        if bool(row["executable"]):
            roi = float(row["roi"]) * 100
            add = sheet.add
            add(instrument, "tradable_roi", roi, "%", "edges.roi", decimals=2, venue=venue, directional=True)
            add(instrument, "tradable_roi_rank", float(place), "rank", "order of roi of tradable edges", venue=venue)
        elif not self.n_tradable:
            sheet.add(instrument, "roi_rank", float(place), "rank", "order of roi of live prices", venue=venue)


def _fresh_rows(sheet: SheetBuilder, edges: pd.DataFrame) -> np.ndarray:
    venues = pd.Index([venue.id for venue in sheet.catalog.venues])
    k = sheet.catalog.index.get_indexer(edges.index.get_level_values("instrument"))
    v = venues.get_indexer(edges.index.get_level_values("venue"))
    fresh = sheet.snapshot.market.fresh
    known = (k >= 0) & (k < fresh.shape[0]) & (v >= 0) & (v < fresh.shape[1])
    return np.asarray(known & fresh[np.where(known, k, 0), np.where(known, v, 0)]) if fresh.size else known
