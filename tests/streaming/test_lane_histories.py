"""Random histories of lanes against their promises, and planted bugs that the same check must catch.

Every event ends done or dead-lettered, once, in order; only what may be dropped is dropped, and counted.
MARKETSTREAM_FUZZ=2000 plays that many new histories in place of the same 100 (`make fuzz`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

import pytest
from event_factory import CONTROL, SOFT, event
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from marketstream.clock import ManualClock
from marketstream.errors import PermanentError, TransientError
from marketstream.market.events import MarketEvent, Topic, event_from_json
from marketstream.market.handling import DeadLetter, HandlerOutcome, HandlerResult, RetryPolicy
from marketstream.streaming import handlers
from marketstream.streaming.handlers import DeltaHandlerManager
from marketstream.streaming.lanes import Lane
from marketstream.streaming.waiting import WaitingRoom

FUZZ = int(os.environ.get("MARKETSTREAM_FUZZ", "0"))
# What the calls with one event do, in turn; after these they succeed.
FATES: dict[str, list[BaseException | float]] = {
    "good": [],
    "slow": [2.0],
    "busy once": [TransientError("busy")],
    "times out": [99.0],
    "lost": [TransientError("busy")] * 3,
    "poison": [PermanentError("poison")] * 9,
    "bug": [KeyError("price")] * 9,
}
EVENT = st.tuples(st.sampled_from([SOFT, CONTROL]), st.sampled_from(list(FATES)))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.lists(EVENT, min_size=1, max_size=8)),
        st.tuples(st.just("submit"), st.lists(EVENT, min_size=1, max_size=8)),
        st.tuples(st.just("let_pass"), st.floats(0.1, 20.0)),
        st.tuples(st.just("break_store"), st.integers(1, 3)),
        st.tuples(st.just("restart"), st.floats(0.0, 9.0)),
    ),
    min_size=2,
    max_size=12,
)
LANES = st.lists(st.tuples(st.integers(1, 5), st.sampled_from([2, 4, 100])), min_size=1, max_size=2)


class Ledger:
    """An effect, idempotent by event id: what it has written, in the order of writing."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.faults: dict[object, list[BaseException | float]] = {}
        self.written: dict[str, MarketEvent] = {}

    async def write(self, events: Sequence[MarketEvent]) -> None:
        for one in events:
            faults = self.faults[one.data["n"]]
            fault = faults.pop(0) if faults else None
            if isinstance(fault, BaseException):
                raise fault
            if fault is not None:
                await self.clock.sleep(fault)
            self.written.setdefault(one.id, one)


