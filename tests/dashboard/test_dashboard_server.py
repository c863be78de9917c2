"""The dashboard served: beside the API, and by `panel serve app.py` as a process of its own."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketstream.dashboard.server import dashboard_server, local_dashboard
from marketstream.engine import Engine
from marketstream.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


# bokeh leaves the socket of a port it could not have to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_port_is_taken_when_the_server_is_made(engine: Engine) -> None:
    server = dashboard_server(engine, "127.0.0.1", 0)
    with pytest.raises(ConfigurationError, match="MARKETSTREAM_DASHBOARD_PORT"):
        dashboard_server(engine, "127.0.0.1", server.port)
    server.stop()
    gc.collect()


def test_a_local_dashboard_starts_nothing_before_its_first_page() -> None:
    dashboard = local_dashboard()
    assert dashboard.loop is None
    assert dashboard.engine.status().started_at is None


def test_app_is_short_enough_to_be_read_at_a_glance() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) < 40


@pytest.fixture
def panel_serve(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `panel serve app.py` with the flags of the test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port), "--address", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, *request.param],
        cwd=ROOT,
        env={**os.environ, "MARKETSTREAM_WARMUP_S": "30"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Starting Bokeh server with process id" in line:
            break
    yield process, port
    if process.poll() is None:
        process.kill()
    process.wait(timeout=20)
    process.stdout.close()


@pytest.mark.process
@pytest.mark.timeout(90)
@pytest.mark.parametrize("panel_serve", [(), ("--warm",)], indirect=True, ids=["plain", "warm"])
def test_panel_serve_shows_the_page_and_ends_when_told(panel_serve: tuple[subprocess.Popen[str], int]) -> None:
    process, port = panel_serve
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/app", timeout=60) as page:
        assert b"marketstream" in page.read()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert process.stdout is not None
    assert "Task was destroyed" not in process.stdout.read()
