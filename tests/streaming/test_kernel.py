"""The rolling kernel against a recompute that shares nothing with it: plain dicts for books, pandas for windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketstream.errors import InvalidInputError
from marketstream.market.quotes import QuoteBatch, QuoteState, empty_quotes
from marketstream.market.state import DELTA_COLUMNS
from marketstream.streaming.kernel import RollingKernel

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
STALE = np.array([10 * SECOND, 4 * SECOND, 7 * SECOND])


def random_quotes(n: int, n_instruments: int, seed: int, *, price: float = 100.0, sd: float = 0.01) -> np.ndarray:
    """Quotes on three venues: bursts and silences, one-sided books, state rows, sizes that are sometimes unknown."""
    rng = np.random.default_rng(seed)
    rows = empty_quotes(n)
    rows["instrument"] = rng.integers(0, n_instruments, n)
    rows["venue"] = rng.integers(0, len(STALE), n)
    mid = price + np.cumsum(rng.normal(0, sd, n))
    rows["bid"], rows["ask"] = mid - sd * rng.random(n), mid + sd * rng.random(n)
    rows["bid_size"] = np.where(rng.random(n) < 0.2, 0.0, rng.lognormal(0, 1, n))
    rows["ask_size"] = np.where(rng.random(n) < 0.2, 0.0, rng.lognormal(0, 1, n))
    one_sided = rng.random(n) < 0.1
    rows["bid"][one_sided] = np.nan
    rows["bid_size"][one_sided] = 0.0
    gone = rng.random(n) < 0.02
    for side in ("bid", "ask"):
        rows[side][gone] = np.nan
        rows[f"{side}_size"][gone] = 0.0
    rows["state"][gone] = QuoteState.GAP
    rows["seq"] = np.arange(n)
    gaps = np.where(rng.random(n) < 0.01, 5 * SECOND, rng.integers(0, SECOND // 20, n))
    rows["ts_received"] = START + np.cumsum(gaps)
    rows["ts_event"] = rows["ts_received"]
    return rows


def in_batches(rows: np.ndarray, size: int) -> list[QuoteBatch]:
    """Cut rows into batches whose `now` is the last receipt."""
    return [
        QuoteBatch(rows[i : i + size], int(rows["ts_received"][i : i + size].max())) for i in range(0, len(rows), size)
    ]


def run(rows: np.ndarray, size: int, n_instruments: int, window: int = 32) -> tuple[RollingKernel, pd.DataFrame]:
    """Return the kernel and, by instrument, the delta row of the last batch that changed it."""
    kernel = RollingKernel(STALE, n_instruments, window=window, history_s=60)
    newest: dict[int, dict[str, float]] = {}
    for batch in in_batches(rows, size):
        for row in kernel.step(batch).changed:
            newest[int(row["instrument"])] = {name: float(row[name]) for name in DELTA_COLUMNS}
    return kernel, pd.DataFrame.from_dict(newest, orient="index").sort_index()


def reference_mid(book: dict[int, np.void], t: int) -> float:
    """The definition in the kernel's docstring, by hand."""
    top = weights = 0.0
    for venue, q in book.items():
        age = t - int(q["ts_received"])
        if q["state"] != QuoteState.LIVE or age > STALE[venue]:
            continue
        sides = [x for x in (q["bid"], q["ask"]) if not np.isnan(x)]
        size = q["bid_size"] + q["ask_size"]
        # The kernel keeps the size weight in single precision.
        weight = float(np.float32(np.sqrt(size) if size > 0 else 1.0)) * (1 - (age - 1) / STALE[venue])
        top += weight * sum(sides) / len(sides)
        weights += weight
    return top / weights if weights > 0 else np.nan


