"""The wiring: builds every chapter from Settings and owns every task. Pages, API and notebooks hold one Engine."""

from __future__ import annotations

from marketstream.engine.engine import Engine, connect
from marketstream.engine.status import EngineStatus

__all__ = ["Engine", "EngineStatus", "connect"]
