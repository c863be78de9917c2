"""The digest changes with every bit that was computed, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import marketstream as ms
from marketstream.analytics.analysis import Snapshot
from marketstream.clock import ManualClock
from marketstream.engine.digest import StreamDigest
from marketstream.market.state import MarketState


@pytest.fixture
async def moment() -> tuple[MarketState, Snapshot]:
    engine = ms.connect("demo", clock=ManualClock(), warmup_s=5)
    await engine.run_for(1.0)
    await engine.close()
    assert engine.market is not None and engine.snapshot is not None
    return engine.market, engine.snapshot


def digest(*moments: tuple[MarketState | None, Snapshot | None]) -> bytes:
    found = StreamDigest()
    for market, snapshot in moments:
        found.add(market, snapshot)
    return found.value()


async def test_equal_moments_have_equal_digests_also_as_other_objects(moment: tuple[MarketState, Snapshot]) -> None:
    market, snapshot = moment
    again = replace(market, changed=market.changed.copy()), replace(snapshot, fair=snapshot.fair.copy())
    assert digest(moment) == digest(again)


async def test_the_same_moment_counts_once(moment: tuple[MarketState, Snapshot]) -> None:
    assert digest(moment) == digest(moment, moment) != digest()


async def test_the_last_bit_of_a_delta_counts(moment: tuple[MarketState, Snapshot]) -> None:
    market, snapshot = moment
    changed = market.changed.copy()
    changed["ref_mid"][0] = np.nextafter(changed["ref_mid"][0], np.inf)
    assert digest(moment) != digest((replace(market, changed=changed), snapshot))


@pytest.mark.parametrize(("frame", "column"), [("fair", "fair_sd"), ("edges", "edge")])
async def test_the_last_bit_of_a_frame_counts(moment: tuple[MarketState, Snapshot], frame: str, column: str) -> None:
    market, snapshot = moment
    other = getattr(snapshot, frame).copy()
    other.iloc[3, other.columns.get_loc(column)] = np.nextafter(other[column].iloc[3], np.inf)
    assert digest(moment) != digest((market, replace(snapshot, **{frame: other})))


async def test_the_allocation_counts(moment: tuple[MarketState, Snapshot]) -> None:
    market, snapshot = moment
    frame = snapshot.allocation.frame.copy()
    frame.iloc[0, 0] += 1e-15
    other = replace(snapshot, allocation=replace(snapshot.allocation, frame=frame))
    assert digest(moment) != digest((market, other))


async def test_names_and_words_count(moment: tuple[MarketState, Snapshot]) -> None:
    market, snapshot = moment
    words, names = snapshot.fair.copy(), snapshot.fair.rename(index={"BTC-USD": "BTC-USE"})
    words.iloc[0, words.columns.get_loc("left_out")] = "alder: late"
    assert len({digest((market, replace(snapshot, fair=fair))) for fair in (snapshot.fair, words, names)}) == 3


async def test_the_time_of_a_cycle_and_the_order_count(moment: tuple[MarketState, Snapshot]) -> None:
    market, snapshot = moment
    later = replace(market, now=market.now + 1)
    assert digest((market, None), (later, None)) != digest((later, None), (market, None))
    assert digest((market, snapshot)) != digest((later, snapshot))


async def test_one_nan_is_like_another(moment: tuple[MarketState, Snapshot]) -> None:
    market, _ = moment
    found = []
    for bits in (0x7FF8000000000000, 0xFFF8000000000001):
        changed = market.changed.copy()
        changed["sd"][0] = np.array([bits], dtype=np.uint64).view(np.float64)[0]
        found.append(digest((replace(market, changed=changed), None)))
    assert found[0] == found[1]
