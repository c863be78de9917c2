"""Providers that come, change and go through the API; the next start has them as they were left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from marketstream.api.app import create_app
from marketstream.api.options import as_known, shown_options
from marketstream.engine import Engine, replay

HERE = "/streaming/providers"
SPARE = {"name": "spare", "kind": "simulated", "options": {"world": "demo", "venue": "cedar"}, "stale_after_s": 5.0}


async def names(client: httpx2.AsyncClient) -> list[str]:
    return [each["name"] for each in (await client.get(HERE)).json()["providers"]]


async def test_a_new_provider_is_named_by_location_and_delivers(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    made = await live_client.post(HERE, json=SPARE)
    assert made.status_code == 201
    assert made.headers["location"] == f"{HERE}/spare"
    await live_engine.run_for(2.0)
    provider = (await live_client.get(made.headers["location"])).json()
    assert provider["quotes"] > 0
    assert (provider["enabled"], provider["stale_after_s"]) == (True, 5.0)
    assert provider["options"] == SPARE["options"]
    assert (await names(live_client))[-1] == "spare"


async def test_instruments_that_are_new_upset_no_analysis(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    options = {"world": "scale", "venue": "v01", "n_instruments": 10, "n_venues": 1}
    await live_client.post(HERE, json=SPARE | {"options": options})
    await live_engine.run_for(2.0)
    status = (await live_client.get("/streaming/status")).json()
    assert (status["errors"], status["n_instruments"]) == (0, 62)
    assert (await live_client.get("/markets/A0001-USD")).json()["row"]["n_live"] == 1


async def test_one_that_is_not_enabled_waits_until_it_is(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    made = (await live_client.post(HERE, json=SPARE | {"enabled": False})).json()
    assert (made["enabled"], made["status"]) == (False, "DISABLED")
    await live_client.put(f"{HERE}/spare", json={"enabled": True})
    await live_engine.run_for(2.0)
    assert (await live_client.get(f"{HERE}/spare")).json()["quotes"] > 0


async def test_a_name_with_a_space_is_encoded_in_its_location(live_client: httpx2.AsyncClient) -> None:
    made = await live_client.post(HERE, json=SPARE | {"name": "spare feed 100%"})
    assert made.headers["location"] == f"{HERE}/spare%20feed%20100%25"
    assert (await live_client.get(made.headers["location"])).json()["name"] == "spare feed 100%"


async def test_a_taken_name_is_a_conflict_and_changes_nothing(live_client: httpx2.AsyncClient) -> None:
    before = (await live_client.get(f"{HERE}/cedar")).json()
    answer = await live_client.post(HERE, json=SPARE | {"name": "cedar"})
    assert answer.status_code == 409
    assert (await live_client.get(f"{HERE}/cedar")).json() == before


async def test_of_many_orders_for_one_name_one_is_carried_out(live_client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(live_client.post(HERE, json=SPARE) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_an_order_with_a_key_is_carried_out_once(live_client: httpx2.AsyncClient) -> None:
    first, second = [await live_client.post(HERE, json=SPARE, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "telex"}, "/body/kind"),
        ({"options": {"world": "demo"}}, "/body/options/venue"),
        ({"options": {"world": "demo", "venue": 5}}, "/body/options/venue"),
        ({"options": {"world": "demo", "venue": "cedar", "speed": 1}}, "/body/options/speed"),
        ({"options": {"world": "demo", "venue": "cedar", "seed": -1}}, "/body/options/seed"),
        ({"options": {"world": "moon", "venue": "cedar"}}, "/body/options"),
        ({"options": {"world": "demo", "venue": "nowhere"}}, "/body/options"),
        ({"kind": "binance", "options": {"symbols": ["BTCUSDT", 5]}}, "/body/options/symbols/1"),
        ({"kind": "binance", "options": {"ws_url": "ws://127.0.0.1:9"}}, "/body/options"),
        ({"options": {"world": "scale", "venue": "v01", "n_instruments": 9999}}, "/body/options"),
        ({"name": "a/b"}, "/body/name"),
        ({"name": " a"}, "/body/name"),
        ({"name": ".."}, "/body/name"),
        ({"name": ""}, "/body/name"),
        ({"name": "x" * 65}, "/body/name"),
        ({"name": "caf\u00e9"}, "/body/name"),
        ({"stale_after_s": 0}, "/body/stale_after_s"),
        ({"stale_after_s": "5"}, "/body/stale_after_s"),
        ({"enabled": 1}, "/body/enabled"),
        ({"colour": "red"}, "/body/colour"),
    ],
)
async def test_a_wrong_order_names_the_place_and_adds_nothing(
    live_client: httpx2.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    before = await names(live_client)
    answer = await live_client.post(HERE, json=SPARE | change)
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]
    assert await names(live_client) == before


async def test_new_options_build_it_anew(live_client: httpx2.AsyncClient, live_engine: Engine) -> None:
    await live_client.post(HERE, json=SPARE)
    await live_engine.run_for(1.0)
    options = {"world": "demo", "venue": "damson"}
    changed = (await live_client.put(f"{HERE}/spare", json={"options": options})).json()
    assert (changed["venues"], changed["quotes"], changed["stale_after_s"]) == (["damson"], 0, 5.0)
    await live_engine.run_for(2.0)
    assert (await live_client.get(f"{HERE}/spare")).json()["quotes"] > 0


async def test_wrong_options_change_nothing(live_client: httpx2.AsyncClient) -> None:
    await live_client.post(HERE, json=SPARE)
    answer = await live_client.put(f"{HERE}/spare", json={"options": {"world": "demo", "venue": []}})
    assert [item["pointer"] for item in answer.json()["errors"]] == ["/body/options/venue"]
    assert (await live_client.get(f"{HERE}/spare")).json()["options"] == SPARE["options"]


async def test_what_is_configured_so_already_is_not_built_again(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    await live_client.post(HERE, json=SPARE)
    await live_engine.run_for(1.0)
    before = (await live_client.get(f"{HERE}/spare")).json()["quotes"]
    same = {"options": SPARE["options"], "stale_after_s": 5.0, "enabled": True}
    assert (await live_client.put(f"{HERE}/spare", json=same)).json()["quotes"] == before > 0


async def test_another_silence_is_allowed(live_client: httpx2.AsyncClient) -> None:
    answer = await live_client.put(f"{HERE}/cedar", json={"stale_after_s": 2.5})
    assert answer.json()["stale_after_s"] == 2.5


async def test_what_is_removed_is_gone_and_its_quotes_with_it(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    answer = await live_client.delete(f"{HERE}/cedar")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await live_client.get(f"{HERE}/cedar")).status_code == 404
    assert (await live_client.delete(f"{HERE}/cedar")).status_code == 404
    await live_engine.run_for(2.0)
    rows = (await live_client.get("/markets")).json()["rows"]
    assert not [s for row in rows for s in row["sources"] if s["provider"] == "cedar" and s["state"] == "LIVE"]


async def test_a_check_asks_the_provider_itself(live_client: httpx2.AsyncClient) -> None:
    answer = (await live_client.post(f"{HERE}/cedar/health")).json()
    assert (answer["status"], answer["absence"]) == ("RUNNING", None)
    assert answer["age_s"] < 1


@pytest.mark.parametrize("name", ["nobody", "%20", "a%2Fb", "%00", "x" * 300])
async def test_nobody_cannot_be_checked_or_removed(live_client: httpx2.AsyncClient, name: str) -> None:
    assert (await live_client.post(f"{HERE}/{name}/health")).status_code in (404, 422)
    assert (await live_client.delete(f"{HERE}/{name}")).status_code in (404, 422)


async def test_the_next_start_has_them_as_they_were_left(
    make_engine: Callable[..., Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient], tmp_path: Path
) -> None:
    async def run(change: Callable[[httpx2.AsyncClient], Any]) -> Any:
        engine = make_engine(store_url="sqlite", data_dir=tmp_path)
        await engine.run_for(1.0)
        try:
            async with make_client(create_app(engine)) as client:
                return await change(client)
        finally:
            await engine.close()

    async def leave(client: httpx2.AsyncClient) -> None:
        await client.post(HERE, json=SPARE)
        await client.put(f"{HERE}/damson", json={"enabled": False})
        await client.put(f"{HERE}/birch", json={"stale_after_s": 3.0})
        await client.delete(f"{HERE}/cedar")

    async def find(client: httpx2.AsyncClient) -> dict[str, Any]:
        return {each["name"]: each for each in (await client.get(HERE)).json()["providers"]}

    await run(leave)
    found = await run(find)
    assert "cedar" not in found
    assert found["spare"]["options"] == SPARE["options"]
    assert found["damson"]["enabled"] is False
    assert found["birch"]["stale_after_s"] == 3.0


def test_a_secret_among_options_is_not_shown() -> None:
    options = {"symbols": ["BTC/USD"], "api_key": "hunter2", "Token": "hunter2", "passWORD": "hunter2"}
    assert shown_options(options) == {"symbols": ["BTC/USD"]}


def test_of_an_address_among_options_no_path_is_shown() -> None:
    options = {"ws_url": "wss://u:hunter2@example.org:9443/hunter2/ws?k=hunter2", "rest_url": "https://[hunter2"}
    assert shown_options(options) == {"ws_url": "wss://example.org:9443", "rest_url": "the address"}


def test_an_address_that_comes_back_as_it_was_shown_is_the_known_one() -> None:
    known = {"symbols": ["BTC/USD"], "ws_url": "wss://example.org/hunter2"}
    assert as_known(shown_options(known), known) == known
    assert as_known({"ws_url": "wss://example.com"}, known) == {"ws_url": "wss://example.com"}


async def test_a_reserve_feeds_no_price_until_it_takes_over(
    live_client: httpx2.AsyncClient, live_engine: Engine
) -> None:
    async def fed() -> tuple[int, int]:
        await live_engine.run_for(2.0)
        first, reserve = [(await live_client.get(f"{HERE}/{name}")).json() for name in ("alder", "alder-reserve")]
        return first["trusted_pairs"], reserve["trusted_pairs"]

    n_pairs, none = await fed()
    assert n_pairs > 0 and none == 0
    await live_client.put(f"{HERE}/alder", json={"enabled": False})
    assert await fed() == (0, n_pairs)


async def test_what_cannot_be_kept_is_not_done(
    make_engine: Callable[..., Engine], make_client: Callable[[FastAPI], httpx2.AsyncClient]
) -> None:
    # Before the first start the store is not open.
    async with make_client(create_app(make_engine())) as client:
        before = (await client.get(f"{HERE}/cedar")).json()
        answers = [
            await client.post(HERE, json=SPARE),
            await client.put(f"{HERE}/cedar", json={"enabled": False}),
            await client.put(f"{HERE}/cedar", json={"stale_after_s": 3.0}),
            await client.delete(f"{HERE}/cedar"),
        ]
        assert [answer.status_code for answer in answers] == [503] * 4
        after = (await client.get(f"{HERE}/cedar")).json()
        assert {name: after[name] for name in ("enabled", "stale_after_s", "options")} == {
            name: before[name] for name in ("enabled", "stale_after_s", "options")
        }
        assert "spare" not in await names(client)


@pytest.mark.parametrize("seed", [2**63, 2**64, 10**300])
async def test_a_number_that_the_store_cannot_hold_adds_nothing(live_client: httpx2.AsyncClient, seed: int) -> None:
    options = SPARE["options"] | {"seed": seed}  # type: ignore[operator]
    answer = await live_client.post(HERE, json=SPARE | {"options": options})
    assert answer.status_code == 422
    assert "spare" not in await names(live_client)
    assert (await live_client.post(HERE, json=SPARE)).status_code == 201


async def test_the_providers_of_a_recording_stay_as_they_were_recorded(
    make_client: Callable[[FastAPI], httpx2.AsyncClient], tmp_path: Path
) -> None:
    file = tmp_path / "quotes.csv"
    rows = [f"2026-01-01T00:00:{second:02}Z,BTC-USD,kraken,100,101" for second in range(20)]
    file.write_text("\n".join(["ts,instrument,venue,bid,ask", *rows]) + "\n", encoding="utf-8")
    engine = replay(file)
    await engine.run_to_end()
    async with make_client(create_app(engine)) as client:
        (name,) = await names(client)
        assert (await client.get("/streaming/status")).json()["replay"]["ended"] is True
        answers = [
            await client.post(HERE, json=SPARE),
            await client.put(f"{HERE}/{name}", json={"enabled": False}),
            await client.delete(f"{HERE}/{name}"),
        ]
        assert [answer.status_code for answer in answers] == [409] * 3
        assert await names(client) == [name]
    await engine.close()
