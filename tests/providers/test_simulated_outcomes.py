"""Simulated odds against closed forms of their margins, the ladder, and the end of a market."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS

from marketstream.market.quotes import QuoteState
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_outcomes import OutcomeFeed, odds_ladder
from marketstream.providers.simulated_spec import Margin, MarketSpec
from marketstream.providers.simulated_world import World

LADDER = odds_ladder()
THREE_WAY = (("home", "Home", 0.5), ("draw", "Draw", 0.3), ("away", "Away", 0.2))


def feed(
    seconds: float, *, settles_after_s: float = 9e6, venue: str = "quayside", **changes: object
) -> tuple[OutcomeFeed, np.ndarray]:
    """Return a feed of one market that by default stands still, and its rows of the first seconds."""
    spec = make_world_spec("demo")
    plain = {"error": 0.0, "noise": 0.0, "lag_s": 0.0, "dropouts_per_hour": 0.0, "rate": 5.0}
    chosen = replace(spec.venue(venue), **(plain | changes))  # type: ignore[arg-type]
    market = MarketSpec(id="M", name="M", outcomes=THREE_WAY, settles_after_s=settles_after_s, event_s=10.0)
    spec = replace(spec, venues=(chosen,), markets=(market,), assets=(), common_error=(0.0, 0.0))
    made = OutcomeFeed(World(spec, seed=3, start_ns=START_NS), chosen)
    made.bind(np.arange(3), 0)
    return made, made.take(START_NS + round(seconds * SECOND_NS))


def house_side(price: float) -> float:
    """Return the price of the highest odds on the ladder that are not above 1/price."""
    return float(1.0 / max(odds for odds in LADDER if odds <= 1.0 / price + 1e-9))


def test_the_ladder_rises_from_1_01_to_1000() -> None:
    assert (LADDER[0], LADDER[-1]) == (1.01, 1000.0)
    assert np.all(np.diff(LADDER) > 0)
    assert {1.5, 2.02, 3.05, 4.1, 6.2, 10.5, 21.0, 32.0, 55.0, 110.0} <= set(LADDER.tolist())
    assert len(LADDER) == 350


@pytest.mark.parametrize(
    ("method", "margin", "price"),
    [
        (Margin.ODDS_RATIO, 0.12, lambda p: p * np.exp(0.12) / (1 - p + p * np.exp(0.12))),
        (Margin.POWER, 0.06, lambda p: p**0.94),
        (Margin.ADDITIVE, 0.02, lambda p: p + 0.02),
    ],
)
def test_a_margin_is_put_on_by_its_formula(method: Margin, margin: float, price: object) -> None:
    _, rows = feed(20.0, method=method, margin=margin)
    for outcome, p in enumerate((0.5, 0.3, 0.2)):
        asks = rows["ask"][rows["instrument"] == outcome]
        assert np.all(np.abs(asks - house_side(price(p))) < 0.011)  # type: ignore[operator]
        assert np.median(asks) == pytest.approx(house_side(price(p)), rel=1e-9)  # type: ignore[operator]


def test_no_margin_is_the_multiplicative_one() -> None:
    for venue in make_world_spec("demo").outcome_venues:
        _, rows = feed(5.0, venue=venue.id, method=venue.method, margin=0.2 if venue.margin < 0.2 else venue.margin)
        prices = [rows["ask"][rows["instrument"] == i][-1] for i in range(3)]
        factors = np.array(prices) / np.array([0.5, 0.3, 0.2])
        assert factors.max() / factors.min() > 1.03, venue.id


def test_a_bookmaker_offers_no_bid_and_keeps_a_margin() -> None:
    _, rows = feed(20.0)
    assert np.all(np.isnan(rows["bid"]))
    assert np.all(rows["bid_size"] == 0.0)
    books = rows["ask"].reshape(-1, 3)
    assert np.all(books.sum(axis=1) > 1.02)
    odds = 1.0 / rows["ask"]
    assert np.max(np.min(np.abs(odds[:, None] - LADDER), axis=1)) < 1e-9


def test_an_exchange_backs_and_lays_around_the_truth() -> None:
    _, rows = feed(20.0, venue="tidemark")
    truth = np.array([0.5, 0.3, 0.2])[rows["instrument"]]
    assert np.all((rows["bid"] < truth + 0.005) & (truth - 0.005 < rows["ask"]))
    assert np.all(rows["bid"] < rows["ask"])
    assert np.all(rows["bid_size"] > 0)


def test_an_update_reprices_the_whole_market_at_once() -> None:
    _, rows = feed(20.0)
    assert rows["instrument"].tolist() == [0, 1, 2] * (len(rows) // 3)
    assert np.all(np.diff(rows["ts_received"].reshape(-1, 3), axis=1) == 0)


def test_a_market_is_closed_once_at_its_settlement_and_then_silent() -> None:
    made, rows = feed(60.0, settles_after_s=30.0)
    closed = rows[rows["state"] == QuoteState.CLOSED]
    assert closed["instrument"].tolist() == [0, 1, 2]
    assert np.all(closed["ts_received"] == START_NS + 30 * SECOND_NS + round(made.venue.latency_s * 1e9))
    assert rows["ts_received"].max() == closed["ts_received"][0]
    assert np.all(np.isnan(closed["ask"]))
    assert set(made.snapshot(START_NS + 61 * SECOND_NS, 1)["state"].tolist()) == {QuoteState.CLOSED}


def test_a_silence_does_not_swallow_the_end_of_a_market() -> None:
    for seed_s in range(20, 30):
        _, rows = feed(40.0, settles_after_s=float(seed_s), dropouts_per_hour=3000.0, dropout_s=8.0)
        assert np.count_nonzero(rows["state"] == QuoteState.CLOSED) == 3


def test_an_outcome_that_is_all_but_certain_is_suspended() -> None:
    made, rows = feed(60.0, settles_after_s=30.0, rate=50.0)
    final = [name for name, p in made.world.truth(START_NS + 31 * SECOND_NS).items() if p == 1.0]
    winner = made.instruments.index(final[0])
    last = rows[(rows["instrument"] == winner) & (rows["state"] != QuoteState.CLOSED)][-1]
    assert last["state"] == QuoteState.SUSPENDED
    assert np.isnan(last["ask"])
    assert last["ask_size"] == 0.0
