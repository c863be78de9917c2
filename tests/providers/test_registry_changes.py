"""A recording of a registry's decisions: carried out by another registry, they give the same rows at every cycle."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, Desk, HangingProvider, QueueProvider, RaisingProvider

from marketstream.clock import ManualClock
from marketstream.errors import NotFoundError
from marketstream.market.catalog import Catalog
from marketstream.market.events import MarketEvent, ProviderStatus, Topic
from marketstream.providers.changes import ChangeKind, RegistryChange
from marketstream.providers.registry import ProviderRegistry

INSTRUMENTS = ("BTC-USD", "ETH-USD", "SOL-USD")


@dataclass
class Tape:
    """What happened, in order: ("rows", feed, what it received), ("change", it) and ("drain", now, what left)."""

    steps: list[tuple[object, ...]] = field(default_factory=list)

    def changes(self) -> list[RegistryChange]:
        return [step[1] for step in self.steps if step[0] == "change"]  # type: ignore[misc]


class Recorded(Desk):
    """Three feeds of a venue, whose rows, changes and drains go on a tape."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.tape = tape
        self.rng = np.random.default_rng(5)
        self.registry.on_change = lambda change: tape.steps.append(("change", change))
        self.feeds = {name: self.add(name, instruments=INSTRUMENTS) for name in ("a", "b", "c")}
        self.silent: set[str] = set()

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            now = self.clock.now_ns()
            for name, feed in self.feeds.items():
                if name not in self.silent:
                    self.quote(feed, now)
            self.clock.advance(1.0)
            for name, feed in self.feeds.items():
                if self.registry.is_enabled(name):
                    self.tape.steps.append(("rows", name, [row.copy() for row in feed.queue]))
            now = self.clock.now_ns()
            self.tape.steps.append(("drain", now, self.registry.drain(now)))
            self.check()

    def quote(self, feed: QueueProvider, now: int) -> None:
        for instrument in INSTRUMENTS:
            for after in np.sort(self.rng.integers(1, SECOND_NS, 2)).tolist():
                bid = 100.0 + self.rng.normal()
                feed.enqueue(now + after, bid, bid + self.rng.uniform(-0.1, 1.0), instrument=instrument)


async def recorded() -> Tape:
    """Run through silence, relapse, a fault, switching off and on, removal and return of the same name."""
    tape = Tape()
    desk = Recorded(tape)
    await desk.registry.start()
    desk.run(5)
    desk.silent = {"a"}
    desk.run(15)
    desk.silent = {"a", "b"}
    desk.run(15)
    desk.silent = set()
    desk.run(40)
    await desk.registry.disable("a")
    desk.run(5)
    await desk.registry.enable("a")
    desk.run(33)
    desk.feeds["b"].status = ProviderStatus.FAULTED
    desk.run(3)
    gone = desk.feeds.pop("a")
    await desk.registry.remove("a")
    desk.run(3)
    desk.registry.add(gone)
    await desk.registry.enable("a")
    desk.feeds["a"] = gone
    desk.run(3)
    await desk.registry.disable("c")
    desk.run(3)
    return tape


def differences(tape: Tape, changes: list[RegistryChange]) -> list[int]:
    """Play the tape to another registry, with these changes in place of the recorded ones; return unequal drains."""
    clock = ManualClock(START_NS)
    registry = ProviderRegistry(Catalog(), clock, lambda event: None)
    for name in ("a", "b", "c"):
        registry.add(QueueProvider(name, clock, INSTRUMENTS))
    unequal, wanted = [], {id(change) for change in changes}
    for number, step in enumerate(tape.steps):
        if isinstance(step[1], RegistryChange):
            if step[1].kind is ChangeKind.ADDED and step[1].provider not in registry:
                registry.add(QueueProvider(step[1].provider, clock, INSTRUMENTS))
            if id(step[1]) in wanted:
                registry.enact(step[1])
        elif step[0] == "rows":
            provider = registry.get(str(step[1])) if step[1] in registry else None
            if isinstance(provider, QueueProvider):
                provider.queue = list(step[2])  # type: ignore[call-overload]
        else:
            rows = registry.drain(int(step[1]))  # type: ignore[call-overload]
            if columns(rows) != columns(step[2]):  # type: ignore[arg-type]
                unequal.append(number)
    return unequal


def columns(rows: np.ndarray) -> list[bytes]:
    return [np.ascontiguousarray(rows[name]).tobytes() for name in rows.dtype.names or ()]


async def test_carrying_out_the_changes_gives_the_same_rows_at_every_cycle() -> None:
    tape = await recorded()
    kinds = {change.kind for change in tape.changes()}
    assert kinds == set(ChangeKind), "the tape has a change of every kind"
    assert sum(len(step[2]) for step in tape.steps if step[0] == "drain") > 500  # type: ignore[arg-type]
    assert differences(tape, tape.changes()) == []


