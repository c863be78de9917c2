"""Tapes: what can be replayed, record by record: a journal, or a file of quotes. The player is replaying.py."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from marketstream.analytics.analysis import Analysis
from marketstream.clock import Clock
from marketstream.errors import ConfigurationError, InvalidInputError
from marketstream.providers.base import Provider
from marketstream.providers.declare import ProviderFactory, read_declaration
from marketstream.providers.quote_files import QuoteFileOptions, load_quotes
from marketstream.providers.replay import QuoteFileProvider, RecordedProvider, cycle_times
from marketstream.store.journal import SUFFIX, JournalError, JournalReader
from marketstream.store.journal_records import (
    RECORDED_SETTINGS,
    CycleEntry,
    EndEntry,
    Entry,
    Header,
    ProviderEntry,
)

_LAST = 9 * 10**18
# UTC ns: no time of a recording is later.

Knobs = Mapping[str, Mapping[str, Any]]


class Tape(abc.ABC):
    """Something to replay.

    Attributes:
        path: Where it comes from.
        settings: That the engine must have, by name.
        knobs: Of the house analysis at the start, by stage and name.
        begin: Time of the first cycle, UTC ns.
        end: Time of the last one, UTC ns.
        notes: What was taken for granted or found wrong, in sentences.
    """

    path: Path
    settings: Mapping[str, Any]
    knobs: Knobs
    begin: int
    end: int
    notes: tuple[str, ...] = ()

    @abc.abstractmethod
    def providers(self, clock: Clock) -> list[tuple[Provider, bool]]:
        """Return new providers that are there from the start, each with whether it is enabled."""

    @abc.abstractmethod
    def steps(self) -> Iterator[tuple[float, Entry]]:
        """Yield (share of the tape behind it, record) from the first record after those providers."""

    @abc.abstractmethod
    def build(self, entry: ProviderEntry, clock: Clock) -> Provider:
        """Return a new provider for one that came later."""


class JournalTape(Tape):
    """A journal; JournalError where it is none, holds no cycle, or sets what no recording sets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = JournalReader(path)
        header = self._reader.header
        self.settings = _recorded_settings(path, header)
        self.knobs = header.knobs
        first = next((e for e in self._reader.entries() if isinstance(e, CycleEntry)), None)
        if first is None:
            raise JournalError(f"{path} holds no cycle, so there is nothing to replay")
        self.begin = first.now
        self.end = self._reader.last_now() or first.now
        if not 0 <= self.begin <= self.end < _LAST:
            raise JournalError(
                f"{path} has its first cycle at {self.begin} and its last at {self.end} (UTC ns); times are from 1970 "
                "to 2255 and never go back"
            )
        self.notes = tuple(self._remarks())

    def providers(self, clock: Clock) -> list[tuple[Provider, bool]]:
        """Return new providers that are there from the start, each with whether it is enabled."""
        return [(self.build(entry, clock), entry.enabled) for entry in self._first_providers()]

    def steps(self) -> Iterator[tuple[float, Entry]]:
        """Yield (share of the tape behind it, record) from the first record after those providers."""
        skipped = 1 + len(self._first_providers())
        before = 0
        for place, entries in self._reader.blocks():
            for i, entry in enumerate(entries):
                if skipped:
                    skipped -= 1
                    continue
                yield (before + (place - before) * (i + 1) / len(entries)) / self._reader.size, entry
            before = place

    def build(self, entry: ProviderEntry, clock: Clock) -> Provider:
        """Return a provider that decodes the recorded frames, or hands on recorded rows."""
        if not entry.frames:
            return RecordedProvider(
                name=entry.name,
                clock=clock,
                kind=entry.kind,
                listing=entry.listing,
                stale_after_s=entry.stale_after_s,
            )
        # Symbols alone: whatever else a file says, it names no address.
        options = {"symbols": entry.options.get("symbols")}
        given = {"name": entry.name, "kind": entry.kind, "options": options, "stale_after_s": entry.stale_after_s}
        declaration = read_declaration(given, str(self.path))
        provider = ProviderFactory(clock=clock, start_ns=self.begin).build(declaration)
        if provider.listing() != entry.listing:
            raise ConfigurationError(
                f"{self.path}: provider {entry.name!r} lists other things in this version of marketstream than "
                f"when it was recorded by {self._reader.header.program}"
            )
        return provider

    def _first_providers(self) -> list[ProviderEntry]:
        found: list[ProviderEntry] = []
        for entry in self._reader.entries():
            if isinstance(entry, ProviderEntry):
                found.append(entry)
            elif not isinstance(entry, Header):
                break
        return found

    def _remarks(self) -> Iterator[str]:
        last = self._reader.last_entry()
        if not isinstance(last, EndEntry):
            yield "the recording was cut, so it ends with the last block that was written"
        elif last.reason not in ("closed", "done"):
            yield f"the recording ended because of this: {last.reason}"
        if self._reader.torn_bytes:
            yield f"{self._reader.torn_bytes} bytes at the end belong to a block that is not whole"


