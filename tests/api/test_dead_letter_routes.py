"""Dead letters and handlers: what could not be dealt with is seen, handed in again once, or given up."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from mailer import Mailer

from marketstream.engine import Engine

HERE = "/streaming/dead-letters"


@pytest.fixture
async def mailer(live_client: httpx2.AsyncClient, live_engine: Engine) -> Mailer:
    """Return a handler that has failed twice."""
    mailer = Mailer()
    live_engine.handlers.add_effect("mailer", mailer.handle, topics=("engine.status.changed",))
    for action in ("pause", "resume"):
        await live_client.post("/streaming/control", json={"action": action})
    await live_engine.handlers.settle()
    return mailer


async def letters(client: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(HERE, params=query)
    assert answer.status_code == 200
    return list(answer.json()["rows"])


async def first_path(client: httpx2.AsyncClient) -> str:
    return f"{HERE}/{quote((await letters(client))[-1]['id'], safe='')}"


async def test_letters_are_listed_newest_first_with_why_they_failed(
    live_client: httpx2.AsyncClient, mailer: Mailer
) -> None:
    found = await letters(live_client)
    assert [letter["handler"] for letter in found] == ["mailer", "mailer"]
    assert found[0]["error"] == "no such mailbox"
    assert found[0]["id"] == f"mailer:{found[0]['event_id']}"
    assert found[0]["event_id"] > found[1]["event_id"]
    assert "payload" not in found[0]


async def test_one_letter_has_the_event_that_failed(live_client: httpx2.AsyncClient, mailer: Mailer) -> None:
    letter = (await live_client.get(await first_path(live_client))).json()
    assert letter["payload"]["message"] == "Stream paused."
    assert letter["payload"]["id"] == letter["event_id"]
    assert letter["status"] == "waiting"


async def test_a_colon_in_the_path_may_be_written_as_it_is(live_client: httpx2.AsyncClient, mailer: Mailer) -> None:
    encoded = await live_client.get(await first_path(live_client))
    plain = await live_client.get((await first_path(live_client)).replace("%3A", ":"))
    assert plain.json() == encoded.json()


async def test_a_replay_that_goes_well_does_the_effect_once(live_client: httpx2.AsyncClient, mailer: Mailer) -> None:
    path = await first_path(live_client)
    mailer.mended = True
    answer = await live_client.post(f"{path}/replay")
    assert answer.status_code == 200
    assert answer.json()["status"] == "replayed"
    assert [event.message for event in mailer.sent] == ["Stream paused."]
    again = await live_client.post(f"{path}/replay")
    assert again.status_code == 409
    assert "was replayed already" in again.json()["detail"]
    assert [event.message for event in mailer.sent] == ["Stream paused."]


async def test_of_replays_at_once_all_but_one_are_a_conflict(live_client: httpx2.AsyncClient, mailer: Mailer) -> None:
    path = await first_path(live_client)
    mailer.mended = True
    answers = await asyncio.gather(*(live_client.post(f"{path}/replay") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert len(mailer.sent) == 1


async def test_a_replay_that_fails_again_leaves_the_letter_waiting(
    live_client: httpx2.AsyncClient, mailer: Mailer
) -> None:
    path = await first_path(live_client)
    before = (await live_client.get(path)).json()
    after = (await live_client.post(f"{path}/replay")).json()
    assert after["status"] == "waiting"
    assert after["attempts"] == before["attempts"] + 1
    assert (await live_client.get(path)).json() == after


async def test_a_replay_with_a_key_is_answered_again_not_done_again(
    live_client: httpx2.AsyncClient, mailer: Mailer
) -> None:
    path = await first_path(live_client)
    key = {"Idempotency-Key": "replay-1"}
    first = await live_client.post(f"{path}/replay", headers=key)
    second = await live_client.post(f"{path}/replay", headers=key)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json() == first.json()
    assert (await live_client.get(path)).json()["attempts"] == first.json()["attempts"]


async def test_what_is_discarded_stays_listed_and_cannot_be_replayed(
    live_client: httpx2.AsyncClient, mailer: Mailer
) -> None:
    path = await first_path(live_client)
    assert (await live_client.post(f"{path}/discard")).json()["status"] == "discarded"
    assert (await live_client.post(f"{path}/replay")).status_code == 409
    assert (await live_client.post(f"{path}/discard")).status_code == 409
    assert [letter["status"] for letter in await letters(live_client)] == ["waiting", "discarded"]
    assert mailer.sent == []


async def test_filters_choose_by_status_and_handler(live_client: httpx2.AsyncClient, mailer: Mailer) -> None:
    await live_client.post(f"{await first_path(live_client)}/discard")
    assert len(await letters(live_client, status="waiting")) == 1
    assert len(await letters(live_client, status="discarded", handler="mailer")) == 1
    assert await letters(live_client, status="replayed") == []
    assert await letters(live_client, handler="store") == []


async def test_pages_together_are_the_whole(live_client: httpx2.AsyncClient, mailer: Mailer) -> None:
    first = (await live_client.get(HERE, params={"limit": 1})).json()
    second = (await live_client.get(HERE, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert first["rows"] + second["rows"] == await letters(live_client)
    assert second["next_cursor"] is None


@pytest.mark.parametrize("letter_id", ["nobody:0", "%20", "a%2Fb", "%00", "x" * 300, "%ff%fe"])
async def test_an_unknown_letter_is_404_or_refused(live_client: httpx2.AsyncClient, letter_id: str) -> None:
    assert (await live_client.get(f"{HERE}/{letter_id}")).status_code in (404, 422)
    for what in ("replay", "discard"):
        assert (await live_client.post(f"{HERE}/{letter_id}/{what}")).status_code in (404, 422)


async def test_a_letter_whose_handler_is_gone_is_kept(
    live_client: httpx2.AsyncClient, live_engine: Engine, mailer: Mailer
) -> None:
    path = await first_path(live_client)
    await live_engine.handlers.remove("mailer")
    answer = await live_client.post(f"{path}/replay")
    assert answer.status_code == 404
    assert "handler 'mailer' is gone" in answer.json()["detail"]
    assert (await live_client.get(path)).json()["status"] == "waiting"


async def test_handlers_are_listed_with_their_counts(
    live_client: httpx2.AsyncClient, live_engine: Engine, mailer: Mailer
) -> None:
    answer = (await live_client.get("/streaming/handlers")).json()
    found = {handler["name"]: handler for handler in answer["handlers"]}
    assert answer["count"] == len(found) == len(live_engine.handlers.names)
    assert found["mailer"]["dead_lettered"] == 2
    assert found["mailer"]["topics"] == ["engine.status.changed"]
    assert found["store"]["kind"] == "effect"
    assert found["store"]["done"] > 0
