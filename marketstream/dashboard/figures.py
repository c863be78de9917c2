"""Bokeh figures in the page's look; a Palette knows what the theme toggle must recolour."""

from __future__ import annotations

from typing import Any

from bokeh.models import DatetimeTickFormatter, NumeralTickFormatter
from bokeh.plotting import figure

from marketstream.dashboard.theme import token


class Palette:
    """(model, property, token) of every glyph; Bokeh does not know our tokens, so the toggle sets them here."""

    def __init__(self, *, dark: bool) -> None:
        self.dark = dark
        self._uses: list[tuple[Any, str, str]] = []

    def use(self, model: Any, name: str, *properties: str) -> None:
        """Colour properties of a model by a token, now and at each toggle."""
        for prop in properties:
            self._uses.append((model, prop, name))
            setattr(model, prop, token(name, dark=self.dark))

    def turn(self, *, dark: bool) -> None:
        """Recolour everything for the other mode."""
        self.dark = dark
        for model, prop, name in self._uses:
            setattr(model, prop, token(name, dark=dark))

    def clear(self) -> None:
        """Forget every model, so that none outlives its page."""
        self._uses.clear()


def plot(palette: Palette, *, height: int, time_axis: bool = False, **options: Any) -> Any:
    """Return an empty figure without toolbar, right for both modes."""
    fig = figure(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        min_border=4,
        x_axis_type="datetime" if time_axis else "linear",
        **options,
    )
    restyle(fig, palette)
    if time_axis:
        clock = dict.fromkeys(("minutes", "hourmin", "hours"), "%H:%M")
        clock.update(dict.fromkeys(("seconds", "minsec"), "%H:%M:%S"))
        fig.xaxis.formatter = DatetimeTickFormatter(**clock)
        fig.xaxis.ticker.desired_num_ticks = 3
    return fig


def restyle(fig: Any, palette: Palette) -> None:
    """Give a figure hairlines, small grey labels and the page's own ground."""
    palette.use(fig, "surface", "background_fill_color", "border_fill_color")
    fig.outline_line_color = None
    for axis in (*fig.xaxis, *fig.yaxis):
        palette.use(axis, "ink3", "major_label_text_color", "axis_label_text_color")
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "11px"
        axis.axis_label_text_font_style = "normal"
    for grid in fig.ygrid:
        grid.visible = True
        palette.use(grid, "line", "grid_line_color")
    for grid in fig.xgrid:
        grid.grid_line_color = None


def price_axis(fig: Any, decimals: int) -> None:
    """Show the y axis with commas and the decimals of a tick."""
    fig.yaxis.formatter = NumeralTickFormatter(format="0,0" + ("." + "0" * decimals if decimals else ""))
