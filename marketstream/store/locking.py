"""One process owns a store file: a lock beside it that the system lets go of when its owner dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

from marketstream.errors import ConfigurationError


class StoreBusyError(ConfigurationError):
    """Another process owns the store file."""


class FileLock:
    """The right to write a store file, held from `take` to `release`.

    The lock is the kernel's (flock), so that of a killed process is free at once. The file `<store>.lock` stays:
    deleting it would let two processes lock two files of the same name. It holds the owner's process id for people.

    Args:
        path: The store file.
    """

    def __init__(self, path: Path) -> None:
        self._store = path
        self._path = path.with_name(path.name + ".lock")
        self._handle: int | None = None

    def take(self) -> None:
        """Take the lock; folder and store file are made where missing, for their owner's eyes alone.

        Raises:
            StoreBusyError: Somebody has it; the message names the process.
            ConfigurationError: The file cannot be made, or what bears the name of the lock is no lock file.
        """
        handle = self._open()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise StoreBusyError(
                f"the store {self._store} is in use by process {owner}: "
                "stop that one, or give this one a store of its own"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        # Options of a provider may hold a key.
        self._store.touch(mode=0o600)
        self._handle = handle

    def _open(self) -> int:
        # Taking the lock writes into the file: what is only linked to here would lose what it holds.
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP and self._path.is_symlink():
                raise self._strange() from None
            raise ConfigurationError(f"the store cannot be opened at {self._path.parent}: {error.strerror}") from None
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_uid != os.geteuid():
            os.close(handle)
            raise self._strange()
        return handle

    def _strange(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._path} is no lock file of this user's, but a link, something other than a file, or somebody "
            "else's: look at what it is, then delete it"
        )

    def release(self) -> None:
        """Let go of the lock; without it this changes nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.ftruncate(handle, 0)
            os.close(handle)
