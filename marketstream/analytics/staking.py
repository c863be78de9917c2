"""Staking: from outcome prices worth buying to stakes per market, and what they can win and lose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketstream.analytics.edges import Legs
from marketstream.analytics.kelly import kelly_stakes
from marketstream.analytics.layout import Layout

_VENUES = 1 << 15
"""More venues than a venue code can number; makes one key of two codes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Slip:
    """Stakes by leg, (n,) each: on which outcome, where, how much, and what it pays.

    Attributes:
        instrument: Instrument codes.
        venue: Venue codes.
        stake: USD put in.
        win: USD of profit if the outcome happens.
        probability: Of the outcome when it was last priced.
    """

    instrument: np.ndarray
    venue: np.ndarray
    stake: np.ndarray
    win: np.ndarray
    probability: np.ndarray

    def take(self, rows: np.ndarray) -> Slip:
        """Return some of the legs."""
        return Slip(
            instrument=self.instrument[rows],
            venue=self.venue[rows],
            stake=self.stake[rows],
            win=self.win[rows],
            probability=self.probability[rows],
        )


def empty_slip() -> Slip:
    """Return a slip with no legs."""
    codes, money = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Slip(instrument=codes, venue=codes, stake=money, win=money, probability=money)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StakeLimits:
    """The knobs that stakes obey: share of full Kelly, share of the bankroll per leg, bankroll in USD."""

    kelly_fraction: float
    max_stake: float
    bankroll: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Staking:
    """What to stake and what it means.

    Attributes:
        slip: Every leg, held ones first; `stake` is the target, never below what is held.
        held: (n,) USD staked before.
        profit: (n,) expected profit of each leg, USD.
        binding: (n,) the limit that holds a leg, "" if none.
        expected_profit: Of all legs, USD.
        worst_loss: Largest possible loss, USD, >= 0: each market's worst outcome, all at once.
    """

    slip: Slip
    held: np.ndarray
    profit: np.ndarray
    binding: np.ndarray
    expected_profit: float
    worst_loss: float


def stake(legs: Legs, held: Slip, fair: np.ndarray, layout: Layout, limits: StakeLimits) -> Staking:
    """Return fractional Kelly stakes on the best price of each outcome, market by market.

    A bet that is placed stays until its market settles, so that a target is never below what is held.

    Args:
        legs: Outcome prices that can be bought now.
        held: Stakes placed before.
        fair: (K,) fair values; a market with an unknown one gets no new stake.
        layout: The catalogue as arrays.
        limits: Of the stakes.
    """
    best = _best_per_outcome(legs)
    table = _tabulate(best, fair, layout)
    wanted = table.at(best, layout, _kelly(table, best, layout)) * limits.kelly_fraction * limits.bankroll
    new, binding = _capped(wanted, best, limits)
    slip, before, words = _merged(held, new, binding, limits.bankroll)
    chance = _chances(slip, table, fair, layout)
    profit = chance * slip.win - (1.0 - chance) * slip.stake
    return Staking(
        slip=slip,
        held=before,
        profit=profit,
        binding=words,
        expected_profit=float(profit.sum()),
        worst_loss=worst_loss(slip, layout),
    )


