"""The streamz graph: batches in, rolling deltas out. `streamer.py` feeds it; the kernel does the arithmetic.

    source -> kernel -> to_frame -> streamz DataFrame (`deltas`) -> sink

The graph is synchronous and has no timed node, so it needs no thread and no loop of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from streamz import Stream
from streamz.dataframe import DataFrame as StreamingDataFrame

from marketstream.market.catalog import Catalog
from marketstream.market.frames import DELTAS, empty_frame
from marketstream.market.quotes import QuoteBatch
from marketstream.market.state import History, MarketState, deltas_frame
from marketstream.streaming.kernel import KernelResult, RollingKernel

logger = logging.getLogger(__name__)


class DeltaGraph:
    """Own the graph of one engine.

    `deltas` is a streamz DataFrame with the columns of the `deltas` frame; hang your own nodes on it. A function that
    may fail belongs in `fenced`, since streamz starves the branches after one that raises.

    Args:
        catalog: Gives the codes in a batch their names; may grow between batches.
        on_state: Called with each new MarketState, before any node that was hung on `deltas` later.
        window: Reference mids per instrument in the rolling statistics.
        history_s: Seconds of once-a-second history.
    """

    def __init__(
        self,
        catalog: Catalog,
        on_state: Callable[[MarketState], None],
        *,
        window: int = 256,
        history_s: int = 900,
    ) -> None:
        self.kernel = RollingKernel(catalog.stale_after_ns(), catalog.n_instruments, window=window, history_s=history_s)
        self.errors = 0
        self._catalog = catalog
        self._known = catalog.version
        self._on_state = on_state
        self._sequence = 0
        self._result: KernelResult | None = None
        self._history: History | None = None
        self._samples = -1
        self.source = Stream(stream_name="quotes")
        self.results = self.source.map(self._advance)
        self.deltas = StreamingDataFrame(self.results.map(self._to_frame), example=empty_frame(DELTAS))
        self._sink = self.deltas.stream.sink(self._enqueue)
        self._open = True

    def emit(self, batch: QuoteBatch) -> None:
        """Send one batch through the graph; a node that raises is logged and counted, and the next batch goes on."""
        try:
            self.source.emit(batch)
        except Exception:  # fence: an analyst's own node must not stop the loop
            self.errors += 1
            logger.exception("a node of the delta graph failed at cycle %d", self._sequence)

    def close(self) -> None:
        """Take the sink out of streamz' global table, which would keep this graph for ever; twice is once."""
        if self._open:
            self._open = False
            self._sink.destroy()

    def _advance(self, batch: QuoteBatch) -> KernelResult:
        if self._catalog.version != self._known:
            self._known = self._catalog.version
            self.kernel.resize(self._catalog.stale_after_ns(), self._catalog.n_instruments)
            # Taken again with this cycle: every table of a moment has a row for every instrument.
            self._history = None
        self._result = self.kernel.step(batch)
        return self._result

    def _to_frame(self, result: KernelResult) -> pd.DataFrame:
        return deltas_frame(result.changed, self._catalog)

    def _enqueue(self, _: pd.DataFrame) -> None:
        assert self._result is not None  # noqa: S101  # the kernel node ran just before this sink
        self._sequence += 1
        self._on_state(self._freeze(self._result))

    def _freeze(self, result: KernelResult) -> MarketState:
        if self.kernel.samples_taken != self._samples or self._history is None:
            self._samples = self.kernel.samples_taken
            self._history = self.kernel.history()
        return MarketState(
            sequence=self._sequence,
            now=result.now,
            catalog=self._catalog,
            book=_copy(result.book),
            best=_copy(result.best),
            changed=result.changed,
            history=self._history,
        )


def fenced(
    function: Callable[[Any], Any], on_error: Callable[[BaseException], None] | None = None
) -> Callable[[Any], Any]:
    """Wrap a function for use in the graph: what it raises is logged, told to `on_error`, and None is returned.

    >>> fenced(lambda frame: frame.nothing)(3) is None
    True
    """

    def call(item: Any) -> Any:
        try:
            return function(item)
        except Exception as error:  # fence: see the class above
            logger.warning("%r failed in the delta graph", function, exc_info=True)
            if on_error is not None:
                on_error(error)
            return None

    return call


def _copy(array: np.ndarray) -> np.ndarray:
    # A structured array copies field by field; its bytes copy at once.
    flat = np.frombuffer(array.tobytes(), dtype=array.dtype)
    return flat.reshape(array.shape)
