"""A notebook opens a recording as it opens a live feed."""

from __future__ import annotations

import pytest
from recorded import Recorded

import marketstream as ms
from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError


async def test_connect_opens_a_recording(demo: Recorded) -> None:
    engine = ms.connect(replay=demo.path)
    await engine.run_for(8.0)
    assert isinstance(engine, ms.Engine)
    assert engine.snapshot is not None and engine.status().replay is not None
    await engine.close()


async def test_a_replay_takes_no_other_clock(demo: Recorded) -> None:
    with pytest.raises(InvalidInputError, match="a clock of its own"):
        ms.connect(replay=demo.path, clock=ManualClock())


async def test_a_live_engine_is_no_replay() -> None:
    engine = ms.connect("demo", clock=ManualClock(), warmup_s=0)
    assert engine.status().replay is None
    await engine.close()
