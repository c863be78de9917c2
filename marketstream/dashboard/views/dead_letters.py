"""Dead letters: events that a handler could not deal with, each with a button to hand it in again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card
from marketstream.dashboard.text import Markup, markup
from marketstream.dashboard.views.fetch import Fetch
from marketstream.dashboard.views.view import Context, Moment
from marketstream.errors import MarketStreamError
from marketstream.market.handling import DeadLetter, DeadLetterStatus
from marketstream.market.records import Page, PageRequest

ROWS = 8


class DeadLettersCard:
    """The newest letters that wait; what was replayed or discarded leaves the list."""

    title = "Dead letters"

    def __init__(self, context: Context) -> None:
        self._context = context
        self.page = Fetch(context, self._load)
        self.rows: dict[str, LetterRow] = {}
        self._note = text.pane()
        self._card = Card(self.title, "events that a handler could not deal with", self._note)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Show the letters that were read last, and have them read again when they are old."""
        del moment
        self.page.refresh()
        if self.page.error:
            self._say(f"The store cannot be read: {self.page.error}")
            return
        if self.page.value is None:
            return
        letters = {letter.id: letter for letter in self.page.value.rows}
        more = " or more" if self.page.value.next_cursor is not None else ""
        self._card.head("newest first, UTC", f"{len(letters)}{more} waiting" if letters else "none waiting")
        if not letters:
            self.rows = {}
            self._say("None waits: every event was dealt with.")
            return
        if list(letters) != list(self.rows):
            self.rows = {key: self.rows.get(key) or LetterRow(letter, self) for key, letter in letters.items()}
        # Also after a time in which the store could not be read, when a note stood here.
        self._card.body(*(row.view for row in self.rows.values()))
        for key, letter in letters.items():
            self.rows[key].refresh(letter)

    async def replay(self, letter_id: str) -> str:
        """Hand a letter in again; returns what became of it, in words for its row."""
        return await self._act(letter_id, self._context.engine.replay_dead_letter)

    async def discard(self, letter_id: str) -> str:
        """Give a letter up."""
        return await self._act(letter_id, self._context.engine.discard_dead_letter)

    async def _act(self, letter_id: str, act: Callable[[str], Awaitable[DeadLetter]]) -> str:
        try:
            letter = await act(letter_id)
        except MarketStreamError as refused:
            return str(refused)
        finally:
            self.page.forget()
            self._context.touch()
        return f"failed again: {letter.error}" if letter.status is DeadLetterStatus.WAITING else letter.status.value

    async def _load(self) -> Page[DeadLetter]:
        return await self._context.engine.store.dead_letters(DeadLetterStatus.WAITING, None, PageRequest(limit=ROWS))

    def _say(self, what: str) -> None:
        text.show(self._note, markup('<p class="note">{what}</p>', what=what))
        self._card.body(self._note)


class LetterRow:
    """One letter and its two buttons."""

    def __init__(self, letter: DeadLetter, card: DeadLettersCard) -> None:
        self._id = letter.id
        self._card = card
        self._words = text.pane(css=_ROW)
        self._said_of: DeadLetter | None = None
        self._newest = letter
        buttons = [self._button("Replay", card.replay), self._button("Discard", card.discard)]
        self.view = pn.Row(self._words, *buttons, margin=0, sizing_mode="stretch_width", stylesheets=[_LINE])
        self._show(letter)

    def refresh(self, letter: DeadLetter) -> None:
        """Bring the words up to the newest try; what was said of a press stays until there is another one."""
        self._newest = letter
        if letter != self._said_of:
            self._said_of = None
            self._show(letter)

    def _show(self, letter: DeadLetter, said: str = "") -> None:
        text.show(
            self._words,
            markup(
                '<div class="row"><span class="muted">{when}</span><span title="{id}"><b>{handler}</b> {topic}</span>'
                '<span class="why" title="{error}">{kind}: {error} · {tries} {word}</span>{said}</div>',
                said=markup('<span class="said" role="status">{said}</span>', said=said) if said else Markup(),
                when=formats.clock(letter.failed_at),
                id=letter.id,
                handler=letter.handler,
                topic=letter.topic,
                kind=letter.error_type,
                error=letter.error,
                tries=letter.attempts,
                word="try" if letter.attempts == 1 else "tries",
            ),
        )

    def _button(self, label: str, act: Callable[[str], Awaitable[str]]) -> Any:
        async def press(_event: Any) -> None:
            button.disabled = True
            said = await act(self._id)
            self._said_of = self._newest
            self._show(self._newest, said)
            button.disabled = False

        button = pmui.Button(
            label=label,
            variant="outlined",
            size="small",
            height=26,
            width=74,
            margin=(0, 6, 0, 0),
            align="center",
            on_click=press,
        )
        return button


_ROW = """
:host { min-width: 0; flex: 1 1 0; width: auto; }
.row { display: grid; grid-template-columns: 58px minmax(0, 1fr); padding: 5px 10px; gap: 0 10px; }
.said { grid-column: 2; color: var(--ms-warn); font-size: 11px; }
.row > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.why { grid-column: 2; color: var(--ms-ink3); font-size: 11px; }
"""
_LINE = ":host { border-bottom: 1px solid var(--ms-line); align-items: center; }"
