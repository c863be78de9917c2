"""Checks of how a provider lives: start, stop, health and faults. checks.py runs them."""

from __future__ import annotations

import numpy as np

from marketstream.errors import InvalidInputError
from marketstream.market.events import ProviderStatus
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Fault
from marketstream.providers.checks_bench import (
    Bench,
    Drained,
    NotCheckable,
    Rig,
    joined,
    live,
    pairs_of,
    require,
)

_FAULT_S = 3.0


async def stops_and_starts_again(rig: Rig) -> None:
    """Stop works before a start and twice, and data come again after a second start."""
    bench = Bench(rig)
    provider = bench.provider
    await provider.stop()
    for round_name in ("first", "second"):
        await provider.start()
        rows = live(joined(await bench.run()))
        require(len(rows) > 0, f"no LIVE row came after the {round_name} start")
        await provider.stop()
        require(provider.status is ProviderStatus.STOPPED, f"after stop its status is {provider.status.value}")
        await provider.stop()


async def rejoins_without_a_backlog(rig: Rig) -> None:
    """What was sent while the provider was stopped is not delivered as if it were new."""
    bench = Bench(rig)
    await bench.provider.start()
    await bench.run()
    await bench.provider.stop()
    bench.clock.advance(60.0)
    resumed = bench.clock.now_ns()
    await bench.provider.start()
    rows = live(joined(await bench.run()))
    await bench.provider.stop()
    require(len(rows) > 0, "no LIVE row came after a pause of 60 s")
    require(int(rows["ts_received"].min()) >= resumed, "quotes of the pause were delivered after it")


async def health_follows_progress(rig: Rig) -> None:
    """RUNNING while data flow, DEGRADED with a reason when they stop."""
    bench = Bench(rig)
    provider = bench.provider
    before = provider.health(bench.clock.now_ns())
    require(
        before.status is ProviderStatus.READY,
        f"before the start its health is {before.status.value}, not READY",
    )
    await provider.start()
    provider.health(bench.clock.now_ns())
    await bench.run()
    flowing = provider.health(bench.clock.now_ns())
    require(flowing.status is ProviderStatus.RUNNING, f"with data flowing its health is {flowing.status.value}")
    require(flowing.absence is None, "with data flowing it reports an absence")
    require(flowing.age_s is not None and 0 <= flowing.age_s <= rig.seconds, f"its age_s is {flowing.age_s}")
    silence_s = provider.stale_after_s * 1.5 + 1.0
    await _fall_silent(bench, silence_s)
    await bench.run(silence_s)
    silent = provider.health(bench.clock.now_ns())
    await provider.stop()
    require(
        silent.status is ProviderStatus.DEGRADED,
        f"after {silence_s:g} s of silence it is {silent.status.value}",
    )
    require(silent.absence is not None and silent.detail != "", "a silent feed gives no reason")
    require((silent.age_s or 0.0) > provider.stale_after_s, f"after the silence its age_s is {silent.age_s}")


async def refuses_faults_it_cannot_play(rig: Rig) -> None:
    """A fault that is not offered is refused, and so is one without length."""
    bench = Bench(rig)
    for fault in Fault:
        duration_s = -1.0 if fault in bench.provider.faults else 1.0
        try:
            bench.provider.play_fault(fault, duration_s)
        except InvalidInputError:
            continue
        require(False, f"it accepts the fault {fault.value} for {duration_s:g} s")


async def plays_a_stall(rig: Rig) -> None:
    """No row comes during a stall, and rows come after it."""
    bench, during, after = await _play(rig, Fault.STALL)
    require(len(joined(during)) == 0, "rows came during a stall")
    require(len(live(joined(after))) > 0, "no LIVE row came after the stall")
    await bench.provider.stop()


async def plays_a_gap(rig: Rig) -> None:
    """Every pair is out of the book until the resync, and the loss is counted."""
    bench, during, after = await _play(rig, Fault.GAP)
    _require_blackout(bench, joined(during), QuoteState.GAP)
    require(bench.provider.stats.refused.total() > 0, "rows lost in a gap are not counted")
    _require_return(bench, after)
    await bench.provider.stop()


