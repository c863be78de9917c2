"""Failovers: where another feed took over for a venue, why, and what it cost; a card, and marks for the price chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.view import Context, Moment
from marketstream.market.events import Json, MarketEvent, Topic

ROWS = 8


class FailoversCard:
    """The newest switches from one feed to another."""

    title = "Failovers"

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._body = text.pane()
        self._card = Card(self.title, "newest first, UTC", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to `moment`."""
        switches = switches_of(self._engine.events, until=max(moment.snapshot.now, moment.status.now))
        self._card.head("newest first, UTC", f"{len(switches)} remembered" if switches else "")
        if not switches:
            words = "No feed has taken over for another one."
            text.show(self._body, markup('<p class="note">{words}</p>', words=words))
            return
        text.show(
            self._body,
            markup(
                '<div class="scroll"><table><thead><tr><th scope="col">When</th><th scope="col">Feed</th>'
                '<th scope="col">Cause</th><th class="num">Dark s</th><th class="num">Jump bps</th></tr></thead>'
                "<tbody>{rows}</tbody></table></div>",
                rows=join(map(_row, switches[-ROWS:][::-1])),
            ),
        )


def switches_of(events: Iterable[MarketEvent], *, until: int) -> list[MarketEvent]:
    """Return the switches up to `until` (UTC ns), oldest first."""
    return [event for event in events if event.topic is Topic.PROVIDER_SWITCH and event.ts <= until]


def is_return(event: MarketEvent) -> bool:
    """Return whether a switch went back to the feed that is first in order."""
    return event.data.get("direction") == "failback"


def _row(event: MarketEvent) -> Markup:
    data: Mapping[str, Json] = event.data
    return markup(
        '<tr><td class="muted when">{when}</td><td><b>{to}</b> <span class="muted">for {old}</span></td>'
        '<td class="wrap" title="{message}">{cause}</td><td class="num">{dark}</td><td class="num">{jump}</td></tr>',
        when=formats.clock(event.ts),
        to=data.get("to"),
        old=data.get("from"),
        message=event.message,
        cause=data.get("cause"),
        dark=formats.number(_number(data.get("without_data_s")), 1),
        jump=formats.number(_number(data.get("max_jump_bps")), 1),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
