"""Optima that AccelForge found, as machines, problems and mappings here: see tests/data/accelforge.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

Spec = dict[str, Any]

SHAPES: dict[str, dict[str, list[str]]] = {
    "matmul": {"A": ["M", "K"], "B": ["K", "N"], "Z": ["M", "N"]},
    "conv1d": {"W": ["K", "C", "R"], "I": ["C", "P + R"], "O": ["K", "P"]},
}


def read_cases(data: Path) -> Spec:
    """Return machines by name, and cases."""
    found: Spec = json.loads(gzip.decompress((data / "accelforge.json.gz").read_bytes()))
    return found


def make_problem(case: Spec) -> Spec:
    """Return the problem of a case."""
    name = case["problem"]["shape"]
    bounds = {key: bound for key, bound in case["problem"].items() if len(key) == 1}
    tensors: Spec = {tensor: {"projection": ranks} for tensor, ranks in SHAPES[name].items()}
    tensors[list(tensors)[-1]]["output"] = True
    shape = {"name": name, "dimensions": list(bounds), "tensors": tensors}
    return {"problem": {"name": name, "shape": shape, "dimensions": bounds}}


def make_machine(machines: Spec, case: Spec) -> Spec:
    """Return the machine of a case; where that reads what it sends up, it says so, and in no price."""
    machine, drains = machines[case["machine"]], case["drain_read"]
    levels = []
    for one in machine["levels"]:
        mesh = [*one.get("mesh", []), 1, 1]
        level = {"name": one["name"], "word_bits": 16, "mesh_x": mesh[0], "mesh_y": mesh[1]}
        level["energy_pj"] = {"read": one["read"], "write": one["write"]}
        if "cap" in one:
            level["capacity_words"] = one["cap"]
        levels.append(level | {"drain_read": drains})
    compute = {"name": "MAC", "energy_pj": machine["mac"]}
    return {"architecture": {"name": case["machine"], "levels": levels, "compute": compute}}


def make_constraints(machines: Spec, case: Spec) -> Spec:
    """Return what levels must keep."""
    tensors = list(SHAPES[case["problem"]["shape"]])
    rules = [
        {"level": one["name"], "keep": tensors}
        for one in machines[case["machine"]]["levels"]
        if one.get("keep") == "all tensors"
    ]
    return {"constraints": {"levels": rules}}


def make_mapping(machines: Spec, case: Spec, nodes: list[Any]) -> Spec | None:
    """Return a mapping of AccelForge's, whose nodes read from the outside in; None where levels interleave.

    A loop is over parts of so many elements: its factor is what was covered before over that.
    """
    names = [one["name"] for one in machines[case["machine"]]["levels"]]
    covered = {key: bound for key, bound in case["problem"].items() if len(key) == 1}
    entries: list[Spec] = []
    for node in nodes:
        if isinstance(node, str):
            level, tensors = node.split(": ")
            index = names.index(level)
            before = names.index(entries[-1]["level"]) if entries else -1
            if index < before:
                return None
            entries += [_entry(name) for name in names[before + 1 : index]]  # that keep nothing
            entries.append(_entry(level))
            entries[-1]["keep"] = tensors.split(",")
            continue
        kind, dimension, part = node[0], node[1].upper(), node[2]
        factor = covered[dimension] // part
        covered[dimension] = part
        key = "temporal" if kind == "Temporal" else f"spatial_{node[3].lower()}"
        above = names.index(entries[-1]["level"])
        if key == "temporal" and (entries[-1]["spatial_x"] or entries[-1]["spatial_y"]):
            entries.append(_entry(names[above + 1]))
        elif key != "temporal":  # the array is the innermost level
            entries += [_entry(name) for name in names[above + 1 : -1]]
        entries[-1][key].append(f"{dimension}={factor}")
    entries += [_entry(name) for name in names[names.index(entries[-1]["level"]) + 1 :]]
    return {"mapping": {"name": "theirs", "levels": entries}}


def _entry(level: str) -> Spec:
    return {"level": level, "temporal": [], "spatial_x": [], "spatial_y": [], "keep": []}
