"""How a notebook gets its engine: live feeds, a simulator, or a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import marketstream.engine.replaying as replaying
from marketstream.clock import Clock
from marketstream.engine.engine import Engine
from marketstream.errors import InvalidInputError
from marketstream.settings import load_settings


def connect(
    profile: str = "demo", *, clock: Clock | None = None, replay: str | Path | None = None, **settings: Any
) -> Engine:
    """Build an engine for a notebook, and start it where an event loop runs.

    Args:
        profile: `demo`, `null`, `planted` or `live`.
        clock: A `ManualClock` makes a simulated profile repeatable.
        replay: A recording or a file of quotes to play in place of a profile; see `marketstream.replay`.
        settings: Any other setting by its name, such as `seed=7`; of a replay, its arguments too.

    Nothing is left on disk unless `store_url` names a place.

    Raises:
        ConfigurationError: A setting cannot be used.
        InvalidInputError: A clock was given for a replay, which has its own.
    """
    if replay is not None:
        if clock is not None:
            raise InvalidInputError("a replay has a clock of its own, which the recording moves: leave clock= out")
        return replaying.replay(replay, **settings)
    chosen = {"store_url": "memory", **settings}
    engine = Engine(load_settings(profile=profile, **chosen), clock=clock)
    engine.start()
    return engine
