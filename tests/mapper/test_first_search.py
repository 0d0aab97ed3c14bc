"""What a first search compiles: what paths on most machines do without is called where they ask for it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from procrustes_model import load_architecture, load_problem
from procrustes_model.kernels import search
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.optimal.roads import is_special
from procrustes_model.mapper.space import Space

FOLDER = Path(search.__file__).parent
ALWAYS = {"forget_runs", "name_run"}
"""Kernels of `path_loose` that all runs take."""
APART = {"path_ports", "path_wires", "path_loose"}
"""Modules whose kernels Python calls, or none but those of the same module, where they are asked for."""
ASKED = {"share_wires"}
"""Kernels of other modules that Python calls where networks have prices."""


def _rare_names() -> set[str]:
    """Return the kernels that few searches need."""
    names = set()
    for module in ("path_loose", "path_wires"):
        for node in ast.parse((FOLDER / f"{module}.py").read_text()).body:
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
    return names - ALWAYS


def _asks(test: ast.expr) -> bool:
    """Say whether a condition first asks whether a road is special."""
    first = test.values[0] if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else test
    return ast.unparse(first) == "road.special is not None"


def _unguarded(node: ast.AST, names: set[str], *, guarded: bool = False) -> list[str]:
    """Return the calls of kernels that stand where a road need not be special."""
    if isinstance(node, ast.If):
        inside = guarded or _asks(node.test)
        found = _unguarded(node.test, names, guarded=inside)
        for part in node.body:
            found += _unguarded(part, names, guarded=inside)
        for part in node.orelse:
            found += _unguarded(part, names, guarded=guarded)
        return found
    if isinstance(node, ast.FunctionDef) and node.name in ASKED:
        return []
    found = []
    if not guarded and isinstance(node, ast.Call) and ast.unparse(node.func) in names:
        found.append(ast.unparse(node))
    for part in ast.iter_child_nodes(node):
        found += _unguarded(part, names, guarded=guarded)
    return found


@pytest.mark.quick
def test_rare_kernels_are_called_where_they_are_asked_for() -> None:
    """A condition of one part is what a compiler can tell; anything else compiles them for every machine."""
    names, calls = _rare_names(), 0
    assert {"slide_loosely", "wire_energy", "is_partial"} <= names
    for file in sorted(FOLDER.glob("*.py")):
        if file.stem in APART:
            continue
        tree = ast.parse(file.read_text())
        assert not _unguarded(tree, names), file.name
        calls += sum(isinstance(node, ast.If) and _asks(node.test) for node in ast.walk(tree))
    assert calls >= 10


@pytest.mark.quick
@pytest.mark.parametrize(
    ("machine", "special"),
    [
        ("procrustes_16x16", False),
        ("eyeriss_like", False),
        ("simple_3level", False),
        ("nvdla_like", True),
        ("simba_like", True),
    ],
)
def test_machines_whose_paths_need_more(machine: str, special: bool) -> None:
    """Networks with prices and wider partial sums are special; a hierarchy of memories is not."""
    architecture, problem = load_architecture(machine), load_problem("vgg_s/conv3_2")
    space = Space(architecture, problem, load_constraints(None, architecture, problem))
    assert is_special(space) == special
