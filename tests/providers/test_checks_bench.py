"""The bench of the conformance suite: its clock, its drains, its comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import QueueProvider

from marketstream.market.quotes import QuoteState, empty_quotes
from marketstream.providers.checks_bench import (
    Bench,
    NotConformingError,
    Rig,
    joined,
    live,
    require,
    same_rows,
)

RIG = Rig(make=lambda clock: QueueProvider("queue", clock), seconds=4.0, step_s=0.5)


async def test_a_run_drains_at_every_step_of_the_clock() -> None:
    bench = Bench(RIG)
    start = bench.clock.now_ns()
    bench.provider.enqueue(start + 1_200_000_000)  # type: ignore[attr-defined]
    drains = await bench.run()
    assert [(d.now - start) / 1e9 for d in drains] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert [len(d.rows) for d in drains] == [0, 0, 1, 0, 0, 0, 0, 0]
    assert len(await bench.run(1.0, 0.25)) == 4
    assert len(bench.history) == 12


async def test_benches_share_nothing() -> None:
    first, second = Bench(RIG), Bench(RIG)
    await first.run()
    assert first.catalog is not second.catalog
    assert second.clock.now_ns() < first.clock.now_ns()


def test_rows_are_compared_bit_for_bit_and_missing_prices_are_equal() -> None:
    rows = empty_quotes(3)
    other = rows.copy()
    assert same_rows(rows, other) == ""
    other["ask"][1] = np.nextafter(1.0, 2.0)
    rows["ask"][1] = 1.0
    assert same_rows(rows, other) == "column ask differs"
    assert same_rows(rows, rows[:2]) == "3 rows against 2"


def test_live_rows_are_told_from_state_rows() -> None:
    rows = empty_quotes(3)
    rows["state"][1] = QuoteState.GAP
    assert len(live(rows)) == 2


def test_a_promise_that_is_not_kept_is_an_error_in_words() -> None:
    require(True, "fine")
    with pytest.raises(NotConformingError, match="two rows are missing"):
        require(False, "two rows are missing")


async def test_drains_are_joined_in_order() -> None:
    bench = Bench(RIG)
    start = bench.clock.now_ns()
    for ms in (100, 900, 2500):
        bench.provider.enqueue(start + ms * 1_000_000)  # type: ignore[attr-defined]
    assert ((joined(await bench.run())["ts_received"] - start) // 1_000_000).tolist() == [100, 900, 2500]
