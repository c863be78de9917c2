"""The rationale service as the settings want it, and the event that tells of a text that has ended."""

from __future__ import annotations

from collections.abc import Callable

from marketstream.analytics.analysis import Snapshot
from marketstream.clock import Clock
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.rationale import Rationale, RationaleStatus
from marketstream.rationale.backends import make_backends
from marketstream.rationale.service import PortfolioRationaleService
from marketstream.settings import Settings


def make_rationale(
    settings: Settings,
    clock: Clock,
    snapshot: Callable[[], Snapshot | None],
    take: Callable[[MarketEvent], object],
    *,
    stopwatch: Clock,
) -> PortfolioRationaleService:
    """Return the service with the model backends of the settings, the narrator behind them.

    Args:
        settings: Name the models.
        clock: Stamps orders and events.
        snapshot: Returns the newest snapshot, None before there is one.
        take: Given the event of each text that has ended.
        stopwatch: Measures what models take; in a replay, whose time stands or runs, the machine's.

    Raises:
        ConfigurationError: A model backend cannot be made of the settings.
    """

    def tell(text: Rationale) -> None:
        take(rationale_event(text, clock.now_ns()))

    return PortfolioRationaleService(
        snapshot,
        clock,
        stopwatch=stopwatch,
        backends=make_backends(
            settings.llm,
            base_url=settings.llm_base_url,
            model=settings.llm_model,
            api_key=settings.llm_api_key,
        ),
        deadline_s=settings.llm_deadline_s,
        on_finished=tell,
    )


def rationale_event(text: Rationale, ts: int) -> MarketEvent:
    """Return the event of a text that ended at `ts` (UTC ns); it carries the whole text for the store."""
    how = f"written by {text.written_by}" if text.status is RationaleStatus.READY else text.reason or text.status.value
    return MarketEvent(
        ts=ts,
        topic=Topic.RATIONALE,
        subject=text.id,
        message=f"{text.kind.value.replace('_', ' ').capitalize()} {text.status.value}: {how}.",
        data={"rationale": text.to_json()},
    )
