"""Compiles the kernels before the tests of a whole suite start: each once, on two processors.

``python -m tests.warm PART ...`` compiles parts in a process; `warm_up`, or no part, starts such processes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from procrustes_model.kernels.cache import is_warm

STAGES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("dense",),),
    (("search",), ("sparse",)),
    (
        ("masks", "joint", "sparse_search", "sparse_exhaustive", "special"),
        ("labels", "imperfect", "unequal", "imperfect_search", "random", "exhaustive", "listed", "rules"),
    ),
)
"""Parts that a process compiles, by the processes of a stage; what parts share, an earlier stage compiles."""

_RANKS = [{"kind": "UOP", "payload_bits": 5}, {"kind": "CP", "metadata_bits": 3}]
LISTED: dict[str, Any] = {
    "sparsity": {"name": "listed", "densities": {"A": 0.5}, "formats": {"A": {"*": {"ranks": _RANKS}}}}
}
"""A design whose formats list their ranks."""
RULES: dict[str, Any] = {
    "sparsity": {
        "name": "rules",
        "densities": {"A": 0.5},
        "formats": {"A": {"*": {"ranks": _RANKS}}},
        "actions": [{"level": "Near", "skip": "B", "on": "A"}, {"level": "Register", "gate": "B", "on": "A"}],
        "rules": {
            "access_box": "joined",
            "rounding": "whole_words",
            "several_actions": "strongest",
            "empty_tiles": "unused",
            "format_ranks": "loops",
        },
        "capacity": {"size": "average", "overflow": "spill"},
    }
}
"""A design that is counted by the rules of another model."""
JOINTLY: dict[str, Any] = {
    "sparsity": {
        "name": "jointly",
        "formats": {"A": {"*": {"kind": "bitmask"}}, "B": {"*": {"kind": "bitmask"}}},
        "actions": [{"level": "Register", "skip": "Z", "on": ["A", "B"]}],
        "capacity": {"size": "maximum"},
    }
}
"""A design for masks of two tensors."""


def _parts() -> dict[str, Callable[[], object]]:
    """Return what compiles each part, by its name."""
    import numpy as np

    from procrustes_model import (
        evaluate,
        evaluate_batch,
        load_architecture,
        load_mapping,
        load_problem,
        load_sparsity,
        search,
    )
    from procrustes_model.kernels.jit import always_compiled
    from procrustes_model.mapper.task import compile_kernels, compile_labels
    from procrustes_model.model.lower import lower_last_passes, lower_mapping
    from tests.mapper.test_methods import DESIGN, MACHINE, MATMUL

    always_compiled()
    machine, problem = load_architecture(MACHINE), load_problem(MATMUL)
    levels = [{"level": name, "temporal": loops} for name, loops in (("Far", "M=2 K=2 N=2"), ("Near", ""))]
    whole = load_mapping({"mapping": {"levels": [*levels, {"level": "Register"}]}}, machine, problem)
    uneven = load_problem({"problem": MATMUL["problem"] | {"dimensions": {"M": 3, "K": 1, "N": 1}}})
    shorter = [{"level": "Far", "temporal": "M=2"}, {"level": "Near", "temporal": "M=2/1"}]
    shorter_last = load_mapping({"mapping": {"levels": [*shorter, {"level": "Register"}]}}, machine, uneven)
    nests = lower_mapping(uneven, shorter_last)
    nests.spatial[0, 0, 0, 0] = 2  # what is short lies inside
    design = load_sparsity(DESIGN)
    mask = {"A": np.eye(2, dtype=np.bool_)}
    listed, rules = load_sparsity(LISTED), load_sparsity(RULES)
    both, jointly = mask | {"B": np.eye(2, dtype=np.bool_)}, load_sparsity(JOINTLY)
    few = {"mappings": 16, "threads": 1}

    def grow_labels() -> None:
        for sparse in (False, True):
            compile_labels(sparse)

    return {
        "dense": lambda: evaluate(machine, problem, whole, check_capacity=False),
        "imperfect": lambda: evaluate(machine, uneven, shorter_last, check_capacity=False),
        "unequal": lambda: evaluate_batch(
            machine, uneven, *nests, last=lower_last_passes(uneven, shorter_last)
        ),
        "sparse": lambda: evaluate(machine, problem, whole, sparsity=design, check_capacity=False),
        "masks": lambda: evaluate(machine, problem, whole, sparsity=design, masks=mask, check_capacity=False),
        "search": lambda: search(machine, problem, threads=1),
        "labels": grow_labels,
        "special": lambda: compile_kernels(special=True),
        "sparse_search": lambda: search(machine, problem, sparsity=design, threads=1),
        "imperfect_search": lambda: search(machine, uneven, imperfect=True, **few),
        "random": lambda: search(machine, problem, method="random", **few),
        "exhaustive": lambda: search(machine, uneven, method="exhaustive", threads=1),
        "listed": lambda: evaluate(machine, problem, whole, sparsity=listed, check_capacity=False),
        "rules": lambda: evaluate(machine, problem, whole, sparsity=rules, check_capacity=False),
        "joint": lambda: evaluate(
            machine, problem, whole, sparsity=jointly, masks=both, check_capacity=False
        ),
        "sparse_exhaustive": lambda: search(machine, uneven, sparsity=design, method="exhaustive", threads=1),
    }


def warm_up() -> None:
    """Compile all parts, unless an earlier session has."""
    if all(map(is_warm, ("list_all", "list_candidates", "spill"))):
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
