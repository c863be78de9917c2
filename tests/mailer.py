"""A handler for tests: fails for good until it is mended, and remembers what it did."""

from __future__ import annotations

from collections.abc import Sequence

from marketstream.errors import PermanentError
from marketstream.market.events import MarketEvent


class Mailer:
    """An effect that fails until it is mended.

    Attributes:
        sent: The events it has dealt with, in order.
    """

    def __init__(self, complaint: str = "no such mailbox") -> None:
        self.mended = False
        self.sent: list[MarketEvent] = []
        self._complaint = complaint

    async def handle(self, events: Sequence[MarketEvent]) -> None:
        """Deal with events, or refuse them all."""
        if not self.mended:
            raise PermanentError(self._complaint)
        self.sent += events
