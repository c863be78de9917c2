"""Declarations: what a file may say, and that every mistake names file, provider and key."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest

from marketstream.clock import ManualClock
from marketstream.errors import ConfigurationError
from marketstream.market.catalog import Catalog
from marketstream.providers.declare import (
    KrakenOptions,
    ProviderDeclaration,
    ProviderFactory,
    SimulatedOptions,
    load_declarations,
    profile_declarations,
    read_declaration,
)
from marketstream.providers.simulated import SimulatedProvider
from marketstream.providers.simulated_world import World
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.settings import PROFILES

GOOD = {"name": "alder", "kind": "simulated", "options": {"world": "demo", "venue": "alder"}}
TOML = """
[[providers]]
name = "alder"
kind = "simulated"
enabled = false
stale_after_s = 4
options = { world = "demo", venue = "alder", seed = 3 }
"""


def write(folder: Path, *providers: object) -> Path:
    path = folder / "feeds.json"
    path.write_text(json.dumps({"providers": providers}))
    return path


@pytest.fixture
def factory() -> ProviderFactory:
    clock = ManualClock()
    return ProviderFactory(clock=clock, start_ns=clock.now_ns(), seed=7)


def test_a_toml_file_says_all_there_is_to_say(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(TOML)
    (declaration,) = load_declarations(path)
    assert (declaration.name, declaration.kind, declaration.enabled) == ("alder", "simulated", False)
    assert declaration.stale_after_s == 4.0
    assert declaration.options == SimulatedOptions(world="demo", venue="alder", seed=3)


def test_json_and_toml_mean_the_same(tmp_path: Path) -> None:
    (from_json,) = load_declarations(write(tmp_path, GOOD))
    assert from_json.options == SimulatedOptions(world="demo", venue="alder")
    assert from_json.enabled is True


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        (GOOD | {"kynd": "x"}, r"feeds.json: provider 'alder'.*kynd.*allowed keys: name, kind, enabled"),
        ({"name": "alder"}, r"provider 'alder'.*kind"),
        ({"kind": "simulated"}, r"provider number 1.*name"),
        (GOOD | {"name": 7}, r"provider number 1.*`str`, got `int`.*name"),
        (GOOD | {"name": ""}, r"provider ''.*length >= 1"),
        (GOOD | {"name": "a\u202eb"}, r"printable"),
        (
            GOOD | {"kind": "krakn"},
            r"provider 'alder': kind must be one of simulated, binance, kraken, was 'krakn'",
        ),
        (GOOD | {"enabled": "yes"}, r"`bool`, got `str`.*enabled"),
        (GOOD | {"stale_after_s": 0}, r"> 0.*stale_after_s"),
        (GOOD | {"stale_after_s": 1e9}, r"3600.*stale_after_s"),
        (GOOD | {"options": {"world": "demo"}}, r"'alder': options.*venue"),
        (
            GOOD | {"options": {"world": "demo", "venue": "alder", "sed": 1}},
            r"sed.*allowed keys: world, venue, seed",
        ),
        (GOOD | {"options": {"world": "demo", "venue": "alder", "seed": -1}}, r"seed"),
        (GOOD | {"options": []}, r"options"),
        ({"name": "b", "kind": "binance", "options": {"symbols": []}}, r"'b': options.*symbols"),
        ({"name": "b", "kind": "binance", "options": {"symbols": "BTCUSDT"}}, r"'b': options.*symbols"),
        ({"name": "k", "kind": "kraken", "options": {"symbols": []}}, r"'k': options.*symbols"),
        ({"name": "k", "kind": "kraken", "options": {"rest_url": "x"}}, r"rest_url.*allowed keys: symbols, ws_url"),
        ("alder", r"provider number 1"),
    ],
)
def test_a_mistake_is_named_with_file_provider_and_key(tmp_path: Path, provider: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_declarations(write(tmp_path, provider))


def test_names_are_unique(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'alder' is declared twice"):
        load_declarations(write(tmp_path, GOOD, GOOD))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("feeds.json", "{", "not valid JSON"),
        ("feeds.json", '{"providers": [{"name": NaN}]}', "not valid JSON"),
        ("feeds.json", "[" * 100_000, "not valid JSON"),
        ("feeds.json", "[]", "needs the one key 'providers'"),
        ("feeds.json", '{"providers": {}}', "needs the one key 'providers'"),
        ("feeds.json", '{"providers": [], "more": 1}', r"found \['more', 'providers'\]"),
        ("feeds.json", '{"providers": []}', "declares no provider"),
        ("feeds.toml", "a = ", "not valid TOML"),
        ("feeds.toml", "stale_after_s = nan", "needs the one key"),
        ("feeds.yaml", "a: 1", r"\.json or \.toml"),
    ],
)
def test_a_file_that_is_no_declaration_is_refused(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        load_declarations(path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load_declarations(path)


def test_a_toml_nan_is_no_number_of_seconds(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(TOML.replace("stale_after_s = 4", "stale_after_s = nan"))
    with pytest.raises(ConfigurationError, match="stale_after_s"):
        load_declarations(path)


def test_a_missing_file_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_declarations(tmp_path / "none.toml")
    huge = tmp_path / "huge.toml"
    huge.write_text("# " + "x" * 1_000_001)
    with pytest.raises(ConfigurationError, match="larger than"):
        load_declarations(huge)


@pytest.mark.parametrize("name", PROFILES)
def test_every_built_in_profile_can_be_built(name: str, factory: ProviderFactory) -> None:
    declarations = profile_declarations(name)
    providers = [factory.build(d) for d in declarations]
    assert [p.name for p in providers] == [d.name for d in declarations]
    venues = {p.listing().venues for p in providers}
    n_reserves = 2 if name == "demo" else 0
    assert (len(venues), len(providers)) == ((2, 2) if name == "live" else (8, 8 + n_reserves))


def test_the_reserves_of_the_demo_come_after_all_whom_they_stand_in_for() -> None:
    named = {d.name: i for i, d in enumerate(profile_declarations("demo"))}
    assert named["alder"] < named["alder-reserve"] and named["tidemark"] < named["tidemark-reserve"]


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown profile 'dmo'; there are demo, null, planted, live"):
        profile_declarations("dmo")


def test_the_venues_of_a_profile_share_one_world(factory: ProviderFactory) -> None:
    providers = [factory.build(d) for d in profile_declarations("demo")]
    worlds = {id(p.world) for p in providers if isinstance(p, SimulatedProvider)}
    assert len(worlds) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"world": "dmo", "venue": "alder"}, "unknown world 'dmo'; there are demo, null, planted, scale"),
        ({"world": "demo", "venue": "oak"}, "no venue 'oak'; it has alder, birch"),
        ({"world": "demo", "venue": "alder", "n_instruments": 5}, "belong to the world 'scale'"),
        ({"world": "scale", "venue": "v01", "n_instruments": 0}, "1 to 9999 instruments"),
    ],
)
def test_an_option_that_cannot_be_met_stops_the_build(
    tmp_path: Path, factory: ProviderFactory, options: dict[str, object], says: str
) -> None:
    (declaration,) = load_declarations(write(tmp_path, GOOD | {"options": options}))
    with pytest.raises(ConfigurationError, match=f"feeds.json: provider 'alder': .*{says}"):
        factory.build(declaration)


def scale(name: str, venue: str, seed: int) -> ProviderDeclaration:
    options = {"world": "scale", "venue": venue, "n_instruments": 3, "n_venues": 2, "seed": seed}
    return read_declaration({"name": name, "kind": "simulated", "options": options}, "test")


def test_a_venue_that_is_not_there_is_refused_before_its_world_is_made(
    factory: ProviderFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(self: World, *args: object, **kwargs: object) -> None:
        raise AssertionError("a world was made")

    monkeypatch.setattr(World, "__init__", made)
    with pytest.raises(ConfigurationError, match="no venue 'v99'"):
        factory.build(scale("elm", "v99", 1))
    with pytest.raises(AssertionError, match="a world was made"):
        factory.build(scale("elm", "v01", 1))  # what the check above would see


def test_a_world_ends_with_the_last_provider_that_looks_at_it(factory: ProviderFactory) -> None:
    first, second = factory.build(scale("elm", "v01", 1)), factory.build(scale("oak", "v02", 1))
    assert isinstance(first, SimulatedProvider) and isinstance(second, SimulatedProvider)
    assert first.world is second.world
    world = weakref.ref(first.world)
    del first
    gc.collect()
    assert world() is second.world
    del second
    gc.collect()
    assert world() is None


def test_a_symbol_that_binance_cannot_have_stops_the_build(tmp_path: Path, factory: ProviderFactory) -> None:
    path = write(tmp_path, {"name": "b", "kind": "binance", "options": {"symbols": ["what is this"]}})
    with pytest.raises(ConfigurationError, match="provider 'b'"):
        factory.build(load_declarations(path)[0])


def test_the_settings_override_what_a_binance_declaration_says() -> None:
    clock = ManualClock()
    factory = ProviderFactory(
        clock=clock,
        start_ns=0,
        binance_ws_url="ws://127.0.0.1:9",
        binance_rest_url="http://127.0.0.1:9",
        binance_symbols=("ETHUSDT",),
    )
    provider = factory.build(profile_declarations("live")[0])
    assert isinstance(provider, BinanceProvider)
    assert [s.symbol for s in provider.symbols] == ["ETHUSDT"]


def test_the_live_profile_keeps_dollars_and_tethers_apart(factory: ProviderFactory) -> None:
    catalog = Catalog()
    for declaration in profile_declarations("live"):
        factory.build(declaration).attach(catalog)
    currencies = {i.id: i.quote_currency for i in catalog.instruments}
    assert len(currencies) == 8 + 7
    assert (currencies["BTC-USDT"], currencies["BTC-USD"]) == ("USDT", "USD")
    assert [v.id for v in catalog.venues] == ["binance", "kraken"]


def test_a_kraken_declaration_says_symbols_and_address(tmp_path: Path, factory: ProviderFactory) -> None:
    options = {"symbols": ["BTC/USD", "ETH-EUR"], "ws_url": "ws://127.0.0.1:9/v2"}
    (declaration,) = load_declarations(write(tmp_path, {"name": "k", "kind": "kraken", "options": options}))
    assert declaration.options == KrakenOptions(symbols=("BTC/USD", "ETH-EUR"), ws_url="ws://127.0.0.1:9/v2")
    provider = factory.build(declaration)
    assert isinstance(provider, KrakenProvider)
    assert [s.symbol for s in provider.symbols] == ["BTC/USD", "ETH/EUR"]


@pytest.mark.parametrize("options", [{"symbols": ["what is this"]}, {"ws_url": "ws://ws.kraken.com/v2"}])
def test_what_kraken_cannot_have_stops_the_build(
    tmp_path: Path, factory: ProviderFactory, options: dict[str, object]
) -> None:
    (declaration,) = load_declarations(write(tmp_path, {"name": "k", "kind": "kraken", "options": options}))
    with pytest.raises(ConfigurationError, match=r"feeds\.json: provider 'k': "):
        factory.build(declaration)


def test_a_single_declaration_builds_without_a_factory(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD | {"options": {"world": "scale", "venue": "v02", "n_instruments": 3, "n_venues": 2}})
    provider = ProviderFactory(clock=ManualClock(), start_ns=0, seed=1).build(load_declarations(path)[0])
    assert [i.id for i in provider.listing().instruments] == ["A0001-USD", "A0002-USD", "A0003-USD"]
