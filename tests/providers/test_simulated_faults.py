"""Faults on demand, row by row: when they begin, what they do and how they end."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Fault
from marketstream.providers.simulated import SimulatedProvider, make_world


def provider(venue: str = "birch", seed: int = 3) -> SimulatedProvider:
    world = make_world("null", seed=seed, start_ns=START_NS)
    made = SimulatedProvider(name=venue, clock=ManualClock(START_NS), world=world, venue=venue)
    made.attach(Catalog())
    made.status = ProviderStatus.RUNNING
    return made


def drain(made: SimulatedProvider, until_s: float) -> np.ndarray:
    return made.drain(START_NS + round(until_s * SECOND_NS))


def seconds(rows: np.ndarray) -> np.ndarray:
    return (rows["ts_received"] - START_NS) / SECOND_NS


def test_a_fault_begins_at_the_newest_cycle_and_lasts_as_long_as_asked() -> None:
    made = provider()
    drain(made, 10.0)
    made.play_fault(Fault.STALL, 5.0)
    rows = drain(made, 30.0)
    assert seconds(rows).min() > 15.0
    assert made.stats.refused == {}


def test_a_fault_before_the_first_drain_begins_at_the_clocks_time() -> None:
    made = provider()
    made.play_fault(Fault.STALL, 5.0)
    rows = drain(made, 10.0)
    assert np.all((seconds(rows) == 0.0) | (seconds(rows) > 5.0))


def test_after_a_stall_the_rows_are_those_of_a_feed_that_never_stalled() -> None:
    stalled, undisturbed = provider(), provider()
    drain(stalled, 10.0), drain(undisturbed, 10.0)
    stalled.play_fault(Fault.STALL, 5.0)
    rows, expected = drain(stalled, 30.0), drain(undisturbed, 30.0)
    expected = expected[seconds(expected) > 15.0]
    assert np.array_equal(rows["bid"], expected["bid"])
    assert np.array_equal(rows["seq"], expected["seq"])


def test_a_gap_blanks_every_pair_at_once_and_a_snapshot_ends_it() -> None:
    made = provider()
    n_pairs = len(made.listing().pairs)
    drain(made, 10.0)
    made.play_fault(Fault.GAP, 1.0)
    rows = drain(made, 12.0)
    gap = rows[seconds(rows) < 11.0]
    assert np.all(gap["state"] == QuoteState.GAP)
    assert np.count_nonzero(gap["ts_received"] == START_NS + 10 * SECOND_NS + 1) == n_pairs
    snapshot = rows[rows["ts_received"] == START_NS + 11 * SECOND_NS]
    assert set(snapshot["instrument"].tolist()) == set(range(n_pairs))
    assert np.all(snapshot["state"] == QuoteState.LIVE)
    # every row but the n_pairs of the announcement was a delta that could not be applied
    assert made.stats.refused == {"out_of_sequence": len(gap) - n_pairs}


def test_crossed_quotes_of_a_bookmaker_are_crossed_too() -> None:
    made = provider("quayside")
    drain(made, 10.0)
    made.play_fault(Fault.CROSSED, 5.0)
    rows = drain(made, 15.0)
    assert len(rows) > 10
    assert np.all(rows["state"] == QuoteState.CROSSED)
    assert made.stats.refused == {"crossed": len(rows)}


@pytest.mark.parametrize("venue", ["birch", "quayside", "tidemark"])
def test_a_spike_is_four_per_cent_and_valid(venue: str) -> None:
    spiked, undisturbed = provider(venue), provider(venue)
    drain(spiked, 10.0), drain(undisturbed, 10.0)
    spiked.play_fault(Fault.SPIKE, 5.0)
    rows, plain = drain(spiked, 15.0), drain(undisturbed, 15.0)
    assert spiked.stats.refused == {}
    low = plain["ask"] < 0.9 if venue != "birch" else np.ones(len(rows), dtype=bool)
    expected = np.where(rows["instrument"] % 2 == 0, 1.04, 0.96)
    np.testing.assert_allclose((rows["ask"] / plain["ask"])[low], expected[low], rtol=1e-12)
    assert venue == "birch" or rows["ask"].max() <= 0.999


def test_a_lost_connection_is_told_and_ends_with_a_snapshot() -> None:
    made = provider()
    n_pairs = len(made.listing().pairs)
    drain(made, 10.0)
    made.play_fault(Fault.DISCONNECT, 4.0)
    lost = drain(made, 13.0)
    assert lost["state"].tolist() == [QuoteState.RESYNCING] * n_pairs
    report = made.health(START_NS + 13 * SECOND_NS)
    assert (report.status, report.absence) == (ProviderStatus.DEGRADED, Absence.NO_DATA)
    assert report.detail == "connection lost; back in 1.0 s (played fault)"
    back = drain(made, 15.0)
    assert np.all(back["ts_received"][:n_pairs] == START_NS + 14 * SECOND_NS)
    assert made.health(START_NS + 15 * SECOND_NS).status is ProviderStatus.RUNNING


def test_a_gap_is_named_by_the_health_check() -> None:
    made = provider()
    drain(made, 10.0)
    made.play_fault(Fault.GAP, 2.0)
    drain(made, 11.0)
    assert made.health(START_NS + 11 * SECOND_NS).absence is Absence.GAP


def test_a_snapshot_that_falls_into_a_lost_connection_does_not_come() -> None:
    made = provider()
    drain(made, 10.0)
    made.play_fault(Fault.GAP, 1.0)
    made.play_fault(Fault.DISCONNECT, 3.0)
    rows = drain(made, 12.5)
    assert not np.any(rows["state"] == QuoteState.LIVE)
    assert np.any(drain(made, 14.0)["state"] == QuoteState.LIVE)


@pytest.mark.parametrize("fault", list(Fault))
def test_faults_do_not_depend_on_how_often_the_feed_is_drained(fault: Fault) -> None:
    runs = []
    for step_s in (0.1, 0.7, 20.0):
        made = provider()
        parts = [drain(made, 5.0)]
        made.play_fault(fault, 3.3)
        parts += [drain(made, t) for t in np.arange(5.0 + step_s, 25.0, step_s)]
        parts.append(drain(made, 25.0))
        runs.append(np.concatenate(parts))
    for name in runs[0].dtype.names or ():
        columns = [np.ascontiguousarray(r[name]).tobytes() for r in runs]
        assert columns[0] == columns[1] == columns[2], name


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 3601.0, float("nan")])
def test_a_fault_has_a_sensible_length(duration_s: float) -> None:
    with pytest.raises(InvalidInputError, match="more than 0 and at most 3600"):
        provider().play_fault(Fault.GAP, duration_s)
