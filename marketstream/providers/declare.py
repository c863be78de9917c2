"""Providers declared in a JSON or TOML file, checked strictly. The built-in profiles are in profiles/."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any
from weakref import WeakValueDictionary

import msgspec

from marketstream.clock import Clock
from marketstream.errors import ConfigurationError, InvalidInputError
from marketstream.providers.base import Provider
from marketstream.providers.simulated import MAX_DELAY_S, SimulatedProvider
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_world import World
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.providers.venues.symbols import MAX_SYMBOLS
from marketstream.settings import PROFILES

MAX_FILE_BYTES = 1_000_000

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_Symbols = Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=MAX_SYMBOLS)]


class SimulatedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of kind `simulated`.

    Attributes:
        world: `demo`, `null`, `planted` or `scale`.
        venue: Id of the venue in that world.
        seed: Of the world; the engine's seed unless given.
        n_instruments: Size of the world `scale`.
        n_venues: Size of the world `scale`.
        delay_s: How much later everything arrives than over the venue's fastest line, seconds, at most 60.
    """

    world: str
    venue: str
    seed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    n_instruments: int | None = None
    n_venues: int | None = None
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_DELAY_S)] = 0.0


class BinanceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of kind `binance`.

    Attributes:
        symbols: Spot pairs such as `BTCUSDT`.
        ws_url: Base URL of the stream.
        rest_url: Base URL of the REST interface.
    """

    symbols: _Symbols | None = None
    ws_url: str | None = None
    rest_url: str | None = None


class KrakenOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of kind `kraken`.

    Attributes:
        symbols: Spot pairs such as `BTC/USD`.
        ws_url: Address of the stream.
    """

    symbols: _Symbols | None = None
    ws_url: str | None = None


Options = SimulatedOptions | BinanceOptions | KrakenOptions

KINDS: Mapping[str, type[Options]] = {
    "simulated": SimulatedOptions,
    "binance": BinanceOptions,
    "kraken": KrakenOptions,
}
"""Kinds of providers that can be declared, and their options."""


class _Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: _Name
    kind: str
    enabled: bool = True
    stale_after_s: _Seconds = 10.0
    options: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDeclaration:
    """One declared provider.

    Attributes:
        name: Unique in the file.
        kind: One of KINDS.
        options: Checked options of that kind.
        enabled: Whether it is started with the engine.
        stale_after_s: Silence after which it counts as degraded, seconds.
        source: The file that declares it, for messages.
    """

    name: str
    kind: str
    options: Options
    enabled: bool = True
    stale_after_s: float = 10.0
    source: str = "declaration"


def load_declarations(path: str | os.PathLike[str]) -> list[ProviderDeclaration]:
    """Return the providers that a `.json` or `.toml` file declares.

    Raises:
        ConfigurationError: The file cannot be read, or something in it is unknown, of the wrong type or
            declared twice; the message names the file, the provider and the key.
    """
    file = Path(path)
    if file.suffix not in (".json", ".toml"):
        raise ConfigurationError(f"{file}: providers are declared in a .json or .toml file")
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{file}: larger than {MAX_FILE_BYTES} bytes, which no list of providers is")
    return _declarations(_parse(data, file.suffix, str(file)), str(file))


def profile_declarations(name: str) -> list[ProviderDeclaration]:
    """Return the providers of a built-in profile.

    >>> [d.name for d in profile_declarations("live")]
    ['binance', 'kraken']
    """
    if name not in PROFILES:
        raise ConfigurationError(f"unknown profile {name!r}; there are {', '.join(PROFILES)}")
    data = resources.files("marketstream.providers").joinpath("profiles", f"{name}.toml").read_bytes()
    return _declarations(_parse(data, ".toml", f"profile {name}"), f"profile {name}")


def read_declaration(item: object, source: str) -> ProviderDeclaration:
    """Return one provider of plain values, checked as strictly as a file; `source` is for messages.

    Raises:
        ConfigurationError: Something in it is unknown or of the wrong type; the message names the key.
    """
    return _declaration(item, 1, source)


