"""The price chart: every venue's mid, the fair value and its band, one point a second."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, DataRange1d

from marketstream.dashboard.figures import plot, price_axis
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.theme import DASHES, venue_token
from marketstream.dashboard.trail import venue_mids
from marketstream.dashboard.views.chart_marks import SwitchMarks
from marketstream.dashboard.views.view import Context, Moment
from marketstream.market.instruments import Venue
from marketstream.market.quotes import QuoteState

SLOTS = 5
PAST_S = 120
"""Seconds of reference mids drawn before the first sample of single venues."""
SECOND_NS = 1_000_000_000
MISSED_NS = 3 * SECOND_NS


class PriceChart:
    """A Bokeh figure that is filled on selection and streamed to from then on; `pane` goes into a layout."""

    def __init__(self, context: Context) -> None:
        self._trail = context.trail
        self._source = ColumnDataSource(_points(np.zeros(0, dtype=np.int64), *(np.zeros(0),) * 2, {}))
        self._past = ColumnDataSource({"t": [], "ref": []})
        self._fig = self._figure(context)
        self.marks = SwitchMarks(self._fig, context.palette, context.engine)
        self.pane = pn.pane.Bokeh(self._fig, sizing_mode="stretch_width", height=262, margin=(0, 4, 2, 2))
        self._code = -1
        self._venues: list[int] = []
        self._shown: tuple[Venue, ...] = ()
        self._last_ns = 0

    def refresh(self, moment: Moment, code: int) -> bool:
        """Fill the chart for another instrument or add the newest second; returns whether its legend is another."""
        market = moment.snapshot.market
        venues = np.flatnonzero(market.book["state"][code] != QuoteState.NO_DATA)[:SLOTS].tolist()
        # After a while on another tab the trail knows what the chart has missed.
        missed = moment.snapshot.now - self._last_ns > MISSED_NS
        if code != self._code or venues != self._venues or missed:
            self._code, self._venues = code, venues
            self._shown = tuple(market.catalog.venues[v] for v in venues)
            self._fill(moment)
            self._mark(moment)
            return True
        if moment.snapshot.now - self._last_ns >= SECOND_NS:
            self._add(moment)
            return self._mark(moment)
        return False

    def legend(self) -> Markup:
        """Return what each line is."""
        venues = join(
            markup('<span><i class="d{n}"></i>{name}</span>', n=n, name=venue.name)
            for n, venue in enumerate(self._shown)
        )
        return markup(
            '<div class="legend"><span><i class="band"></i>Fair ±1 sd</span>{venues}'
            '<span title="before this program looked at single venues"><i class="past"></i>Reference mid</span>'
            "{marks}</div>",
            venues=venues,
            marks=self.marks.legend(),
        )

    def _mark(self, moment: Moment) -> bool:
        instrument = moment.snapshot.market.catalog.instruments[self._code].id
        return self.marks.refresh(moment, instrument, moment.snapshot.now - self._trail.seconds * SECOND_NS)

    def _fill(self, moment: Moment) -> None:
        market = moment.snapshot.market
        path = self._trail.path(self._code)
        mids = {n: path.mids[v] for n, v in enumerate(self._venues) if v < len(path.mids)}
        self._source.data = _with_gaps(_points(path.times, path.fair, path.fair_sd, mids))
        self._past.data = self._before(moment, int(path.times[0]) if len(path.times) else moment.snapshot.now)
        price_axis(
            self._fig,
            _axis_decimals(np.asarray(self._past.data["ref"]), market.catalog.instruments[self._code].decimals),
        )
        self._last_ns = moment.snapshot.now

    def _before(self, moment: Moment, start: int) -> dict[str, Any]:
        history = moment.snapshot.market.history
        oldest = max(start - PAST_S * SECOND_NS, moment.snapshot.now - self._trail.seconds * SECOND_NS)
        keep = (history.times >= oldest) & (history.times <= start)
        return {"t": history.times[keep] / 1e6, "ref": history.ref_mid[self._code, keep]}

    def _add(self, moment: Moment) -> None:
        snapshot = moment.snapshot
        row = venue_mids(snapshot.market.book[[self._code]], snapshot.market.fresh[[self._code]])[0]
        mids = {n: row[[v]] for n, v in enumerate(self._venues)}
        fair, sd = (snapshot.fair[c].to_numpy()[[self._code]] for c in ("fair", "fair_sd"))
        self._source.stream(_points(np.array([snapshot.now]), fair, sd, mids), rollover=self._trail.seconds)
        self._last_ns = snapshot.now
        past = self._past.data["t"]
        if len(past) and past[0] < snapshot.now / 1e6 - self._trail.seconds * 1e3:
            # What is older than the trail holds would stretch the time axis for nothing.
            self._past.data = {"t": [], "ref": []}

    def _figure(self, context: Context) -> Any:
        palette = context.palette
        fig = plot(palette, height=262, time_axis=True, x_range=DataRange1d(range_padding=0.01))
        band = fig.varea("t", "low", "high", source=self._source, fill_alpha=0.1)
        palette.use(band.glyph, "ink", "fill_color")
        past = fig.line("t", "ref", source=self._past, line_width=1)
        palette.use(past.glyph, "ink3", "line_color")
        for slot in range(SLOTS):
            line = fig.line("t", f"v{slot}", source=self._source, line_width=1.2, line_dash=DASHES[slot])
            palette.use(line.glyph, venue_token(slot), "line_color")
        fair = fig.line("t", "fair", source=self._source, line_width=2)
        palette.use(fair.glyph, "ink", "line_color")
        # The price axis fits what is drawn so far; marks, which come later, have an axis of their own.
        fig.y_range.renderers = list(fig.renderers)
        return fig


def _points(times: np.ndarray, fair: np.ndarray, fair_sd: np.ndarray, mids: dict[int, np.ndarray]) -> dict[str, Any]:
    data: dict[str, Any] = {"t": times / 1e6, "fair": fair, "low": fair - fair_sd, "high": fair + fair_sd}
    for slot in range(SLOTS):
        data[f"v{slot}"] = mids.get(slot, np.full(len(times), np.nan))
    return data


def _with_gaps(data: dict[str, Any]) -> dict[str, Any]:
    """Return the points with a break wherever nobody looked for a while: no line is drawn over what nobody saw."""
    times = data["t"]
    after = np.flatnonzero(np.diff(times) > MISSED_NS / 1e6) + 1
    broken = {name: np.insert(values, after, np.nan) for name, values in data.items() if name != "t"}
    return {"t": np.insert(times, after, times[after - 1] + 1.0), **broken}


def _axis_decimals(prices: np.ndarray, decimals: int) -> int:
    """Return as many decimals as tell the ticks of the axis apart, at most those of the instrument's tick."""
    known = prices[np.isfinite(prices)]
    reach = float(np.ptp(known)) if len(known) else 0.0
    return decimals if reach <= 0 else min(decimals, max(0, math.ceil(-math.log10(reach / 4))))
