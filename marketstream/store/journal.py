"""The journal: an append-only file of compressed, checked blocks of records. The records are in journal_records.py.

    file   = b"MSJ" version b"\\r\\n\\x1a\\n" block*
    block  = stored size, size, CRC-32 of the stored bytes, CRC-32 of these three numbers (uint32, little end first),
             then the stored bytes: zlib of a MessagePack array of records

A process that dies leaves whole blocks and at most one that is cut, at the end. Everything up to it is read; a block
that is damaged in the middle is an error that names its place.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from marketstream.errors import InvalidInputError, PermanentError
from marketstream.store.journal_records import CycleEntry, Entry, Header

SUFFIX = ".msj"
"""Of journal files."""
FORMAT = 1
"""Version of the file."""
MAX_BLOCK_BYTES = 16 << 20
"""Most bytes of a block, inflated."""
MAX_HEADER_BYTES = 1 << 20
"""Most bytes of the first block, which is the header alone."""

_MAGIC = b"MSJ"
_TAIL = b"\r\n\x1a\n"
_START = len(_MAGIC) + 1 + len(_TAIL)
_BLOCK = struct.Struct("<IIII")
_SIZES = struct.Struct("<III")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Entry])


class JournalError(PermanentError):
    """A file that is no journal, or one that is damaged; the message names the file and the place."""


class JournalWriter:
    """Append records; what `flush` has returned for is there after the process is killed.

    Args:
        path: A file that does not exist yet.
        header: The first record; written at once.
        fsync: Have every flush wait until the disk has it, which a power loss then cannot take.
        level: Of zlib, 1 (fast) to 9 (small).

    Raises:
        InvalidInputError: The file exists already.
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, header: Header, *, fsync: bool = False, level: int = 1) -> None:
        self.path = path
        self.size = 0
        self.records = 0
        self._fsync = fsync
        self._level = level
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        try:
            self._file: BinaryIO | None = open(path, "xb", buffering=0, opener=_own)  # noqa: SIM115
        except FileExistsError:
            raise InvalidInputError(f"{path} exists already; a recording starts a file of its own") from None
        try:
            self._write(_MAGIC + bytes([FORMAT]) + _TAIL)
            self.append(header)
            self.flush()
        except BaseException:
            self.abandon()
            raise

    def append(self, record: Entry) -> None:
        """Take one record; a full block is flushed first. InvalidInputError when it alone is too large for a block."""
        encoded = _ENCODER.encode(record)
        if len(encoded) > MAX_BLOCK_BYTES - 5:
            raise InvalidInputError(f"a record of {len(encoded)} bytes does not fit a block of {MAX_BLOCK_BYTES}")
        if self._waiting_bytes + len(encoded) > MAX_BLOCK_BYTES - 5:
            self.flush()
        self._waiting.append(encoded)
        self._waiting_bytes += len(encoded)

    def flush(self) -> None:
        """Write what was appended as one block; nothing happens when there is nothing."""
        if not self._waiting:
            return
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        # A MessagePack array of 32-bit length, then its elements.
        raw = b"\xdd" + struct.pack(">I", len(waiting)) + b"".join(waiting)
        stored = zlib.compress(raw, self._level)
        sizes = _SIZES.pack(len(stored), len(raw), zlib.crc32(stored))
        self._write(sizes + struct.pack("<I", zlib.crc32(sizes)) + stored)
        self.records += len(waiting)

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if self._file is None:
            return
        try:
            self.flush()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close without writing anything more, as after a write that failed."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            raise InvalidInputError(f"{self.path} was closed; a recording cannot be taken up again")
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        if self._fsync:
            os.fsync(self._file.fileno())
        self.size += len(data)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, which only its owner can enter; one that is there stays as it is."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _own(path: str, flags: int) -> int:
    # Frames may show what somebody looks at: nobody else reads them.
    return os.open(path, flags, 0o600)


