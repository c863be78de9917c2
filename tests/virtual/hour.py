"""One run in virtual time: a Binance of two gateways, a Kraken, the program, and a saboteur.

`run_hour(seed)` returns the raw trace of everything that came out. What must hold for it is in hour_checks.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack

from fault_plan import FAULTS, Planned, Saboteur, plan
from hour_program import Parts, Program
from hour_trace import FEEDS, Trace
from virtual_exchange import Exchange, Gateway
from virtual_kraken import VirtualKraken
from virtual_time import VirtualMachine, current_loop, run

from marketstream.market.catalog import Catalog

HOUR_S = 3600.0


def run_hour(
    seed: int, *, length_s: float = HOUR_S, parts: Parts | None = None, faults: Iterable[str] = tuple(FAULTS)
) -> Trace:
    """Run the scenario and return its trace.

    Args:
        seed: Of everything: prices, faults, network and order.
        length_s: Virtual seconds.
        parts: What the program is made of; the real parts by default.
        faults: Names of the faults that are played.
    """
    return run(_hour(seed, length_s, parts or Parts(), plan(seed, length_s, faults)), seed=seed)


async def _hour(seed: int, length_s: float, parts: Parts, faults: list[Planned]) -> Trace:
    loop = current_loop()
    machine = VirtualMachine(loop)
    exchange = Exchange(random.Random(f"exchange {seed}"))
    async with AsyncExitStack() as venues:
        gateways = [await venues.enter_async_context(Gateway(name, exchange, loop.network)) for name in FEEDS]
        kraken = await venues.enter_async_context(VirtualKraken(machine, random.Random(f"kraken {seed}")))
        trace = Trace(catalog=Catalog(), exchange=exchange, kraken=kraken.walking)
        program = Program(machine, gateways, kraken, trace, seed, parts)
        saboteur = Saboteur(gateways, kraken, machine, loop, seed)
        trades = exchange.trade(lambda: machine.true_ns() // 1_000_000), kraken.trade()
        background = [asyncio.create_task(trade) for trade in trades]
        await program.start()
        background += [asyncio.create_task(_later(saboteur, planned)) for planned in faults]
        await asyncio.sleep(length_s)
        trace.ended_at = loop.time()
        await program.stop()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
    for gateway in gateways:
        trace.sessions[gateway.name] = gateway.sessions
        trace.dials[gateway.name] = [dial for dial in loop.network.dials if dial.port == gateway.port]
    trace.faults = saboteur.log
    return trace


async def _later(saboteur: Saboteur, planned: Planned) -> None:
    await asyncio.sleep(planned.at_s)
    await saboteur.play(planned)
