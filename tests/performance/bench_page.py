"""Speed of a moved knob at 500 instruments, and of a page update on the demo, both without a browser."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from marketstream.analytics.analysis import Analysis
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.providers.simulated import SimulatedProvider, make_world
from marketstream.settings import load_settings

N_INSTRUMENTS = 500
N_VENUES = 4
KNOB_GOAL_MS = 50.0
PAGE_GOAL_MS = 10.0


def scale_engine(n_instruments: int = N_INSTRUMENTS, n_venues: int = N_VENUES) -> Engine:
    """An engine over simulated assets, warmed up so that covariances have something to rest on."""
    settings = load_settings(profile="demo", warmup_s=600, store_url="memory")
    clock = ManualClock()
    world = make_world(
        "scale",
        seed=7,
        start_ns=clock.now_ns() - settings.warmup_s * 1_000_000_000,
        n_instruments=n_instruments,
        n_venues=n_venues,
    )
    feeds = [SimulatedProvider(name=venue.id, clock=clock, world=world, venue=venue.id) for venue in world.spec.venues]
    return Engine(settings, clock=clock, providers=feeds)


def knob_to_weights(repeats: int) -> dict[str, Any]:
    """Time from a moved knob to new weights in one session."""

    async def measure() -> dict[str, list[float]]:
        engine = scale_engine()
        await engine.run_for(2.0)
        house = engine.snapshot
        assert house is not None and len(house.allocation.weights) == N_INSTRUMENTS
        session = Analysis()
        session.follow(house)
        spent: dict[str, list[float]] = {"risk aversion": [], "half-life": []}
        for i in range(repeats):
            session.optimizer.risk_aversion = 3.0 + 0.1 * i
            spent["risk aversion"].append(_timed(session, house))
            session.fair_value.half_life_s = 5.0 + 0.1 * i
            spent["half-life"].append(_timed(session, house))
        await engine.close()
        return spent

    return {
        f"knob to weights, {name}, {N_INSTRUMENTS} instruments": _figure(values, "ms", KNOB_GOAL_MS)
        for name, values in asyncio.run(measure()).items()
    }


def page_update(repeats: int) -> dict[str, Any]:
    """CPU of one page update of one session, per tab: views and the encoded message, analysis not counted."""
    from bokeh.protocol import Protocol

    from marketstream.dashboard.dashboard import Dashboard

    async def measure() -> dict[str, list[float]]:
        engine = Engine(load_settings(profile="demo", store_url="memory"), clock=ManualClock())
        await engine.run_for(2.0)
        dashboard = Dashboard(engine)
        page = dashboard.page()
        document = page.server_doc()
        events: list[Any] = []
        document.on_change(events.append)
        protocol = Protocol()
        (session,) = dashboard.sessions
        spent: dict[str, list[float]] = {}
        sent: dict[str, int] = {}
        for number, tab in enumerate(session.views):
            session.shell.tabs.active = number
            session.refresh()
            spent[tab] = []
            for _ in range(repeats):
                await engine.run_for(0.5)
                assert engine.snapshot is not None
                seen = session.analysis.follow(engine.snapshot)
                events.clear()
                started = time.process_time()
                session.show(seen)
                # What a browser would be sent; a page that is open sends each batch as one message.
                size = len(protocol.create("PATCH-DOC", events).content_json) if events else 0
                spent[tab].append(1e3 * (time.process_time() - started))
                sent[tab] = sent.get(tab, 0) + size
            assert sent[tab], f"nothing was sent for {tab}"
        session.close()
        document.clear()
        await engine.close()
        return spent

    return {
        f"page update, {tab}": _figure(values, "ms of CPU", PAGE_GOAL_MS)
        for tab, values in asyncio.run(measure()).items()
    }


def _timed(session: Analysis, house: Any) -> float:
    started = time.process_time()
    weights = session.follow(house).allocation.weights
    spent = 1e3 * (time.process_time() - started)
    assert abs(weights.sum() - 1.0) < 1e-6
    return spent


def _figure(values: list[float], unit: str, goal: float) -> dict[str, Any]:
    median = statistics.median(values)
    return {
        "median": median,
        "min": min(values),
        "max": max(values),
        "unit": unit,
        "goal": goal,
        "met": median <= goal,
    }
