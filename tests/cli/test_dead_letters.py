"""`marketstream dead-letters` against a real server: an analyst sees, replays and discards from a shell."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from mailer import Mailer

from marketstream.api.app import create_app
from marketstream.api.server import api_server
from marketstream.cli import main
from marketstream.cli.dead_letters import waiting_ids
from marketstream.clock import ManualClock
from marketstream.engine import Engine
from marketstream.settings import Settings

Command = Callable[..., Awaitable[int]]


@pytest.fixture
def mailer() -> Mailer:
    return Mailer("no such\x1b[31mmailbox")


@pytest.fixture
async def command(mailer: Mailer) -> AsyncIterator[Command]:
    """Return the command, run against a server whose engine has three dead letters."""
    engine = Engine(Settings(warmup_s=20), clock=ManualClock())
    await engine.run_for(1.0)
    engine.handlers.add_effect("mailer", mailer.handle, topics=("engine.status.changed",))
    for switch in (engine.pause, engine.resume, engine.pause):
        switch()
    await engine.handlers.settle()
    server = api_server(create_app(engine), port=0)
    serving = asyncio.create_task(server.serve())
    await server.listening.wait()

    async def run(*arguments: str) -> int:
        url = f"http://127.0.0.1:{server.port}"
        return await asyncio.to_thread(main, ["dead-letters", *arguments, "--api", url])

    yield run
    server.should_exit = True
    await serving
    await engine.close()


async def ids(command: Command, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert await command("list", *arguments) == 0
    *lines, _ = capsys.readouterr().out.splitlines()
    return [line.split()[2] for line in lines]


async def test_the_list_says_what_failed_and_why(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command() == 0
    *letters, count = capsys.readouterr().out.splitlines()
    assert count == "3 dead letters"
    assert all("mailer:" in line and "engine.status.changed" in line and "1 attempts" in line for line in letters)


async def test_what_a_venue_or_an_error_says_cannot_steer_the_terminal(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ((), ("replay", "--all")):
        await command(*arguments)
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "no such?[31mmailbox" in out


async def test_one_letter_is_shown_whole(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    newest, *_ = await ids(command, capsys)
    assert await command("show", newest) == 0
    letter = json.loads(capsys.readouterr().out)
    assert letter["id"] == newest
    assert letter["payload"]["message"] == "Stream paused."


async def test_a_replay_that_goes_well_says_so(
    command: Command, mailer: Mailer, capsys: pytest.CaptureFixture[str]
) -> None:
    newest, *_ = await ids(command, capsys)
    mailer.mended = True
    assert await command("replay", newest) == 0
    assert capsys.readouterr().out == f"{newest}: replayed\n"
    assert len(await ids(command, capsys)) == 2
    assert await ids(command, capsys, "--status", "replayed") == [newest]


async def test_a_replay_that_fails_again_ends_with_1(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    newest, *_ = await ids(command, capsys)
    assert await command("replay", newest) == 1
    assert f"{newest}: failed again, 2 attempts" in capsys.readouterr().out


async def test_all_are_replayed_in_the_order_in_which_they_failed(
    command: Command, mailer: Mailer, capsys: pytest.CaptureFixture[str]
) -> None:
    mailer.mended = True
    assert await command("replay", "--all") == 0
    messages = [event.message for event in mailer.sent]
    assert messages == ["Stream paused.", "Stream resumed.", "Stream paused."]
    capsys.readouterr()
    assert await command("replay", "--all") == 0
    assert capsys.readouterr().out == "no dead letter waits\n"


async def test_a_letter_that_is_refused_does_not_hold_up_the_others(
    command: Command, mailer: Mailer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "marketstream.cli.dead_letters.waiting_ids", lambda *given: ["gone:1", *waiting_ids(*given), "gone:2"]
    )
    mailer.mended = True
    assert await command("replay", "--all") == 1
    first, *others, last = capsys.readouterr().out.splitlines()
    assert first == "gone:1: refused: no dead letter 'gone:1'" and last.startswith("gone:2: refused: ")
    assert len(others) == 3 and all(line.endswith(": replayed") for line in others)


async def test_more_letters_than_a_page_are_all_found(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await ids(command, capsys)
    monkeypatch.setattr("marketstream.cli.dead_letters.PAGE", 1)
    assert await ids(command, capsys) == whole


async def test_what_is_discarded_waits_no_more(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    newest, *rest = await ids(command, capsys)
    assert await command("discard", newest) == 0
    assert capsys.readouterr().out == f"{newest}: discarded\n"
    assert await ids(command, capsys) == rest
    assert await command("replay", newest) == 2
    assert "was discarded already" in capsys.readouterr().err


async def test_a_handler_can_be_asked_for(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(await ids(command, capsys, "--handler", "mailer")) == 3
    assert await ids(command, capsys, "--handler", "store") == []


async def test_an_unknown_letter_is_said_in_a_sentence(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("show", "nobody:1") == 2
    assert capsys.readouterr().err == "marketstream: no dead letter 'nobody:1'\n"


def test_where_nothing_answers_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert main(["dead-letters", "--api", address]) == 2
    said = capsys.readouterr().err
    assert f"no marketstream answers at {address}" in said
    assert "marketstream serve" in said and "Traceback" not in said


class SomethingElse(BaseHTTPRequestHandler):
    """A server that is no marketstream."""

    def do_GET(self) -> None:
        self.send_response(200 if "waiting" in self.path else 500)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "no marketstream answers at"), (["show", "a:1"], "the program answered 500")]
)
def test_what_answers_otherwise_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), SomethingElse) as other:
        thread = Thread(target=other.handle_request)
        thread.start()
        assert main(["dead-letters", *arguments, "--api", f"http://127.0.0.1:{other.server_port}/"]) == 2
        thread.join()
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show"], "show needs the id"),
        (["replay"], "replay needs the id"),
        (["discard", "--all"], "--all goes with replay"),
        (["replay", "a:1", "--all"], "without an id"),
        (["list", "a:1"], "list takes no id"),
        (["--api", "ftp://127.0.0.1"], "--api must be a URL"),
        (["--api", "file:///etc/passwd"], "--api must be a URL"),
    ],
)
def test_arguments_that_do_not_fit_are_said_before_anything_is_asked(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead-letters", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_without_an_address_the_settings_say_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETSTREAM_API_PORT", "1")
    assert main(["dead-letters"]) == 2
    assert "no marketstream answers at http://127.0.0.1:1 " in capsys.readouterr().err
