"""Cases in the form of ``tests/data/procrustes_2020/cases.json``: runs of the Procrustes authors' own model.

A case is a mapping of one layer onto procrustes_16x16 in one phase, with a mask of the sparse tensor.
Weight updates are written as a forward problem there: its `Weights` are the input activations, its `Inputs`
the output gradients and its `Outputs` the weight gradients. Here they have their own names, so that the
design's weight-update phase applies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model import (
    SparseResult,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from reference.compare import Mismatch, close, exact

TOLERANCE = 1e-6
CYCLES = 1

ARCHITECTURE = "procrustes_16x16"
DESIGN = "procrustes_2020"

PHASES = {"fw": "forward", "bw": "backward", "wu": "weight_update"}
SHAPES: dict[str, tuple[dict[str, list[str]], str]] = {
    "cnn-layer": (
        {
            "Weights": ["R", "S", "C", "K"],
            "Inputs": ["N", "C", "P+R", "Q+S"],
            "Outputs": ["N", "K", "P", "Q"],
        },
        "Outputs",
    ),
    "cnn-layer-depthwise": (
        {"Weights": ["R", "S", "C"], "Inputs": ["N", "C", "P+R", "Q+S"], "Outputs": ["N", "C", "P", "Q"]},
        "Outputs",
    ),
    "backward-pass": (
        {
            "Weights": ["R", "S", "C", "K"],
            "Outputs": ["N", "K", "P+R", "Q+S"],
            "Inputs": ["N", "C", "P", "Q"],
        },
        "Inputs",
    ),
}
REWRITTEN = {"Weights": "Inputs", "Inputs": "Outputs", "Outputs": "Weights"}

Case = dict[str, Any]


def own_name(case: Case, tensor: str) -> str:
    """Return what a tensor of the case is called here."""
    return REWRITTEN[tensor] if case["weight_update_rewritten_as_forward"] else tensor


def problem_spec(case: Case) -> dict[str, Any]:
    """Return the case's problem, shape in place, as the content of a problem file."""
    projections, output = SHAPES[case["problem_shape"]]
    tensors = {
        own_name(case, name): {"projection": ranks, "output": name == output}
        for name, ranks in projections.items()
    }
    shape = {
        "name": case["problem_shape"],
        "phase": PHASES[case["phase"]],
        "dimensions": list(case["dims"]),
        "tensors": tensors,
    }
    return {"problem": {"name": case["id"], "shape": shape, "dimensions": case["dims"]}}


def mapping_spec(case: Case) -> dict[str, Any]:
    """Return the case's mapping as the content of a mapping file: loops outermost first, all tensors kept."""
    levels = []
    for name in ("DRAM", "GlobalBuffer", "RegFile"):
        level = case["mapping"][name]
        temporal = [
            f"{d}={level['temporal'][d]}"
            for d in reversed(level["permutation_inner_to_outer"])
            if d in level["temporal"]
        ]
        written: dict[str, Any] = {"level": name, "temporal": temporal}
        spatial = [f"{d}={factor}" for d, factor in level.get("spatial", {}).items()]
        if spatial:
            written |= {"spatial_x": spatial[:1], "spatial_y": spatial[1:]}
        levels.append(written)
    return {"mapping": {"name": case["id"], "levels": levels}}


def case_mask(case: Case, packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the mask of a case, unpacked from the bits that the data holds."""
    shape = case["mask"]["shape"]
    return np.unpackbits(packed, count=math.prod(shape)).astype(np.bool_).reshape(shape)


def evaluate_case(case: Case, mask: NDArray[np.bool_]) -> SparseResult:
    """Turn a case into specs and evaluate them.

    Raises
    ------
    SpecError
        When the case does not make valid specs.
    """
    architecture = load_architecture(ARCHITECTURE)
    problem = load_problem(problem_spec(case))
    mapping = load_mapping(mapping_spec(case), architecture, problem)
    sparsity = load_sparsity(DESIGN).with_balancing(case["load_balancing"])
    masks = {own_name(case, "Weights"): mask}
    return evaluate(architecture, problem, mapping, sparsity=sparsity, masks=masks, check_capacity=False)


def check_procrustes_2020(case: Case, mask: NDArray[np.bool_]) -> list[Mismatch]:
    """Evaluate a case and list every number in its `expected` that differs.

    Dense counts and instances are compared exactly; sparse counts, metadata and energies to 1e-6; sparse
    cycles may be 1 off.

    Parameters
    ----------
    case : dict
    mask : bool[ranks]
        As `case_mask` returns it.
    """
    return list(_compare(case, evaluate_case(case, mask)))


def _compare(case: Case, result: SparseResult) -> Iterator[Mismatch]:
    projections, _ = SHAPES[case["problem_shape"]]
    expected = case["expected"]
    sparse_tensor = own_name(case, "Weights")
    for level in result.levels:
        wanted = expected[level.name]
        yield from exact(
            f"{level.name}.cycles", wanted["cycles"], result.computes.dense // result.compute.instances_used
        )
        if abs(wanted["sparse_cycles"] - level.cycles) > CYCLES:
            yield Mismatch(f"{level.name}.sparse_cycles", wanted["sparse_cycles"], level.cycles)
        for name in projections:
            counts = result.tensor(level.name, own_name(case, name))
            sparse = result.sparse(level.name, own_name(case, name))
            where = f"{level.name}.{name}"
            yield from exact(f"{where}.instances", wanted["utilized_instances"][name], level.instances_used)
            for i, action in enumerate(("reads", "fills", "updates")):
                yield from exact(f"{where}.{action}", wanted[action][name], sparse.dense[i])
                yield from _near(
                    f"{where}.sparse_{action}", wanted[f"sparse_{action}"][name], sparse.actual[i]
                )
            for i, action in enumerate(("reads", "fills")):
                words = sparse.metadata[i]
                yield from _near(
                    f"{where}.sparse_index_{action}", wanted[f"sparse_index_{action}"][name], words
                )
            metadata = sum(sparse.metadata_energy_pj)
            used = level.instances_used
            data = (counts.energy_pj - metadata) / used
            yield from _near(f"{where}.sparse_energy", wanted["sparse_energy"][name], data)
            yield from _near(
                f"{where}.sparse_index_energy", wanted["sparse_index_energy"][name], metadata / used
            )
            pointers = 0.0
            if level.name == "GlobalBuffer" and own_name(case, name) == sparse_tensor and result.imbalance:
                pointers = result.imbalance.pointer_energy_pj
            yield from _near(f"{where}.sorting", wanted["sorting_blk_ptr_energy"][name], pointers)
    yield from _near("MACs.sparse_energy", expected["MACs"]["sparse_energy"], result.compute.energy_pj)


def _near(where: str, expected: Any, found: float) -> Iterator[Mismatch]:
    """Yield a mismatch unless both agree; nothing must be nothing."""
    return exact(where, expected, found) if expected == 0 else close(where, expected, found, TOLERANCE)
