"""Fixtures that every chapter shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

# A test keeps nothing in the folder it was started from; one about files names them.
os.environ["MARKETSTREAM_STORE_URL"] = "memory"

# Fixtures hold no doctests; as modules, conftests of two folders would clash by name.
collect_ignore_glob = ["*conftest.py"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recorded material, or skip where it is not beside the project."""
    root = Path(__file__).parents[1]
    path = Path(os.environ.get("MARKETSTREAM_TEST_DATA", root / ".." / "shared" / "data")).resolve()
    if not path.is_dir():
        pytest.skip(f"{path} not present: recorded venue messages are kept outside the repository")
    return path


@pytest.fixture(scope="session")
def soak_figures() -> Iterator[dict[str, float]]:
    """Collect figures of the long runs, printed when all are done."""
    figures: dict[str, float] = {}
    yield figures
    print("\nsoak: " + ", ".join(f"{name} {figure:,}" for name, figure in figures.items()))


def need_program(name: str, install: str) -> str:
    """Return the path of a program; skip where it is missing, fail where CI must have it."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed; install it with: {install}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium."""
    return need_program("chromium", "apt-get install chromium")
