"""Where the facts of an engine go: into the store, onto the bus, and, where a handler fails, into dead letters."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mailer import Mailer

from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.engine.backbone import Backbone
from marketstream.errors import ConfigurationError, InvalidInputError, NotFoundError, TransientError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.handling import DeadLetter, DeadLetterStatus, HandlerResult
from marketstream.market.rationale import RationaleRequest, RationaleStatus
from marketstream.market.records import EventFilter, PageRequest, StoreKind
from marketstream.settings import load_settings
from marketstream.streaming.handlers import DeltaHandlerManager


def new_engine(file: Path | None = None, **settings: Any) -> Engine:
    store = "memory" if file is None else f"sqlite:///{file}"
    return Engine(load_settings(**({"warmup_s": 10, "store_url": store} | settings)), clock=ManualClock())


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Return a running engine that keeps its records in memory."""
    engine = new_engine()
    await engine.run_for(1.0)
    yield engine
    await engine.close()


def threads_of_stores() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("store-")]


async def kept(engine: Engine, *topics: str) -> list[MarketEvent]:
    await engine.handlers.settle()
    return list((await engine.store.events(EventFilter(topics=topics), PageRequest(limit=1000))).rows)


async def test_what_happens_is_on_the_bus_and_in_the_store_under_the_same_id(engine: Engine) -> None:
    await engine.registry.disable("cedar")
    (stored,) = [e for e in await kept(engine, "provider.#") if e.message == "disabled"]
    assert [e.id for e in engine.events if e.message == "disabled"] == [stored.id]


async def test_the_store_keeps_every_topic_but_the_passing_of_cycles(engine: Engine) -> None:
    heard: list[MarketEvent] = []
    engine.bus.subscribe("market.data.updated", heard.append)
    await engine.run_for(1.0)
    assert await kept(engine, "market.data.updated") == []
    assert len(heard) >= 9


async def test_an_allocation_that_moved_is_kept_with_what_led_to_it(engine: Engine) -> None:
    engine.house.optimizer.invested_share = 0.5
    await engine.run_for(1.0)
    await engine.handlers.settle()
    newest, first = (await engine.store.allocations(PageRequest())).rows[:2]
    assert sum(float(w) for w in newest.weights.values()) == pytest.approx(0.5)  # type: ignore[arg-type]
    assert newest.previous_weights == first.weights
    assert newest.cause["knobs"]["optimizer"]["invested_share"] == 0.5  # type: ignore[index,call-overload]


async def test_a_text_is_kept_whole_and_its_event_only_names_it(engine: Engine) -> None:
    text_id = engine.rationale.request(RationaleRequest.of("portfolio_summary"))
    for _ in range(200):
        await asyncio.sleep(0)
        if engine.rationale.get(text_id).status is not RationaleStatus.PENDING:
            break
    (event,) = await kept(engine, Topic.RATIONALE.value)
    assert event.subject == text_id and "text" not in event.data
    assert await engine.store.rationale(text_id) == engine.rationale.get(text_id)


async def test_after_a_stop_the_records_can_still_be_read_and_after_close_they_cannot(engine: Engine) -> None:
    await engine.stop()
    assert any(e.message == "Stream stopped." for e in await kept(engine, "engine.#"))
    await engine.close()
    assert not engine.store.is_open


async def test_a_close_keeps_what_was_on_its_way(tmp_path: Path) -> None:
    engine = new_engine(tmp_path / "store.db")
    await engine.run_for(0.5)
    for n in range(2500):
        engine.handlers.submit(
            MarketEvent(ts=engine.clock.now_ns(), topic=Topic.ENGINE_STATUS, subject="engine", message=str(n))
        )
    await engine.close()
    with sqlite3.connect(tmp_path / "store.db") as file:
        (found,) = file.execute("select count(*) from events where topic = 'engine.status.changed'").fetchone()
    file.close()
    assert found == 2502  # with the start and the stop


