"""SheetBuilder: collects the facts of one sheet, rounded as they will be shown. What goes in is decided in facts.py."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import numpy as np

from marketstream.analytics.analysis import Snapshot
from marketstream.market.instruments import Instrument, Kind
from marketstream.market.rationale import (
    EDGES,
    FEEDS,
    PORTFOLIO,
    Fact,
    FactSheet,
    RationaleKind,
    fact_id,
)
from marketstream.rationale.names import NameBook, clean_text

_RESERVED = {PORTFOLIO: "the portfolio", FEEDS: "the feeds", EDGES: "the edges"}


class SheetBuilder:
    """Add facts about the portfolio, the feeds, the edges or an instrument; a value that is not finite is no fact.

    Args:
        snapshot: The moment they are about.
        given: Its allocation is a caller's own book, of which no past and no limits are known.
    """

    def __init__(self, snapshot: Snapshot, *, given: bool = False) -> None:
        self.snapshot = snapshot
        self.given = given
        self.catalog = snapshot.market.catalog
        self.names = NameBook(self.catalog)
        self._facts: dict[str, Fact] = {}

    def instrument(self, instrument_id: str) -> Instrument:
        """Return an instrument; NotFoundError when nobody lists it."""
        return self.catalog.instrument(instrument_id)

    def is_fresh(self, instrument_id: str, venue_id: str) -> bool:
        """Return whether the quote of one venue may feed a price."""
        fresh = self.snapshot.market.fresh
        return bool(fresh[self.catalog.code(instrument_id), self.catalog.venue_code(venue_id)])

    def add(
        self,
        subject: str | Instrument,
        metric: str,
        value: float,
        unit: str,
        source: str,
        *,
        decimals: int = 0,
        venue: str | None = None,
        directional: bool = False,
        exact: float | None = None,
        age_ms: float | None = None,
        text: str = "",
    ) -> None:
        """Add one fact unless it is known or not finite.

        Args:
            subject: PORTFOLIO, FEEDS, EDGES or an instrument.
            metric: Of the grammar in docs/rationale.md.
            value: Before rounding, in `unit`; with `exact` given, the value to show.
            unit: As in Fact.
            source: Frame and column, or rule, that it comes from.
            decimals: Digits shown.
            venue: Venue id.
            directional: Its sign is always shown.
            exact: The value before it was apportioned.
            age_ms: Age of the oldest quote behind it.
            text: Words, for units `text` and `UTC`.
        """
        exact = value if exact is None else exact
        if not (math.isfinite(value) and math.isfinite(exact)):
            return
        key, shown = self._subject(subject)
        venue_key = None if venue is None else self.names.venue(self.catalog.venue(venue)).key
        known_as = fact_id(key, metric, venue_key)
        if known_as in self._facts:
            return
        self._facts[known_as] = Fact(
            id=known_as,
            subject=key,
            subject_name=shown,
            metric=metric,
            venue=venue_key,
            value=rounded(value, decimals),
            unit=unit,
            decimals=decimals,
            directional=directional,
            as_of=self.snapshot.now,
            source=_given_source(source) if self.given else source,
            age_ms=age_ms if age_ms is not None and math.isfinite(age_ms) else None,
            exact=exact,
            text=text,
        )

    def count(
        self, subject: str | Instrument, metric: str, value: float, source: str, *, venue: str | None = None
    ) -> None:
        """Add a whole number."""
        self.add(subject, metric, float(value), "count", source, venue=venue)

    def flag(
        self, subject: str | Instrument, metric: str, value: bool, source: str, *, venue: str | None = None
    ) -> None:
        """Add a yes or no."""
        self.add(subject, metric, float(value), "flag", source, venue=venue)

    def words(
        self, subject: str | Instrument, metric: str, text: str, source: str, *, venue: str | None = None
    ) -> None:
        """Add a quotation; nothing when there are no words."""
        text = clean_text(text)
        if text:
            self.add(subject, metric, 1.0, "text", source, venue=venue, text=text)

    def duration(
        self, subject: str | Instrument, metric: str, seconds: float, source: str, *, venue: str | None = None
    ) -> None:
        """Add an age or duration: tenths of a second below 10 s, else whole seconds."""
        if math.isfinite(seconds):
            decimals = 1 if round(seconds, 1) < 10 else 0
            self.add(subject, metric, seconds, "s", source, decimals=decimals, venue=venue, age_ms=seconds * 1000)

    def period(self, subject: str | Instrument, metric: str, seconds: float, source: str) -> None:
        """Add a span of time that a figure is over: whole minutes where it is one, else seconds."""
        if seconds >= 60 and seconds % 60 == 0:
            self.add(subject, metric, seconds / 60, "min", source)
        else:
            self.add(subject, metric, seconds, "s", source, decimals=0 if float(seconds).is_integer() else 1)

    def price(
        self,
        instrument: Instrument,
        metric: str,
        value: float,
        source: str,
        *,
        venue: str | None = None,
        age_ms: float | None = None,
    ) -> None:
        """Add a price in the instrument's own unit and decimals."""
        unit, decimals = price_unit(instrument)
        self.add(instrument, metric, value, unit, source, decimals=decimals, venue=venue, age_ms=age_ms)

    def moment(self) -> None:
        """Add the time of the snapshot, UTC to the second."""
        at = datetime.fromtimestamp(self.snapshot.now // 1_000_000_000, tz=UTC)
        seconds = at.hour * 3600 + at.minute * 60 + at.second
        self.add(FEEDS, "as_of", float(seconds), "UTC", "snapshot.now", text=at.strftime("%H:%M:%S"))

    def value(self, subject: str | Instrument, metric: str) -> float:
        """Return the shown value of a fact that was added, NaN when it was not."""
        fact = self._facts.get(fact_id(self._subject(subject)[0], metric))
        return math.nan if fact is None else fact.value

    def build(self, kind: RationaleKind, subject: Instrument | None) -> FactSheet:
        """Return the finished sheet."""
        return FactSheet(
            kind=kind,
            subject=None if subject is None else self.names.instrument(subject).key,
            as_of=self.snapshot.now,
            sequence=self.snapshot.sequence,
            facts=tuple(self._facts.values()),
            names=tuple(self.names),
        )

    def _subject(self, subject: str | Instrument) -> tuple[str, str]:
        if isinstance(subject, str):
            return subject, _RESERVED[subject]
        name = self.names.instrument(subject)
        return name.key, name.text


def _given_source(source: str) -> str:
    """Return a source as it is where the caller gave the allocation.

    >>> _given_source("sum of allocation.target"), _given_source("allocation.risk")
    ('sum of portfolio_data', 'risk of portfolio_data')
    """
    return re.sub(
        r"allocation\.(\w+)", lambda m: "portfolio_data" if m[1] == "target" else f"{m[1]} of portfolio_data", source
    )


def rounded(value: float, decimals: int) -> float:
    """Round half to even on the binary value, never to negative zero.

    >>> rounded(-0.04, 1), rounded(2.345, 2)
    (0.0, 2.35)
    """
    return round(value, decimals) + 0.0


def apportion(values: np.ndarray, decimals: int) -> np.ndarray:
    """Round parts so that they add up to their rounded total (largest remainder, Hamilton's method).

    Args:
        values: (n,) finite parts.
        decimals: Digits kept.

    Returns:
        (n,) rounded parts, each less than one unit of the last digit off its exact value.

    >>> apportion(np.array([33.333, 33.333, 33.334]), 1).tolist()
    [33.3, 33.3, 33.4]
    """
    scale = 10.0**decimals
    scaled = np.asarray(values, dtype=np.float64) * scale
    floors = np.floor(scaled + 1e-9)
    missing = round(float(scaled.sum())) - int(floors.sum())
    # Stable order: equal remainders are settled by position, so the same book is always shown the same way.
    order = np.argsort(-(scaled - floors), kind="stable")
    floors[order[: max(missing, 0)]] += 1.0
    return np.round(floors / scale, decimals) + 0.0


def price_unit(instrument: Instrument) -> tuple[str, int]:
    """Return unit and decimals of an instrument's prices; a probability has at least four decimals."""
    if instrument.kind is Kind.OUTCOME:
        return "probability", max(4, instrument.decimals)
    # The currency stands beside figures, so it must not be able to say anything else.
    plain = re.fullmatch(r"[A-Z]{2,8}", instrument.quote_currency) is not None
    return instrument.quote_currency if plain else "price units", instrument.decimals
