"""Settings from arguments, environment and file."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketstream.errors import ConfigurationError
from marketstream.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MARKETSTREAM_{name.upper()}", raising=False)


def test_the_defaults_need_nothing() -> None:
    settings = load_settings()
    assert (settings.profile, settings.host, settings.dashboard_port, settings.api_port) == (
        "demo",
        "127.0.0.1",
        5006,
        8000,
    )


def test_arguments_win_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('profile = "null"\nseed = 1\ncycle_s = 0.2\n')
    monkeypatch.setenv("MARKETSTREAM_SEED", "2")
    monkeypatch.setenv("MARKETSTREAM_CYCLE_S", "0.3")
    settings = load_settings(file, cycle_s=0.4, api_port=None)
    assert (settings.profile, settings.seed, settings.cycle_s, settings.api_port) == ("null", 2, 0.4, 8000)


def test_a_mistyped_variable_is_named_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSTREAM_API_PROT", "9000")
    with pytest.raises(ConfigurationError, match="did you mean MARKETSTREAM_API_PORT"):
        load_settings()


def test_symbols_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSTREAM_BINANCE_SYMBOLS", "btcusdt, ETHUSDT,")
    assert load_settings().binance_symbols == ("BTCUSDT", "ETHUSDT")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"profile": "moon"}, "profile: Input should be 'demo', 'null', 'planted' or 'live'"),
        ({"cycle_s": 0}, "cycle_s: Input should be greater than or equal to 0.01"),
        ({"cycle_s": "nan"}, "cycle_s: Input should be"),
        ({"api_port": 70000}, "api_port: Input should be less than or equal to 65535"),
        ({"dashboard_port": 8000}, "dashboard_port and api_port must differ"),
        ({"host": "0.0.0.0"}, "host: host must be a loopback address such as 127.0.0.1, was '0.0.0.0'"),
        ({"host": "::1"}, "host must be a loopback address such as 127.0.0.1, was '::1'"),
        ({"host": "example.org"}, "host must be a loopback address"),
        ({"binance_symbols": " , "}, "binance_symbols must name symbols"),
        ({"sede": 1}, "sede: Extra inputs are not permitted"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**values)
    assert message in str(caught.value)


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no settings file at"):
        load_settings(tmp_path / "none.toml")
    file = tmp_path / "settings.toml"
    file.write_text("prof = 'demo'")
    with pytest.raises(ConfigurationError, match="prof: Extra inputs"):
        load_settings(file)
    file.write_bytes(b'profile = "\xff"')
    with pytest.raises(ConfigurationError, match=r"settings\.toml is not TOML"):
        load_settings(file)
    file.write_text("this is no TOML")
    with pytest.raises(ConfigurationError, match=r"settings\.toml is not TOML"):
        load_settings(file)


def test_settings_cannot_change_after_they_were_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().seed = 3  # type: ignore[misc]


def test_without_a_word_about_models_the_narrator_writes_alone() -> None:
    settings = load_settings()
    assert (settings.llm, settings.llm_base_url, settings.llm_model, settings.llm_api_key) == ("none", None, None, None)


def test_a_key_of_a_model_server_is_shown_nowhere() -> None:
    settings = load_settings(llm="openai", llm_model="gpt-4o-mini", llm_api_key="sk-canary")
    assert "sk-canary" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:11434/v1", "http://[::1]:8080/v1/", "http://localhost:1234/v1", "https://example.org/v1"]
)
def test_a_key_goes_to_loopback_or_over_https(url: str) -> None:
    settings = load_settings(llm="openai", llm_model="m", llm_base_url=url, llm_api_key="sk-canary")
    assert settings.llm_base_url == url.rstrip("/")


KEYED = {"llm": "openai", "llm_model": "m", "llm_api_key": "sk-canary"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"llm": "poet"}, "llm"),
        ({"llm": "openai", "llm_base_url": "http://127.0.0.1:11434/v1"}, "llm_model must name"),
        ({"llm": "openai", "llm_model": "m"}, "llm_api_key is needed"),
        (
            {"llm": "openai", "llm_model": "m", "llm_base_url": "http://example.org/v1", "llm_api_key": "sk-canary"},
            "https",
        ),
        (
            {"llm": "openai", "llm_model": "m", "llm_base_url": "http://10.0.0.8/v1", "llm_api_key": "sk-canary"},
            "https",
        ),
        ({"llm_base_url": "http://127.0.0.1.example.org:x/v1"}, "llm_base_url must be an address"),
        ({"llm_base_url": "ftp://127.0.0.1/v1"}, "llm_base_url must be an address"),
        ({"llm_base_url": "http://user:sk-canary@127.0.0.1/v1"}, "without user"),
        ({"llm_base_url": "http://:sk-canary@127.0.0.1/v1"}, "password"),
        ({"llm_base_url": "http://@127.0.0.1/v1"}, "without user"),
        ({"llm_base_url": "https://example.org/v1?key=sk-canary"}, "query"),
        ({"llm_api_key": "sk-canary\r\nx-more: 1"}, "printable ASCII"),
        ({"llm_api_key": "sk-canary-ü"}, "printable ASCII"),
        ({"llm_deadline_s": 0.0}, "llm_deadline_s"),
    ],
)
def test_a_model_that_cannot_be_asked_safely_is_refused_without_showing_the_key(
    given: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        load_settings(**given)
    assert "sk-canary" not in str(caught.value)


def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSTREAM_LLM_API_KEY", "")
    assert load_settings().llm_api_key is None
