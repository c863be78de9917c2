"""The sidebar: one slider per knob of the session's own stages, with undo, reset and what was changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import PrintfTickFormatter

from marketstream.analytics.analysis import Analysis
from marketstream.analytics.stage import Stage
from marketstream.clock import Clock
from marketstream.dashboard import text
from marketstream.dashboard.faces import Face, face_of, grouped
from marketstream.dashboard.text import markup

UNDO_LIMIT = 100
COALESCE_NS = 1_000_000_000
"""Moves of one knob within this time are one step back."""


PLAIN: dict[str, Any] = {"lineHeight": "16px", "& .MuiFormLabel-root": {"color": "var(--ms-ink2)"}}
MARKED: dict[str, Any] = {"lineHeight": "16px", "& .MuiFormLabel-root": {"color": "var(--ms-accent) !important"}}


class Knob:
    """One slider bound to one knob of one stage; the stage's value is the truth, the slider shows it."""

    def __init__(self, stage: Stage, name: str, moved: Callable[[Knob, Any, Any], None]) -> None:
        self.stage, self.name = stage, name
        self.face: Face = face_of(stage, name)
        self._moved = moved
        self.slider = self._slider()
        self.slider.param.watch(self._turned, "value")
        self._watcher = stage.param.watch(self._set, name)
        self.show()

    @property
    def value(self) -> float:
        """Return the knob's value, in its own unit."""
        return float(getattr(self.stage, self.name))

    @property
    def changed(self) -> bool:
        """Return whether the knob is away from its default."""
        return self.name in self.stage.changed_knobs()

    def show(self) -> None:
        """Bring the slider to the stage's value and mark it where that is not the default."""
        shown = self._nearest(self.value * self.face.factor)
        if abs(self.slider.value - shown) > 1e-12:
            self.slider.value = shown
        style = MARKED if self.changed else PLAIN
        if self.slider.sx is not style:
            self.slider.sx = style

    def close(self) -> None:
        """Let go of the stage."""
        self.stage.param.unwatch(self._watcher)

    def _slider(self) -> Any:
        face, value = self.face, self.value * self.face.factor
        common = {
            "label": face.label,
            "margin": (0, 10, 0, 10),
            "size": "small",
            "sizing_mode": "stretch_width",
            "tooltips": False,
            "height": 36,
        }
        if face.ladder:
            steps = sorted({*face.ladder, value})
            return pmui.DiscreteSlider(options={face.words(step): step for step in steps}, value=value, **common)
        unit = face.unit.replace("%", "%%")
        return pmui.FloatSlider(
            start=face.low,
            end=face.high,
            step=face.step,
            value=value,
            format=PrintfTickFormatter(format=f"%.4g {unit}".rstrip()),
            **common,
        )

    def _nearest(self, shown: float) -> float:
        if not self.face.ladder:
            return shown
        return float(min(self.slider.options.values(), key=lambda step: abs(step - shown)))

    def _turned(self, event: Any) -> None:
        before = getattr(self.stage, self.name)
        value: float | int = round(event.new / self.face.factor, 12)
        if abs(value - float(before)) < 1e-12:
            return
        if isinstance(before, int) and not isinstance(before, bool):
            value = round(value)
        setattr(self.stage, self.name, value)
        self._moved(self, before, value)

    def _set(self, _event: Any) -> None:
        self.show()


