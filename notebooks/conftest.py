"""nbval compares text and streams only; pictures and widgets differ from run to run."""

from __future__ import annotations

from typing import Any

import pytest

collect_ignore = ["conftest.py", "store.py"]

SKIPPED = (
    "text/html",
    "application/javascript",
    "application/vnd.holoviews_load.v0+json",
    "application/vnd.holoviews_exec.v0+json",
    "image/png",
    "image/svg+xml",
    "stderr",
)


def pytest_collectstart(collector: Any) -> None:
    """Tell nbval which outputs to leave out."""
    if collector.__class__.__name__ == "IPyNbFile":
        collector.skip_compare += SKIPPED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first cell of a notebook the time that importing the plotting libraries takes."""
    for item in items:
        if item.__class__.__name__ == "IPyNbCell":
            item.add_marker(pytest.mark.timeout(90))
