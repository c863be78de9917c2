"""The truth of a simulated world: prices and probabilities on a fixed grid. simulated_feed.py looks at it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError
from marketstream.providers.simulated_spec import WorldSpec

STEP_NS = 50_000_000
"""The grid: true prices are constant within a step of 50 ms."""
BLOCK_STEPS = 80
BLOCK_NS = STEP_NS * BLOCK_STEPS
"""Truth is made in blocks of 4 s, so that it does not depend on how often anyone asks."""
MAX_BACKLOG_S = 3600
"""How far back the truth can be asked for."""

_CACHED_BLOCKS = 32
_YEAR_S = 365.0 * 86_400.0
_TRUTH_STREAM = 1
_TINY = 1e-12


def stream(seed: int, *key: int) -> np.random.Generator:
    """Return the random numbers of one purpose and block; equal keys give equal numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, *key))))


@dataclass(frozen=True, slots=True)
class _State:
    """Where the processes stand at the start of a block: free assets, latent scores, shared errors."""

    log_price: np.ndarray
    score: np.ndarray
    common_asset: np.ndarray
    common_outcome: np.ndarray


@dataclass(frozen=True, slots=True)
class Block:
    """Truth on `n` steps of the grid, for K assets and O outcomes.

    Attributes:
        log_price: (n, K) log of the true price.
        probability: (n, O) true probability.
        seen_log_price: (n, K) the same with the error that all venues share.
        seen_logit: (n, O) logit of the probability with the error that all venues share.
    """

    log_price: np.ndarray
    probability: np.ndarray
    seen_log_price: np.ndarray
    seen_logit: np.ndarray


