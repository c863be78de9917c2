"""The demo shows failover: a stall on one line to a venue, and its reserve takes over on every chart and table."""

from __future__ import annotations

import marketstream as ms
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.market.events import Topic
from marketstream.market.state import MarketState
from marketstream.providers.base import Fault

STALL_S = 15.0


def market_of(engine: Engine) -> MarketState:
    assert engine.market is not None
    return engine.market


def source(engine: Engine, instrument: str, venue: str) -> str:
    return str(market_of(engine).books.loc[(instrument, venue), "source"])


async def test_a_stall_of_alder_shows_the_reserves_prices_and_alder_returns() -> None:
    clock = ManualClock()
    engine = ms.connect("demo", clock=clock, warmup_s=30, analysis_interval_s=10.0)
    await engine.run_for(2.0)
    assert source(engine, "BTC-USD", "alder") == "alder"
    engine.registry.play_fault("alder", Fault.STALL, STALL_S)
    await engine.run_for(STALL_S - 1.0)
    books = market_of(engine).books
    at_alder = books[books.index.get_level_values("venue") == "alder"]
    assert set(at_alder["source"]) == {"alder-reserve"}
    assert set(at_alder["state"]) == {"LIVE"} and at_alder["age_ms"].max() < 5000
    (event,) = await switches(engine)
    assert (event["from"], event["to"], event["n_pairs"]) == ("alder", "alder-reserve", 26)
    assert len(event["pairs"]) == len(event["jumps_bps"]) == 20  # type: ignore[arg-type]
    assert 10.0 < event["without_data_s"] < 11.5  # type: ignore[operator]
    assert 0.0 < event["max_jump_bps"] < 100.0  # type: ignore[operator]
    await engine.run_for(33.0)
    assert source(engine, "BTC-USD", "alder") == "alder"
    assert [event["direction"] for event in await switches(engine)] == ["failover", "failback"]
    assert engine.status().out_of_order == 0
    await engine.close()


async def switches(engine: Engine) -> list[dict[str, object]]:
    await engine.run_for(0.1)
    return [dict(e.data) for e in engine.events if e.topic is Topic.PROVIDER_SWITCH]
