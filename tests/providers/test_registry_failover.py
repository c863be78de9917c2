"""Failover from end to end: what the book shows when trust moves, and what is told of it."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, Desk, QueueProvider, RaisingProvider

from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.market.events import ProviderStatus
from marketstream.market.quotes import QuoteBatch, QuoteState
from marketstream.market.state import MarketState
from marketstream.providers.registry import ProviderRegistry
from marketstream.streaming.deltas import DeltaGraph

STEP_S = 0.5
PAIR = ("BTC-USD", "kraken")


class Show(Desk):
    """Two feeds of one venue in front of the real delta graph; each quotes every half second unless silent."""

    def __init__(self, *, failback_after_s: float = 30.0, instruments: tuple[str, ...] = ("BTC-USD",)) -> None:
        super().__init__(failback_after_s=failback_after_s)
        self.first = self.add("first", instruments=instruments)
        self.second = self.add("second", instruments=instruments)
        self.silent: set[str] = set()
        self.states: list[MarketState] = []
        self.graph = DeltaGraph(self.registry.catalog, self.states.append)

    def run(self, seconds: float) -> None:
        """Quote, cycle and check once each half second; the first asks 101, the second 10 bps more, 0.2 s later."""
        for _ in range(round(seconds / STEP_S)):
            now = self.clock.now_ns()
            for provider, late_s, factor in ((self.first, 0.1, 1.0), (self.second, 0.3, 1.001)):
                if provider.name not in self.silent:
                    for name in provider.instruments:
                        ts = now + round(late_s * SECOND_NS)
                        provider.enqueue(ts, 100.0 * factor, 101.0 * factor, instrument=name)
            self.cycle(STEP_S)
            self.check()

    def cycle(self, after_s: float) -> MarketState:
        rows = self.drain(after_s)
        self.graph.emit(QuoteBatch(rows, self.clock.now_ns()))
        return self.states[-1]

    @property
    def book(self) -> dict[str, object]:
        row: dict[str, object] = self.states[-1].books.loc[PAIR].to_dict()
        return row


@pytest.fixture
async def show() -> Show:
    made = Show()
    await made.registry.start()
    return made


async def test_while_the_first_is_healthy_only_its_prices_show(show: Show) -> None:
    show.run(20.0)
    assert (show.book["source"], show.book["ask"]) == ("first", 101.0)
    assert show.switches() == []
    assert show.second.stats.quotes == 40, "the reserve is drained all the same"


async def test_a_silent_feed_is_replaced_at_the_next_check_and_the_book_says_so(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    # The last quote was received 0.4 s before the silence is counted from.
    show.run(9.5)
    assert show.book["source"] == "first"
    show.run(0.5)
    assert show.registry.trusted(*PAIR) == "second"
    state = show.cycle(0.05)
    assert (show.book["source"], show.book["ask"], show.book["state"]) == ("second", 101.0 * 1.001, "LIVE")
    assert show.book["age_ms"] == pytest.approx(250.0), "received 0.2 s before the check: the stamp is its own"
    assert show.graph.kernel.out_of_order == 0
    assert state.book["provider"][0, 0] == show.second.code


async def test_a_switch_is_one_event_with_cause_and_cost(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    show.run(10.0)
    (event,) = show.switches()
    assert event.subject == "second"
    assert event.data == {
        "from": "first",
        "to": "second",
        "direction": "failover",
        "cause": "no valid quote for 10.4 s (allowed: 10 s)",
        "n_pairs": 1,
        "pairs": ["BTC-USD@kraken"],
        "without_data_s": pytest.approx(10.4),
        "jumps_bps": {"BTC-USD@kraken": pytest.approx(10.0)},
        "max_jump_bps": pytest.approx(10.0),
    }
    assert event.message == (
        "switched from first to second for 1 pair, 10.4 s after the last data "
        "(no valid quote for 10.4 s (allowed: 10 s)); largest price jump 10.0 bps"
    )
    status = [i for i, e in enumerate(show.events) if e.message.startswith("RUNNING to DEGRADED")]
    assert status[0] < show.events.index(event), "the cause is told before what came of it"


async def test_trust_goes_back_after_thirty_seconds_of_health_and_not_before(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    show.run(12.0)
    show.silent = set()
    show.run(30.0)
    assert (show.registry.trusted(*PAIR), show.book["source"]) == ("second", "second")
    show.run(1.5)
    assert (show.registry.trusted(*PAIR), show.book["source"]) == ("first", "first")
    back = show.switches()[-1]
    assert (
        back.message == "failed back from second to first for 1 pair after 30 s of health; largest price jump 10.0 bps"
    )
    assert (back.data["direction"], back.data["from"], back.data["to"]) == ("failback", "second", "first")
    assert back.data["without_data_s"] == pytest.approx(0.2)
    assert len(show.switches()) == 2
    assert show.graph.kernel.out_of_order == 0


async def test_a_relapse_begins_the_wait_anew(show: Show) -> None:
    show.run(5.0)
    for _ in range(3):
        show.silent = {"first"}
        show.run(12.0)
        show.silent = set()
        show.run(25.0)
    assert len(show.switches()) == 1, "a feed that comes and goes moves trust once"


async def test_if_the_reserve_fails_too_the_first_returns_at_once(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    show.run(12.0)
    show.silent = {"second"}
    show.run(12.0)
    assert show.registry.trusted(*PAIR) == "first"
    assert [e.data["direction"] for e in show.switches()] == ["failover", "failover"]


async def test_with_no_healthy_reserve_an_unhealthy_feed_stays_trusted(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first", "second"}
    show.run(30.0)
    assert show.registry.trusted(*PAIR) == "first"
    assert show.switches() == []
    assert show.book["state"] == "STALE"


async def test_a_reserve_that_never_quoted_is_passed_over_for_one_that_does(show: Show) -> None:
    show.silent = {"second"}
    third = show.add("third", stale_after_s=3600.0)
    show.second.stale_after_s = 3600.0
    await show.registry.enable("third")
    show.run(5.0)
    show.silent = {"first", "second"}
    for _ in range(24):
        third.enqueue(show.clock.now_ns())
        show.run(0.5)
    assert show.registry.trusted(*PAIR) == "third"


@pytest.mark.parametrize("how", ["disable", "remove"])
async def test_a_feed_switched_off_is_replaced_at_once(show: Show, how: str) -> None:
    show.run(5.0)
    await getattr(show.registry, how)("first")
    (event,) = show.switches()
    assert event.data["cause"] == how + "d"
    show.cycle(0.05)
    # The reserve's last quote came after the first's: 0.3 against 0.1 s.
    assert (show.book["source"], show.book["state"], show.book["ask"]) == ("second", "LIVE", 101.0 * 1.001)
    assert show.graph.kernel.out_of_order == 0


@pytest.mark.parametrize(("how", "state"), [("disable", "SUSPENDED"), ("remove", "CLOSED")])
async def test_where_the_reserve_has_nothing_newer_the_price_of_a_gone_feed_is_withdrawn(
    show: Show, how: str, state: str
) -> None:
    show.run(5.0)
    show.first.enqueue(show.clock.now_ns() + 4 * SECOND_NS // 10)
    show.cycle(STEP_S)
    await getattr(show.registry, how)("first")
    show.cycle(0.05)
    assert (show.book["source"], show.book["state"]) == ("first", state)
    assert np.isnan(show.book["ask"])  # type: ignore[call-overload]
    show.run(0.5)
    assert (show.book["source"], show.book["state"]) == ("second", "LIVE")
    assert show.graph.kernel.out_of_order == 0


async def test_the_price_of_a_degraded_feed_ages_where_the_reserve_has_nothing_newer(show: Show) -> None:
    show.second.stale_after_s = 3600.0
    show.run(5.0)
    show.silent = {"first", "second"}
    show.first.enqueue(show.clock.now_ns() + 4 * SECOND_NS // 10)
    show.run(11.0)
    assert show.registry.trusted(*PAIR) == "second"
    show.cycle(0.05)
    assert (show.book["source"], show.book["state"]) == ("first", "STALE")


async def test_a_quote_too_old_for_a_price_does_not_enter_as_news(show: Show) -> None:
    # The reserve counts as healthy for long, so that trust moves to it though its quote is too old for the venue.
    show.second.stale_after_s = 3600.0
    show.run(5.0)
    show.silent = {"second"}
    show.second.enqueue(show.clock.now_ns() + 3 * SECOND_NS // 10, 90.0, 91.0)
    show.run(0.5)
    show.silent = {"first", "second"}
    show.run(10.0)
    assert show.registry.trusted(*PAIR) == "second"
    show.cycle(0.05)
    assert (show.book["source"], show.book["ask"]) == ("first", 101.0)


async def test_a_reserve_whose_last_word_was_no_price_brings_none(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    show.run(9.0)
    show.second.enqueue(show.clock.now_ns() + 4 * SECOND_NS // 10, bid=102.0, ask=101.0)
    show.run(0.5)
    show.silent = {"first", "second"}
    show.run(0.5)
    assert show.registry.trusted(*PAIR) == "second"
    show.cycle(0.05)
    assert (show.book["source"], show.book["state"]) == ("second", "CROSSED")


async def test_a_reserve_that_is_gone_before_the_next_cycle_brings_nothing(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    show.run(10.0)
    assert show.registry.trusted(*PAIR) == "second"
    await show.registry.remove("second")
    await show.registry.remove("first")
    rows = show.drain(0.05)
    assert rows["state"].tolist() == [QuoteState.CLOSED, QuoteState.CLOSED]


async def test_a_restarted_reserve_brings_nothing_of_its_run_before(show: Show) -> None:
    show.run(5.0)
    await show.registry.disable("second")
    await show.registry.enable("second")
    await show.registry.disable("first")
    show.cycle(0.05)
    assert (show.book["source"], show.book["state"]) == ("first", "SUSPENDED")


async def test_a_fault_that_no_retry_helps_hands_over_and_withdraws(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    show.first.status = ProviderStatus.FAULTED
    show.run(0.5)
    assert show.registry.trusted(*PAIR) == "second"
    assert show.switches()[0].data["cause"] == "stopped by a fault that no retry helps"
    show.run(0.5)
    assert show.book["source"] == "second"


async def test_without_a_reserve_a_gone_feed_leaves_nobody() -> None:
    desk = Desk()
    desk.add("only")
    await desk.registry.start()
    desk.drain()
    await desk.registry.disable("only")
    assert desk.registry.trusted(*PAIR) is None
    assert desk.switches() == []


async def test_a_start_that_fails_hands_over_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    bad = RaisingProvider("bad", desk.clock)
    bad.raises_in = "start"
    desk.registry.add(bad)
    desk.add("good")
    assert desk.registry.trusted(*PAIR) == "bad"
    await desk.registry.start()
    desk.drain()
    (event,) = desk.switches()
    assert event.data["cause"] == "start failed: OSError: no route"
    assert event.message == "switched from bad to good for 1 pair, before any data (start failed: OSError: no route)"


async def test_an_event_lists_the_first_twenty_pairs_and_the_largest_jumps() -> None:
    names = tuple(f"A{i:02}-USD" for i in range(30))
    show = Show(instruments=names)
    await show.registry.start()
    show.run(2.0)
    show.silent = {"first"}
    show.run(9.5)
    now = show.clock.now_ns()
    for i, name in enumerate(names):
        show.second.enqueue(now + 45 * SECOND_NS // 100, 100.0, 101.0 + i / 10, instrument=name)
    show.run(0.5)
    (event,) = show.switches()
    assert event.data["n_pairs"] == 30
    assert event.data["pairs"] == [f"{name}@kraken" for name in names[:20]]
    jumps = event.data["jumps_bps"]
    assert isinstance(jumps, dict)
    # mid 100.5 before, (100 + 101 + i / 10) / 2 after
    expected = {f"{names[i]}@kraken": ((201.0 + i / 10) / 201.0 - 1.0) * 1e4 for i in reversed(range(10, 30))}
    assert jumps == pytest.approx(expected)
    assert list(jumps) == list(expected), "largest first"
    assert event.data["max_jump_bps"] == pytest.approx(((201.0 + 2.9) / 201.0 - 1.0) * 1e4)


async def test_pairs_that_only_the_first_carries_stay_with_it() -> None:
    desk = Desk()
    desk.add("first", instruments=("BTC-USD", "ETH-USD"))
    second = desk.add("second", instruments=("BTC-USD",))
    await desk.registry.start()
    desk.drain()
    desk.check()
    for _ in range(12):
        second.enqueue(desk.clock.now_ns())
        desk.drain()
        desk.check()
    assert desk.registry.trusted("BTC-USD", "kraken") == "second"
    assert desk.registry.trusted("ETH-USD", "kraken") == "first"


async def test_a_step_of_the_wall_clock_neither_hastens_nor_delays_the_return(show: Show) -> None:
    show.run(5.0)
    show.silent = {"first"}
    show.run(12.0)
    show.silent = set()
    show.run(10.0)
    show.clock.jump_wall(3600.0)
    show.run(19.0)
    assert show.registry.trusted(*PAIR) == "second"
    show.run(3.0)
    assert show.registry.trusted(*PAIR) == "first"


@pytest.mark.parametrize("failback_after_s", [-1.0, float("nan"), float("inf")])
def test_the_wait_has_a_sensible_length(failback_after_s: float) -> None:
    desk = Desk()
    with pytest.raises(InvalidInputError, match="failback_after_s must be >= 0 and finite"):
        ProviderRegistry(Catalog(), desk.clock, desk.events.append, failback_after_s=failback_after_s)


async def test_a_reserve_added_while_the_stream_runs_stands_by_from_its_first_quote() -> None:
    desk = Desk()
    first = desk.add("first")
    await desk.registry.start()
    first.enqueue(START_NS + SECOND_NS // 2)
    desk.drain()
    late = QueueProvider("late", desk.clock)
    desk.registry.add(late)
    await desk.registry.enable("late")
    late.enqueue(desk.clock.now_ns() + SECOND_NS // 2, 200.0, 201.0)
    assert len(desk.drain()) == 0
    await desk.registry.disable("first")
    rows = desk.drain()
    assert (rows["provider"].tolist(), rows["state"].tolist()) == ([late.code], [QuoteState.LIVE])
