"""What constraints allow of a mapping, against a reading of the rules one by one."""

from __future__ import annotations

import math
import operator
import random
import re
from typing import Any

import pytest

from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.obey import find_breach
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_problem
from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
from procrustes_model.spec.problem import Problem
from tests.mapper.cases import make_architecture, make_constraints, make_problem

RELATIONS = {"=": operator.eq, "<=": operator.le, ">=": operator.ge}
KINDS = ("temporal", "spatial_x", "spatial_y")


def random_mapping(rng: random.Random, machine: Architecture, problem: Problem) -> Mapping:
    """Return a mapping whose factors multiply to the bounds, whether it fits anywhere or not."""
    slots = [(level.name, kind) for level in machine.levels for kind in KINDS]
    factors = {slot: dict.fromkeys(problem.dimensions, 1) for slot in slots}
    for name, bound in problem.dimensions.items():
        rest = bound
        for prime in (2, 3, 5):
            while rest % prime == 0:
                factors[rng.choice(slots)][name] *= prime
                rest //= prime
        assert rest == 1
    levels = []
    for i, level in enumerate(machine.levels):
        loops = {}
        for kind in KINDS:
            known = [(name, factor) for name, factor in factors[level.name, kind].items() if factor > 1]
            rng.shuffle(known)
            loops[kind] = tuple(Loop(dimension=name, factor=factor) for name, factor in known)
        tensors = [tensor.name for tensor in problem.tensors if not i or rng.random() < 0.5]
        levels.append(LevelMapping(level=level.name, keep=tuple(tensors), **loops))
    return Mapping(levels=tuple(levels))


def allows(rules: dict[str, Any], mapping: Mapping, machine: Architecture, problem: Problem) -> bool:
    """Say whether every rule of a constraints file allows a mapping, one rule after the other."""
    content = rules["constraints"]
    loops = {
        (level.level, kind): [(loop.dimension, loop.factor) for loop in getattr(level, kind)]
        for level in mapping.levels
        for kind in KINDS
    }
    spatial = [factor for (_, kind), found in loops.items() for _, factor in found if kind != "temporal"]
    units = math.prod(columns * rows for columns, rows in map(machine.fanout, range(len(machine.levels))))
    if math.prod(spatial) < content["min_utilization"] * units:
        return False
    for level, of in zip(mapping.levels, machine.levels, strict=True):
        if of.tensors is not None and level is not mapping.levels[0] and set(level.keep) - set(of.tensors):
            return False
    kept = {level.level: level.keep for level in mapping.levels}
    for rule in content["levels"]:
        if set(rule.get("keep", ())) - set(kept[rule["level"]]):
            return False
        if set(rule.get("bypass", ())) & set(kept[rule["level"]]):
            return False
        for kind in KINDS:
            here, wanted = dict(loops[rule["level"], kind]), rule.get(kind, {})
            for name, relation, value in re.findall(r"(\w+)([<>]?=)(\d+)", wanted.get("factors", "")):
                if not RELATIONS[relation](here.get(name, 1), int(value)):
                    return False
            if set(here) - set(wanted.get("dimensions", problem.dimensions)):
                return False
            order = [name for name in wanted.get("order", ()) if name in here]
            if order != [name for name in here if name in order]:
                return False
    return True


def test_random_mappings() -> None:
    allowed = 0
    for seed in range(400):
        rng = random.Random(seed)  # noqa: S311
        work = make_problem(rng)
        tensors = list(work["problem"]["shape"]["tensors"])
        machine, problem = load_architecture(make_architecture(rng, tensors)), load_problem(work)
        rules = make_constraints(rng, work, [level.name for level in machine.levels])
        for rule, level in zip(rules["constraints"]["levels"][1:], machine.levels[1:], strict=True):
            for tensor in level.tensors or ():
                if rng.random() < 0.2:
                    rule.setdefault(rng.choice(["keep", "bypass"]), []).append(tensor)
        constraints = load_constraints(rules, machine, problem)
        for _ in range(20):
            mapping = random_mapping(rng, machine, problem)
            breach = find_breach(mapping, constraints, machine, problem)
            assert (breach is None) == allows(rules, mapping, machine, problem), (seed, breach)
            allowed += breach is None
    assert 400 < allowed < 4000


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"temporal": "M<=1"}, "Far may not have M=2 temporal"),
        ({"temporal": {"dimensions": ["M"]}}, "Far may not have N=3 temporal"),
        ({"temporal": {"order": ["N", "M"]}}, "N must be outside M at Far"),
        ({"spatial_x": "M=2"}, "Far may not have M=4 spatial_x"),
        ({"level": "Near", "keep": ["B"]}, "Near must keep B"),
        ({"level": "Near", "bypass": ["A"]}, "Near may not keep A"),
        ({"temporal": {"order": ["M", "N"], "factors": "M=2 N>=2"}}, None),
    ],
)
def test_what_is_said(rule: dict[str, Any], said: str | None) -> None:
    room = {"word_bits": 8, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **room}, {"name": "Near", **room, "mesh_x": 4}]
    machine = load_architecture(
        {"architecture": {"name": "two", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 8, "K": 2, "N": 3}}}
    )
    mapping = Mapping(
        levels=(
            LevelMapping(
                level="Far",
                temporal=(Loop(dimension="M", factor=2), Loop(dimension="N", factor=3)),
                spatial_x=(Loop(dimension="M", factor=4),),
                keep=("A", "B", "Z"),
            ),
            LevelMapping(level="Near", temporal=(Loop(dimension="K", factor=2),), keep=("A", "Z")),
        )
    )
    rules = {"constraints": {"levels": [{"level": "Far"} | rule]}}
    assert find_breach(mapping, load_constraints(rules, machine, problem), machine, problem) == said


def test_compute_units_that_must_be_used() -> None:
    machine = load_architecture("procrustes_16x16")
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": dict.fromkeys("MKN", 4)}}
    )
    mapping = random_mapping(random.Random(3), machine, problem)  # noqa: S311
    rules = load_constraints({"constraints": {"min_utilization": 1.0}}, machine, problem)
    assert str(find_breach(mapping, rules, machine, problem)).endswith("and not 256")
