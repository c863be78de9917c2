"""The look: colour tokens, the Material theme and the style sheets. Nothing here knows what the figures mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FONT = "Roboto, system-ui, -apple-system, 'Segoe UI', sans-serif"

TOKENS: Mapping[str, Mapping[str, str]] = {
    "light": {
        "bg": "#F4F6F8",
        "surface": "#FFFFFF",
        "raised": "#F0F3F6",
        "hover": "#E9EEF5",
        "line": "#DFE4EA",
        "line2": "#C9D1DB",
        "ink": "#131820",
        "ink2": "#48525F",
        "ink3": "#5B6572",
        "accent": "#1B5FD0",
        "accentbg": "#E6EFFD",
        "onaccent": "#FFFFFF",
        "up": "#087A57",
        "upbg": "#DDF3EA",
        "down": "#C0341D",
        "downbg": "#FCE6E1",
        "warn": "#8A5A00",
        "warnbg": "#FFF1D0",
        "warnfill": "#E5A100",
        "stale": "#5B6572",
        "venue0": "#0072B2",
        "venue1": "#D98200",
        "venue2": "#8E4EA8",
        "venue3": "#00877A",
        "venue4": "#6B7280",
    },
    "dark": {
        "bg": "#0D1014",
        "surface": "#151A20",
        "raised": "#1C222A",
        "hover": "#232B36",
        "line": "#262E38",
        "line2": "#3A4552",
        "ink": "#E8EBF0",
        "ink2": "#B0B9C5",
        "ink3": "#8A95A3",
        "accent": "#74A9FF",
        "accentbg": "#1B2B45",
        "onaccent": "#0B1220",
        "up": "#3CCB9B",
        "upbg": "#10352B",
        "down": "#FF8468",
        "downbg": "#43201A",
        "warn": "#F2BC4B",
        "warnbg": "#3A2D10",
        "warnfill": "#F2BC4B",
        "stale": "#8A95A3",
        "venue0": "#4DB1F0",
        "venue1": "#F0A63C",
        "venue2": "#C79AE0",
        "venue3": "#3CC4B4",
        "venue4": "#9CA6B3",
    },
}
"""Colour by mode and name; `var(--ms-<name>)` in style sheets."""

DASHES: tuple[str | tuple[int, ...], ...] = ("solid", (6, 2), (2, 2), (8, 2, 2, 2), (1, 3))
"""Line dash of the n-th venue: colour is never the only difference."""


def token(name: str, *, dark: bool) -> str:
    """Return the colour of a token in one mode."""
    return TOKENS["dark" if dark else "light"][name]


def venue_token(position: int) -> str:
    """Return the token of the n-th venue of an instrument; the fifth and later share one."""
    return f"venue{min(position, 4)}"


def theme_config() -> dict[str, Any]:
    """Return the Material theme of both modes."""
    return {mode: _mode_theme(colours) for mode, colours in TOKENS.items()}


def page_style() -> dict[str, Any]:
    """Return the page's own style: the tokens per mode, a flat header of 44 px, rooms without shadow."""
    return {
        "&.mui-light": _variables("light"),
        "&.mui-dark": _variables("dark"),
        # Exactly these two keys keep the header from inverting its children.
        ".MuiAppBar-root": {"bgcolor": "primary.contrastText", "color": "primary.main"},
        "& .header .title": {
            "color": "var(--ms-ink) !important",
            "fontSize": "15px",
            "fontWeight": 700,
            "letterSpacing": "-0.1px",
        },
        # The progress line has no accessible name, and a page that is always at work needs none.
        "& .header .MuiLinearProgress-root": {"display": "none"},
        "& .main": {"backgroundColor": "var(--ms-bg) !important"},
    }


def _variables(mode: str) -> dict[str, str]:
    return {f"--ms-{name}": colour for name, colour in TOKENS[mode].items()}


