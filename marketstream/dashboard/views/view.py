"""What a view is: something with a layout that is brought up to a Moment; and the fence that keeps faults inside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import panel as pn
import panel_material_ui as pmui
import param

from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card
from marketstream.dashboard.figures import Palette
from marketstream.dashboard.text import markup
from marketstream.dashboard.trail import Trail
from marketstream.engine import Engine, EngineStatus
from marketstream.providers.registry import ProviderReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Moment:
    """What one refresh of one session shows: its snapshot and how the engine was at that time."""

    snapshot: Snapshot
    status: EngineStatus
    reports: Sequence[ProviderReport]


class Choices(param.Parameterized):
    """What one session looks at; views watch it, and it lives as long as the session."""

    instrument = param.String(default="", doc="Id of the selected instrument")
    dark = param.Boolean(default=False, doc="Whether the page is dark")
    phone = param.Boolean(default=False, doc="Whether the window is narrower than 760 px")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Context:
    """What a view may use of its session."""

    engine: Engine
    analysis: Analysis
    choices: Choices
    trail: Trail
    palette: Palette
    touch: Callable[[], None]
    """Ask for a refresh soon."""
    run: Callable[[Coroutine[Any, Any, None]], None]
    """Run something that waits; it ends with the session."""


class View(Protocol):
    """One card or group of cards."""

    title: str

    def __init__(self, context: Context) -> None: ...

    def layout(self) -> Any:
        """Return what goes into the page; called once."""
        ...

    def refresh(self, moment: Moment) -> None:
        """Show `moment`, changing only what differs."""
        ...


class Fence:
    """Run a part of a view; a fault shows an error card in its place, is logged and counted, and goes no further."""

    def __init__(self, title: str, body: Any, run: Callable[[Moment], None]) -> None:
        self.faults = 0
        self._title = title
        self._body = body
        self._run = run
        self._last_good = ""
        self._card: Card | None = None
        self._retry = pmui.Button(
            label="Try again",
            variant="outlined",
            size="small",
            height=28,
            width=90,
            margin=(0, 0, 12, 20),
            on_click=lambda _: self.retry(),
        )
        self._words = text.pane()
        self.view = pn.Column(body, margin=0, sizing_mode="stretch_width")

    def refresh(self, moment: Moment) -> None:
        """Bring the part up to `moment`, unless it has failed and nobody has asked to try again."""
        if self._card is not None:
            return
        try:
            self._run(moment)
        except Exception as fault:
            self.faults += 1
            log.warning("view %r failed (%d)", self._title, self.faults, exc_info=True)
            self._fail(moment, fault)
        else:
            self._last_good = formats.clock(moment.snapshot.now)

    def retry(self) -> None:
        """Show the part again, from the next refresh on."""
        self._card = None
        self.view[:] = [self._body]

    def _fail(self, moment: Moment, fault: Exception) -> None:
        since = formats.clock(moment.snapshot.now)
        self._card = Card(self._title, "this card only", self._words, self._retry, css_classes=["ms-failed"])
        self._card.head("this card only", markup('<span class="down">failed {since}</span>', since=since))
        last = f" The last good picture is from {self._last_good} UTC." if self._last_good else ""
        text.show(
            self._words,
            markup(
                '<div class="empty" role="alert"><b class="down">✕ This card stopped.</b>{name}: {what}.{last} '
                "Prices, the other cards and your knobs are not affected.</div>",
                name=type(fault).__name__,
                what=str(fault)[:200].rstrip("."),
                last=last,
            ),
        )
        self.view[:] = [self._card.view]
