"""Settings: environment variables `MARKETSTREAM_...` (or a TOML file) read once by the entry points, then frozen."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from marketstream.errors import ConfigurationError

Profile = Literal["demo", "null", "planted", "live"]
PROFILES: tuple[str, ...] = get_args(Profile)
"""Names of the built-in profiles."""
OTHER_VARIABLES = frozenset({"MARKETSTREAM_TEST_DATA", "MARKETSTREAM_FUZZ", "MARKETSTREAM_SOAK"})
"""Variables of the test suite, which are no settings."""


class Settings(BaseSettings):
    """Everything that can be set from outside. Each field is the variable `MARKETSTREAM_` plus its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="MARKETSTREAM_", frozen=True, extra="forbid")

    profile: Profile = Field(
        "demo", description="Which feeds to open: three simulated profiles, or `live` for key-free public feeds."
    )
    providers_file: Path | None = Field(
        None, description="JSON or TOML file that declares the providers, in place of the profile's own."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; only loopback addresses are accepted.")
    dashboard_port: int = Field(5006, ge=1, le=65535, description="TCP port of the dashboard.")
    api_port: int = Field(8000, ge=1, le=65535, description="TCP port of the REST API.")
    cycle_s: float = Field(0.1, ge=0.01, le=10.0, description="Seconds from one cycle of the stream to the next.")
    analysis_interval_s: float = Field(
        0.5, ge=0.0, le=60.0, description="Least seconds between two house analyses; 0 analyses every cycle."
    )
    health_interval_s: float = Field(1.0, ge=0.1, le=60.0, description="Seconds between health checks of providers.")
    window: int = Field(256, ge=4, le=32_000, description="Reference mids per instrument in the rolling statistics.")
    history_s: int = Field(900, ge=60, le=86_400, description="Seconds of once-a-second history for time windows.")
    seed: int = Field(7, ge=0, description="Seed of the simulated profiles; the same seed gives the same market.")
    warmup_s: int = Field(
        900, ge=0, le=86_400, description="Simulated seconds played before the start, so that charts are full at once."
    )
    binance_ws_url: str | None = Field(
        None, description="WebSocket base URL of Binance, in place of the declared or the public one."
    )
    binance_rest_url: str | None = Field(
        None, description="REST base URL of Binance, in place of the declared or the public one."
    )
    binance_symbols: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        None, description="Binance symbols separated by commas, in place of the declared ones."
    )
    data_dir: Path = Field(
        Path(".marketstream"), description="Folder of the SQLite store and of recordings; made when first needed."
    )
    store_url: SecretStr = Field(
        SecretStr("sqlite"),
        description="Where events, allocations and texts are kept: `sqlite` (a file in the data folder), `memory`, "
        "`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`.",
    )
    store_keep_days: int = Field(7, ge=0, le=3650, description="Days for which events are kept; 0 keeps all.")
    store_keep_records_days: int = Field(
        365, ge=0, le=3650, description="Days for which allocations and texts are kept; 0 keeps all."
    )
    failback_after_s: float = Field(
        30.0,
        ge=0.0,
        le=3600.0,
        description="Seconds of unbroken health before a feed is trusted again after a failover.",
    )
    delta_z_min: float = Field(
        4.0, ge=1.0, le=100.0, description="A change of this many standard deviations is told as an event."
    )
    allocation_move: float = Field(
        0.02, ge=0.0, le=2.0, description="Allocations that moved by this sum of absolute weights are kept and told."
    )
    llm: Literal["none", "mock", "openai"] = Field(
        "none",
        description="Who drafts the rationales before the narrator: nobody, the built-in mock, or a model behind any "
        "server with OpenAI's chat completions.",
    )
    llm_base_url: str | None = Field(
        None, description="Base URL of the model server, in place of OpenAI's own; ends before `/chat/completions`."
    )
    llm_model: str | None = Field(None, max_length=200, description="The model, as the server calls it.")
    llm_api_key: SecretStr | None = Field(None, description="Key of the model server; local ones need none.")
    llm_deadline_s: float = Field(
        20.0, ge=1.0, le=300.0, description="Seconds that models may take for one text; then the narrator writes it."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")

    @field_validator("binance_symbols", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        symbols = tuple(part.strip().upper() for part in value.split(",") if part.strip())
        if not symbols:
            raise ValueError("binance_symbols must name symbols separated by commas, such as BTCUSDT,ETHUSDT")
        return symbols

    @field_validator("host")
    @classmethod
    def _only_loopback(cls, value: str) -> str:
        if value == "localhost":
            return value
        try:
            loopback = ipaddress.IPv4Address(value).is_loopback
        except ValueError:
            raise ValueError(f"host must be a loopback address such as 127.0.0.1, was {value!r}") from None
        if not loopback:
            raise ValueError(
                f"host must be a loopback address such as 127.0.0.1, was {value!r}: there is no login yet, "
                "so put a proxy with authentication in front to serve others"
            )
        return value

    @field_validator("llm_base_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = urlsplit(value)
            usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            raise ValueError("llm_base_url must be an address such as http://127.0.0.1:11434/v1") from None
        if not usable or "@" in url.netloc or url.query or url.fragment:
            raise ValueError(
                "llm_base_url must be an address such as http://127.0.0.1:11434/v1, without user, password, query or "
                "fragment"
            )
        return value.rstrip("/")

    @field_validator("llm_api_key")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not re.fullmatch(r"[!-~]{1,500}", value.get_secret_value()):
            raise ValueError("llm_api_key must have 1 to 500 printable ASCII characters and no space")
        return value

    @model_validator(mode="after")
    def _model_can_be_asked(self) -> Self:
        if self.llm != "openai":
            return self
        if not self.llm_model:
            raise ValueError("llm_model must name the model of the server, such as llama3.2, when llm is openai")
        if self.llm_base_url is None and self.llm_api_key is None:
            raise ValueError("llm_api_key is needed for OpenAI's own server; for another one set llm_base_url")
        url = urlsplit(self.llm_base_url or "")
        if url.scheme == "http" and self.llm_api_key is not None and not _is_loopback(url.hostname or ""):
            raise ValueError("llm_base_url must be https when llm_api_key is set: over http anybody could read the key")
        return self

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.dashboard_port == self.api_port:
            raise ValueError(f"dashboard_port and api_port must differ, both were {self.api_port}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments win over the environment, the environment over the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bare_settings(**values: Any) -> Settings:
    """Return defaults with `values`, unchecked, that read no environment and keep nothing on disk."""
    return Settings.model_construct(store_url=SecretStr("memory"), **values)


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Read settings from arguments, then the environment, then a TOML file, then the defaults.

    Raises:
        ConfigurationError: A value cannot be used, or the file cannot be read; the message names each one.
    """
    _refuse_unknown_variables()
    base = _from_file(path) if path is not None else Settings
    try:
        return base(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise ConfigurationError(_sentence(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def _refuse_unknown_variables() -> None:
    # A variable with a slip of the pen would leave the default in force without a word.
    known = {f"MARKETSTREAM_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    for name in sorted(set(filter(lambda name: name.startswith("MARKETSTREAM_"), os.environ)) - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"{name} is no setting of marketstream{hint}")


def _from_file(path: Path) -> type[Settings]:
    if not path.is_file():
        raise ConfigurationError(f"no settings file at {path}")

    class FileSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            *sources: PydanticBaseSettingsSource,
            **named: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            toml = TomlConfigSettingsSource(settings_cls, toml_file=path)
            return named["init_settings"], named["env_settings"], toml

    return FileSettings


def _sentence(error: ValidationError) -> str:
    # No input is echoed: a setting may hold a secret.
    parts = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"]) or "settings"
        parts.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)
