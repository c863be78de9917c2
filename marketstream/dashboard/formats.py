"""Figures as people read them: true minus, commas, decimals by the tick, and no minus before a rounded zero."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from marketstream.dashboard.text import Markup, markup

MINUS = "\u2212"
MISSING = "\u2013"


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Return a figure; rounded first, the sign chosen after, so that nothing reads as minus zero.

    >>> number(-1234.567, 1), number(-0.04, 1, signed=True), number(0.3, 1, signed=True), number(None, 2)
    ('−1,234.6', '0.0', '+0.3', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{decimals}f}"
    if not text.strip("0.,"):
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def direction(value: float | None, decimals: int) -> str:
    """Return `up`, `down`, or nothing where the figure rounds to zero.

    >>> direction(-0.04, 1), direction(0.06, 1)
    ('', 'up')
    """
    if value is None or not math.isfinite(value) or not number(value, decimals).strip("0.,"):
        return ""
    return "up" if value > 0 else "down"


def aligned(value: float | None, decimals: int) -> Markup:
    """Return a price whose decimal point lines up in a column of mixed ticks."""
    whole, point, fraction = number(value, decimals).partition(".")
    return markup('{whole}<span class="frac">{rest}</span>', whole=whole, rest=point + fraction)


def moved(value: float | None, decimals: int) -> Markup:
    """Return a signed figure with its arrow and colour, both absent where it rounds to zero."""
    way = direction(value, decimals)
    shown = number(value, decimals, signed=True)
    if not way:
        return markup('<span class="muted">{shown}</span>', shown=shown)
    arrow = "▲" if way == "up" else "▼"
    return markup(
        '<span class="{way}"><span class="arrow">{arrow}</span>{shown}</span>', way=way, arrow=arrow, shown=shown
    )


def age(seconds: float | None) -> str:
    """Return an age in seconds: one decimal below ten, whole from there.

    >>> age(0.26), age(37.4), age(None)
    ('0.3', '37', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    return f"{seconds:.1f}" if round(seconds, 1) < 10 else f"{seconds:,.0f}"


def age_class(seconds: float | None) -> str:
    """Return how an age looks: amber from 3 s, bold from 10 s."""
    if seconds is None or not math.isfinite(seconds) or seconds < 3:
        return "muted"
    return "late bold" if seconds >= 10 else "late"


def duration(seconds: float) -> str:
    """Return a length of time in words.

    >>> duration(12), duration(134), duration(182), duration(7320)
    ('12 s', '2 m 14 s', '3 m 02 s', '2 h 02 m')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def clock(ts_ns: int) -> str:
    """Return a UTC time of day.

    >>> clock(1_767_225_600_000_000_000)
    '00:00:00'
    """
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, tz=UTC).strftime("%H:%M:%S")


def day_and_time(ts_ns: int) -> str:
    """Return a UTC date and time of day.

    >>> day_and_time(1_767_225_600_000_000_000)
    '2026-01-01 00:00:00'
    """
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def since_midnight(ts_ns: int, now_ns: int) -> str:
    """Return a UTC time of day, with the date where it is not today's.

    >>> since_midnight(1_767_225_600_000_000_000, 1_767_225_601_000_000_000)
    '00:00:00'
    >>> since_midnight(1_767_225_600_000_000_000, 1_767_398_400_000_000_000)
    '2026-01-01 00:00:00'
    """
    same_day = ts_ns // 86_400_000_000_000 == now_ns // 86_400_000_000_000
    return clock(ts_ns) if same_day else day_and_time(ts_ns)


def horizon(seconds: float) -> str:
    """Return the time a return or risk is over, as it follows `per`.

    >>> horizon(1800), horizon(45), horizon(86400)
    ('30 min', '45 s', '24 h')
    """
    if seconds < 120:
        return f"{seconds:g} s"
    if seconds < 7200:
        return f"{seconds / 60:g} min"
    return f"{seconds / 3600:g} h"


def uncertainty_decimals(decimals: int, sd: float) -> int:
    """Return decimals of a standard deviation: the tick's, more only where it would show as nothing.

    >>> uncertainty_decimals(1, 6.9), uncertainty_decimals(2, 0.0004)
    (1, 4)
    """
    if not math.isfinite(sd) or sd <= 0 or round(sd, decimals) > 0:
        return decimals
    return min(8, math.ceil(-math.log10(sd)))
