"""The retry policy."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.errors import InvalidInputError
from marketstream.market.handling import RetryPolicy


@given(st.integers(1, 10_000), st.integers(0, 2**32))
def test_waits_lie_between_zero_and_the_doubled_bound_up_to_the_cap(failures: int, seed: int) -> None:
    policy = RetryPolicy(first_s=0.5, cap_s=8.0)
    bound = 0.5 * 2 ** (failures - 1) if failures < 5 else 8.0
    assert 0.0 <= policy.wait_s(failures, random.Random(seed)) <= bound


def test_jitter_is_full() -> None:
    # Uniform over the whole range: mean 1/2, and both ends are reached.
    rng = random.Random(1)
    waits = [RetryPolicy(first_s=1.0, cap_s=1.0).wait_s(3, rng) for _ in range(4000)]
    assert abs(sum(waits) / 4000 - 0.5) < 0.02
    assert min(waits) < 0.01 and max(waits) > 0.99


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 0}, {"first_s": 0.0}, {"first_s": 2.0, "cap_s": 1.0}, {"cap_s": float("inf")}],
)
def test_a_policy_that_cannot_be_kept_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        RetryPolicy(**wrong)
