"""The notebooks of the documentation run, and print what they show."""

from __future__ import annotations

from pathlib import Path

import pytest
from notebooks import read_notebook, run_notebook, said, to_markdown

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
NEEDS_TORCH = ("torch_network", "training_run")
VARIES = ("torch_network", "training_run")
"""What a time limit cuts, or another version of torch rounds otherwise."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    if path.stem in NEEDS_TORCH:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    stored = read_notebook(path)
    done = run_notebook(stored)
    assert len(said(done)) == len(said(stored)) > 2
    if path.stem not in VARIES:
        assert said(done) == said(stored)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_page(path: Path) -> None:
    notebook = read_notebook(path)
    page = to_markdown(notebook)
    assert page.startswith("# ") and page.count("```python") == sum(
        cell["cell_type"] == "code" for cell in notebook["cells"]
    )
    assert "data:image/png;base64," in page
    assert f"<!-- notebook: {path.name} -->" in path.with_suffix(".md").read_text(encoding="utf-8")
