"""The streamz graph: one graph, one sink, fenced."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from streamz import Stream

from marketstream.market.catalog import Catalog, Listing
from marketstream.market.frames import BEST, BOOKS, DELTAS, check_frame
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import QuoteBatch, QuoteState, empty_quotes
from marketstream.market.state import MarketState
from marketstream.streaming.deltas import DeltaGraph, fenced

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


def listing(*names: str) -> Listing:
    """Assets on two venues."""
    venues = tuple(Venue(id=v, name=v.title(), code=v[:3].upper(), kind=Kind.ASSET) for v in ("alder", "birch"))
    instruments = tuple(Instrument(id=name, kind=Kind.ASSET) for name in names)
    return Listing(
        instruments=instruments, venues=venues, pairs=tuple((i.id, v.id) for i in instruments for v in venues)
    )


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog()
    catalog.add(listing("AAA-USD", "BBB-USD"))
    catalog.add_provider("feed")
    return catalog


def batch(at_s: float, *quotes: tuple[int, int, float]) -> QuoteBatch:
    """Quotes (instrument, venue, mid) received at one moment."""
    rows = empty_quotes(len(quotes))
    for row, (instrument, venue, mid) in zip(rows, quotes, strict=True):
        row["instrument"], row["venue"], row["bid"], row["ask"] = instrument, venue, mid - 0.5, mid + 0.5
    rows["ts_received"] = rows["ts_event"] = START + round(at_s * SECOND)
    return QuoteBatch(rows, START + round(at_s * SECOND))


def test_each_batch_becomes_one_state_with_frames_of_the_house_schemas(catalog: Catalog) -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(catalog, states.append)
    graph.emit(batch(0, (0, 0, 100.0), (0, 1, 102.0)))
    graph.emit(batch(1))
    assert [s.sequence for s in states] == [1, 2]
    check_frame(states[0].deltas, DELTAS)
    check_frame(states[0].books, BOOKS)
    check_frame(states[0].best_quotes, BEST)
    assert list(states[0].deltas.index) == ["AAA-USD"] and states[1].deltas.empty
    best = states[0].best_quotes.loc["AAA-USD"]
    assert (best["best_bid"], best["bid_venue"], best["n_live"]) == (101.5, "birch", 2)
    assert states[0].best_quotes.loc["BBB-USD", "n_live"] == 0
    assert states[0].books.loc[("AAA-USD", "birch"), "source"] == "feed"


def test_an_analyst_can_hang_nodes_on_the_streaming_dataframe(catalog: Catalog) -> None:
    graph = DeltaGraph(catalog, lambda state: None)
    seen: list[pd.DataFrame] = []
    node = graph.deltas[graph.deltas.change > 0].stream.sink(seen.append)
    graph.emit(batch(0, (0, 0, 100.0)))
    graph.emit(batch(1, (0, 0, 101.0)))
    graph.emit(batch(2, (0, 0, 100.5)))
    node.destroy()
    assert [len(frame) for frame in seen] == [0, 1, 0]
    assert seen[1]["change"].iloc[0] == pytest.approx(1.0)


def test_a_node_that_raises_is_counted_and_starves_nobody_before_it(
    catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(catalog, states.append)
    bad = graph.deltas.stream.sink(lambda frame: frame["no such column"])
    graph.emit(batch(0, (0, 0, 100.0)))
    graph.emit(batch(1, (0, 0, 101.0)))
    bad.destroy()
    assert (len(states), graph.errors) == (2, 2)
    assert "a node of the delta graph failed" in caplog.text


def test_a_node_in_front_of_the_sink_would_starve_it() -> None:
    # The planted twin: with the sink connected last, the state of that cycle is lost.
    source, states = Stream(), []
    bad = source.sink(lambda item: 1 / 0)
    sink = source.sink(states.append)
    with pytest.raises(ZeroDivisionError):
        source.emit(1)
    bad.destroy(), sink.destroy()
    assert states == []


def test_fenced_tells_its_owner_and_goes_on() -> None:
    errors: list[BaseException] = []
    assert fenced(lambda item: item.nothing, errors.append)(1) is None
    assert isinstance(errors[0], AttributeError)
    assert fenced(lambda item: item + 1)(1) == 2


def test_a_state_never_changes_after_it_was_given_out(catalog: Catalog) -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(catalog, states.append)
    graph.emit(batch(0, (0, 0, 100.0)))
    before = (states[0].book.tobytes(), states[0].best.tobytes(), states[0].changed.tobytes())
    graph.emit(batch(1, (0, 0, 500.0), (1, 1, 3.0)))
    assert (states[0].book.tobytes(), states[0].best.tobytes(), states[0].changed.tobytes()) == before
    with pytest.raises(ValueError, match="read-only"):
        states[0].book["bid"][0, 0] = 1.0


def test_instruments_that_arrive_later_are_taken_up(catalog: Catalog) -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(catalog, states.append)
    graph.emit(batch(0, (0, 0, 100.0)))
    catalog.add(listing("CCC-USD"))
    graph.emit(batch(1, (2, 0, 7.0)))
    assert states[1].best_quotes.loc["CCC-USD", "mid"] == 7.0
    assert states[1].best_quotes.loc["AAA-USD", "mid"] == 100.0


def test_stale_is_told_from_live_as_time_goes_on_without_quotes(catalog: Catalog) -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(catalog, states.append)
    graph.emit(batch(0, (0, 0, 100.0)))
    graph.emit(batch(11))
    assert states[0].books["state"].tolist() == ["LIVE"]
    assert states[1].books["state"].tolist() == ["STALE"]
    assert states[1].best_quotes.loc["AAA-USD", "n_live"] == 0
    assert QuoteState(int(states[1].book["state"][0, 0])) is QuoteState.LIVE  # as received; age makes it stale


def test_another_time_to_go_stale_holds_from_the_next_cycle_on(catalog: Catalog) -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(catalog, states.append)
    graph.emit(batch(0, (0, 0, 100.0)))
    graph.emit(batch(5))
    assert states[-1].best["n_live"].tolist() == [1, 0]
    catalog.retime("alder", 3.0)
    graph.emit(batch(5.1))
    assert states[-1].best["n_live"].tolist() == [0, 0]
    catalog.retime("alder", 30.0)
    graph.emit(batch(20))
    assert states[-1].best["n_live"].tolist() == [1, 0]


def test_returns_are_log_returns_between_whole_steps(catalog: Catalog) -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(catalog, states.append)
    for second in range(95):
        graph.emit(batch(second + 0.5, (0, 0, 100.0 * 1.001**second)))
    returns = states[-1].returns(30)
    assert returns.shape == (2, 2) and list(returns.columns) == ["AAA-USD", "BBB-USD"]
    np.testing.assert_allclose(returns["AAA-USD"], 30 * np.log(1.001), rtol=1e-9)
    assert returns["BBB-USD"].isna().all()


def test_a_catalogue_without_instruments_gives_empty_frames() -> None:
    states: list[MarketState] = []
    graph = DeltaGraph(Catalog(), states.append)
    graph.emit(batch(0))
    check_frame(states[0].deltas, DELTAS)
    check_frame(states[0].best_quotes, BEST)
    assert states[0].books.empty and graph.errors == 0


def test_a_closed_graph_is_collected(catalog: Catalog) -> None:
    graph = DeltaGraph(catalog, lambda state: None)
    graph.emit(batch(0, (0, 0, 100.0)))
    gone = weakref.ref(graph)
    graph.close()
    del graph
    gc.collect()
    assert gone() is None
