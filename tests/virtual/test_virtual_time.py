"""The virtual loop and its network, on which the hours of test_hour.py run."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from virtual_network import MAX_DELAY_S
from virtual_time import LATENESS_S, START_NS, StandstillError, VirtualMachine, current_loop, run

HOUR_NS = 3_600_000_000_000


async def sleepers(n: int) -> list[int]:
    """Let `n` tasks sleep for the same time, and return the order in which they woke."""
    woken: list[int] = []

    async def sleep(i: int) -> None:
        await asyncio.sleep(1.0)
        woken.append(i)

    await asyncio.gather(*(sleep(i) for i in range(n)))
    return woken


async def echo(n: int) -> tuple[list[bytes], bytes]:
    """Send `n` words to a server of this loop and return the pieces in which they came, and all of them again."""
    pieces: list[bytes] = []

    class Pieces(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            pieces.append(data)

    loop = current_loop()
    server = await loop.create_server(Pieces, "127.0.0.1", 0)
    transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", server.port)
    sent = b""
    for i in range(n):
        sent += b"word %d;" % i
        transport.write(b"word %d;" % i)
    transport.close()
    await asyncio.sleep(2 * n * LATENESS_S + 2 * MAX_DELAY_S)
    server.close()
    return pieces, sent


def test_an_hour_of_sleep_takes_an_hour_of_the_loop() -> None:
    async def main() -> float:
        await asyncio.sleep(3600.0)
        return current_loop().time()

    assert run(main(), seed=1) == pytest.approx(3600.0, abs=2 * LATENESS_S)


def test_timers_of_one_moment_fire_in_an_order_that_only_the_seed_decides() -> None:
    orders = [run(sleepers(5), seed=seed) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1


def test_callbacks_keep_the_order_in_which_they_were_handed_in() -> None:
    async def main() -> list[int]:
        called: list[int] = []
        for i in range(20):
            asyncio.get_running_loop().call_soon(called.append, i)
        await asyncio.sleep(1.0)
        return called

    assert all(run(main(), seed=seed) == list(range(20)) for seed in range(5))


def test_waiting_for_what_never_comes_is_told() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandstillError, match="never come"):
        run(main(), seed=1)


def test_turning_round_without_time_passing_is_told() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110 the fault that must be told
            await asyncio.sleep(0)

    with pytest.raises(StandstillError, match="no time has passed"):
        run(main(), seed=1)


def test_there_are_no_threads() -> None:
    with pytest.raises(NotImplementedError, match="no threads"):
        run(asyncio.to_thread(len, ()), seed=1)


def test_bytes_arrive_in_order_and_in_pieces_that_the_seed_decides() -> None:
    (first, sent), (again, _), (other, _) = (run(echo(100), seed=seed) for seed in (1, 1, 2))
    assert b"".join(first) == b"".join(other) == sent
    assert first == again != other
    assert len(first) > 100


def test_a_port_that_nobody_listens_on_refuses() -> None:
    async def main() -> None:
        await current_loop().create_connection(asyncio.Protocol, "127.0.0.1", 9)

    with pytest.raises(ConnectionRefusedError):
        run(main(), seed=1)


class Ends(asyncio.Protocol):
    """Notes how its connection ends."""

    def __init__(self) -> None:
        self.ended: list[object] = []

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append(exc)


@pytest.mark.parametrize(("cut", "hears"), [(False, [ConnectionResetError]), (True, [])])
def test_the_peer_hears_of_an_abort_unless_the_link_is_cut(cut: bool, hears: list[type]) -> None:
    async def main() -> list[object]:
        loop, peer = current_loop(), Ends()
        server = await loop.create_server(lambda: peer, "127.0.0.1", 0)
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", server.port)
        await asyncio.sleep(1.0)
        transport.link.cut = cut
        transport.abort()
        await asyncio.sleep(60.0)
        return peer.ended

    assert [type(error) for error in run(main(), seed=1)] == hears


def test_a_reader_that_pauses_gets_all_of_it_later() -> None:
    async def main() -> bytes:
        loop = current_loop()
        got: list[bytes] = []

        class Reader(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                got.append(data)

        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        transport, _ = await loop.create_connection(Reader, "127.0.0.1", server.port)
        transport.pause_reading()
        await asyncio.sleep(1.0)
        for word in (b"one ", b"two"):
            transport.peer.write(word)
        await asyncio.sleep(1.0)
        assert not got
        transport.resume_reading()
        await asyncio.sleep(1.0)
        return b"".join(got)

    assert run(main(), seed=1) == b"one two"


def test_a_machine_whose_wall_clock_is_set_has_a_program_clock_that_never_goes_back() -> None:
    async def main() -> list[int]:
        machine = VirtualMachine(current_loop())
        clock = machine.clock()
        seen = [clock.now_ns()]
        for step in (-3600.0, 3600.0, 3600.0):
            machine.step_wall(step)
            await clock.sleep(1.0)
            seen.append(clock.now_ns())
        return seen

    seen = run(main(), seed=1)
    assert seen[0] == START_NS
    passed = [after - before for before, after in itertools.pairwise(seen)]
    assert passed == [pytest.approx(1e9, abs=5e6), pytest.approx(1e9, abs=5e6), pytest.approx(HOUR_NS + 1e9, abs=5e6)]
