"""The wiring: builds every chapter from Settings and owns every task. Pages, API and notebooks hold one Engine."""

from __future__ import annotations

from marketstream.engine.connecting import connect
from marketstream.engine.engine import Engine
from marketstream.engine.recording import Recorder
from marketstream.engine.replaying import ReplayEngine, replay
from marketstream.engine.status import EngineStatus

__all__ = ["Engine", "EngineStatus", "Recorder", "ReplayEngine", "connect", "replay"]
