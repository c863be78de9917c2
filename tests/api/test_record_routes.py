"""Allocations and the store's own state."""

from __future__ import annotations

import httpx2

from marketstream.engine import Engine


async def test_an_allocation_is_shown_with_what_led_to_it(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    await live_engine.run_for(5.0)
    await live_engine.handlers.settle()
    answer = (await live_client.get("/streaming/allocations")).json()
    newest = answer["rows"][0]
    assert answer["count"] == len(answer["rows"]) >= 1
    assert newest["status"] == "optimal"
    assert sum(newest["weights"].values()) <= 1 + 1e-9
    assert newest["cause"]


async def test_allocations_come_in_pages(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    await live_engine.run_for(20.0)
    await live_engine.handlers.settle()
    whole = (await live_client.get("/streaming/allocations")).json()["rows"]
    first = (await live_client.get("/streaming/allocations", params={"limit": 1})).json()
    assert first["rows"] == whole[:1]
    if len(whole) > 1:
        query = {"limit": 1, "cursor": first["next_cursor"]}
        assert (await live_client.get("/streaming/allocations", params=query)).json()["rows"] == whole[1:2]


async def test_the_store_says_where_it_keeps_and_how_much(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    await live_engine.handlers.settle()
    answer = (await live_client.get("/streaming/store")).json()
    assert answer["kind"] == "memory"
    assert answer["rows"]["events"] > 0
    assert answer["written"] >= answer["rows"]["events"]
    assert answer["commits"] > 0
    assert answer["fallback"] == ""
