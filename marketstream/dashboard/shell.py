"""What surrounds the views: app bar, tabs, the four loop figures, and the line that says what is late or paused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.view import Moment
from marketstream.engine.status import EngineStatus, ReplayStatus
from marketstream.market.events import ProviderStatus
from marketstream.providers.registry import ProviderReport


class Shell:
    """The fixed parts of one page."""

    def __init__(self, tabs: list[str], *, choose: Callable[[str], None], pause: Callable[[], None]) -> None:
        self._choose = choose
        self._ids: dict[str, str] = {}
        self.search = pmui.AutocompleteInput(
            placeholder="Find instrument   /",
            label="",
            options=[],
            min_characters=1,
            case_sensitive=False,
            search_strategy="includes",
            size="small",
            width=210,
            margin=(0, 8, 0, 12),
            restrict=True,
            align="center",
            css_classes=["ms-search"],
            stylesheets=[_SEARCH],
            sx=_SEARCH_SX,
        )
        self.search.param.watch(self._found, "value")
        self._status = text.pane(css=_STATUS, sizing_mode="stretch_width")
        self._pause = pmui.Button(
            label="Pause",
            icon="pause",
            variant="outlined",
            size="small",
            height=28,
            width=86,
            margin=(0, 4),
            align="center",
            on_click=lambda _: pause(),
            css_classes=["ms-pause"],
            stylesheets=[_PAUSE],
            icon_size="1.2em",
        )
        self.tabs = pmui.TabMenu(items=list(tabs), active=0, margin=0, variant="scrollable", scroll_buttons="false")
        self._loop = text.pane(css=_LOOP, sizing_mode="stretch_width")
        self._line = text.pane(css=_LINE)
        self._line.visible = False

    @property
    def header(self) -> list[Any]:
        """Return what goes into the app bar, left to right."""
        return [self.search, self._status, self._pause]

    @property
    def top(self) -> list[Any]:
        """Return the row of tabs and figures, and the line under it."""
        row = pn.Row(self.tabs, self._loop, margin=0, sizing_mode="stretch_width", stylesheets=[_TOP])
        return [row, self._line]

    @staticmethod
    def clock(moment: Moment) -> str:
        """Return the UTC time of the figures."""
        return formats.clock(moment.snapshot.now)

    def name_instruments(self, names: dict[str, str]) -> None:
        """Offer these instruments (id to shown name) in the search."""
        self._ids = {text.plain(f"{name}" if name == key else f"{name}  ({key})"): key for key, name in names.items()}
        self.search.options = list(self._ids)

    def wait(self, status: EngineStatus) -> None:
        """Say whose prices are awaited, before the first snapshot."""
        text.show(self._status, markup('<div class="right">{badge}</div>', badge=_badge(status)))

    def refresh(self, moment: Moment, *, knob_ms: float | None, paused: bool) -> None:
        """Bring the figures up to `moment`."""
        status = moment.status
        text.show(self._status, self._right(moment, paused))
        refused = status.refused_share * 100
        text.show(
            self._loop,
            markup(
                '<div class="loop"><span>quotes/s <b>{quotes}</b></span><span>cycle <b>{cycle} ms</b></span>'
                '<span title="from a moved knob to the browser having drawn it">knob to page <b>{knob}</b></span>'
                "<span>refused <b>{refused} %</b></span></div>",
                quotes=formats.number(status.quotes_per_s, 0),
                cycle=formats.number(status.cycle_ms_p50, 1),
                knob=formats.MISSING if knob_ms is None else f"{knob_ms:,.0f} ms",
                refused=formats.number(refused, 2),
            ),
        )
        words = _pause_words(moment) if paused else _late_words(moment)
        self._line.visible = bool(words)
        text.show(self._line, words)
        self._pause.label, self._pause.icon = ("Resume", "play_arrow") if paused else ("Pause", "pause")

    @staticmethod
    def _right(moment: Moment, paused: bool) -> Markup:
        status = moment.status
        counts = {"live": 0, "late": 0, "off": 0}
        for report in moment.reports:
            counts[_feed_state(report)] += 1
        feeds = [("live", "live", counts["live"]), ("late", "late", counts["late"]), ("off", "off", counts["off"])]
        pill = join(
            markup(
                '<span title="{n} feeds {word}"><span class="dot dot-{dot}" role="img" aria-label="{word}"></span> '
                "{n}<i> {word}</i></span>",
                dot=dot,
                word=word,
                n=n,
            )
            for dot, word, n in feeds
            if n or word == "live"
        )
        state = "bad" if counts["late"] or counts["off"] else "good"
        return markup(
            '<div class="right">{badge}<span class="feeds {state}">{pill}</span>'
            '<span class="clock {paused}">{clock}<i> UTC</i></span></div>',
            badge=_badge(status),
            pill=pill,
            state=state,
            clock=formats.clock(moment.snapshot.now),
            paused="paused" if paused else "",
        )

    def _found(self, event: Any) -> None:
        key = self._ids.get(event.new or "")
        if key is not None:
            self._choose(key)


def _badge(status: EngineStatus) -> Markup:
    if status.replay is not None:
        return _replay_badge(status.replay, simulated=status.simulated)
    if not status.simulated:
        return markup('<span class="badge live">{profile}</span>', profile=status.profile.upper())
    return markup(
        '<span class="badge demo" title="Every price here is made by a simulator">{profile}'
        "<i> · SIMULATED DATA</i></span>",
        profile=status.profile.upper(),
    )


def _replay_badge(replay: ReplayStatus, *, simulated: bool) -> Markup:
    return markup(
        '<span class="badge replay" title="{name}, recorded {begin} to {end} UTC{simulated}">REPLAY{made_up} '
        "<i>{name} · {speed} · {day} · </i>{percent} %</span>",
        made_up=" · SIMULATED" if simulated else "",
        name=replay.name,
        begin=formats.day_and_time(replay.begin),
        end=formats.day_and_time(replay.end),
        simulated="; every price in it is made by a simulator" if simulated else "",
        speed="as fast as it goes" if math.isinf(replay.speed) else f"{replay.speed:g}×",
        day=formats.day_and_time(replay.position)[:10],
        percent=formats.number(replay.fraction * 100, 0),
    )


def _feed_state(report: ProviderReport) -> str:
    if report.status is ProviderStatus.RUNNING:
        return "live"
    return "late" if report.status in (ProviderStatus.DEGRADED, ProviderStatus.READY) else "off"


def _pause_words(moment: Moment) -> Markup:
    return markup(
        '<div class="line"><b>Paused at {when} UTC.</b> This page stands still; the engine and every other page go '
        "on. Knobs work on this moment.</div>",
        when=formats.clock(moment.snapshot.now),
    )


def _late_words(moment: Moment) -> Markup:
    replay = moment.status.replay
    if replay is not None and replay.ended:
        return markup(
            '<div class="line"><b>End of recording.</b> {name} {how}; figures are as of {when} UTC and knobs work on '
            "them.</div>",
            name=replay.name,
            how=f"cannot be played further: {replay.failure}" if replay.failure else "was played to its end",
            when=formats.day_and_time(moment.snapshot.now),
        )
    if moment.status.state != "running":
        return markup(
            '<div class="line"><b>The engine is {state}.</b> Figures are as of {when} UTC.</div>',
            state=moment.status.state,
            when=formats.clock(moment.snapshot.now),
        )
    reports = moment.reports
    late = [r for r in reports if r.enabled and _feed_state(r) != "live"]
    if not late:
        return Markup()
    if not any(r.trusted_pairs for r in late):
        return _replaced_words(late)
    named = "; ".join(f"{r.name}: {r.detail}" for r in late[:3])
    more = f"; and {len(late) - 3} more" if len(late) > 3 else ""
    return markup(
        '<div class="line"><span class="dot dot-gap" role="img" aria-label="late"></span> '
        "<b>{n} of {total} feeds {verb} late.</b> {named}{more}. Their prices are left out of every fair value; bands "
        "are wider.</div>",
        n=len(late),
        total=len(reports),
        verb="is" if len(late) == 1 else "are",
        named=named,
        more=more,
    )


def _replaced_words(late: Sequence[ProviderReport]) -> Markup:
    # Feeds that nobody depends on now: others carry their venues.
    return markup(
        '<div class="line"><span class="dot dot-late" role="img" aria-label="late"></span> <b>{named}: late.</b> '
        "Other feeds carry the same venues meanwhile; no price is left out for it.</div>",
        named=", ".join(r.name for r in late[:3]) + (f" and {len(late) - 3} more" if len(late) > 3 else ""),
    )


_SEARCH = ":host { flex: none; } @media (max-width: 759px) { :host { display: none !important; } }"
_SEARCH_SX = {"& .MuiInputBase-root": {"height": "30px", "fontSize": "12px", "padding": "0 8px !important"}}
_STATUS = """
:host { flex: 1 1 0; min-width: 0; }
.right { display: flex; align-items: center; justify-content: flex-end; gap: 10px; height: 44px; white-space: nowrap;
  color: var(--ms-ink); }
