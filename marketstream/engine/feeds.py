"""Feeds: which providers an engine has. Declared ones at the start; added, changed and removed ones while it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import msgspec

from marketstream.clock import Clock
from marketstream.errors import ConfigurationError, InvalidInputError, MarketStreamError
from marketstream.market.events import Json, MarketEvent, Topic
from marketstream.market.records import ProviderConfig
from marketstream.providers.base import HealthReport, Provider
from marketstream.providers.declare import (
    ProviderDeclaration,
    ProviderFactory,
    load_declarations,
    profile_declarations,
    read_declaration,
)
from marketstream.providers.registry import ProviderRegistry
from marketstream.settings import Settings
from marketstream.store.repository import Store

logger = logging.getLogger(__name__)


class Feeds:
    """Add, change and remove the providers of a registry at run time, and keep what was changed in the store.

    What was configured here is applied again at the next start, over what profile or file declare. A change that the
    store cannot keep (TransientError) is taken back.

    Args:
        registry: Owns the providers.
        factory: Makes them.
        store: Returns what keeps the configurations.
        clock: Stamps changes.
        on_event: Called with each change.
        declared: What profile or file declare.
        given: Providers that were made elsewhere.

    Raises:
        ConfigurationError: A declaration cannot be used.
    """

    def __init__(
        self,
        *,
        registry: ProviderRegistry,
        factory: ProviderFactory,
        store: Callable[[], Store],
        clock: Clock,
        on_event: Callable[[MarketEvent], object],
        declared: Iterable[ProviderDeclaration] = (),
        given: Iterable[Provider] = (),
    ) -> None:
        self._registry = registry
        self._factory = factory
        self._store = store
        self._clock = clock
        self._on_event = on_event
        self._declared: dict[str, ProviderConfig] = {}
        for declaration in declared:
            registry.add(factory.build(declaration), enabled=declaration.enabled)
            self._declared[declaration.name] = _config(declaration)
        for provider in given:
            registry.add(provider)
        self._configs = dict(self._declared)

    def config(self, name: str) -> ProviderConfig | None:
        """Return how a provider is configured; None for one that was made elsewhere."""
        return self._configs.get(name)

    async def add(self, config: ProviderConfig) -> None:
        """Make a provider and start it.

        Raises:
            InvalidInputError: The name is taken, the kind is unknown, or an option cannot be used.
        """
        _refuse_addresses(config.options, None)
        if config.name in self._registry:
            raise InvalidInputError(f"provider {config.name!r} is there already; change it, or remove it first")
        await self._enter(config)
        try:
            await self._keep(config, "added")
        except MarketStreamError:
            # What the next start would not know of is not there now either.
            await self._registry.remove(config.name)
            self._configs.pop(config.name, None)
            raise

    async def change(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        options: Mapping[str, Json] | None = None,
        stale_after_s: float | None = None,
    ) -> None:
        """Switch a provider, or make it anew with other options; what is not given stays.

        Raises:
            NotFoundError: There is none of that name.
            InvalidInputError: An option cannot be used, or the provider was made elsewhere and has none.
        """
        self._registry.get(name)
        before = self._configs.get(name)
        anew = options is not None or stale_after_s is not None
        if before is None:
            if anew:
                raise InvalidInputError(f"provider {name!r} was not made from a configuration; only enabled can change")
            await self._switch(name, enabled=bool(enabled))
            return
        _refuse_addresses(options, before.options)
        after = replace(
            before,
            enabled=before.enabled if enabled is None else enabled,
            options=before.options if options is None else options,
            stale_after_s=before.stale_after_s if stale_after_s is None else stale_after_s,
        )
        if anew:
            await self._replace(before, after)
        else:
            await self._switch(name, enabled=after.enabled)
        try:
            await self._keep(after, "changed")
        except MarketStreamError:
            await (self._replace(after, before) if anew else self._switch(name, enabled=before.enabled))
            self._configs[name] = before
            raise

    async def remove(self, name: str) -> None:
        """Stop a provider and forget it; NotFoundError when there is none of that name."""
        self._registry.get(name)
        config = self._configs.get(name)
        # Kept first: where that cannot be done the provider stays, and may be removed later.
        if config is not None and name in self._declared:
            # The next start would declare it again: what is kept says that it is gone.
            await self._store().save_provider(replace(config, removed=True, updated_at=self._clock.now_ns()))
        elif config is not None:
            await self._store().forget_provider(name)
        await self._registry.remove(name)
        if config is not None:
            del self._configs[name]
            self._tell(config, "removed")

    async def check(self, name: str) -> HealthReport:
        """Ask a provider how it is, no longer than the registry's time-out."""
        return await self._registry.check(name)

    async def restore(self) -> None:
        """Apply what an earlier run has kept; one that cannot be applied is logged and told, the others are."""
        for config in await self._store().providers():
            try:
                await self._apply(config)
            except MarketStreamError as error:
                logger.warning("the kept configuration of provider %r cannot be used: %s", config.name, error)
                self._tell(config, f"kept configuration cannot be used: {error}")

    async def _apply(self, config: ProviderConfig) -> None:
        known = config.name in self._registry
        if config.removed:
            if known:
                await self._registry.remove(config.name)
                self._configs.pop(config.name, None)
        elif not known:
            await self._enter(config)
        elif _same_feed(config, self._configs.get(config.name)):
            await self._switch(config.name, enabled=config.enabled)
            self._configs[config.name] = config
        else:
            await self._replace(self._configs[config.name], config)

    async def _enter(self, config: ProviderConfig) -> None:
        provider = self._make(config)
        self._registry.add(provider, enabled=config.enabled)
        if config.enabled:
            await self._registry.enable(config.name)
        self._configs[config.name] = config

    async def _replace(self, before: ProviderConfig, after: ProviderConfig) -> None:
        # Made before the old one goes: what cannot be used changes nothing.
        self._make(after)
        await self._registry.remove(before.name)
        try:
            self._retime(after)
            await self._enter(after)
        except InvalidInputError:
            self._retime(before)
            await self._enter(before)
            raise

    def _retime(self, config: ProviderConfig) -> None:
        # How long quotes are fresh is the venue's; everything else about a venue that is known may not change.
        catalog = self._registry.catalog
        known = {venue.id for venue in catalog.venues}
        for venue in self._make(config).listing().venues:
            if venue.id in known:
                catalog.retime(venue.id, venue.stale_after_s)

    async def _switch(self, name: str, *, enabled: bool) -> None:
        await (self._registry.enable(name) if enabled else self._registry.disable(name))

    def _make(self, config: ProviderConfig) -> Provider:
        given = {"name": config.name, "kind": config.kind, "stale_after_s": config.stale_after_s}
        try:
            return self._factory.build(read_declaration(given | {"options": dict(config.options or {})}, "provider"))
        except ConfigurationError as error:
            raise InvalidInputError(str(error)) from None

    async def _keep(self, config: ProviderConfig, what: str) -> None:
        kept = replace(config, updated_at=self._clock.now_ns())
        await self._store().save_provider(kept)
        self._configs[config.name] = kept
        self._tell(config, what)

    def _tell(self, config: ProviderConfig, what: str) -> None:
        self._on_event(
            MarketEvent(
                ts=self._clock.now_ns(),
                topic=Topic.PROVIDER_CONFIG,
                subject=config.name,
                message=f"Provider {what}.",
                data={"kind": config.kind, "enabled": config.enabled, "change": what},
            )
        )


