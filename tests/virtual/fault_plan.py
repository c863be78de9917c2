"""What goes wrong in a virtual hour, and when: a seeded plan of faults of venue, network and machine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from virtual_exchange import Gateway
from virtual_kraken import VirtualKraken
from virtual_time import VirtualLoop, VirtualMachine

FIRST_AT_S = 30.0
MIN_PAUSE_S, MAX_PAUSE_S = 20.0, 70.0
MIN_LENGTH_S, MAX_LENGTH_S = 5.0, 45.0
GARBAGE: tuple[str | bytes, ...] = (
    "<html>busy</html>",
    b'{"e":"\xff\xfe"}',
    '{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1',
    '{"e":"depthUpdate","E":1672515782136,"s":"BTCUSDT","U":"1","u":2,"b":[["NaN","1"]],"a":[]}',
    '{"u":99999999999,"s":"BTCUSDT","b":"NaN","B":"1","a":"1","A":"1"}',
    '{"u":5,"s":"DOGEUSDT","b":"1","B":"1","a":"2","A":"1"}',
    '{"stream":"btcusdt@depth@100ms"}',
    '{"e":' * 5_000,
    "null",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault: when it begins, which, to whom (0 the first feed, 1 the reserve), and for how long."""

    at_s: float
    name: str
    target: int
    length_s: float


class Saboteur:
    """Play faults on gateways, links and clocks.

    Attributes:
        log: What was played, as (virtual seconds, name, gateway).
    """

    def __init__(
        self, gateways: list[Gateway], kraken: VirtualKraken, machine: VirtualMachine, loop: VirtualLoop, seed: int
    ) -> None:
        self.gateways = gateways
        self.kraken = kraken
        self.machine = machine
        self.log: list[tuple[float, str, str]] = []
        self._loop = loop
        self._rng = random.Random(f"saboteur {seed}")

    async def play(self, planned: Planned) -> None:
        """Play one fault to its end."""
        gateway = self.gateways[planned.target]
        self.log.append((self._loop.time(), planned.name, gateway.name))
        await FAULTS[planned.name](self, gateway, planned.length_s)

    async def silence_with_pings(self, gateway: Gateway, length_s: float) -> None:
        """Send no data, but pings."""
        gateway.mood.silent = True
        for _ in range(int(length_s)):
            await asyncio.sleep(1.0)
            await gateway.ping()
        gateway.mood.silent = False

    async def outage(self, gateway: Gateway, length_s: float) -> None:
        """Let every gateway fall silent at once."""
        del gateway
        for each in self.gateways:
            each.mood.silent = True
        await asyncio.sleep(length_s)
        for each in self.gateways:
            each.mood.silent = False

    async def close_1000(self, gateway: Gateway, length_s: float) -> None:
        """Close politely."""
        await gateway.hang_up(1000)

    async def close_1006(self, gateway: Gateway, length_s: float) -> None:
        """Cut the connection without a word."""
        await gateway.hang_up(None)

    async def restart(self, gateway: Gateway, length_s: float) -> None:
        """Close with 1012; the ids begin anew elsewhere."""
        await gateway.restart()

    async def going_away(self, gateway: Gateway, length_s: float) -> None:
        """Announce the end of the connection."""
        await gateway.say('{"e":"serverShutdown","E":1672515782136}')

    async def garbage(self, gateway: Gateway, length_s: float) -> None:
        """Send what is no frame of this venue."""
        for _ in range(5):
            await gateway.say(self._rng.choice(GARBAGE))
            await asyncio.sleep(self._rng.uniform(0.0, 1.0))

    async def gap(self, gateway: Gateway, length_s: float) -> None:
        """Leave out an update or three."""
        gateway.skip(self._rng.randrange(1, 4))

    async def duplicates(self, gateway: Gateway, length_s: float) -> None:
        """Send old frames again, out of order."""
        for _ in range(3):
            await gateway.repeat()
            await asyncio.sleep(self._rng.uniform(0.0, 2.0))

    async def late_ack(self, gateway: Gateway, length_s: float) -> None:
        """Acknowledge late, too late or never."""
        gateway.mood.ack_after_s = self._rng.choice((2.0, 4.0, 7.0, None))
        await self._reconnected(gateway, length_s)
        gateway.mood.ack_after_s = 0.0

    async def refused_subscription(self, gateway: Gateway, length_s: float) -> None:
        """Answer subscriptions with an error."""
        gateway.mood.refuse_subscription = True
        await self._reconnected(gateway, length_s)
        gateway.mood.refuse_subscription = False

    async def slow_rest(self, gateway: Gateway, length_s: float) -> None:
        """Answer snapshots late or too late."""
        gateway.mood.rest_after_s = self._rng.choice((1.0, 4.0, 15.0))
        await self._reconnected(gateway, length_s)
        gateway.mood.rest_after_s = 0.0

    async def rest_refuses(self, gateway: Gateway, length_s: float) -> None:
        """Answer snapshots with 429 or 503."""
        gateway.mood.rest_status, gateway.mood.retry_after = self._busy()
        await self._reconnected(gateway, length_s)
        gateway.mood.rest_status = 200

    async def handshake_refuses(self, gateway: Gateway, length_s: float) -> None:
        """Answer handshakes with 429 or 503."""
        gateway.mood.handshake_status, gateway.mood.retry_after = self._busy()
        await self._reconnected(gateway, length_s)
        gateway.mood.handshake_status = None

    async def clock_ahead(self, gateway: Gateway, length_s: float) -> None:
        """Let the gateway's own clock be ahead, at times by more than is believed."""
        gateway.mood.ahead_ms = self._rng.choice((1_500, 3_000, 3_600_000))
        await asyncio.sleep(length_s)
        gateway.mood.ahead_ms = 0

    async def black_hole(self, gateway: Gateway, length_s: float) -> None:
        """Cut the links so that nobody is told, and answer no dial for a while."""
        self._loop.network.lost.add(gateway.port)
        gateway.cut()
        await asyncio.sleep(length_s)
        self._loop.network.lost.discard(gateway.port)

    async def wall_clock_step(self, gateway: Gateway, length_s: float) -> None:
        """Set the machine's wall clock an hour forward or back."""
        self.machine.step_wall(self._rng.choice((-3600.0, 3600.0)))

    async def kraken_heartbeats_only(self, gateway: Gateway, length_s: float) -> None:
        """Let Kraken send heartbeats and no book."""
        self.kraken.silent = True
        for _ in range(int(length_s)):
            await asyncio.sleep(1.0)
            await self.kraken.say('{"channel":"heartbeat"}')
        self.kraken.silent = False

    async def kraken_close(self, gateway: Gateway, length_s: float) -> None:
        """Let Kraken close, politely or not."""
        await self.kraken.hang_up(self._rng.choice((1000, 1012, None)))

    async def kraken_lost_frames(self, gateway: Gateway, length_s: float) -> None:
        """Lose frames of Kraken on the way; only the checksum of the next one can tell."""
        self.kraken.skip = self._rng.randrange(1, 4)

    async def kraken_wrong_checksums(self, gateway: Gateway, length_s: float) -> None:
        """Let Kraken send wrong checksums, at times in the snapshots that follow too."""
        self.kraken.spoil = self._rng.randrange(1, 4)
        self.kraken.manners.wrong_snapshots = self._rng.randrange(3)

    async def kraken_no_answer(self, gateway: Gateway, length_s: float) -> None:
        """Let Kraken acknowledge no subscription."""
        self.kraken.manners.acknowledge = False
        await self.kraken.hang_up(None)
        await asyncio.sleep(length_s)
        self.kraken.manners.acknowledge = True

    async def kraken_refuses(self, gateway: Gateway, length_s: float) -> None:
        """Let Kraken answer handshakes with 503."""
        self.kraken.behaviour.handshake_status = 503
        await self.kraken.hang_up(None)
        await asyncio.sleep(length_s)
        self.kraken.behaviour.handshake_status = None

    async def _reconnected(self, gateway: Gateway, length_s: float) -> None:
        await gateway.hang_up(None)
        await asyncio.sleep(length_s)

    def _busy(self) -> tuple[int, dict[str, str]]:
        return self._rng.choice(((429, {"Retry-After": "7"}), (503, {}), (503, {"Retry-After": "3"})))


