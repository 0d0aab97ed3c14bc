"""Writes a model of this program as Timeloop's files: the way back, for tests of the way here.

What that dialect leaves to a writer is chosen at random: how factors and permutations are spelt, whether
loops of 1 are written, which dimensions a permutation leaves out.
"""

from __future__ import annotations

import random
from typing import Any

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
from procrustes_model.spec.problem import Problem

Directive = dict[str, Any]


def tree(architecture: Architecture) -> dict[str, Any]:
    """Return an architecture as one subtree, its compute units anywhere among the storage."""
    columns = rows = 1
    local: list[dict[str, Any]] = []
    for index, level in enumerate((*architecture.levels, architecture.compute)):
        columns, rows = columns * level.mesh_x, rows * level.mesh_y
        storage = index < len(architecture.levels)
        attributes: dict[str, Any] = {"meshX": columns, "meshY": rows}
        if storage:
            attributes |= {"word-bits": level.word_bits, "block-size": level.words_per_access}
            for port in ("read_bandwidth", "write_bandwidth", "shared_bandwidth"):
                if getattr(level, port) is not None:
                    attributes[port] = getattr(level, port)
        kind = "intmac" if not storage else "SRAM" if index else "DRAM"
        local.append(
            {"name": f"{level.name}[0..{columns * rows - 1}]", "class": kind, "attributes": attributes}
        )
    return {"architecture": {"version": 0.3, "subtree": [{"name": "all", "local": local}]}}


def table(architecture: Architecture) -> dict[str, Any]:
    """Return the energies of an architecture."""
    tables = [
        {
            "name": f"all.{level.name}[0..9]",
            "actions": [
                {"name": action, "energy": value}
                for action, value in zip(("read", "write", "update"), level.energy.by_action, strict=True)
            ],
        }
        for level in architecture.levels
    ]
    compute = architecture.compute
    tables.append({"name": compute.name, "actions": [{"name": "compute", "energy": compute.energy_pj}]})
    return {"ERT": {"version": 0.3, "tables": tables}}


def layer(problem: Problem, shape: dict[str, Any], coefficients: dict[str, int]) -> dict[str, Any]:
    """Return a problem with its shape; terms become lists of a dimension and its coefficient."""
    spaces = []
    for name, tensor in shape["tensors"].items():
        ranks = [
            [term.split("*") for term in rank.replace(" ", "").split("+")] for rank in tensor["projection"]
        ]
        spaces.append(
            {"name": name, "projection": ranks} | ({"read-write": True} if "output" in tensor else {})
        )
    defaults = [{"name": one, "default": 7} for one in shape.get("coefficients", {})]
    values = {one: coefficients.get(one, 1) for one in shape.get("coefficients", {})}
    content = {
        "name": "s",
        "dimensions": shape["dimensions"],
        "coefficients": defaults,
        "data-spaces": spaces,
    }
    return {"problem": {"shape": content, "instance": {**problem.dimensions, **values}}}


def nest(mapping: Mapping, problem: Problem, chance: random.Random) -> dict[str, Any]:
    """Return a mapping; a level's directives stand in any order."""
    directives: list[Directive] = []
    names = list(problem.dimensions)
    for level in mapping.levels:
        tensors = [tensor.name for tensor in problem.tensors]
        bypass = [tensor for tensor in tensors if tensor not in level.keep]
        kept = {
            "type": chance.choice(("bypass", "datatype", "bypassing")),
            "keep": list(level.keep),
            "bypass": bypass,
        }
        here = [{"target": level.level, **kept}, _temporal(level, names, chance)]
        if level.spatial_x or level.spatial_y:
            here.append(_spatial(level, names, chance))
        chance.shuffle(here)
        directives += here
    return {"mapping": directives}


def _temporal(level: LevelMapping, names: list[str], chance: random.Random) -> Directive:
    innermost_first = [loop.dimension for loop in reversed(level.temporal)]
    rest = [name for name in names if name not in innermost_first]
    chance.shuffle(rest)
    # Those that are left out are outermost, where a loop of 1 changes nothing.
    order = innermost_first + (rest if chance.random() < 0.5 else [])
    loops = {loop.dimension: loop for loop in level.temporal}
    factors = _factors(loops, [name for name in names if name in loops or chance.random() < 0.5], chance)
    return {
        "target": level.level,
        "type": "temporal",
        "factors": factors,
        "permutation": _order(order, chance),
    }


def _spatial(level: LevelMapping, names: list[str], chance: random.Random) -> Directive:
    x, y = ([loop.dimension for loop in reversed(loops)] for loops in (level.spatial_x, level.spatial_y))
    idle = [name for name in names if name not in x + y]
    beside = [name for name in idle if chance.random() < 0.5]
    loops = {loop.dimension: loop for loop in (*level.spatial_x, *level.spatial_y)}
    directive = {
        "target": level.level,
        "type": "spatial",
        "factors": _factors(
            loops, [name for name in names if name in loops or chance.random() < 0.3], chance
        ),
        "permutation": _order([*x, *beside, *y], chance),
        "split": len(x) + chance.randint(0, len(beside)),
    }
    if not y and chance.random() < 0.5:
        del directive["split"]
    return directive


def _factors(loops: dict[str, Loop], names: list[str], chance: random.Random) -> str | list[str]:
    sign = chance.choice(("=", "", " = "))
    words = []
    for name in names:
        loop = loops.get(name)
        factor, last = (1, None) if loop is None else (loop.factor, loop.last)
        words.append(f"{name}{sign}{factor}" + (f",{last}" if last is not None else ""))
    chance.shuffle(words)
    return words if chance.random() < 0.3 else chance.choice((" ", ", ")).join(words)


def _order(names: list[str], chance: random.Random) -> str | list[str]:
    return names if chance.random() < 0.3 else chance.choice(("", " ", ",")).join(names)
