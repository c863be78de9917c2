"""The real program as a process, for tests: starts it, waits for its addresses, asks, and stops it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """`marketstream serve` as a process of its own."""

    process: subprocess.Popen[str]
    dashboard: str
    api: str

    def lines_until(self, beginning: str) -> list[str]:
        """Read what the program prints up to a line with this in it, or to its end."""
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if beginning in line:
                break
        return said

    def get(self, path: str) -> Any:
        """Return the JSON of an API path."""
        with urllib.request.urlopen(f"{self.api}{path}", timeout=20) as answer:
            return json.load(answer)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=20)


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[Program]:
    """Run `marketstream serve` on free ports; nothing of it need answer yet."""
    dashboard, api = free_port(), free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "marketstream", "serve", *arguments],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("MARKETSTREAM_")},
            "MARKETSTREAM_DASHBOARD_PORT": str(dashboard),
            "MARKETSTREAM_API_PORT": str(api),
            "MARKETSTREAM_WARMUP_S": "30",
            "MARKETSTREAM_STORE_URL": "memory",  # nothing is kept in the folder that tests are run from
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Program(process, f"http://127.0.0.1:{dashboard}", f"http://127.0.0.1:{api}")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=20)
        process.stdout.close()


@contextmanager
def serve(*arguments: str, **environment: str) -> Iterator[Program]:
    """Run `marketstream serve` on free ports; it has printed its addresses when this returns."""
    with started(*arguments, **environment) as program:
        said = program.lines_until("API")
        assert said[-1].startswith("API"), f"the program ended before it served: {''.join(said)}"
        yield program
