"""`marketstream dead-letters`: list, show, replay or discard what the running program could not deal with.

The program owns its store, so this asks the program's API.
"""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from marketstream.cli.options import add_settings, plain, settings_of
from marketstream.errors import InvalidInputError, MarketStreamError, TransientError

if TYPE_CHECKING:
    from marketstream.cli.options import Commands

ACTIONS = ("list", "show", "replay", "discard")
STATUSES = ("waiting", "replayed", "discarded", "all")
TIMEOUT_S = 60.0  # a replay goes through all its retries before it is answered
PAGE = 200
PATH = "/streaming/dead-letters"


def add(commands: Commands) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "dead-letters", help="list, show, replay or discard events that the running program could not deal with"
    )
    command.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="what to do (default: list)")
    command.add_argument("id", nargs="?", help="id of the letter: handler:event_id")
    command.add_argument("--all", action="store_true", help="with replay: every letter that waits, oldest first")
    command.add_argument("--status", choices=STATUSES, default="waiting", help="with list: which (default: waiting)")
    command.add_argument("--handler", help="with list and --all: only those of this handler")
    command.add_argument("--api", metavar="URL", help="address of the program (default: as the settings say)")
    add_settings(command)
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen; 1 where a letter that was replayed failed again or, of all, was refused."""
    check(chosen)
    program = Program(address_of(chosen))
    if chosen.action == "list":
        return print_list(program, chosen)
    if chosen.action == "show":
        print(json.dumps(program.get(letter_path(chosen.id)), indent=2))
        return 0
    if chosen.all:
        return replay_all(program, waiting_ids(program, chosen.handler))
    letter = program.post(f"{letter_path(chosen.id)}/{chosen.action}")
    print(outcome(letter))
    return int(letter["status"] == "waiting")


def check(chosen: argparse.Namespace) -> None:
    """Raise InvalidInputError where the arguments do not fit together."""
    named = chosen.id is not None
    if chosen.all and (chosen.action != "replay" or named):
        raise InvalidInputError("--all goes with replay and without an id")
    if chosen.action != "list" and not named and not chosen.all:
        raise InvalidInputError(
            f"{chosen.action} needs the id of a dead letter; `marketstream dead-letters` lists them"
        )
    if chosen.action == "list" and named:
        raise InvalidInputError("list takes no id; `show ID` shows one letter")


def address_of(chosen: argparse.Namespace) -> str:
    """Return the base URL of the program's API."""
    if chosen.api is None:
        settings = settings_of(chosen)
        return f"http://{settings.host}:{settings.api_port}"
    if not chosen.api.startswith(("http://", "https://")):
        raise InvalidInputError(f"--api must be a URL such as http://127.0.0.1:8000, was {chosen.api!r}")
    return str(chosen.api).rstrip("/")


class Program:
    """The running program, asked over its API; no proxy of the environment comes between."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        return self._send(urllib.request.Request(self.address + path))  # noqa: S310 - the scheme was checked

    def post(self, path: str) -> Any:
        """Post to a path and return the JSON of the answer."""
        return self._send(urllib.request.Request(self.address + path, method="POST"))  # noqa: S310 - the same

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with self._open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise MarketStreamError(plain(_detail(error))) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise TransientError(
                f"no marketstream answers at {self.address} ({reason}); start it with `marketstream serve`, or name "
                "its address with --api"
            ) from None


def print_list(program: Program, chosen: argparse.Namespace) -> int:
    """Print one line per letter, newest first."""
    count = 0
    for letter in letters(program, None if chosen.status == "all" else chosen.status, chosen.handler):
        count += 1
        line = f"{letter['failed_at']}  {letter['status']:<9}  {letter['id']}  {letter['topic']}"
        print(plain(f"{line}  {letter['attempts']} attempts  {letter['error_type']}: {letter['error']}"))
    print(f"{count} dead letter{'' if count == 1 else 's'}")
    return 0


def letters(program: Program, status: str | None, handler: str | None) -> Iterator[dict[str, Any]]:
    """Yield the letters that match, newest first."""
    query = {"limit": str(PAGE)}
    query |= {name: value for name, value in (("status", status), ("handler", handler)) if value is not None}
    while True:
        page = program.get(f"{PATH}?{urllib.parse.urlencode(query)}")
        yield from page["rows"]
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def waiting_ids(program: Program, handler: str | None) -> list[str]:
    """Return the ids of all letters that wait, oldest first: effects are done in the order of their events."""
    return [letter["id"] for letter in letters(program, "waiting", handler)][::-1]


def replay_all(program: Program, ids: Sequence[str]) -> int:
    """Replay letter after letter, also where one is refused, such as that of a handler that is gone; 1 then."""
    failed = 0
    for letter_id in ids:
        try:
            letter = program.post(f"{letter_path(letter_id)}/replay")
        except TransientError:
            raise  # the program is gone, and with it all the others
        except MarketStreamError as error:
            failed += 1
            print(plain(f"{letter_id}: refused: {error}"))
        else:
            failed += letter["status"] == "waiting"
            print(outcome(letter))
    if not ids:
        print("no dead letter waits")
    return 1 if failed else 0


def outcome(letter: dict[str, Any]) -> str:
    """Return what became of a letter, in a line."""
    if letter["status"] != "waiting":
        return plain(f"{letter['id']}: {letter['status']}")
    return plain(f"{letter['id']}: failed again, {letter['attempts']} attempts: {letter['error']}")


def letter_path(letter_id: str) -> str:
    """Return the path of one letter.

    >>> letter_path("store:7f-00000001")
    '/streaming/dead-letters/store%3A7f-00000001'
    """
    return f"{PATH}/{urllib.parse.quote(letter_id, safe='')}"


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the program answered {error.code}"
