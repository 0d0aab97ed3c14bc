"""A sparse set in the form that `tools/check_timeloop.py` reads, small enough that its output is by hand.

A product of 16 pairs on one level: of four numbers the first operand has one that is not zero, the second
operand and the sum are not touched for the others, and no computation is done.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MACHINE = """
architecture:
  version: 0.3
  subtree:
    - name: top
      local:
        - {name: Buffer, class: regfile, attributes: {depth: 64, width: 8, datawidth: 8}}
        - {name: MAC, class: intmac, attributes: {datawidth: 8}}
"""
PROBLEM = """
problem:
  instance: {K: 16, M: 1, densities: {A: {distribution: fixed-structured, density: 0.25}}}
  shape:
    name: product
    dimensions: [K, M]
    data-spaces:
      - {name: A, projection: [[[K]]]}
      - {name: B, projection: [[[K]]]}
      - {name: Z, projection: [[[M]]], read-write: true}
"""
NEST = """
mapping:
  - {target: Buffer, type: temporal, factors: K=16 M=1, permutation: KM}
"""
SPARSE = """
sparse_optimizations:
  targets:
    - name: Buffer
      action-optimization:
        - {type: gating, target: B, condition-on: [A]}
        - type: gating
          options: [{target: Z, condition-on: [A]}]
"""
TABLE = """
ERT:
  version: 0.3
  tables:
    - name: top.Buffer
      actions: [{name: read, energy: 2.0}, {name: write, energy: 3.0}]
    - {name: top.MAC, actions: [{name: compute, energy: 0.5}]}
"""


def make_sparse_set(folder: Path) -> Path:
    """Write the set and return its folder."""
    (folder / "inputs").mkdir(parents=True)
    parts = {"machine": MACHINE, "layer": PROBLEM, "nest": NEST, "sparse": SPARSE}
    for name, text in parts.items():
        (folder / "inputs" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "ERT.yaml").write_text(TABLE, encoding="utf-8")
    (folder / "README").write_text("a set\nrules: 2025\n", encoding="utf-8")
    (folder / "expected.json").write_text(json.dumps(_expected()), encoding="utf-8")
    return folder


def _expected() -> dict[str, Any]:
    counts = {
        "reads": [16, 16, 15],
        "fills": [0, 0, 0],
        "updates": [0, 0, 16],
        "random_reads": [16, 4, 3],
        "random_fills": [0, 0, 0],
        "random_updates": [0, 0, 4],
        "gated_reads": [0, 12, 12],
        "gated_fills": [0, 0, 0],
        "gated_updates": [0, 0, 12],
        "skipped_reads": [0, 0, 0],
        "skipped_fills": [0, 0, 0],
        "skipped_updates": [0, 0, 0],
        "utilized_capacity": [16, 16, 1],
    }
    buffer = {
        "name": "Buffer",
        "specs": {
            "Effective data storage size": 64,
            "Data word bits": 8,
            "Data block size": 1,
            "Instances": "1 (1*1)",
        },
        "loop_nest": [],
        "stats": {"Cycles": 4},
        "tensors": {},
        "exact": {
            "kind": "storage",
            "other": {"keep": [1, 1, 1]},
            "utilized_instances": [1.0, 1.0, 1.0],
            "energy": [32.0, 8.0, 3 * 2.0 + 4 * 3.0],
            **counts,
        },
    }
    compute = {
        "name": "MAC",
        "specs": {"Instances": "1 (1*1)"},
        "loop_nest": [],
        "stats": {"Cycles": 4},
        "tensors": {},
        "exact": {
            "kind": "arithmetic",
            "energy": 2.0,
            "cycles": 4,
            "utilized_instances": 1,
            "algorithmic_computes": 16,
            "random_computes": 4,
            "gated_computes": 0,
            "skipped_computes": 0,
        },
    }
    return {
        "levels": [compute, buffer],
        "networks": {},
        "networks_exact": [],
        "summary": {"Cycles": 4, "Energy": 0.0},
        "xml_tensor_order": ["A", "B", "Z"],
    }
