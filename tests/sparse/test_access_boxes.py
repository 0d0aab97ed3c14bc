"""What must be zero for an access to be saved: all that meets what it moves, against a walk of the nest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.kernels.sparse.chances import hypergeometric_empty
from procrustes_model.model.sparse.masks import tensor_shape
from tests.naive.sparse_random import stays
from tests.strategies import SHAPES, Spec

LEVELS = 3


@st.composite
def accesses(draw: st.DrawFn) -> tuple[str, Spec, Spec, list[int]]:
    """Draw a shape, a problem and a mapping with factors of two, and the words per access of each level."""
    name = draw(st.sampled_from(["matmul", "five"]))
    shape = {"name": name} | SHAPES[name]
    dimensions: list[str] = shape["dimensions"]
    places = st.tuples(st.sampled_from(dimensions), st.integers(0, LEVELS - 1), st.integers(0, 2))
    loops = draw(st.lists(places, min_size=2, max_size=8))
    tensors = sorted(shape["tensors"])
    nest: list[Spec] = []
    for level in range(LEVELS):
        factors = [{d: 2 ** loops.count((d, level, kind)) for d in dimensions} for kind in range(3)]
        once = draw(st.booleans())
        order = draw(st.permutations(dimensions))
        written: Spec = {"level": f"L{level}"}
        written["temporal"] = [f"{d}={factors[0][d]}" for d in order if once or factors[0][d] > 1]
        for kind, axis in ((1, "spatial_x"), (2, "spatial_y")):
            written[axis] = [f"{d}={factors[kind][d]}" for d in dimensions if factors[kind][d] > 1]
        some = draw(st.lists(st.sampled_from(tensors), unique=True))
        nest.append(written | {"keep": some if level else tensors})
    bounds = {d: 2 ** sum(place[0] == d for place in loops) for d in dimensions}
    problem = {"problem": {"name": name, "shape": shape, "dimensions": bounds}}
    words = draw(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=LEVELS, max_size=LEVELS))
    return name, problem, {"mapping": {"name": "drawn", "levels": nest}}, words


def machine(nest: list[Spec], words: list[int]) -> Spec:
    """Return a machine with as many instances as the nest needs."""
    sides = {"mesh_x": 1, "mesh_y": 1}
    levels = []
    for level, here in enumerate(nest):
        at = {"name": f"L{level}", "word_bits": 16, "words_per_access": words[level], **sides}
        levels.append(at | {"energy_pj": {"read": 1, "write": 1}})
        for axis, side in (("spatial_x", "mesh_x"), ("spatial_y", "mesh_y")):
            sides[side] *= math.prod(int(loop.split("=")[1]) for loop in here[axis])
    return {"architecture": {"name": "drawn", "levels": levels, "compute": {"energy_pj": 1, **sides}}}


@given(drawn=accesses(), data=st.data())
def test_saved_accesses_are_those_of_a_walk(drawn: tuple[str, Spec, Spec, list[int]], data: Any) -> None:
    name, problem_spec, mapping_spec, words = drawn
    tensors = sorted(SHAPES[name]["tensors"])
    target = data.draw(st.sampled_from(tensors))
    leader = data.draw(st.sampled_from([t for t in tensors if t not in (target, "Z")]))
    level = data.draw(st.integers(0, LEVELS - 1))
    density = data.draw(st.sampled_from([0.1, 0.3, 0.5]))
    nest = mapping_spec["mapping"]["levels"]
    architecture, problem = load_architecture(machine(nest, words)), load_problem(problem_spec)
    mapping = load_mapping(mapping_spec, architecture, problem)
    while target not in mapping.levels[level].keep:
        level -= 1
    action = {"level": f"L{level}", "gate": target, "on": leader}
    design = {"name": "drawn", "densities": {leader: density}, "actions": [action]}
    found = evaluate(architecture, problem, mapping, sparsity=load_sparsity({"sparsity": design}))
    by_name = {tensor.name: tensor for tensor in problem.tensors}
    met = stays(problem, mapping, level, by_name[target], [by_name[leader]], words[level])
    size = math.prod(tensor_shape(problem, leader))
    nonzeros = math.ceil(density * size)
    wanted = np.mean([hypergeometric_empty(size, nonzeros, len(points[0])) for points in met])
    counts = found.sparse(f"L{level}", target)
    action_number = 2 if by_name[target].is_output else 0
    share = counts.gated[action_number] / counts.dense[action_number]
    assert share == pytest.approx(wanted, abs=1e-12)


STEP = [  # words of one step: 4 channels x 2 positions; each position meets the same 2 weights of a channel
    (1, 2),
    (2, 2),
    (4, 4),
    (8, 8),
    (16, 8),
    (64, 8),
]


@pytest.mark.parametrize(("words", "weights"), STEP)
@pytest.mark.parametrize("once", [False, True])
def test_an_access_holds_words_of_one_step(words: int, weights: int, once: bool) -> None:
    """Neither loops further out nor loops of one iteration are looked at."""
    shape = {
        "name": "c",
        "dimensions": ["C", "K", "R", "P"],
        "tensors": {
            "Weights": {"projection": ["C", "K", "R"]},
            "Inputs": {"projection": ["C", "P", "R"]},
            "Outputs": {"projection": ["K", "P"], "output": True},
        },
    }
    bounds = {"C": 64, "K": 4, "R": 5, "P": 8}
    problem = load_problem({"problem": {"name": "c", "shape": shape, "dimensions": bounds}})
    nest = [
        {"level": "L0", "temporal": ["C=4", *(["K=1", "P=1"] if once else [])]},
        {
            "level": "L1",
            "temporal": ["R=5", "P=4", "K=2", *(["C=1"] if once else [])],
            "spatial_x": ["P=2", "K=2"],
            "spatial_y": ["C=4"],
            "keep": ["Inputs", "Outputs"],
        },
        {"level": "L2", "temporal": ["C=4"], "keep": ["Outputs"]},
    ]
    spec = machine([{"spatial_x": [], "spatial_y": [], **here} for here in nest], [1, words, 1])
    architecture = load_architecture(spec)
    mapping = load_mapping({"mapping": {"levels": nest}}, architecture, problem)
    action = {"level": "L1", "skip": "Inputs", "on": "Weights"}
    design = {"sparsity": {"name": "s", "densities": {"Weights": 0.05}, "actions": [action]}}
    counts = evaluate(architecture, problem, mapping, sparsity=load_sparsity(design)).sparse("L1", "Inputs")
    wanted = hypergeometric_empty(1280, 64, weights)
    assert counts.skipped[0] / counts.dense[0] == pytest.approx(wanted, rel=1e-12)
    if weights == 8:
        assert wanted == pytest.approx(0.6627, abs=1e-4)
