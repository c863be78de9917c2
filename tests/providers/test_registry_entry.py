"""What the registry keeps of one provider: its rate, its standing, and the rows it may pass on."""

from __future__ import annotations

import numpy as np
import pytest
from provider_fakes import SECOND_NS, START_NS, QueueProvider

from marketstream.clock import ManualClock
from marketstream.market.catalog import Catalog
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import HealthReport
from marketstream.providers.registry_entry import Entry

FAILBACK_NS = 30 * SECOND_NS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


def entry_of(clock: ManualClock, *instruments: str) -> Entry:
    provider = QueueProvider("a", clock, instruments or ("BTC-USD",))
    provider.attach(Catalog())
    return Entry(provider, enabled=True)


def report(status: ProviderStatus = ProviderStatus.RUNNING, age_s: float | None = 0.1) -> HealthReport:
    absence = None if status is ProviderStatus.RUNNING else Absence.STALE
    return HealthReport(status=status, absence=absence, detail="no valid quote for 11 s", age_s=age_s)


def test_the_rate_is_that_of_the_last_ten_seconds(clock: ManualClock) -> None:
    entry = entry_of(clock)
    assert entry.rate() == 0.0
    for second in range(30):
        # 100 a second for 15 seconds, then 4 a second
        entry.provider.stats.quotes += 100 if second < 15 else 4
        entry.drained(START_NS + second * SECOND_NS)
    assert entry.rate() == pytest.approx(4.0)
    entry.restart()
    assert entry.rate() == 0.0


def test_a_provider_is_proven_after_delivering_long_enough(clock: ManualClock) -> None:
    entry = entry_of(clock)
    found = []
    for second in range(32):
        entry.judge(report(), second * SECOND_NS, FAILBACK_NS)
        found.append(entry.proven)
    # The newest data are 0.1 s old: after 30 s they reach back 29.9 s.
    assert found == [False] * 31 + [True]


def test_silence_adds_nothing_to_the_proof(clock: ManualClock) -> None:
    entry = entry_of(clock)
    for second in range(26):
        entry.judge(report(age_s=0.0), second * SECOND_NS, FAILBACK_NS)
    for silent_s in range(1, 10):
        entry.judge(report(age_s=float(silent_s)), (25 + silent_s) * SECOND_NS, FAILBACK_NS)
        assert (entry.delivering, entry.proven) == (True, False)
    entry.judge(report(age_s=0.0), 35 * SECOND_NS, FAILBACK_NS)
    assert entry.proven


def test_one_bad_check_begins_the_proof_anew(clock: ManualClock) -> None:
    entry = entry_of(clock)
    for second in range(50):
        entry.judge(
            report(ProviderStatus.DEGRADED if second == 20 else ProviderStatus.RUNNING), second * SECOND_NS, FAILBACK_NS
        )
        assert not entry.proven
    entry.judge(report(), 52 * SECOND_NS, FAILBACK_NS)
    assert entry.proven


@pytest.mark.parametrize("age_s", [None, 10.1])
def test_who_waits_for_its_first_quote_is_healthy_but_proves_nothing(clock: ManualClock, age_s: float | None) -> None:
    entry = entry_of(clock)
    for second in range(60):
        entry.judge(report(age_s=age_s), second * SECOND_NS, FAILBACK_NS)
    assert (entry.healthy, entry.delivering, entry.proven) == (True, False, False)


@pytest.mark.parametrize(("status", "available"), [(ProviderStatus.DEGRADED, True), (ProviderStatus.FAULTED, False)])
def test_a_degraded_provider_may_deliver_and_a_faulted_one_may_not(
    clock: ManualClock, status: ProviderStatus, available: bool
) -> None:
    entry = entry_of(clock)
    assert entry.judge(report(status), 0, FAILBACK_NS) is True
    assert (entry.available, entry.healthy, entry.cause) == (available, False, "no valid quote for 11 s")
    assert entry.judge(report(status), SECOND_NS, FAILBACK_NS) is False, "nothing new"


def test_a_check_does_not_bring_back_who_is_out(clock: ManualClock) -> None:
    entry = entry_of(clock)
    entry.bar("disabled", QuoteState.SUSPENDED)
    entry.enabled = False
    assert entry.judge(report(), 0, FAILBACK_NS) is False
    assert not entry.available


def test_only_rows_of_trusted_pairs_pass_and_the_newest_of_shared_ones_are_kept(clock: ManualClock) -> None:
    entry = entry_of(clock, "BTC-USD", "ETH-USD")
    provider = entry.provider
    assert isinstance(provider, QueueProvider)
    entry.trust(np.array([0]), trusted=True)
    entry.share(shared=True, delivered_at=START_NS)
    for second, name in enumerate(("ETH-USD", "BTC-USD", "ETH-USD")):
        provider.enqueue(START_NS + second * SECOND_NS, bid=10.0 + second, ask=12.0 + second, instrument=name)
    passed = entry.passed(provider.drain(START_NS + 3 * SECOND_NS))
    assert passed["instrument"].tolist() == [0]
    assert entry.newest is not None
    assert entry.newest.price.tolist() == [12.0, 13.0]
    assert (entry.newest.rows["ts_received"] - START_NS).tolist() == [SECOND_NS, 2 * SECOND_NS]
    assert (entry.newest.delivered - START_NS).tolist() == [SECOND_NS, 0]


def test_a_restart_forgets_the_rows_but_not_what_was_delivered(clock: ManualClock) -> None:
    entry = entry_of(clock)
    provider = entry.provider
    assert isinstance(provider, QueueProvider)
    entry.trust(np.array([0]), trusted=True)
    entry.share(shared=True, delivered_at=START_NS)
    provider.enqueue(START_NS + SECOND_NS)
    entry.passed(provider.drain(START_NS + SECOND_NS))
    entry.restart()
    assert entry.newest is not None
    assert np.isnan(entry.newest.price[0])
    assert (entry.newest.rows["ts_received"][0], entry.newest.delivered[0]) == (0, START_NS + SECOND_NS)
