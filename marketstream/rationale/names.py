"""How texts write instruments and venues: cleaned, told from ordinary words and numbers, each form used once."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from marketstream.market.catalog import Catalog
from marketstream.market.instruments import MAX_NAME_LENGTH, Instrument, Venue
from marketstream.market.rationale import Name, entity_key
from marketstream.rationale.lexicon import lexicon

MAX_QUOTE_LENGTH = 160

_TICKER = re.compile(r"(?=[A-Z0-9]*[A-Z])[A-Z0-9]{2,12}-(?=[A-Z0-9]*[A-Z])[A-Z0-9]{2,8}")
_VENUE = re.compile(r"[A-Z][a-z]{2,}[A-Za-z]*(?: [A-Z][a-z]{2,}[A-Za-z]*)*")


def clean_text(text: str, limit: int = MAX_QUOTE_LENGTH) -> str:
    """Return `text` on one line, without control, direction-changing or invisible characters or curly quotes.

    >>> clean_text("a\\u202eb  “c”\\n")
    "ab 'c'"
    """
    text = text.replace("“", "'").replace("”", "'")
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def written_name(text: str, *, is_venue: bool) -> str:
    """Return a name as a text holds it: in “ ” unless it is a plain ticker or a venue's own words.

    >>> written_name("BTC-USD", is_venue=False), written_name("UP", is_venue=False)
    ('BTC-USD', '“UP”')
    >>> written_name("Birch Markets", is_venue=True), written_name("More Markets", is_venue=True)
    ('Birch Markets', '“More Markets”')
    """
    if _TICKER.fullmatch(text):
        return text
    if is_venue and _VENUE.fullmatch(text) and lexicon().words.isdisjoint(text.lower().split()):
        return text
    return f"“{text}”"


class NameBook:
    """Give every instrument and venue that a sheet names one written form that no other has."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        shown = Counter(instrument.name for instrument in catalog.instruments)
        self._shared = {name for name, times in shown.items() if times > 1}
        self._names: dict[tuple[str, str], Name] = {}
        self._taken: set[str] = set()

    def __iter__(self) -> Iterator[Name]:
        return iter(self._names.values())

    def instrument(self, instrument: Instrument) -> Name:
        """Return the name of an instrument."""
        return self._enter("instrument", instrument.id, self._display(instrument))

    def venue(self, venue: Venue) -> Name:
        """Return the name of a venue."""
        return self._enter("venue", venue.id, venue.name)

    def _display(self, instrument: Instrument) -> str:
        # "Draw" alone would be the draw of any match: say which.
        if instrument.name not in self._shared:
            return instrument.name
        if instrument.market_id is None:
            return instrument.id
        return f"{self._catalog.market(instrument.market_id).name}: {instrument.name}"

    def _enter(self, role: str, own_id: str, shown: str) -> Name:
        known = self._names.get((role, own_id))
        if known is None:
            text = next(t for t in self._forms(role, own_id, shown) if t not in self._taken)
            self._taken.add(text)
            known = Name(key=entity_key(own_id), role=role, id=own_id, text=text)
            self._names[role, own_id] = known
        return known

    @staticmethod
    def _forms(role: str, own_id: str, shown: str) -> Iterator[str]:
        shown = clean_text(shown, MAX_NAME_LENGTH)
        plain_id = clean_text(own_id, MAX_NAME_LENGTH)
        for text in (shown, plain_id):
            if text:
                yield written_name(text, is_venue=role == "venue")
        n = 2
        while True:
            yield f"“{shown or plain_id or role} ({role} {n})”"
            n += 1
