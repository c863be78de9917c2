"""ReplayEngine: an engine whose time and inputs come from a tape. Same decoders, same graph, same analysis."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from marketstream.clock import SECOND_NS, Clock, ManualClock, SystemClock
from marketstream.engine.digest import StreamDigest
from marketstream.engine.engine import Engine
from marketstream.engine.feeds import Feeds, provider_factory
from marketstream.engine.status import EngineStatus, ReplayStatus
from marketstream.engine.tapes import Tape, open_tape
from marketstream.errors import ConfigurationError, InvalidInputError, MarketStreamError
from marketstream.market.events import ProviderStatus, event_from_json
from marketstream.providers.base import Input, InputKind, Provider
from marketstream.providers.changes import TRUST_DTYPE, ChangeKind, RegistryChange
from marketstream.providers.quote_files import QuoteFileOptions
from marketstream.settings import Settings, load_settings
from marketstream.store.journal import JournalError
from marketstream.store.journal_records import (
    ChangeEntry,
    CycleEntry,
    EndEntry,
    Entry,
    InputEntry,
    KnobEntry,
    ProviderEntry,
    unpack_rows,
)
from marketstream.streaming.streamer import MarketStreamer

logger = logging.getLogger(__name__)

_SLICE_S = 0.1
# Longest wait before a pause or another speed is heard.


class Pacer:
    """Decide when the next cycle of a tape may come: by speed, pause and goal. Its clock is outside the engine.

    Args:
        clock: Real time, for the waits alone.
        speed: Seconds of the tape per second; `math.inf` waits for nothing.
        unpaced_until: UTC ns; cycles before it come at once.
        goal: UTC ns up to which cycles may come; None for all.
    """

    def __init__(self, clock: Clock, *, speed: float, unpaced_until: int, goal: int | None) -> None:
        self.goal = goal
        self.waiting = asyncio.Event()
        """Set while the tape stands: paused, at its goal or at its end."""
        self._clock = clock
        self._speed = check_speed(speed)
        self._unpaced_until = unpaced_until
        self._moved = asyncio.Event()
        self._anchor: tuple[int, int] | None = None

    @property
    def speed(self) -> float:
        """Return the seconds of the tape per second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._speed = check_speed(speed)
        self.move()

    def move(self) -> None:
        """Look again at what has changed: a goal, a pause, the speed."""
        self._anchor = None
        self.waiting.clear()
        self._moved.set()

    async def turn(self, entry: CycleEntry, paused: Callable[[], bool]) -> None:
        """Wait until this cycle may come."""
        # Also at full speed, others on the loop get their turn.
        await asyncio.sleep(0)
        while True:
            if paused() or (self.goal is not None and entry.now > self.goal):
                await self.stand()
                continue
            wait_s = self._wait_s(entry)
            if wait_s <= 0:
                return
            await self._clock.sleep(min(wait_s, _SLICE_S))

    async def stand(self) -> None:
        """Wait until something is changed."""
        # A new one each time: an event waited for on one loop cannot be used on another.
        self._moved = asyncio.Event()
        self._anchor = None
        self.waiting.set()
        await self._moved.wait()

    def release(self) -> None:
        """Let go on whoever waits for the tape to stand; a start to come may be on another loop."""
        self.waiting.set()
        self.waiting = asyncio.Event()

    def _wait_s(self, entry: CycleEntry) -> float:
        if math.isinf(self._speed) or entry.now < self._unpaced_until:
            return 0.0
        now = self._clock.monotonic_ns()
        if self._anchor is None:
            self._anchor = (now, entry.monotonic)
        real, recorded = self._anchor
        return ((entry.monotonic - recorded) / self._speed - (now - real)) / SECOND_NS


