"""`marketstream serve` as a stranger runs it."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from running import Program, free_port, serve, started

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_both_addresses_and_stops_cleanly_when_told(how: signal.Signals) -> None:
    with serve() as program:
        status = program.get("/streaming/status")
        assert status["state"] == "running" and status["simulated"] is True
        assert len(program.get("/markets?limit=500")["rows"]) >= 30
        with urllib.request.urlopen(program.dashboard, timeout=20) as page:
            assert b"marketstream" in page.read()
        assert program.stop(how) == 0
        with pytest.raises(urllib.error.URLError):
            program.get("/streaming/status")


def test_it_stops_cleanly_while_it_is_still_starting() -> None:
    with started(MARKETSTREAM_WARMUP_S="86400") as program:
        assert "Started server process" in program.lines_until("Started server process")[-1]
        assert program.stop() == 0


def test_a_page_of_another_site_may_not_open_the_stream() -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with serve() as program:
        address = program.dashboard.replace("http", "ws") + "/ws"
        with pytest.raises(InvalidStatus) as refused:
            connect(address, origin="http://evil.example", subprotocols=["bokeh", "token"], proxy=None)
        assert refused.value.response.status_code == 403


def test_no_address_of_the_page_imports_a_module() -> None:
    with serve() as program:
        for path in ("/components/unittest.__main__/x/y/z", "//components/antigravity/x/_resources/y"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(program.dashboard + path, timeout=20)
        assert program.get("/streaming/health/live")["live"] is True


def test_by_default_it_keeps_its_records_in_a_file_of_its_own(tmp_path: Path) -> None:
    with serve(MARKETSTREAM_STORE_URL="sqlite", MARKETSTREAM_DATA_DIR=str(tmp_path / "data")) as program:
        assert program.get("/streaming/store")["kind"] == "sqlite"
        assert program.stop() == 0
    with sqlite3.connect(tmp_path / "data" / "store.db") as file:
        messages = {message for (message,) in file.execute("select message from events")}
    file.close()
    assert {"Stream started.", "Stream stopped."} <= messages


def test_other_hosts_and_other_sites_get_no_page_and_no_page_can_be_framed() -> None:
    with serve() as program:
        with urllib.request.urlopen(program.dashboard, timeout=20) as page:
            assert page.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
            assert page.headers["X-Frame-Options"] == "DENY"
        for headers, status in (
            ({"Host": "evil.example"}, 400),
            ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}, 403),
            ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}, 403),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(program.dashboard, headers=headers), timeout=20)
            assert refused.value.code == status
            refused.value.close()
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
        with urllib.request.urlopen(urllib.request.Request(program.dashboard, headers=link), timeout=20) as page:
            assert page.status == 200


def answers(program: Program) -> bool:
    try:
        return bool(program.get("/streaming/status"))
    except urllib.error.URLError:
        return False


def test_a_stop_during_the_warm_up_stops_the_stream_and_not_the_program() -> None:
    with started(MARKETSTREAM_WARMUP_S="86400") as program:
        program.lines_until("Started server process")
        while not answers(program):
            pass  # the test's time limit ends it
        order = urllib.request.Request(
            f"{program.api}/streaming/control",
            data=b'{"action": "stop"}',
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(order, timeout=30) as answer:
            assert answer.status == 200
        assert program.lines_until("API")[-1].startswith("API")
        assert program.get("/streaming/status")["state"] == "stopped"
        assert program.stop() == 0


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "marketstream", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for mine, other in (("api", "dashboard"), ("dashboard", "api")):
            done = run("serve", f"--{mine}-port", str(port), f"--{other}-port", str(free_port()))
            assert done.returncode == 2
            assert f"cannot listen on 127.0.0.1:{port}" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MARKETSTREAM_PROFILE": "moon"}, "profile: Input should be 'demo'"),
        ({"MARKETSTREAM_HOST": "0.0.0.0"}, "host must be a loopback address"),
        ({"MARKETSTREAM_PROVIDERS_FILE": "nothing.toml"}, "nothing.toml: cannot be read"),
    ],
)
def test_a_bad_setting_stops_the_start_with_exit_code_2(environment: dict[str, str], message: str) -> None:
    done = run("serve", **environment)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_providers_lists_what_a_profile_declares() -> None:
    done = run("providers", "--profile", "demo")
    assert done.returncode == 0
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 10 and all("simulated" in line and "instruments on" in line for line in lines)