class World:
    """One truth, seen by every simulated venue of a profile.

    Asset log prices are Brownian: market factor, sector factor and own part. Each market has a latent
    score, a Brownian motion on a variance clock that runs from 0 to 1 at settlement; an outcome is an
    interval of the final score, so that its conditional probability (normal distribution function) is
    exactly a martingale that ends at 0 or 1.

    Args:
        spec: All parameters.
        seed: Same seed, same world, bit for bit.
        start_ns: UTC ns at which it begins.
    """

    def __init__(self, spec: WorldSpec, *, seed: int, start_ns: int) -> None:
        if seed < 0:
            raise InvalidInputError(f"seed must be >= 0, was {seed}")
        self.spec = spec
        self.seed = seed
        self.start_ns = start_ns
        self._assets = _AssetLaw(spec)
        self._outcomes = _OutcomeLaw(spec)
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._starts: OrderedDict[int, _State] = OrderedDict({0: self._first_state()})

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """Return the assets, in the order of the columns of a Block."""
        return tuple(a.id for a in self.spec.assets)

    @property
    def outcome_ids(self) -> tuple[str, ...]:
        """Return the outcomes, in the order of the columns of a Block."""
        return tuple(m.outcome_id(short) for m in self.spec.markets for short, _, _ in m.outcomes)

    def settles_at(self, market: int) -> int:
        """Return when a market settles, UTC ns, by its position in the specification."""
        return self.start_ns + round(self.spec.markets[market].settles_after_s * SECOND_NS)

    def step(self, ts: np.ndarray | int) -> np.ndarray:
        """Return the step of the grid that a time (UTC ns) falls in; times before the start are step 0."""
        return np.maximum((np.asarray(ts, dtype=np.int64) - self.start_ns) // STEP_NS, 0)

    def window(self, first: int, last: int) -> tuple[int, Block]:
        """Return truth that covers the steps `first` to `last`, and the step of its first row."""
        low, high = first // BLOCK_STEPS, last // BLOCK_STEPS
        blocks = [self._block(b) for b in range(low, high + 1)]
        if len(blocks) == 1:
            return low * BLOCK_STEPS, blocks[0]
        joined = (
            np.concatenate([getattr(b, name) for b in blocks])
            for name in ("log_price", "probability", "seen_log_price", "seen_logit")
        )
        return low * BLOCK_STEPS, Block(*joined)

    def truth(self, now: int) -> dict[str, float]:
        """Return true prices and probabilities by instrument at `now` (UTC ns)."""
        step = int(self.step(now))
        first, block = self.window(step, step)
        prices = np.exp(block.log_price[step - first])
        values = [*prices.tolist(), *block.probability[step - first].tolist()]
        return dict(zip(self.asset_ids + self.outcome_ids, values, strict=True))

    def _block(self, number: int) -> Block:
        found = self._blocks.get(number)
        if found is not None:
            self._blocks.move_to_end(number)
            return found
        newest = next(reversed(self._starts))
        for b in range(newest, number):
            self._make(b)
        return self._make(number)

    def _make(self, number: int) -> Block:
        state = self._starts.get(number)
        if state is None:
            raise InvalidInputError(f"the truth is kept for {MAX_BACKLOG_S} s, block {number} is older")
        rng = stream(self.seed, _TRUTH_STREAM, number)
        log_price, next_log = self._assets.walk(state.log_price, rng)
        times_s = (np.arange(BLOCK_STEPS + 1) + number * BLOCK_STEPS) * (STEP_NS / SECOND_NS)
        probability, next_score = self._outcomes.walk(state.score, times_s, rng)
        seen_log, next_asset = _with_error(log_price, state.common_asset, *self._error(0), rng)
        clipped = np.clip(probability, 1e-6, 1.0 - 1e-6)
        seen_logit, next_outcome = _with_error(
            np.log(clipped / (1.0 - clipped)), state.common_outcome, *self._error(1), rng
        )
        self._starts.setdefault(number + 1, _State(next_log, next_score, next_asset, next_outcome))
        block = Block(log_price, probability, seen_log, seen_logit)
        self._blocks[number] = block
        self._forget()
        return block

    def _error(self, kind: int) -> tuple[float, float]:
        scale = 1e-4 if kind == 0 else 1.0
        return self.spec.common_error[kind] * scale, self.spec.common_error_s

    def _forget(self) -> None:
        while len(self._blocks) > _CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        while len(self._starts) > MAX_BACKLOG_S * SECOND_NS // BLOCK_NS + 2:
            self._starts.popitem(last=False)

    def _first_state(self) -> _State:
        return _State(
            self._assets.start,
            np.zeros(len(self.spec.markets)),
            np.zeros(len(self.asset_ids)),
            np.zeros(len(self.outcome_ids)),
        )


def _with_error(
    values: np.ndarray, error: np.ndarray, sd: float, time_constant_s: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    # The error is known at both ends of the block and straight between them: slow against 4 s.
    fresh = rng.standard_normal(len(error))
    if sd == 0.0:
        return values, error
    keep = float(np.exp(-BLOCK_NS / SECOND_NS / time_constant_s))
    after = keep * error + sd * np.sqrt(1.0 - keep**2) * fresh
    share = (np.arange(len(values)) / len(values))[:, None]
    return values + error * (1.0 - share) + after * share, after


class _AssetLaw:
    """Brownian log prices with a market factor, sector factors and an own part; crosses are ratios."""

    def __init__(self, spec: WorldSpec) -> None:
        assets = spec.assets
        free = [a for a in assets if a.cross is None]
        position = {a.id: i for i, a in enumerate(free)}
        sectors = sorted({a.sector for a in free})
        step_sd = np.array([a.volatility for a in free]) * np.sqrt(STEP_NS / SECOND_NS / _YEAR_S)
        self._loadings = np.zeros((1 + len(sectors), len(free)))
        for i, a in enumerate(free):
            self._loadings[0, i] = a.market_beta * step_sd[i]
            self._loadings[1 + sectors.index(a.sector), i] = a.sector_beta * step_sd[i]
        self._own = np.array([a.own_share for a in free]) * step_sd
        self.start = np.log(np.array([a.price for a in free]))
        self._base = np.array([position[a.cross[0] if a.cross else a.id] for a in assets], dtype=np.int64)
        self._cross = np.array([i for i, a in enumerate(assets) if a.cross is not None], dtype=np.int64)
        self._over = np.array([position[a.cross[1]] for a in assets if a.cross is not None], dtype=np.int64)

    def walk(self, start: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (steps, K) log prices of a block and the free assets' state after it."""
        factors = rng.standard_normal((BLOCK_STEPS, len(self._loadings)))
        own = rng.standard_normal((BLOCK_STEPS, len(start)))
        path = start + np.cumsum(factors @ self._loadings + own * self._own, axis=0)
        values = path[:, self._base]
        if len(self._cross):
            values[:, self._cross] -= path[:, self._over]
        return values, path[-1].copy()


class _OutcomeLaw:
    """Intervals of a Gaussian score whose variance clock runs out at settlement."""

    def __init__(self, spec: WorldSpec) -> None:
        self._settle = np.array([m.settles_after_s for m in spec.markets])
        self._event = np.minimum(np.array([m.event_s for m in spec.markets]), self._settle)
        self._share = np.where(self._event < self._settle, np.array([m.event_share for m in spec.markets]), 1.0)
        lower, upper, market = [], [], []
        for i, m in enumerate(spec.markets):
            edges = np.cumsum([p for _, _, p in m.outcomes])
            edges[-1] = 1.0
            upper.extend(ndtri(edges))
            lower.extend(ndtri(np.concatenate([[0.0], edges[:-1]])))
            market.extend([i] * len(m.outcomes))
        self._lower, self._upper = np.array(lower), np.array(upper)
        self._market = np.array(market, dtype=np.int64)

    def walk(self, start: np.ndarray, times_s: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (steps, O) probabilities of a block and the scores after it; `times_s` has one more."""
        clock = self._clock(times_s)
        moves = np.sqrt(np.diff(clock, axis=0)) * rng.standard_normal((BLOCK_STEPS, len(start)))
        # The score at a step has lived through the time before it, so the last move is for the next block.
        path = start + np.concatenate([np.zeros((1, len(start))), np.cumsum(moves, axis=0)])
        left = np.sqrt(np.maximum(1.0 - clock[:-1], _TINY**2))[:, self._market]
        score = path[:-1, self._market]
        probability = ndtr((self._upper - score) / left) - ndtr((self._lower - score) / left)
        return probability, path[-1].copy()

    def _clock(self, times_s: np.ndarray) -> np.ndarray:
        t = times_s[:, None]
        kickoff = self._settle - self._event
        before = (1.0 - self._share) * np.minimum(t, kickoff) / np.maximum(kickoff, _TINY)
        during = self._share * np.clip((t - kickoff) / self._event, 0.0, 1.0)
        return np.asarray(np.minimum(before + during, 1.0))
