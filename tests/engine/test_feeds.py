"""Feeds that are configured while the engine runs, and found again by the next one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marketstream.clock import ManualClock
from marketstream.engine import Engine, feeds
from marketstream.engine.feeds import MAX_RUNTIME_INSTRUMENTS
from marketstream.errors import InvalidInputError, NotFoundError
from marketstream.market.events import Topic
from marketstream.market.records import ProviderConfig
from marketstream.settings import load_settings

ELM = ProviderConfig(
    name="elm", kind="simulated", options={"world": "demo", "venue": "birch", "delay_s": 0.2}, enabled=True
)


def new_engine(folder: Path | None = None, **settings: Any) -> Engine:
    store = "memory" if folder is None else f"sqlite:///{folder / 'store.db'}"
    return Engine(load_settings(warmup_s=10, store_url=store, **settings), clock=ManualClock())


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Return a running engine that keeps its records in memory."""
    engine = new_engine()
    await engine.run_for(1.0)
    yield engine
    await engine.close()


async def test_a_provider_that_is_added_starts_and_delivers(engine: Engine) -> None:
    await engine.feeds.add(ELM)
    await engine.run_for(3.0)
    assert engine.registry.get("elm").stats.quotes > 0
    assert engine.feeds.config("elm") is not None
    await engine.handlers.settle()
    assert [e.subject for e in engine.events if e.topic is Topic.PROVIDER_CONFIG] == ["elm"]


async def test_a_provider_may_be_added_switched_off(engine: Engine) -> None:
    await engine.feeds.add(ProviderConfig(name="elm", kind="simulated", options=ELM.options, enabled=False))
    await engine.run_for(1.0)
    assert not engine.registry.is_enabled("elm") and engine.registry.get("elm").stats.quotes == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ProviderConfig(name="alder", kind="simulated", options=ELM.options, enabled=True), "'alder' is there already"),
        (ProviderConfig(name="elm", kind="telepathy", options={}, enabled=True), "kind must be one of"),
        (ProviderConfig(name="elm", kind="simulated", options={"world": "demo"}, enabled=True), "venue"),
        (ProviderConfig(name="elm", kind="simulated", options={"moon": 1}, enabled=True), "moon"),
        (ProviderConfig(name="a/b", kind="simulated", options=ELM.options, enabled=True), "without '/'"),
        (
            ProviderConfig(name="elm", kind="simulated", options=ELM.options, enabled=True, stale_after_s=-1.0),
            "stale_after_s",
        ),
        (
            ProviderConfig(name="inner", kind="binance", options={"ws_url": "ws://127.0.0.1:1"}, enabled=True),
            "ws_url cannot be set at run time",
        ),
    ],
)
async def test_what_cannot_be_used_is_refused_in_a_sentence_and_changes_nothing(
    engine: Engine, config: ProviderConfig, message: str
) -> None:
    before = engine.registry.names
    with pytest.raises(InvalidInputError, match=message):
        await engine.feeds.add(config)
    assert engine.registry.names == before
    assert await engine.store.providers() == ()


def scale(name: str, n_instruments: int) -> ProviderConfig:
    options = {"world": "scale", "venue": "v01", "n_instruments": n_instruments, "n_venues": 1}
    return ProviderConfig(name=name, kind="simulated", options=options, enabled=False)


async def test_more_instruments_than_the_cap_are_refused_before_one_of_them_is_in_the_catalogue(engine: Engine) -> None:
    known = {instrument.id for instrument in engine.catalog.instruments}
    before = (engine.catalog.n_instruments, engine.catalog.n_venues, engine.catalog.providers)
    with pytest.raises(InvalidInputError, match=r"beyond 1000.*a declaration file \(--providers\) has no such limit"):
        await engine.feeds.add(scale("big", MAX_RUNTIME_INSTRUMENTS + 1))
    await engine.feeds.add(ELM)
    with pytest.raises(InvalidInputError, match="beyond 1000"):
        await engine.feeds.change("elm", options=scale("elm", MAX_RUNTIME_INSTRUMENTS + 1).options)
    assert (engine.catalog.n_instruments, engine.catalog.n_venues) == before[:2]
    assert engine.catalog.providers == (*before[2], "elm")
    assert {instrument.id for instrument in engine.catalog.instruments} == known


