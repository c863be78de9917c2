"""Ten thousand providers: what they take in memory, and that no step looks at all of them for each."""

from __future__ import annotations

import asyncio
import tracemalloc

import numpy as np
import pytest
from provider_fakes import Desk, QueueProvider

from marketstream.market.catalog import Catalog
from marketstream.providers.pairs import Pairs
from marketstream.providers.registry import ProviderRegistry
from marketstream.providers.trust import Trust

N = 10_000
LIMIT_BYTES = 60e6


def taken(desk: Desk, n: int, *, own_venue: bool) -> int:
    """Add providers, drain once, and return the bytes that are kept."""
    tracemalloc.start()
    try:
        for i in range(n):
            # Of a venue and an instrument of its own, or all of the same ten.
            instruments = (f"I{i}-USD",) if own_venue else tuple(f"I{j}-USD" for j in range(10))
            desk.registry.add(QueueProvider(f"p{i}", desk.clock, instruments, venue=f"v{i}" if own_venue else "v"))
        desk.drain()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.performance
@pytest.mark.timeout(90)  # tracing every allocation takes its time
@pytest.mark.parametrize("own_venue", [True, False])
def test_ten_thousand_providers_take_less_than_sixty_megabytes(own_venue: bool) -> None:
    desk = Desk()
    desk.registry.on_change = None
    assert taken(desk, N, own_venue=own_venue) < LIMIT_BYTES
    assert len(desk.registry) == N


@pytest.mark.parametrize("own_venue", [True, False])
def test_what_a_provider_takes_does_not_grow_with_their_number(own_venue: bool) -> None:
    few, many = (taken(Desk(), n, own_venue=own_venue) / n for n in (300, 1200))
    assert many < 1.1 * few


def test_the_check_above_catches_a_matrix_of_all_pairs_per_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted: what a provider lists is kept as one cell for every instrument and venue known.
    class Matrix(Pairs):
        __slots__ = ("cells",)

    def attach(provider: QueueProvider, catalog: Catalog) -> None:
        sound(provider, catalog)
        provider._pairs = Matrix(zip(provider.pairs.instruments.tolist(), provider.pairs.venues.tolist(), strict=True))
        provider._pairs.cells = np.ones((catalog.n_instruments, catalog.n_venues), dtype=np.bool_)

    sound = QueueProvider.attach
    monkeypatch.setattr(QueueProvider, "attach", attach)
    desk = Desk()
    assert taken(desk, 700, own_venue=True) > LIMIT_BYTES
    with pytest.raises(AssertionError):
        test_what_a_provider_takes_does_not_grow_with_their_number(own_venue=True)


def test_adding_settles_nothing_and_a_drain_settles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seated, moved = [], []
    seat, moves = Trust.seat, Trust.moves
    monkeypatch.setattr(Trust, "seat", lambda self, *rest: (seated.append(1), seat(self, *rest))[1])
    monkeypatch.setattr(Trust, "moves", lambda self: (moved.append(1), moves(self))[1])
    desk = Desk()
    for i in range(50):
        desk.add(f"p{i}", venue=f"v{i}")
    assert (len(seated), len(moved)) == (0, 0)
    for _ in range(5):
        desk.drain()
        desk.check()
    assert (len(seated), len(moved)) == (1, 1)


async def test_a_start_of_many_settles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    moves = Trust.moves
    monkeypatch.setattr(Trust, "moves", lambda self: (moved.append(1), moves(self))[1])
    desk = Desk()
    for i in range(50):
        desk.add(f"p{i}", venue=f"v{i}")
    await desk.registry.start()
    desk.drain()
    assert len(moved) == 1


async def test_all_of_many_can_be_started_checked_and_stopped() -> None:
    desk = Desk()
    for i in range(500):
        desk.add(f"p{i}", venue=f"v{i}")
    await desk.registry.start()
    desk.drain()
    assert len(desk.check()) == len(desk.registry.report(desk.clock.now_ns())) == 500
    await desk.registry.stop()
    assert len(asyncio.all_tasks()) == 1


def test_a_failover_of_many_pairs_at_once_is_one_event_for_each_pair_of_providers() -> None:
    desk = Desk()
    registry: ProviderRegistry = desk.registry
    for i in range(200):
        desk.add(f"a{i}", venue=f"v{i}")
        desk.add(f"b{i}", venue=f"v{i}")
    desk.drain()
    for i in range(200):
        registry.get(f"b{i}")
        desk.registry.get(f"a{i}").health = lambda now: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    desk.check()
    assert len(desk.switches()) == 200
    assert {e.data["n_pairs"] for e in desk.switches()} == {1}
