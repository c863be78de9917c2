"""The /docs page: served whole from this machine."""

from __future__ import annotations

import re

import httpx2
import pytest

from marketstream.api.docs_page import ASSETS


async def test_the_root_leads_to_the_docs(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


async def test_the_page_names_only_files_of_this_server_and_all_are_there(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 5
    for address in addresses:
        assert re.match(r"/[^/]", address), f"{address} leaves the machine"
        assert (await client.get(address)).status_code == 200


async def test_the_page_has_no_script_of_its_own_and_the_policy_forbids_others(
    client: httpx2.AsyncClient,
) -> None:
    page = await client.get("/docs")
    assert re.findall(r"<script(?! src=)", page.text) == []
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"


async def test_the_start_script_asks_no_public_validator(client: httpx2.AsyncClient) -> None:
    script = (await client.get("/docs/start.js")).text
    assert "validatorUrl: null" in script
    assert "http" not in script


@pytest.mark.parametrize("name", ASSETS)
async def test_files_come_with_their_type(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.get(f"/docs/assets/{name}")
    assert answer.headers["content-type"] == ASSETS[name]
    assert len(answer.content) > 1000


@pytest.mark.parametrize("name", ["redoc.standalone.js", "..%2Fcore.py", "%2e%2e", "x"])
async def test_no_other_file_is_served(client: httpx2.AsyncClient, name: str) -> None:
    assert (await client.get(f"/docs/assets/{name}")).status_code in (404, 422)
