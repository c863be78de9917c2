"""A tapped session and its replay: live cycles are kept with their inputs and made again without a connection."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from marketstream.market.catalog import Catalog
from marketstream.market.quotes import QUOTE_DTYPE
from marketstream.providers.base import Input, Provider


@dataclass
class Session:
    """What came into one provider, in order, with the rows of each cycle at their places."""

    provider: Provider
    log: list[Input | tuple[int, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.provider.tap = self.log.append

    def drain(self, now: int) -> np.ndarray:
        """Drain the live provider and keep the cycle."""
        rows = self.provider.drain(now)
        self.log.append((now, rows.copy()))
        return rows

    @property
    def inputs(self) -> list[Input]:
        """Return the inputs alone."""
        return [entry for entry in self.log if isinstance(entry, Input)]


def check_replay(session: Session, fresh: Provider) -> int:
    """Replay a session into a fresh provider and compare every cycle bit for bit; returns how many rows."""
    fresh.attach(Catalog())
    n_rows = 0
    for entry in session.log:
        if isinstance(entry, Input):
            fresh.replay(entry)
            continue
        now, rows = entry
        again = fresh.drain(now)
        assert columns(again) == columns(rows), f"the replay differs at {now}: {again} instead of {rows}"
        n_rows += len(rows)
    assert fresh.stats.quotes == session.provider.stats.quotes
    assert fresh.stats.refused == session.provider.stats.refused
    assert fresh.stats.frames == session.provider.stats.frames
    return n_rows


def columns(rows: np.ndarray) -> dict[str, bytes]:
    """Return the bytes of every column; those between the columns of packed rows mean nothing."""
    return {name: rows[name].tobytes() for name in QUOTE_DTYPE.names or ()}
