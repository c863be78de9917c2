"""The check that every quote passes at its provider's edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.market.quotes import QuoteState, Refusal, empty_quotes, screen

NOW = 1_767_225_600_000_000_000
IS_OUTCOME = np.array([False, True])


def quote(**values: float) -> np.ndarray:
    """One good quote of instrument 0 (an asset), with some values changed."""
    row = empty_quotes(1)
    good = {"bid": 99.0, "ask": 101.0, "bid_size": 1.0, "ask_size": 1.0, "ts_event": NOW, "ts_received": NOW}
    for name, value in (good | values).items():
        row[name] = value
    return row


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"bid": math.nan}, Refusal.NOT_FINITE),  # a missing side has size 0
        ({"ask": math.inf}, Refusal.NOT_FINITE),
        ({"bid": -math.inf, "bid_size": 0.0}, Refusal.NOT_FINITE),
        ({"bid": math.nan, "bid_size": 0.0, "ask": math.nan, "ask_size": 0.0}, Refusal.NOT_FINITE),
        ({"ask_size": math.nan}, Refusal.NOT_FINITE),
        ({"bid_size": -1.0}, Refusal.NEGATIVE_SIZE),
        ({"bid": 0.0}, Refusal.NOT_POSITIVE),
        ({"bid": -5.0}, Refusal.NOT_POSITIVE),
        ({"instrument": 1, "bid": 0.4, "ask": 1.0}, Refusal.OUT_OF_RANGE),
        ({"instrument": 1, "bid": 0.00009, "ask": 0.4}, Refusal.OUT_OF_RANGE),
        ({"instrument": 1, "bid": math.nan, "bid_size": 0.0, "ask": 1e-300}, Refusal.OUT_OF_RANGE),
        ({"ask": 1.7e308}, Refusal.OUT_OF_RANGE),
        ({"bid": 1e-13}, Refusal.OUT_OF_RANGE),
        ({"bid_size": 1e300}, Refusal.OUT_OF_RANGE),
        ({"ask_size": 1.001e15}, Refusal.OUT_OF_RANGE),
        ({"bid": 102.0}, Refusal.CROSSED),
        ({"ts_event": NOW + 2_000_000_001}, Refusal.EVENT_TIME_AHEAD),
    ],
)
def test_each_fault_is_counted_and_becomes_a_state_row(values: dict[str, float], reason: Refusal) -> None:
    row = quote(**values)
    assert screen(row, IS_OUTCOME, NOW) == {reason: 1}
    expected = QuoteState.CROSSED if reason is Refusal.CROSSED else QuoteState.GAP
    assert row["state"][0] == expected
    assert np.isnan(row["bid"][0]) and np.isnan(row["ask"][0])
    assert (row["bid_size"][0], row["ask_size"][0]) == (0.0, 0.0)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"bid": 101.0},  # locked, not crossed
        {"bid_size": 1e15, "ask_size": 1e15},
        {"bid": math.nan, "bid_size": 0.0},
        {"ask": math.nan, "ask_size": 0.0},
        {"instrument": 1, "bid": math.nan, "bid_size": 0.0, "ask": 0.55},
        {"ts_event": NOW + 2_000_000_000},
        {"ts_event": NOW - 10**15},
        {"bid_size": 0.0},
        {"instrument": 1, "bid": 0.0001, "ask": 0.0002},
        {"bid": 1e-8, "ask": 2e-8},
    ],
)
def test_a_good_quote_goes_through_unchanged(values: dict[str, float]) -> None:
    row = quote(**values)
    before = row.tobytes()
    assert screen(row, IS_OUTCOME, NOW) == {}
    assert row.tobytes() == before


def test_a_state_row_is_left_alone() -> None:
    row = empty_quotes(1)
    row["state"] = QuoteState.RESYNCING
    assert screen(row, IS_OUTCOME, NOW) == {}
    assert row["state"][0] == QuoteState.RESYNCING


def test_one_bad_row_harms_no_other() -> None:
    rows = np.concatenate([quote(), quote(bid=200.0), quote(), quote(ask_size=-1.0)])
    assert screen(rows, IS_OUTCOME, NOW) == {Refusal.CROSSED: 1, Refusal.NEGATIVE_SIZE: 1}
    assert rows["state"].tolist() == [QuoteState.LIVE, QuoteState.CROSSED, QuoteState.LIVE, QuoteState.GAP]


@given(st.floats(), st.floats(), st.floats(), st.floats(), st.integers(0, 1), st.integers(NOW - 10**12, NOW + 10**12))
def test_whatever_comes_in_what_stays_live_is_sound(
    bid: float, ask: float, bid_size: float, ask_size: float, instrument: int, ts_event: int
) -> None:
    row = quote(bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size, instrument=instrument, ts_event=ts_event)
    counts = screen(row, IS_OUTCOME, NOW)
    assert sum(counts.values()) == int(row["state"][0] != QuoteState.LIVE)
    if row["state"][0] == QuoteState.LIVE:
        prices = [p for p in (bid, ask) if not math.isnan(p)]
        assert prices and all(math.isfinite(p) and p > 0 for p in prices)
        assert len(prices) < 2 or bid <= ask
        assert not instrument or max(prices) < 1
        assert bid_size >= 0 and ask_size >= 0
