"""A set in the form that `tools/check_timeloop.py` reads, its output counted by the naive walk.

The model that is walked is written here by hand, so that a set is no mirror of the importer.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from tests.naive.dense import evaluate

MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "small",
        "levels": [
            {
                "name": "Far",
                "word_bits": 16,
                "words_per_access": 4,
                "read_bandwidth": 3,
                "energy_pj": {"read": 100, "write": 110},
            },
            {
                "name": "Near",
                "word_bits": 16,
                "words_per_access": 2,
                "capacity_words": 128,
                "energy_pj": {"read": 5.5, "write": 6.25, "update": 6.5},
            },
            {
                "name": "Regs",
                "word_bits": 16,
                "capacity_words": 12,
                "write_bandwidth": 4,
                "mesh_x": 4,
                "mesh_y": 2,
                "energy_pj": {"read": 0.5, "write": 0.75},
            },
        ],
        "compute": {"name": "MAC", "energy_pj": 1.25},
    }
}
PROBLEM: dict[str, Any] = {
    "problem": {
        "name": "small",
        "dimensions": {"C": 4, "K": 8, "R": 3, "P": 8},
        "shape": {
            "dimensions": ["C", "K", "R", "P"],
            "tensors": {
                "W": {"projection": ["C", "K", "R"]},
                "X": {"projection": ["C", "R + 2*P"]},
                "Y": {"projection": ["K", "P"], "output": True},
            },
        },
    }
}
MAPPING: dict[str, Any] = {
    "mapping": {
        "name": "small",
        "levels": [
            {"level": "Far", "temporal": "K=2 P=2"},
            {
                "level": "Near",
                "temporal": "C=2 R=3",
                "spatial_x": "K=4",
                "spatial_y": "C=2",
                "keep": ["X", "Y"],
            },
            {"level": "Regs", "temporal": "P=4"},
        ],
    }
}
LEAKS = {"Near": 0.125, "Regs": 0.0625}
TENSORS = ("W", "X", "Y")


def make_set(data: Path, folder: Path, dialect: str = "tree") -> Path:
    """Write a set with the inputs of a dialect and return its folder."""
    shutil.copytree(data / "timeloop" / dialect, folder / "inputs")
    shutil.copy(data / "timeloop" / "ERT.yaml", folder)
    (folder / "README").write_text("a set\nrules: 2025\n", encoding="utf-8")
    (folder / "expected.json").write_text(json.dumps(expected()), encoding="utf-8")
    return folder


def expected() -> dict[str, Any]:
    """Return the output of the set, in that tool's form: levels innermost first."""
    machine, problem = load_architecture(MACHINE), load_problem(PROBLEM)
    found = evaluate(machine, problem, load_mapping(MAPPING, machine, problem))
    levels, leaked, columns, rows = [], 0.0, 1, 1
    for level in machine.levels:
        columns, rows = columns * level.mesh_x, rows * level.mesh_y
        leak = LEAKS.get(level.name, 0.0) * columns * rows * found["total_cycles"]
        leaked += leak
        specs = {
            "Effective size": level.capacity_words or "-",
            "Word bits": level.word_bits,
            "Block size": level.words_per_access,
            "Instances": f"{columns * rows} ({columns}*{rows})",
            "Read bandwidth": level.read_bandwidth or "-",
            "Write bandwidth": level.write_bandwidth or "-",
            "Leakage energy (total)": round(leak, 2),
        }
        levels.append(
            {
                "name": level.name,
                "specs": specs,
                "loop_nest": [],
                "stats": {"Cycles": found["cycles"][level.name]},
                "tensors": {},
                "exact": _storage(level.name, found),
            }
        )
    computes = problem.computes
    energy = computes * machine.compute.energy_pj
    levels.append(
        {
            "name": "MAC",
            "specs": {"Instances": "8 (4*2)"},
            "loop_nest": [],
            "stats": {"Cycles": found["steps"]},
            "tensors": {},
            "exact": {
                "kind": "arithmetic",
                "energy": energy,
                "cycles": found["steps"],
                "utilized_instances": 8,
                "algorithmic_computes": computes,
                "gated_computes": 0,
            },
        }
    )
    total = (found["total_energy"] + leaked) * 1e-6
    return {
        "levels": levels[::-1],
        "networks": {},
        "networks_exact": [],
        "summary": {"Cycles": found["total_cycles"], "Energy": round(total, 2)},
        "xml_tensor_order": list(TENSORS),
    }


def _storage(level: str, found: dict[str, Any]) -> dict[str, Any]:
    counts = [found["counts"].get((level, tensor)) for tensor in TENSORS]
    kept = next(one for one in counts if one is not None)
    spent = [found["energy"].get((level, tensor), 0.0) / kept["instances"] for tensor in TENSORS]

    def by_tensor(key: str) -> list[int]:
        return [0 if one is None else one[key] for one in counts]

    return {
        "kind": "storage",
        "other": {"keep": [int(one is not None) for one in counts]},
        "reads": by_tensor("reads"),
        "fills": by_tensor("fills"),
        "updates": by_tensor("updates"),
        "utilized_capacity": by_tensor("tile_words"),
        "utilized_instances": [kept["instances"]] * len(TENSORS),
        "energy": spent,
    }
