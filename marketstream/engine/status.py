"""EngineStatus: how the engine fares, for pages and the API."""

from __future__ import annotations

from dataclasses import dataclass

from marketstream.streaming.streamer import StreamerState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStatus:
    """How far a recording has been played.

    Attributes:
        name: Of the file.
        speed: Seconds of the recording per second; infinite for as fast as it goes.
        begin: Time of its first cycle, UTC ns.
        end: Time of its last cycle, UTC ns.
        position: Time of the newest cycle, UTC ns.
        fraction: Share of the file that is behind it, 0..1.
        cycles: Cycles made so far.
        cycles_per_s: Of the last fifty, per second of the machine; it falls while the recording stands.
        ended: Whether nothing is left to play.
        diverged_at: Cycle before which what was computed differs from the recording; None while it is the same.
        failure: Why it ended before its end; empty where it did not.
    """

    name: str
    speed: float
    begin: int
    end: int
    position: int
    fraction: float
    cycles: int
    cycles_per_s: float
    ended: bool
    diverged_at: int | None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """How the engine fares.

    Attributes:
        state: Stopped, running or paused.
        profile: Which feeds were asked for.
        simulated: True when the prices are made by the simulator.
        started_at: UTC ns of the start; None while stopped.
        now: UTC ns.
        sequence: Number of the newest cycle.
        cycle_s: Seconds from one cycle to the next.
        cycle_ms_p50: Median work of a cycle, ms.
        cycle_ms_p99: 99th percentile of the same, ms.
        quotes_per_s: Good quotes per second.
        refused_share: Share of quotes refused at the providers' edge, 0..1.
        n_instruments: Instruments known.
        n_venues: Venues known.
        n_providers: Providers in the registry.
        analysis_ms: Time of the newest house analysis, ms.
        out_of_order: Rows older than the quote they would have replaced, and so left out.
        errors: Cycles, graph nodes and analyses that raised.
        replay: How far a recording has been played; None where the stream is live.
    """

    state: StreamerState
    profile: str
    simulated: bool
    started_at: int | None
    now: int
    sequence: int
    cycle_s: float
    cycle_ms_p50: float
    cycle_ms_p99: float
    quotes_per_s: float
    refused_share: float
    n_instruments: int
    n_venues: int
    n_providers: int
    analysis_ms: float
    out_of_order: int
    errors: int
    replay: ReplayStatus | None = None
