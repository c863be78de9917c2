"""Feeds without a connection give what was recorded, or what a file holds, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from marketstream.clock import SECOND_NS, ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog, Listing
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import empty_quotes
from marketstream.providers.base import Input, InputKind
from marketstream.providers.quote_files import QuoteFile, load_quotes
from marketstream.providers.replay import QuoteFileProvider, RecordedProvider, cycle_times

LISTING = Listing(
    instruments=(Instrument(id="X-USD", kind=Kind.ASSET),),
    venues=(Venue(id="a", name="A", code="AAA", kind=Kind.ASSET),),
    pairs=(("X-USD", "a"),),
)


def recorded() -> RecordedProvider:
    provider = RecordedProvider(name="a", clock=ManualClock(), kind="simulated", listing=LISTING)
    provider.attach(Catalog())
    return provider


def rows(n: int) -> np.ndarray:
    found = empty_quotes(n)
    found["bid"], found["ask"] = 1.0, 2.0
    found["ts_received"] = np.arange(n)
    return found


def given(body: bytes, kind: InputKind = InputKind.ROWS) -> Input:
    return Input(provider="a", kind=kind, epoch=0, ts=0, body=body)


def test_recorded_rows_come_once_and_in_order() -> None:
    provider = recorded()
    provider.replay(given(rows(2).tobytes()))
    provider.replay(given(rows(3).tobytes()))
    assert provider.drain(10)["ts_received"].tolist() == [0, 1, 0, 1, 2]
    assert len(provider.drain(11)) == 0


def test_a_recorded_provider_keeps_its_kind_and_listing() -> None:
    assert recorded().kind == "simulated" and recorded().listing() == LISTING


async def test_what_was_not_collected_goes_with_a_stop() -> None:
    provider = recorded()
    provider.replay(given(rows(2).tobytes()))
    await provider.stop()
    assert len(provider.drain(10)) == 0


@pytest.mark.parametrize("wrong", [given(b"12345"), given(b"", InputKind.FRAME)])
def test_what_is_no_whole_row_is_refused(wrong: Input) -> None:
    with pytest.raises(InvalidInputError, match="whole rows"):
        recorded().replay(wrong)


def quotes(folder: Path, *times: float, stale_after_s: float | None = None) -> QuoteFile:
    from marketstream.providers.quote_files import QuoteFileOptions

    path = folder / "quotes.csv"
    path.write_text("ts,venue,instrument,bid,ask\n" + "".join(f"{t},a,X/USD,1,2\n" for t in times))
    return load_quotes(path, QuoteFileOptions(stale_after_s=stale_after_s))


def seconds(times: np.ndarray) -> list[float]:
    return [float(t) for t in times / SECOND_NS]


def test_quotes_of_a_file_come_at_their_own_times(tmp_path: Path) -> None:
    provider = QuoteFileProvider(file=quotes(tmp_path, 100, 101, 103), clock=ManualClock())
    provider.attach(Catalog())
    assert seconds(provider.drain(101 * SECOND_NS)["ts_received"]) == [100.0, 101.0]
    assert len(provider.drain(102 * SECOND_NS)) == 0
    assert seconds(provider.drain(200 * SECOND_NS)["ts_received"]) == [103.0]


def test_codes_are_those_of_the_catalogue(tmp_path: Path) -> None:
    catalog = Catalog()
    venues = (Venue(id="z", name="Z", code="ZZZ", kind=Kind.ASSET),)
    catalog.add(Listing(instruments=(Instrument(id="Y-USD", kind=Kind.ASSET),), venues=venues, pairs=()))
    provider = QuoteFileProvider(file=quotes(tmp_path, 100), clock=ManualClock())
    provider.attach(catalog)
    (row,) = provider.drain(100 * SECOND_NS)
    assert (row["instrument"], row["venue"]) == (catalog.code("X-USD"), catalog.venue_code("a")) == (1, 1)


def test_bad_rows_are_refused_by_the_usual_screen_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text("ts,venue,instrument,bid,ask\n1,a,X/USD,3,2\n2,a,X/USD,-1,2\n3,a,X/USD,x,2\n4,a,X/USD,1,2\n")
    provider = QuoteFileProvider(file=load_quotes(path), clock=ManualClock())
    provider.attach(Catalog())
    provider.drain(10 * SECOND_NS)
    assert provider.stats.quotes == 1
    assert provider.stats.refused == {"crossed": 1, "not_positive": 1, "malformed": 1}


def test_a_file_has_one_cycle_per_time_and_empty_ones_in_gaps(tmp_path: Path) -> None:
    times = cycle_times(quotes(tmp_path, 1, 2, 3, 3, 6, 7, stale_after_s=2.0))
    assert seconds(times) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_a_long_gap_is_crossed_once_every_quote_is_stale(tmp_path: Path) -> None:
    times = cycle_times(quotes(tmp_path, 1, 2, 3, 1000, stale_after_s=2.0))
    assert seconds(times) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0]


def dense_and_sparse(folder: Path, n: int) -> QuoteFile:
    return quotes(folder, *(4_000.0 * i + part for i in range(n) for part in (0.0, 0.1)), stale_after_s=3_600.0)


def test_a_file_that_is_dense_here_and_sparse_there_has_a_hundred_empty_cycles_a_gap(tmp_path: Path) -> None:
    times = cycle_times(dense_and_sparse(tmp_path, 20))
    assert len(times) == 40 + 19 * 100
    gap = seconds(times[1:102])
    # From 0.1 s until after 3,600 s, when every quote is stale, in equal steps.
    assert gap[0] == 0.1 and gap[-1] == pytest.approx(3_600.2, abs=0.11)
    assert np.diff(gap) == pytest.approx(36.001, abs=0.002)


def test_that_check_finds_gaps_without_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketstream.providers.replay.MAX_EMPTY_PER_GAP", 1 << 40)
    assert len(cycle_times(dense_and_sparse(tmp_path, 20))) > 19 * 30_000


def test_the_empty_cycles_of_a_whole_file_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketstream.providers.replay.MAX_EMPTY", 500)
    file = dense_and_sparse(tmp_path, 20)
    times = cycle_times(file)
    assert len(times) <= 40 + 500 and np.all(np.diff(times) > 0) and np.isin(file.rows["ts_received"], times).all()


def test_cycles_never_go_back_and_hold_every_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    file = quotes(tmp_path, *np.cumsum(rng.exponential(2.0, 200)).round(3), stale_after_s=7.0)
    times = cycle_times(file)
    assert np.all(np.diff(times) > 0)
    assert np.isin(file.rows["ts_received"], times).all()
