"""The one loop, on a manual clock."""

from __future__ import annotations

import numpy as np
import pytest

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.quotes import QuoteBatch, empty_quotes
from marketstream.streaming.streamer import MarketStreamer, StreamerState


class Recorder:
    """Feeds that deliver one quote per 50 ms, and the places a batch goes to."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.emitted: list[QuoteBatch] = []
        self.dispatched: list[QuoteBatch] = []
        self.drained_to = clock.now_ns()
        self.fail = False
        self.slow_s = 0.0

    def drain(self, now: int) -> np.ndarray:
        if self.fail:
            raise RuntimeError("a feed broke its promise")
        n = (now - self.drained_to) // 50_000_000
        self.drained_to += n * 50_000_000
        return empty_quotes(n)

    async def dispatch(self, batch: QuoteBatch) -> None:
        self.dispatched.append(batch)
        if self.slow_s:
            await self.clock.sleep(self.slow_s)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def recorder(clock: ManualClock) -> Recorder:
    return Recorder(clock)


def streamer_for(recorder: Recorder, cycle_s: float = 0.1) -> MarketStreamer:
    return MarketStreamer(
        drain=recorder.drain,
        emit=recorder.emitted.append,
        dispatch=recorder.dispatch,
        clock=recorder.clock,
        cycle_s=cycle_s,
    )


async def test_a_cycle_emits_what_arrived_and_an_empty_one_emits_too(clock: ManualClock, recorder: Recorder) -> None:
    streamer = streamer_for(recorder, cycle_s=0.025)
    streamer.start()
    await clock.run_for(0.1)
    await streamer.stop()
    assert [len(b) for b in recorder.emitted] == [0, 0, 1, 0, 1]
    assert recorder.dispatched == recorder.emitted
    assert np.diff([b.now for b in recorder.emitted]).tolist() == [25_000_000] * 4


async def test_start_stop_pause_and_resume_can_be_said_twice(clock: ManualClock, recorder: Recorder) -> None:
    streamer = streamer_for(recorder)
    assert streamer.state is StreamerState.STOPPED
    streamer.start(), streamer.start()
    await clock.run_for(0.3)
    assert streamer.state is StreamerState.RUNNING and len(recorder.emitted) == 4
    streamer.pause(), streamer.pause()
    await clock.run_for(1.0)
    assert streamer.state is StreamerState.PAUSED and len(recorder.emitted) == 4
    streamer.resume(), streamer.resume()
    await clock.run_for(0.1)
    # Nothing is lost: the first cycle after the pause takes all that arrived meanwhile.
    assert len(recorder.emitted[4]) >= 20
    await streamer.stop()
    await streamer.stop()
    assert streamer.state is StreamerState.STOPPED


async def test_a_cycle_that_raises_is_counted_and_the_next_one_runs(
    clock: ManualClock, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    streamer = streamer_for(recorder)
    recorder.fail = True
    streamer.start()
    await clock.run_for(0.2)
    recorder.fail = False
    await clock.run_for(0.2)
    await streamer.stop()
    assert streamer.status().errors == 3 and len(recorder.emitted) == 2
    assert "a feed broke its promise" in caplog.text


async def test_a_slow_dispatch_delays_the_next_cycle_and_none_is_made_up_for(
    clock: ManualClock, recorder: Recorder
) -> None:
    streamer = streamer_for(recorder)
    recorder.slow_s = 0.35
    streamer.start()
    await clock.run_for(1.0)
    await streamer.stop()
    assert [round((b.now - recorder.emitted[0].now) / 1e6) for b in recorder.emitted] == [0, 350, 700]
    assert streamer.status().cycle_ms_p50 == pytest.approx(350)


async def test_status_counts_quotes_and_their_rate(clock: ManualClock, recorder: Recorder) -> None:
    streamer = streamer_for(recorder)
    streamer.start()
    await clock.run_for(3.0)
    status = streamer.status()
    await streamer.stop()
    assert status.quotes == 60 and status.quotes_per_s == pytest.approx(20.0)
    assert status.cycles == 31 and status.errors == 0


@pytest.mark.parametrize("cycle_s", [0.0, -1.0, 11.0, float("nan")])
def test_a_cycle_time_out_of_range_is_refused(recorder: Recorder, cycle_s: float) -> None:
    with pytest.raises(InvalidInputError, match="cycle_s must be"):
        streamer_for(recorder, cycle_s)
