"""The same rolling deltas in the ways a reader would try first. Each peer is a class whose instances take batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from streamz import Stream
from streamz.dataframe import DataFrame

from marketstream.market.quotes import QuoteBatch

WINDOW = 256


class PlainPython:
    """Dicts and deques: book, mean of venue mids, mean and deviation of the window, z of the change."""

    def __init__(self, n_instruments: int, n_venues: int) -> None:
        self.books: list[dict[int, float]] = [{} for _ in range(n_instruments)]
        self.mids: list[deque[float]] = [deque(maxlen=WINDOW) for _ in range(n_instruments)]
        self.sums = [[0.0, 0.0] for _ in range(n_instruments)]

    def __call__(self, batch: QuoteBatch) -> dict[int, tuple[float, ...]]:
        out = {}
        rows = batch.rows
        for k, v, bid, ask in zip(
            rows["instrument"].tolist(), rows["venue"].tolist(), rows["bid"].tolist(), rows["ask"].tolist(), strict=True
        ):
            book, mids, sums = self.books[k], self.mids[k], self.sums[k]
            book[v] = 0.5 * (bid + ask)
            mid = sum(book.values()) / len(book)
            if len(mids) == WINDOW:
                sums[0] -= mids[0]
                sums[1] -= mids[0] ** 2
            change = mid - mids[-1] if mids else 0.0
            mids.append(mid)
            sums[0] += mid
            sums[1] += mid * mid
            n = len(mids)
            mean = sums[0] / n
            out[k] = (mid, change, mean, max(0.0, sums[1] / n - mean * mean) ** 0.5)
        return out


class PandasRolling:
    """One long frame, `groupby().rolling()` over the newest rows for each batch."""

    def __init__(self, n_instruments: int, n_venues: int) -> None:
        self.keep = WINDOW * n_instruments
        self.frame = pd.DataFrame({"instrument": pd.Series(dtype="int32"), "mid": pd.Series(dtype="float64")})
        rng = np.random.default_rng(0)
        # A window that is full, as it is after some minutes.
        self.frame = pd.DataFrame(
            {
                "instrument": np.tile(np.arange(n_instruments, dtype=np.int32), WINDOW),
                "mid": 100.0 + rng.normal(0, 1e-3, self.keep),
            }
        )

    def __call__(self, batch: QuoteBatch) -> pd.DataFrame:
        new = pd.DataFrame(
            {"instrument": batch.rows["instrument"], "mid": 0.5 * (batch.rows["bid"] + batch.rows["ask"])}
        )
        self.frame = pd.concat([self.frame, new]).iloc[-self.keep :]
        touched = self.frame[self.frame["instrument"].isin(new["instrument"].unique())]
        mids = touched.groupby("instrument")["mid"]
        return pd.DataFrame({"last": mids.last(), "mean": mids.mean(), "sd": mids.std()})


class StreamzDataFrame:
    """streamz.dataframe as its documentation shows it: windowed groupby mean and deviation; no books, no z."""

    def __init__(self, n_instruments: int, n_venues: int) -> None:
        self.source = Stream()
        example = pd.DataFrame({"instrument": pd.Series(dtype="int32"), "mid": pd.Series(dtype="float64")})
        frame = DataFrame(self.source, example=example)
        window = frame.window(n=WINDOW * n_instruments).groupby("instrument")["mid"]
        self.latest: deque[Any] = deque(maxlen=2)
        self.nodes = [window.mean().stream.sink(self.latest.append), window.std().stream.sink(self.latest.append)]

    def __call__(self, batch: QuoteBatch) -> None:
        rows = batch.rows
        self.source.emit(pd.DataFrame({"instrument": rows["instrument"], "mid": 0.5 * (rows["bid"] + rows["ask"])}))
        assert len(self.latest) == 2


PEERS: Mapping[str, Callable[[int, int], Callable[[QuoteBatch], object]]] = {
    "plain Python": PlainPython,
    "pandas groupby": PandasRolling,
    "streamz.dataframe as documented": StreamzDataFrame,
}