def worst_loss(slip: Slip, layout: Layout) -> float:
    """Return the largest possible loss of all stakes in USD, >= 0.

    It is exact: for every market each outcome is tried, those without a bet included, and the worst ones of
    all markets can happen together.
    """
    rows, at = np.unique(layout.market_of[slip.instrument], return_inverse=True)
    result = np.zeros((len(rows), layout.legs.shape[1]))
    np.add.at(result, at, -slip.stake[:, None])
    np.add.at(result, (at, layout.slot_of[slip.instrument]), slip.stake + slip.win)
    worst = np.where(layout.legs[rows] >= 0, result, np.inf).min(axis=1, initial=np.inf)
    return max(0.0, -float(worst.sum())) if len(rows) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The markets that have a leg: rows in the layout, and (m, n) probabilities that sum to 1 or are NaN."""

    markets: np.ndarray
    probability: np.ndarray

    def at(self, legs: Legs, layout: Layout, values: np.ndarray) -> np.ndarray:
        """Return the values (m, n) of the outcomes that the legs are on."""
        row = np.searchsorted(self.markets, layout.market_of[legs.instrument])
        return np.asarray(values[row, layout.slot_of[legs.instrument]])


def _best_per_outcome(legs: Legs) -> Legs:
    """Return for each outcome the leg with the largest expected return."""
    worth = legs.probability * (legs.gain + legs.cost) / legs.cost
    order = np.lexsort((legs.venue, -worth, legs.instrument))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.diff(legs.instrument[order]) != 0
    return legs.take(order[first])


def _tabulate(legs: Legs, fair: np.ndarray, layout: Layout) -> _Table:
    """Return the probabilities of the markets that have a leg.

    A leg's outcome has the probability that the other venues give it, by which its edge was judged; what is
    left goes to the other outcomes in proportion to their fair values.
    """
    markets = np.unique(layout.market_of[legs.instrument])
    codes = layout.legs[markets]
    consensus = np.where(codes >= 0, fair[codes], 0.0)
    judged = np.zeros(codes.shape)
    row, slot = np.searchsorted(markets, layout.market_of[legs.instrument]), layout.slot_of[legs.instrument]
    judged[row, slot] = legs.probability
    others = np.where(judged > 0.0, 0.0, consensus)
    left = np.maximum(1.0 - judged.sum(axis=1, keepdims=True), 0.0)
    total = others.sum(axis=1, keepdims=True)
    probability = judged + np.divide(others * left, total, out=np.zeros_like(others), where=total > 0)
    probability = np.where(np.isfinite(consensus), probability, np.nan)
    return _Table(markets, probability / probability.sum(axis=1, keepdims=True))


def _kelly(table: _Table, legs: Legs, layout: Layout) -> np.ndarray:
    net_odds = np.full(table.probability.shape, np.nan)
    row = np.searchsorted(table.markets, layout.market_of[legs.instrument])
    net_odds[row, layout.slot_of[legs.instrument]] = legs.gain / legs.cost
    stakes = np.zeros(table.probability.shape)
    known = np.isfinite(table.probability).all(axis=1)
    if known.any():
        stakes[known] = kelly_stakes(table.probability[known], net_odds[known])
    return stakes


def _capped(wanted: np.ndarray, legs: Legs, limits: StakeLimits) -> tuple[Slip, np.ndarray]:
    """Return the legs that are wanted, no stake above its limits, and which limit holds each."""
    largest, on_offer = limits.max_stake * limits.bankroll, legs.size * legs.cost
    stakes = np.minimum(np.minimum(wanted, largest), on_offer)
    held_by = np.where(on_offer < largest, "size at the price", "largest stake").astype(object)
    binding = np.where(stakes < wanted, held_by, "").astype(object)
    slip = Slip(
        instrument=legs.instrument,
        venue=legs.venue,
        stake=stakes,
        win=stakes * legs.gain / legs.cost,
        probability=legs.probability,
    )
    some = np.flatnonzero(stakes > 0.0)
    return slip.take(some), binding[some]


def _merged(held: Slip, new: Slip, binding: np.ndarray, bankroll: float) -> tuple[Slip, np.ndarray, np.ndarray]:
    """Return held and new legs as one slip, with what was held of each and the limit that holds it."""
    keys = np.union1d(_key(held), _key(new))
    at_held, at_new = np.searchsorted(keys, _key(held)), np.searchsorted(keys, _key(new))
    before, extra, odds, win, probability = np.zeros((5, len(keys)))
    before[at_held], win[at_held], probability[at_held] = held.stake, held.win, held.probability
    extra[at_new] = np.maximum(new.stake - before[at_new], 0.0)
    odds[at_new], probability[at_new] = new.win / new.stake, new.probability
    words = np.full(len(keys), "", dtype=object)
    words[at_new] = binding
    room, asked = max(bankroll - float(before.sum()), 0.0), float(extra.sum())
    if asked > room:
        words[extra > 0.0] = "bankroll"
        extra *= room / asked
    words[(before > 0.0) & (extra <= 0.0)] = "placed bet stays"
    slip = Slip(
        instrument=keys // _VENUES,
        venue=keys % _VENUES,
        stake=before + extra,
        win=win + extra * odds,
        probability=probability,
    )
    some = np.flatnonzero(slip.stake > 0.0)
    return slip.take(some), before[some], words[some]


def _key(slip: Slip) -> np.ndarray:
    return np.asarray(slip.instrument * _VENUES + slip.venue)


def _chances(slip: Slip, table: _Table, fair: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the chance of each leg: as staked on now, else the fair value, else as when it was placed."""
    chance = np.where(np.isfinite(fair[slip.instrument]), fair[slip.instrument], slip.probability)
    listed = np.flatnonzero(np.isin(layout.market_of[slip.instrument], table.markets))
    if len(listed):
        row = np.searchsorted(table.markets, layout.market_of[slip.instrument[listed]])
        now = table.probability[row, layout.slot_of[slip.instrument[listed]]]
        chance[listed] = np.where(np.isfinite(now), now, chance[listed])
    return chance
