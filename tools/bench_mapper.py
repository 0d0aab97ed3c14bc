"""Searches beside what timeloop-mapper found: quality, proof, time.

Usage: python tools/bench_mapper.py [BASELINE.json] [--seconds S]

The baseline is in the form of its `layers`: name, dimensions, best_edp_mapping_found. Without one, only the
other layers run. A first search of a tiny layer compiles the kernels and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from procrustes_model.mapper.search import search

NAMES = ("R", "S", "P", "Q", "C", "K", "N")
RESNET18 = {
    "resnet18_conv2": (3, 3, 56, 56, 64, 64),
    "resnet18_conv3": (3, 3, 28, 28, 128, 128),
    "resnet18_conv4": (3, 3, 14, 14, 256, 256),
    "resnet18_conv5": (3, 3, 7, 7, 512, 512),
}
OTHERS: dict[str, dict[str, Any]] = {
    "alexnet_conv1": {
        "shape": "conv",
        "coefficients": {"stride_h": 4, "stride_w": 4},
        "dimensions": dict(zip(NAMES, (11, 11, 55, 55, 3, 96, 16), strict=True)),
    },
    "fc_147_1000_batch_256": {
        "shape": "conv",
        "dimensions": dict(zip(NAMES, (1, 1, 1, 1, 147, 1000, 256), strict=True)),
    },
    "resnet50_1x1_batch_1": {
        "shape": "conv",
        "dimensions": dict(zip(NAMES, (1, 1, 14, 14, 1024, 256, 1), strict=True)),
    },
    "matmul_512": {"shape": "matmul", "dimensions": {"M": 512, "N": 512, "K": 512}},
    "matmul_4096": {"shape": "matmul", "dimensions": {"M": 4096, "N": 4096, "K": 4096}},
}


def _problem(name: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"problem": {"name": name, "shape": "conv", **content}}


def _report(
    name: str, problem: dict[str, Any], objective: Any, baseline: float | None, seconds: float
) -> None:
    begun = time.perf_counter()
    found = search("procrustes_16x16", problem, objective=objective, seconds=seconds)
    spent = time.perf_counter() - begun
    result, certificate = found.result, found.certificate
    beside = f"{baseline:14,.1f} {baseline / result.edp_j_cycles:6.2f}x" if baseline else " " * 22
    proof = "proven" if certificate.proven else f"gap {certificate.gap:.2%}"
    print(
        f"{name:24} {objective:6} {result.edp_j_cycles:14,.1f} {beside} {result.energy_pj * 1e-6:12,.1f} uJ"
        f" {spent:7.2f} s  {proof}, {certificate.mapspace:.1e} mappings, {certificate.measured:,} measured",
        flush=True,
    )


def _report_rate(problem: dict[str, Any]) -> None:
    begun = time.process_time()
    found = search("procrustes_16x16", problem, method="random", mappings=1_000_000, threads=1)
    spent = time.process_time() - begun
    print(f"random, 1 thread: {found.certificate.measured / spent:,.0f} valid mappings per second")


def main() -> None:
    """Run all layers and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("baseline", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of each search")
    given = parser.parse_args()
    tiny = _problem("tiny", {"dimensions": dict.fromkeys(NAMES, 2)})
    begun = time.perf_counter()
    search("procrustes_16x16", tiny)
    print(f"first search, kernels compiled or loaded: {time.perf_counter() - begun:.1f} s")
    print(
        f"{len(os.sched_getaffinity(0))} processors; EDP in J x cycles; baseline and ratio where there is one"
    )
    if given.baseline:
        for layer in json.loads(given.baseline.read_text())["layers"]:
            problem = _problem(layer["name"], {"dimensions": layer["dimensions"]})
            best = layer["best_edp_mapping_found"]["edp_j_cycles"]
            for objective in ("edp", "energy"):
                _report(
                    layer["name"], problem, objective, best if objective == "edp" else None, given.seconds
                )
    for name, bounds in RESNET18.items():
        for batch in (16, 64):
            problem = _problem(name, {"dimensions": dict(zip(NAMES, (*bounds, batch), strict=True))})
            _report(f"{name}_batch_{batch}", problem, "edp", None, given.seconds)
    for name, content in OTHERS.items():
        _report(name, _problem(name, content), "edp", None, given.seconds)
    _report_rate(_problem("vgg", {"dimensions": dict(zip(NAMES, (3, 3, 7, 7, 256, 256, 16), strict=True))}))
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
