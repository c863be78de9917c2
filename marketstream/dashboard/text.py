"""The one escaping gate: every text that others wrote passes here before it reaches a page.

First lock: `markup` escapes each field it fills in. Second lock: `show` and `pane` pass the result through a tight
allow-list without links, images, forms or handlers. A lint test keeps HTML panes out of every other module.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import nh3
import panel as pn

from marketstream.dashboard.styles import BASE_CSS

_TAGS = {"b", "br", "div", "h2", "i", "p", "s", "span", "table", "tbody", "td", "th", "thead", "tr", "u"}
_ATTRIBUTES = {
    "*": {"class", "style", "title", "role", "tabindex", "aria-label", "aria-hidden", "aria-live", "aria-describedby"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_STYLES = {"width", "left"}
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    filter_style_properties=_STYLES,
    url_schemes=set(),
    strip_comments=True,
    link_rel=None,
)


class _TextPane(pn.pane.HTML):  # type: ignore[misc]  # panel ships no types
    """An HTML pane that sends its text alone when that changes; the stock one looks at every property, for 1 ms."""

    def _update(self, ref: str, model: Any) -> None:
        model.text = self._transform_object(self.object)["object"]


class Markup(str):
    """HTML whose untrusted parts are escaped; only this module makes it."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """Return any value as inert text.

    >>> escape("<img src=x onerror=alert(1)>")
    '&lt;img src=x onerror=alert(1)&gt;'
    """
    return value if isinstance(value, Markup) else Markup(html.escape(str(value), quote=True))


def markup(template: str, /, **fields: object) -> Markup:
    """Fill a template of our own; every field that is not Markup yet is escaped.

    >>> markup("<b>{name}</b>", name="<script>")
    '<b>&lt;script&gt;</b>'
    """
    return Markup(template.format(**{name: escape(value) for name, value in fields.items()}))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Return parts in a row, each escaped unless it is Markup.

    >>> join([markup("<br>"), "a < b"])
    '<br>a &lt; b'
    """
    return Markup(escape(between).join(escape(part) for part in parts))


def clean(text: Markup) -> str:
    """Return markup through the allow-list: what is not on it is dropped.

    >>> clean(Markup('<p onclick="x()">a<img src=x><script>b()</script></p>'))
    '<p>a</p>'
    """
    return str(_CLEANER.clean(text))


def pane(text: Markup = Markup(), *, css: str = "", **params: Any) -> Any:  # noqa: B008 - an empty str is immutable
    """Return a pane that shows `text`; the only place where one is made."""
    params.setdefault("margin", 0)
    params.setdefault("sizing_mode", "stretch_width")
    return _TextPane(clean(text), stylesheets=[BASE_CSS + css], sanitize_html=False, **params)


def show(target: Any, text: Markup) -> bool:
    """Put `text` into a pane of ours; returns whether anything changed."""
    cleaned = clean(text)
    if target.object == cleaned:
        return False
    target.object = cleaned
    return True


def plain(value: object, limit: int = 80) -> str:
    """Return one line of printable text for widgets that escape by themselves, cut to `limit` characters.

    Colons are kept from pairing up, since Material labels read `:name:` as an icon.

    >>> plain("a\\nb :x: c")
    'a b ∶x∶ c'
    """
    text = "".join(c if c.isprintable() else " " for c in str(value)).replace(":", "∶")
    return text if len(text) <= limit else text[: limit - 1] + "…"
