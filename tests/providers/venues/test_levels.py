from __future__ import annotations

import math
import random
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketstream.market.quotes import Refusal
from marketstream.providers.venues.levels import PRICE_SCALE, Ladder, Level, parse_level, price_and_size
from marketstream.providers.venues.readings import FrameRefusedError

_LEVELS = st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0.0, 1.0, 2.5])), max_size=60)


@settings(max_examples=150, deadline=None)
@given(_LEVELS, st.booleans())
def test_a_ladder_is_a_dict_with_its_best_level_known(levels: list[Level], is_bid: bool) -> None:
    ladder, model = Ladder(is_bid=is_bid, depth=30), dict[int, float]()
    for price, size in levels:
        ladder.update([(price, size)])
        model[price] = size
        model = {p: q for p, q in model.items() if q > 0}
        best = (max if is_bid else min)(model, default=None)
        assert ladder.best() == (None if best is None else (best, model[best]))
    assert ladder.levels() == sorted(model.items(), reverse=is_bid)


def _check_one_update_is_applied_whole_before_it_is_cut(make: type[Ladder], seed: int) -> None:
    # A level that is pushed out by one part of an update and let in again by another must still be there.
    rng = random.Random(seed)
    is_bid = rng.random() < 0.5
    ladder, model = make(is_bid=is_bid, depth=5), dict[int, float]()
    for _ in range(30):
        update = [(rng.randrange(1, 15), float(rng.randrange(0, 3))) for _ in range(rng.randrange(0, 9))]
        ladder.update(update)
        model |= dict(update)
        kept = sorted(((p, q) for p, q in model.items() if q > 0), reverse=is_bid)[:5]
        assert ladder.levels() == kept
        model = dict(kept)


class LadderThatCutsEarly(Ladder):
    """A planted bug: the depth is kept after each level, not after the whole update."""

    def update(self, levels: Sequence[Level]) -> None:  # type: ignore[override]
        for level in levels:
            super().update([level])


@pytest.mark.parametrize("seed", range(20))
def test_an_update_is_applied_whole_before_it_is_cut_to_depth(seed: int) -> None:
    _check_one_update_is_applied_whole_before_it_is_cut(Ladder, seed)


def test_the_check_of_depth_catches_a_cut_that_comes_too_early() -> None:
    with pytest.raises(AssertionError):
        for seed in range(20):
            _check_one_update_is_applied_whole_before_it_is_cut(LadderThatCutsEarly, seed)


def test_a_ladder_keeps_its_best_levels_when_it_is_full() -> None:
    prices = list(range(1, 5_101))
    random.Random(2).shuffle(prices)
    bids = Ladder(is_bid=True, depth=5_000, levels=[(p, 1.0) for p in prices])
    asks = Ladder(is_bid=False, depth=5_000)
    asks.update([(p, 1.0) for p in prices])
    assert (len(bids), bids.best()) == (5_000, (5_100, 1.0))
    assert (len(asks), asks.best(), asks.levels()[-1]) == (5_000, (1, 1.0), (5_000, 1.0))


@settings(max_examples=200, deadline=None)
@given(st.decimals(min_value=0, max_value=10**11, places=8), st.decimals(min_value=0, max_value=10**6, places=8))
def test_a_price_is_exact_and_a_size_the_float_of_its_text(price: Decimal, size: Decimal) -> None:
    scaled, quantity = parse_level(f"{price:f}", f"{size:f}")
    assert Decimal(scaled) == price * PRICE_SCALE
    assert quantity == float(size)
    assert price_and_size((scaled, quantity)) == (float(price), float(size))


def test_a_side_that_does_not_exist_is_nan_with_size_0() -> None:
    price, size = price_and_size(None)
    assert math.isnan(price)
    assert size == 0.0


@pytest.mark.parametrize(
    ("price", "size", "reason"),
    [
        ("1e3", "1", Refusal.MALFORMED),
        ("1.", "1", Refusal.MALFORMED),
        (".5", "1", Refusal.MALFORMED),
        ('"1"', "1", Refusal.MALFORMED),
        ("1", "0.1234567890123", Refusal.MALFORMED),
        ("1", "", Refusal.MALFORMED),
        ("-1", "1", Refusal.NOT_POSITIVE),
        ("1", "-1", Refusal.NEGATIVE_SIZE),
    ],
)
def test_what_is_no_plain_decimal_is_refused_with_its_reason(price: str, size: str, reason: Refusal) -> None:
    with pytest.raises(FrameRefusedError) as refused:
        parse_level(price, size)
    assert refused.value.reason is reason
