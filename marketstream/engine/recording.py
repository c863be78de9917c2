"""Recorder: writes down what an engine takes in, for replaying.py to play it again. The file is store/journal.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from marketstream import __version__
from marketstream.clock import SECOND_NS
from marketstream.engine.digest import StreamDigest
from marketstream.engine.engine import Engine
from marketstream.errors import InvalidInputError
from marketstream.market.events import Json, MarketEvent, Topic, event_to_json
from marketstream.market.quotes import QUOTE_DTYPE, QuoteBatch
from marketstream.providers.base import Input, InputKind, Provider
from marketstream.providers.changes import ChangeKind, RegistryChange
from marketstream.providers.venues.venue_provider import VenueProvider
from marketstream.store.archive import QuoteArchive
from marketstream.store.journal import JournalWriter, make_folder
from marketstream.store.journal_records import (
    RECORDED_SETTINGS,
    ChangeEntry,
    CycleEntry,
    EndEntry,
    Entry,
    Header,
    InputEntry,
    Knob,
    KnobEntry,
    ProviderEntry,
    pack_rows,
)
from marketstream.streaming.plain import plain_data

logger = logging.getLogger(__name__)

MAX_BACKLOG_BYTES = 256 << 20
"""A disk that is so far behind ends the recording before it takes the machine's memory."""
_ENTRY_BYTES = 64
# What a record takes beside its body, roughly: it decides when a block is due.


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """How a recording fares.

    Attributes:
        path: The journal.
        recording: Whether it still goes on.
        ended: Why it ended; empty while it goes on.
        size_bytes: Size of the journal on disk.
        inputs: Frames, snapshots and simulated batches taken down.
        cycles: Cycles taken down.
        quotes: Normalised quotes written to the archive.
        archive_bytes: Size of what was written there.
    """

    path: Path
    recording: bool
    ended: str
    size_bytes: int
    inputs: int
    cycles: int
    quotes: int
    archive_bytes: int


