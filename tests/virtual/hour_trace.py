"""The raw trace of a virtual hour: everything that came out of the program, and what an observer outside saw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from virtual_exchange import Exchange, Session
from virtual_kraken import WalkingMarket
from virtual_network import Dial

from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent

FEEDS = ("binance", "binance-reserve")
"""Names of the feeds of Binance, in the order of trust."""
KRAKEN = "kraken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What one cycle put out: `at` in virtual seconds, `now` in UTC ns as the program has it."""

    at: float
    now: int
    rows: np.ndarray
    book: np.ndarray
    best: np.ndarray
    changed: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an event in a lane: `done` or `dead`, in the order in which it was so."""

    event_id: str
    what: str


@dataclass(kw_only=True, repr=False)  # asyncio shows the result of a task, which would take as long as the run
class Trace:
    """All of one run.

    Attributes:
        catalog: Gives codes their names.
        exchange: What the feeds of Binance should have said.
        kraken: What the feed of Kraken should have said.
        cycles: Every cycle.
        submitted: Every event that the handlers took in, with virtual seconds.
        booked: Outcomes of the ledger's lane, in order.
        published: What a subscriber of every topic got from the bus, in order.
        fair: The `fair` frames with the `now` of their markets.
        delivered: When a drain of a feed had a LIVE row, virtual seconds, by feed.
        sessions: Connections as the gateways saw them.
        dials: Attempts to connect to a gateway.
        faults: What was played: virtual seconds, name, gateway.
        ended_at: Virtual seconds.
    """

    catalog: Catalog
    exchange: Exchange
    kraken: WalkingMarket
    cycles: list[Cycle] = field(default_factory=list)
    submitted: list[tuple[float, MarketEvent]] = field(default_factory=list)
    booked: list[Outcome] = field(default_factory=list)
    published: list[MarketEvent] = field(default_factory=list)
    fair: list[tuple[int, pd.DataFrame]] = field(default_factory=list)
    delivered: dict[str, list[float]] = field(default_factory=dict)
    sessions: dict[str, list[Session]] = field(default_factory=dict)
    dials: dict[str, list[Dial]] = field(default_factory=dict)
    faults: list[tuple[float, str, str]] = field(default_factory=list)
    ended_at: float = 0.0

    def digest(self) -> str:
        """Return a hash over every output, bit by bit."""
        total = hashlib.sha256()
        for cycle in self.cycles:
            total.update(repr((cycle.at, cycle.now)).encode())
            for array in (cycle.rows, cycle.book, cycle.best, cycle.changed):
                for column in array.dtype.names or ():  # not the padding between them, which is anything
                    total.update(array[column].tobytes())
        for now, fair in self.fair:
            total.update(f"{now} {fair.to_json(double_precision=15)}".encode())
        for each in (*self.submitted, *self.booked, *self.published):
            total.update(repr(each).encode())
        return total.hexdigest()