def recompute(rows: np.ndarray, window: int, now: int | None = None) -> pd.DataFrame:
    """Deltas of every instrument at `now`, or at its own last quote, from scratch with pandas."""
    result = {}
    for k in np.unique(rows["instrument"]):
        own = rows[rows["instrument"] == k]
        book: dict[int, np.void] = {}
        mids = []
        for q in own:
            book[int(q["venue"])] = q
            if q["state"] == QuoteState.LIVE:
                mids.append(reference_mid(book, int(q["ts_received"])))
        ref = pd.Series(mids)
        changes = ref.tail(window).diff().dropna()
        before = changes.iloc[:-1]
        live = own["ts_received"][own["state"] == QuoteState.LIVE]
        # Each instrument's row was written in the cycle of its own last quote.
        at = int(live[-1]) if now is None else now
        second, seconds = at // SECOND, live // SECOND
        span = min(10, second - seconds[0])
        result[int(k)] = {
            "ref_mid": ref.iloc[-1],
            "change": ref.iloc[-1] - ref.iloc[-2],
            "rel_change": ref.iloc[-1] / ref.iloc[-2] - 1,
            "mean": ref.tail(window).mean(),
            "sd": ref.tail(window).std(),
            "z_change": (changes.iloc[-1] - before.mean()) / before.std() if len(before) >= 20 else np.nan,
            "rate": np.count_nonzero((seconds < second) & (seconds >= second - span)) / span,
            "age_ms": (at - int(live[-1])) / 1e6,
        }
    return pd.DataFrame.from_dict(result, orient="index").sort_index()


def test_the_age_is_that_of_the_last_quote_at_the_end_of_the_cycle() -> None:
    row = empty_quotes(1)
    row["bid"] = row["ask"] = 1.0
    row["ts_received"] = START
    changed = RollingKernel(STALE, 1).step(QuoteBatch(row, START + 250_000_000)).changed
    assert changed["age_ms"][0] == 250.0


STATISTICS = ["ref_mid", "change", "mean", "sd", "z_change"]


