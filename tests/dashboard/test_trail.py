"""The trail keeps one sample a second of what charts look back on."""

from __future__ import annotations

import numpy as np
import pytest

from marketstream.dashboard.trail import Trail, venue_mids
from marketstream.engine import Engine
from marketstream.errors import InvalidInputError
from marketstream.market.state import BOOK_DTYPE


async def test_a_second_has_one_sample_however_often_pages_look(engine: Engine) -> None:
    trail = Trail(seconds=5)
    for _ in range(12):
        assert engine.snapshot is not None
        trail.record(engine.snapshot, engine.truth)
        trail.record(engine.snapshot, engine.truth)
        await engine.run_for(0.25)
    assert len(trail) == 3
    path = trail.path(0)
    assert (np.diff(path.times) >= 1_000_000_000).all()


async def test_a_full_trail_forgets_the_oldest(engine: Engine) -> None:
    trail = Trail(seconds=2)
    for _ in range(4):
        assert engine.snapshot is not None
        trail.record(engine.snapshot, engine.truth)
        await engine.run_for(1.0)
    assert engine.snapshot is not None
    path = trail.path(0)
    assert len(path.times) == 2
    assert path.times[-1] > path.times[0] >= engine.snapshot.now - 4_000_000_000


async def test_errors_are_fair_value_minus_truth(engine: Engine) -> None:
    trail = Trail()
    assert engine.snapshot is not None
    trail.record(engine.snapshot, engine.truth)
    error, in_sd = trail.errors()
    fair = engine.snapshot.fair
    first = fair.index[0]
    expected = fair.loc[first, "fair"] - engine.truth()[first]
    assert error[0, 0] == pytest.approx(expected)
    assert in_sd[0, 0] == pytest.approx(expected / fair.loc[first, "fair_sd"])


def test_a_mid_is_the_one_side_there_is_and_nothing_when_not_fresh() -> None:
    book = np.zeros((1, 4), dtype=BOOK_DTYPE)
    book["bid"] = [[1.0, np.nan, 1.0, 1.0]]
    book["ask"] = [[3.0, 2.0, np.nan, 3.0]]
    mids = venue_mids(book, np.array([[True, True, True, False]]))
    assert mids[0, :3].tolist() == [2.0, 2.0, 1.0]
    assert np.isnan(mids[0, 3])


def test_an_instrument_that_nobody_has_seen_has_an_empty_path() -> None:
    assert len(Trail().path(7).times) == 0


def test_a_trail_of_one_second_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 2"):
        Trail(seconds=1)
