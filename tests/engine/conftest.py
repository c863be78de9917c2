"""One recorded demo for all tests of recording and replay."""

from __future__ import annotations

import asyncio

import pytest
from recorded import Recorded, record_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Return a recorded half minute of the demo with faults, a failover and back, a switched feed, moved knobs."""
    return asyncio.run(record_demo(tmp_path_factory.mktemp("demo")))