@pytest.mark.parametrize("seed", range(4))
def test_deltas_equal_a_pandas_recompute(seed: int) -> None:
    rows = random_quotes(3000, 5, seed)
    rows["state"][-60:] = QuoteState.LIVE  # the last row of each instrument is a price
    rows["bid"][-60:] = rows["ask"][-60:] = 101.0 + np.arange(60) * 0.001
    _, newest = run(rows, 1, 5)
    expected = recompute(rows, 32)
    for name in [*STATISTICS, "rel_change", "rate", "age_ms"]:
        np.testing.assert_allclose(newest[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_deltas_equal_a_pandas_recompute_at_the_house_window_of_256() -> None:
    rows = random_quotes(2500, 2, 21)
    rows["state"][-40:] = QuoteState.LIVE
    rows["bid"][-40:] = rows["ask"][-40:] = 101.0 + np.arange(40) * 0.001
    _, newest = run(rows, 17, 2, window=256)
    expected = recompute(rows, 256)
    for name in STATISTICS:
        np.testing.assert_allclose(newest[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_large_price_with_a_tiny_spread_keeps_its_digits() -> None:
    # The textbook sum of squares gives 0.0044 here in place of about 0.001.
    rows = random_quotes(2000, 1, 9, price=65_000.0, sd=1e-5)
    rows["state"] = QuoteState.LIVE
    rows["bid"] = rows["ask"] = 65_000.0 + np.random.default_rng(1).normal(0, 1e-3, 2000)
    kernel, newest = run(rows, 10, 1)
    # The mids themselves carry a rounding of 1e-11; compare the statistics of the very mids in the ring.
    mids = pd.Series(np.roll(kernel._ring[0], -int(kernel._rolling["head"][0])))
    changes = mids.diff().dropna()
    assert newest["sd"].iloc[0] == pytest.approx(mids.std(), rel=1e-9)
    assert newest["mean"].iloc[0] == pytest.approx(mids.mean(), rel=1e-15)
    z = (changes.iloc[-1] - changes.iloc[:-1].mean()) / changes.iloc[:-1].std()
    assert newest["z_change"].iloc[0] == pytest.approx(z, rel=1e-9)


@given(size=st.integers(1, 400), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_results_do_not_depend_on_the_batch_size(size: int, seed: int) -> None:
    rows = random_quotes(800, 4, seed)
    one, _ = run(rows, 1, 4)
    other, _ = run(rows, size, 4)
    now = int(rows["ts_received"][-1]) + SECOND
    # A last quote for everyone at one moment shows the whole state of both kernels.
    last = empty_quotes(4)
    last["instrument"], last["venue"] = np.arange(4), 0
    last["bid"], last["ask"], last["ts_received"] = 99.0, 101.0, now
    a, b = one.step(QuoteBatch(last, now)), other.step(QuoteBatch(last, now))
    assert a.changed.tobytes() == b.changed.tobytes()
    assert a.best.tobytes() == b.best.tobytes()
    np.testing.assert_array_equal(one.history().ref_mid, other.history().ref_mid)
    np.testing.assert_array_equal(one.history().times, other.history().times)


def test_the_batch_size_check_catches_a_kernel_that_prices_at_the_batch_end() -> None:
    rows = random_quotes(800, 4, 3)
    late = rows.copy()
    for i in range(0, len(late), 50):
        # What a kernel would see that took the cycle's time for every quote of the batch.
        late["ts_received"][i : i + 50] = late["ts_received"][i : i + 50].max()
    one, _ = run(rows, 1, 4)
    other, _ = run(late, 50, 4)
    now = int(rows["ts_received"][-1]) + SECOND
    empty = QuoteBatch(empty_quotes(0), now)
    one.step(empty), other.step(empty)
    assert not np.array_equal(one._ring, other._ring)


def test_rate_counts_quotes_of_the_last_ten_whole_seconds() -> None:
    rows = empty_quotes(200)
    rows["bid"] = rows["ask"] = 1.0
    rows["ts_received"] = START + np.sort(np.random.default_rng(0).integers(0, 25 * SECOND, 200))
    kernel = RollingKernel(STALE, 1, window=32, history_s=60)
    changed = kernel.step(QuoteBatch(rows, int(rows["ts_received"][-1]))).changed
    second = rows["ts_received"][-1] // SECOND
    seconds = rows["ts_received"] // SECOND
    expected = np.count_nonzero((seconds < second) & (seconds >= second - 10)) / 10
    assert changed["rate"][0] == expected


def test_rate_is_unknown_before_the_first_whole_second_and_falls_to_zero_in_silence() -> None:
    kernel = RollingKernel(STALE, 1, window=32, history_s=60)
    row = empty_quotes(1)
    row["bid"] = row["ask"] = 1.0
    row["ts_received"] = START
    assert np.isnan(kernel.step(QuoteBatch(row, START)).changed["rate"][0])
    row["ts_received"] = START + 60 * SECOND
    assert kernel.step(QuoteBatch(row, START + 60 * SECOND)).changed["rate"][0] == 0.0


def test_best_is_taken_over_fresh_venues_only() -> None:
    rows = empty_quotes(3)
    rows["venue"] = [0, 1, 2]
    rows["bid"], rows["ask"] = [99.0, 100.0, 98.0], [101.0, 100.5, 102.0]
    rows["ts_received"] = START
    kernel = RollingKernel(STALE, 1, window=32, history_s=60)
    best = kernel.step(QuoteBatch(rows, START)).best[0].copy()
    assert (best["best_bid"], best["bid_venue"], best["best_ask"], best["ask_venue"]) == (100.0, 1, 100.5, 1)
    assert (best["n_live"], best["mid"], best["crossed"]) == (3, 100.25, False)
    # Venue 1 is stale after 4 s, and nothing but an empty cycle comes to say so.
    best = kernel.step(QuoteBatch(empty_quotes(0), START + 5 * SECOND)).best[0].copy()
    assert (best["best_bid"], best["bid_venue"], best["n_live"]) == (99.0, 0, 2)
    best = kernel.step(QuoteBatch(empty_quotes(0), START + 11 * SECOND)).best[0].copy()
    assert np.isnan(best["best_bid"]) and best["bid_venue"] == -1 and best["n_live"] == 0


def test_a_cross_between_venues_is_shown_and_not_repaired() -> None:
    rows = empty_quotes(2)
    rows["venue"] = [0, 1]
    rows["bid"], rows["ask"] = [100.0, 98.0], [101.0, 99.0]
    rows["ts_received"] = START
    best = RollingKernel(STALE, 1).step(QuoteBatch(rows, START)).best[0]
    assert best["crossed"] and best["spread"] == -1.0 and best["best_bid"] == 100.0 and best["best_ask"] == 99.0


def test_a_state_row_takes_the_venue_out_until_its_next_live_quote() -> None:
    rows = empty_quotes(2)
    rows["venue"] = [0, 1]
    rows["bid"], rows["ask"] = [100.0, 90.0], [101.0, 91.0]
    rows["ts_received"] = START
    kernel = RollingKernel(STALE, 1)
    kernel.step(QuoteBatch(rows, START))
    gone = empty_quotes(1)
    gone["state"], gone["ts_received"] = QuoteState.GAP, START + 1
    result = kernel.step(QuoteBatch(gone, START + 1))
    assert result.best["best_bid"][0] == 90.0 and result.best["n_live"][0] == 1
    back = rows[:1].copy()
    back["ts_received"] = START + 2
    assert kernel.step(QuoteBatch(back, START + 2)).best["best_bid"][0] == 100.0


def test_an_instrument_without_a_fresh_venue_has_no_reference_mid() -> None:
    row = empty_quotes(1)
    row["bid"], row["ask"], row["ts_received"] = 1.0, 2.0, START
    kernel = RollingKernel(STALE, 1)
    kernel.step(QuoteBatch(row, START))
    gone = empty_quotes(1)
    gone["state"], gone["ts_received"] = QuoteState.SUSPENDED, START + 1
    changed = kernel.step(QuoteBatch(gone, START + 1)).changed
    assert len(changed) == 1 and np.isnan(changed["ref_mid"][0]) and np.isnan(changed["change"][0])


def test_rows_out_of_order_or_with_unknown_codes_change_nothing_and_are_counted() -> None:
    rows = random_quotes(200, 2, 1)
    kernel, _ = run(rows, 50, 2)
    before = (kernel._book.tobytes(), kernel._ring.tobytes())
    bad = rows[:3].copy()
    bad["venue"] = 0
    bad["instrument"] = [0, -1, 7]
    bad["ts_received"][0] = START - 1
    kernel.step(QuoteBatch(bad, int(rows["ts_received"][-1])))
    assert (kernel._book.tobytes(), kernel._ring.tobytes()) == before
    assert (kernel.out_of_order, kernel.unknown) == (1, 2)


def test_history_has_one_sample_a_second_and_survives_a_long_pause() -> None:
    rows = random_quotes(500, 2, 5)
    kernel, _ = run(rows, 7, 2)
    history = kernel.history()
    assert len(history.times) == min(60, kernel.samples_taken)
    assert set(np.diff(history.times)) == {SECOND}
    now = int(rows["ts_received"][-1]) + 3600 * SECOND
    kernel.step(QuoteBatch(empty_quotes(0), now))
    history = kernel.history()
    assert len(history.times) == 60 and now - SECOND < history.times[-1] <= now
    assert np.isnan(history.ref_mid).all()


def test_a_sample_holds_the_reference_mid_of_that_second() -> None:
    rows = random_quotes(400, 1, 8)
    kernel, _ = run(rows, 30, 1)
    history = kernel.history()
    for t, sampled in zip(history.times, history.ref_mid[0], strict=True):
        book = {int(q["venue"]): q for q in rows[rows["ts_received"] < t]}
        expected = reference_mid(book, int(t))
        assert sampled == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_growing_keeps_what_is_known() -> None:
    rows = random_quotes(600, 3, 2)
    whole = RollingKernel(STALE, 6, window=32, history_s=60)
    grown = RollingKernel(STALE, 3, window=32, history_s=60)
    batches = in_batches(rows, 40)
    for i, batch in enumerate(batches):
        if i == 5:
            grown.resize(np.append(STALE, 5 * SECOND), 6)
        a, b = whole.step(batch), grown.step(batch)
        assert a.changed.tobytes() == b.changed.tobytes()
    assert grown.shape == (6, 4)
    with pytest.raises(InvalidInputError, match="cannot shrink"):
        grown.resize(STALE, 6)


def test_state_stays_within_2500_bytes_per_instrument_for_four_venues() -> None:
    assert RollingKernel(np.full(4, 10 * SECOND), 500, window=256).bytes_per_instrument() <= 2500


@pytest.mark.parametrize(("name", "value"), [("window", 3), ("window", 40_000), ("history_s", 0)])
def test_sizes_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(InvalidInputError, match=name):
        RollingKernel(STALE, 1, **{name: value})
