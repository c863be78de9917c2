"""StreamDigest: one number for all that a stream computed, so that a replay can be compared with its recording."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pandas as pd

from marketstream.analytics.analysis import Snapshot
from marketstream.market.state import DELTA_DTYPE, MarketState

DIGEST_BYTES = 16


class StreamDigest:
    """Take in cycle after cycle: the deltas of each, and fair values, edges and allocation where they are new.

    Equal digests mean equal bytes: every number to its last bit, every name, every time, in the same order.
    """

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=DIGEST_BYTES)
        self._market: MarketState | None = None
        self._snapshot: Snapshot | None = None
        self._indexes: dict[int, tuple[pd.Index, bytes]] = {}

    def add(self, market: MarketState | None, snapshot: Snapshot | None) -> None:
        """Take in the newest moment and what was said of it; the same again changes nothing."""
        if market is not None and market is not self._market:
            self._market = market
            self._hash.update(market.now.to_bytes(8, "little", signed=True))
            self._hash.update(b"".join(_column(market.changed[name]) for name in DELTA_DTYPE.names or ()))
        if snapshot is not None and snapshot is not self._snapshot:
            self._snapshot = snapshot
            allocation = snapshot.allocation
            self._hash.update(f"{snapshot.sequence} {allocation.status} {allocation.method}".encode())
            for place, frame in enumerate((snapshot.fair, snapshot.edges, allocation.frame)):
                self._hash.update(self._labels(place, frame.index))
                # Without its labels a frame hands out columns several times as fast.
                for name, column in frame.reset_index(drop=True).items():
                    self._hash.update(str(name).encode())
                    self._hash.update(_column(column.to_numpy()))

    def value(self) -> bytes:
        """Return the digest of all that was taken in so far."""
        return self._hash.digest()

    def _labels(self, place: int, index: pd.Index) -> bytes:
        # The frames of one kind share their index from moment to moment, mostly.
        known = self._indexes.get(place)
        if known is None or known[0] is not index:
            levels = [index.get_level_values(level).to_numpy() for level in range(index.nlevels)]
            known = self._indexes[place] = (index, b"".join(map(_column, levels)))
        return known[1]


def _column(values: np.ndarray) -> bytes:
    # The length first, so that no two columns run into each other; one NaN is like another.
    head = len(values).to_bytes(4, "little")
    if values.dtype.kind == "f":
        return head + np.where(np.isnan(values), np.nan, values).tobytes()
    if values.dtype.kind in "iub":
        return head + values.tobytes()
    return head + "\x00".join(map(str, values.tolist())).encode("utf-8", "surrogatepass")