async def test_the_check_above_catches_every_lost_change_that_matters() -> None:
    # Planted: one change is not carried out. Only those that move trust, bring rows or end a drain matter.
    tape = await recorded()
    changes = tape.changes()
    moving = [c for c in changes if len(c.rows) or c.kind in (ChangeKind.SWITCHED, ChangeKind.RETURNED)]
    assert len(moving) >= 6
    for lost in moving:
        left = [change for change in changes if change is not lost]
        assert differences(tape, left), f"{lost.kind} of {lost.provider} is missed by nobody"


async def test_the_check_above_catches_rows_that_are_left_out_of_a_change() -> None:
    tape = await recorded()
    for position, step in enumerate(tape.steps):
        if isinstance(step[1], RegistryChange) and len(step[1].rows):
            tape.steps[position] = ("change", replace(step[1], rows=step[1].rows[1:]))
    assert differences(tape, tape.changes())


async def test_a_registry_that_enacts_judges_nothing() -> None:
    tape = await recorded()
    first = tape.changes()[0]
    desk = Desk()
    desk.add("a", instruments=INSTRUMENTS)
    desk.add("b", instruments=INSTRUMENTS)
    desk.registry.enact(first)
    desk.changes.clear()
    await desk.registry.start()
    for _ in range(20):
        desk.drain()
        desk.check()
    assert desk.registry.trusted("BTC-USD", "kraken") is None, "no change has given it to anybody"
    assert {change.kind for change in desk.changes} == {ChangeKind.STATUS}, "its start was asked for from outside"


async def test_recorded_events_are_told_again_and_the_status_is_taken_over() -> None:
    desk = Desk()
    provider = desk.add("a")
    event = MarketEvent(ts=START_NS, topic=Topic.PROVIDER_STATUS, subject="a", message="RUNNING to DEGRADED: silent")
    change = RegistryChange(
        kind=ChangeKind.STATUS,
        provider="a",
        ts=START_NS,
        enabled=True,
        status=ProviderStatus.DEGRADED,
        events=(event,),
    )
    desk.changes.clear()
    desk.registry.enact(change)
    assert desk.events[-1] is event
    assert provider.status is ProviderStatus.DEGRADED
    assert desk.changes == [], "who gave the change knows it"


def test_a_change_of_an_unknown_provider_is_refused() -> None:
    desk = Desk()
    desk.add("a")
    change = RegistryChange(
        kind=ChangeKind.STATUS, provider="b", ts=START_NS, enabled=True, status=ProviderStatus.RUNNING
    )
    with pytest.raises(NotFoundError, match="unknown provider 'b'"):
        desk.registry.enact(change)


async def test_standing_changes_bring_another_registry_to_the_same_place() -> None:
    tape = Tape()
    desk = Recorded(tape)
    await desk.registry.start()
    desk.run(5)
    desk.silent = {"a"}
    desk.run(15)
    await desk.registry.disable("c")
    tape.steps.clear()
    standing = desk.registry.standing()
    desk.run(5)
    tape.steps[:0] = [("change", change) for change in standing]
    assert [(c.kind, c.provider, len(c.trust)) for c in standing] == [
        (ChangeKind.ENABLED, "a", 0),
        (ChangeKind.ENABLED, "b", 3),
        (ChangeKind.DISABLED, "c", 0),
    ]
    assert differences(tape, tape.changes()) == []
    assert differences(tape, tape.changes()[:1] + tape.changes()[2:]), "planted: b has nothing"


async def test_a_recorder_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.registry.on_change = lambda change: {}[change]  # type: ignore[index]
    desk.add("a")
    await desk.registry.start()
    assert "a recorder failed" in caplog.text
    assert desk.registry.trusted("BTC-USD", "kraken") == "a"


async def test_every_decision_is_told_in_order() -> None:
    desk = Desk()
    desk.add("a")
    desk.add("b")
    await desk.registry.start()
    desk.drain()
    await desk.registry.disable("a")
    await desk.registry.remove("b")
    told = [(change.kind.value, change.provider) for change in desk.changes]
    assert told == [
        ("added", "a"),
        ("added", "b"),
        ("status", "a"),
        ("status", "b"),
        ("settled", "a"),
        ("switched", "b"),
        ("disabled", "a"),
        ("settled", "b"),
        ("removed", "b"),
    ]


async def test_of_who_is_removed_while_it_starts_nothing_more_is_told() -> None:
    desk = Desk(timeout_s=5.0)
    desk.registry.add(HangingProvider("slow", desk.clock, "start"))
    starting = asyncio.ensure_future(desk.registry.start())
    await desk.clock.run_for(0.0)
    removing = asyncio.ensure_future(desk.registry.remove("slow"))
    await desk.clock.run_for(5.0)
    await asyncio.gather(starting, removing)
    assert [change.kind.value for change in desk.changes] == ["added", "settled", "settled", "removed"]


async def test_a_second_start_forgets_the_fault_of_the_first(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    bad = RaisingProvider("bad", desk.clock)
    bad.raises_in = "start"
    desk.registry.add(bad)
    await desk.registry.start()
    desk.drain()
    assert desk.registry.trusted("BTC-USD", "kraken") is None
    await desk.registry.stop()
    bad.raises_in = "nothing"
    await desk.registry.start()
    assert desk.registry.trusted("BTC-USD", "kraken") == "bad"
