"""How long calls took: the last few hundred, as the reports of bus and handlers show them."""

from __future__ import annotations

from collections import deque

import numpy as np


class Timings:
    """The last 300 durations in ms.

    >>> timings = Timings()
    >>> timings.percentiles()
    (None, None)
    >>> for ms in (1.0, 2.0, 3.0):
    ...     timings.add(ms)
    >>> timings.percentiles()[0]
    2.0
    """

    def __init__(self) -> None:
        self._ms: deque[float] = deque(maxlen=300)

    def add(self, ms: float) -> None:
        """Note one duration."""
        self._ms.append(ms)

    def percentiles(self) -> tuple[float | None, float | None]:
        """Return the median and the 99th percentile, ms; None before the first."""
        if not self._ms:
            return None, None
        p50, p99 = np.percentile(np.array(self._ms), (50, 99))
        return float(p50), float(p99)