Play = Callable[[Saboteur, Gateway, float], Awaitable[None]]
FAULTS: dict[str, Play] = {
    play.__name__: play
    for play in (
        Saboteur.silence_with_pings, Saboteur.outage, Saboteur.close_1000, Saboteur.close_1006, Saboteur.restart,
        Saboteur.going_away, Saboteur.garbage, Saboteur.gap, Saboteur.duplicates, Saboteur.late_ack,
        Saboteur.refused_subscription, Saboteur.slow_rest, Saboteur.rest_refuses, Saboteur.handshake_refuses,
        Saboteur.clock_ahead, Saboteur.black_hole, Saboteur.wall_clock_step, Saboteur.kraken_heartbeats_only,
        Saboteur.kraken_close,
        Saboteur.kraken_lost_frames, Saboteur.kraken_wrong_checksums, Saboteur.kraken_no_answer,
        Saboteur.kraken_refuses,
    )
}  # fmt: skip
"""Every fault by name."""


def plan(seed: int, length_s: float, names: Iterable[str] = tuple(FAULTS)) -> list[Planned]:
    """Return the faults of a run: each of `names` in turn, in seeded order, until the time is up."""
    rng = random.Random(f"plan {seed}")
    planned, at_s = [], FIRST_AT_S
    for name in _in_turns(rng, sorted(names)):
        if at_s > length_s - MAX_LENGTH_S:
            break
        length = rng.uniform(MIN_LENGTH_S, MAX_LENGTH_S)
        # The first feed suffers most: what happens to a reserve nobody looks at is less telling.
        planned.append(Planned(at_s=at_s, name=name, target=int(rng.random() < 0.3), length_s=length))
        at_s += rng.uniform(MIN_PAUSE_S, MAX_PAUSE_S)
    return planned


def _in_turns(rng: random.Random, names: list[str]) -> Iterator[str]:
    while True:
        rng.shuffle(names)
        yield from names
