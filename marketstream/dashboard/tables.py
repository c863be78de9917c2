"""LiveTable: a Tabulator that is given arrays and sends only the columns that changed; and the cell templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.models import HTMLTemplateFormatter

from marketstream.dashboard.styles import TABLE_CSS


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """One shown column; a width of 0 takes what is left.

    `template` draws it in the browser: `<%-` escapes, `<%=` is for figures and own words.
    """

    field: str
    title: str
    width: int
    template: str
    align: str = "left"
    tooltip: str = ""


class LiveTable:
    """A table whose rows have a stable key; `view` goes into a layout."""

    def __init__(
        self, columns: Sequence[TableColumn], *, hidden: Sequence[str], key: str, css: str = "", **params: Any
    ) -> None:
        self._fields = [column.field for column in columns]
        self._order = [*self._fields, *hidden]
        self._key = key
        self._data: dict[str, np.ndarray] = {}
        titles = {column.field: column.title for column in columns}
        params.setdefault("layout", "fit_columns")
        self.view = _DirectTabulator(
            None,
            theme="simple",
            show_index=False,
            disabled=True,
            titles=titles,
            formatters={column.field: HTMLTemplateFormatter(template=column.template) for column in columns},
            widths={column.field: column.width for column in columns if column.width},
            text_align={column.field: column.align for column in columns},
            header_align={column.field: column.align for column in columns},
            header_tooltips={column.field: column.tooltip for column in columns if column.tooltip},
            hidden_columns=list(hidden),
            configuration={"columnDefaults": {"minWidth": 16}},
            stylesheets=[TABLE_CSS + css],
            **{"selectable": 1, "margin": 0, **params},
        )

    @property
    def keys(self) -> np.ndarray:
        """Return the keys of the rows, in the order they were given."""
        return self._data.get(self._key, np.zeros(0, dtype=object))

    def column(self, field: str) -> np.ndarray:
        """Return a column as it was last given; empty before the first rows."""
        return self._data.get(field, np.zeros(0, dtype=object))

    def narrow(self, fields: Sequence[str]) -> None:
        """Hide shown columns; no fields is the wide table."""
        hidden = [*self._order[len(self._fields) :], *fields]
        if self.view.hidden_columns != hidden:
            self.view.hidden_columns = hidden

    def update(self, data: Mapping[str, np.ndarray]) -> int:
        """Show `data`, arrays of one length by field; returns how many columns were sent."""
        if not self.view.drawn or not np.array_equal(data[self._key], self.keys):
            self._data = dict(data)
            self.view.value = pd.DataFrame({field: data[field] for field in self._order})
            return len(self._order)
        changed = {field: values for field, values in data.items() if not _same(values, self._data[field])}
        if changed:
            self._data.update(changed)
            n = len(self.keys)
            self.view.send({field: [(slice(0, n), values)] for field, values in changed.items()})
        return len(changed)

    def select(self, key: str) -> None:
        """Select the row of `key`, if there is one."""
        found = np.flatnonzero(self.keys == key)
        wanted = [int(found[0])] if len(found) else []
        if self.view.selection != wanted:
            self.view.selection = wanted


class _DirectTabulator(pn.widgets.Tabulator):  # type: ignore[misc]  # panel ships no types
    """A Tabulator that can send arrays straight to the browser.

    `Tabulator.patch` writes every column into pandas and then takes its own change for one of the browser's,
    which costs five times as much; `value` is brought up to date when the table is drawn anew.
    """

    @property
    def drawn(self) -> bool:
        """Return whether a page shows this table now."""
        return bool(self._models)

    def send(self, patches: Mapping[str, list[tuple[slice, np.ndarray]]]) -> None:
        """Patch the data in every page that shows this table."""
        for ref, (model, _) in self._models.copy().items():
            self._apply_patch(ref, model, patches)


def _same(new: np.ndarray, old: np.ndarray) -> bool:
    if new.dtype.kind == "f":
        return np.array_equal(new, old, equal_nan=True)
    return np.array_equal(new, old)


_JS = (
    "<% var F=function(v,d){return Math.abs(v).toLocaleString('en-US',"
    "{minimumFractionDigits:d,maximumFractionDigits:d})};"
    "var Z=function(s){return /^[0.,]*$/.test(s)};"
    "var M=function(v){return v==null||!isFinite(v)};"
    "var D=dim?' dim':''; %>"
)
"""Helpers of every template: F a figure, Z whether it shows as zero, M whether it is missing, D the grey of a row."""

MISSING = '<i class="na" title="no value">–</i>'


def dot_cell() -> str:
    """Return the template of a state dot; its name is `state_words`."""
    name = "<%- state_words %>"
    return f'<span class="dot dot-<%- dot %>" role="img" title="{name}" aria-label="{name}"></span>'


def name_cell(field: str) -> str:
    """Return the template of a name in bold."""
    return _JS + f'<span class="nm<%= D %>" title="<%- {field} %>"><%- {field} %></span>'


def text_cell(field: str, style: str = "soft") -> str:
    """Return the template of a text."""
    return _JS + f'<span class="{style}<%= D %>" title="<%- {field} %>"><%- {field} %></span>'


def price_cell(field: str, venue: str = "") -> str:
    """Return the template of a price with its decimal point in line, and the venue's code after it."""
    tail = f' <span class="v code"><%- {venue} %></span>' if venue else ""
    return (
        _JS
        + (
            f"<% if(M({field})){{ %>{MISSING}<span class='frac'></span><% }}else{{ var p=F({field},dp).split('.'); %>"
            f"<span class='<%= D %>'><%= p[0] %><span class='frac'><%= p.length>1?'.'+p[1]:'' %></span></span><% }} %>"
        )
        + tail
    )


