"""The Events tab: what the store keeps, what failed and can be handed in again, who handles events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from drawn_pages import go_to, shown
from mailer import Mailer

from marketstream.dashboard.session import Session
from marketstream.dashboard.views.dead_letters import DeadLettersCard
from marketstream.dashboard.views.events import KINDS, AuditCard
from marketstream.engine import Engine
from marketstream.errors import TransientError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.topics import TopicPattern


async def until(session: Session, found: Callable[[str], bool]) -> str:
    """Refresh the open tab until it shows what is looked for; the store answers from a thread of its own."""
    for _ in range(2000):
        session.touch()
        words = shown(session.page.main[0])
        if found(words):
            return words
        await asyncio.sleep(0)
    raise AssertionError(f"never shown; last was: {words[-2000:]}")


def audit(session: Session) -> AuditCard:
    return session.views["Events"].audit  # type: ignore[attr-defined,no-any-return]


def letters(session: Session) -> DeadLettersCard:
    return session.views["Events"].letters  # type: ignore[attr-defined,no-any-return]


async def broken_mailer(engine: Engine) -> Mailer:
    mailer = Mailer("planted <b>fault</b>")
    engine.handlers.add_effect("mailer", mailer.handle, topics=("provider.#",))
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    await engine.store.flush()
    return mailer


async def test_the_list_shows_what_the_store_keeps(engine: Engine, session: Session) -> None:
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    go_to(session, "Events")
    words = await until(session, lambda words: "disabled" in words)
    assert "<b>cedar</b>" in words


async def test_every_topic_but_the_cycle_is_in_one_of_the_kinds_that_can_be_chosen() -> None:
    patterns = [TopicPattern(pattern) for kind in KINDS.values() for pattern in kind]
    left = [topic for topic in Topic if not any(pattern.matches(topic.value) for pattern in patterns)]
    assert left == [Topic.MARKET_DATA]


async def test_a_kind_narrows_the_list(engine: Engine, session: Session) -> None:
    await engine.registry.disable("cedar")
    await engine.handlers.settle()
    go_to(session, "Events")
    await until(session, lambda words: "disabled" in words)
    audit(session).kind.value = "Program"
    words = await until(session, lambda words: "Stream started" in words and "disabled" not in words)
    assert "Stream started" in words


async def test_older_events_are_a_page_away_and_newest_comes_back(engine: Engine, session: Session) -> None:
    for n in range(60):
        engine.handlers.submit(
            MarketEvent(ts=engine.clock.now_ns(), topic=Topic.ENGINE_STATUS, subject="engine", message=f"note {n:02d}.")
        )
    await engine.handlers.settle()
    go_to(session, "Events")
    await until(session, lambda words: "note 59" in words and "note 05" not in words)
    audit(session).older()
    await until(session, lambda words: "note 05" in words and "note 59" not in words)
    audit(session).newest()
    await until(session, lambda words: "note 59" in words)


async def test_a_second_press_of_older_before_the_page_is_there_skips_none(engine: Engine, session: Session) -> None:
    for n in range(120):
        engine.handlers.submit(
            MarketEvent(ts=engine.clock.now_ns(), topic=Topic.ENGINE_STATUS, subject="engine", message=f"note {n:03d}.")
        )
    await engine.handlers.settle()
    go_to(session, "Events")
    await until(session, lambda words: "note 119" in words)
    audit(session).older(), audit(session).older()
    words = await until(session, lambda words: "page 2" in words and "note 119" not in words)
    assert "note 060" in words
    audit(session).newest(), audit(session).older()
    await until(session, lambda words: "note 119" in words)


async def test_letters_are_there_again_when_the_store_can_be_read_again(
    engine: Engine, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broken_mailer(engine)
    go_to(session, "Events")
    await until(session, lambda words: "1 try" in words)

    async def fail(*_: object) -> None:
        raise TransientError("the database is gone")

    monkeypatch.setattr(engine.store, "dead_letters", fail)
    letters(session).page.forget()
    await until(session, lambda words: "the database is gone" in words)
    monkeypatch.undo()
    letters(session).page.forget()
    await until(session, lambda words: "1 try" in words and "the database is gone" not in words)


async def test_a_dead_letter_is_listed_with_its_reason_and_replayed_once_it_can_be(
    engine: Engine, session: Session
) -> None:
    mailer = await broken_mailer(engine)
    go_to(session, "Events")
    words = await until(session, lambda words: bool(letters(session).rows) and "PermanentError" in words)
    assert "PermanentError" in words and "<b>fault</b>" not in words
    (letter_id,) = letters(session).rows
    assert "failed again" in await letters(session).replay(letter_id)
    mailer.mended = True
    assert await letters(session).replay(letter_id) == "replayed"
    assert len(mailer.sent) == 1
    await until(session, lambda words: "None waits" in words)
    assert "replayed already" in await letters(session).replay(letter_id)


async def test_a_discarded_letter_leaves_the_list_and_does_nothing(engine: Engine, session: Session) -> None:
    mailer = await broken_mailer(engine)
    go_to(session, "Events")
    await until(session, lambda _: bool(letters(session).rows))
    (letter_id,) = letters(session).rows
    assert await letters(session).discard(letter_id) == "discarded"
    await until(session, lambda words: "None waits" in words)
    assert not mailer.sent


async def test_handlers_and_store_show_their_figures(session: Session) -> None:
    words = go_to(session, "Events")
    assert "<b>store</b>" in words and "<b>house</b>" in words
    assert "memory only" in words and "Nothing is kept when this process ends" in words


async def test_a_store_that_cannot_be_read_is_said_and_the_page_goes_on(
    engine: Engine, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise TransientError("the database is gone")

    monkeypatch.setattr(engine.store, "events", fail)
    go_to(session, "Events")
    words = await until(session, lambda words: "The store cannot be read" in words)
    assert "the database is gone" in words
    assert session.faults == 0
