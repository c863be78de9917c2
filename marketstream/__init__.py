"""marketstream: a live market workbench. This page is the table of contents; names load when first used.

market -> providers -> streaming -> analytics -> rationale -> engine -> api / dashboard
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketstream.analytics.analysis import Analysis, Snapshot
    from marketstream.analytics.devig import devig
    from marketstream.analytics.edges import EdgeFinder
    from marketstream.analytics.optimizer import PortfolioOptimizer
    from marketstream.analytics.valuation import FairValue
    from marketstream.clock import ManualClock, SystemClock
    from marketstream.engine import Engine, Recorder, connect, replay
    from marketstream.settings import Settings, load_settings
    from marketstream.streaming.deltas import fenced

__version__ = "0.1.0"

_HOMES = {
    "Analysis": "analytics.analysis",
    "Snapshot": "analytics.analysis",
    "devig": "analytics.devig",
    "EdgeFinder": "analytics.edges",
    "PortfolioOptimizer": "analytics.optimizer",
    "FairValue": "analytics.valuation",
    "ManualClock": "clock",
    "SystemClock": "clock",
    "Engine": "engine",
    "Recorder": "engine",
    "connect": "engine",
    "replay": "engine",
    "Settings": "settings",
    "load_settings": "settings",
    "fenced": "streaming.deltas",
}

__all__ = [
    "Analysis",
    "EdgeFinder",
    "Engine",
    "FairValue",
    "ManualClock",
    "PortfolioOptimizer",
    "Recorder",
    "Settings",
    "Snapshot",
    "SystemClock",
    "connect",
    "devig",
    "fenced",
    "load_settings",
    "replay",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'marketstream' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"marketstream.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
