"""The examples of the documentation run, its links lead somewhere, and its tables of mistakes are true.

How a block is run depends on its fence's language, and on comments just before it:

- ``yaml`` is loaded. A mapping says for what: ``<!-- arch: simple_3level problem: matmul/512 -->``, which are
  shipped names or files of blocks above. ``<!-- file: NAME -->`` gives the block a name for the blocks below,
  and for documents that say ``<!-- continues: DOCUMENT -->``.
- ``console`` is run in an empty folder with those files, each ``$ procrustes ...`` or ``$ python ...``, which
  may end in ``> FILE``. With ``<!-- output -->`` it must print just what is shown; a line ``...`` stands
  for any lines.
- ``python`` blocks of a document are run as one program. ``<!-- output -->`` before a ``text`` block that
  follows one compares what it prints.
- ``<!-- error: text -->``: it must fail with a message that contains the text. A ``text`` block that follows
  and starts with ``error:`` must be the whole message.
- ``<!-- mistakes: NAME -->`` before a table: see `test_mistakes`. ``<!-- name: NAME -->`` names its example.
- ``<!-- not run -->``: left alone. ``<!-- followed -->``: a step of a way through one folder; see
  `test_path`.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.spec.load import (
    load_architecture,
    load_mapping,
    load_network,
    load_problem,
    load_schedule,
    load_sparsity,
)
from procrustes_model.spec.network_density import load_density
from procrustes_model.spec.shape import load_shape
from procrustes_model.spec.text.yaml_text import parse_yaml
from procrustes_model.sweeps.plan import check_sweep
from tests.conftest import ROOT
from tests.docs.blocks import Block, place, read_blocks

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [block for document in DOCUMENTS for block in read_blocks(document)]
LOADERS: dict[str, Callable[[str], object]] = {
    "architecture": load_architecture,
    "problem": load_problem,
    "shape": load_shape,
    "sparsity": load_sparsity,
    "network": load_network,
    "density": load_density,
    "schedule": load_schedule,
    "sweep": check_sweep,
}
BETWEEN = "\x1e"
"""Printed between the blocks of a Python program."""


def blocks(kind: str) -> list[Block]:
    alone = {"not run", "followed"}
    return [block for block in BLOCKS if block.kind == kind and not alone & {*block.marks}]


def load(file: str, marks: dict[str, str]) -> None:
    """Load a YAML file with the loader of its kind."""
    kind = next(iter(parse_yaml(Path(file).read_text(encoding="utf-8"), file).data))
    if kind == "mapping":
        load_mapping(file, load_architecture(marks["arch"]), load_problem(marks["problem"]))
    elif kind == "constraints":
        load_constraints(file, load_architecture(marks["arch"]), load_problem(marks["problem"]))
    else:
        LOADERS[kind](file)


def following(block: Block) -> Block | None:
    """Return the next block of the document."""
    return next((one for one in BLOCKS if one.before and one.before[-1] is block), None)


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter an empty folder with the files that the document has given so far, and return it."""
    for name, text in request.getfixturevalue("block").files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml(block: Block, folder: Path) -> None:
    file = block.marks.get("file", "example.yaml")
    (folder / file).write_text(block.text, encoding="utf-8")
    if "error" not in block.marks:
        load(file, block.marks)
        return
    with pytest.raises(SpecError) as caught:
        load(file, block.marks)
    assert block.marks["error"] in str(caught.value)
    shown = following(block)
    if shown is not None and shown.kind == "text" and shown.text.startswith("error: "):
        assert shown.text.splitlines() == [f"error: {issue}" for issue in caught.value.issues]


@pytest.mark.parametrize("block", [one for one in blocks("table") if "mistakes" in one.marks], ids=str)
def test_mistakes(block: Block, folder: Path) -> None:
    """Every row gives a part of the example that the comment names, a wrong one for it, and the message."""
    base = next(one for one in block.before if one.marks.get("name") == block.marks["mistakes"])
    for right, wrong, message in block.rows:
        assert base.text.count(right) == 1, right
        (folder / "example.yaml").write_text(base.text.replace(right, wrong), encoding="utf-8")
        with pytest.raises(SpecError) as caught:
            load("example.yaml", base.marks)
        found = [f"{one.message}; {one.hint}" if one.hint else one.message for one in caught.value.issues]
        assert found == re.split("`<br>`", message), wrong


def run(command: list[str]) -> tuple[int, str]:
    """Run a command as the documentation writes it; return its status and all that it prints."""
    command, target = (command[:-2], command[-1]) if command[-2:-1] == [">"] else (command, None)
    program = {"procrustes": ["-m", "procrustes_model"], "python": []}[command[0]]
    variables = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    done = subprocess.run(
        [sys.executable, *program, *command[1:]],
        env=variables | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    if target is not None:
        Path(target).write_text(done.stdout, encoding="utf-8")
        return done.returncode, ""
    # The first evaluation after a kernel has changed says that it compiles.
    return done.returncode, re.sub(r"(?m)^compiling kernels .*\n", "", done.stdout)


def assert_same(printed: str, shown: str) -> None:
    """Compare what was printed with what is shown; a shown line `...` stands for any lines."""
    want = [line.rstrip() for line in shown.strip("\n").splitlines()]
    have = [line.rstrip() for line in printed.strip("\n").splitlines()]
    parts = [r"(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in want]
    if not re.fullmatch("".join(parts), "".join(f"{line}\n" for line in have)):
        pytest.fail("\n".join(difflib.unified_diff(want, have, "shown", "printed", lineterm="")))


@pytest.mark.parametrize("block", blocks("console"), ids=str)
@pytest.mark.usefixtures("folder")
def test_console(block: Block) -> None:
    _, *steps = re.split(r"(?m)^\$ ", block.text)
    assert steps
    for step in steps:
        written, _, shown = re.sub(r"\\\n", "", step).partition("\n")
        status, printed = run(shlex.split(written))
        if "error" in block.marks:
            assert status != 0
            assert block.marks["error"] in printed
        else:
            assert status == 0, printed
        if "output" in block.marks:
            assert_same(printed, shown)


@pytest.mark.parametrize("document", sorted({one.document for one in blocks("python")}), ids=place)
def test_python(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = [block for block in blocks("python") if block.document == document]
    lines: list[str] = []
    for block in parts:
        # A traceback then names the line of the document.
        lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines() + [f"print({BETWEEN!r})"]
        for name, text in block.files.items():
            Path(name).write_text(text, encoding="utf-8")
    Path("example.py").write_text("\n".join(lines), encoding="utf-8")
    status, printed = run(["python", "example.py"])
    assert status == 0, printed
    for block, output in zip(parts, printed.split(BETWEEN + "\n"), strict=False):
        shown = following(block)
        if shown is not None and shown.kind == "text" and "output" in shown.marks:
            assert_same(output, shown.text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=place)
def test_links(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", document.read_text("utf-8")):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        if anchor:
            heads = re.findall(r"(?m)^#+ (.*)$", linked.read_text("utf-8"))
            assert anchor in [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
