"""The catalogue: every instrument, market, venue and provider the engine knows, each with a small stable code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.instruments import Instrument, Kind, Market, Venue

_T = TypeVar("_T")
_Named = TypeVar("_Named", Instrument, Venue, Market)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one provider can quote: the (instrument, venue) pairs and the things they name."""

    instruments: tuple[Instrument, ...]
    venues: tuple[Venue, ...]
    pairs: tuple[tuple[str, str], ...]
    markets: tuple[Market, ...] = ()


class Catalog:
    """Number instruments, venues and providers in order of arrival; codes are never reused.

    Attributes:
        version: Grows with every instrument and venue, and with every change of how long a venue's quotes are fresh.
    """

    def __init__(self) -> None:
        self.version = 0
        self._instruments: dict[str, Instrument] = {}
        self._venues: dict[str, Venue] = {}
        self._markets: dict[str, Market] = {}
        self._providers: dict[str, int] = {}
        self._codes: dict[str, int] = {}
        self._venue_codes: dict[str, int] = {}
        self._index: pd.Index | None = None
        self._is_outcome = np.zeros(0, dtype=np.bool_)
        self._market_codes: dict[str, np.ndarray] = {}

    def add(self, listing: Listing) -> None:
        """Enter all that `listing` names, or nothing of it.

        Raises:
            InvalidInputError: A name is known already with another meaning, or a market names an
                instrument that nobody lists.
            NotFoundError: A pair names an instrument or a venue that nobody lists.
        """
        venues = _new(self._venues, listing.venues, "venue")
        instruments = _new(self._instruments, listing.instruments, "instrument")
        markets = _new(self._markets, listing.markets, "market")
        for market in markets.values():
            unknown = [o for o in market.outcomes if o not in self._codes and o not in instruments]
            if unknown:
                raise InvalidInputError(f"market {market.id!r} names unknown instruments {unknown}")
        for instrument_id, venue_id in listing.pairs:
            if instrument_id not in instruments:
                self.instrument(instrument_id)
            if venue_id not in venues:
                self.venue(venue_id)
        _number(self._venue_codes, venues)
        _number(self._codes, instruments)
        self._venues |= venues
        self._instruments |= instruments
        self._markets |= markets
        for market in markets.values():
            self._market_codes[market.id] = np.array([self._codes[o] for o in market.outcomes], dtype=np.int64)
        self.version += len(venues) + len(instruments)

    def retime(self, venue_id: str, stale_after_s: float) -> None:
        """Change how old a quote of a venue may be, in seconds, from the next cycle on.

        Raises:
            NotFoundError: There is no such venue.
            InvalidInputError: The time is not above 0 and finite.
        """
        venue = self.venue(venue_id)
        if venue.stale_after_s != stale_after_s:
            self._venues[venue_id] = replace(venue, stale_after_s=stale_after_s)
            self.version += 1

    def retime_known(self, listing: Listing) -> None:
        """Take from `listing` how old a quote may be, for those of its venues that are known."""
        for venue in listing.venues:
            if venue.id in self._venues:
                self.retime(venue.id, venue.stale_after_s)

    def add_provider(self, name: str) -> int:
        """Return the code of a provider, giving it one at first sight."""
        return self._providers.setdefault(name, len(self._providers))

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments, in code order."""
        return tuple(self._instruments.values())

    @property
    def venues(self) -> tuple[Venue, ...]:
        """All venues, in code order."""
        return tuple(self._venues.values())

    @property
    def providers(self) -> tuple[str, ...]:
        """All provider names ever seen, in code order."""
        return tuple(self._providers)

    @property
    def markets(self) -> tuple[Market, ...]:
        """All outcome markets, in order of arrival."""
        return tuple(self._markets.values())

    @property
    def n_instruments(self) -> int:
        """How many instruments there are."""
        return len(self._instruments)

    @property
    def n_venues(self) -> int:
        """How many venues there are."""
        return len(self._venues)

    @property
    def index(self) -> pd.Index:
        """Instrument ids in code order, as a pandas Index named `instrument`."""
        if self._index is None or len(self._index) != len(self._instruments):
            self._index = pd.Index(list(self._instruments), name="instrument", dtype=object)
        return self._index

    def instrument(self, instrument_id: str) -> Instrument:
        """Return an instrument by id; NotFoundError when nobody lists it."""
        return _find(self._instruments, instrument_id, "instrument")

    def venue(self, venue_id: str) -> Venue:
        """Return a venue by id; NotFoundError when there is none."""
        return _find(self._venues, venue_id, "venue")

    def market(self, market_id: str) -> Market:
        """Return a market by id; NotFoundError when there is none."""
        return _find(self._markets, market_id, "market")

    def market_codes(self, market_id: str) -> np.ndarray:
        """Return the instrument codes of a market's outcomes, in the market's order."""
        return _find(self._market_codes, market_id, "market")

    def code(self, instrument_id: str) -> int:
        """Return the code of an instrument; NotFoundError when nobody lists it."""
        return _find(self._codes, instrument_id, "instrument")

    def venue_code(self, venue_id: str) -> int:
        """Return the code of a venue; NotFoundError when there is none."""
        return _find(self._venue_codes, venue_id, "venue")

    def is_outcome(self) -> np.ndarray:
        """Return a boolean array by instrument code: True where the price is a probability; read-only."""
        if len(self._is_outcome) != self.n_instruments:
            self._is_outcome = np.fromiter(
                (i.kind is Kind.OUTCOME for i in self._instruments.values()), dtype=np.bool_, count=self.n_instruments
            )
            self._is_outcome.flags.writeable = False
        return self._is_outcome

    def stale_after_ns(self) -> np.ndarray:
        """Return by venue code how old a quote may be, in ns."""
        return np.array([round(v.stale_after_s * 1e9) for v in self._venues.values()], dtype=np.int64)


def _new(known: Mapping[str, _Named], given: Iterable[_Named], what: str) -> dict[str, _Named]:
    # Those that are not known yet, by id.
    found: dict[str, _Named] = {}
    for thing in given:
        same = known.get(thing.id) or found.setdefault(thing.id, thing)
        if same != thing:
            raise InvalidInputError(f"{what} {thing.id!r} is known already with another meaning: {same}")
    return found


def _number(codes: dict[str, int], new: Iterable[str]) -> None:
    for name in new:
        codes[name] = len(codes)


def _find(things: dict[str, _T], key: str, what: str) -> _T:
    try:
        return things[key]
    except KeyError:
        raise NotFoundError(f"unknown {what} {key!r}; there are {_some(things)}") from None


def _some(names: Iterable[str], limit: int = 5) -> str:
    names = list(names)
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "none"
