"""The examples of *Train with less* that need torch print what the page says."""

from __future__ import annotations

import contextlib
import io
import runpy
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.docs.blocks import read_blocks


def test_examples(torch: Any, tmp_path: Path) -> None:  # noqa: ARG001
    blocks = read_blocks(ROOT / "docs" / "how-to" / "train_with_less.md")
    pairs = [
        (block, blocks[i + 1])
        for i, block in enumerate(blocks)
        if block.kind == "python" and "not run" in block.marks
    ]
    assert pairs
    for block, output in pairs:
        printed, script = io.StringIO(), tmp_path / "example.py"
        script.write_text(block.text, encoding="utf-8")
        with contextlib.redirect_stdout(printed):
            runpy.run_path(str(script))
        assert printed.getvalue().strip() == output.text.strip()
