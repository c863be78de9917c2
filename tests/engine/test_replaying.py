"""A replay computes what was computed live, bit for bit, at any speed; and what is not the same is found out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recorded import Recorded, rewritten, switches

from marketstream.clock import SECOND_NS, ManualClock
from marketstream.engine import ReplayEngine, replay
from marketstream.engine.replaying import parse_speed
from marketstream.engine.tapes import JournalTape
from marketstream.errors import ConfigurationError, InvalidInputError, MarketStreamError
from marketstream.market.state import MarketState
from marketstream.store.journal import JournalError, JournalReader
from marketstream.store.journal_records import ChangeEntry, CycleEntry, EndEntry, Entry, InputEntry, KnobEntry
from marketstream.streaming.streamer import StreamerState


def recorded_digest(recorded: Recorded) -> str:
    last = JournalReader(recorded.path).last_entry()
    assert isinstance(last, EndEntry)
    return last.digest.hex()


async def played(path: Path) -> ReplayEngine:
    engine = replay(path)
    await engine.run_to_end()
    await engine.close()
    return engine


async def test_a_replay_computes_what_was_computed_live_through_faults_failover_and_moved_knobs(demo: Recorded) -> None:
    engine = await played(demo.path)
    assert engine.digest == recorded_digest(demo)
    assert engine.compared and engine.replay_status().diverged_at is None
    assert engine.replay_status().cycles == demo.status.cycles
    assert engine.status().errors == 0


async def test_the_recording_holds_what_the_test_wants_to_show(demo: Recorded) -> None:
    kinds = {type(entry) for entry in JournalReader(demo.path).entries()}
    assert {InputEntry, ChangeEntry, KnobEntry, CycleEntry, EndEntry} <= kinds
    assert ["switched" in words or "failed back" in words for words in switches(demo.events)] == [True, True]


async def test_a_replay_tells_the_same_failovers(demo: Recorded) -> None:
    engine = await played(demo.path)
    assert switches(engine.events) == switches(demo.events)


class Pace(ManualClock):
    """Real time for a replay, in which a wait passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    async def sleep(self, seconds: float) -> None:
        self.waited += max(seconds, 0.0)
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)


async def paced(path: Path, speed: float, **others: object) -> tuple[ReplayEngine, Pace]:
    pace = Pace()
    engine = ReplayEngine(JournalTape(path), speed=speed, pace=pace, **others)  # type: ignore[arg-type]
    await engine.run_to_end()
    await engine.close()
    return engine, pace


async def test_two_replays_at_different_speeds_give_the_same_digest_and_take_other_times(demo: Recorded) -> None:
    slow, slow_pace = await paced(demo.path, 1.0)
    fast, fast_pace = await paced(demo.path, 10.0)
    assert slow.digest == fast.digest == recorded_digest(demo)
    # The warm-up of five seconds had taken no time then.
    assert slow_pace.waited == pytest.approx(27.0, abs=0.3)
    assert fast_pace.waited == pytest.approx(2.7, abs=0.3)


async def test_what_comes_before_from_is_played_without_waiting_and_counts(demo: Recorded) -> None:
    tape = JournalTape(demo.path)
    engine, pace = await paced(demo.path, 1.0, start=tape.end - 2 * SECOND_NS)
    assert engine.digest == recorded_digest(demo)
    assert pace.waited == pytest.approx(2.0, abs=0.3)


async def test_nothing_comes_after_to(demo: Recorded) -> None:
    tape = JournalTape(demo.path)
    engine, _ = await paced(demo.path, math.inf, stop=tape.end - 5 * SECOND_NS)
    assert engine.position <= tape.end - 5 * SECOND_NS
    assert engine.replay_status().ended and engine.replay_status().diverged_at is None


async def test_run_for_plays_so_much_of_the_tape_and_stands(demo: Recorded) -> None:
    engine = replay(demo.path)
    begin = engine.position
    await engine.run_for(10.0)
    assert engine.position == begin + 10 * SECOND_NS
    assert engine.clock.now_ns() == engine.position and not engine.streamer.ended
    await engine.run_for(0.5)
    assert engine.position == begin + round(10.5 * SECOND_NS)
    await engine.close()


def test_a_replay_can_be_stopped_and_started_again_on_another_loop(demo: Recorded) -> None:
    engine = replay(demo.path)

    async def play(seconds: float) -> int:
        await engine.run_for(seconds)
        await engine.stop()
        return engine.position

    assert asyncio.run(play(10.0)) < asyncio.run(play(0.5))
    asyncio.run(engine.close())


