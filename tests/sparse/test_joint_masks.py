"""Masks of several tensors are counted together, element by element."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.kernels.sparse.joint import count_jointly
from procrustes_model.model.lower import lower_problem
from procrustes_model.model.sparse.masks import lower_masks, tensor_shape
from procrustes_model.policies import POLICIES
from procrustes_model.reproduction.request import VALIDATIONS
from tests.amount import amount
from tests.naive import joint as naive
from tests.naive.sparse import slowest_share
from tests.naive.sparse_random import saved_shares, stays
from tests.strategies import Spec, architectures, mappings, problems


def machine(levels: int) -> Any:
    """Return a machine of levels L0, L1, ... with one instance each."""
    each = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    return load_architecture(
        {
            "architecture": {
                "name": "line",
                "levels": [{"name": f"L{i}", **each} for i in range(levels)],
                "compute": {"energy_pj": 1},
            }
        }
    )


def draw_masks(problem: Any, names: list[str], seed: int, density: float) -> dict[str, Any]:
    """Return random masks by tensor."""
    rng = np.random.default_rng(seed)
    return {name: rng.random(tensor_shape(problem, name)) < density for name in names}


@st.composite
def masked_problems(draw: st.DrawFn) -> tuple[Any, list[str], dict[str, Any]]:
    """Draw a problem, two or three of its tensors and their masks."""
    spec = draw(problems(120).filter(lambda spec: spec["problem"]["name"] != "diagonal"))
    problem = load_problem(spec)
    names = draw(st.permutations([t.name for t in problem.tensors]))[: draw(st.integers(2, 3))]
    density = draw(st.sampled_from([0.1, 0.4, 0.8]))
    return problem, names, draw_masks(problem, names, draw(st.integers(0, 999)), density)


@pytest.mark.quick
@settings(max_examples=amount(150, 20))
@given(masked_problems(), st.data())
def test_boxes_are_counted_as_a_walk_finds_them(drawn: Any, data: Any) -> None:
    problem, names, masks = drawn
    bounds = problem.dimensions
    origin = {d: data.draw(st.integers(0, bound - 1)) for d, bound in bounds.items()}
    span = {d: data.draw(st.integers(1, bound - origin[d])) for d, bound in bounds.items()}
    boxes = {name: {d: data.draw(st.sampled_from([1, 1, 2, 3])) for d in bounds} for name in names}
    arrays = lower_problem(problem)
    extents = [[boxes.get(t.name, {}).get(d, 1) for d in bounds] for t in problem.tensors]
    chosen = np.array([t.name in names for t in problem.tensors])
    found = count_jointly(
        arrays,
        lower_masks(problem, arrays, masks),
        chosen,
        np.array(extents, np.int64),
        np.array(list(origin.values()), np.int64),
        np.array(list(span.values()), np.int64),
    )
    assert found == naive.count_jointly(problem, masks, boxes, origin, span)


@pytest.mark.quick
@settings(max_examples=amount(100, 10))
@given(masked_problems(), st.data())
def test_computations_are_those_of_a_walk(drawn: Any, data: Any) -> None:
    problem, names, masks = drawn
    skip = [name for name in names if data.draw(st.booleans())]
    gate = [name for name in names if name not in skip]
    design = {
        "name": "drawn",
        "formats": {name: {"*": "bitmask"} for name in skip if name != problem.output.name},
        "compute": {"skip": skip, "gate": gate},
    }
    mapping = load_mapping(
        {
            "mapping": {
                "levels": [{"level": "L0", "temporal": [f"{d}={b}" for d, b in problem.dimensions.items()]}]
            }
        },
        machine(1),
        problem,
    )
    result = evaluate(machine(1), problem, mapping, sparsity=load_sparsity({"sparsity": design}), masks=masks)
    done, gated, skipped = naive.sort_computations(problem, masks, skip, gate)
    found = result.computes
    assert (found.actual, found.gated, found.skipped) == pytest.approx((done, gated, skipped), abs=1e-6)
    assert result.compute.cycles == max(1, done + gated)


@st.composite
def saving_cases(draw: st.DrawFn) -> tuple[Spec, Spec, int]:
    """Draw a problem whose tensors have no sliding windows and a nest without spatial loops."""
    problem = draw(problems(120).filter(lambda spec: spec["problem"]["name"] in ("matmul", "five")))
    mapping = draw(mappings(problem, 3))
    for level in mapping["mapping"]["levels"]:
        level["temporal"] += level.pop("spatial_x") + level.pop("spatial_y")
        merged: dict[str, int] = defaultdict(lambda: 1)
        for loop in level["temporal"]:
            dimension, factor = loop.split("=")
            merged[dimension] *= int(factor)
        level["temporal"] = [f"{d}={factor}" for d, factor in merged.items()]
        level["keep"] = sorted(problem["problem"]["shape"]["tensors"])
    return problem, mapping, draw(st.integers(0, 999))


@pytest.mark.quick
@settings(max_examples=amount(100, 10))
@given(saving_cases(), st.sampled_from([0, 1, 2]), st.sampled_from(["skip", "gate"]))
def test_one_empty_leader_is_enough(case: tuple[Spec, Spec, int], level: int, kind: str) -> None:
    """Accesses are saved where some leader is empty on its mask, whatever the others are."""
    problem, architecture = load_problem(case[0]), machine(3)
    mapping = load_mapping(case[1], architecture, problem)
    output, operands = problem.output, [t for t in problem.tensors if not t.is_output]
    masks = draw_masks(problem, [t.name for t in operands], case[2], 0.4)
    action = {"level": f"L{level}", kind: output.name, "on": [t.name for t in operands]}
    design = load_sparsity({"sparsity": {"name": "drawn", "actions": [action]}})
    counts = evaluate(architecture, problem, mapping, sparsity=design, masks=masks).sparse(
        f"L{level}", output.name
    )
    met = stays(problem, mapping, level, output, operands)
    wanted = saved_shares(met, [[masks[t.name]] for t in operands])[0]
    saved = counts.skipped if kind == "skip" else counts.gated
    assert saved[2] == pytest.approx(counts.dense[2] * wanted, abs=1e-9)


@pytest.mark.quick
@settings(max_examples=amount(60, 10))
@given(saving_cases(), st.sampled_from(["skip", "gate"]))
def test_words_that_are_moved_are_those_that_meet(case: tuple[Spec, Spec, int], kind: str) -> None:
    """Of a compressed operand that is read only where another is not zero, the nonzeros there are moved."""
    problem, architecture = load_problem(case[0]), machine(3)
    mapping = load_mapping(case[1], architecture, problem)
    target, leader = (t for t in problem.tensors if not t.is_output)
    masks = draw_masks(problem, [target.name, leader.name], case[2], 0.4)
    design = {
        "name": "drawn",
        "formats": {target.name: {"L2": "bitmask"}},
        "actions": [{"level": "L2", kind: target.name, "on": leader.name}],
    }
    found = evaluate(
        architecture, problem, mapping, sparsity=load_sparsity({"sparsity": design}), masks=masks
    )
    both, alone, _ = naive.sort_computations(problem, masks, [target.name], [leader.name])
    counts = found.sparse("L2", target.name)
    assert counts.actual[0] == pytest.approx(both, abs=1e-9)
    assert counts.gated[0] == pytest.approx(alone if kind == "gate" else 0, abs=1e-9)


@pytest.mark.quick
@settings(max_examples=amount(60, 8))
@given(st.data(), st.sampled_from(list(POLICIES)))
def test_the_slowest_element_waits_for_what_is_alive_in_all_masks(data: Any, policy: str) -> None:
    spec = data.draw(problems(100).filter(lambda spec: spec["problem"]["name"] != "diagonal"))
    nest = data.draw(mappings(spec, data.draw(st.integers(1, 3))))
    for level in nest["mapping"]["levels"]:
        level["keep"] = sorted(spec["problem"]["shape"]["tensors"])
    architecture, problem = load_architecture(data.draw(architectures(nest))), load_problem(spec)
    mapping = load_mapping(nest, architecture, problem)
    operands = [tensor for tensor in problem.tensors if not tensor.is_output]
    names = [tensor.name for tensor in operands]
    density = data.draw(st.sampled_from([0.2, 0.5, 0.9]))
    masks = draw_masks(problem, names, data.draw(st.integers(0, 999)), density)
    design = {
        "name": "drawn",
        "formats": {name: {"*": "bitmask"} for name in names},
        "compute": {"skip": names},
        "balancing": {"policy": policy, "tensor": names[0]},
    }
    found = evaluate(
        architecture, problem, mapping, sparsity=load_sparsity({"sparsity": design}), masks=masks
    )
    array = len(architecture.levels) - 1
    both = [(tensor, masks[tensor.name]) for tensor in operands]
    share = slowest_share(problem, mapping, both, array, policy)
    steps = problem.computes // found.compute.instances_used
    assert found.compute.cycles == max(1, math.ceil(steps * share))
    done, _, _ = naive.sort_computations(problem, masks, names, [])
    assert found.imbalance is not None
    if done:
        before = slowest_share(problem, mapping, both, array, "none")
        ratios = (found.imbalance.before, found.imbalance.after)
        wanted = [float(one) * problem.computes / done for one in (before, share)]
        assert ratios == pytest.approx(wanted, rel=1e-12)


CONV = {"R": 3, "S": 3, "P": 4, "Q": 4, "C": 8, "K": 8, "N": 2}
BOTH = {
    "name": "both",
    "formats": {"Weights": {"*": "bitmask"}, "Inputs": {"*": "bitmask"}},
    "compute": {"skip": ["Weights", "Inputs"]},
}


@pytest.mark.parametrize(("alive", "macs"), [(slice(0, 4), 9216), (slice(4, 8), 0)])
def test_operands_that_are_alive_in_the_same_channels(alive: slice, macs: int) -> None:
    problem = load_problem({"problem": {"name": "c", "shape": "conv", "dimensions": CONV}})
    weights, inputs = np.zeros((8, 8, 3, 3), np.bool_), np.zeros((2, 8, 6, 6), np.bool_)
    weights[:, :4] = inputs[:, alive] = True
    mapping = load_mapping(
        {
            "mapping": {
                "levels": [
                    {"level": "L0", "temporal": "N=2 K=8 C=8"},
                    {"level": "L1", "temporal": "P=4 Q=4 R=3 S=3"},
                ]
            }
        },
        machine(2),
        problem,
    )
    masks = {"Weights": weights, "Inputs": inputs}
    found = evaluate(machine(2), problem, mapping, sparsity=load_sparsity({"sparsity": BOTH}), masks=masks)
    assert found.computes.actual == macs
    assert found.cycles == max(1, macs)


@pytest.mark.parametrize("lines", [False, True], ids=["compute", "accesses"])
@pytest.mark.parametrize(("alive", "macs"), [(slice(0, 8), 8), (slice(8, 16), 0)])
def test_a_product_of_two_masked_vectors(alive: slice, macs: int, lines: bool) -> None:
    shape = {
        "name": "dot",
        "dimensions": ["K", "M"],
        "tensors": {
            "A": {"projection": ["K"]},
            "B": {"projection": ["K"]},
            "Z": {"projection": ["M"], "output": True},
        },
    }
    problem = load_problem({"problem": {"name": "dot", "shape": shape, "dimensions": {"K": 16, "M": 1}}})
    mapping = load_mapping(
        {"mapping": {"levels": [{"level": "L0", "temporal": "K=16"}]}}, machine(1), problem
    )
    masks = {name: np.zeros(16, np.bool_) for name in "AB"}
    masks["A"][:8] = masks["B"][alive] = True
    design: Spec = {
        "name": "both",
        "formats": {"A": {"*": "bitmask"}, "B": {"*": "bitmask"}},
        "compute": {"skip": ["A", "B"]},
    }
    if lines:
        design["actions"] = [
            {"level": "L0", "skip": "B", "on": "A"},
            {"level": "L0", "skip": "Z", "on": ["A", "B"]},
        ]
    found = evaluate(machine(1), problem, mapping, sparsity=load_sparsity({"sparsity": design}), masks=masks)
    assert found.computes.actual == macs
    if lines:
        assert found.sparse("L0", "B").actual[0] == macs
        assert found.sparse("L0", "Z").actual[2] == macs


def eyeriss_v2_layers() -> dict[str, list[dict[str, int]]]:
    """Return the channels of every layer."""
    layers: dict[str, list[dict[str, int]]] = defaultdict(list)
    with (VALIDATIONS / "eyeriss_v2.csv").open() as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            layers[row.pop("layer")].append({key: int(value) for key, value in row.items()})
    return layers


LAYERS = eyeriss_v2_layers()


@pytest.mark.parametrize("name", LAYERS)
def test_cycles_published_for_the_processing_element_of_eyeriss_v2(name: str) -> None:
    """Every nonzero of a channel's inputs meets every nonzero of its weights, one a cycle."""
    rows = LAYERS[name]
    first, rng = rows[0], np.random.default_rng(0)
    size = {"C": first["channels"], "K": first["filters"], "P": first["height"] * first["width"]}
    shape = {
        "name": "pointwise",
        "dimensions": ["C", "K", "P"],
        "tensors": {
            "Weights": {"projection": ["K", "C"]},
            "Inputs": {"projection": ["P", "C"]},
            "Outputs": {"projection": ["K", "P"], "output": True},
        },
    }
    problem = load_problem({"problem": {"name": name, "shape": shape, "dimensions": size}})
    masks = {
        "Weights": np.zeros((size["K"], size["C"]), np.bool_),
        "Inputs": np.zeros((size["P"], size["C"]), np.bool_),
    }
    for row in rows:
        for tensor, key in (("Weights", "weight_nonzeros"), ("Inputs", "input_nonzeros")):
            side = len(masks[tensor])
            masks[tensor][rng.permutation(side)[: row[key]], row["channel"]] = True
    temporal = [f"{d}={bound}" for d, bound in size.items()]
    mapping = load_mapping(
        {"mapping": {"levels": [{"level": "L0"}, {"level": "L1", "temporal": temporal}]}}, machine(2), problem
    )
    found = evaluate(machine(2), problem, mapping, sparsity=load_sparsity({"sparsity": BOTH}), masks=masks)
    assert abs(found.cycles - first["published_cycles"]) <= 1
