"""What subcommands share: the options that choose settings, the Settings made of them, and text for a terminal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketstream.settings import PROFILES, Settings, load_settings

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # the library has no public name for it


def add_feeds(command: argparse.ArgumentParser) -> None:
    """Add the options that say which feeds to open and where settings are."""
    command.add_argument("--profile", choices=PROFILES, help="which feeds to open (default: demo)")
    command.add_argument("--providers", type=Path, metavar="FILE", help="JSON or TOML file that declares providers")
    add_settings(command)


def add_settings(command: argparse.ArgumentParser) -> None:
    """Add the option that names a settings file."""
    command.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")


def settings_of(chosen: argparse.Namespace, **more: Any) -> Settings:
    """Return the Settings that options, environment and file give; ConfigurationError when one cannot be used."""
    given = {"profile": getattr(chosen, "profile", None), "providers_file": getattr(chosen, "providers", None)}
    return load_settings(chosen.settings, **given, **more)


def log_to_stderr(level: str) -> None:
    """Set up logging for a program, with the libraries that log too much kept quiet."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    for chatty in ("httpx2", "websockets", "bokeh", "tornado", "alembic"):
        # The HTTP client logs whole URLs at INFO, and a URL may carry a key.
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _PlainFormatter(logging.Formatter):
    # A message is one line whatever it quotes, and what follows of a traceback is set in: no text forges a line.
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        return plain(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the same
        return "\n".join(f"  {plain(line)}" for line in super().formatException(ei).splitlines())


def plain(text: str) -> str:
    """Return text as one line that a terminal shows as it is: a name or an error may hold control characters.

    >>> plain("a\\x1b[2Jb\\nc")
    'a?[2Jb c'
    """
    return "".join(c if c.isprintable() else " " if c == "\n" else "?" for c in text)


def say(text: str, *, error: bool = False) -> None:
    """Print one line at once, to standard output or standard error; every text from outside goes through here."""
    print(plain(text), file=sys.stderr if error else sys.stdout, flush=True)


def stop_on_signal() -> asyncio.Event:
    """Return an event that SIGINT or SIGTERM sets; needs a running loop."""
    # The first signal asks; the second one, to somebody who will not wait, ends the process by the usual means.
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(number: int) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told, number)
    return stop