@dataclass(slots=True, kw_only=True)
class ProviderFactory:
    """Make providers of declarations; simulated ones of the same world share it, and it lasts as long as they do.

    Args:
        clock: Given to every provider.
        start_ns: UTC ns at which simulated worlds begin.
        seed: Of worlds that name none.
        binance_ws_url: Overrides the declared URL, for a loopback venue.
        binance_rest_url: Overrides the declared URL.
        binance_symbols: Overrides the declared symbols.
    """

    clock: Clock
    start_ns: int
    seed: int = 7
    binance_ws_url: str | None = None
    binance_rest_url: str | None = None
    binance_symbols: Sequence[str] | None = None
    _worlds: WeakValueDictionary[tuple[object, ...], World] = field(default_factory=WeakValueDictionary, repr=False)

    def build(self, declaration: ProviderDeclaration) -> Provider:
        """Return a new provider, not attached and not started; ConfigurationError when an option is wrong."""
        try:
            if isinstance(declaration.options, SimulatedOptions):
                return self._simulated(declaration, declaration.options)
            if isinstance(declaration.options, KrakenOptions):
                return self._kraken(declaration, declaration.options)
            return self._binance(declaration, declaration.options)
        except (InvalidInputError, ConfigurationError) as error:
            raise ConfigurationError(f"{declaration.source}: provider {declaration.name!r}: {error}") from None

    def _simulated(self, declaration: ProviderDeclaration, options: SimulatedOptions) -> Provider:
        seed = self.seed if options.seed is None else options.seed
        key = (options.world, seed, options.n_instruments, options.n_venues)
        world = self._worlds.get(key)
        if world is None:
            spec = make_world_spec(options.world, n_instruments=options.n_instruments, n_venues=options.n_venues)
            spec.venue(options.venue)  # raises where there is none: a world takes time and memory
            world = self._worlds[key] = World(spec, seed=seed, start_ns=self.start_ns)
        return SimulatedProvider(
            name=declaration.name,
            clock=self.clock,
            world=world,
            venue=options.venue,
            stale_after_s=declaration.stale_after_s,
            delay_s=options.delay_s,
        )

    def _binance(self, declaration: ProviderDeclaration, options: BinanceOptions) -> Provider:
        chosen = {
            "symbols": self.binance_symbols or options.symbols,
            "ws_url": self.binance_ws_url or options.ws_url,
            "rest_url": self.binance_rest_url or options.rest_url,
        }
        return BinanceProvider(
            name=declaration.name, clock=self.clock, stale_after_s=declaration.stale_after_s, **_given(chosen)
        )

    def _kraken(self, declaration: ProviderDeclaration, options: KrakenOptions) -> Provider:
        chosen = _given(msgspec.structs.asdict(options))
        return KrakenProvider(
            name=declaration.name, clock=self.clock, stale_after_s=declaration.stale_after_s, **chosen
        )


def _given(chosen: Mapping[str, Any]) -> dict[str, Any]:
    # What nobody chose is left to the provider.
    return {key: value for key, value in chosen.items() if value is not None}


def _parse(data: bytes, suffix: str, source: str) -> object:
    try:
        if suffix == ".json":
            return msgspec.json.decode(data)
        return tomllib.loads(data.decode())
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{source}: not valid {suffix[1:].upper()}: {error}") from None


def _declarations(raw: object, source: str) -> list[ProviderDeclaration]:
    if not isinstance(raw, dict) or set(raw) != {"providers"} or not isinstance(raw["providers"], list):
        found = sorted(map(str, raw)) if isinstance(raw, dict) else type(raw).__name__
        raise ConfigurationError(f"{source}: needs the one key 'providers', a list of tables; found {found}")
    if not raw["providers"]:
        raise ConfigurationError(f"{source}: declares no provider")
    declarations: list[ProviderDeclaration] = []
    for position, item in enumerate(raw["providers"], start=1):
        declaration = _declaration(item, position, source)
        if any(d.name == declaration.name for d in declarations):
            raise ConfigurationError(f"{source}: provider {declaration.name!r} is declared twice; names are unique")
        declarations.append(declaration)
    return declarations


def _declaration(item: object, position: int, source: str) -> ProviderDeclaration:
    name = item.get("name") if isinstance(item, dict) else None
    where = f"{source}: provider {name!r}" if isinstance(name, str) else f"{source}: provider number {position}"
    raw = _checked(item, _Raw, where)
    if raw.kind not in KINDS:
        raise ConfigurationError(f"{where}: kind must be one of {', '.join(KINDS)}, was {raw.kind!r}")
    if not raw.name.isprintable() or "/" in raw.name or raw.name != raw.name.strip() or raw.name in (".", ".."):
        raise ConfigurationError(f"{where}: name must be printable text that an address can hold, without '/'")
    options = _checked(raw.options, KINDS[raw.kind], f"{where}: options")
    return ProviderDeclaration(
        name=raw.name,
        kind=raw.kind,
        options=options,
        enabled=raw.enabled,
        stale_after_s=raw.stale_after_s,
        source=source,
    )


def _checked(item: object, form: type[Any], where: str) -> Any:
    try:
        return msgspec.convert(item, form)
    except msgspec.ValidationError as error:
        allowed = ", ".join(f.encode_name for f in msgspec.structs.fields(form))
        raise ConfigurationError(f"{where}: {error}; allowed keys: {allowed}") from None
