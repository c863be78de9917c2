"""Histograms with HoloViews, for what changes on selection; what streams is drawn with Bokeh directly."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import panel as pn

from marketstream.dashboard.figures import Palette, restyle
from marketstream.dashboard.theme import token

BINS = 41


def histogram_pane(label: str) -> Any:
    """Return an empty place for a histogram; `label` is its accessible name."""
    return pn.pane.HoloViews(
        None,
        backend="bokeh",
        sizing_mode="stretch_width",
        height=236,
        margin=(4, 8, 4, 4),
        name=label,
    )


def histogram(values: np.ndarray, *, dark: bool, axis: str, mark: float | None = None, mark_label: str = "") -> Any:
    """Return a histogram of the middle 99 % of `values`, with a vertical line at `mark`."""
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.005, 0.995]) if len(known) else (-1.0, 1.0)
    reach = max(abs(float(low)), abs(float(high)), 1e-12, 0.0 if mark is None else abs(mark) * 1.1)
    counts, edges = np.histogram(np.clip(known, -reach, reach), bins=BINS, range=(-reach, reach))
    bars = hv.Histogram(
        (edges, counts), kdims=[hv.Dimension("x", label=axis)], vdims=[hv.Dimension("n", label="count")]
    )
    bars = bars.opts(fill_color=token("accent", dark=dark), line_color=token("surface", dark=dark), fill_alpha=0.8)
    picture: Any = bars
    if mark is not None:
        top = float(counts.max(initial=1))
        line = hv.VLine(mark).opts(color=token("ink", dark=dark), line_width=1.5)
        words = hv.Text(mark, top, f" {mark_label}", halign="left", valign="top").opts(
            text_color=token("ink2", dark=dark), text_font_size="11px"
        )
        picture = bars * line * words
    return picture.opts(
        hv.opts.Histogram(
            responsive=True,
            height=236,
            toolbar=None,
            default_tools=[],
            show_grid=False,
            hooks=[lambda plot, _element: restyle(plot.state, Palette(dark=dark))],
        )
    )
