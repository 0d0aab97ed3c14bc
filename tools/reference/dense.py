"""Cases in the form of ``tests/data/timeloop_dense.json.gz`` and ``timeloop_imperfect.json.gz``.

A case holds an architecture, a problem and a mapping as Timeloop describes them, and the counts,
energies and cycles that it prints for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from procrustes_model import Result, evaluate, load_architecture, load_mapping, load_problem
from reference.compare import Mismatch, close, exact, levels_differ, shared_tensors

ENERGY_TOLERANCE = 1e-9
COUNTS = {"reads": "reads", "updates": "updates", "fills": "fills", "utilized_capacity": "tile_words"}

Case = dict[str, Any]


def architecture_spec(case: Case) -> dict[str, Any]:
    """Return the case's architecture as the content of an architecture file."""
    levels = []
    columns = rows = 1
    for level in case["arch"]["levels"]:
        energy = level["energy_per_action_pj"]
        levels.append(
            {
                "name": level["name"],
                "class": "memory",
                "mesh_x": level["mesh_x"] // columns,
                "mesh_y": level["mesh_y"] // rows,
                "word_bits": level["word_bits"],
                "words_per_access": level["block_size"],
                "energy_pj": {"read": energy["read"], "write": energy["write"], "update": energy["update"]},
                "source": "reference case",
            }
            | {
                port: level[port]
                for port in ("read_bandwidth", "write_bandwidth", "shared_bandwidth")
                if level[port] is not None
            }
        )
        columns, rows = level["mesh_x"], level["mesh_y"]
    mac = case["arch"]["mac"]
    compute = {
        "name": "MAC",
        "mesh_x": mac["instances"] // (columns * rows),
        "energy_pj": mac["energy_pj"],
        "source": "reference case",
    }
    return {"architecture": {"name": f"case {case['id']}", "levels": levels, "compute": compute}}


def problem_spec(case: Case) -> dict[str, Any]:
    """Return the case's problem, shape in place, as the content of a problem file."""
    problem = case["problem"]
    tensors = {
        name: {
            "projection": [" + ".join("*".join(term) for term in rank) for rank in tensor["projection"]],
            "output": tensor["output"],
        }
        for name, tensor in problem["tensors"].items()
    }
    shape = {
        "name": problem["kind"],
        "dimensions": list(problem["dims"]),
        "coefficients": dict.fromkeys(problem["coefficients"], 1),
        "tensors": tensors,
    }
    return {
        "problem": {
            "name": f"{problem['kind']} {case['id']}",
            "shape": shape,
            "dimensions": problem["dims"],
            "coefficients": problem["coefficients"],
        }
    }


def mapping_spec(case: Case) -> dict[str, Any]:
    """Return the case's mapping as the content of a mapping file: loops outermost first."""
    levels = []
    for level in case["mapping"]:
        last = level.get("temporal_last", {})
        order = reversed(level["permutation_inner_to_outer"])
        temporal = [
            f"{d}={level['temporal'][d]}" + (f"/{last[d]}" if d in last else "")
            for d in order
            if level["temporal"].get(d, 1) > 1
        ]
        levels.append(
            {
                "level": level["level"],
                "temporal": temporal,
                "spatial_x": [f"{d}={factor}" for d, factor in level["spatial_x"].items()],
                "spatial_y": [f"{d}={factor}" for d, factor in level["spatial_y"].items()],
                "keep": level["keep"],
            }
        )
    return {"mapping": {"name": f"case {case['id']}", "levels": levels}}


def evaluate_case(case: Case) -> Result:
    """Turn a case into specs and evaluate them.

    Raises
    ------
    SpecError
        When the case does not make valid specs.
    """
    architecture = load_architecture(architecture_spec(case))
    problem = load_problem(problem_spec(case))
    return evaluate(architecture, problem, load_mapping(mapping_spec(case), architecture, problem))


def check_case(case: Case) -> list[Mismatch]:
    """Evaluate a case and list every number in its `expected` that differs.

    Counts, capacities, instances and cycles are compared exactly, energies to 1e-9.
    """
    return list(_compare(case["expected"], evaluate_case(case)))


def _compare(expected: dict[str, Any], result: Result) -> Iterator[Mismatch]:
    yield from levels_differ(expected, result)
    for where, numbers, level, counts in shared_tensors(expected, result):
        for key, attribute in COUNTS.items():
            yield from exact(f"{where}.{key}", numbers[key], getattr(counts, attribute))
        yield from exact(f"{where}.utilized_instances", numbers["utilized_instances"], level.instances_used)
        yield from close(f"{where}.energy_pj", numbers["energy_pj"], counts.energy_pj, ENERGY_TOLERANCE)
    yield from exact("computes", expected["computes"], result.compute.computes)
    yield from exact("mac.cycles", expected["mac"]["cycles"], result.compute.cycles)
    yield from exact(
        "mac.utilized_instances", expected["mac"]["utilized_instances"], result.compute.instances_used
    )
    yield from close(
        "mac.energy_pj", expected["mac"]["energy_pj"], result.compute.energy_pj, ENERGY_TOLERANCE
    )
    yield from exact("cycles", expected["cycles"], result.cycles)
    if "energy_uj_rounded" in expected:
        rounded = expected["energy_uj_rounded"]
        if not isinstance(rounded, int | float) or not abs(result.energy_pj * 1e-6 - rounded) <= 0.0050001:
            yield Mismatch("energy_uj_rounded", rounded, round(result.energy_pj * 1e-6, 2))
    yield from close("total_energy_pj", expected["total_energy_pj"], result.energy_pj, ENERGY_TOLERANCE)
