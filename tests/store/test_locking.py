"""One process owns a store file, and the lock of a killed one is free at once."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError
from marketstream.store.locking import FileLock, StoreBusyError
from marketstream.store.repository import Store

HOLDER = """
import sys
from pathlib import Path
from marketstream.store.locking import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "taken\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=10)


def test_a_second_process_is_told_who_owns_the_file(tmp_path: Path) -> None:
    process = holder(tmp_path / "store.db")
    with pytest.raises(StoreBusyError, match=rf"store\.db is in use by process {process.pid}:"):
        FileLock(tmp_path / "store.db").take()
    ended(process)


def test_a_second_store_of_one_process_is_refused_too(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "store.db"), FileLock(tmp_path / "store.db")
    first.take()
    with pytest.raises(StoreBusyError, match=str(os.getpid())):
        second.take()
    first.release()
    second.take()
    second.release()


def test_a_lock_that_is_only_a_note_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: None)
    first, second = FileLock(tmp_path / "store.db"), FileLock(tmp_path / "store.db")
    first.take()
    second.take()  # the test above wants an error here
    first.release()
    second.release()


def test_the_lock_of_a_killed_process_is_free_though_its_file_is_there(tmp_path: Path) -> None:
    process = holder(tmp_path / "store.db")
    process.send_signal(signal.SIGKILL)
    ended(process)
    assert (tmp_path / "store.db.lock").read_text() == f"{process.pid}\n"
    lock = FileLock(tmp_path / "store.db")
    lock.take()
    assert (tmp_path / "store.db.lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_another_name_of_the_same_file_is_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    first = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    second = Store("sqlite", clock=ManualClock(), data_dir=tmp_path / "link")
    assert first.status().location == second.status().location


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "data" / "store.db")
    lock.take()
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted((tmp_path / "data").iterdir())] == [0o600, 0o600]
    lock.release()


def test_releasing_twice_changes_nothing(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "store.db")
    lock.take()
    lock.release()
    lock.release()


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_in_the_place_of_the_lock_is_refused_and_what_it_leads_to_stays(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "diary"
    victim.write_text("dear diary")
    link(tmp_path / "store.db.lock", victim)
    with pytest.raises(ConfigurationError, match=r"store\.db\.lock is no lock file of this user's, but a link"):
        FileLock(tmp_path / "store.db").take()
    assert victim.read_text() == "dear diary"
    assert not (tmp_path / "store.db").exists()


def test_a_lock_that_follows_links_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_NOFOLLOW", 0)
    victim = tmp_path / "diary"
    victim.write_text("dear diary")
    (tmp_path / "store.db.lock").symlink_to(victim)
    lock = FileLock(tmp_path / "store.db")
    lock.take()
    lock.release()
    assert victim.read_text() == ""  # the test above wants an error here


def test_a_pipe_in_the_place_of_the_lock_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "store.db.lock")
    with pytest.raises(ConfigurationError, match="something other than a file"):
        FileLock(tmp_path / "store.db").take()


def test_a_lock_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store.db.lock").touch()
    monkeypatch.setattr(os, "geteuid", lambda: -1)
    with pytest.raises(ConfigurationError, match="somebody else's"):
        FileLock(tmp_path / "store.db").take()


def test_a_folder_that_is_made_is_for_its_owner_alone_and_one_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o755)
    for name in ("new", "old"):
        lock = FileLock(tmp_path / name / "store.db")
        lock.take()
        lock.release()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "old")] == [0o700, 0o755]


async def test_a_store_that_is_refused_the_file_leaves_the_owner_alone(tmp_path: Path) -> None:
    process = holder(tmp_path / "store.db")
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    with pytest.raises(ConfigurationError, match="in use"):
        await store.open()
    assert not store.is_open
    ended(process)
    await store.open()
    await store.close()


async def test_a_store_that_cannot_be_opened_lets_go_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database, though long enough to look at" * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        await Store("sqlite", clock=ManualClock(), data_dir=tmp_path).open()
    lock = FileLock(tmp_path / "store.db")
    lock.take()
    lock.release()
