"""The documentation names every setting, endpoint, knob, profile and fault, with its default where it has one."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from marketstream.analytics.analysis import Analysis
from marketstream.market.events import Topic
from marketstream.providers.base import Fault
from marketstream.providers.declare import KINDS
from marketstream.settings import PROFILES, Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    rows = [line for line in read("settings.md").splitlines() if f"`MARKETSTREAM_{name.upper()}`" in line]
    assert len(rows) == 1, f"settings.md needs one row for MARKETSTREAM_{name.upper()}"
    default = Settings.model_fields[name].default
    shown = rows[0].split("|")[2].strip().strip("`")
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    assert shown == ("none" if default is None else str(default))


def test_every_variable_in_the_documentation_exists() -> None:
    known = {f"MARKETSTREAM_{name.upper()}" for name in Settings.model_fields}
    known |= {"MARKETSTREAM_TEST_DATA", "MARKETSTREAM_FUZZ", "MARKETSTREAM_SOAK", "MARKETSTREAM_"}
    for page in PAGES:
        for found in re.findall(r"MARKETSTREAM_[A-Z_]*", page.read_text(encoding="utf-8")):
            assert found in known, f"{page.name} names {found}"


def all_knobs() -> list[tuple[str, str]]:
    return [(stage, knob) for stage, knobs in Analysis().knobs().items() for knob in knobs]


@pytest.mark.parametrize(("stage", "knob"), all_knobs())
def test_every_knob_is_documented_with_its_default(stage: str, knob: str) -> None:
    default = Analysis().knobs()[stage][knob]
    rows = [line for line in read("knobs.md").splitlines() if f"`{knob}`" in line and line.startswith("|")]
    assert rows, f"knobs.md needs a row for {knob}"
    assert any(_shows(row, default) for row in rows), f"knobs.md needs the default {default} of {knob}"


def _shows(row: str, default: object) -> bool:
    if isinstance(default, int | float) and not isinstance(default, bool):
        return any(float(number) == default for number in re.findall(r"-?\d+\.?\d*", row.replace(",", "")))
    return str(default) in row or not default


def test_every_endpoint_is_documented() -> None:
    from marketstream.api.app import create_app
    from marketstream.engine import connect

    text = read("api.md")
    for path, methods in create_app(connect("demo", warmup_s=0)).openapi()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in text, f"api.md lacks {method.upper()} {path}"


@pytest.mark.parametrize("word", [*PROFILES, *Fault])
def test_every_profile_and_fault_is_documented(word: str) -> None:
    assert f"`{word}`" in read("simulator.md") + read("settings.md")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_provider_and_its_options_are_documented(kind: str) -> None:
    text = read("providers.md")
    assert f"`{kind}`" in text
    for option in KINDS[kind].__struct_fields__:
        assert f"`{option}`" in text, f"providers.md lacks option {option} of {kind}"


@pytest.mark.parametrize("topic", Topic)
def test_every_topic_is_documented(topic: Topic) -> None:
    assert f"| `{topic.value}` |" in read("events.md"), f"events.md needs a row for {topic.value}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z.]+)`", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def test_environment_yml_takes_everything_from_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert environment["name"] == project["name"]
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert conda == [f"python{project['requires-python']}", "pip"]
    extras = re.fullmatch(r"--editable \.\[(.+)\]", pip[0])
    assert extras is not None and set(extras[1].split(",")) <= set(project["optional-dependencies"])


def test_the_lock_pins_every_dependency_within_its_range() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "http" + "://" not in lock and "https" + "://" not in lock
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ \\;]+)", lock, re.MULTILINE))
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[requirement.name]), text


def test_notebooks_start_with_a_title_and_keep_no_picture() -> None:
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert cells[0]["cell_type"] == "markdown" and "".join(cells[0]["source"]).startswith("# ")
        for cell in cells:
            for output in cell.get("outputs", ()):
                assert set(output.get("data", {})) <= {"text/plain"}, f"{path.name} stores more than text"