class TapeStreamer(MarketStreamer):
    """The loop of a replay: it takes record after record from the tape, and a cycle where the tape has one.

    Args:
        tape: Gives the records.
        apply: Carries out every record but a cycle.
        pacer: Says when a cycle may come.
        clock: Moved to the time of each cycle.
        stop: UTC ns after which no cycle comes; None for the whole tape.
        before_cycle: Told of each cycle before it is made.
        streamer: As for MarketStreamer.
    """

    clock: ManualClock

    def __init__(
        self,
        *,
        tape: Tape,
        apply: Callable[[Entry], Awaitable[None]],
        pacer: Pacer,
        clock: ManualClock,
        stop: int | None,
        before_cycle: Callable[[CycleEntry], None],
        **streamer: Any,
    ) -> None:
        super().__init__(clock=clock, **streamer)
        self.fraction = 0.0
        self.ended = False
        self.failure: MarketStreamError | None = None
        """Why the tape cannot be played further; None while it can."""
        self._next: CycleEntry | None = None
        self._steps = tape.steps()
        self._apply = apply
        self._pacer = pacer
        self._stop_at = stop
        self._before_cycle = before_cycle

    def pause(self) -> None:
        """Stand still before the next cycle."""
        super().pause()
        self._pacer.move()

    def resume(self) -> None:
        """Go on, unless the tape has ended."""
        if not self.ended:
            super().resume()
            self._pacer.move()

    async def _run(self) -> None:
        try:
            await self._play()
        except MarketStreamError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001  # fence: a record that cannot be carried out ends the tape
            self.failure = JournalError(f"a record after {self.fraction:.1%} of the tape cannot be played: {error}")
            self.failure.__cause__ = error
        if self.failure is not None:
            logger.error("the replay ends early: %s", self.failure, exc_info=self.failure)
        self.ended = self._paused = True
        while True:
            await self._pacer.stand()

    async def _play(self) -> None:
        # Where the stream was stopped while a cycle waited for its turn, that one comes first.
        if self._next is not None and not await self._take(self._next):
            return
        for fraction, entry in self._steps:
            if not isinstance(entry, CycleEntry):
                await self._apply(entry)
            elif not await self._take(entry):
                return
            self.fraction = fraction

    async def _take(self, entry: CycleEntry) -> bool:
        # Whether it was within the part that is to be played.
        if self._stop_at is not None and entry.now > self._stop_at:
            return False
        self._next = entry
        await self._pacer.turn(entry, lambda: self._paused)
        self._next = None
        await self._replay(entry)
        return True

    async def _replay(self, entry: CycleEntry) -> None:
        self._before_cycle(entry)
        while self.clock.now_ns() < entry.now:
            self.clock.advance((entry.now - self.clock.now_ns()) / SECOND_NS)
        if entry.dispatched:
            await self.cycle()
        else:
            self.emit_up_to(entry.now)