async def test_instruments_of_removed_feeds_count_and_known_ones_can_come_back(engine: Engine) -> None:
    refused = 0
    for start in range(0, 1500, 100):
        symbols = [f"K{n:05d}/USD" for n in range(start, start + 100)]
        try:
            await engine.feeds.add(
                ProviderConfig(name="kraken", kind="kraken", options={"symbols": symbols}, enabled=False)
            )
        except InvalidInputError:
            refused += 1
        else:
            await engine.feeds.remove("kraken")
    assert refused > 0 and engine.catalog.n_instruments <= MAX_RUNTIME_INSTRUMENTS
    await engine.feeds.add(ELM)  # all that it quotes is known


async def test_more_providers_or_names_than_the_caps_are_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MAX_RUNTIME_NAMES", len(engine.catalog.providers) + 1)
    monkeypatch.setattr(engine.feeds, "_max_providers", len(engine.registry) + 1)
    await engine.feeds.add(ELM)
    with pytest.raises(InvalidInputError, match=rf"beyond {len(engine.registry)}; a declaration file"):
        await engine.feeds.add(replace(ELM, name="oak"))
    await engine.feeds.remove("elm")
    with pytest.raises(InvalidInputError, match="use one of them again"):
        await engine.feeds.add(replace(ELM, name="oak"))
    await engine.feeds.add(ELM)


async def test_what_is_declared_may_be_more_than_the_cap(tmp_path: Path) -> None:
    file = tmp_path / "feeds.json"
    big = {"name": "big", "kind": "simulated", "options": scale("big", MAX_RUNTIME_INSTRUMENTS + 5).options}
    file.write_text(json.dumps({"providers": [big]}))
    engine = new_engine(providers_file=file)
    assert engine.catalog.n_instruments == MAX_RUNTIME_INSTRUMENTS + 5
    await engine.store.open()
    await engine.feeds.change("big", stale_after_s=20.0)
    with pytest.raises(InvalidInputError, match="beyond 1005"):
        await engine.feeds.add(scale("bigger", MAX_RUNTIME_INSTRUMENTS + 6))
    await engine.close()


async def test_options_can_change_and_the_rest_stays(engine: Engine) -> None:
    await engine.feeds.add(ELM)
    await engine.feeds.change("elm", options={"world": "demo", "venue": "cedar"})
    config = engine.feeds.config("elm")
    assert config is not None and config.options == {"world": "demo", "venue": "cedar"} and config.enabled
    assert {v.id for v in engine.registry.get("elm").listing().venues} == {"cedar"}
    await engine.run_for(2.0)
    assert engine.registry.get("elm").stats.quotes > 0


async def test_options_that_cannot_be_used_leave_the_provider_as_it_was(engine: Engine) -> None:
    await engine.feeds.add(ELM)
    with pytest.raises(InvalidInputError, match="mars"):
        await engine.feeds.change("elm", options={"world": "demo", "venue": "mars"})
    await engine.run_for(1.0)
    assert engine.registry.get("elm").stats.quotes > 0
    assert engine.feeds.config("elm") is not None and engine.feeds.config("elm").options == ELM.options  # type: ignore[union-attr]


async def test_how_long_quotes_of_a_real_venue_are_fresh_can_change_while_it_runs(engine: Engine) -> None:
    kraken = ProviderConfig(name="kraken", kind="kraken", options={}, enabled=False)
    await engine.feeds.add(kraken)
    await engine.feeds.change("kraken", stale_after_s=25.0)
    assert engine.catalog.venue("kraken").stale_after_s == 25.0
    assert engine.registry.get("kraken").stale_after_s == 25.0 and not engine.registry.is_enabled("kraken")


async def test_a_name_that_nobody_has_is_not_found(engine: Engine) -> None:
    for work in (engine.feeds.change("moon", enabled=True), engine.feeds.remove("moon"), engine.feeds.check("moon")):
        with pytest.raises(NotFoundError, match="moon"):
            await work


async def test_what_was_configured_is_there_again_at_the_next_start(tmp_path: Path) -> None:
    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    await engine.feeds.add(ELM)
    await engine.feeds.change("cedar", enabled=False)
    await engine.feeds.remove("damson")
    await engine.close()

    engine = new_engine(tmp_path)
    await engine.run_for(1.0)
    assert "elm" in engine.registry and engine.registry.get("elm").stats.quotes > 0
    assert not engine.registry.is_enabled("cedar")
    assert "damson" not in engine.registry
    await engine.feeds.remove("elm")
    await engine.feeds.change("cedar", enabled=True)
    await engine.close()

    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    assert "elm" not in engine.registry and engine.registry.is_enabled("cedar")
    await engine.close()


