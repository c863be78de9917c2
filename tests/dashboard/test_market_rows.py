"""The figures of the Markets table, against the books they come from."""

from __future__ import annotations

import numpy as np
import pytest

from marketstream.dashboard.views.market_rows import (
    change_over,
    market_rows,
    sd_decimals,
    sparklines,
    state_dot,
)
from marketstream.engine import Engine
from marketstream.market.quotes import QuoteState


async def test_every_row_shows_its_own_book(engine: Engine) -> None:
    snapshot = engine.snapshot
    assert snapshot is not None
    rows = market_rows(snapshot, np.zeros(0))
    best = snapshot.market.best_quotes
    for i, name in enumerate(rows["id"]):
        instrument = snapshot.market.catalog.instrument(name)
        assert rows["fair"][i] == pytest.approx(snapshot.fair.loc[name, "fair"], abs=instrument.tick)
        assert rows["bid"][i] == pytest.approx(best.loc[name, "best_bid"], abs=instrument.tick, nan_ok=True)
        assert rows["live"][i] <= rows["of"][i]
    assert {len(column) for column in rows.values()} == {len(best)}


async def test_a_market_without_a_live_source_is_grey_and_says_why(engine: Engine) -> None:
    for name in engine.registry.names:
        await engine.registry.disable(name)
    await engine.run_for(1.0)
    assert engine.snapshot is not None
    rows = market_rows(engine.snapshot, np.zeros(0))
    assert rows["dim"].all() and (rows["live"] == 0).all()
    assert set(rows["dot"]) == {"off"} and set(rows["state_words"]) == {"suspended"}
    assert np.isnan(rows["fair"]).all()


async def test_the_change_is_that_of_the_reference_mid(engine: Engine) -> None:
    assert engine.snapshot is not None
    market = engine.snapshot.market
    mids = market.history.ref_mid
    assert change_over(market, 60)[0] == pytest.approx(mids[0, -1] / mids[0, -61] - 1)
    assert np.isnan(change_over(market, 100_000)).all()


async def test_a_sparkline_is_a_path_of_numbers_only(engine: Engine) -> None:
    assert engine.snapshot is not None
    paths, ways = sparklines(engine.snapshot.market)
    assert len(paths) == len(ways) == engine.catalog.n_instruments
    for path in paths:
        assert set(path) <= set("ML0123456789.,-")


@pytest.mark.parametrize(
    ("state", "age_s", "dot"),
    [
        (QuoteState.LIVE, 0.3, "live"),
        (QuoteState.LIVE, 3.0, "late"),
        (QuoteState.STALE, 37.0, "stale"),
        (QuoteState.GAP, 2.8, "gap"),
        (QuoteState.RESYNCING, 2.8, "gap"),
        (QuoteState.SUSPENDED, 18.0, "off"),
        (QuoteState.CLOSED, 18.0, "off"),
    ],
)
def test_the_shape_of_a_dot_says_the_state(state: QuoteState, age_s: float, dot: str) -> None:
    assert state_dot(state, age_s)[0] == dot


def test_an_uncertainty_below_the_tick_gets_the_decimals_it_needs() -> None:
    decimals = sd_decimals(np.array([2, 2, 2]), np.array([0.5, 0.0004, np.nan]))
    assert decimals.tolist() == [2, 4, 2]
