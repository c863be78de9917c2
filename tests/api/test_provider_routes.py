"""Providers: what they report, their switch, and faults on demand."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI

from marketstream.api.app import create_app
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.market.catalog import Listing
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import empty_quotes
from marketstream.providers.base import Provider
from marketstream.settings import Settings

NAME = "cedar"  # no other provider of the demo carries its venue, so nothing takes over


@pytest.fixture
def path(live_engine: Engine) -> str:
    assert NAME in live_engine.registry
    return f"/streaming/providers/{NAME}"


async def test_the_list_has_every_provider_with_its_counts(client: httpx2.AsyncClient, engine: Engine) -> None:
    answer = (await client.get("/streaming/providers")).json()
    assert [each["name"] for each in answer["providers"]] == list(engine.registry.names)
    assert answer["count"] == len(answer["providers"])
    assert all(each["quotes"] > 0 and each["venues"] for each in answer["providers"])


async def test_one_provider_is_the_same_as_in_the_list(client: httpx2.AsyncClient, engine: Engine) -> None:
    name = engine.registry.names[0]
    listed = (await client.get("/streaming/providers")).json()["providers"][0]
    assert (await client.get(f"/streaming/providers/{name}")).json() == listed


@pytest.mark.parametrize("name", ["nobody", "%20", "a%2Fb", "..%2F..", "%00", "x" * 300, "%ff%fe"])
async def test_an_unknown_name_is_404_or_refused(client: httpx2.AsyncClient, name: str) -> None:
    assert (await client.get(f"/streaming/providers/{name}")).status_code in (404, 422)
    change = await client.put(f"/streaming/providers/{name}", json={"enabled": True})
    assert change.status_code in (404, 422)


async def test_disabling_takes_its_quotes_out_of_every_price_and_enabling_brings_them_back(
    live_client: httpx2.AsyncClient, live_engine: Engine, path: str
) -> None:
    async def live_sources() -> int:
        await live_engine.run_for(2.0)
        rows = (await live_client.get("/markets")).json()["rows"]
        return sum(s["provider"] == NAME and s["state"] == "LIVE" for row in rows for s in row["sources"])

    assert await live_sources() > 0
    off = (await live_client.put(path, json={"enabled": False})).json()
    assert (off["enabled"], off["status"]) == (False, "DISABLED")
    assert await live_sources() == 0
    on = (await live_client.put(path, json={"enabled": True})).json()
    assert on["enabled"] is True
    assert await live_sources() > 0


async def test_the_same_put_twice_changes_nothing_more(
    live_client: httpx2.AsyncClient, live_engine: Engine, path: str
) -> None:
    await live_client.put(path, json={"enabled": False})
    events = len(live_engine.events)
    again = await live_client.put(path, json={"enabled": False})
    assert again.json()["enabled"] is False
    assert len(live_engine.events) == events


async def test_a_fault_stops_the_quotes_for_as_long_as_asked(
    live_client: httpx2.AsyncClient, live_engine: Engine, path: str
) -> None:
    async def quotes_in(seconds: float) -> int:
        before = (await live_client.get(path)).json()["quotes"]
        await live_engine.run_for(seconds)
        return int((await live_client.get(path)).json()["quotes"]) - before

    assert await quotes_in(2.0) > 0
    answer = await live_client.put(path, json={"fault": {"kind": "stall", "duration_s": 10}})
    assert answer.status_code == 200
    await live_engine.run_for(0.5)
    assert await quotes_in(8.0) == 0
    await live_engine.run_for(2.0)
    assert await quotes_in(2.0) > 0


async def test_every_fault_a_provider_lists_can_be_ordered(live_client: httpx2.AsyncClient, path: str) -> None:
    faults = (await live_client.get(path)).json()["faults"]
    assert set(faults) >= {"stall", "gap", "crossed", "spike", "disconnect"}
    for kind in faults:
        answer = await live_client.put(path, json={"fault": {"kind": kind, "duration_s": 1}})
        assert answer.status_code == 200


async def test_a_disabled_provider_plays_no_fault_and_nothing_is_changed(
    live_client: httpx2.AsyncClient, path: str
) -> None:
    answer = await live_client.put(path, json={"enabled": False, "fault": {"kind": "stall"}})
    assert answer.status_code == 409
    assert "enable it first" in answer.json()["detail"]
    assert (await live_client.get(path)).json()["enabled"] is True


async def test_one_put_can_enable_and_break(live_client: httpx2.AsyncClient, path: str) -> None:
    await live_client.put(path, json={"enabled": False})
    answer = await live_client.put(path, json={"enabled": True, "fault": {"kind": "gap"}})
    assert answer.status_code == 200
    assert answer.json()["enabled"] is True


class RealFeed(Provider):
    """A feed that is not simulated, without quotes."""

    kind = "real"

    def listing(self) -> Listing:
        instrument = Instrument(id="BTC-USD", kind=Kind.ASSET)
        venue = Venue(id="feed", name="Feed", code="FED", kind=Kind.ASSET)
        return Listing(instruments=(instrument,), venues=(venue,), pairs=(("BTC-USD", "feed"),))

    def collect(self, now: int) -> np.ndarray:
        del now
        return empty_quotes()


async def test_a_real_feed_plays_no_faults(make_client: Callable[[FastAPI], httpx2.AsyncClient]) -> None:
    clock = ManualClock()
    engine = Engine(Settings(), clock=clock, providers=[RealFeed(name="market feed", clock=clock)])
    async with make_client(create_app(engine)) as client:
        answer = await client.put("/streaming/providers/market%20feed", json={"fault": {"kind": "stall"}})
        tables = (await client.get("/markets")).json()
    assert answer.status_code == 409
    assert "real feed" in answer.json()["detail"]
    assert tables["simulated"] is False
