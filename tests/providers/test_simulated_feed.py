"""What a simulated venue sends in time: its rate, its latency, its order and its silences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS

from marketstream.providers.simulated_assets import AssetFeed
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_world import World


def feed(seconds: float, **changes: object) -> tuple[AssetFeed, np.ndarray]:
    """Return a feed of one changed venue, and its rows of the first seconds."""
    spec = make_world_spec("demo")
    venue = replace(spec.venue("alder"), **changes)  # type: ignore[arg-type]
    spec = replace(spec, venues=(venue, *spec.venues[1:]))
    made = AssetFeed(World(spec, seed=3, start_ns=START_NS), venue)
    made.bind(np.arange(len(made.instruments)), 0)
    return made, made.take(START_NS + round(seconds * SECOND_NS))


def test_the_rate_is_that_of_the_venue_and_its_assets() -> None:
    made, rows = feed(100.0, dropouts_per_hour=0.0)
    expected = 100.0 * 12.0 * sum(a.rate_scale for a in made.world.spec.assets)
    # Poisson: four standard deviations
    assert abs(len(rows) - expected) < 4 * np.sqrt(expected)


def test_receipt_lags_the_venues_own_stamp_by_its_latency() -> None:
    _, rows = feed(100.0, latency_s=0.2)
    delay_s = (rows["ts_received"] - rows["ts_event"]) / SECOND_NS
    assert np.median(delay_s) == pytest.approx(0.2, rel=0.3)
    assert delay_s.min() > 0.0


def test_stamps_and_numbers_never_go_back() -> None:
    _, rows = feed(60.0)
    assert np.all(np.diff(rows["ts_received"]) >= 0)
    assert np.all(np.diff(rows["ts_event"]) >= 0)
    assert np.all(np.diff(rows["seq"]) > 0)


def test_a_venue_falls_silent_as_often_and_as_long_as_it_should() -> None:
    _, rows = feed(1800.0, dropouts_per_hour=60.0, dropout_s=4.0, rate=1.0)
    silences = np.diff(rows["ts_received"]) / SECOND_NS
    long = silences[silences > 1.0]
    # 30 expected, each followed by its length before the next wait begins
    assert 15 <= len(long) <= 45
    assert np.median(long) == pytest.approx(4.0, rel=0.35)
    _, unbroken = feed(600.0, dropouts_per_hour=0.0, rate=1.0)
    assert np.max(np.diff(unbroken["ts_received"])) < SECOND_NS


def test_taking_twice_gives_nothing_new() -> None:
    made, rows = feed(10.0)
    assert len(rows) > 0
    assert len(made.take(START_NS + 10 * SECOND_NS)) == 0
    assert len(made.take(START_NS)) == 0


def test_a_feed_that_skips_goes_on_after_the_gap() -> None:
    made, _ = feed(10.0)
    made.skip_to(START_NS + 500 * SECOND_NS)
    rows = made.take(START_NS + 505 * SECOND_NS)
    assert len(rows) > 100
    assert rows["ts_received"].min() > START_NS + 500 * SECOND_NS


def test_a_short_skip_within_what_is_made_already_works_too() -> None:
    made, rows = feed(10.0)
    made.skip_to(START_NS + 10 * SECOND_NS + 1000)
    later = made.take(START_NS + 12 * SECOND_NS)
    assert later["seq"].min() > rows["seq"].max()


def test_a_snapshot_has_one_row_per_instrument() -> None:
    made, _ = feed(10.0)
    rows = made.snapshot(START_NS + 10 * SECOND_NS, seq=77)
    assert rows["instrument"].tolist() == list(range(len(made.instruments)))
    assert np.all(rows["bid"] < rows["ask"])
    assert set(rows["seq"].tolist()) == {77}