async def test_a_close_ends_within_ten_seconds_where_the_store_does_not_answer(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hangs(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(engine.store, "handle", hangs)
    monkeypatch.setattr(engine.store, "save_dead_letter", hangs)
    await engine.registry.disable("cedar")
    closing = asyncio.create_task(engine.close())
    await engine.clock.run_for(9.0)  # type: ignore[attr-defined]
    await asyncio.wait_for(closing, 5)
    assert any("disabled" in str(letter.payload) for letter in engine.handlers.unsaved)
    assert "dead letters could not be kept" in caplog.text and not engine.store.is_open


async def test_a_second_engine_on_the_same_file_says_so_and_keeps_its_own_records(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = new_engine(tmp_path / "store.db"), new_engine(tmp_path / "store.db")
    await first.run_for(0.5)
    with caplog.at_level(logging.WARNING):
        await second.run_for(0.5)
    status = second.store.status()
    assert status.kind is StoreKind.MEMORY and "store.db" in status.fallback
    assert "keeps its records in memory" in caplog.text
    assert [e.topic for e in await kept(second, "store.#")] == [Topic.STORE_STATUS]
    assert first.store.status().kind is StoreKind.SQLITE and not first.store.status().fallback
    await second.close()
    await first.close()


@pytest.mark.parametrize("error", [asyncio.CancelledError(), RuntimeError("planted")])
async def test_a_start_that_ends_half_way_leaves_no_store_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def broken(self: DeltaHandlerManager) -> None:
        raise error

    before = threads_of_stores()  # engines of other tests may live as long as the session
    engine = new_engine(tmp_path / "store.db")
    with monkeypatch.context() as patch:
        patch.setattr(DeltaHandlerManager, "start", broken)
        with pytest.raises((RuntimeError, TransientError)):
            await engine.ensure_running()
    assert not engine.store.is_open and threads_of_stores() == before
    await engine.close()
    await engine.close()
    other = new_engine(tmp_path / "store.db")
    await other.run_for(0.2)
    assert not other.store.status().fallback
    await other.close()


async def test_a_schema_that_it_does_not_know_stops_the_start_and_says_what_to_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "store.db"
    engine = new_engine(file)
    await engine.run_for(0.2)
    await engine.close()
    with sqlite3.connect(file) as database:
        database.execute("update alembic_version set version_num = '9999'")
    database.close()
    engine = new_engine(file)
    with pytest.raises(ConfigurationError, match="9999"):
        await engine.ensure_running()
    assert engine.status().state == "stopped"
    assert "could not start" in caplog.text and "Traceback" not in caplog.text
    await engine.close()


async def test_a_dead_letter_is_told_listed_and_replayed_once(engine: Engine) -> None:
    mailer = Mailer("planted <b>fault</b>")
    engine.handlers.add_effect("mailer", mailer.handle, topics=("provider.status.changed",))
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    (letter,) = (await engine.store.dead_letters(None, None, PageRequest())).rows
    assert (letter.handler, letter.status, letter.attempts) == ("mailer", DeadLetterStatus.WAITING, 1)
    assert [e.subject for e in engine.events if e.topic is Topic.DEAD_LETTER] == ["mailer"]

    again = await engine.replay_dead_letter(letter.id)
    assert again.status is DeadLetterStatus.WAITING and again.attempts == 2 and "planted" in again.error

    mailer.mended = True
    done = await engine.replay_dead_letter(letter.id)
    assert done.status is DeadLetterStatus.REPLAYED and [event.id for event in mailer.sent] == [letter.event_id]
    with pytest.raises(InvalidInputError, match="was replayed already"):
        await engine.replay_dead_letter(letter.id)
    assert [event.id for event in mailer.sent] == [letter.event_id]


async def test_a_letter_that_is_discarded_while_its_replay_fails_stays_discarded(engine: Engine) -> None:
    again, replaying, may_fail = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(events: Sequence[MarketEvent]) -> None:
        if again.is_set():
            replaying.set()
            await may_fail.wait()
        await Mailer().handle(events)

    engine.handlers.add_effect("mailer", handle, topics=("provider.status.changed",))
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    (letter,) = (await engine.store.dead_letters(None, None, PageRequest())).rows
    again.set()
    replay = asyncio.create_task(engine.replay_dead_letter(letter.id))
    await replaying.wait()
    await engine.store.mark_dead_letter(letter.id, DeadLetterStatus.DISCARDED, 1)  # as another process does
    may_fail.set()
    assert (await replay).status is DeadLetterStatus.DISCARDED
    assert (await engine.store.dead_letter(letter.id)).status is DeadLetterStatus.DISCARDED


async def held_letter(engine: Engine) -> tuple[str, list[str], asyncio.Event, asyncio.Event]:
    # A letter whose replay calls its handler, which notes the call, says that it began and waits until it may end.
    calls: list[str] = []
    began, may_end = asyncio.Event(), asyncio.Event()

    async def handle(events: Sequence[MarketEvent]) -> None:
        calls.extend(event.id for event in events)
        if len(calls) == 1:
            await Mailer().handle(events)
        began.set()
        await may_end.wait()

    engine.handlers.add_effect("mailer", handle, topics=("provider.status.changed",))
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    (letter,) = (await engine.store.dead_letters(None, None, PageRequest())).rows
    return letter.id, calls, began, may_end


async def test_of_many_replays_at_once_one_runs_and_the_others_are_refused(engine: Engine) -> None:
    letter_id, calls, _, may_end = await held_letter(engine)
    may_end.set()
    results = await asyncio.gather(*(engine.replay_dead_letter(letter_id) for _ in range(20)), return_exceptions=True)
    refused = [str(result) for result in results if isinstance(result, InvalidInputError)]
    assert len(refused) == 19 and all("is being replayed already" in text for text in refused)
    assert len(calls) == 2  # the first failure and one replay


async def test_replays_at_once_all_run_where_nobody_notes_them(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    letter_id, calls, began, may_end = await held_letter(engine)
    replay, second = engine.handlers.replay, asyncio.Event()

    async def seen(letter: DeadLetter) -> HandlerResult:
        if began.is_set():
            second.set()
        return await replay(letter)

    monkeypatch.setattr(Backbone, "_refuse_replaying", lambda *_: None)
    monkeypatch.setattr(engine.handlers, "replay", seen)
    first = asyncio.create_task(engine.replay_dead_letter(letter_id))
    await began.wait()
    other = asyncio.create_task(engine.replay_dead_letter(letter_id))
    await second.wait()
    may_end.set()
    await asyncio.gather(first, other)
    assert len(calls) == 3  # the test above wants two


async def test_a_letter_that_is_being_replayed_cannot_be_discarded(engine: Engine) -> None:
    letter_id, _, began, may_end = await held_letter(engine)
    replay = asyncio.create_task(engine.replay_dead_letter(letter_id))
    await began.wait()
    with pytest.raises(InvalidInputError, match="is being replayed already"):
        await engine.discard_dead_letter(letter_id)
    may_end.set()
    assert (await replay).status is DeadLetterStatus.REPLAYED


async def test_a_letter_of_a_handler_that_is_gone_says_so_and_can_be_discarded(engine: Engine) -> None:
    engine.handlers.add_effect("mailer", Mailer().handle, topics=("provider.status.changed",))
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    (letter,) = (await engine.store.dead_letters(None, None, PageRequest())).rows
    await engine.handlers.remove("mailer")
    with pytest.raises(NotFoundError, match="mailer"):
        await engine.replay_dead_letter(letter.id)
    assert (await engine.discard_dead_letter(letter.id)).status is DeadLetterStatus.DISCARDED
    with pytest.raises(InvalidInputError, match="was discarded already"):
        await engine.discard_dead_letter(letter.id)


async def test_a_handler_that_fails_at_dead_letters_makes_no_endless_row_of_them(engine: Engine) -> None:
    engine.handlers.add_effect("mourner", Mailer().handle, topics=("handler.#", "provider.status.changed"))
    await engine.registry.disable("cedar")
    for _ in range(5):
        await engine.handlers.settle()
    letters = (await engine.store.dead_letters(None, None, PageRequest())).rows
    # One for the provider, one for the event that told of it, and none for that one.
    assert sorted(letter.topic for letter in letters) == [Topic.DEAD_LETTER, Topic.PROVIDER_STATUS]


async def test_old_events_are_dropped_by_the_hour_and_new_ones_stay(engine: Engine) -> None:
    old = MarketEvent(
        ts=engine.clock.now_ns() - 8 * 86_400 * 10**9, topic=Topic.ENGINE_STATUS, subject="engine", message="old"
    )
    engine.handlers.submit(old)
    assert any(e.message == "old" for e in await kept(engine, "engine.#"))
    await engine.stop()
    engine.clock.advance(3601.0)  # type: ignore[attr-defined]
    await engine.run_for(2.0)
    left = [e.message for e in await kept(engine, "engine.#")]
    assert "old" not in left and "Stream started." in left


async def test_no_password_of_a_store_is_shown_anywhere() -> None:
    engine = new_engine(store_url="postgresql://ana:canary-7f3@127.0.0.1:1/nothing")
    shown = f"{engine.store!r} {engine.store.status()!r} {engine.settings!r}"
    with pytest.raises(ConfigurationError) as refused:
        await engine.ensure_running()
    assert "canary-7f3" not in shown + str(refused.value)
    await engine.close()


async def test_events_wait_for_a_store_that_is_away_and_are_kept_when_it_is_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> None:
        raise TransientError("the database is away")

    monkeypatch.setattr(engine.store, "handle", away)
    await engine.registry.disable("cedar")
    await engine.run_for(120.0)
    (lane,) = [report for report in engine.handlers.report() if report.name == "store"]
    assert lane.waiting > 0 and lane.dead_lettered == 0 and "away" in lane.retrying
    monkeypatch.undo()
    await engine.run_for(10.0)
    assert any(e.message == "disabled" for e in await kept(engine, "provider.#"))


def told(engine: Engine, message: str, **data: Any) -> None:
    engine.handlers.submit(
        MarketEvent(ts=engine.clock.now_ns(), topic=Topic.FEED_GAP, subject="birch", message=message, data=data)
    )


async def test_an_event_with_odd_numbers_is_kept_and_so_is_what_comes_after_it(engine: Engine) -> None:
    told(engine, "odd", edge=float("nan"), n=np.int64(3))
    told(engine, "good")
    assert [(e.message, dict(e.data)) for e in await kept(engine, "feed.#")] == [
        ("good", {}),
        ("odd", {"edge": None, "n": 3}),
    ]


async def test_an_event_that_the_store_refuses_with_its_letter_is_set_aside_and_what_comes_after_it_is_kept(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketstream.streaming.handlers.plain_data", lambda data: data)
    told(engine, "odd", edge=float("nan"))
    told(engine, "good")
    assert [e.message for e in await kept(engine, "feed.#")] == ["good"]
    assert [letter.handler for letter in engine.handlers.unsaved] == ["store"]


async def test_what_happened_is_not_pushed_out_by_the_passing_of_cycles(engine: Engine) -> None:
    await engine.registry.disable("cedar")
    await engine.run_for(60.0)
    assert Topic.MARKET_DATA not in {event.topic for event in engine.events}
    assert any(event.message == "disabled" for event in engine.events)


async def test_the_state_of_every_provider_is_kept(engine: Engine) -> None:
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    states = {state.name: state.status for state in await engine.store.provider_states()}
    assert states["cedar"] == "DISABLED" and states["birch"] == "RUNNING"
    await engine.registry.remove("cedar")
    await engine.handlers.settle()
    assert {s.name: s.status for s in await engine.store.provider_states()}["cedar"] == "STOPPED"