class ReplayEngine(Engine):
    """An engine that plays a tape. Everything that reads an Engine reads it; nothing in it reads the wall clock.

    No feed is opened and no health is judged: the tape says what came, what was decided and when each cycle was.

    Args:
        tape: What to play.
        speed: Seconds of the tape per second; `math.inf` for as fast as it goes.
        start: UTC ns; earlier cycles are made without waiting, for the state they leave.
        stop: UTC ns after which no cycle is made.
        hold: Stand at the start until `run_for`, `run_to_end` or `resume`.
        pace: Real time, for the waits between cycles.
        settings_file: TOML file with settings that the tape does not have, such as who writes the texts.
        settings: Settings in place of the tape's, by name, such as `analysis_interval_s`.

    Raises:
        ConfigurationError: A setting or a provider of the tape cannot be used in this version.
    """

    clock: ManualClock
    streamer: TapeStreamer

    def __init__(
        self,
        tape: Tape,
        *,
        speed: float = 1.0,
        start: int | None = None,
        stop: int | None = None,
        hold: bool = False,
        pace: Clock | None = None,
        settings_file: Path | None = None,
        **settings: Any,
    ) -> None:
        self.tape = tape
        self._stop_at = stop
        begin = tape.begin if start is None else start
        self._real_time = SystemClock()
        self._pacer = Pacer(
            self._real_time if pace is None else pace,
            speed=speed,
            unpaced_until=begin,
            goal=begin - 1 if hold else None,
        )
        self._stream_digest = StreamDigest()
        self._n_cycles = 0
        self._began: deque[int] = deque(maxlen=50)
        self._compared = False
        self._diverged_at: int | None = None
        self._by_code: dict[int, Provider] = {}
        super().__init__(_settings(tape, settings_file, settings), clock=ManualClock(start_ns=tape.begin))
        for stage, knobs in tape.knobs.items():
            if stage not in self.house.stages:
                raise ConfigurationError(f"{tape.path}: there is no stage {stage!r} in this version of marketstream")
            self.house.stages[stage].set_knobs(knobs)

    @property
    def speed(self) -> float:
        """Seconds of the tape per second; may be set at any time."""
        return self._pacer.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._pacer.speed = speed

    @property
    def position(self) -> int:
        """Return the time of the newest cycle, UTC ns."""
        return self.tape.begin if self.market is None else self.market.now

    @property
    def digest(self) -> str:
        """Return the digest of all that was computed so far, in hexadecimal."""
        self._stream_digest.add(self.market, self.snapshot)
        return self._stream_digest.value().hex()

    @property
    def compared(self) -> bool:
        """Tell whether the tape says what was computed when it was recorded."""
        return self._compared

    def replay_status(self) -> ReplayStatus:
        """Return how far the tape has been played."""
        return ReplayStatus(
            name=self.tape.path.name,
            speed=self.speed,
            begin=self.tape.begin,
            end=self.tape.end,
            position=self.position,
            fraction=self.streamer.fraction,
            cycles=self._n_cycles,
            cycles_per_s=self._cycles_per_s(),
            ended=self.streamer.ended,
            failure="" if self.streamer.failure is None else str(self.streamer.failure),
            diverged_at=self._diverged_at,
        )

    def status(self) -> EngineStatus:
        """Return how the engine fares, with how far the tape has been played."""
        return replace(super().status(), replay=self.replay_status())

    async def run_for(self, seconds: float) -> None:
        """Start if need be, then play `seconds` of the tape, or what is left of it, and stand there.

        Raises:
            MarketStreamError: The tape cannot be played further; the engine stays readable.
        """
        await self._run_until(self.position + round(seconds * SECOND_NS))

    async def run_to_end(self) -> None:
        """Start if need be, then play the tape to its end; raises as `run_for`."""
        await self._run_until(None)

    async def _run_until(self, goal: int | None) -> None:
        await self.ensure_running()
        self._pacer.goal = goal
        self._pacer.move()
        self.resume()
        await self._pacer.waiting.wait()
        if self.streamer.failure is not None:
            raise self.streamer.failure
        await self.handlers.settle()

    async def _apply(self, entry: Entry) -> None:
        # One record of the tape that is no cycle.
        if isinstance(entry, InputEntry):
            provider = self._by_code[entry.provider]
            provider.replay(_input(entry, provider.name))
        elif isinstance(entry, ChangeEntry):
            await self._enact(entry)
        elif isinstance(entry, ProviderEntry):
            provider = self.tape.build(entry, self.clock)
            # Feeds changes a provider in this way: how long quotes of its venue are fresh may be new.
            self.catalog.retime_known(entry.listing)
            self.registry.add(provider, enabled=entry.enabled)
            self._by_code[provider.code] = provider
        elif isinstance(entry, KnobEntry):
            self.house.stages[entry.stage].set_knobs({entry.knob: entry.value})
        elif isinstance(entry, EndEntry):
            self._compare(entry.digest)

    async def _enact(self, entry: ChangeEntry) -> None:
        change = _change(entry)
        if change.kind in (ChangeKind.REMOVED, ChangeKind.DISABLED, ChangeKind.ENABLED):
            # What a feed held when it was stopped is gone, then and now.
            await self.registry.get(change.provider).stop()
        self.registry.enact(change)

    def _before_cycle(self, entry: CycleEntry) -> None:
        self._compare(entry.digest)
        self._n_cycles += 1
        self._began.append(self._real_time.monotonic_ns())

    def _cycles_per_s(self) -> float:
        if not self._began:
            return 0.0
        return len(self._began) * SECOND_NS / max(self._real_time.monotonic_ns() - self._began[0], 1)

    def _compare(self, recorded: bytes) -> None:
        self._stream_digest.add(self.market, self.snapshot)
        self._compared = self._compared or bool(recorded)
        if recorded and self._diverged_at is None and recorded != self._stream_digest.value():
            self._diverged_at = self._n_cycles
            logger.info("%s: the replay differs from the recording at cycle %d", self.tape.path, self._n_cycles)

    def _make_stopwatch(self) -> Clock:
        return self._real_time

    def _make_feeds(self, given: Iterable[Provider] | None) -> Feeds:
        for provider, enabled in self.tape.providers(self.clock):
            self.registry.add(provider, enabled=enabled)
            self._by_code[provider.code] = provider
            provider.status = ProviderStatus.RUNNING if enabled else ProviderStatus.DISABLED
        feeds = Feeds(
            scope="replay",
            registry=self.registry,
            factory=provider_factory(self.settings, self.clock, self.tape.begin),
            store=lambda: self.store,
            clock=self.clock,
            on_event=self.handlers.submit,
        )
        # Whose quotes count when is part of what was recorded.
        feeds.fixed = "a recording is played; its providers are as they were recorded"
        return feeds

    def _make_streamer(self) -> MarketStreamer:
        return TapeStreamer(
            tape=self.tape,
            apply=self._apply,
            pacer=self._pacer,
            stop=self._stop_at,
            before_cycle=self._before_cycle,
            drain=self.registry.drain,
            emit=self.graph.emit,
            dispatch=self.handlers.dispatch,
            clock=self.clock,
            cycle_s=self.settings.cycle_s,
            stopwatch=self.stopwatch,
        )

    async def _open_feeds(self) -> None:
        # There is none to open.
        return

    async def _close_feeds(self) -> None:
        # What came on the tape and was not taken yet stays for a start to come; who waits for it need not.
        self._pacer.release()

    async def _watch_health(self) -> None:
        # What was judged then is on the tape.
        return


