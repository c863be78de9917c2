"""No module of the dashboard but the gate makes an HTML pane, and none fills a template around the gate."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2] / "marketstream" / "dashboard"
RAW = {"HTML", "Markdown", "Str", "Alert", "Div", "StaticText", "Typography", "LaTeX", "SVG", "ChatMessage"}


def files() -> list[Path]:
    return sorted(DASHBOARD.rglob("*.py"))


def problems(tree: ast.AST, *, is_gate: bool = False) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            if isinstance(node, ast.ClassDef) and not is_gate:
                yield from (f"{node.name} is a raw pane" for base in node.bases if last(base) in RAW)
            continue
        called = last(node.func)
        if called in RAW and not is_gate:
            yield f"line {node.lineno}: {called} outside the gate"
        if called == "Markup" and node.args and not is_gate:
            yield f"line {node.lineno}: Markup made outside the gate"
        if called == "markup" and not (node.args and is_literal(node.args[0])):
            yield f"line {node.lineno}: the template of markup() is not a literal"


def last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize("path", files(), ids=lambda p: p.name)
def test_untrusted_text_reaches_the_page_through_the_gate_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert list(problems(tree, is_gate=path.name == "text.py")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "pn.pane.HTML(name)",
        "pn.pane.Markdown('x')",
        "Markup(name)",
        "markup(f'<b>{name}</b>')",
        "markup('<b>' + name)",
        "class Mine(pn.pane.HTML): pass",
    ],
)
def test_the_lint_finds_a_planted_hole(planted: str) -> None:
    assert list(problems(ast.parse(planted)))