async def test_a_removed_provider_can_be_added_again_under_its_declared_name(tmp_path: Path) -> None:
    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    damson = engine.feeds.config("damson")
    assert damson is not None
    await engine.feeds.remove("damson")
    await engine.feeds.add(damson)
    await engine.close()
    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    assert engine.registry.is_enabled("damson")
    await engine.close()


async def test_a_kept_configuration_that_no_longer_fits_is_told_and_stops_nothing(tmp_path: Path) -> None:
    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    await engine.store.save_provider(ProviderConfig(name="demo/old", kind="telepathy", options={}, enabled=True))
    await engine.close()
    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    await engine.handlers.settle()
    told = [e.message for e in engine.events if e.subject == "old"]
    assert len(told) == 1 and "cannot be used" in told[0]
    assert "old" not in engine.registry
    await engine.close()


async def test_a_feed_of_the_demo_is_not_found_among_those_of_another_profile(tmp_path: Path) -> None:
    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    await engine.feeds.add(ELM)
    await engine.feeds.change("alder", enabled=False)
    await engine.close()
    engine = new_engine(tmp_path, profile="null")
    await engine.run_for(0.5)
    assert "elm" not in engine.registry and engine.registry.is_enabled("alder")
    await engine.feeds.change("birch", enabled=False)
    await engine.close()
    engine = new_engine(tmp_path)
    await engine.run_for(0.5)
    assert "elm" in engine.registry and not engine.registry.is_enabled("alder") and engine.registry.is_enabled("birch")
    await engine.close()


async def test_a_declared_feed_that_was_only_switched_follows_its_declaration(tmp_path: Path) -> None:
    file = tmp_path / "feeds.toml"

    def declare(venue: str) -> None:
        file.write_text(
            f'[[providers]]\nname = "one"\nkind = "simulated"\noptions = {{ world = "demo", venue = "{venue}" }}\n'
        )

    declare("birch")
    engine = new_engine(tmp_path, providers_file=file)
    await engine.run_for(0.2)
    await engine.feeds.change("one", enabled=False)
    (kept,) = await engine.store.providers()
    assert kept.name == "feeds.toml/one" and kept.options is None and not kept.enabled
    await engine.close()

    declare("cedar")
    engine = new_engine(tmp_path, providers_file=file)
    await engine.run_for(0.2)
    assert [venue.id for venue in engine.registry.get("one").listing().venues] == ["cedar"]
    assert not engine.registry.is_enabled("one")
    await engine.close()


async def test_nothing_can_be_changed_where_feeds_are_fixed(engine: Engine) -> None:
    engine.feeds.fixed = "planted"
    for change in (engine.feeds.add(ELM), engine.feeds.change("alder", enabled=False), engine.feeds.remove("alder")):
        with pytest.raises(InvalidInputError, match="planted"):
            await change
    assert engine.registry.is_enabled("alder")


async def test_a_feed_that_was_made_elsewhere_can_be_switched_and_a_kept_one_of_its_name_is_told(
    tmp_path: Path,
) -> None:
    engine = new_engine(tmp_path)
    await engine.run_for(0.2)
    await engine.feeds.add(ELM)
    (elm,) = (provider for provider in engine.registry if provider.name == "elm")
    await engine.close()
    settings = load_settings(warmup_s=0, store_url=f"sqlite:///{tmp_path / 'store.db'}")
    engine = Engine(settings, clock=ManualClock(), providers=[elm])
    await engine.run_for(0.2)
    await engine.handlers.settle()
    assert any("another provider is named 'elm'" in event.message for event in engine.events)
    await engine.feeds.change("elm")
    assert engine.registry.is_enabled("elm")
    await engine.feeds.change("elm", enabled=False)
    assert not engine.registry.is_enabled("elm")
    await engine.close()


async def test_a_venue_that_is_carried_by_another_feed_keeps_its_time(engine: Engine) -> None:
    first = ProviderConfig(name="k1", kind="kraken", options={}, enabled=False)
    await engine.feeds.add(first)
    with pytest.raises(InvalidInputError, match="known already with another meaning"):
        await engine.feeds.add(ProviderConfig(name="k2", kind="kraken", options={}, enabled=False, stale_after_s=30.0))
    await engine.feeds.remove("k1")
    await engine.feeds.add(ProviderConfig(name="k2", kind="kraken", options={}, enabled=False, stale_after_s=30.0))
    assert engine.catalog.venue("kraken").stale_after_s == 30.0


async def test_a_check_says_how_a_provider_is(engine: Engine) -> None:
    assert (await engine.feeds.check("birch")).status == "RUNNING"
