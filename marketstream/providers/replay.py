"""Feeds without a connection: rows that were recorded, and the quotes of a file. The engine plays them."""

from __future__ import annotations

import numpy as np

from marketstream.clock import SECOND_NS, Clock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.quotes import QUOTE_DTYPE, Refusal, empty_quotes
from marketstream.providers.base import Input, InputKind, Provider
from marketstream.providers.quote_files import QuoteFile

MAX_EMPTY_PER_GAP = 100
MAX_EMPTY = 1_000_000
"""Most empty cycles of a file of quotes, or as many as it has times with quotes where these are more."""


class RecordedProvider(Provider):
    """A provider whose rows were recorded after decoding, such as a simulated venue; nothing comes but by `replay`.

    Args:
        name: As recorded.
        clock: Moved by the recording.
        kind: As recorded, so that simulated prices are still called simulated.
        listing: As recorded.
        stale_after_s: As recorded, seconds.
    """

    kind = "recorded"

    def __init__(self, *, name: str, clock: Clock, kind: str, listing: Listing, stale_after_s: float = 10.0) -> None:
        super().__init__(name=name, clock=clock, stale_after_s=stale_after_s)
        self.kind = kind
        self._listing = listing
        self._waiting: list[np.ndarray] = []

    def listing(self) -> Listing:
        """Return what was listed when it was recorded."""
        return self._listing

    async def stop(self) -> None:
        """Forget what was not collected."""
        self._waiting.clear()
        await super().stop()

    def collect(self, now: int) -> np.ndarray:
        """Return the rows that were replayed since the last call."""
        waiting, self._waiting = self._waiting, []
        rows = np.concatenate([empty_quotes(), *waiting])
        self.stats.frames += len(rows)
        if self.tap is not None and len(rows):
            self.tap(Input(provider=self.name, kind=InputKind.ROWS, epoch=0, ts=now, body=rows.tobytes()))
        return rows

    def replay(self, given: Input) -> None:
        """Keep recorded rows for the next `collect`."""
        if given.kind is not InputKind.ROWS or len(given.body) % QUOTE_DTYPE.itemsize:
            raise InvalidInputError(f"{self.name!r} replays whole rows, was {given.kind} of {len(given.body)} bytes")
        self._waiting.append(np.frombuffer(given.body, dtype=QUOTE_DTYPE))


class QuoteFileProvider(Provider):
    """The quotes of a file, each received at its own time. One provider carries all of the file's venues.

    Args:
        file: The quotes.
        clock: Moved by the replay.
    """

    kind = "quotes"

    def __init__(self, *, file: QuoteFile, clock: Clock) -> None:
        limits = [venue.stale_after_s for venue in file.listing.venues]
        super().__init__(name=file.path.name[:64], clock=clock, stale_after_s=max(limits))
        self._file = file
        self._rows = file.rows
        self._taken = 0
        for n in file.malformed.values():
            self.stats.refuse(Refusal.MALFORMED, n)

    def listing(self) -> Listing:
        """Return the instruments and venues of the file."""
        return self._file.listing

    def attach(self, catalog: Catalog) -> None:
        """Enter the listing into `catalog` and write its codes into the rows."""
        super().attach(catalog)
        listing = self._file.listing
        instruments = np.array([catalog.code(i.id) for i in listing.instruments], dtype=np.int32)
        venues = np.array([catalog.venue_code(v.id) for v in listing.venues], dtype=np.int16)
        self._rows = self._file.rows.copy()
        self._rows["instrument"] = instruments[self._file.rows["instrument"]]
        self._rows["venue"] = venues[self._file.rows["venue"]]

    def collect(self, now: int) -> np.ndarray:
        """Return the quotes of the file up to `now` that were not returned before."""
        end = int(np.searchsorted(self._rows["ts_received"], now, side="right"))
        rows = self._rows[self._taken : end].copy()
        self._taken = max(end, self._taken)
        self.stats.frames += len(rows)
        if self.tap is not None and len(rows):
            self.tap(Input(provider=self.name, kind=InputKind.ROWS, epoch=0, ts=now, body=rows.tobytes()))
        return rows


def cycle_times(file: QuoteFile) -> np.ndarray:
    """Return when a stream of this file has its cycles, UTC ns: at every time with quotes, and within gaps.

    In a gap, empty cycles follow each other by the file's usual step until every quote is stale: then nothing
    changes any more, and the next cycle is the one that ends the gap. The step is longer where that would be more
    than MAX_EMPTY_PER_GAP of them. The last quote ends the file: what stands at its close is what one wants to read.
    """
    moments = np.unique(file.rows["ts_received"])
    step = max(round(file.step_s * SECOND_NS), 1)
    longest = max(round(venue.stale_after_s * SECOND_NS) for venue in file.listing.venues) + step
    ends = np.append(moments[1:], moments[-1] + 1)
    wanted = np.minimum((ends - moments - 1) // step, longest // step)
    n_empty = _bounded(wanted)
    each, rest = np.divmod(wanted * step, np.maximum(n_empty, 1))
    gap = np.repeat(np.arange(len(moments)), n_empty + 1)
    place = np.arange(len(gap)) - (np.cumsum(n_empty + 1) - (n_empty + 1))[gap]
    # The last of a gap is where it was wanted, to the ns: there every quote is stale.
    last = np.where(place == n_empty[gap], rest[gap], 0)
    return np.asarray(moments[gap] + place * each[gap] + last, dtype=np.int64)


def _bounded(wanted: np.ndarray) -> np.ndarray:
    # How many empty cycles each gap gets: a small file that is dense here and sparse there would have millions.
    most = MAX_EMPTY_PER_GAP
    room = max(MAX_EMPTY, len(wanted))
    while most > 1 and int(np.minimum(wanted, most).sum()) > room:
        most //= 2
    return np.asarray(np.minimum(wanted, most), dtype=np.int64)
