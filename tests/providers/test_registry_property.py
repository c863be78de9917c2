"""Trust under any course of events: a rule-based machine against a second, plain reckoning of who may be trusted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from provider_fakes import Desk, QueueProvider

from marketstream.market.events import ProviderStatus
from marketstream.market.quotes import QuoteState
from marketstream.providers.changes import ChangeKind
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.registry_entry import Entry
from marketstream.providers.trust import Trust

NAMES = ("a", "b", "c")
LISTS = {"a": ("X", "Y"), "b": ("X", "Y", "Z"), "c": ("Y", "Z")}
STALE_S, FAILBACK_S = 3, 6
STEPS = settings(
    max_examples=int(os.environ.get("MARKETSTREAM_FUZZ", "60")),
    stateful_step_count=40,
    deadline=None,
    derandomize="MARKETSTREAM_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
# To see that a planted bug is caught, the first failing course is enough; nobody reads it.
CAUGHT = settings(STEPS, max_examples=200, phases=[Phase.generate], derandomize=True, database=None)


class Course(RuleBasedStateMachine):
    """Seconds pass; feeds quote or are silent, fail for good, are switched off and on, removed and added.

    A second registry gets the same rows and only carries out the changes of the first: it must let out the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.desk = Desk(failback_after_s=float(FAILBACK_S))
        self.twin = Desk()
        self.feeds: dict[str, QueueProvider] = {}
        # The model: the order, who is enabled, the second of the last quote, since when each has been well
        self.order: list[str] = []
        self.well_since: dict[str, int | None] = {}
        self.last_quote: dict[str, int | None] = {}
        self.status: dict[str, ProviderStatus] = {}
        self.held: dict[str, str | None] = dict.fromkeys("XYZ")
        self.delivered: dict[str, int] = dict.fromkeys("XYZ", 0)
        self.second = 0

    def teardown(self) -> None:
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        for name in NAMES:
            self.arrive(name)
        self.do(self.desk.registry.start())
        self.settle()

    def arrive(self, name: str) -> None:
        self.feeds[name] = QueueProvider(name, self.desk.clock, LISTS[name], stale_after_s=float(STALE_S))
        self.desk.registry.add(self.feeds[name])
        # Who comes back has its old place.
        self.order = [each for each in NAMES if each in self.feeds]
        self.last_quote[name] = self.well_since[name] = None
        self.status[name] = ProviderStatus.RUNNING

    @rule(talkative=st.sets(st.sampled_from(NAMES)), seconds=st.integers(1, 8))
    def time_passes(self, talkative: set[str], seconds: int) -> None:
        for _ in range(seconds):
            now = self.desk.clock.now_ns()
            for name in talkative & self.feeds.keys():
                for instrument in LISTS[name]:
                    self.feeds[name].enqueue(now + 500_000_000, instrument=instrument)
            holders = dict(self.held)
            self.follow()
            rows = self.desk.drain(1.0)
            assert columns(self.twin.drain(1.0)) == columns(rows), "the changes do not say all that was decided"
            self.second += 1
            self.check_rows(rows, holders)
            for name in talkative & self.feeds.keys():
                if self.desk.registry.is_enabled(name):
                    self.last_quote[name] = self.second
            for feed in self.feeds.values():
                feed.queue.clear()
            reports = self.desk.check()
            for name, report in reports.items():
                self.status[name] = report.status
                self.note_health(name)
            self.settle()

    def follow(self) -> None:
        # What the drain itself would settle comes before it, as the changes of a recording do.
        self.desk.registry.trusted("X", "kraken")
        for change in self.desk.changes:
            if change.kind is ChangeKind.ADDED:
                name = change.provider
                self.twin.registry.add(QueueProvider(name, self.twin.clock, LISTS[name]))
            self.twin.registry.enact(change)
        self.desk.changes.clear()
        for name, feed in self.feeds.items():
            twin = self.twin.registry.get(name)
            assert isinstance(twin, QueueProvider)
            twin.queue = [row.copy() for row in feed.queue] if self.desk.registry.is_enabled(name) else []

    def check_rows(self, rows: np.ndarray, holders: dict[str, str | None]) -> None:
        catalog = self.desk.registry.catalog
        for row in rows:
            instrument, provider = catalog.index[row["instrument"]], catalog.providers[row["provider"]]
            if row["state"] == QuoteState.LIVE:
                assert provider == holders[instrument], f"{provider} spoke for {instrument}, held by {holders}"
                assert row["ts_received"] > self.delivered[instrument], "an old price came as if it were new"
            self.delivered[instrument] = int(row["ts_received"])

    def note_health(self, name: str) -> None:
        last = self.last_quote[name]
        well = self.status[name] is ProviderStatus.RUNNING and last is not None and self.second - last < STALE_S
        if not well:
            self.well_since[name] = None
        elif self.well_since[name] is None:
            self.well_since[name] = self.second

    def healthy(self, name: str) -> bool:
        return self.status[name] in (ProviderStatus.RUNNING, ProviderStatus.READY)

    def proven(self, name: str) -> bool:
        since, last = self.well_since[name], self.last_quote[name]
        # A quote is received half a second before the check of its second.
        return since is not None and last is not None and last - 0.5 - since >= FAILBACK_S

    def settle(self) -> None:
        for instrument in self.held:
            self.held[instrument] = self.ruled(instrument)

    def ruled(self, instrument: str) -> str | None:
        able = [n for n in self.order if instrument in LISTS[n] and self.status[n] in ABLE]
        holder = self.held[instrument]
        if holder in able and self.healthy(holder):
            earlier = [n for n in able[: able.index(holder)] if self.proven(n)]
            return earlier[0] if earlier else holder
        for good in (lambda n: self.well_since[n] is not None, self.healthy, lambda n: n == holder, lambda n: True):
            found = [n for n in able if good(n)]
            if found:
                return found[0]
        return None

    @rule(name=st.sampled_from(NAMES))
    def fails_for_good(self, name: str) -> None:
        if name in self.feeds and self.desk.registry.is_enabled(name):
            self.feeds[name].status = ProviderStatus.FAULTED

    @rule(name=st.sampled_from(NAMES))
    def switched_off(self, name: str) -> None:
        if name in self.feeds:
            self.do(self.desk.registry.disable(name))
            self.status[name] = ProviderStatus.DISABLED
            self.well_since[name] = None
            self.settle()

    @rule(name=st.sampled_from(NAMES))
    def switched_on(self, name: str) -> None:
        if name in self.feeds:
            faulted = self.feeds[name].status is ProviderStatus.FAULTED
            if faulted or not self.desk.registry.is_enabled(name):
                self.do(self.desk.registry.enable(name))
                self.status[name] = ProviderStatus.RUNNING
                self.well_since[name] = None
                self.settle()

    @rule(name=st.sampled_from(NAMES))
    def removed(self, name: str) -> None:
        if name in self.feeds:
            self.do(self.desk.registry.remove(name))
            del self.feeds[name]
            self.status[name] = ProviderStatus.STOPPED
            self.settle()
            self.order.remove(name)

    @rule(name=st.sampled_from(NAMES))
    def added_again(self, name: str) -> None:
        if name not in self.feeds:
            self.arrive(name)
            self.do(self.desk.registry.enable(name))
            self.settle()

    @invariant()
    def trust_is_as_reckoned(self) -> None:
        known = {i.id for i in self.desk.registry.catalog.instruments}
        found = {i: self.desk.registry.trusted(i, "kraken") for i in self.held if i in known}
        assert found == {i: self.held[i] for i in found}, f"at second {self.second}, {self.status}"


