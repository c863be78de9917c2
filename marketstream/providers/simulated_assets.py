"""How a simulated venue quotes assets: a lagging, slightly wrong mid with a spread, rounded to ticks."""

from __future__ import annotations

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.providers.simulated_feed import Feed, Span
from marketstream.providers.simulated_planting import BUY, asset_price
from marketstream.providers.simulated_spec import VenueSpec
from marketstream.providers.simulated_world import World

_BPS = 1e-4
_SPREAD_JITTER = 0.15
_SIZE_JITTER = 0.45


class AssetFeed(Feed):
    """Quotes of the assets that a venue lists.

    log mid = log truth(event time - lag) + common error + slow error + noise; the half spread has 15 %
    and the sizes 45 % log-normal jitter; the bid is rounded down and the ask up to whole ticks.
    """

    def __init__(self, world: World, venue: VenueSpec) -> None:
        specs = world.spec.assets_of(venue.id)
        super().__init__(world, venue, tuple(a.id for a in specs))
        positions = {name: i for i, name in enumerate(world.asset_ids)}
        self._column = np.array([positions[a.id] for a in specs], dtype=np.int64)
        self._scale = np.array([a.spread_scale for a in specs])
        self._per_unit = np.array([round(1.0 / a.tick) for a in specs], dtype=np.float64)
        self._usual_size = np.array([venue.size / a.price for a in specs])
        rates = venue.rate * np.array([a.rate_scale for a in specs])
        self._rate = float(rates.sum())
        self._cumulative = np.cumsum(rates) / max(self._rate, 1e-300)

    def _quotes(self, span: Span) -> np.ndarray:
        received, event = self._arrivals(span, self._rate)
        n, rng = len(received), span.rng
        pair = np.minimum(np.searchsorted(self._cumulative, rng.random(n)), len(self._cumulative) - 1)
        normals = rng.standard_normal((4, n))
        rows = self.blank_rows(pair, received)
        rows["ts_event"] = event
        if n:
            error = span.error(received, pair) + self.venue.noise * normals[0]
            mid = np.exp(self._seen(event, pair) + error * self._scale[pair] * _BPS)
            self._spread(rows, pair, mid, np.exp(_SPREAD_JITTER * normals[1]))
            for side, z in (("bid_size", normals[2]), ("ask_size", normals[3])):
                rows[side] = np.round(self._usual_size[pair] * np.exp(_SIZE_JITTER * z), 6)
            self._plant(rows, pair)
        return rows

    def _price_snapshot(self, rows: np.ndarray) -> None:
        pair = np.arange(len(rows))
        mid = np.exp(self._seen(rows["ts_event"], pair))
        self._spread(rows, pair, mid, np.ones(len(rows)))
        rows["bid_size"] = rows["ask_size"] = np.round(self._usual_size, 6)
        self._plant(rows, pair)

    def _seen(self, event: np.ndarray, pair: np.ndarray) -> np.ndarray:
        steps = self.world.step(event - round(self.venue.lag_s * SECOND_NS))
        first, block = self.world.window(int(steps.min()), int(steps.max()))
        return np.asarray(block.seen_log_price[steps - first, self._column[pair]])

    def _spread(self, rows: np.ndarray, pair: np.ndarray, mid: np.ndarray, jitter: np.ndarray) -> None:
        half = 0.5 * self.venue.spread_bps * _BPS * self._scale[pair] * jitter
        per_unit = self._per_unit[pair]
        bid = np.floor(mid * (1.0 - half) * per_unit)
        # At least one tick apart, also where the spread is finer than the tick.
        ask = np.maximum(np.ceil(mid * (1.0 + half) * per_unit), bid + 1.0)
        rows["bid"], rows["ask"] = bid / per_unit, ask / per_unit

    def _plant(self, rows: np.ndarray, pair: np.ndarray) -> None:
        event = rows["ts_event"]
        for planted in self.planting.between(int(event.min()), int(event.max()), self.venue.id):
            if planted.instrument not in self.instruments:
                continue
            i = self.instruments.index(planted.instrument)
            hit = np.flatnonzero((pair == i) & (event >= planted.begins_at) & (event < planted.ends_at))
            if not len(hit):
                continue
            steps = self.world.step(event[hit])
            first, block = self.world.window(int(steps.min()), int(steps.max()))
            truth = np.exp(block.log_price[steps - first, self._column[i]])
            self._put(
                rows,
                hit,
                np.round(asset_price(truth, planted, self.venue.fees) * self._per_unit[i]),
                i,
                planted.side,
            )

    def _put(self, rows: np.ndarray, hit: np.ndarray, ticks: np.ndarray, i: int, side: str) -> None:
        # The other side gives way by the usual spread, so that the venue's own book is not crossed.
        width = np.maximum(np.round((rows["ask"][hit] - rows["bid"][hit]) * self._per_unit[i]), 1.0)
        bid, ask = (ticks - width, ticks) if side == BUY else (ticks, ticks + width)
        rows["bid"][hit], rows["ask"][hit] = bid / self._per_unit[i], ask / self._per_unit[i]
