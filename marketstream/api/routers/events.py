"""Route of the events: what happened, as the store keeps it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from marketstream.api.body import JsonRoute
from marketstream.api.errors import store_problems
from marketstream.api.listing import listed, page_request
from marketstream.api.openapi import problems
from marketstream.api.record_schemas import EventPage, EventQuery
from marketstream.api.schemas import timestamp
from marketstream.engine import Engine
from marketstream.errors import InvalidInputError
from marketstream.market.events import MarketEvent, Topic
from marketstream.market.records import EventFilter
from marketstream.market.topics import TopicPattern

LIST = "events"


def router(engine: Engine) -> APIRouter:
    """Return the route over the store of `engine`."""
    routes = APIRouter(prefix="/streaming/events", tags=["records"], route_class=JsonRoute)

    @routes.get("", summary="What happened", response_model=EventPage, responses=problems(503))
    async def events(query: Annotated[EventQuery, Query()]) -> Response:
        """Return kept events, newest first: by topic pattern, by whom they are about, by time.

        A pattern that no topic matches is refused: an empty list would hide the slip.
        """
        for pattern in query.topic:
            check_pattern(pattern)
        wanted = EventFilter(topics=tuple(query.topic), subject=query.subject, since=query.since, until=query.until)
        with store_problems():
            page = await engine.store.events(wanted, page_request(LIST, query))
        return listed(LIST, engine.clock.now_ns(), page, event_row)

    return routes


def check_pattern(pattern: str) -> None:
    """Raise InvalidInputError unless it is a pattern that some topic matches."""
    wanted = TopicPattern(pattern)
    if not any(wanted.matches(topic) for topic in Topic):
        raise InvalidInputError(f"no topic matches {pattern!r}; there are {', '.join(Topic)}")


def event_row(event: MarketEvent) -> dict[str, Any]:
    """Return the fields of EventInfo."""
    return {
        "id": event.id,
        "ts": timestamp(event.ts),
        "topic": event.topic,
        "subject": event.subject,
        "message": event.message,
        "data": event.data,
    }
