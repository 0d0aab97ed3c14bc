"""Whatever machines, problems and designs have, kernels get arrays of the same types, and so compile once."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from procrustes_model import Evaluator, SpecError
from procrustes_model.shipped import list_shipped
from tests.furnished import furnish
from tests.mapper.test_methods import DESIGN, MACHINE, MATMUL

pytestmark = pytest.mark.quick


def kind(value: Any) -> Any:
    """Return what a compiled kernel tells apart of an argument."""
    if isinstance(value, tuple):
        return type(value).__name__, *(kind(part) for part in value)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.ndim, value.flags.c_contiguous, value.flags.writeable
    return type(value)


def draw(seed: int) -> dict[str, Any]:
    """Return a machine with what there is beside plain storage."""
    levels = [
        {"name": name, "word_bits": 16, "energy_pj": {"read": 2, "write": 1}} for name in ("Far", "Near")
    ]
    content = {"name": "drawn", "levels": levels, "compute": {"energy_pj": 1}}
    machine: dict[str, Any] = {"architecture": content}
    furnish(random.Random(seed), machine, ["A", "B", "Z"], "Z")  # noqa: S311
    return machine


def test_machines() -> None:
    plain = kind(Evaluator(MACHINE, MATMUL).design.machine)
    same = wide = 0
    for machine in [*list_shipped("architecture"), *map(draw, range(30))]:
        try:
            arrays = Evaluator(machine, MATMUL).design.machine
        except SpecError:
            continue  # such as sums that are narrower than what leaves
        assert kind(arrays) == plain, machine
        same, wide = same + 1, wide + (arrays.sums.output >= 0)
    assert same - wide >= 5
    assert wide >= 5


def test_problems() -> None:
    plain = kind(Evaluator(MACHINE, MATMUL).design.problem)
    for name in list_shipped("problem"):
        assert kind(Evaluator("simple_3level", name).design.problem) == plain, name


@pytest.mark.parametrize("masks", [None, {"A": np.eye(2, dtype=np.bool_)}], ids=["densities", "masks"])
def test_designs(masks: Any) -> None:
    parts = ("problem", "machine", "rules", "densities", "actions", "formats", "balance", "masks")
    given, shipped = (
        Evaluator(MACHINE, MATMUL, sparsity=DESIGN, masks=masks).design,
        Evaluator("procrustes_16x16", "vgg_s/conv3_2", sparsity="procrustes").design,
    )
    for part in parts:
        assert kind(getattr(given, part)) == kind(getattr(shipped, part)), part