class QuoteTape(Tape):
    """A file of quotes; ConfigurationError where it is none."""

    def __init__(self, path: Path, options: QuoteFileOptions) -> None:
        self.path = path
        self._file = load_quotes(path, options)
        self._times = cycle_times(self._file)
        self.begin, self.end = int(self._times[0]), int(self._times[-1])
        self.settings = {"profile": "live"}
        self.knobs = self._slower_knobs()
        knobs = ", ".join(f"{name} {value:g} s" for knobs in self.knobs.values() for name, value in knobs.items())
        self.notes = (*self._file.notes, f"knobs follow the file's spacing of {self._file.step_s:g} s: {knobs}")

    def providers(self, clock: Clock) -> list[tuple[Provider, bool]]:
        """Return the one provider of all its quotes."""
        return [(QuoteFileProvider(file=self._file, clock=clock), True)]

    def steps(self) -> Iterator[tuple[float, Entry]]:
        """Yield a cycle for every time with quotes, and empty ones in gaps; the last one is that of the last quote."""
        n = len(self._times)
        for i, now in enumerate(self._times.tolist()):
            yield (
                (i + 1) / n,
                CycleEntry(now=now, monotonic=now - self.begin, dispatched=True, digest=b""),
            )

    def build(self, entry: ProviderEntry, clock: Clock) -> Provider:
        """Refuse: nothing comes later in a file of quotes."""
        raise InvalidInputError(f"{self.path} has no provider {entry.name!r}")

    def _slower_knobs(self) -> Knobs:
        # The house's limits are for live feeds; where quotes come once a minute, none would be young enough.
        longest = max(venue.stale_after_s for venue in self._file.listing.venues)
        wanted = {
            "fair_value": {"stale_after_s": longest, "half_life_s": self._file.step_s},
            "edge_finder": {"max_leg_age_s": self._file.step_s},
        }
        stages = Analysis().stages
        return {
            stage: {name: _at_least(stages[stage], name, value) for name, value in knobs.items()}
            for stage, knobs in wanted.items()
        }


def open_tape(path: Path, options: QuoteFileOptions | None = None) -> Tape:
    """Return the tape of a journal, of a folder with one, or of a file of quotes.

    Raises:
        ConfigurationError: It is none of them.
        JournalError: It is a journal that cannot be read.
    """
    if path.is_dir():
        journals = sorted(path.glob(f"*{SUFFIX}"))
        if len(journals) > 1:
            names = ", ".join(journal.name for journal in journals[:5])
            raise ConfigurationError(f"{path} holds several recordings, name one of them: {names}")
        if journals:
            return JournalTape(journals[0])
    if path.suffix == SUFFIX:
        return JournalTape(path)
    return QuoteTape(path, options or QuoteFileOptions())


def _recorded_settings(path: Path, header: Header) -> dict[str, Any]:
    # A tape's settings win over the user's own: one that named an address would be sent the user's key.
    foreign = sorted(set(header.settings) - set(RECORDED_SETTINGS))
    if foreign:
        named = ", ".join(repr(name[:64]) for name in foreign[:5])
        raise JournalError(
            f"{path} sets {named}, which no recording sets; a recording holds only {', '.join(RECORDED_SETTINGS)}"
        )
    return {**header.settings, "profile": header.profile}


def _at_least(stage: Any, name: str, value: float) -> float:
    lower, upper = stage.param[name].bounds
    return float(np.clip(max(value, stage.defaults[name]), lower, upper))