class KnobPanel:
    """All knobs of one session. `view` goes into the sidebar; `changed` is called after any of them moved."""

    def __init__(self, analysis: Analysis, clock: Clock, changed: Callable[[], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._past: list[tuple[str, str, Any, int]] = []
        self._undoing = False
        self._stages: dict[str, Stage] = dict(analysis.stages)
        self.groups = {
            group: [Knob(self._stages[stage], name, self._moved) for stage, name in rows]
            for group, rows in grouped(analysis.stages).items()
        }
        self._watchers = [(s, s.param.watch(self._settled, list(s.knobs()))) for s in self._stages.values()]
        self._title = text.pane(css=_TITLE_CSS)
        self._undo = pmui.IconButton(
            icon="undo",
            label="Undo",
            size="small",
            on_click=lambda _: self.undo(),
            margin=0,
            width=30,
            height=28,
            description="Undo the last knob",
            disabled=True,
        )
        self._reset = pmui.IconButton(
            icon="restart_alt",
            label="Reset all",
            size="small",
            on_click=lambda _: self.reset(),
            margin=0,
            width=30,
            height=28,
            description="Reset every knob",
            disabled=True,
        )
        self._resets = {group: self._group_reset(group) for group in self.groups}
        self.view = self._layout()
        self.show()

    def undo(self) -> None:
        """Take the last move back."""
        if not self._past:
            return
        stage, name, before, _ = self._past.pop()
        self._undoing = True
        try:
            setattr(self._stages[stage], name, before)
        finally:
            self._undoing = False
        self.show()

    def reset(self, group: str | None = None) -> None:
        """Bring one group, or all of it, back to the defaults; each knob is one step of undo."""
        for name, knobs in self.groups.items():
            if group in (None, name):
                for knob in knobs:
                    if knob.changed:
                        before = getattr(knob.stage, knob.name)
                        setattr(knob.stage, knob.name, knob.stage.param[knob.name].default)
                        self._remember(knob.stage, knob.name, before)
        self.show()

    def show(self) -> None:
        """Write how many knobs are changed, in all and by group."""
        counts = {group: sum(knob.changed for knob in knobs) for group, knobs in self.groups.items()}
        total = sum(counts.values())
        chip = markup('<span class="chip">{n} changed</span>', n=total) if total else ""
        text.show(self._title, markup('<div class="t"><b>Knobs</b>{chip}</div>', chip=chip))
        self._undo.disabled, self._reset.disabled = not self._past, not total
        for group, button in self._resets.items():
            button.visible = counts[group] > 0
            button.label = f"Reset {counts[group]} changed"

    def close(self) -> None:
        """Let go of the stages."""
        for knobs in self.groups.values():
            for knob in knobs:
                knob.close()
        for stage, watcher in self._watchers:
            stage.param.unwatch(watcher)
        self._watchers.clear()

    def _moved(self, knob: Knob, before: Any, _after: Any) -> None:
        if not self._undoing:
            self._remember(knob.stage, knob.name, before)
        self.show()

    def _remember(self, stage: Stage, name: str, before: Any) -> None:
        key = next(key for key, value in self._stages.items() if value is stage)
        now = self._clock.monotonic_ns()
        if self._past and self._past[-1][:2] == (key, name) and now - self._past[-1][3] < COALESCE_NS:
            self._past[-1] = (*self._past[-1][:3], now)
            return
        self._past = [*self._past, (key, name, before, now)][-UNDO_LIMIT:]

    def _settled(self, *_events: Any) -> None:
        self._changed()

    def _group_reset(self, group: str) -> Any:
        return pmui.Button(
            label="Reset",
            icon="restart_alt",
            variant="text",
            size="small",
            visible=False,
            height=26,
            margin=(2, 8, 2, 4),
            on_click=lambda _: self.reset(group),
        )

    def _layout(self) -> Any:
        head = pn.Row(self._title, self._undo, self._reset, margin=(8, 6, 0, 10), sizing_mode="stretch_width")
        boxes = [
            (
                group,
                pn.Column(*(knob.slider for knob in knobs), self._resets[group], margin=0, sizing_mode="stretch_width"),
            )
            for group, knobs in self.groups.items()
        ]
        accordion = pmui.Accordion(
            *boxes,
            active=list(range(len(boxes))),
            margin=0,
            sizing_mode="stretch_width",
        )
        foot = text.pane(
            markup(
                '<p class="note small">Your knobs change only your page. The house book and the API keep the house '
                "settings.</p>"
            )
        )
        return pn.Column(head, accordion, foot, margin=0, sizing_mode="stretch_width")


_TITLE_CSS = """
.t { display: flex; align-items: center; gap: 8px; height: 28px; } .t b { font-size: 13px; }
.chip { background: var(--ms-accentbg); color: var(--ms-accent); border-radius: 10px; padding: 1px 8px;
  font-size: 11px; }
"""
