"""How simulated bookmakers and an exchange quote outcomes: odds with a margin around the true probability."""

from __future__ import annotations

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.market.quotes import QuoteState
from marketstream.providers.simulated_feed import Feed, Span
from marketstream.providers.simulated_planting import BUY, outcome_price
from marketstream.providers.simulated_spec import Margin, VenueSpec
from marketstream.providers.simulated_world import World

_SIZE_JITTER = 0.45
# Odds that a book can show: steps of 0.01 up to 2, 0.02 up to 3 ... 10 up to 1,000.
_LADDER_PARTS = (
    (1.01, 2.0, 0.01),
    (2.0, 3.0, 0.02),
    (3.0, 4.0, 0.05),
    (4.0, 6.0, 0.1),
    (6.0, 10.0, 0.2),
    (10.0, 20.0, 0.5),
    (20.0, 30.0, 1.0),
    (30.0, 50.0, 2.0),
    (50.0, 100.0, 5.0),
    (100.0, 1010.0, 10.0),
)


def odds_ladder() -> np.ndarray:
    """Return all decimal odds that a simulated book can show, rising from 1.01 to 1,000."""
    return np.concatenate(
        [np.round(low + step * np.arange(round((high - low) / step)), 2) for low, high, step in _LADDER_PARTS]
    )


