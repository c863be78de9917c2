"""Virtual time: an asyncio loop whose clock jumps to the next timer, so that an hour of waits takes seconds.

`run(main(), seed=3)` is `asyncio.run` on such a loop. It has no sockets and no threads: connections and servers are
made by virtual_network.py inside the loop, and libraries such as websockets and httpx2 run on it as they are.

What the seed decides is only what asyncio leaves open, so that every order seen here can happen in earnest:

- a timer fires up to `LATENESS_S` late, so that timers of one moment fire in any order (asyncio: "undefined");
- bytes take any time to arrive and arrive in any pieces, though in order, as TCP has it.

Callbacks of `call_soon` keep the order in which they were handed in: that is promised, and code may rely on it.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from virtual_network import VirtualNetwork, VirtualServer

from marketstream.clock import SECOND_NS, SystemClock

T = TypeVar("T")
START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: virtual time begins there."""
LATENESS_S = 0.001
MAX_IDLE_TURNS = 100_000


class StandstillError(AssertionError):
    """Nothing can happen any more, or all happens at one moment."""


class _Jump:
    # Where a real loop waits for sockets, this one moves its time on to the next timer.
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise StandstillError("every task waits for something that will never come")
        self._turns = 0 if timeout > 0 else self._turns + 1
        if self._turns > MAX_IDLE_TURNS:
            raise StandstillError(f"{MAX_IDLE_TURNS} turns of the loop and no time has passed")
        if timeout > 0:
            self._loop.jump()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop with a clock, a network and an order of its own. Equal seeds give equal runs."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = random.Random(f"lateness {seed}")
        self._moment = 0.0
        self._selector = _Jump(self)
        self._thread = threading.get_ident()
        self.network = VirtualNetwork(self, random.Random(f"network {seed}"))

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._moment

    def jump(self) -> None:
        """Move time on to the next timer. Called where a real loop would wait."""
        self._moment = max(self._moment, self._scheduled[0].when())  # type: ignore[attr-defined]

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at `when` or a little later."""
        return super().call_at(when + self._rng.uniform(0.0, LATENESS_S), callback, *args, context=context)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """Connect to a server of this loop."""
        if options.get("ssl"):
            raise NotImplementedError("the virtual network has no TLS")
        return await self.network.connect(protocol_factory, port)

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> VirtualServer:
        """Listen on a port of the virtual network; 0 takes a free one."""
        return self.network.listen(protocol_factory, port or 0)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Refuse: what a thread does has no place in virtual time."""
        raise NotImplementedError(f"virtual time has no threads (asked to run {func!r})")

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        assert threading.get_ident() == self._thread, "virtual time has no threads"


class VirtualMachine:
    """The hardware clocks of a virtual machine; its wall clock can be set, as NTP or an operator would."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._step_ns = 0

    def monotonic_ns(self) -> int:
        """Return virtual nanoseconds since the loop was made."""
        return round(self._loop.time() * SECOND_NS)

    def true_ns(self) -> int:
        """Return UTC ns as the rest of the world has it."""
        return START_NS + self.monotonic_ns()

    def wall_ns(self) -> int:
        """Return UTC ns as this machine has it."""
        return self.true_ns() + self._step_ns

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self._step_ns += round(seconds * SECOND_NS)

    def clock(self) -> SystemClock:
        """Return the program's own clock, reading this machine; its `sleep` sleeps on the virtual loop."""
        return SystemClock(self.wall_ns, self.monotonic_ns)


def run(main: Coroutine[Any, Any, T], *, seed: int) -> T:
    """Run a coroutine to its end in virtual time and return its result."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        return runner.run(main)


def current_loop() -> VirtualLoop:
    """Return the virtual loop that runs the caller."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop), f"needs a VirtualLoop, runs on {loop!r}"
    return loop