def figure_cell(field: str, decimals: str, *, signed: bool = False, style: str = "") -> str:
    """Return the template of a figure; `decimals` is a number or a field of the row."""
    sign = "v<0?'−':'+'" if signed else "v<0?'−':''"
    return _JS + (
        f"<% var v={field}; if(M(v)){{ %>{MISSING}<% }}else{{ var s=F(v,{decimals}); %>"
        f"<span class='{style}<%= D %>'><%= Z(s)?s:({sign})+s %></span><% }} %>"
    )


def moved_cell(field: str, decimals: int | str, *, arrow: bool = True, bold_from: float | None = None) -> str:
    """Return the template of a signed figure that is green or red by direction, grey where it shows as zero."""
    arrow_js = "<span class='ar'><%= v<0?'▼':'▲' %></span>" if arrow else ""
    bold = f"+(Math.abs(v)>={bold_from}?' b':'')" if bold_from is not None else ""
    return _JS + (
        f"<% var v={field}; if(M(v)){{ %>{MISSING}<% }}else{{ var s=F(v,{decimals}); if(Z(s)){{ %>"
        f"<span class='dim'><%= s %></span><% }}else{{ %>"
        f"<span class='<%= (dim?'dim':(v<0?'down':'up')){bold} %>'>{arrow_js}<%= (v<0?'−':'+')+s %></span><% }}}} %>"
    )


def age_cell(field: str) -> str:
    """Return the template of an age in seconds; amber from 3, bold from 10, never dimmed."""
    return (
        f"<% var v={field}; if(v==null||!isFinite(v)){{ %>{MISSING}<% }}else{{ %>"
        "<span class='<%= v>=10?'late b':v>=3?'late':'dim' %>'>"
        "<%= v<9.95?v.toFixed(1):Math.round(v).toLocaleString('en-US') %></span><% } %>"
    )


def spark_cell(field: str, way: str) -> str:
    """Return the template of a sparkline of 74 x 15 px; `field` is an SVG path of our own making."""
    return (
        "<svg class='spark' viewBox='0 0 74 15' preserveAspectRatio='none' aria-hidden='true'>"
        f'<path d=\'<%- {field} %>\' stroke=\'var(--ms-<%= dim?"stale":({way}<0?"down":"up") %>)\''
        " <%= dim?\"stroke-dasharray='2 2'\":'' %>/></svg>"
    )
