"""What the engine makes of the rationale service: real time for models, and ids that no other run gives again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from recorded import Recorded

from marketstream.engine import Engine, ReplayEngine, replay
from marketstream.errors import NotFoundError
from marketstream.market.rationale import Rationale, RationaleRequest, RationaleStatus


async def written(engine: Engine) -> Rationale:
    """Order a text and let the loop turn until it has ended and the store has it."""
    rationale_id = engine.rationale.request(RationaleRequest.of("portfolio_summary"))
    for _ in range(10_000):
        try:
            return await engine.store.rationale(rationale_id)
        except NotFoundError:
            await asyncio.sleep(0.001)
    raise AssertionError("the store never got the text")


async def replayed(path: Path, folder: Path) -> tuple[ReplayEngine, Rationale]:
    engine = replay(path, llm="mock", store_url="sqlite", data_dir=folder)
    await engine.run_to_end()
    text = await written(engine)
    await engine.close()
    return engine, text


async def test_in_a_replay_models_are_timed_by_the_machine_and_orders_stamped_by_the_tape(
    demo: Recorded, tmp_path: Path
) -> None:
    engine, text = await replayed(demo.path, tmp_path)
    assert (text.status, text.written_by) == (RationaleStatus.READY, "mock")
    # The clock of the tape stands at its end, where every duration would be 0 and no deadline would ever pass.
    assert all(attempt.duration_ms > 0 for attempt in text.attempts)
    assert text.created_at == engine.clock.now_ns()


async def test_two_replays_of_one_recording_keep_a_text_each_in_one_store(demo: Recorded, tmp_path: Path) -> None:
    texts = [(await replayed(demo.path, tmp_path))[1] for _ in range(2)]
    assert texts[0].created_at == texts[1].created_at
    assert texts[0].id != texts[1].id
