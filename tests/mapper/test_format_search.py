"""Formats that are searched with the mapping: equal to trying every format that can be read, everywhere."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    Architecture,
    Evaluator,
    Problem,
    SpecError,
    evaluate,
    load_architecture,
    load_problem,
    load_sparsity,
    search,
)
from procrustes_model.mapper import search as mapper
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.spec.format_ranks import FormatRank
from procrustes_model.spec.sparsity import Format
from tests.amount import amount, first_quick
from tests.naive.mapspace import list_mappings

pytestmark = pytest.mark.xdist_group("formats")
"""One worker: what only these take is compiled once."""

BOUNDS = (
    {"M": 4, "K": 2, "N": 2},
    {"M": 2, "K": 4, "N": 1},
    {"M": 3, "K": 4, "N": 1},
    {"M": 2, "K": 6, "N": 1},
)
DIMENSIONS = {"A": ("M", "K"), "B": ("K", "N")}


def machine(rng: random.Random, other: str) -> Architecture:
    """Return two or three levels, of which one may keep what is sparse, or two."""
    prices = [rng.choice([5, 20, 60]), rng.choice([1, 2, 7]), 1]
    levels = []
    for name, price in zip(("Far", "Near", "Own")[: rng.choice([2, 2, 3])], prices, strict=False):
        level: dict[str, Any] = {"name": name, "word_bits": rng.choice([4, 8, 16]), "source": "a test"}
        level["energy_pj"] = {"read": price, "write": price * rng.choice([1, 2])}
        if rng.random() < 0.3:
            level["energy_pj"]["metadata"] = rng.choice([0.5, 3])
        if rng.random() < 0.3:
            level["read_bandwidth"] = rng.choice([1, 2])
        levels.append(level)
    levels[1]["mesh_x"] = rng.choice([1, 2])
    levels[1]["capacity_words"] = rng.choice([8, 12, 40])
    for level in levels[2:]:
        level["tensors"] = ["Z"]
    if rng.random() < 0.9:
        levels[1]["tensors"] = [other, "Z"]
    compute: dict[str, Any] = {"energy_pj": 1, "source": "a test"}
    content: dict[str, Any] = {"name": "m", "levels": levels, "compute": compute}
    return load_architecture({"architecture": content})


def case(seed: int) -> tuple[Any, Any, Any, str]:
    """Return a machine, a problem, a design whose formats are open, and the tensor with zeros."""
    rng = random.Random(seed)  # noqa: S311
    work = load_problem({"problem": {"name": "p", "shape": "matmul", "dimensions": rng.choice(BOUNDS)}})
    tensor = rng.choice("AB")
    other = "B" if tensor == "A" else "A"
    density: Any = rng.choice([0.1, 0.3, 0.5, {"model": "fixed", "density": 0.25}])
    if rng.random() < 0.2 and tensor == "A" and work.dimensions["K"] == 4:
        density = {"model": "structured", "nonzeros": 2, "group": 4, "along": "K"}
    design: dict[str, Any] = {"name": "d", "densities": {tensor: density}}
    design["capacity"] = {"size": rng.choice(["average", "dense"])}
    if rng.random() < 0.5:
        design["actions"] = [{"level": "Near", rng.choice(["skip", "gate"]): other, "on": tensor}]
    if rng.random() < 0.3:
        design["formats"] = {tensor: {"Far": "run_length"}}
        design["rules"] = {"stored_zeros": "metadata_only"}
    return machine(rng, other), work, design, tensor


def lists(tensor: str, pointer: int) -> Iterator[list[dict[str, Any]]]:
    """Yield all lists of ranks of a matrix that can be read; an empty one stores zeros."""
    yield []
    outer, inner = DIMENSIONS[tensor]
    runs = {"metadata_bits": 5}
    for kind in ("B", "CP", "RLE"):
        yield [{"kind": kind, "of": [outer, inner]} | (runs if kind == "RLE" else {})]
    for first, second in itertools.product(("U", "UOP", "B", "CP"), ("U", "B", "CP", "RLE")):
        one: dict[str, Any] = {"kind": first, "of": [outer]}
        two = {"kind": second, "of": [inner]} | (runs if second == "RLE" else {})
        if second in ("U", "B") or first == "UOP":
            yield [one, two]
        elif first != "U":
            yield [one | {"payload_bits": pointer}, two]


FORMS = {
    (tensor, width): [tuple(FormatRank(**rank) for rank in form) for form in lists(tensor, width)]
    for tensor in DIMENSIONS
    for width in range(1, 6)
}
"""By the tensor and the bits of a pointer."""


def every_nest(machine: Architecture, work: Problem) -> tuple[Any, ...]:
    """Return all mappings as arrays."""
    constraints = load_constraints(None, machine, work)
    found = list(list_mappings(machine, work, constraints, imperfect=False))
    names, tensors = list(work.dimensions), [tensor.name for tensor in work.tensors]
    parts = np.array([one for one, _, _ in found])
    order = [
        [[names.index(d) for d in (*row, *(n for n in names if n not in row))] for row in one]
        for _, one, _ in found
    ]
    keep = [[[name in row for name in tensors] for row in one] for _, _, one in found]
    temporal, spatial = parts[..., 0].swapaxes(1, 2), parts[..., 2::2].transpose(0, 2, 3, 1)
    return temporal, np.array(order), spatial, np.array(keep)


def best_of_all(
    machine: Architecture, work: Problem, design: dict[str, Any], tensor: str, objective: str
) -> float:
    """Return the least of all formats and mappings, each measured; pointers are as wide as tiles need."""
    nests = every_nest(machine, work)
    temporal, _, spatial, _ = nests
    own = [list(work.dimensions).index(d) for d in DIMENSIONS[tensor]]
    kept = [i for i, level in enumerate(machine.levels) if level.may_keep(tensor)]
    factors = temporal * spatial.prod(axis=2)
    inside = np.array(
        [
            temporal[:, i][:, own].prod(axis=1)
            * factors[:, i + 1 :, own].prod(axis=(1, 2))
            * spatial[:, i][:, :, own].prod(axis=(1, 2))
            for i in kept
        ]
    ).T
    widths = np.array([[int(words).bit_length() for words in row] for row in inside])
    base, least = load_sparsity({"sparsity": design}), np.inf
    names = [machine.levels[i].name for i in kept]
    groups = [(group, (widths == group).all(axis=1)) for group in np.unique(widths, axis=0)]
    for numbers in itertools.product(range(len(list(lists(tensor, 0)))), repeat=len(kept)):
        for group, rows in groups:
            forms = [FORMS[tensor, int(width)][number] for number, width in zip(numbers, group, strict=True)]
            alike = not any(rank.payload_bits for form in forms for rank in form)
            some = nests if alike else tuple(part[rows] for part in nests)
            formats = {name: Format(ranks=form) for name, form in zip(names, forms, strict=True) if form}
            phase = base.forward.model_copy(update={"formats": {tensor: formats} if formats else {}})
            try:
                evaluator = Evaluator(machine, work, sparsity=base.model_copy(update={"forward": phase}))
            except SpecError:
                continue
            found = evaluator.evaluate_batch(*some)
            energy, cycles = found.energy_pj[found.valid], found.cycles[found.valid]
            if len(energy):
                least = min(least, float((energy * (cycles if objective == "edp" else 1)).min()))
            if alike:
                break
    return float(least)


@pytest.mark.parametrize("first", first_quick(range(0, 50, 10), 1))
def test_the_best_formats_are_proven(first: int) -> None:
    compared = 0
    for seed in range(first, first + amount(10, 2)):
        machine, work, design, tensor = case(seed)
        objective = ("energy", "edp")[seed % 2]
        least = best_of_all(machine, work, design, tensor, objective)
        stated = {"sparsity": design}
        if np.isinf(least):
            with pytest.raises(SpecError):
                search(machine, work, objective=objective, sparsity=stated, formats="auto")
            continue
        found = search(machine, work, objective=objective, sparsity=stated, formats="auto", threads=1)
        assert found.certificate.value == pytest.approx(least, rel=1e-9), seed
        assert found.certificate.proven, seed
        again = evaluate(machine, work, found.mapping, sparsity=found.sparsity)
        assert (again.energy_pj, again.cycles) == (found.result.energy_pj, found.result.cycles)
        compared += 1
    assert compared


def test_runs_are_no_choice_where_their_zeros_are_not_counted() -> None:
    machine, work, _, _ = case(0)
    rows = {"model": "power_law", "density": 0.25, "exponent": 1.0, "rows": "M"}
    stated = {"sparsity": {"name": "d", "densities": {"A": rows}, "capacity": {"size": "average"}}}
    found = search(machine, work, sparsity=stated, formats="auto", threads=1)
    assert found.certificate.proven
    assert found.sparsity is not None and "RLE" not in found.sparsity.to_yaml()


def test_an_interrupt_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, work, design, _ = case(0)
    whole, calls = mapper.find, itertools.count()

    def interrupted(request: Any, choices: Any = None) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return whole(request, choices)

    monkeypatch.setattr(mapper, "find", interrupted)
    found = search(machine, work, sparsity={"sparsity": design}, formats="auto", threads=1)
    assert found.interrupted and not found.certificate.proven
    assert 0 < found.certificate.lower_bound <= found.certificate.value