async def test_an_analysts_own_nodes_hang_on_a_replay_as_on_a_live_feed(demo: Recorded) -> None:
    engine = replay(demo.path)
    lengths: list[int] = []
    node = engine.deltas.stream.sink(lambda frame: lengths.append(len(frame)))
    await engine.run_for(8.0)
    node.destroy()
    assert len(lengths) == engine.replay_status().cycles
    assert isinstance(engine.market, MarketState) and engine.snapshot is not None
    await engine.close()


async def test_a_paused_replay_stands_until_it_is_resumed(demo: Recorded) -> None:
    engine = ReplayEngine(JournalTape(demo.path), speed=1.0, pace=Pace())
    await engine.ensure_running()
    engine.pause()
    stood = engine.position
    for _ in range(200):
        await asyncio.sleep(0)
    assert engine.position == stood and engine.status().state is StreamerState.PAUSED
    engine.resume()
    await engine.run_to_end()
    assert engine.digest == recorded_digest(demo)
    await engine.close()


async def test_a_speed_that_is_changed_counts_at_once_and_changes_no_result(demo: Recorded) -> None:
    pace = Pace()
    engine = ReplayEngine(JournalTape(demo.path), speed=1.0, pace=pace)
    await engine.run_for(15.0)
    engine.speed = 100.0
    await engine.run_to_end()
    # Four of the 31 s are warm-up, which waits for nothing; eleven went at the old speed.
    assert pace.waited == pytest.approx(11.0 + 16.0 / 100, abs=0.3)
    assert engine.digest == recorded_digest(demo)
    await engine.close()


async def test_the_end_leaves_the_engine_readable_and_paused(demo: Recorded) -> None:
    engine = replay(demo.path)
    await engine.run_to_end()
    assert engine.status().state is StreamerState.PAUSED
    status = engine.replay_status()
    assert status.ended and status.fraction == 1.0 and status.position == status.end
    engine.resume()
    assert engine.status().state is StreamerState.PAUSED
    await engine.run_for(5.0)
    assert engine.replay_status().position == status.end
    assert engine.snapshot is not None and engine.snapshot.fair["fair"].notna().any()
    await engine.close()


async def test_a_moved_knob_of_a_replay_is_found_out_by_the_digest(demo: Recorded) -> None:
    engine = replay(demo.path)
    await engine.run_for(7.0)
    assert engine.replay_status().diverged_at is None
    engine.house.fair_value.outlier_sd = 2.0
    await engine.run_to_end()
    assert engine.replay_status().diverged_at is not None
    await engine.close()


Change = Callable[[list[Entry]], list[Entry]]


