"""Which feeds an engine opens: those declared in a profile or a file."""

from __future__ import annotations

from collections.abc import Iterable

from marketstream.clock import Clock
from marketstream.providers.base import Provider
from marketstream.providers.declare import ProviderFactory, load_declarations, profile_declarations
from marketstream.settings import Settings


def declared_providers(
    settings: Settings, clock: Clock, start_ns: int, given: Iterable[Provider] | None = None
) -> list[tuple[Provider, bool]]:
    """Return the feeds to open, each with whether it is enabled: `given`, or the file's, or the profile's.

    Args:
        settings: Names the file or the profile.
        clock: Given to every provider.
        start_ns: UTC ns at which simulated worlds begin.
        given: Feeds made elsewhere.
    """
    if given is not None:
        return [(provider, True) for provider in given]
    if settings.providers_file is not None:
        declarations = load_declarations(settings.providers_file)
    else:
        declarations = profile_declarations(settings.profile)
    factory = ProviderFactory(
        clock=clock,
        start_ns=start_ns,
        seed=settings.seed,
        binance_ws_url=settings.binance_ws_url,
        binance_rest_url=settings.binance_rest_url,
        binance_symbols=settings.binance_symbols,
    )
    return [(factory.build(declaration), declaration.enabled) for declaration in declarations]
