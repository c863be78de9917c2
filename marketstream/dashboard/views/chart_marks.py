"""Marks of failovers on the time axis of the price chart: a dashed line, a diamond, and words in the legend."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, Range1d

from marketstream.dashboard import formats
from marketstream.dashboard.figures import Palette
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.failovers import is_return, switches_of
from marketstream.dashboard.views.view import Moment
from marketstream.engine import Engine
from marketstream.errors import NotFoundError
from marketstream.market.events import MarketEvent

HEIGHT = 0.96
"""Where the diamonds stand, as a share of the chart's height."""
IN_LEGEND = 2


class SwitchMarks:
    """The switches of one instrument's feeds within the time that a chart shows.

    Args:
        fig: The chart; gets an axis of its own for the diamonds.
        palette: Colours them by the page's mode.
        engine: Remembers the switches.
    """

    def __init__(self, fig: Any, palette: Palette, engine: Engine) -> None:
        self._engine = engine
        self._shown: list[MarketEvent] = []
        self._lost = ColumnDataSource({"t": [], "y": []})
        self._back = ColumnDataSource({"t": [], "y": []})
        fig.extra_y_ranges = {"marks": Range1d(0, 1)}
        for source, filled in ((self._lost, True), (self._back, False)):
            line = fig.vspan(x="t", source=source, line_dash="dashed", line_width=1.2)
            palette.use(line.glyph, "warnfill", "line_color")
            diamond = fig.scatter("t", "y", source=source, marker="diamond", size=10, y_range_name="marks")
            palette.use(diamond.glyph, "warnfill", "line_color")
            palette.use(diamond.glyph, "warnfill" if filled else "surface", "fill_color")

    def refresh(self, moment: Moment, instrument: str, since: int) -> bool:
        """Show the switches of `instrument` from `since` (UTC ns) to `moment`; returns whether any came or went."""
        switches = switches_of(self._engine.events, until=moment.snapshot.now)
        wanted = [event for event in switches if event.ts >= since and self._is_of(event, instrument)]
        if wanted == self._shown:
            return False
        self._shown = wanted
        for source, back in ((self._lost, False), (self._back, True)):
            times = [event.ts / 1e6 for event in wanted if is_return(event) is back]
            source.data = {"t": times, "y": [HEIGHT] * len(times)}
        return True

    @property
    def shown(self) -> tuple[MarketEvent, ...]:
        """Return the switches that are marked now, oldest first."""
        return tuple(self._shown)

    def legend(self) -> Markup:
        """Return the newest switches in words."""
        return join(
            markup(
                '<span title="{message}"><i class="{mark}"></i>{when} {to} for {old}</span>',
                message=event.message,
                mark="back" if is_return(event) else "lost",
                when=formats.clock(event.ts),
                to=event.data.get("to"),
                old=event.data.get("from"),
            )
            for event in self._shown[-IN_LEGEND:]
        )

    def _is_of(self, event: MarketEvent, instrument: str) -> bool:
        pairs = event.data.get("pairs")
        listed = [str(pair) for pair in pairs] if isinstance(pairs, list | tuple) else []
        if any(pair.rpartition("@")[0] == instrument for pair in listed):
            return True
        # An event lists its first pairs only; of the others, the feed that took over knows.
        return event.data.get("n_pairs") != len(listed) and self._lists(str(event.data.get("to")), instrument)

    def _lists(self, provider: str, instrument: str) -> bool:
        try:
            return any(name == instrument for name, _ in self._engine.registry.get(provider).listing().pairs)
        except NotFoundError:
            return False