class History:
    """Plays one history on a manager with some lanes."""

    def __init__(self, lanes: list[tuple[int, int]]) -> None:
        self.clock = ManualClock()
        self.store_fails = 0
        self.letters: dict[str, list[DeadLetter]] = {}
        self.submitted: list[MarketEvent] = []
        self.n = 0
        self.manager = DeltaHandlerManager(
            clock=self.clock, market=lambda: None, on_dead_letter=self.keep, rng=random.Random(1), run="run"
        )
        self.ledgers: dict[str, Ledger] = {}
        for i, (max_batch, capacity) in enumerate(lanes):
            ledger = self.ledgers[f"lane{i}"] = Ledger(self.clock)
            self.letters[f"lane{i}"] = []
            self.manager.add_effect(
                f"lane{i}",
                ledger.write,
                retry=RetryPolicy(max_attempts=3, first_s=0.5, cap_s=2.0),
                max_batch=max_batch,
                capacity=capacity,
                timeout_s=5.0,
            )

    async def keep(self, letter: DeadLetter) -> None:
        if self.store_fails:
            self.store_fails -= 1
            raise TransientError("the store is busy")
        self.letters[letter.handler].append(letter)

    async def play(self, steps: list[tuple[Any, ...]]) -> None:
        """Play all steps, let every lane empty, and check."""
        await self.manager.start()
        for name, argument in steps:
            await getattr(self, name)(argument)
        await self.through(self.manager.settle(), 1000)
        self.check()
        await self.check_replays()
        await self.manager.stop()

    async def through(self, work: Coroutine[None, None, None], limit_s: float) -> None:
        """Let time pass until this is done."""
        task = asyncio.create_task(work)
        for _ in range(round(limit_s)):
            await self.clock.run_for(1.0)
            if task.done():
                break
        assert task.done(), "no end in sight"
        await task

    async def submit(self, facts: list[tuple[Topic, str]]) -> None:
        """Submit in a row."""
        for topic, fate in facts:
            self.n += 1
            for ledger in self.ledgers.values():
                ledger.faults[self.n] = list(FATES[fate])
            self.submitted.append(self.manager.submit(event(self.n, topic)))

    async def let_pass(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.run_for(seconds)

    async def break_store(self, times: int) -> None:
        """Let the next letters be refused."""
        self.store_fails = times

    async def restart(self, drain_s: float) -> None:
        """Stop and start again."""
        await self.through(self.manager.stop(drain_s), 100)
        self.store_fails = 0
        await self.manager.start()

    def check(self) -> None:
        """Hold every lane to its promises."""
        for report in self.manager.report():
            written, letters = self.ledgers[report.name].written, self.letters[report.name]
            dead = [letter.event_id for letter in letters]
            assert len(set(dead)) == len(dead), "an event was dead-lettered twice"
            order = [one.id for one in self.submitted]
            assert [order.index(id_) for id_ in written] == sorted(order.index(id_) for id_ in written), "out of order"
            assert [order.index(id_) for id_ in dead] == sorted(order.index(id_) for id_ in dead), (
                "letters out of order"
            )
            for one in self.submitted:
                # A call that was cut off may have done its work; nothing else ends in both.
                both = one.id in written and one.id in dead
                assert not both or "ended before" in next(e.error for e in letters if e.event_id == one.id)
                assert one.id in written or one.id in dead or not one.is_control, "a control event has no outcome"
            unsaved = sum(letter.handler == report.name for letter in self.manager.unsaved)
            assert report.dead_lettered == len(dead) + unsaved, "letters are missing"
            assert len(self.submitted) == report.done + report.dead_lettered + report.dropped, "counts do not add up"
            assert [event_from_json(e.payload).id for e in letters] == dead

    async def check_replays(self) -> None:
        """Replay every letter twice with its fault mended; the effect is there once."""
        for name, ledger in self.ledgers.items():
            ledger.faults = {n: [] for n in ledger.faults}
            for letter in self.letters[name]:
                for _ in range(2):
                    result: HandlerResult = await self.manager.replay(letter)
                    assert result.outcome is HandlerOutcome.DONE
                assert ledger.written[letter.event_id].data == letter.payload["data"]


def check_lanes(examples: int, *, fixed: bool, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    """Play that many random histories; raises where a lane breaks a promise."""

    @settings(
        max_examples=examples,
        phases=phases,
        deadline=None,
        database=None,
        derandomize=fixed,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(LANES, STEPS)
    def run(lanes: list[tuple[int, int]], steps: list[tuple[Any, ...]]) -> None:
        async def play() -> None:
            await History(lanes).play(steps)

        asyncio.run(play())

    run()


def find_bug() -> None:
    """The same for a bug that is known: no time is spent on the shortest history that shows it."""
    check_lanes(300, fixed=True, phases=(Phase.generate,))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    # Thousands of failures that the histories ask for.
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_lanes_keep_their_promises_in_any_history() -> None:
    check_lanes(FUZZ or 100, fixed=not FUZZ)


class SwallowsLetters(Lane):
    """Goes on although a letter could not be kept."""

    async def _save(self, letter: DeadLetter) -> None:
        await self._fenced(lambda: self._bury(letter))


class Reorders(Lane):
    """Puts an event that met a passing fault behind those that wait."""

    async def _pause(self, error: BaseException, failures: int) -> None:
        if isinstance(error, TransientError) and len(self._in_hand) > 1:
            self._in_hand.rotate(-1)
        await super()._pause(error, failures)


class LosesBatches(Lane):
    """Takes a batch that failed for one that is done."""

    async def _deal_with_all(self) -> None:
        if len(self._in_hand) > 1:
            await self._call(tuple(self._in_hand))
            self._done += len(self._in_hand)
            self._in_hand.clear()
        else:
            await super()._deal_with_all()


class ForgetsAtTheEnd(Lane):
    """Lets go of what it did not come to."""

    def abandon(self) -> list[DeadLetter]:
        super().abandon()
        return []


class BuriesTwice(Lane):
    """Keeps a letter again where keeping it was slow to answer."""

    async def _save(self, letter: DeadLetter) -> None:
        await super()._save(letter)
        await super()._save(letter)


@pytest.mark.parametrize(
    ("bug", "complaint"),
    [
        (SwallowsLetters, "a control event has no outcome"),
        (Reorders, "out of order"),
        (LosesBatches, "a control event has no outcome"),
        (ForgetsAtTheEnd, "letters are missing|a control event has no outcome"),
        (BuriesTwice, "dead-lettered twice"),
    ],
)
def test_a_planted_lane_is_caught(bug: type[Lane], complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "Lane", bug)
    with pytest.raises(AssertionError, match=complaint):
        find_bug()


def test_a_lane_that_drops_control_events_when_full_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def offer(self: WaitingRoom, one: MarketEvent) -> int:
        self.accepted += 1
        if len(self._waiting) >= self.capacity:
            self.dropped += 1
        else:
            self._waiting[self.accepted] = one
        return self.accepted

    monkeypatch.setattr(WaitingRoom, "offer", offer)
    with pytest.raises(AssertionError, match="a control event has no outcome"):
        find_bug()
