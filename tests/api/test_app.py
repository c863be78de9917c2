"""The whole API: a list of nasty bodies, unknown paths and wrong methods. test_fuzz.py sends random requests."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import httpx2
import pytest
from fastapi import FastAPI

from marketstream.engine import Engine

JSON = {"content-type": "application/json"}
FAULT = b'{"fault": {"kind": "stall", "duration_s": %s}}'
NASTY_BODIES = {
    "NaN": FAULT % b"NaN",
    "Infinity": FAULT % b"Infinity",
    "minus infinity": b'{"action": -Infinity}',
    "a float too large": FAULT % b"1e999",
    "an integer of 300 digits": FAULT % (b"9" * 300),
    "an integer of 6,000 digits": FAULT % (b"9" * 6000),
    "a number as a name": b'{"action": ' + b"9" * 300 + b', "rationale_type": 1, "enabled": 9}',
    "100,000 open lists": b"[" * 100_000,
    "100,000 nested objects": b'{"action":' * 100_000,
    "lists nested 900 deep": b"[" * 900 + b"]" * 900,
    "objects nested 900 deep": b'{"fault":' * 900 + b"1" + b"}" * 900,
    "bytes that are no UTF-8": b'{"action": "\xff\xfe"}',
    "UTF-16": '{"action": "start"}'.encode("utf-16"),
    "a lone surrogate": b'{"action": "\\ud800", "subject": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\udfff": 1}',
    "a byte order mark": b'\xef\xbb\xbf{"action": "start"}',
    "a zero character": b'{"action": "\\u0000", "\\u0000": 1}',
    "a comment": b'{"action": "start"} // yes',
    "two documents": b'{"action": "start"}{"action": "stop"}',
    "a cut document": b'{"action": "sta',
    "a list": b"[]",
    "a string": b'"start"',
    "a number": b"1",
    "an unknown field": b'{"action": "start", "enabled": true, "rationale_type": "risk_review", "x": 1}',
    "wrong types": b'{"action": 1, "enabled": "yes", "rationale_type": [], "subject": {}}',
    "true in quotes": b'{"enabled": "true"}',
    "one for true": b'{"enabled": 1}',
    "a fault for ever": FAULT % b"1e300",
    "a fault of no time": FAULT % b"0",
    "a fault of negative time": FAULT % b"-1",
    "a fault that does not exist": b'{"fault": {"kind": "fire"}}',
    "only nulls": b'{"enabled": null, "fault": null, "action": null, "rationale_type": null}',
    "a key given twice": b'{"action": "start", "action": "fly", "enabled": 1, "enabled": 2, "name": 1, "name": 2}',
    "options nested 500 deep": b'{"name": "a", "kind": "simulated", "options": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    "options of NaN": b'{"name": "a", "kind": "simulated", "options": {"seed": NaN}}',
    "options of an integer of 300 digits": b'{"name": "a", "kind": "simulated", "options": {"seed": %s}}'
    % (b"9" * 300),
    "a name that no address holds": b'{"name": "..", "kind": "simulated", "rationale_type": 1}',
    "a kind that does not exist": b'{"name": "a", "kind": "hunter2", "rationale_type": 1}',
    "silence of no time": b'{"name": "a", "kind": "simulated", "stale_after_s": 0, "rationale_type": 1}',
    "a name of 900 kB": b'{"action": "' + b"x" * 900_000 + b'", "rationale_type": "y"}',
    "a key of 900 kB": b'{"' + b"x" * 900_000 + b'": 1}',
    "80,000 keys": b"{" + b",".join(b'"%d": 1' % i for i in range(80_000)) + b"}",
    "a subject of control characters": b'{"rationale_type": "position_explanation", "subject": "\\u202e"}',
    "a subject nobody lists": b'{"rationale_type": "position_explanation", "subject": "../../etc/passwd"}',
    "a subject where none belongs": b'{"rationale_type": "risk_review", "subject": "BTC-USD"}',
}
EMPTY_BODIES = {"nothing": b"", "null": b"null", "no field": b"{}"}


@pytest.mark.parametrize("body", NASTY_BODIES.values(), ids=NASTY_BODIES)
@pytest.mark.parametrize("path", ["control", "rationale/generate", "providers", "providers/{name}"])
async def test_a_nasty_body_is_a_client_error_and_changes_nothing(
    client: httpx2.AsyncClient, engine: Engine, path: str, body: bytes
) -> None:
    name = engine.registry.names[0]
    before = engine.status()
    method = "PUT" if "{name}" in path else "POST"
    answer = await client.request(
        method, "/streaming/" + path.replace("{name}", quote(name)), content=body, headers=JSON
    )
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 5_000
    assert engine.status() == before


@pytest.mark.parametrize("body", EMPTY_BODIES.values(), ids=EMPTY_BODIES)
async def test_a_body_that_asks_for_nothing_is_refused_where_something_must_be_asked(
    client: httpx2.AsyncClient, engine: Engine, body: bytes
) -> None:
    change = await client.put(f"/streaming/providers/{engine.registry.names[0]}", content=body, headers=JSON)
    control = await client.post("/streaming/control", content=body, headers=JSON)
    assert change.status_code in (400, 422)
    assert control.status_code in (400, 422)


async def test_the_nasty_list_would_catch_an_api_without_its_own_handler() -> None:
    # The planted bug: FastAPI's handler repeats the input, and a NaN cannot be written as JSON.
    plain = FastAPI()

    @plain.put("/provider")
    async def change(body: dict[str, int]) -> None: ...

    transport = httpx2.ASGITransport(plain, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.put("/provider", content=NASTY_BODIES["NaN"], headers=JSON)
    assert answer.status_code == 500


async def test_the_client_of_these_tests_would_catch_an_undocumented_answer(
    make_client: Callable[[FastAPI], httpx2.AsyncClient],
) -> None:
    # The planted bug: one field more than the document says.
    plain = FastAPI()

    @plain.get("/markets")
    async def markets() -> dict[str, object]:
        head = {"as_of": None, "sequence": None, "simulated": True, "absence": "NO_DATA"}
        return head | {"total": 0, "count": 0, "rows": [], "secret": 1}

    async with make_client(plain) as client:
        with pytest.raises(AssertionError, match="secret"):
            await client.get("/markets")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_an_unknown_path_is_404_in_the_one_shape(client: httpx2.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/no/such/path")
    assert answer.status_code == 404
    assert answer.json()["instance"] == "/no/such/path"


@pytest.mark.parametrize("path", ["/markets", "/streaming/status", "/streaming/control", "/docs"])
async def test_a_wrong_method_is_405_in_the_one_shape_and_names_the_right_one(
    client: httpx2.AsyncClient, path: str
) -> None:
    answer = await client.delete(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == ("POST" if path.endswith("control") else "GET")
    assert answer.json()["title"] == "Method Not Allowed"


async def test_a_trailing_slash_is_no_redirect(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/streaming/status/")).status_code == 404


async def test_pages_of_other_origins_are_given_nothing(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/markets", headers={"origin": "https://example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
