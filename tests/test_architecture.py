"""The floors of the house: who may import whom, and which outside library comes in by which door."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "marketstream"

# Each chapter may import the chapters named here (and itself).
GROUND = {"errors", "clock"}
FLOORS: dict[str, set[str]] = {
    "errors": set(),
    "clock": {"errors"},
    "settings": GROUND,
    "market": GROUND,
    "providers": GROUND | {"settings", "market"},
    "streaming": GROUND | {"settings", "market", "providers"},
    "analytics": GROUND | {"market"},
    "rationale": GROUND | {"market", "analytics"},
    "store": GROUND | {"market"},
    "engine": GROUND | {"settings", "market", "providers", "streaming", "analytics", "rationale", "store"},
    "api": GROUND | {"settings", "engine", "analytics", "rationale", "market", "providers", "streaming"},
    "dashboard": GROUND | {"settings", "engine", "analytics", "rationale", "market", "providers", "streaming"},
    "cli": GROUND | {"settings", "market", "providers", "store", "engine", "api", "dashboard"},
    "__init__": {"engine", "settings", "clock", "analytics", "streaming"},
    "__main__": {"cli"},
}

DOORS: dict[str, set[str]] = {
    "panel": {"dashboard"},
    "panel_material_ui": {"dashboard"},
    "holoviews": {"dashboard"},
    "bokeh": {"dashboard"},
    "tornado": {"dashboard"},
    "nh3": {"dashboard"},
    "streamz": {"streaming", "engine"},  # the engine only names the type of `deltas`
    "numba": {"streaming", "analytics"},
    "fastapi": {"api"},
    "starlette": {"api"},
    "uvicorn": {"api"},
    "pydantic": {"api", "settings", "rationale"},
    "pydantic_settings": {"settings"},
    "websockets": {"providers"},
    "httpx2": {"providers", "rationale"},
    "openai": {"rationale"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "psycopg": {"store"},
    "pyarrow": {"store", "providers"},
    "tqdm": {"cli"},
    "piqp": {"analytics"},
    "scipy": {"analytics", "providers"},
    "param": {"analytics", "dashboard"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def chapter(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, type_checking: bool = True) -> Iterator[str]:
    """Yield the full name of every imported module, wherever in the file it stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    if not type_checking:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "marketstream":
                # `from marketstream import engine` is an import of marketstream.engine.
                yield from (f"marketstream.{alias.name}" for alias in node.names if alias.name != "__version__")
            yield str(node.module)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_from_the_floors_below(path: Path) -> None:
    own = chapter(path)
    assert own in FLOORS, f"{own} is no chapter of the house"
    for name in imports(path):
        if name.startswith("marketstream."):
            other = name.split(".")[1]
            assert other == own or other in FLOORS[own], f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_an_outside_library_comes_in_by_its_door(path: Path) -> None:
    for name in imports(path):
        door = DOORS.get(name.split(".")[0])
        assert door is None or chapter(path) in door, f"{name_of(path)} imports {name}, whose door is {sorted(door)}"


def test_the_checks_catch_an_import_that_points_up(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def late():\n    from marketstream import engine\n    import panel\n")
    found = list(imports(bad))
    assert "marketstream.engine" in found and "engine" not in FLOORS["analytics"]
    assert "panel" in found and "analytics" not in DOORS["panel"]


def test_there_are_no_cycles() -> None:
    graph = {
        name_of(path): {name for name in imports(path, type_checking=False) if name.startswith("marketstream.")}
        for path in modules()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for other in graph.get(name, ()):
            visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"
    assert text.count("\n") <= 600
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{name_of(path)}:{node.name} is too long"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_public_names_are_documented(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name_of(path)}.{node.name} has no docstring"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_only_the_clock_reads_the_time(path: Path) -> None:
    if chapter(path) == "clock":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            dotted = f"{node.value.id}.{node.attr}"
            assert dotted not in {
                "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.sleep",
                "datetime.now", "datetime.utcnow", "asyncio.sleep",
            } or _is_yield(tree, node), f"{name_of(path)}:{node.lineno} uses {dotted}"  # fmt: skip


def _is_yield(tree: ast.AST, attribute: ast.Attribute) -> bool:
    # asyncio.sleep(0) gives way to the loop and waits for no time.
    return any(
        isinstance(node, ast.Call)
        and node.func is attribute
        and [getattr(argument, "value", None) for argument in node.args] == [0]
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("marketstream", {"panel", "openai", "streamz", "numba", "fastapi", "pandas"}),
        ("marketstream.analytics.analysis", {"panel", "openai", "streamz", "fastapi", "websockets"}),
        ("marketstream.rationale.service", {"panel", "openai", "streamz", "fastapi", "websockets"}),
        ("marketstream.engine", {"panel", "bokeh", "openai", "fastapi", "uvicorn", "psycopg", "tqdm"}),
    ],
)
def test_importing_a_chapter_loads_no_library_it_has_no_use_for(module: str, never: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not never & set(out.stdout.split())


def test_nothing_of_this_machine_is_in_the_tree() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in tracked.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".ipynb", ".lock", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            for root in ("wor" + "k", "roo" + "t", "hom" + "e"):
                assert f"/{root}/" not in text, f"{name} names a path under /{root}"
