"""`marketstream warm`: what the Makefile runs once after an install."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketstream.cli import main


def test_it_steps_a_small_engine_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARKETSTREAM_PROFILE", "moon")  # what stands in this user's environment is no matter
    monkeypatch.delenv("MARKETSTREAM_STORE_URL", raising=False)
    assert main(["warm"]) == 0
    assert list(tmp_path.iterdir()) == []
