"""DeltaDetector: which changes of a cycle are worth an event. An analysis handler that reads arrays, not frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError
from marketstream.market.events import Json, MarketEvent, Topic
from marketstream.market.state import MarketState
from marketstream.streaming.handlers import DeltaBatch

_LONG_AGO = np.iinfo(np.int64).min // 2
_NEVER = np.iinfo(np.int64).max


class DeltaDetector:
    """Tell of instruments that moved far for what they usually do, and of books that stay crossed across venues.

    Two kinds of event on `market.delta.detected`: `move`, where |z_change| reaches `z_min`, and `crossed`, where the
    best bid of one venue has been above the best ask of another for `lasting_s`, or, once told, is so no longer. The
    same cycles give the same events: it reads no clock. Called from one task, in order of the cycles.

    Args:
        z_min: Standard deviations of the instrument's own changes.
        quiet_s: Seconds of the stream's time for which an instrument is not told of again in the same kind; the end
            of a crossing that was told is told at once.
        lasting_s: Seconds for which a book must be crossed without a break: one that flickers is no news.

    Raises:
        InvalidInputError: A number is out of range.
    """

    def __init__(self, z_min: float = 4.0, quiet_s: float = 10.0, lasting_s: float = 2.0) -> None:
        if not z_min > 0:
            raise InvalidInputError(f"z_min must be > 0 standard deviations, was {z_min}")
        for name, seconds in (("quiet_s", quiet_s), ("lasting_s", lasting_s)):
            if not 0 <= seconds < float("inf"):
                raise InvalidInputError(f"{name} must be >= 0 seconds, was {seconds}")
        self._z_min = z_min
        self._quiet_ns = round(quiet_s * SECOND_NS)
        self._lasting_ns = round(lasting_s * SECOND_NS)
        # By instrument code: when a move and a crossing were last told of, since when it is crossed (UTC ns), and
        # whether that was told.
        self._moved_at = np.empty(0, dtype=np.int64)
        self._crossing_at = np.empty(0, dtype=np.int64)
        self._crossed_since = np.empty(0, dtype=np.int64)
        self._told_crossed = np.empty(0, dtype=np.bool_)

    def __call__(self, delta: DeltaBatch) -> Sequence[MarketEvent]:
        """Return the events of one cycle: moves, then crossings, each by instrument code."""
        market = delta.market
        self._grow(market.shape[0])
        return [*self._moves(market), *self._crossings(market)]

    def _moves(self, market: MarketState) -> list[MarketEvent]:
        # NaN, where there were too few changes, compares as false.
        hit = np.abs(market.changed["z_change"]) >= self._z_min
        if not hit.any():
            return []
        rows = market.changed[hit]
        rows = rows[market.now - self._moved_at[rows["instrument"]] >= self._quiet_ns]
        self._moved_at[rows["instrument"]] = market.now
        return [_move(market, row) for row in np.sort(rows, order="instrument")]

    def _crossings(self, market: MarketState) -> list[MarketEvent]:
        crossed, now = market.best["crossed"], market.now
        n = len(crossed)
        since, told = self._crossed_since[:n], self._told_crossed[:n]
        np.copyto(since, np.where(crossed, np.minimum(since, now), _NEVER))
        lasting = crossed & ~told & (now - self._lasting_ns >= since) & (now - self._crossing_at[:n] >= self._quiet_ns)
        news = lasting | (told & ~crossed)
        if not news.any():
            return []
        self._crossing_at[:n][lasting] = now
        told[news] = crossed[news]
        return [_crossing(market, int(code)) for code in np.flatnonzero(news)]

    def _grow(self, n: int) -> None:
        more = n - len(self._moved_at)
        if more > 0:
            self._moved_at = np.append(self._moved_at, np.full(more, _LONG_AGO))
            self._crossing_at = np.append(self._crossing_at, np.full(more, _LONG_AGO))
            self._crossed_since = np.append(self._crossed_since, np.full(more, _NEVER))
            self._told_crossed = np.append(self._told_crossed, np.zeros(more, dtype=np.bool_))


def _move(market: MarketState, row: np.void) -> MarketEvent:
    code = int(row["instrument"])
    instrument = market.catalog.instruments[code]
    decimals = instrument.decimals
    names = [venue.id for venue in market.catalog.venues]
    z, change, mid = float(row["z_change"]), float(row["change"]), float(row["ref_mid"])
    return MarketEvent(
        ts=market.now,
        topic=Topic.MARKET_DELTA,
        subject=instrument.id,
        message=f"Moved by {change:+,.{decimals}f} to {mid:,.{decimals}f}, {z:+.1f} of its standard deviations.",
        data={
            "kind": "move",
            "change": change,
            "rel_change": float(row["rel_change"]),
            "z_change": z,
            "ref_mid": mid,
            "venues": [names[v] for v in np.flatnonzero(market.fresh[code])],
        },
    )


def _crossing(market: MarketState, code: int) -> MarketEvent:
    instrument = market.catalog.instruments[code]
    best = market.best[code]
    data: dict[str, Json] = {"kind": "crossed", "crossed": bool(best["crossed"])}
    if best["crossed"]:
        venues = market.catalog.venues
        data |= {
            "best_bid": float(best["best_bid"]),
            "bid_venue": venues[best["bid_venue"]].id,
            "best_ask": float(best["best_ask"]),
            "ask_venue": venues[best["ask_venue"]].id,
        }
        message = (
            f"Crossed: bid {data['best_bid']:,.{instrument.decimals}f} at {data['bid_venue']}"
            f" above ask {data['best_ask']:,.{instrument.decimals}f} at {data['ask_venue']}."
        )
    else:
        message = "Crossed no longer."
    return MarketEvent(ts=market.now, topic=Topic.MARKET_DELTA, subject=instrument.id, message=message, data=data)
