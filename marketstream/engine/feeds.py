"""Feeds: which providers an engine has. Declared ones at the start; added, changed and removed ones while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
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

MAX_RUNTIME_INSTRUMENTS = 1000
"""Instruments of the catalogue up to which feeds can be added or changed at run time; those of a declaration file, of
which there may be more, raise it. None ever leaves the catalogue, and every cycle goes through all."""
MAX_RUNTIME_PROVIDERS = 100
"""Providers up to which one can be added at run time, unless more are declared."""
MAX_RUNTIME_NAMES = 1000
"""Names of providers, removed ones included, up to which a new one can be taken at run time: each keeps its code."""
_FILE = "a declaration file (--providers) has no such limit"


class Feeds:
    """Add, change and remove the providers of a registry at run time, and keep what was changed in the store.

    What was configured here is applied again at the next start with the same profile or file, over what that declares.
    It is kept under its name: a simulated feed that was added to the demo is not found among live ones. A change that
    the store cannot keep (TransientError) is taken back.

    Args:
        scope: Name of the profile or file.
        registry: Owns the providers.
        factory: Makes them.
        store: Returns what keeps the configurations.
        clock: Stamps changes.
        on_event: Called with each change.
        declared: What profile or file declare.
        given: Providers that were made elsewhere.

    Attributes:
        fixed: Why nothing may be changed, such as while a recording is played; empty where it may.

    Raises:
        ConfigurationError: A declaration cannot be used.
    """

    def __init__(
        self,
        *,
        scope: str,
        registry: ProviderRegistry,
        factory: ProviderFactory,
        store: Callable[[], Store],
        clock: Clock,
        on_event: Callable[[MarketEvent], object],
        declared: Iterable[ProviderDeclaration] = (),
        given: Iterable[Provider] = (),
    ) -> None:
        self.fixed = ""
        self._scope = scope
        self._registry = registry
        self._factory = factory
        self._store = store
        self._clock = clock
        self._on_event = on_event
        # A change awaits other tasks: two at once must not mix.
        self._turn = asyncio.Lock()
        self._declared: dict[str, ProviderConfig] = {}
        for declaration in declared:
            registry.add(factory.build(declaration), enabled=declaration.enabled)
            self._declared[declaration.name] = _config(declaration)
        for provider in given:
            registry.add(provider)
        self._configs = dict(self._declared)
        self._max_instruments = max(MAX_RUNTIME_INSTRUMENTS, registry.catalog.n_instruments)
        self._max_providers = max(MAX_RUNTIME_PROVIDERS, len(registry))

    def config(self, name: str) -> ProviderConfig | None:
        """Return how a provider is configured; None for one that was made elsewhere."""
        return self._configs.get(name)

    async def add(self, config: ProviderConfig) -> None:
        """Make a provider and start it.

        Raises:
            InvalidInputError: The name is taken, the kind is unknown, an option cannot be used, there would be more
                providers or instruments than may be added at run time, or feeds are `fixed`.
        """
        async with self._changing():
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
            InvalidInputError: An option cannot be used, there would be more instruments than may be added at run time,
                the provider was made elsewhere and has no options, or feeds are `fixed`.
        """
        async with self._changing():
            self._registry.get(name)
            before = self._configs.get(name)
            anew = options is not None or stale_after_s is not None
            if before is not None:
                _refuse_addresses(options, before.options)
                after = replace(
                    before,
                    enabled=before.enabled if enabled is None else enabled,
                    options=before.options if options is None else options,
                    stale_after_s=before.stale_after_s if stale_after_s is None else stale_after_s,
                )
                await self._change(before, after, anew=anew)
            elif anew:
                raise InvalidInputError(f"provider {name!r} was not made from a configuration; only enabled can change")
            elif enabled is not None:
                await self._switch(name, enabled=enabled)

    async def remove(self, name: str) -> None:
        """Stop a provider and forget it.

        Raises:
            NotFoundError: There is none of that name.
            InvalidInputError: Feeds are `fixed`.
        """
        async with self._changing():
            self._registry.get(name)
            config = self._configs.get(name)
            # Kept first: where that cannot be done the provider stays, and may be removed later.
            if config is not None and name in self._declared:
                # The next start would declare it again: what is kept says that it is gone.
                await self._save(replace(config, removed=True, options=None))
            elif config is not None:
                await self._store().forget_provider(self._key(name))
            await self._registry.remove(name)
            if config is not None:
                del self._configs[name]
                self._tell(config, "removed")

    async def check(self, name: str) -> HealthReport:
        """Ask a provider how it is, no longer than the registry's time-out."""
        return await self._registry.check(name)

    async def restore(self) -> None:
        """Apply what an earlier run has kept; one that cannot be applied is logged and told, the others are."""
        for kept in await self._store().providers():
            scope, _, name = kept.name.rpartition("/")
            if scope != self._scope:
                continue
            config = replace(kept, name=name)
            try:
                await self._apply(config)
            except MarketStreamError as error:
                logger.warning("the kept configuration of provider %r cannot be used: %s", name, error)
                self._tell(config, f"kept configuration cannot be used: {error}")

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        if self.fixed:
            raise InvalidInputError(self.fixed)
        async with self._turn:
            yield

    async def _apply(self, config: ProviderConfig) -> None:
        declared = self._declared.get(config.name)
        if config.options is None:
            # What became of a declared provider; where nobody declares it any more it says nothing.
            if declared is not None:
                await self._override(declared, config)
        elif config.name not in self._registry:
            await self._enter(config)
        elif declared is not None:
            await self._replace(declared, config)
        else:
            raise InvalidInputError(f"another provider is named {config.name!r}")

    async def _override(self, declared: ProviderConfig, config: ProviderConfig) -> None:
        if config.removed:
            await self._registry.remove(config.name)
            del self._configs[config.name]
            return
        await self._switch(config.name, enabled=config.enabled)
        self._configs[config.name] = replace(declared, enabled=config.enabled)

    async def _change(self, before: ProviderConfig, after: ProviderConfig, *, anew: bool) -> None:
        name = before.name
        await (self._replace(before, after) if anew else self._switch(name, enabled=after.enabled))
        try:
            await self._keep(after, "changed")
        except MarketStreamError:
            await (self._replace(after, before) if anew else self._switch(name, enabled=before.enabled))
            self._configs[name] = before
            raise

    async def _enter(self, config: ProviderConfig, made: Provider | None = None) -> None:
        provider = self._make(config) if made is None else made
        self._retime(provider)
        self._registry.add(provider, enabled=config.enabled)
        if config.enabled:
            await self._registry.enable(config.name)
        self._configs[config.name] = config

    async def _replace(self, before: ProviderConfig, after: ProviderConfig) -> None:
        # Made before the old one goes: what cannot be used changes nothing.
        made = self._make(after)
        await self._registry.remove(before.name)
        try:
            await self._enter(after, made)
        except InvalidInputError:
            await self._enter(before)
            raise

    def _retime(self, provider: Provider) -> None:
        # How long quotes are fresh is the venue's, and changes with the only provider that carries it; all else about
        # a venue that is known may not change.
        catalog = self._registry.catalog
        carried = {venue.id for other in self._registry for venue in other.listing().venues}
        known = {venue.id for venue in catalog.venues} - carried
        for venue in provider.listing().venues:
            if venue.id in known:
                catalog.retime(venue.id, venue.stale_after_s)

    async def _switch(self, name: str, *, enabled: bool) -> None:
        await (self._registry.enable(name) if enabled else self._registry.disable(name))

    def _make(self, config: ProviderConfig) -> Provider:
        given = {"name": config.name, "kind": config.kind, "stale_after_s": config.stale_after_s}
        if config.name not in self._registry:
            self._refuse_number()
        try:
            made = self._factory.build(read_declaration(given | {"options": dict(config.options or {})}, "provider"))
        except ConfigurationError as error:
            raise InvalidInputError(str(error)) from None
        self._refuse_growth(made)
        return made

    def _refuse_number(self) -> None:
        if len(self._registry) >= self._max_providers:
            raise InvalidInputError(
                f"there are {len(self._registry)} providers, and at run time none is added beyond "
                f"{self._max_providers}; {_FILE}"
            )

    def _refuse_growth(self, provider: Provider) -> None:
        # What has entered the catalogue stays in it, also when its provider goes.
        catalog = self._registry.catalog
        if provider.name not in catalog.providers and len(catalog.providers) >= MAX_RUNTIME_NAMES:
            raise InvalidInputError(
                f"{len(catalog.providers)} names of providers were used since the start, and at run time none is taken "
                f"beyond {MAX_RUNTIME_NAMES}; use one of them again"
            )
        known = {instrument.id for instrument in catalog.instruments}
        new = {instrument.id for instrument in provider.listing().instruments} - known
        if new and len(known) + len(new) > self._max_instruments:
            raise InvalidInputError(
                f"{len(new)} more instruments would make {len(known) + len(new)}, and at run time none is added beyond "
                f"{self._max_instruments}, removed providers' included; {_FILE}"
            )

    async def _keep(self, config: ProviderConfig, what: str) -> None:
        # Of a declared provider that was only switched no options are kept: they stay those of its declaration.
        only_switched = _same_feed(config, self._declared.get(config.name))
        await self._save(replace(config, options=None) if only_switched else config)
        self._configs[config.name] = config
        self._tell(config, what)

    async def _save(self, config: ProviderConfig) -> None:
        await self._store().save_provider(replace(config, name=self._key(config.name), updated_at=self._clock.now_ns()))

    def _key(self, name: str) -> str:
        # No name of a provider has a slash.
        return f"{self._scope}/{name}"

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


def scope_of(settings: Settings) -> str:
    """Return the name under which run-time configurations are kept: the file's, or the profile's."""
    return settings.profile if settings.providers_file is None else settings.providers_file.name


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