def without(kind: type[Entry], n: int) -> Change:
    def change(entries: list[Entry]) -> list[Entry]:
        places = [i for i, entry in enumerate(entries) if isinstance(entry, kind)]
        gone = places[len(places) // 2 : len(places) // 2 + n]
        return [entry for i, entry in enumerate(entries) if i not in gone]

    return change


def swapped(entries: list[Entry]) -> list[Entry]:
    """Exchange the rows that one provider delivered in two cycles, in the middle of the recording."""
    entries = list(entries)
    inputs = [i for i, entry in enumerate(entries) if isinstance(entry, InputEntry) and entry.provider == 1]
    first, second = inputs[len(inputs) // 2 : len(inputs) // 2 + 2]
    entries[first], entries[second] = entries[second], entries[first]
    return entries


def unswitched(entries: list[Entry]) -> list[Entry]:
    return [e for e in entries if not (isinstance(e, ChangeEntry) and e.kind == "switched")]


@pytest.mark.parametrize(
    "change",
    [without(InputEntry, 1), without(CycleEntry, 1), without(KnobEntry, 1), swapped, unswitched],
    ids=["an input lost", "a cycle lost", "a moved knob lost", "two inputs exchanged", "a failover lost"],
)
async def test_a_recording_that_is_not_what_happened_is_found_out(
    demo: Recorded, tmp_path: Path, change: Change
) -> None:
    engine = await played(rewritten(demo.path, tmp_path / "other.msj", change))
    assert engine.replay_status().diverged_at is not None
    assert engine.digest != recorded_digest(demo)


class ReadsAnotherClock(ReplayEngine):
    """The planted bug: ages are counted to a clock that is not the recording's."""

    def _keep(self, market: MarketState) -> None:
        from dataclasses import replace

        super()._keep(replace(market, now=market.now + int(np.random.default_rng().integers(1, 1_000_000))))


async def test_an_analysis_that_reads_another_clock_is_found_out(demo: Recorded) -> None:
    engine = ReadsAnotherClock(JournalTape(demo.path), speed=math.inf)
    await engine.run_to_end()
    assert engine.replay_status().diverged_at is not None
    await engine.close()


def test_speeds_are_numbers_above_zero_or_max() -> None:
    assert parse_speed("max") == math.inf and parse_speed("2.5") == 2.5
    for wrong in ("0", "-1", "fast", "nan", ""):
        with pytest.raises(InvalidInputError, match="number > 0 or max"):
            parse_speed(wrong)


async def test_a_recording_without_a_cycle_is_said(tmp_path: Path, demo: Recorded) -> None:
    path = rewritten(demo.path, tmp_path / "none.msj", lambda entries: entries[:3])
    with pytest.raises(JournalError, match="no cycle"):
        replay(path)


async def test_a_setting_of_a_recording_that_this_version_does_not_know_is_said(demo: Recorded) -> None:
    with pytest.raises(ConfigurationError, match="wormhole"):
        replay(demo.path, wormhole=1)


async def test_a_stop_loses_no_cycle_of_the_tape(demo: Recorded) -> None:
    engine = replay(demo.path)
    await engine.run_for(9.0)
    await engine.stop()
    assert engine.status().state is StreamerState.STOPPED
    await engine.run_for(3.0)
    await engine.stop()
    await engine.run_to_end()
    assert engine.digest == recorded_digest(demo) and engine.replay_status().diverged_at is None
    await engine.close()


async def test_who_waits_for_a_replay_that_is_stopped_need_not_wait_for_ever(demo: Recorded) -> None:
    engine = ReplayEngine(JournalTape(demo.path), speed=1e-6)
    waiting = asyncio.ensure_future(engine.run_to_end())
    while engine.replay_status().cycles < 2:  # noqa: ASYNC110  # the loop under test sets no event for it
        await asyncio.sleep(0)
    await engine.stop()
    await waiting
    assert not engine.replay_status().ended
    await engine.close()


def damaged(path: Path, to: Path) -> Path:
    data = bytearray(path.read_bytes())
    at = JournalReader(path)._offsets[12]
    data[at + 40] ^= 0xFF
    to.write_bytes(data)
    return to


async def test_a_damaged_block_ends_the_replay_there_and_says_where(demo: Recorded, tmp_path: Path) -> None:
    path = damaged(demo.path, tmp_path / "damaged.msj")
    engine = replay(path)
    with pytest.raises(JournalError, match=r"block at byte \d+ is damaged"):
        await engine.run_to_end()
    status = engine.replay_status()
    assert status.ended and "is damaged" in status.failure and 0 < status.fraction < 1
    assert engine.snapshot is not None and engine.status().state is StreamerState.PAUSED
    await engine.close()


@pytest.mark.parametrize(
    "wrong",
    [
        InputEntry(provider=0, kind="weather", epoch=0, ts=0, key="", body=b""),
        InputEntry(provider=99, kind="rows", epoch=0, ts=0, key="", body=b""),
        InputEntry(provider=0, kind="rows", epoch=0, ts=0, key="", body=b"half a row"),
        KnobEntry(stage="fair_value", knob="half_life_s", value="long"),
        KnobEntry(stage="crystal_ball", knob="x", value=1),
        ChangeEntry(
            kind="disabled", provider="nobody", ts=0, enabled=False, status="DISABLED", trust=b"", rows=b"", events=[]
        ),
        ChangeEntry(
            kind="settled", provider="alder", ts=0, enabled=True, status="RUNNING", trust=b"123", rows=b"", events=[]
        ),
    ],
    ids=lambda entry: f"{type(entry).__name__}",
)
async def test_a_record_that_cannot_be_carried_out_ends_the_replay_and_says_so(
    demo: Recorded, tmp_path: Path, wrong: Entry
) -> None:
    path = rewritten(demo.path, tmp_path / "wrong.msj", lambda entries: [*entries[:60], wrong, *entries[60:]])
    engine = replay(path)
    with pytest.raises(MarketStreamError):
        await engine.run_to_end()
    assert engine.replay_status().failure
    await engine.close()


async def test_the_rate_of_cycles_is_that_of_the_machine(demo: Recorded) -> None:
    engine = replay(demo.path)
    assert engine.replay_status().cycles_per_s == 0.0
    began = engine.stopwatch.monotonic_ns()
    await engine.run_for(10.0)
    status, taken_s = engine.replay_status(), (engine.stopwatch.monotonic_ns() - began) / SECOND_NS
    # All of them were within that time.
    assert status.cycles_per_s >= min(status.cycles, 50) / taken_s * 0.9 > 0.0
    await engine.close()


async def test_work_is_timed_by_the_machine_and_not_by_the_tape(demo: Recorded) -> None:
    engine = replay(demo.path)
    await engine.run_for(10.0)
    status = engine.status()
    assert 0.0 < status.cycle_ms_p50 < 10_000 and status.analysis_ms > 0.0
    assert (engine.store.status().commit_ms_p99 or 0.0) > 0.0
    await engine.close()
