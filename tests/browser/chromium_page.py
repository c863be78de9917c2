"""An open page in Chromium, and what went wrong on it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from playwright.async_api import Page

from marketstream.engine import Engine

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
OPENS_WITHIN_MS = 60_000


@dataclass
class Open:
    """One open page and what went wrong on it: console errors, and requests that left the machine."""

    page: Page
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Listen to console, errors and requests."""
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.outside.append(r.url) if leaves(r.url) else None)


def leaves(url: str) -> bool:
    """Tell whether a request goes to another machine."""
    return bool(re.match(r"(https?|wss?)://", url)) and not re.match(r"\w+://(127\.0\.0\.1|localhost)[:/]", url)


@dataclass
class Served:
    """An engine behind a served dashboard."""

    engine: Engine
    url: str
    open: Callable[..., Awaitable[Open]]
