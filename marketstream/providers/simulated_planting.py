"""True mispricings of known size, planted in a simulated world: what a finder of edges is held to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Fees
from marketstream.providers.simulated_spec import Margin, PlantingSpec, WorldSpec
from marketstream.providers.simulated_world import World, stream

BUY, SELL = "buy", "sell"
_PLANT_STREAM = 2
_PROBABILITY_RANGE = (0.2, 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One mispricing.

    Attributes:
        instrument: Instrument id.
        venue: Venue id.
        side: `buy` takes the venue's ask, `sell` its bid.
        size: Net expected profit after the venue's fees at the true price of the moment of each quote:
            basis points of that price for an asset, per contract for an outcome.
        begins_at: UTC ns of the first quote that may carry it.
        ends_at: UTC ns before which its quotes were made.
    """

    instrument: str
    venue: str
    side: str
    size: float
    begins_at: int
    ends_at: int


class Planting:
    """Where and when a world's mispricings are; a function of its seed and of nothing else."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._spec = world.spec.planting
        self._places = _places(world.spec)
        self._slot = lru_cache(maxsize=64)(self._make_slot)

    def between(self, first_ns: int, last_ns: int, venue: str | None = None) -> list[Planted]:
        """Return the mispricings whose windows touch [first_ns, last_ns], at one venue or at all."""
        if self._spec is None or last_ns < self._world.start_ns:
            return []
        slot_ns = round(self._spec.slot_s * SECOND_NS)
        start = self._world.start_ns
        low, high = max(first_ns - start, 0) // slot_ns, (last_ns - start) // slot_ns
        return [
            p
            for number in range(low, high + 1)
            for p in self._slot(number)
            if p.begins_at <= last_ns and p.ends_at > first_ns and venue in (None, p.venue)
        ]

    def _make_slot(self, number: int) -> tuple[Planted, ...]:
        assert self._spec is not None  # noqa: S101 - `between` has seen to it
        rng = stream(self._world.seed, _PLANT_STREAM, number)
        names = list(self._places)
        chosen = rng.permutation(len(names))[: self._spec.per_slot]
        begins = self._world.start_ns + round((number * self._spec.slot_s + self._spec.lead_s) * SECOND_NS)
        ends = begins + round(self._spec.length_s * SECOND_NS)
        return tuple(self._plant(names[i], rng, self._spec, begins, ends) for i in chosen)

    def _plant(self, name: str, rng: np.random.Generator, spec: PlantingSpec, begins: int, ends: int) -> Planted:
        venue, two_sided, is_outcome = self._places[name][int(rng.integers(len(self._places[name])))]
        low, high = spec.probability if is_outcome else spec.bps
        size = low + (high - low) * float(rng.random())
        sells = bool(rng.random() < 0.5) and two_sided
        return Planted(
            instrument=name,
            venue=venue,
            side=SELL if sells else BUY,
            size=size,
            begins_at=begins,
            ends_at=ends,
        )


def asset_price(truth: np.ndarray, planted: Planted, fees: Fees) -> np.ndarray:
    """Return the price at which trading one unit earns `planted.size` basis points of `truth` after fees."""
    gain = planted.size * 1e-4 + fees.per_trade
    return truth * (1.0 - gain if planted.side == BUY else 1.0 + gain)


def outcome_price(truth: np.ndarray, planted: Planted, fees: Fees) -> np.ndarray:
    """Return the probability-price at which a contract earns `planted.size` net of commission c on winnings.

    Solves p (1 - a)(1 - c) - (1 - p) a = size for a (buy), (1 - p) b (1 - c) - p (1 - b) = size for b (sell).
    """
    c, size = fees.commission, planted.size
    if planted.side == BUY:
        return (truth * (1.0 - c) - size) / (1.0 - c * truth)
    return (size + truth) / (1.0 - c * (1.0 - truth))


def _places(spec: WorldSpec) -> dict[str, list[tuple[str, bool, bool]]]:
    # By instrument: the venues that list it, whether they have two sides, whether the price is a probability.
    if spec.planting is not None and spec.planting.lead_s + spec.planting.length_s > spec.planting.slot_s:
        raise InvalidInputError("a planted window must end within its slot: lead_s + length_s <= slot_s")
    places: dict[str, list[tuple[str, bool, bool]]] = {}
    for asset in spec.assets:
        venues = [v.id for v in spec.asset_venues if v.id not in asset.absent_from]
        places[asset.id] = [(v, True, False) for v in venues]
    for market in spec.markets:
        for short, _, p in market.outcomes:
            # A rare outcome has no room for a profit of several hundredths.
            if _PROBABILITY_RANGE[0] <= p <= _PROBABILITY_RANGE[1]:
                places[market.outcome_id(short)] = [
                    (v.id, v.method is Margin.EXCHANGE, True) for v in spec.outcome_venues
                ]
    return {name: venues for name, venues in places.items() if venues}