async def plays_crossed_quotes(rig: Rig) -> None:
    """Crossed quotes are refused, counted and become state rows, one each."""
    bench, during, after = await _play(rig, Fault.CROSSED)
    n_state = int(np.count_nonzero(joined(bench.history)["state"] == QuoteState.CROSSED))
    n_counted = bench.provider.stats.refused["crossed"]
    require(len(live(joined(during))) == 0, "quotes stayed LIVE while the feed sent crossed ones")
    require(
        n_state > 0 and n_state == n_counted,
        f"{n_counted} crossed quotes were counted, {n_state} state rows came",
    )
    require(len(live(joined(after))) > 0, "no LIVE row came after the crossed quotes")
    await bench.provider.stop()


async def plays_a_spike(rig: Rig) -> None:
    """Prices jump by more than 1 % while it lasts, pass as valid, and come back."""
    bench, during, after = await _play(rig, Fault.SPIKE)
    before = _asks(live(joined(bench.history[: -len(during) - len(after) - 1])))
    spiked, later = _asks(live(joined(during))), _asks(live(joined(after)))
    both = [pair for pair in before if pair in spiked]
    require(len(both) > 0, "no LIVE row came during a spike")
    jumped = [pair for pair in both if abs(np.log(spiked[pair] / before[pair])) > 0.01]
    require(len(jumped) > 0.8 * len(both), f"only {len(jumped)} of {len(both)} prices jumped in a spike")
    back = [p for p in jumped if p in later and abs(later[p] - before[p]) < abs(later[p] - spiked[p])]
    require(len(back) > 0.8 * len(jumped), f"only {len(back)} of {len(jumped)} prices came back after a spike")
    await bench.provider.stop()


async def plays_a_disconnect(rig: Rig) -> None:
    """Every pair is out of the book, health says so, and a snapshot follows."""
    bench, during, after = await _play(rig, Fault.DISCONNECT, judge=True)
    _require_blackout(bench, joined(during), QuoteState.RESYNCING)
    _require_return(bench, after)
    health = bench.provider.health(bench.clock.now_ns())
    require(health.status is ProviderStatus.RUNNING, f"after a reconnect its health is {health.status.value}")
    await bench.provider.stop()


async def _play(rig: Rig, fault: Fault, *, judge: bool = False) -> tuple[Bench, list[Drained], list[Drained]]:
    bench = Bench(rig)
    if fault not in bench.provider.faults:
        raise NotCheckable(f"it plays no {fault.value}")
    await bench.provider.start()
    await bench.run()
    bench.provider.play_fault(fault, _FAULT_S)
    during = await bench.run(_FAULT_S - rig.step_s)
    if judge:
        health = bench.provider.health(bench.clock.now_ns())
        require(
            health.status is ProviderStatus.DEGRADED,
            f"during a {fault.value} its health is {health.status.value}",
        )
        require(health.absence is not None, f"during a {fault.value} its health gives no absence")
    await bench.run(rig.step_s)
    return bench, during, await bench.run()


def _require_blackout(bench: Bench, rows: np.ndarray, state: QuoteState) -> None:
    require(len(live(rows)) == 0, "a row stayed LIVE while the feed was out of step")
    told = pairs_of(rows[rows["state"] == state])
    missing = bench.pair_codes() - told
    require(not missing, f"{len(missing)} pairs were never told {state.name}: their old price stays in the book")


def _require_return(bench: Bench, after: list[Drained]) -> None:
    # The snapshot comes in the step in which the fault ends, the one before `after`; later quotes are none.
    returned = pairs_of(live(bench.history[-len(after) - 1].rows))
    missing = bench.pair_codes() - returned
    require(not missing, f"{len(missing)} pairs did not come back with a snapshot")


async def _fall_silent(bench: Bench, seconds: float) -> None:
    if bench.rig.silence is not None:
        await bench.rig.silence(bench.provider)
    elif Fault.STALL in bench.provider.faults:
        bench.provider.play_fault(Fault.STALL, seconds + bench.rig.seconds)
    else:
        raise NotCheckable("it plays no stall and no `silence` was given")


def _asks(rows: np.ndarray) -> dict[tuple[int, int], float]:
    """Return the newest ask by pair."""
    return {(int(r["instrument"]), int(r["venue"])): float(r["ask"]) for r in rows if np.isfinite(r["ask"])}