def replay(
    path: str | Path,
    *,
    speed: float | str = "max",
    start: int | None = None,
    stop: int | None = None,
    quotes: QuoteFileOptions | None = None,
    **settings: Any,
) -> ReplayEngine:
    """Open a recording, a folder with one, or a file of quotes, for a notebook.

    At speed `max` it moves only when told to, by `run_for` and `run_to_end`; at any other it plays from the start.

    Args:
        path: Such as `recording.msj` or `quotes.csv.gz`.
        speed: Seconds of the recording per second, or `max`.
        start: UTC ns; what comes before is played without waiting.
        stop: UTC ns after which nothing is played.
        quotes: How to read a file of quotes.
        settings: Settings in place of the recording's, by name.

    Raises:
        ConfigurationError: It cannot be read, or a setting cannot be used.
        JournalError: The recording is damaged.
    """
    pace = parse_speed(speed)
    tape = open_tape(Path(path), quotes)
    engine = ReplayEngine(tape, speed=pace, start=start, stop=stop, hold=math.isinf(pace), **settings)
    engine.start()
    return engine


def parse_speed(speed: float | str) -> float:
    """Return a speed that is a number > 0 or `max`, which is infinite.

    >>> parse_speed("max"), parse_speed("10")
    (inf, 10.0)
    """
    if speed == "max":
        return math.inf
    try:
        return check_speed(float(speed))
    except ValueError:
        raise InvalidInputError(f"speed must be a number > 0 or max, was {speed!r}") from None


def check_speed(speed: float) -> float:
    """Return `speed` if it is > 0; InvalidInputError otherwise."""
    if not speed > 0:
        raise InvalidInputError(f"speed must be a number > 0 or max, was {speed}")
    return speed


def _settings(tape: Tape, file: Path | None, given: dict[str, Any]) -> Settings:
    try:
        # Nothing of a replay is kept in the store of the live engine.
        return load_settings(file, **{**tape.settings, "warmup_s": 0, "store_url": "memory", **given})
    except ConfigurationError as error:
        raise ConfigurationError(f"{tape.path}: {error}") from None


def _input(entry: InputEntry, name: str) -> Input:
    kind = InputKind(entry.kind)
    body = unpack_rows(entry.body).tobytes() if kind is InputKind.ROWS else entry.body
    return Input(provider=name, kind=kind, epoch=entry.epoch, ts=entry.ts, key=entry.key, body=body)


def _change(entry: ChangeEntry) -> RegistryChange:
    return RegistryChange(
        kind=ChangeKind(entry.kind),
        provider=entry.provider,
        ts=entry.ts,
        enabled=entry.enabled,
        status=ProviderStatus(entry.status),
        trust=np.frombuffer(entry.trust, dtype=TRUST_DTYPE),
        rows=unpack_rows(entry.rows),
        events=tuple(event_from_json(event) for event in entry.events),
    )
