"""`marketstream db` shows and changes the revision of the store that the settings name."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from marketstream.cli import main
from marketstream.store.locking import FileLock


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MARKETSTREAM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MARKETSTREAM_STORE_URL", "sqlite")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["db", *arguments])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def test_a_store_goes_up_and_down_and_each_step_is_said(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    file = f"{folder / 'store.db'}: "
    assert said(capsys, "status") == (
        1,
        f"{file}nothing there yet; the first start, or `marketstream db upgrade`, makes revision 0003\n",
    )
    assert said(capsys, "upgrade", "0001") == (0, f"{file}revision base -> 0001\n")
    assert said(capsys, "status") == (1, f"{file}revision 0001, the newest is 0003: run `marketstream db upgrade`\n")
    assert said(capsys, "upgrade") == (0, f"{file}revision 0001 -> 0003\n")
    assert said(capsys, "upgrade") == (0, f"{file}at revision 0003 already, nothing was done\n")
    assert said(capsys, "status") == (0, f"{file}revision 0003, the newest\n")
    parked = "the rows of newer tables are parked, `marketstream db upgrade` takes them back"
    assert said(capsys, "downgrade", "base") == (0, f"{file}revision 0003 -> base; {parked}\n")
    assert said(capsys, "status") == (1, f"{file}revision base, the newest is 0003: run `marketstream db upgrade`\n")


def test_a_store_in_use_is_left_alone(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    lock = FileLock(folder / "store.db")
    lock.take()
    code, text = said(capsys, "upgrade")
    lock.release()
    assert code == 2 and "in use by process" in text


def test_a_store_of_a_newer_program_is_said(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    said(capsys, "upgrade")
    connection = sqlite3.connect(folder / "store.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    code, text = said(capsys, "status")
    assert code == 1 and "9999, which this program does not know: install the newer marketstream" in text
    code, text = said(capsys, "downgrade", "0001")
    assert code == 2 and "9999, which this program does not know" in text


def test_a_password_is_never_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSTREAM_STORE_URL", "postgresql://user:s3cr3t-c4n4ry@127.0.0.1:1/db")
    code, text = said(capsys, "status")
    assert (code, "127.0.0.1:1/db" in text, "s3cr3t" in text) == (2, True, False)


def test_an_unknown_revision_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "upgrade", "0009")
    assert code == 2 and "there are: base, 0001, 0002, 0003" in text
