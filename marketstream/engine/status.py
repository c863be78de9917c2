"""EngineStatus: how the engine fares, for pages and the API."""

from __future__ import annotations

from dataclasses import dataclass

from marketstream.streaming.streamer import StreamerState


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