def columns(rows: np.ndarray) -> list[bytes]:
    return [np.ascontiguousarray(rows[name]).tobytes() for name in rows.dtype.names or ()]


ABLE = (ProviderStatus.RUNNING, ProviderStatus.READY, ProviderStatus.DEGRADED)


def test_trust_follows_the_rule_and_no_untrusted_row_leaves() -> None:
    run_state_machine_as_test(Course, settings=STEPS)


def hasty(entry: Entry, *args: Any) -> bool:
    """Planted: without hysteresis."""
    changed = JUDGE(entry, *args)
    entry.proven = entry.healthy
    return changed or True


def flighty(entry: Entry, *args: Any) -> bool:
    """Planted: a healthy provider is left for any other healthy one, which looks unhealthy to the rule."""
    changed = JUDGE(entry, *args)
    entry.healthy = entry.healthy and entry.name != "a"
    return changed or True


JUDGE = Entry.judge


@pytest.mark.parametrize("planted", [hasty, flighty])
def test_the_machine_catches_a_wrong_judgement(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entry, "judge", planted)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Course, settings=CAUGHT)


def test_the_machine_catches_rows_of_the_untrusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entry, "passed", lambda entry, rows: rows)
    with pytest.raises(AssertionError, match="spoke for"):
        run_state_machine_as_test(Course, settings=CAUGHT)


def test_the_machine_catches_a_change_that_leaves_rows_out(monkeypatch: pytest.MonkeyPatch) -> None:
    enact = ProviderRegistry.enact
    monkeypatch.setattr(
        ProviderRegistry, "enact", lambda registry, change: enact(registry, replace(change, rows=change.rows[:0]))
    )
    with pytest.raises(AssertionError, match="do not say all"):
        run_state_machine_as_test(Course, settings=CAUGHT)


def test_the_machine_catches_a_move_that_is_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trust, "moves", lambda trust: MOVES(trust)[:1])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Course, settings=CAUGHT)


MOVES = Trust.moves
