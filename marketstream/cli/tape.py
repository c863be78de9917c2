"""What `record`, `replay` and `serve --replay` share: the options that name a tape, and how its quotes are counted."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketstream.clock import SECOND_NS
from marketstream.errors import InvalidInputError

if TYPE_CHECKING:
    from marketstream.engine.replaying import ReplayEngine


def add_playing(command: argparse.ArgumentParser) -> None:
    """Add the options that say how a tape is played and how a file of quotes is read."""
    command.add_argument("--speed", default="1", metavar="N|max", help="seconds of it per second (default: 1)")
    command.add_argument(
        "--from",
        dest="start",
        metavar="TIME",
        help="UTC time (ISO 8601) or seconds from its begin; nothing waits before",
    )
    command.add_argument("--to", dest="stop", metavar="TIME", help="the same for the end")
    quotes = command.add_argument_group("files of quotes")
    quotes.add_argument(
        "--map", default="", metavar="ts=time,...", help="the file's names of ts, instrument, venue, bid, ask, *_size"
    )
    quotes.add_argument("--venue", help="venue of a file without a column for it (default: named after the file)")
    quotes.add_argument(
        "--alias",
        action="append",
        default=[],
        metavar="A=B",
        help="read instrument A as B; may be repeated",
    )
    quotes.add_argument(
        "--keep-currencies", action="store_true", help="never read dollars and stable coins as one currency"
    )
    quotes.add_argument("--stale-after", type=float, metavar="SECONDS", help="age at which a quote is stale")
    quotes.add_argument("--fee-bps", type=float, default=0.0, metavar="BPS", help="fee of every venue (default: 0)")


def open_replay(path: Path, chosen: argparse.Namespace, *, hold: bool = False, **settings: Any) -> ReplayEngine:
    """Return the engine that plays `path` as the options say.

    Raises:
        MarketStreamError: The file or an option cannot be used.
    """
    from marketstream.engine.replaying import ReplayEngine, parse_speed
    from marketstream.engine.tapes import open_tape
    from marketstream.providers.quote_files import QuoteFileOptions

    options = QuoteFileOptions(
        columns=_pairs(chosen.map.split(",") if chosen.map else [], "--map"),
        venue=chosen.venue,
        alias=_pairs(chosen.alias, "--alias"),
        keep_currencies=chosen.keep_currencies,
        stale_after_s=chosen.stale_after,
        fee=chosen.fee_bps / 1e4,
    )
    speed = parse_speed(chosen.speed)
    tape = open_tape(path, options)
    start, stop = (moment(text, tape.begin) for text in (chosen.start, chosen.stop))
    if start is not None and stop is not None and start > stop:
        raise InvalidInputError(f"--from {chosen.start} is after --to {chosen.stop}")
    return ReplayEngine(tape, speed=speed, start=start, stop=stop, hold=hold, **settings)


def moment(text: str | None, begin: int) -> int | None:
    """Return a time as UTC ns: ISO 8601 (UTC unless it says otherwise), or seconds from `begin`.

    >>> moment("1.5", 0), moment("2026-01-01T00:00:00Z", 0), moment(None, 0)
    (1500000000, 1767225600000000000, None)
    """
    if text is None:
        return None
    try:
        return begin + round(float(text) * SECOND_NS)
    except (ValueError, OverflowError):
        pass
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"a time is written 2026-01-01T12:00:00Z or as seconds, was {text!r}") from None
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    whole = parsed - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (whole.days * 86_400 + whole.seconds) * SECOND_NS + whole.microseconds * 1000


def quotes_taken_in(n: int) -> str:
    """Return in words how many quotes went into the stream: what a recording writes and a replay of it plays.

    >>> quotes_taken_in(18509)
    '18,509 quotes in the stream (reserve lines not counted)'
    """
    return f"{n:,} quote{'' if n == 1 else 's'} in the stream (reserve lines not counted)"


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, mark, value = (part.strip() for part in text.partition("="))
        if not (mark and name and value):
            raise InvalidInputError(f"{option} takes NAME=NAME, was {text!r}")
        found[name] = value
    return found