def _mode_theme(colours: Mapping[str, str]) -> dict[str, Any]:
    mode = "light" if colours is TOKENS["light"] else "dark"
    return {
        "palette": {
            "primary": {"main": colours["accent"], "contrastText": colours["onaccent"]},
            "success": {"main": colours["up"]},
            "error": {"main": colours["down"]},
            "warning": {"main": colours["warn"]},
            "background": {"default": colours["bg"], "paper": colours["surface"]},
            "text": {"primary": colours["ink"], "secondary": colours["ink2"]},
            "divider": colours["line"],
        },
        "typography": {
            "fontFamily": FONT,
            "fontSize": 12,
            "button": {"textTransform": "none", "fontSize": "12px", "fontWeight": 400},
            "body1": {"fontSize": "12px"},
            "body2": {"fontSize": "12px"},
        },
        "shape": {"borderRadius": 6},
        "components": _components(colours, _variables(mode)),
    }


def _components(colours: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return overrides of Material components, by component and slot."""
    slots = _bars(colours) | _panels(colours, variables) | _controls(colours)
    return {component: {"styleOverrides": rules} for component, rules in slots.items()}


def _bars(colours: Mapping[str, str]) -> dict[str, Any]:
    return {
        "MuiAppBar": {
            "root": {
                "backgroundColor": f"{colours['surface']} !important",
                "backgroundImage": "none",
                "color": f"{colours['ink']} !important",
                "boxShadow": "none",
                "borderBottom": f"1px solid {colours['line']}",
            }
        },
        "MuiToolbar": {
            "root": {
                "minHeight": "44px !important",
                "paddingLeft": "12px !important",
                "paddingRight": "8px !important",
            }
        },
        "MuiTab": {
            "root": {
                "minHeight": "34px",
                "padding": "0 13px",
                "minWidth": 0,
                "fontSize": "13px",
                "textTransform": "none",
                "color": colours["ink2"],
                "&.Mui-selected": {"fontWeight": 700, "color": colours["accent"]},
            }
        },
        "MuiTabs": {"root": {"minHeight": "34px"}},
    }


def _panels(colours: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, Any]:
    return {
        # The phone's drawer is mounted outside the page root, so it repeats the tokens.
        "MuiDrawer": {
            "paper": {
                **variables,
                "backgroundColor": colours["surface"],
                "backgroundImage": "none",
                "borderRight": f"1px solid {colours['line']}",
            }
        },
        "MuiAccordion": {
            "root": {
                "boxShadow": "none !important",
                "background": "transparent",
                "borderRadius": "0 !important",
                "border": 0,
                "borderTop": f"1px solid {colours['line']}",
                "margin": "0 !important",
                "&:before": {"display": "none"},
            }
        },
        "MuiAccordionSummary": {
            "root": {"minHeight": "30px !important", "padding": "0 10px"},
            "content": {
                "margin": "5px 0 !important",
                "& *": {"fontSize": "13px !important", "fontWeight": 700, "lineHeight": "18px"},
            },
        },
        "MuiAccordionDetails": {"root": {"padding": "0 0 4px 0"}},
        "MuiPaper": {"root": {"backgroundImage": "none"}},
    }


def _controls(colours: Mapping[str, str]) -> dict[str, Any]:
    return {
        "MuiSlider": {"root": {"padding": "7px 0 !important"}},
        "MuiToggleButton": {
            "root": {"fontSize": "11px", "padding": "0 7px", "lineHeight": "18px", "textTransform": "none"}
        },
        "MuiButton": {
            "root": {"minWidth": 0, "lineHeight": 1.4},
            "sizeSmall": {"fontSize": "12px", "padding": "2px 10px !important"},
            "outlined": {"borderColor": colours["line2"], "color": colours["ink"]},
        },
        "MuiOutlinedInput": {"notchedOutline": {"borderColor": colours["line2"]}},
        "MuiFormLabel": {"root": {"fontSize": "12px", "color": colours["ink2"]}},
        "MuiMenuItem": {"root": {"fontSize": "12px", "minHeight": "28px"}},
    }
