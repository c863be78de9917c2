"""The escaping gate: whatever others wrote arrives on the page as text."""

from __future__ import annotations

import re

import pytest

from marketstream.dashboard import text
from marketstream.dashboard.text import Markup, clean, escape, join, markup, plain

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "<a href='javascript:alert(1)'>x</a>",
    "</b></div><iframe srcdoc='<script>1</script>'>",
    "{{constructor.constructor('alert(1)')()}}",
    "<style>*{background:url(http://evil.example)}</style>",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_has_no_tag_left_after_the_first_lock(name: str) -> None:
    assert not re.search(r"<(?!/?b>)", markup("<b>{name}</b>", name=name))


@pytest.mark.parametrize("name", HOSTILE)
def test_the_second_lock_stops_what_a_planted_hole_in_the_first_lets_through(name: str) -> None:
    # The planted bug: somebody has declared untrusted text to be markup.
    leaked = clean(Markup(f"<b>{name}</b>"))
    assert not re.search(r"<(script|img|svg|a|iframe|style)|onerror|onload|javascript:|http:", leaked)


def test_a_field_in_an_attribute_cannot_leave_it() -> None:
    assert '" onclick="' not in clean(markup('<b title="{name}">x</b>', name='" onclick="alert(1)'))


def test_markup_is_filled_in_as_it_is_and_text_is_escaped() -> None:
    assert markup("<p>{a}{b}</p>", a=markup("<b>1</b>"), b="<b>2</b>") == "<p><b>1</b>&lt;b&gt;2&lt;/b&gt;</p>"
    assert join(["<", markup("<br>")]) == "&lt;<br>"
    assert escape(escape("<")) == "&lt;"


def test_only_widths_and_places_survive_in_a_style() -> None:
    kept = clean(Markup('<i style="width: 3%; position: fixed; background: url(x)">x</i>'))
    assert "width" in kept and "fixed" not in kept and "url" not in kept


def test_showing_the_same_text_twice_sends_it_once() -> None:
    pane = text.pane()
    assert text.show(pane, markup("<b>{x}</b>", x=1))
    assert not text.show(pane, markup("<b>{x}</b>", x=1))


def test_plain_text_for_widgets_has_one_line_and_no_icon_marks() -> None:
    assert plain("a\n:home: b\u202e", 6) == "a ∶hom…"[:5] + "…"
    assert ":" not in plain(":skull:")
