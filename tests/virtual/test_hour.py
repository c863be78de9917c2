"""An hour of faults in virtual time: what must hold holds, and each planted bug is seen by the check that is for it.

MARKETSTREAM_SOAK=50 runs fifty hours in place of five (`make soak`).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_plan import FAULTS, plan
from hour import HOUR_S, run_hour
from hour_checks import CHECKS, complaints
from hour_program import Parts
from planted_bugs import PLANTS, Plant, leaking

SOAK = int(os.environ.get("MARKETSTREAM_SOAK", "0"))
SHORT_S = 600.0


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    # Every fault is planned, and thousands of warnings would bury a real one.
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", range(1, 6))
def test_an_hour_of_faults_leaves_nothing_to_complain_of(seed: int) -> None:
    trace = run_hour(seed)
    assert complaints(trace) == {}
    assert {name for _, name, _ in trace.faults} == set(FAULTS)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    digests = [run_hour(seed, length_s=SHORT_S / 2).digest() for seed in (7, 7, 8)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.process
@pytest.mark.timeout(90)
def test_another_process_gives_the_same_trace() -> None:
    code = (
        "import logging, hour; logging.disable(logging.CRITICAL);"
        f"print(hour.run_hour(7, length_s={SHORT_S / 2}).digest())"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])
    # Another hash seed gives every set of strings, and so whatever is done in its order, another order.
    environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "4242"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=80
    )
    assert said.stdout.strip() == run_hour(7, length_s=SHORT_S / 2).digest()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_planted_bug_is_seen(plant: Plant) -> None:
    trace = run_hour(plant.seed, length_s=SHORT_S, parts=plant.parts, faults=plant.faults)
    assert plant.seen_by in complaints(trace), f"{plant.seen_by} did not see: {plant.name}"


def test_frames_of_an_older_connection_do_no_harm_while_epochs_are_checked() -> None:
    trace = run_hour(1, length_s=SHORT_S, parts=Parts(spoil_feed=leaking), faults=("restart",))
    assert complaints(trace) == {}


def test_every_check_has_a_bug_that_it_sees() -> None:
    assert {check.__name__ for check in CHECKS} == {plant.seen_by for plant in PLANTS}


def test_a_plan_has_every_fault_and_is_decided_by_its_seed() -> None:
    assert {planned.name for planned in plan(1, HOUR_S)} == set(FAULTS)
    assert plan(1, HOUR_S) == plan(1, HOUR_S) != plan(2, HOUR_S)


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="the long run; set MARKETSTREAM_SOAK=50, or run make soak")
@pytest.mark.timeout(7200)
def test_many_hours_of_faults_leave_nothing_to_complain_of(soak_figures: dict[str, float]) -> None:
    found = {}
    n_faults = n_quotes = 0
    for seed in range(1, SOAK + 1):
        trace = run_hour(seed)
        n_faults += len(trace.faults)
        n_quotes += sum(len(cycle.rows) for cycle in trace.cycles)
        found |= {f"seed {seed}: {name}": said[:2] for name, said in complaints(trace).items()}
    soak_figures |= {"seeds": SOAK, "virtual hours": SOAK * HOUR_S / 3600, "faults": n_faults, "rows": n_quotes}
    assert found == {}
