"""What one simulated venue sends: blocks of quotes that do not depend on how often they are fetched."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np

from marketstream.clock import SECOND_NS
from marketstream.market.quotes import QuoteState, empty_quotes
from marketstream.providers.simulated_planting import Planting
from marketstream.providers.simulated_spec import VenueSpec
from marketstream.providers.simulated_world import BLOCK_NS, World, stream

_QUOTE_STREAM, _DROPOUT_STREAM, _JOIN_STREAM = 10, 11, 12
_LATENCY_JITTER = 0.2
_ERROR_LIMIT_SD = 3.0


@dataclass(frozen=True, slots=True)
class Span:
    """One block of receipt times [begin, end), UTC ns, with its random numbers and the venue's slow errors.

    Attributes:
        before: Error of every pair at `begin`.
        after: Error of every pair at `end`.
    """

    begin: int
    end: int
    rng: np.random.Generator
    before: np.ndarray
    after: np.ndarray

    @property
    def seconds(self) -> float:
        """Return the length in seconds."""
        return (self.end - self.begin) / SECOND_NS

    def error(self, received: np.ndarray, pair: np.ndarray) -> np.ndarray:
        """Return the slow error of each quote: straight between the ends of the block."""
        share = (received - self.begin) / (self.end - self.begin)
        return np.asarray(self.before[pair] * (1.0 - share) + self.after[pair] * share)


class Feed(abc.ABC):
    """Quotes of one venue about its share of a world.

    Args:
        world: The truth.
        venue: How this venue distorts it.
        instruments: Ids of what it quotes; their position is the pair number.
    """

    def __init__(self, world: World, venue: VenueSpec, instruments: tuple[str, ...]) -> None:
        self.world = world
        self.venue = venue
        self.instruments = instruments
        self.planting = Planting(world)
        self.seq = 0
        self._number = world.spec.venues.index(venue)
        # Venues begin their blocks at different times, so that no cycle pays for all of them.
        self._phase = BLOCK_NS * self._number // len(world.spec.venues)
        self._block = 0
        self._error = self._stationary(stream(world.seed, _JOIN_STREAM, self._number, 0))
        self._last_event = 0
        self._codes = np.zeros(len(instruments), dtype=np.int32)
        self._venue_code = 0
        self._dropouts = stream(world.seed, _DROPOUT_STREAM, self._number)
        self._silence = (world.start_ns, world.start_ns)
        self._next_silence()
        self._pending = empty_quotes()
        self._times = np.zeros(0, dtype=np.int64)
        self._taken = 0

    def bind(self, codes: np.ndarray, venue_code: int) -> None:
        """Set the catalogue's codes of the instruments and the venue."""
        self._codes = codes.astype(np.int32)
        self._venue_code = venue_code

    def take(self, now: int) -> np.ndarray:
        """Return the rows received up to `now` (UTC ns) and not taken before, in order of receipt."""
        if self._begin(self._block) <= now:
            self._fill(now)
        end = int(np.searchsorted(self._times, now, side="right"))
        rows = self._pending[self._taken : end]
        self._taken = max(end, self._taken)
        if len(rows):
            self.seq = int(rows["seq"][-1])
        return rows

    def skip_to(self, now: int) -> None:
        """Forget all rows received up to `now` (UTC ns) without making most of them."""
        target = max((now - self.world.start_ns - self._phase) // BLOCK_NS + 1, 0)
        if target > self._block:
            self._block = target
            self._error = self._stationary(stream(self.world.seed, _JOIN_STREAM, self._number, target))
            self._pending, self._times, self._taken = empty_quotes(), np.zeros(0, dtype=np.int64), 0
        self.take(now)

    def snapshot(self, ts: int, seq: int) -> np.ndarray:
        """Return one row per instrument, as a venue sends on connection; received at `ts` (UTC ns)."""
        rows = self.blank_rows(np.arange(len(self.instruments)), np.full(len(self.instruments), ts))
        rows["ts_event"] = ts - round(self.venue.latency_s * SECOND_NS)
        rows["seq"] = seq
        self._price_snapshot(rows)
        return rows

    def state_rows(self, ts: int, seq: int, state: QuoteState) -> np.ndarray:
        """Return one row per instrument that takes it out of the book; received at `ts` (UTC ns)."""
        rows = self.blank_rows(np.arange(len(self.instruments)), np.full(len(self.instruments), ts))
        rows["ts_event"] = ts
        rows["seq"] = seq
        rows["state"] = state
        return rows

    def blank_rows(self, pair: np.ndarray, received: np.ndarray) -> np.ndarray:
        """Return rows with codes and receipt times filled in and no price yet."""
        rows = empty_quotes(len(pair))
        rows["instrument"] = self._codes[pair]
        rows["venue"] = self._venue_code
        rows["ts_received"] = received
        return rows

    @abc.abstractmethod
    def _quotes(self, span: Span) -> np.ndarray:
        """Return the rows received in a block, in order, with everything set but `seq`."""

    @abc.abstractmethod
    def _price_snapshot(self, rows: np.ndarray) -> None:
        """Fill in prices and sizes of one row per instrument, without noise."""

    def _arrivals(self, span: Span, rate: float) -> tuple[np.ndarray, np.ndarray]:
        # Receipt times of a Poisson process, and the venue's stamps: earlier, in order, as on one connection.
        n = int(span.rng.poisson(rate * span.seconds))
        received = span.begin + np.sort((span.rng.random(n) * (span.end - span.begin)).astype(np.int64))
        jitter = np.exp(_LATENCY_JITTER * span.rng.standard_normal(n))
        event = received - (self.venue.latency_s * SECOND_NS * jitter).astype(np.int64)
        if n:
            event = np.maximum(np.maximum.accumulate(event), self._last_event)
            self._last_event = int(event[-1])
        return received, event

    def _begin(self, block: int) -> int:
        # The first block is short: it ends where the venue's phase begins.
        return self.world.start_ns + (self._phase + (block - 1) * BLOCK_NS if block else 0)

    def _fill(self, now: int) -> None:
        parts = [self._pending[self._taken :]]
        while self._begin(self._block) <= now:
            parts.append(self._make(self._block))
            self._block += 1
        self._pending = np.concatenate(parts)
        self._times = np.ascontiguousarray(self._pending["ts_received"])
        self._taken = 0

    def _make(self, block: int) -> np.ndarray:
        begin, end = self._begin(block), self._begin(block + 1)
        rng = stream(self.world.seed, _QUOTE_STREAM, self._number, block)
        after = self._drift(rng)
        if begin == end:
            return empty_quotes()
        rows = self._quotes(Span(begin, end, rng, self._error, after))
        self._error = after
        rows["seq"] = self._first_seq(block) + np.arange(len(rows))
        return self._without_silences(rows, end)

    def _first_seq(self, block: int) -> int:
        # Room for more rows than a block can have keeps numbers rising, also across skipped blocks.
        return block * 1_000_000 + 1

    def _drift(self, rng: np.random.Generator) -> np.ndarray:
        keep = float(np.exp(-BLOCK_NS / SECOND_NS / self.venue.error_s))
        fresh = self._stationary(rng)
        limit = _ERROR_LIMIT_SD * self.venue.error
        return np.asarray(np.clip(keep * self._error + np.sqrt(1.0 - keep**2) * fresh, -limit, limit))

    def _stationary(self, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(self.venue.error * rng.standard_normal(len(self.instruments)))

    def _without_silences(self, rows: np.ndarray, end: int) -> np.ndarray:
        while self._silence[0] < end:
            received = rows["ts_received"]
            # The end of a market is told whatever happens: losing it would leave its last price in the book.
            heard = (received < self._silence[0]) | (received >= self._silence[1])
            rows = rows[heard | (rows["state"] == QuoteState.CLOSED)]
            if self._silence[1] > end:
                break
            self._next_silence()
        return rows

    def _next_silence(self) -> None:
        per_hour = self.venue.dropouts_per_hour
        if per_hour == 0.0:
            self._silence = (np.iinfo(np.int64).max, np.iinfo(np.int64).max)
            return
        wait_s = self._dropouts.exponential(3600.0 / per_hour)
        length_s = self.venue.dropout_s * float(np.exp(0.5 * self._dropouts.standard_normal()))
        begin = self._silence[1] + round(wait_s * SECOND_NS)
        self._silence = (begin, begin + round(length_s * SECOND_NS))