class JournalReader:
    """Read a journal, from the start as often as wanted.

    Args:
        path: The file.

    Attributes:
        header: The first record.
        size: Bytes of the file that are whole blocks.
        torn_bytes: Bytes after them, of a block that was cut when its writer died; they are not read.

    Raises:
        JournalError: It cannot be read, is no journal, is damaged in its outline, or is of a version that this program
            does not know.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._check_start(file.read(_START))
                self._offsets, self.size, self.torn_bytes = self._outline(file)
        except OSError as error:
            raise JournalError(f"{path} cannot be read: {error.strerror}") from None
        first = next(self.entries(), None)
        if not isinstance(first, Header):
            raise JournalError(f"{path} does not begin with a header, so it is no whole recording")
        self.header = first

    def entries(self) -> Iterator[Entry]:
        """Yield every record in order; JournalError at a damaged block."""
        for _, entries in self.blocks():
            yield from entries

    def blocks(self) -> Iterator[tuple[int, list[Entry]]]:
        """Yield (bytes of the file up to the end of the block, its records) in order; JournalError at a damaged one."""
        with self.path.open("rb") as file:
            for at in self._offsets:
                entries = self._block(file, at)
                yield file.tell(), entries

    def last_entry(self) -> Entry:
        """Return the last record; an EndEntry where the recording was ended in order."""
        with self.path.open("rb") as file:
            return self._block(file, self._offsets[-1])[-1]

    def last_now(self) -> int | None:
        """Return the time of the last cycle, UTC ns; None where there is none."""
        with self.path.open("rb") as file:
            for at in reversed(self._offsets):
                for entry in reversed(self._block(file, at)):
                    if isinstance(entry, CycleEntry):
                        return entry.now
        return None

    def _check_start(self, start: bytes) -> None:
        if start[: len(_MAGIC)] != _MAGIC or start[len(_MAGIC) + 1 :] != _TAIL:
            raise JournalError(f"{self.path} is no journal of marketstream: it does not begin as one")
        if start[len(_MAGIC)] != FORMAT:
            raise JournalError(f"{self.path} is a journal of version {start[len(_MAGIC)]}; this program reads {FORMAT}")

    def _outline(self, file: BinaryIO) -> tuple[list[int], int, int]:
        # Walk from head to head without reading what lies between.
        end = os.fstat(file.fileno()).st_size
        offsets: list[int] = []
        at = _START
        while at + _BLOCK.size <= end:
            file.seek(at)
            head = file.read(_BLOCK.size)
            stored, size, _, crc = _BLOCK.unpack(head)
            if zlib.crc32(head[: _SIZES.size]) != crc:
                if self._only_zeros(file, at):
                    break
                raise JournalError(f"{self.path}: the head of the block at byte {at} is damaged")
            allowed = MAX_BLOCK_BYTES if offsets else MAX_HEADER_BYTES
            if size > allowed or stored > allowed * 2:
                raise JournalError(f"{self.path}: the block at byte {at} claims {size} bytes, allowed {allowed}")
            if at + _BLOCK.size + stored > end or self._is_unwritten(file, at, stored, end):
                break
            offsets.append(at)
            at += _BLOCK.size + stored
        return offsets, at, end - at

    @staticmethod
    def _only_zeros(file: BinaryIO, at: int) -> bool:
        # After a power loss a file may be longer than what was written of it.
        file.seek(at)
        while chunk := file.read(1 << 20):
            if chunk.count(0) != len(chunk):
                return False
        return True

    @staticmethod
    def _is_unwritten(file: BinaryIO, at: int, stored: int, end: int) -> bool:
        # The last block of all may be there by its size and not by its bytes: torn as well.
        if at + _BLOCK.size + stored != end:
            return False
        file.seek(at)
        _, _, crc, _ = _BLOCK.unpack(file.read(_BLOCK.size))
        return zlib.crc32(file.read(stored)) != int(crc)

    def _block(self, file: BinaryIO, at: int) -> list[Entry]:
        where = f"{self.path}: the block at byte {at}"
        file.seek(at)
        stored, size, crc, _ = _BLOCK.unpack(file.read(_BLOCK.size))
        packed = file.read(stored)
        if zlib.crc32(packed) != crc:
            raise JournalError(f"{where} is damaged: its checksum is wrong")
        inflate = zlib.decompressobj()
        try:
            # One byte more than declared is enough to know that it lied.
            raw = inflate.decompress(packed, size + 1)
        except zlib.error as error:
            raise JournalError(f"{where} cannot be inflated: {error}") from None
        if len(raw) != size:
            raise JournalError(f"{where} declares {size} bytes and has {'more' if len(raw) > size else len(raw)}")
        try:
            entries = _DECODER.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise JournalError(f"{where} holds a record that version {FORMAT} does not know: {error}") from None
        if not entries:
            raise JournalError(f"{where} holds no record")
        return entries
