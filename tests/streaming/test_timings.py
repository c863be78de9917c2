"""Percentiles of the last calls."""

from __future__ import annotations

import numpy as np

from marketstream.streaming.timings import Timings


def test_percentiles_are_those_of_the_last_three_hundred() -> None:
    timings = Timings()
    for ms in range(1000):
        timings.add(float(ms))
    last = np.arange(700.0, 1000.0)
    assert timings.percentiles() == (np.percentile(last, 50), np.percentile(last, 99))
