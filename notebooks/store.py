"""Run every notebook and store its outputs as text only, which is what nbval compares. `make store-notebooks`."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ExecutePreprocessor


def text_only(output: nbformat.NotebookNode) -> bool:
    """Strip an output to its text; returns whether any is left."""
    if "data" in output:
        output.metadata = {}
        output.data = {kind: text for kind, text in output.data.items() if kind == "text/plain"}
    return output.output_type == "stream" or bool(output.get("data"))


def store(path: Path) -> None:
    """Execute one notebook in place; pictures, scripts and HTML are left out."""
    notebook = nbformat.read(path, as_version=4)
    ExecutePreprocessor(timeout=300).preprocess(notebook, {"metadata": {"path": str(path.parent)}})
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if text_only(output)]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(map(str, Path(__file__).parent.glob("*.ipynb"))):
        store(Path(name))
