"""Compiles the kernels before the tests of a whole suite start: each once, on two processors.

``python -m tests.warm PART ...`` compiles parts in a process; `warm_up`, or no part, starts such processes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from procrustes_model.kernels.cache import is_warm

STAGES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("dense",),),
    (("search",), ("sparse",)),
    (("masks", "sparse_search"), ("imperfect", "imperfect_search", "random", "exhaustive")),
)
"""Parts that a process compiles, by the processes of a stage; what parts share, an earlier stage compiles."""


def _parts() -> dict[str, Callable[[], object]]:
    """Return what compiles each part, by its name."""
    import numpy as np

    from procrustes_model import (
        evaluate,
        load_architecture,
        load_mapping,
        load_problem,
        load_sparsity,
        search,
    )
    from tests.mapper.test_methods import DESIGN, MACHINE, MATMUL

    machine, problem = load_architecture(MACHINE), load_problem(MATMUL)
    levels = [{"level": name, "temporal": loops} for name, loops in (("Far", "M=2 K=2 N=2"), ("Near", ""))]
    whole = load_mapping({"mapping": {"levels": [*levels, {"level": "Register"}]}}, machine, problem)
    uneven = load_problem({"problem": MATMUL["problem"] | {"dimensions": {"M": 3, "K": 1, "N": 1}}})
    shorter = [{"level": "Far", "temporal": "M=2"}, {"level": "Near", "temporal": "M=2/1"}]
    shorter_last = load_mapping({"mapping": {"levels": [*shorter, {"level": "Register"}]}}, machine, uneven)
    design = load_sparsity(DESIGN)
    mask = {"A": np.eye(2, dtype=np.bool_)}
    few = {"mappings": 16, "threads": 1}
    return {
        "dense": lambda: evaluate(machine, problem, whole, check_capacity=False),
        "imperfect": lambda: evaluate(machine, uneven, shorter_last, check_capacity=False),
        "sparse": lambda: evaluate(machine, problem, whole, sparsity=design, check_capacity=False),
        "masks": lambda: evaluate(machine, problem, whole, sparsity=design, masks=mask, check_capacity=False),
        "search": lambda: search(machine, problem, threads=1),
        "sparse_search": lambda: search(machine, problem, sparsity=design, threads=1),
        "imperfect_search": lambda: search(machine, uneven, imperfect=True, **few),
        "random": lambda: search(machine, problem, method="random", **few),
        "exhaustive": lambda: search(machine, uneven, method="exhaustive", threads=1),
    }


def warm_up() -> None:
    """Compile all parts, unless an earlier session has."""
    if is_warm("walk") and is_warm("list_candidates"):
        return
    root = Path(__file__).parent.parent
    for stage in STAGES:
        commands = [[sys.executable, "-m", "tests.warm", *parts] for parts in stage]
        processes = [subprocess.Popen(command, cwd=root) for command in commands]
        for process in processes:
            process.wait()


if __name__ == "__main__":
    if not sys.argv[1:]:
        warm_up()
    else:
        parts = _parts()
        for name in sys.argv[1:]:
            parts[name]()
