"""Recordings for tests: a demo with faults and a failover on a manual clock, and ways to spoil a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from marketstream.clock import ManualClock
from marketstream.engine import Engine, Recorder
from marketstream.engine.recording import RecordingStatus
from marketstream.market.events import MarketEvent, Topic
from marketstream.providers.base import Fault
from marketstream.settings import Settings, load_settings
from marketstream.store.journal import JournalReader, JournalWriter
from marketstream.store.journal_records import Entry, Header

FAST = {"store_url": "memory", "warmup_s": 5, "cycle_s": 0.25, "analysis_interval_s": 1.0, "failback_after_s": 3.0}
"""Settings under which half a minute of the demo takes a second or two."""


@dataclass(frozen=True)
class Recorded:
    """What a live run left behind.

    Attributes:
        path: The journal.
        status: Of the recorder at the end.
        events: What the live engine told.
    """

    path: Path
    status: RecordingStatus
    events: tuple[MarketEvent, ...]


def settings(**others: object) -> Settings:
    """Return the settings of a fast demo."""
    return load_settings(**{**FAST, **others})


async def record_demo(folder: Path) -> Recorded:
    """Run a demo through faults, a failover and back, a switched feed and a moved knob, and record it."""
    engine = Engine(settings(), clock=ManualClock())
    recorder = Recorder(engine, folder / "demo.msj", archive=folder / "quotes")
    await engine.run_for(2.0)
    engine.registry.play_fault("alder", Fault.STALL, 13.0)
    engine.registry.play_fault("birch", Fault.GAP, 2.0)
    engine.registry.play_fault("cedar", Fault.SPIKE, 3.0)
    await engine.run_for(6.0)
    engine.house.fair_value.half_life_s = 12.0
    await engine.registry.disable("damson")
    await engine.run_for(7.0)
    await engine.registry.enable("damson")
    await engine.run_for(9.0)
    engine.house.optimizer.views = {"BTC-USD": 0.01}
    await engine.run_for(3.0)
    status = await recorder.close("done")
    events = tuple(engine.events)
    await engine.close()
    return Recorded(folder / "demo.msj", status, events)


def switches(events: Iterable[MarketEvent]) -> list[str]:
    """Return what was told of failovers."""
    return [event.message for event in events if event.topic is Topic.PROVIDER_SWITCH]


def rewritten(path: Path, to: Path, change: Callable[[list[Entry]], list[Entry]]) -> Path:
    """Write a journal anew with its records changed, and return the new one."""
    header, *entries = JournalReader(path).entries()
    assert isinstance(header, Header)
    with JournalWriter(to, header) as journal:
        for entry in change(entries):
            journal.append(entry)
    return to
