"""Session: what one browser page holds. It pulls the newest snapshot and patches its own views."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import panel as pn
import panel_material_ui as pmui

from marketstream.analytics.analysis import Analysis, Snapshot
from marketstream.dashboard import text
from marketstream.dashboard.browser import Browser
from marketstream.dashboard.cards import loading
from marketstream.dashboard.figures import Palette
from marketstream.dashboard.knobs import KnobPanel
from marketstream.dashboard.shell import Shell
from marketstream.dashboard.tables import table_seed
from marketstream.dashboard.theme import page_style, theme_config
from marketstream.dashboard.trail import Trail
from marketstream.dashboard.views.edges import EdgesView
from marketstream.dashboard.views.events import EventsView
from marketstream.dashboard.views.health import HealthView
from marketstream.dashboard.views.markets import MarketsView
from marketstream.dashboard.views.portfolio import PortfolioView
from marketstream.dashboard.views.rationale import RationaleView
from marketstream.dashboard.views.view import Choices, Context, Moment, View
from marketstream.engine import Engine, EngineStatus
from marketstream.providers.registry import ProviderReport

log = logging.getLogger(__name__)

PERIOD_MS = 250
"""Time between two looks at the engine: at most four a second."""
STATUS_EVERY_NS = 1_000_000_000
KNOB_EVERY_NS = 80_000_000
"""A slider that is dragged refreshes at once, but no more often than this."""
PHONE_PX, WIDE_PX = 760, 1100
"""Below the first the table keeps few columns; from the second on the drawer is open at the start."""
VIEWS: tuple[type[View], ...] = (MarketsView, EdgesView, PortfolioView, RationaleView, HealthView, EventsView)


class Session:
    """One page: its knobs, its choices, its views. Make it in the session it belongs to and close it at its end."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self.analysis = Analysis()
        for name, stage in self.analysis.stages.items():
            # A page begins as the house looks at things: for a replay of a file that is not the defaults.
            stage.set_knobs(engine.house.stages[name].knobs())
        self.choices = Choices()  # type: ignore[no-untyped-call]  # param's own initialiser is untyped
        self.faults = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.paused: Snapshot | None = None
        self._engine = engine
        self._trail = trail
        self._palette = Palette(dark=False)
        self._shown: Snapshot | None = None
        self._shown_as: tuple[str, bool] = ("", False)
        self._health: tuple[EngineStatus, list[ProviderReport]] | None = None
        self._health_ns = 0
        self._names: tuple[str, ...] = ()
        self._moved_ns: int | None = None
        self._refreshed_ns = 0
        self.knob_ms: float | None = None
        self._callback: Any = None
        self._placed = False
        context = Context(
            engine=engine,
            analysis=self.analysis,
            choices=self.choices,
            trail=trail,
            palette=self._palette,
            touch=self.touch,
            run=self._run,
        )
        self.views: dict[str, View] = {view.title: view(context) for view in VIEWS}
        self.shell = Shell(list(self.views), choose=self.choose, pause=self.toggle_pause)
        self.knobs = KnobPanel(self.analysis, engine.stopwatch, self._knob_moved)
        self.browser = Browser(width=0, height=0, margin=0)
        self._layouts: dict[str, Any] = {}
        self._waiting = text.pane(loading("Waiting for the engine."))
        self._content = pn.Column(
            self._waiting,
            margin=0,
            sizing_mode="stretch_width",
            stylesheets=[_CONTENT],
        )
        self.page = self._page()
        self._watch()

    @property
    def tab(self) -> str:
        """Return the title of the active view."""
        return list(self.views)[self.shell.tabs.active or 0]

    @property
    def snapshot(self) -> Snapshot | None:
        """Return what the page looks at: the frozen moment while paused, else the newest."""
        return self.paused or self._engine.snapshot

    def start(self) -> None:
        """Look at the engine from now on; call it when the page has loaded."""
        if self._callback is None:
            self._callback = pn.state.add_periodic_callback(self._tick, period=PERIOD_MS)

    def close(self) -> None:
        """Let go of everything, so that nothing of a closed page stays."""
        if self._callback is not None:
            self._callback.stop()
            self._callback = None
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for view in self.views.values():
            close = getattr(view, "close", None)
            if close is not None:
                close()
        self.knobs.close()
        self._palette.clear()
        self._layouts.clear()
        self.views.clear()
        self._content.clear()
        _let_go_of_busy(self.page)

    def refresh(self) -> bool:
        """Look at the newest snapshot and show it; returns whether anything was new."""
        house = self.snapshot
        if house is None:
            return self._wait()
        if self.paused is None:
            self._trail.record(house, self._engine.truth)
        return self.show(self.analysis.follow(house))

    def show(self, snapshot: Snapshot) -> bool:
        """Show a snapshot of this session's own analysis: app bar and active view only."""
        now = self._engine.stopwatch.monotonic_ns()
        fresh_health = self._look_at_health(now)
        what = (self.tab, self.paused is not None)
        if snapshot is self._shown and what == self._shown_as and not fresh_health:
            return False
        self._shown, self._shown_as = snapshot, what
        self._refreshed_ns = now
        assert self._health is not None  # noqa: S101 - set by _look_at_health
        status, reports = self._health
        moment = Moment(snapshot=snapshot, status=status, reports=reports)
        with pn.io.hold():
            self._name_instruments(snapshot)
            self.shell.refresh(moment, knob_ms=self.knob_ms, paused=self.paused is not None)
            self.views[self.tab].refresh(moment)
            self._open(self.tab)
            self.browser.param.update(beat=self.browser.beat + 1, as_of=self.shell.clock(moment))
            if self._moved_ns is not None:
                self.browser.asked += 1
        return True

    def touch(self) -> None:
        """Show the present moment again at once, since something was chosen."""
        if self._closed:
            return
        self._shown = None
        self._tick()

    def choose(self, instrument: str) -> None:
        """Select an instrument everywhere."""
        self.choices.instrument = instrument

    def toggle_pause(self) -> None:
        """Freeze this page at the moment it shows, or let it go on; engine and other pages are not touched."""
        self.paused = self._engine.snapshot if self.paused is None else None
        self.touch()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="page")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tick(self) -> None:
        try:
            self._fit()
            self.refresh()
        except Exception:
            self.faults += 1
            log.warning("a page could not be refreshed (%d)", self.faults, exc_info=True)

    def _wait(self) -> bool:
        status = self._engine.status()
        self.shell.wait(status)
        what = "Playing the simulated past, so that charts are full" if status.simulated else "Waiting for the venues"
        what = what if status.replay is None else "Playing the recording"
        text.show(self._waiting, loading(f"{what}: cycle {status.sequence:,}. The first prices follow at once."))
        return False

    def _fit(self) -> None:
        """Fit table and drawer to the width that the browser has reported."""
        # Done here and not when the report comes: what is changed while a page still loads does not reach it.
        width = self.browser.width_px
        if not width:
            return
        self.choices.phone = width < PHONE_PX
        if not self._placed:
            # Nobody knows the width before the first render, so the drawer starts closed, which is right on a phone.
            self._placed = True
            self.page.sidebar_open = width >= WIDE_PX

    def _look_at_health(self, now: int) -> bool:
        if self._health is not None and now - self._health_ns < STATUS_EVERY_NS and self._shown is not None:
            return False
        self._health = (self._engine.status(), self._engine.registry.report(self._engine.clock.now_ns()))
        self._health_ns = now
        return True

    def _name_instruments(self, snapshot: Snapshot) -> None:
        catalog = snapshot.market.catalog
        if len(self._names) == catalog.n_instruments:
            return
        names = {i.id: i.name for i in catalog.instruments}
        self._names = tuple(names)
        self.shell.name_instruments(names)
        if not self.choices.instrument and names:
            self.choices.instrument = next(iter(names))

    def _open(self, tab: str) -> None:
        if tab not in self._layouts:
            self._layouts[tab] = self.views[tab].layout()
        if self._content.objects != [self._layouts[tab]]:
            self._content.objects = [self._layouts[tab]]

    def _knob_moved(self) -> None:
        now = self._engine.stopwatch.monotonic_ns()
        if self._moved_ns is None:
            self._moved_ns = now
        if now - self._refreshed_ns >= KNOB_EVERY_NS:
            self.touch()

    def _drawn(self, _event: Any) -> None:
        if self._moved_ns is not None:
            self.knob_ms = (self._engine.stopwatch.monotonic_ns() - self._moved_ns) / 1e6
            self._moved_ns = None

    def _turned(self, event: Any) -> None:
        self.choices.dark = event.new
        self._palette.turn(dark=event.new)
        self.touch()

    def _watch(self) -> None:
        self.browser.param.watch(self._drawn, "seen")
        self.page.param.watch(self._turned, "dark_theme")
        self.shell.tabs.param.watch(lambda _: self.touch(), "active")
        self.choices.param.watch(lambda _: self.touch(), "instrument")

    def _page(self) -> Any:
        main = pn.Column(
            *self.shell.top,
            self._content,
            self.browser,
            table_seed(),
            margin=0,
            sizing_mode="stretch_both",
            stylesheets=[_MAIN],
        )
        return pmui.Page(
            title="marketstream",
            header=self.shell.header,
            sidebar=[self.knobs.view],
            main=[main],
            sidebar_open=False,
            sidebar_width=232,
            sidebar_resizable=False,
            sidebar_variant="auto",
            theme_config=theme_config(),
            sx=page_style(),
            busy_indicator=None,
            raw_css=[_DOCUMENT],
            meta_name="marketstream",
            meta_description="Live market workbench",
        )


def _let_go_of_busy(page: Any) -> None:
    # Every Page subscribes to the process-wide `pn.state.busy` and never cancels that, which would keep it for ever.
    for watcher in [*pn.state.param.watchers.get("busy", {}).get("value", [])]:
        if getattr(getattr(watcher.fn, "__self__", None), "self", None) is page:
            pn.state.param.unwatch(watcher)


_MAIN = ":host { display: flex; flex-direction: column; background: var(--ms-bg); min-height: 0; }"
_CONTENT = """
:host { flex: 1 1 0; min-height: 0; overflow-y: auto; overflow-x: hidden; overflow-anchor: none; padding: 8px 8px 0;
  background: var(--ms-bg); filter: var(--ms-offline, none); }
"""
_DOCUMENT = "html.ms-offline { --ms-offline: grayscale(.85) opacity(.72); }"
