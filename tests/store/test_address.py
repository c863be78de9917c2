"""URLs of stores are read as they are documented; what is wrong is said without showing a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError
from marketstream.market.records import StoreKind
from marketstream.store.address import read_address
from marketstream.store.repository import Store

CANARY = "s3cr3t-c4n4ry"


@pytest.mark.parametrize(
    ("url", "kind", "location"),
    [
        ("memory", StoreKind.MEMORY, "memory"),
        ("sqlite", StoreKind.SQLITE, "{folder}/store.db"),
        ("sqlite:///{folder}/a b/50%.db", StoreKind.SQLITE, "{folder}/a b/50%.db"),
        ("sqlite:///{folder}/x/../y.db", StoreKind.SQLITE, "{folder}/y.db"),
        ("postgresql://user@db.example/market", StoreKind.POSTGRESQL, "db.example/market"),
        ("postgresql://u:p@db.example:6432/market?sslmode=require", StoreKind.POSTGRESQL, "db.example:6432/market"),
        ("postgresql://u:p@/market?host=/run/postgresql", StoreKind.POSTGRESQL, "/run/postgresql/market"),
        ("postgresql://u@/market?host=a:1&host=b:2", StoreKind.POSTGRESQL, "a:1,b:2/market"),
    ],
)
def test_each_kind_of_url_is_read(tmp_path: Path, url: str, kind: StoreKind, location: str) -> None:
    folder = tmp_path.resolve()
    address = read_address(url.format(folder=folder), folder)
    assert (address.kind, address.location) == (kind, location.format(folder=folder))


def test_a_relative_file_is_found_from_where_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_address("sqlite:///here.db", tmp_path / "data").path == tmp_path.resolve() / "here.db"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:store.db",
        f"mysql://u:{CANARY}@host/db",
        f"postgres://u:{CANARY}@host/db",
        f"postgresql+asyncpg://u:{CANARY}@host/db",
        f"postgresql://u:{CANARY}@host",
        f"postgresql://u:{CANARY}@host:port/db",
        f"postgresql://u:{CANARY}@/db",
        f"postgresql:u:{CANARY}@host/db",
        f"{CANARY}@host/db:x",
        f"{CANARY}:x@host/db",
        "s3cr3tc4n4ry:x@host/db",
        f"postgresql://u:p@{CANARY}@127.0.0.1:1/db",
        f"postgresql://u:p@{CANARY}/x@127.0.0.1:1/db",
        f"postgresql://u:p@/db?host={CANARY}@h",
        "store.db",
    ],
)
def test_a_url_that_is_none_is_refused_and_it_is_said_what_is_right(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://") as caught:
        read_address(url, tmp_path)
    assert CANARY.replace("-", "") not in f"{caught.value}{caught.value.__cause__}".replace("-", "")


def test_a_password_with_a_bare_at_sign_is_told_how_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="write @ as %40"):
        read_address(f"postgresql://u:p@{CANARY}@127.0.0.1:1/db", tmp_path)
    address = read_address(f"postgresql://u:p%40{CANARY}@127.0.0.1:1/db", tmp_path)
    assert (address.url.password, address.location) == (f"p@{CANARY}", "127.0.0.1:1/db")


def test_a_password_is_in_no_repr_and_no_status(tmp_path: Path) -> None:
    store = Store(f"postgresql://user:{CANARY}@127.0.0.1:1/db", clock=ManualClock(), data_dir=tmp_path)
    assert CANARY not in f"{store!r}{store.status()}{store._address!r}"


@pytest.mark.parametrize("url", [f"postgresql://u:{CANARY}@h/d", f"postgresql://u@h/d?password={CANARY}"])
def test_a_password_is_hidden_in_what_others_say_wherever_it_stood(tmp_path: Path, url: str) -> None:
    address = read_address(url, tmp_path)
    assert address.hide_password(f"no entry for {CANARY}") == "no entry for ***"
    assert CANARY not in f"{address!r}{address.location}"


async def test_a_server_that_cannot_be_reached_is_said_without_the_password(tmp_path: Path) -> None:
    store = Store(f"postgresql://user:{CANARY}@127.0.0.1:1/db", clock=ManualClock(), data_dir=tmp_path)
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:1/db is not available") as caught:
        await store.open()
    assert CANARY not in str(caught.value)
    assert not store.is_open


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database, though long enough to look at" * 100)
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        await store.open()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    store = Store("sqlite", clock=ManualClock(), data_dir=tmp_path / "taken")
    with pytest.raises(ConfigurationError, match="cannot be opened at"):
        await store.open()
