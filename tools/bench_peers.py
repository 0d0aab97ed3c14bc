"""Searches beside what other mappers found on the same machine and problem: values, processor seconds.

Usage: python tools/bench_peers.py [--only TEXT]

What the others found, with what versions and conventions, is kept in tests/data (mapper_baseline.json,
accelforge.json.gz, other_mappers.json); their seconds were taken when they ran, on a processor like any, and
tell magnitudes. A first search of each kind compiles or loads kernels and is not counted. One thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from procrustes_model.mapper.search import search
from tests import accelforge

DATA = Path(__file__).parent.parent / "tests" / "data"
NAMES = ("R", "S", "P", "Q", "C", "K", "N")


class Row(NamedTuple):
    """A search of another mapper: the inputs of the same search here, what it found, and its seconds."""

    mapper: str
    machine: Any
    problem: Any
    constraints: Any
    objective: str
    uneven: bool
    value: float
    seconds: float


def list_rows() -> Iterator[Row]:
    """Yield searches: Timeloop's, AccelForge's, ZigZag's."""
    baseline = json.loads((DATA / "mapper_baseline.json").read_text(encoding="utf-8"))
    for layer in baseline["layers"]:
        bounds = {name: layer["dimensions"][name] for name in NAMES}
        problem = {"problem": {"name": layer["name"], "shape": "conv", "dimensions": bounds}}
        value = layer["best_edp_mapping_found"]["edp_j_cycles"] * 1e12
        yield Row("timeloop-mapper", "procrustes_16x16", problem, None, "edp", False, value, 90.0)
    read = accelforge.read_cases(DATA)
    machines, problems = read["machines"], {}
    for case in read["cases"]:
        problem = accelforge.make_problem(case)
        key = (case["machine"], tuple(problem["problem"]["dimensions"].values()))
        inputs = accelforge.make_machine(machines, case), problem
        if not case["drain_read"]:
            problems[key] = inputs
        found = case["accelforge"].get("default")
        if found is None or "cpu_seconds" not in found:
            continue
        value = found["energy_pj" if case["objective"] == "energy" else "edp_pj_cycles"]
        constraints = accelforge.make_constraints(machines, case)
        yield Row("AccelForge", *inputs, constraints, case["objective"], True, value, found["cpu_seconds"])
    for case in json.loads((DATA / "other_mappers.json").read_text(encoding="utf-8"))["cases"]:
        inputs = problems[case["machine"], tuple(case["bounds"])]
        for kind in ("even", "uneven"):
            found = case[kind]
            yield Row(
                "ZigZag", *inputs, None, "energy", kind == "uneven", found["energy_pj"], found["cpu_seconds"]
            )


def _search(row: Row) -> tuple[float, float, bool]:
    """Return the value that is found here, processor seconds, and whether it is proven."""
    begun = time.process_time()
    found = search(
        row.machine,
        row.problem,
        row.constraints,
        objective=row.objective,
        uneven=row.uneven,
        threads=1,
    )
    spent = time.process_time() - begun
    result = found.result
    value = result.energy_pj * (result.cycles if row.objective == "edp" else 1)
    return value, spent, found.certificate.proven


def main() -> None:
    """Run all searches and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", metavar="TEXT", help="mappers whose name has TEXT")
    given = parser.parse_args()
    print("theirs / ours: their value over the one found here, above 1 where theirs is worse")
    print(
        f"{'mapper':16} {'machine':18} {'problem':18} {'aim':6} {'space':7} {'theirs / ours':>13}"
        f" {'theirs s':>9} {'ours s':>7} {'times':>7}  proof"
    )
    warm: set[bool] = set()
    for row in list_rows():
        if given.only.lower() not in row.mapper.lower():
            continue
        if row.uneven not in warm:
            _search(row)
            warm.add(row.uneven)
        value, spent, proven = _search(row)
        bounds = row.problem["problem"]["dimensions"].values()
        machine = row.machine if isinstance(row.machine, str) else row.machine["architecture"]["name"]
        proof = "proven" if proven else "open"
        print(
            f"{row.mapper:16} {machine:18} {'x'.join(map(str, bounds)):18} {row.objective:6}"
            f" {'uneven' if row.uneven else 'even':7} {row.value / value:>13.6f}"
            f" {row.seconds:>9.1f} {spent:>7.2f} {row.seconds / spent:>7.0f}  {proof}",
            flush=True,
        )


if __name__ == "__main__":
    main()