class OutcomeFeed(Feed):
    """Quotes of the markets of a world; one update reprices all outcomes of a market at once.

    logit q = logit truth(event time - lag) + common error + slow error + noise, then the margin of the
    venue's method, then the odds ladder, rounded in favour of the house. Odds off the ladder are
    SUSPENDED, and at settlement every outcome is CLOSED.
    """

    def __init__(self, world: World, venue: VenueSpec) -> None:
        super().__init__(world, venue, world.outcome_ids)
        counts = [len(m.outcomes) for m in world.spec.markets]
        self._counts = np.array(counts, dtype=np.int64)
        self._offsets = np.cumsum([0, *counts[:-1]], dtype=np.int64)
        self._market = np.repeat(np.arange(len(counts)), counts)
        settle = [world.settles_at(i) for i in range(len(counts))]
        self._closes = np.array(settle, dtype=np.int64) + round(venue.latency_s * SECOND_NS)
        self._ladder = odds_ladder()

    def _quotes(self, span: Span) -> np.ndarray:
        received, event = self._arrivals(span, self.venue.rate * len(self._counts))
        market = span.rng.integers(len(self._counts), size=len(received))
        still_open = received < self._closes[market]
        received, event, market = received[still_open], event[still_open], market[still_open]
        update, pair = self._expand(market)
        normals = span.rng.standard_normal((3, len(pair)))
        rows = self.blank_rows(pair, received[update])
        rows["ts_event"] = event[update]
        if len(rows):
            logit = self._seen(rows["ts_event"], pair) + span.error(rows["ts_received"], pair)
            self._price(rows, logit + self.venue.noise * normals[0])
            self._set_sizes(rows, np.exp(_SIZE_JITTER * normals[1:]))
            self._plant(rows, pair)
        return self._with_ends(rows, span)

    def _price_snapshot(self, rows: np.ndarray) -> None:
        pair = np.arange(len(rows))
        self._price(rows, self._seen(rows["ts_event"], pair))
        self._set_sizes(rows, np.ones((2, len(rows))))
        self._plant(rows, pair)
        self._close(rows, rows["ts_received"] >= self._closes[self._market])

    def _expand(self, market: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # From updates of markets to rows of outcomes: which update each row belongs to, and its outcome.
        counts = self._counts[market]
        update = np.repeat(np.arange(len(market)), counts)
        within = np.arange(len(update)) - np.repeat(np.cumsum(counts) - counts, counts)
        return update, self._offsets[market][update] + within

    def _seen(self, event: np.ndarray, pair: np.ndarray) -> np.ndarray:
        steps = self.world.step(event - round(self.venue.lag_s * SECOND_NS))
        first, block = self.world.window(int(steps.min()), int(steps.max()))
        return np.asarray(block.seen_logit[steps - first, pair])

    def _price(self, rows: np.ndarray, logit: np.ndarray) -> None:
        margin, method = self.venue.margin, self.venue.method
        if method is Margin.POWER:
            ask = _probability(logit) ** (1.0 - margin)
        elif method is Margin.ADDITIVE:
            ask = _probability(logit) + margin
        else:
            ask = _probability(logit + margin)
        rows["ask"] = self._back(ask)
        if method is Margin.EXCHANGE:
            rows["bid"] = self._lay(_probability(logit - margin))
        self._suspend(rows)

    def _back(self, price: np.ndarray) -> np.ndarray:
        # Odds down to the ladder: the price goes up. NaN where the ladder ends.
        i = np.searchsorted(self._ladder, (1.0 + 1e-12) / price, side="right") - 1
        return np.where(i >= 0, 1.0 / self._ladder[np.maximum(i, 0)], np.nan)

    def _lay(self, price: np.ndarray) -> np.ndarray:
        # Odds up to the ladder: the price goes down. NaN where the ladder ends.
        i = np.searchsorted(self._ladder, (1.0 - 1e-12) / price, side="left")
        top = len(self._ladder) - 1
        return np.where(i <= top, 1.0 / self._ladder[np.minimum(i, top)], np.nan)

    def _suspend(self, rows: np.ndarray) -> None:
        # Shorter than 1.01 on the back side and longer than 1,000 on the lay side: nothing to show.
        gone = np.isnan(rows["ask"]) & np.isnan(rows["bid"])
        rows["state"][gone] = QuoteState.SUSPENDED

    def _set_sizes(self, rows: np.ndarray, jitter: np.ndarray) -> None:
        for side, size in (("ask", jitter[0]), ("bid", jitter[1])):
            there = np.isfinite(rows[side])
            rows[f"{side}_size"] = np.where(there, np.round(self.venue.size * size, 2), 0.0)

    def _plant(self, rows: np.ndarray, pair: np.ndarray) -> None:
        event = rows["ts_event"]
        for planted in self.planting.between(int(event.min()), int(event.max()), self.venue.id):
            if planted.instrument not in self.instruments:
                continue
            i = self.instruments.index(planted.instrument)
            in_window = (pair == i) & (event >= planted.begins_at) & (event < planted.ends_at)
            hit = np.flatnonzero(in_window & (rows["state"] == QuoteState.LIVE))
            if not len(hit):
                continue
            steps = self.world.step(event[hit])
            first, block = self.world.window(int(steps.min()), int(steps.max()))
            # Off the ladder, so that the size is exact.
            price = outcome_price(block.probability[steps - first, i], planted, self.venue.fees)
            self._put(rows, hit[(price > 0.0) & (price < 1.0)], price[(price > 0.0) & (price < 1.0)], planted.side)

    def _put(self, rows: np.ndarray, hit: np.ndarray, price: np.ndarray, side: str) -> None:
        if side == BUY:
            rows["ask"][hit] = price
            # NaN stays NaN: a bookmaker has no bid to move.
            rows["bid"][hit] = np.where(rows["bid"][hit] >= price, price * 0.98, rows["bid"][hit])
        else:
            rows["bid"][hit] = price
            rows["ask"][hit] = np.where(rows["ask"][hit] <= price, price + 0.02 * (1.0 - price), rows["ask"][hit])

    def _with_ends(self, rows: np.ndarray, span: Span) -> np.ndarray:
        ending = np.flatnonzero((self._closes >= span.begin) & (self._closes < span.end))
        if not len(ending):
            return rows
        update, pair = self._expand(ending)
        ends = self.blank_rows(pair, self._closes[ending][update])
        ends["ts_event"] = ends["ts_received"]
        self._close(ends, np.ones(len(ends), dtype=np.bool_))
        rows = np.concatenate([rows, ends])
        return rows[np.argsort(rows["ts_received"], kind="stable")]

    @staticmethod
    def _close(rows: np.ndarray, where: np.ndarray) -> None:
        for side in ("bid", "ask"):
            rows[side][where] = np.nan
            rows[f"{side}_size"][where] = 0.0
        rows["state"][where] = QuoteState.CLOSED


def _probability(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))
