"""The journal keeps what was flushed, says what was cut, and refuses what is damaged."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Listing
from marketstream.market.instruments import Instrument, Kind, Venue
from marketstream.market.quotes import QUOTE_DTYPE, QuoteState, empty_quotes
from marketstream.store.journal import (
    FORMAT,
    MAX_BLOCK_BYTES,
    MAX_HEADER_BYTES,
    JournalError,
    JournalReader,
    JournalWriter,
)
from marketstream.store.journal_records import (
    ChangeEntry,
    CycleEntry,
    EndEntry,
    Entry,
    Header,
    InputEntry,
    KnobEntry,
    ProviderEntry,
    pack_rows,
    unpack_rows,
)

HEADER = Header(program="0", created=1, profile="demo", settings={"cycle_s": 0.1}, knobs={"edge_finder": {"x": 1.5}})
START = 8


def one_of_each() -> list[Entry]:
    listing = Listing(
        instruments=(Instrument(id="BTC-USD", kind=Kind.ASSET),),
        venues=(Venue(id="alder", name="Alder", code="ALD", kind=Kind.ASSET),),
        pairs=(("BTC-USD", "alder"),),
    )
    return [
        ProviderEntry(
            name="alder",
            kind="simulated",
            frames=False,
            options={"symbols": ["BTC-USD:0.1"]},
            stale_after_s=10.0,
            enabled=True,
            code=0,
            listing=listing,
        ),
        InputEntry(provider=0, kind="frame", epoch=1, ts=2, key="", body=b"\x00\xff"),
        ChangeEntry(
            kind="switched",
            provider="alder",
            ts=3,
            enabled=True,
            status="RUNNING",
            trust=b"abc",
            rows=b"",
            events=[{"a": 1}],
        ),
        KnobEntry(stage="fair_value", knob="method", value="median"),
        CycleEntry(now=4, monotonic=5, dispatched=True, digest=b"12345678"),
        EndEntry(ts=6, cycles=1, digest=b"12345678", reason="stopped"),
    ]


def write(path: Path, blocks: list[list[Entry]]) -> Path:
    with JournalWriter(path, HEADER) as journal:
        for entries in blocks:
            for entry in entries:
                journal.append(entry)
            journal.flush()
    return path


def cycles(n: int, start: int = 0) -> list[Entry]:
    return [CycleEntry(now=start + i, monotonic=i, dispatched=True, digest=b"") for i in range(n)]


def test_every_kind_of_record_comes_back_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [one_of_each()])
    reader = JournalReader(path)
    assert reader.header == HEADER
    assert list(reader.entries()) == [HEADER, *one_of_each()]


def test_a_reader_tells_the_last_record_and_the_last_cycle(tmp_path: Path) -> None:
    reader = JournalReader(write(tmp_path / "a.msj", [cycles(3), one_of_each()[-1:]]))
    assert reader.last_entry() == one_of_each()[-1]
    assert reader.last_now() == 2


def test_blocks_tell_how_far_the_file_was_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [cycles(3), cycles(2)])
    reader = JournalReader(path)
    places = [place for place, _ in reader.blocks()]
    assert places == sorted(places) and places[-1] == reader.size == path.stat().st_size
    assert len(places) == 3


def test_what_was_flushed_is_readable_while_the_writer_goes_on(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "a.msj", HEADER)
    for entry in cycles(5):
        journal.append(entry)
    journal.flush()
    journal.append(CycleEntry(now=99, monotonic=0, dispatched=True, digest=b""))
    assert list(JournalReader(journal.path).entries()) == [HEADER, *cycles(5)]
    journal.close()
    assert JournalReader(journal.path).last_now() == 99


def test_only_its_owner_may_read_a_journal(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = write(tmp_path / "a.msj", [])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "a.msj", HEADER, fsync=True) as journal:
        journal.append(cycles(1)[0])
    assert journal.size == journal.path.stat().st_size
    assert journal.records == 2


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_last_block_that_was_cut_is_ignored_and_said(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.msj", [cycles(3), cycles(4)])
    data = path.read_bytes()
    last = JournalReader(path)._offsets[-1]
    path.write_bytes(data[: min(last + cut, len(data) - 1)])
    reader = JournalReader(path)
    assert list(reader.entries()) == [HEADER, *cycles(3)]
    assert reader.torn_bytes == path.stat().st_size - last


def test_a_last_block_of_zeros_counts_as_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [cycles(3)])
    path.write_bytes(path.read_bytes() + bytes(500))
    reader = JournalReader(path)
    assert list(reader.entries()) == [HEADER, *cycles(3)] and reader.torn_bytes == 500


def test_a_last_block_whose_bytes_never_reached_the_disk_counts_as_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [cycles(3), cycles(50)])
    data = bytearray(path.read_bytes())
    last = JournalReader(path)._offsets[-1]
    data[last + 16 :] = bytes(len(data) - last - 16)
    path.write_bytes(data)
    assert list(JournalReader(path).entries()) == [HEADER, *cycles(3)]


def test_a_damaged_block_in_the_middle_is_an_error_that_names_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [cycles(3), cycles(50), cycles(1)])
    at = JournalReader(path)._offsets[2]
    data = bytearray(path.read_bytes())
    data[at + 20] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(JournalError, match=f"block at byte {at} is damaged"):
        list(JournalReader(path).entries())


def test_a_damaged_size_in_the_middle_does_not_pass_for_a_cut_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [cycles(3), cycles(50), cycles(1)])
    at = JournalReader(path)._offsets[1]
    data = bytearray(path.read_bytes())
    data[at + 3] = 0x7F
    path.write_bytes(data)
    with pytest.raises(JournalError, match=f"head of the block at byte {at} is damaged"):
        JournalReader(path)


def block(raw: bytes, size: int | None = None) -> bytes:
    stored = zlib.compress(raw)
    sizes = struct.pack("<III", len(stored), len(raw) if size is None else size, zlib.crc32(stored))
    return sizes + struct.pack("<I", zlib.crc32(sizes)) + stored


def after_header(path: Path, block: bytes) -> Path:
    write(path, [])
    path.write_bytes(path.read_bytes() + block)
    return path


def test_a_block_that_inflates_to_more_than_it_declares_is_refused_before_it_does(tmp_path: Path) -> None:
    path = after_header(tmp_path / "a.msj", block(bytes(30_000_000), size=100))
    with pytest.raises(JournalError, match="declares 100 bytes and has more"):
        list(JournalReader(path).entries())


def test_a_block_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    path = after_header(tmp_path / "a.msj", block(bytes(10), size=MAX_BLOCK_BYTES + 1))
    with pytest.raises(JournalError, match=f"claims {MAX_BLOCK_BYTES + 1} bytes"):
        JournalReader(path)


def headed(path: Path, settings: object, knobs: object) -> Path:
    raw = msgspec.msgpack.encode([["header", "0", 1, "demo", settings, knobs]])
    path.write_bytes(b"MSJ" + bytes([FORMAT]) + b"\r\n\x1a\n" + block(raw))
    return path


@pytest.mark.parametrize(
    ("wanted", "knobs"),
    [({"window": [{}] * 1_000}, {}), ({}, {"optimizer": {"views": {"a": [{}] * 1_000}}}), ({"window": {"a": {}}}, {})],
)
def test_a_header_holds_plain_values_and_no_tree_of_objects(tmp_path: Path, wanted: object, knobs: object) -> None:
    with pytest.raises(JournalError, match="holds a record that version 1 does not know"):
        JournalReader(headed(tmp_path / "a.msj", wanted, knobs))


def test_a_header_that_is_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = headed(tmp_path / "a.msj", {"window": "x" * MAX_HEADER_BYTES}, {})
    assert path.stat().st_size < 20_000
    with pytest.raises(JournalError, match=rf"byte 8 claims \d+ bytes, allowed {MAX_HEADER_BYTES}"):
        JournalReader(path)


def test_those_checks_let_a_right_header_pass(tmp_path: Path) -> None:
    path = headed(tmp_path / "a.msj", {"window": 256, "profile": "demo"}, {"optimizer": {"views": {"BTC-USD": 1}}})
    assert JournalReader(path).header.knobs == {"optimizer": {"views": {"BTC-USD": 1}}}


def test_an_unknown_kind_of_record_is_refused_by_version(tmp_path: Path) -> None:
    path = after_header(tmp_path / "a.msj", block(msgspec.msgpack.encode([["weather", 1]])))
    with pytest.raises(JournalError, match=f"record that version {FORMAT} does not know.*weather"):
        list(JournalReader(path).entries())


def test_a_newer_version_of_the_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [])
    data = bytearray(path.read_bytes())
    data[3] = 9
    path.write_bytes(data)
    with pytest.raises(JournalError, match="version 9; this program reads 1"):
        JournalReader(path)


@pytest.mark.parametrize("content", [b"", b"MS", b"ts,bid,ask\n1,2,3\n", b"\x1f\x8b" + bytes(50)])
def test_another_file_is_no_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.msj"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="no journal"):
        JournalReader(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        JournalReader(tmp_path / "none.msj")


def test_a_journal_without_a_header_is_no_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [])
    path.write_bytes(path.read_bytes()[:START] + block(msgspec.msgpack.encode(cycles(1))))
    with pytest.raises(JournalError, match="header"):
        JournalReader(path)


def test_a_writer_takes_no_file_that_exists(tmp_path: Path) -> None:
    path = write(tmp_path / "a.msj", [])
    with pytest.raises(InvalidInputError, match="exists already"):
        JournalWriter(path, HEADER)


def test_a_record_too_large_for_a_block_is_refused(tmp_path: Path) -> None:
    with (
        JournalWriter(tmp_path / "a.msj", HEADER) as journal,
        pytest.raises(InvalidInputError, match="does not fit a block"),
    ):
        journal.append(InputEntry(provider=0, kind="frame", epoch=0, ts=0, key="", body=bytes(MAX_BLOCK_BYTES)))


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "a.msj", HEADER)
    journal.close()
    journal.close()
    journal.append(cycles(1)[0])
    with pytest.raises(InvalidInputError, match="closed"):
        journal.flush()


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), place=st.integers(0, 400), n=st.integers(1, 8))
def test_any_damage_gives_whole_records_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, place: int, n: int
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.msj"
    write(path, [one_of_each(), cycles(n)])
    whole = bytearray(path.read_bytes())
    place %= len(whole)
    whole[place : place + len(data)] = data
    path.write_bytes(whole)
    good = [HEADER, *one_of_each(), *cycles(n)]
    read = []
    try:
        for entry in JournalReader(path).entries():
            read.append(entry)  # noqa: PERF402 what came before an error counts
    except JournalError as error:
        assert str(path) in str(error)
    assert read == good[: len(read)]


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_after_a_right_start_give_records_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.msj"
    path.write_bytes(b"MSJ\x01\r\n\x1a\n" + block(data))
    with pytest.raises(JournalError):
        list(JournalReader(path).entries())


def test_rows_come_back_byte_for_byte() -> None:
    rows = empty_quotes(5)
    rows["bid"][1:] = [1.5, -0.0, np.inf, 5e-324]
    rows["seq"] = [2**62, -1, 0, 3, 4]
    rows["instrument"] = np.arange(5)
    rows["state"] = QuoteState.GAP
    back = unpack_rows(pack_rows(rows))
    assert back.dtype == QUOTE_DTYPE
    assert all(back[name].tobytes() == rows[name].tobytes() for name in QUOTE_DTYPE.names or ())


def test_packed_rows_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="whole number of rows"):
        unpack_rows(bytes(66))
