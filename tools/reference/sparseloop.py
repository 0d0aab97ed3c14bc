"""Cases in the form of ``tests/data/sparseloop_saf/cases.json.gz``: gating and skipping, by Sparseloop.

A case is a dense one with densities and actions, and with counts of what is done, gated and skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from procrustes_model import (
    SparseResult,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from reference import dense
from reference.compare import Mismatch, close, exact, levels_differ, shared_tensors

ENERGY_TOLERANCE = 1e-9
COUNTS = ("reads", "fills", "updates")

Case = dict[str, Any]


def sparsity_spec(case: Case) -> dict[str, Any]:
    """Return the case's densities and actions as the content of a sparsity file.

    Its rules: counts are whole words; parts of tiles are joined to fill an access; what has a gated operand
    is no computation. Computations that are gated are so on both operands, and cost full energy; those that
    would be skipped are not, since nothing is compressed.
    """
    sparsity = case["sparsity"]
    models = {"hypergeometric": "hypergeometric", "fixed-structured": "fixed"}
    densities = {
        name: {"model": models[density["distribution"]], "density": density["density"]}
        for name, density in sparsity["densities"].items()
    }
    kinds = {"gating": "gate", "skipping": "skip"}
    actions = [
        {"level": action["level"], kinds[action["type"]]: action["target"], "on": action["condition_on"]}
        for action in sparsity["actions"]
    ]
    operands = [name for name, tensor in case["problem"]["tensors"].items() if not tensor["output"]]
    compute = {"gate": operands, "gated_energy": 1.0} if sparsity["compute"] == "gating" else {}
    # Rules of what a case does not do would be refused.
    rules = {"rounding": "whole_words"} | ({"access_box": "joined"} if actions else {})
    if any("gate" in action for action in actions):
        rules["gated_operands"] = "dropped"
    return {
        "sparsity": {
            "name": f"case {case['id']}",
            "densities": densities,
            "actions": actions,
            "compute": compute,
            "rules": rules,
        }
    }


def mapping_spec(case: Case) -> dict[str, Any]:
    """Return the case's mapping with loops of one iteration too: their order decides what moves a block."""
    content = dense.mapping_spec(case)
    for level, written in zip(case["mapping"], content["mapping"]["levels"], strict=True):
        order = reversed(level["permutation_inner_to_outer"])
        written["temporal"] = [f"{d}={level['temporal'].get(d, 1)}" for d in order]
    return content


def evaluate_case(case: Case) -> SparseResult:
    """Turn a case into specs and evaluate them.

    Raises
    ------
    SpecError
        When the case does not make valid specs.
    """
    architecture = load_architecture(dense.architecture_spec(case))
    problem = load_problem(dense.problem_spec(case))
    mapping = load_mapping(mapping_spec(case), architecture, problem)
    return evaluate(architecture, problem, mapping, sparsity=load_sparsity(sparsity_spec(case)))


def check_sparseloop(case: Case) -> list[Mismatch]:
    """Evaluate a case and list every number that differs: counts exactly, energies to 1e-9."""
    return list(_compare(case["expected"], evaluate_case(case)))


def _compare(expected: dict[str, Any], result: SparseResult) -> Iterator[Mismatch]:
    yield from levels_differ(expected, result)
    for where, numbers, level, counts in shared_tensors(expected, result):
        sparse = result.sparse(level.name, counts.tensor)
        kinds = {"algorithmic": sparse.dense, "actual": sparse.actual}
        kinds |= {"gated": sparse.gated, "skipped": sparse.skipped}
        for kind, triple in kinds.items():
            for action, count in zip(COUNTS, triple, strict=True):
                yield from exact(f"{where}.{kind}_{action}", numbers[f"{kind}_{action}"], count)
        yield from exact(f"{where}.max_data_capacity", numbers["max_data_capacity"], counts.tile_words)
        yield from close(f"{where}.energy_pj", numbers["energy_pj"], counts.energy_pj, ENERGY_TOLERANCE)
    computes, wanted = result.computes, expected["computes"]
    yield from exact("computes.algorithmic", wanted["algorithmic"], computes.dense)
    yield from exact("computes.actual", wanted["actual"], computes.actual)
    yield from exact("computes.gated", wanted["gated"], computes.gated)
    yield from exact("computes.skipped", wanted["skipped"], computes.skipped)
    yield from exact("mac_cycles", expected["mac_cycles"], result.compute.cycles)
    yield from exact("cycles", expected["cycles"], result.cycles)
    yield from close(
        "mac.energy_pj", expected["mac"]["energy_pj"], result.compute.energy_pj, ENERGY_TOLERANCE
    )
    yield from close("total_energy_pj", expected["total_energy_pj"], result.energy_pj, ENERGY_TOLERANCE)