def declarations_of(settings: Settings) -> list[ProviderDeclaration]:
    """Return what the settings' file or profile declares; ConfigurationError when it cannot be used."""
    if settings.providers_file is not None:
        return load_declarations(settings.providers_file)
    return profile_declarations(settings.profile)


def provider_factory(settings: Settings, clock: Clock, start_ns: int) -> ProviderFactory:
    """Return the maker of providers; simulated worlds begin at `start_ns` (UTC ns)."""
    return ProviderFactory(
        clock=clock,
        start_ns=start_ns,
        seed=settings.seed,
        binance_ws_url=settings.binance_ws_url,
        binance_rest_url=settings.binance_rest_url,
        binance_symbols=settings.binance_symbols,
    )


def _refuse_addresses(options: Mapping[str, Json] | None, known: Mapping[str, Json] | None) -> None:
    # Whoever may name an address may make this program call any server that it can reach, also inside a network.
    for name, value in (options or {}).items():
        if name.endswith("_url") and (known or {}).get(name) != value:
            raise InvalidInputError(f"{name} cannot be set at run time; declare the provider in a file (--providers)")


def _config(declaration: ProviderDeclaration) -> ProviderConfig:
    options = msgspec.to_builtins(declaration.options)
    return ProviderConfig(
        name=declaration.name,
        kind=declaration.kind,
        options={key: value for key, value in options.items() if value is not None},
        enabled=declaration.enabled,
        stale_after_s=declaration.stale_after_s,
    )


def _same_feed(config: ProviderConfig, known: ProviderConfig | None) -> bool:
    return known is not None and (config.kind, config.options, config.stale_after_s) == (
        known.kind,
        known.options,
        known.stale_after_s,
    )
