"""The truth of the simulator against closed forms: volatility, correlation, martingales, settlement."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import START_NS

from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_spec import AssetSpec, MarketSpec, WorldSpec
from marketstream.providers.simulated_world import BLOCK_STEPS, MAX_BACKLOG_S, STEP_NS, World

STEPS_PER_YEAR = 365 * 86_400 / 0.05
THREE_WAY = (("home", "Home", 0.5), ("draw", "Draw", 0.3), ("away", "Away", 0.2))


def world(spec: WorldSpec | None = None, seed: int = 7) -> World:
    return World(make_world_spec("demo") if spec is None else spec, seed=seed, start_ns=START_NS)


def one_match(settles_after_s: float, event_s: float = 4.0, event_share: float = 0.5) -> WorldSpec:
    match = MarketSpec(
        id="M",
        name="M",
        outcomes=THREE_WAY,
        settles_after_s=settles_after_s,
        event_s=event_s,
        event_share=event_share,
    )
    return WorldSpec(name="one", assets=(), markets=(match,), venues=())


@pytest.fixture(scope="module")
def demo() -> tuple[World, np.ndarray]:
    made = world()
    _, block = made.window(0, 150 * BLOCK_STEPS - 1)
    return made, np.diff(block.log_price, axis=0)


def test_the_same_seed_gives_the_same_truth_and_another_seed_another() -> None:
    now = START_NS + 17 * SECOND_NS
    assert world().truth(now) == world().truth(now)
    assert world().truth(now) != world(seed=8).truth(now)


def test_truth_does_not_depend_on_the_order_of_asking() -> None:
    near, far = START_NS + 2 * SECOND_NS, START_NS + 300 * SECOND_NS
    forward, backward = world(), world()
    expected = (forward.truth(near), forward.truth(far))
    later = backward.truth(far)
    assert (backward.truth(near), later) == expected


def test_the_start_has_the_prices_of_the_specification() -> None:
    truth = world().truth(START_NS)
    assert truth["BTC-USD"] == pytest.approx(97_412.5, rel=1e-4)
    assert truth["NGR-EMA:home"] == pytest.approx(0.46, abs=1e-9)
    assert world().truth(START_NS - 5 * SECOND_NS) == truth


def test_volatility_is_the_annualised_one_of_the_specification(demo: tuple[World, np.ndarray]) -> None:
    made, moves = demo
    # 12,000 steps: the standard error of a standard deviation is 0.65 %.
    annual = moves.std(axis=0) * np.sqrt(STEPS_PER_YEAR)
    for i, asset in enumerate(made.spec.assets):
        if asset.cross is None:
            assert annual[i] == pytest.approx(asset.volatility, rel=0.035), asset.id


def test_correlation_is_the_product_of_the_loadings(demo: tuple[World, np.ndarray]) -> None:
    made, moves = demo
    names = list(made.asset_ids)
    btc, eth, uni = (moves[:, names.index(n)] for n in ("BTC-USD", "ETH-USD", "UNI-USD"))
    assert np.corrcoef(btc, eth)[0, 1] == pytest.approx(0.90 * 0.82 + 0.10 * 0.30, abs=0.02)
    assert np.corrcoef(btc, uni)[0, 1] == pytest.approx(0.90 * 0.62, abs=0.03)


def test_a_cross_is_exactly_the_ratio_of_its_two_assets() -> None:
    made = world()
    for second in (0, 50, 333):
        truth = made.truth(START_NS + second * SECOND_NS)
        assert truth["BTC-EUR"] == pytest.approx(truth["BTC-USD"] / truth["EUR-USD"], rel=1e-12)


def test_probabilities_of_a_market_sum_to_one_at_every_step() -> None:
    made = world()
    _, block = made.window(0, 10 * BLOCK_STEPS - 1)
    start = 0
    for market in made.spec.markets:
        columns = block.probability[:, start : start + len(market.outcomes)]
        np.testing.assert_allclose(columns.sum(axis=1), 1.0, atol=1e-12)
        assert columns.min() >= 0.0
        start += len(market.outcomes)


def test_outcome_probabilities_are_martingales_that_end_as_often_as_they_began() -> None:
    n, middle, settled = 800, [], []
    for seed in range(n):
        made = world(one_match(8.0), seed=seed)
        middle.append(list(made.truth(START_NS + 5 * SECOND_NS).values()))
        settled.append(list(made.truth(START_NS + 8 * SECOND_NS).values()))
    began = np.array([0.5, 0.3, 0.2])
    mean, error = np.mean(middle, axis=0), np.std(middle, axis=0) / np.sqrt(n)
    assert np.all(np.std(middle, axis=0) > 0.05), "nothing moved: the test would prove nothing"
    assert np.all(np.abs(mean - began) < 4 * error)
    assert set(np.unique(settled)) == {0.0, 1.0}
    assert np.all(np.sum(settled, axis=1) == 1.0)
    frequency_error = np.sqrt(began * (1 - began) / n)
    assert np.all(np.abs(np.mean(settled, axis=0) - began) < 4 * frequency_error)


def test_most_information_comes_during_the_event() -> None:
    def spread(second: float) -> float:
        moment = START_NS + round(second * SECOND_NS)
        return float(np.std([world(one_match(20.0, 4.0, 0.9), seed=s).truth(moment)["M:home"] for s in range(150)]))

    assert spread(19.0) > 2.0 * spread(15.9)


def test_a_market_stays_settled() -> None:
    made = world(one_match(8.0))
    assert made.settles_at(0) == START_NS + 8 * SECOND_NS
    assert made.truth(START_NS + 8 * SECOND_NS) == made.truth(START_NS + 100 * SECOND_NS)


def test_the_common_error_is_in_what_venues_see_and_not_in_the_truth() -> None:
    made = world()
    _, block = made.window(0, 200 * BLOCK_STEPS - 1)
    error = (block.seen_log_price - block.log_price)[::BLOCK_STEPS]
    # AR(1) with 60 s and a sample of 800 s: 13 independent ones for each of 26 assets.
    assert error[100:].std() == pytest.approx(0.8e-4, rel=0.2)
    null = World(make_world_spec("null"), seed=7, start_ns=START_NS)
    _, block = null.window(0, BLOCK_STEPS)
    assert np.array_equal(block.seen_log_price, block.log_price)


def test_truth_older_than_the_memory_is_refused() -> None:
    spec = WorldSpec(name="one", assets=(AssetSpec(id="A-USD", price=1.0, tick=0.1),), markets=(), venues=())
    made = world(spec)
    made.truth(START_NS + (MAX_BACKLOG_S + 60) * SECOND_NS)
    with pytest.raises(InvalidInputError, match="kept for 3600 s"):
        made.truth(START_NS)
    made.truth(START_NS + 100 * SECOND_NS)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="seed must be >= 0"):
        world(seed=-1)


def test_steps_are_fifty_milliseconds_from_the_start() -> None:
    made = world()
    assert made.step(np.array([START_NS - 9, START_NS, START_NS + STEP_NS])).tolist() == [0, 0, 1]