.right i { font-style: normal; }
.badge { border: 1.5px solid var(--ms-accent); color: var(--ms-accent); border-radius: 3px; padding: 1px 6px;
  font-weight: 700; font-size: 11px; letter-spacing: .2px; }
.badge.replay { border-color: var(--ms-warn); color: var(--ms-warn); }
.badge.live { border-color: var(--ms-up); color: var(--ms-up); }
.feeds { display: inline-flex; gap: 9px; border: 1px solid var(--ms-up); border-radius: 12px; padding: 2px 9px;
  font-size: 11px; } .feeds.bad { border-color: var(--ms-warnfill); background: var(--ms-warnbg); }
.clock { font-size: 13px; } .clock i { color: var(--ms-ink3); } .clock.paused { color: var(--ms-warn);
  font-weight: 700; }
@media (max-width: 759px) { .right { gap: 6px; } .right i { display: none; } .badge.demo::after { content: " SIM"; } }
"""
_PAUSE = "@media (max-width: 759px) { :host { display: none !important; } }"
_LOOP = """
:host { flex: 1 1 0; min-width: 0; } @media (max-width: 1099px) { :host { display: none !important; } }
.loop { display: flex; justify-content: flex-end; align-items: center; gap: 16px; height: 34px; padding-right: 12px;
  font-size: 11px; color: var(--ms-ink3); white-space: nowrap; }
.loop b { font-weight: 400; font-size: 12px; color: var(--ms-ink); }
"""
_LINE = """
.line { background: var(--ms-warnbg); color: var(--ms-ink2); padding: 6px 12px; min-height: 30px; }
.line b { color: var(--ms-warn); margin-right: 4px; }
"""
_TOP = """
:host { background: var(--ms-surface); border-bottom: 1px solid var(--ms-line); flex: none; align-items: center;
  height: 35px; }
"""
