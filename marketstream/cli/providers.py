"""`marketstream providers`: list what a profile or a file declares, without connecting to anything."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from marketstream.cli.options import add_feeds, say, settings_of

if TYPE_CHECKING:
    from marketstream.cli.options import Commands, say


def add(commands: Commands) -> None:
    """Add the subcommand."""
    command = commands.add_parser("providers", help="list the providers that a profile or a file declares")
    add_feeds(command)
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print one line per provider."""
    from marketstream.clock import SystemClock
    from marketstream.engine.feeds import declarations_of, provider_factory

    settings, clock = settings_of(chosen), SystemClock()
    factory = provider_factory(settings, clock, clock.now_ns())
    for declaration in declarations_of(settings):
        provider = factory.build(declaration)
        listing = provider.listing()
        venues = ", ".join(venue.id for venue in listing.venues)
        note = "" if declaration.enabled else " (disabled)"
        say(f"{provider.name:<20} {provider.kind:<12} {len(listing.instruments):>4} instruments on {venues}{note}")
    return 0