class Recorder:
    """Take down an engine's inputs from its first cycle to its stop, or to `close`.

    It hangs on the tap of every provider, also of those added later, on the registry's decisions and on each cycle.
    Writing is done by one thread; a disk that fails or falls far behind ends the recording with an event, and the
    engine runs on.

    Args:
        engine: Not started yet: a recording begins with an empty book.
        path: The journal, a file that does not exist yet.
        archive: Folder for normalised quotes as Parquet; None writes none.
        flush_s: A block is due this long after the one before, seconds of the engine's clock.
        flush_bytes: Or when it has so many bytes.
        fsync: Have each flush wait until the disk has it.

    Raises:
        InvalidInputError: The engine runs already or is recorded already, or the file exists.
        OSError: The file cannot be written.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        *,
        archive: Path | None = None,
        flush_s: float = 1.0,
        flush_bytes: int = 1 << 18,
        fsync: bool = False,
    ) -> None:
        if engine.market is not None or engine.streamer.on_cycle is not None:
            raise InvalidInputError("a recording begins before the first cycle of an engine that nobody records yet")
        self.path = path
        self._engine = engine
        self._flush_ns = round(flush_s * SECOND_NS)
        self._flush_bytes = flush_bytes
        self._entries: list[Entry] = []
        self._bytes = 0
        self._flushed_at = engine.clock.now_ns()
        self._backlog = 0
        self._reason = ""
        self._failure = ""
        self._end = asyncio.Event()
        self._inputs = 0
        self._cycles = 0
        self._codes: dict[str, int] = {}
        self._run_began: int | None = None
        self._digest = StreamDigest()
        self._knobs = _knobs(engine)
        make_folder(path.parent)
        self._journal = JournalWriter(path, _header(engine, self._knobs), fsync=fsync)
        self._archive = None if archive is None else QuoteArchive(archive, engine.catalog)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")
        self._jobs: list[tuple[Future[object], int]] = []
        self._attach()

    def status(self) -> RecordingStatus:
        """Return how it fares."""
        return RecordingStatus(
            path=self.path,
            recording=not self._end.is_set(),
            ended=self._failure or self._reason,
            size_bytes=self._journal.size,
            inputs=self._inputs,
            cycles=self._cycles,
            quotes=0 if self._archive is None else self._archive.rows_written,
            archive_bytes=0 if self._archive is None else self._archive.bytes_written,
        )

    async def wait_for_end(self) -> None:
        """Wait until nothing more is recorded: somebody closed it, the stream was stopped, or the disk failed."""
        await self._end.wait()

    async def close(self, reason: str = "closed") -> RecordingStatus:
        """End the recording in order: write what is left and wait for it; a second call changes nothing."""
        self._finish(reason)
        while self._jobs:
            written = asyncio.wrap_future(self._jobs[0][0])
            await asyncio.wait([written])
            written.exception()  # heard below
            self._check_writer()
        self._writer.shutdown()
        return self.status()

    def _attach(self) -> None:
        engine = self._engine
        for provider in engine.registry:
            self._enter(provider)
        # What stands is told once: before anybody listens to what changes from here on.
        for change in engine.registry.standing():
            self._note_change(change)
        engine.registry.on_change = self._change
        engine.streamer.on_cycle = self._cycle

    def _detach(self) -> None:
        engine = self._engine
        engine.streamer.on_cycle = None
        engine.registry.on_change = None
        for provider in engine.registry:
            provider.tap = None

    def _enter(self, provider: Provider) -> None:
        frames = isinstance(provider, VenueProvider)
        self._codes[provider.name] = provider.code
        self._take(
            ProviderEntry(
                name=provider.name,
                kind=provider.kind,
                frames=frames,
                options={"symbols": _symbols(provider)} if isinstance(provider, VenueProvider) else {},
                stale_after_s=provider.stale_after_s,
                enabled=self._engine.registry.is_enabled(provider.name),
                code=provider.code,
                listing=provider.listing(),
            )
        )
        provider.tap = self._input

    def _input(self, given: Input) -> None:
        with self._fenced():
            self._note_input(given)

    def _change(self, change: RegistryChange) -> None:
        with self._fenced():
            self._note_change(change)

    def _cycle(self, batch: QuoteBatch, dispatched: bool) -> None:
        with self._fenced():
            self._note_cycle(batch, dispatched)

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        # What fails here ends the recording, never the stream.
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the fence between the recording and the stream
            self._fail(f"{type(error).__name__}: {error}", error)

    def _note_input(self, given: Input) -> None:
        self._inputs += 1
        body = given.body
        if given.kind is InputKind.ROWS:
            body = pack_rows(np.frombuffer(body, dtype=QUOTE_DTYPE))
        self._take(
            InputEntry(
                provider=self._codes[given.provider],
                kind=given.kind.value,
                epoch=given.epoch,
                ts=given.ts,
                key=given.key,
                body=body,
            ),
            len(body),
        )
        # Here too: while the stream is paused, feeds send on and no cycle comes.
        self._flush_if_due(given.ts)

    def _note_change(self, change: RegistryChange) -> None:
        if change.kind is ChangeKind.ADDED and change.provider in self._engine.registry:
            self._enter(self._engine.registry.get(change.provider))
        self._take(
            ChangeEntry(
                kind=change.kind.value,
                provider=change.provider,
                ts=change.ts,
                enabled=change.enabled,
                status=change.status.value,
                trust=change.trust.tobytes(),
                rows=pack_rows(change.rows),
                events=[event_to_json(event) for event in change.events],
            ),
            change.rows.nbytes,
        )
        self._flush_if_due(change.ts)

    def _note_cycle(self, batch: QuoteBatch, dispatched: bool) -> None:
        engine = self._engine
        if self._run_began is not None and engine.started_at != self._run_began:
            # Stopped feeds forget what they held; a new start is a new recording.
            self._finish("the stream was stopped")
            return
        self._run_began = engine.started_at
        self._digest.add(engine.market, engine.snapshot)
        self._note_knobs()
        self._cycles += 1
        monotonic = engine.clock.monotonic_ns()
        self._take(CycleEntry(now=batch.now, monotonic=monotonic, dispatched=dispatched, digest=self._digest.value()))
        if self._archive is not None and self._archive.add(batch.rows, batch.now):
            self._write_archive()
        self._flush_if_due(batch.now)

    def _note_knobs(self) -> None:
        knobs = _knobs(self._engine)
        if knobs == self._knobs:
            return
        for stage, values in knobs.items():
            for knob, value in values.items():
                if value != self._knobs[stage][knob]:
                    self._take(KnobEntry(stage=stage, knob=knob, value=value))
        self._knobs = knobs

    def _take(self, entry: Entry, size: int = 0) -> None:
        self._entries.append(entry)
        self._bytes += size + _ENTRY_BYTES

    def _flush_if_due(self, now: int) -> None:
        self._check_writer()
        if self._bytes >= self._flush_bytes or now - self._flushed_at >= self._flush_ns:
            self._flushed_at = now
            self._flush()

    def _flush(self) -> None:
        entries, size = self._entries, self._bytes
        self._entries, self._bytes = [], 0
        if self._backlog + size > MAX_BACKLOG_BYTES:
            waiting, allowed = (n / (1 << 20) for n in (self._backlog + size, MAX_BACKLOG_BYTES))
            self._fail(f"the disk is behind: {waiting:.1f} MiB wait to be written, at most {allowed:.1f} MiB may")
        elif entries:
            self._submit(lambda: _append(self._journal, entries), size)

    def _write_archive(self) -> None:
        archive = self._archive
        cut = None if archive is None else archive.cut()
        if archive is not None and cut is not None:
            self._submit(lambda: archive.write(cut), cut.rows.nbytes)

    def _submit(self, work: Callable[[], object], size: int) -> None:
        self._backlog += size
        self._jobs.append((self._writer.submit(work), size))

    def _check_writer(self) -> None:
        # Here, on the engine's loop, an error of the writer is heard.
        while self._jobs and self._jobs[0][0].done():
            job, size = self._jobs.pop(0)
            self._backlog -= size
            error = job.exception()
            if error is not None:
                self._fail(f"{type(error).__name__}: {error}", error)

    def _finish(self, reason: str) -> None:
        if self._end.is_set():
            return
        self._reason = reason
        self._end.set()
        self._detach()
        self._digest.add(self._engine.market, self._engine.snapshot)
        now = self._engine.clock.now_ns()
        self._take(EndEntry(ts=now, cycles=self._cycles, digest=self._digest.value(), reason=reason))
        self._flush()
        self._write_archive()
        self._submit(self._journal.close, 0)

    def _fail(self, why: str, error: BaseException | None = None) -> None:
        # Also after `_finish`: what cannot be written at the end is no recording that ended in order.
        logger.error("the recording %s ended: %s", self.path, why, exc_info=error)
        first, self._failure = not self._failure, self._failure or why
        self._entries, self._bytes = [], 0
        if not first:
            return
        self._end.set()
        self._detach()
        self._submit(self._journal.abandon, 0)
        now = self._engine.clock.now_ns()
        message = f"Recording ended: {why}. The stream goes on."
        data: dict[str, Json] = {"path": self.path.name, "error": why, "cycles": self._cycles}
        event = MarketEvent(ts=now, topic=Topic.ENGINE_STATUS, subject="recording", message=message, data=data)
        self._engine.handlers.submit(event)


def _append(journal: JournalWriter, entries: list[Entry]) -> None:
    for entry in entries:
        journal.append(entry)
    journal.flush()


def _knobs(engine: Engine) -> dict[str, dict[str, Knob]]:
    # A knob may hold a number of numpy, which equals that of Python and cannot be written.
    return {stage: cast("dict[str, Knob]", plain_data(values)) for stage, values in engine.house.knobs().items()}


def _header(engine: Engine, knobs: dict[str, dict[str, Knob]]) -> Header:
    settings = {name: getattr(engine.settings, name) for name in RECORDED_SETTINGS}
    return Header(
        program=__version__,
        created=engine.clock.now_ns(),
        profile=engine.settings.profile,
        settings=settings,
        knobs=knobs,
    )


def _symbols(provider: VenueProvider) -> list[str]:
    # As a declaration writes them, each with its tick: what they mean must not depend on a later table.
    return [f"{s.base}-{s.quote}:{s.tick!r}" for s in provider.symbols]
