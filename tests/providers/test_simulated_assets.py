"""Simulated asset quotes against the truth: lag, error, spread, ticks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS

from marketstream.providers.simulated_assets import AssetFeed
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_world import STEP_NS, World


def feed(seconds: float, **changes: object) -> tuple[AssetFeed, np.ndarray]:
    spec = make_world_spec("null")
    venue = replace(spec.venue("birch"), **changes)  # type: ignore[arg-type]
    spec = replace(spec, venues=(venue,))
    made = AssetFeed(World(spec, seed=3, start_ns=START_NS), venue)
    made.bind(np.arange(len(made.instruments)), 0)
    return made, made.take(START_NS + round(seconds * SECOND_NS))


def true_logs(made: AssetFeed, rows: np.ndarray, lag_s: float) -> np.ndarray:
    """Return the log truth `lag_s` before each row's event, one step at a time."""
    world, columns = made.world, {n: i for i, n in enumerate(made.world.asset_ids)}
    logs = []
    for row in rows:
        step = max(int(row["ts_event"] - round(lag_s * 1e9) - START_NS) // STEP_NS, 0)
        first, block = world.window(step, step)
        logs.append(block.log_price[step - first, columns[made.instruments[row["instrument"]]]])
    return np.array(logs)


def test_without_error_and_noise_the_mid_is_the_truth_of_a_lag_ago() -> None:
    made, rows = feed(20.0, lag_s=0.4, error=0.0, noise=0.0, spread_bps=1.0)
    rows = rows[::7]
    mid = np.log((rows["bid"] + rows["ask"]) / 2)
    expected = true_logs(made, rows, 0.4)
    ticks = np.array([made.world.spec.assets[i].tick for i in rows["instrument"]])
    assert np.all(np.abs(np.exp(mid) - np.exp(expected)) <= 1.01 * ticks)
    without_lag = true_logs(made, rows, 0.0)
    assert np.mean(np.abs(mid - expected)) < 0.7 * np.mean(np.abs(mid - without_lag))


def test_the_error_has_the_size_of_the_venue() -> None:
    made, rows = feed(300.0, error=3.0, error_s=5.0, noise=1.0, lag_s=0.0, spread_bps=1.0)
    rows = rows[::97]
    scale = np.array([made.world.spec.assets[i].spread_scale for i in rows["instrument"]])
    error = (np.log((rows["bid"] + rows["ask"]) / 2) - true_logs(made, rows, 0.0)) / scale / 1e-4
    # Straight lines between the ends of 4 s blocks take a little off the variance of the slow part.
    assert np.std(error) == pytest.approx(np.sqrt(3.0**2 + 1.0**2), rel=0.2)


def test_the_spread_is_that_of_the_venue() -> None:
    made, rows = feed(60.0, spread_bps=20.0)
    scale = np.array([made.world.spec.assets[i].spread_scale for i in rows["instrument"]])
    spread = (rows["ask"] - rows["bid"]) / rows["bid"] / 1e-4 / scale
    assert np.median(spread) == pytest.approx(20.0, rel=0.05)


def test_prices_are_whole_ticks_and_never_crossed() -> None:
    made, rows = feed(30.0, spread_bps=0.01)
    assert np.all(rows["bid"] < rows["ask"])
    for side in ("bid", "ask"):
        ticks = rows[side] / np.array([made.world.spec.assets[i].tick for i in rows["instrument"]])
        assert np.max(np.abs(ticks - np.round(ticks))) < 1e-4


def test_sizes_are_log_normal_around_the_venues_money() -> None:
    made, rows = feed(60.0, size=50_000.0)
    prices = np.array([made.world.spec.assets[i].price for i in rows["instrument"]])
    money = rows["bid_size"] * prices
    assert np.median(money) == pytest.approx(50_000.0, rel=0.05)
    assert np.std(np.log(money)) == pytest.approx(0.45, rel=0.05)
