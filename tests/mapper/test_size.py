"""The size of a mapspace counts every mapping once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, load_architecture, load_problem, search
from procrustes_model.mapper.constraints import Constraints, load_constraints
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.imperfect.space import imperfect_size
from procrustes_model.mapper.lattice import list_divisors
from procrustes_model.mapper.size import list_products
from procrustes_model.mapper.space import Space
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from tests.amount import amount
from tests.mapper.cases import make_architecture, make_constraints, make_problem
from tests.naive import mapspace as naive

pytestmark = pytest.mark.quick

LARGEST = amount(30_000, 3_000)


def _cases(bounds: list[int], levels: int) -> Iterator[tuple[Architecture, Problem, Constraints]]:
    """Yield small cases, half of them with constraints."""
    for seed in range(120):
        rng = random.Random(seed)  # noqa: S311
        content = make_problem(rng)
        dimensions = content["problem"]["dimensions"]
        dimensions.update({name: rng.choice(bounds) for name in dimensions})
        architecture = make_architecture(rng, list(content["problem"]["shape"]["tensors"]))
        names = [level["name"] for level in architecture["architecture"]["levels"]]
        rules = make_constraints(rng, content, names) if seed % 2 else None
        machine, problem = load_architecture(architecture), load_problem(content)
        if len(names) <= levels:
            yield machine, problem, load_constraints(rules, machine, problem)


@pytest.mark.parametrize("imperfect", [False, True], ids=["whole", "imperfect"])
def test_each_mapping_counts_once(imperfect: bool) -> None:
    compared = ordered = 0
    for machine, problem, constraints in _cases(*(([1, 2, 3], 2) if imperfect else ([1, 2, 3, 4], 3))):
        space = Space(machine, problem, constraints)
        size = imperfect_size(space) if imperfect else space.size()
        assert size is not None
        if size > LARGEST:
            continue
        every = list(naive.list_mappings(machine, problem, constraints, imperfect=imperfect))
        assert size == len(every) == len(set(every))
        compared += 1
        ordered += bool(space.rules.outside.any()) and size > 0
    assert compared >= 20 and ordered >= 5


def test_exhaustive_search_measures_each_mapping_once() -> None:
    compared = 0
    for machine, problem, constraints in _cases([1, 2, 3], 2):
        # where all fits, and no fan-out or utilisation decides, every mapping of the space is measured
        anything = {"capacity_words": None, "mesh_x": 1, "mesh_y": 1}
        levels = tuple(level.model_copy(update=anything) for level in machine.levels)
        compute = machine.compute.model_copy(update={"mesh_x": 1})
        roomy = machine.model_copy(update={"levels": levels, "compute": compute})
        size = Space(roomy, problem, constraints).size()
        if constraints.min_utilization or not size or size > LARGEST // 10:
            continue
        found = search(roomy, problem, constraints, method="exhaustive", threads=1)
        assert found.certificate.measured == found.certificate.mapspace == size
        compared += 1
    assert compared >= 5


def test_divisors_and_their_products() -> None:
    bounds = np.array([1, 7, 12, 360])
    divisors, counts = list_divisors(bounds)
    for bound, row, count in zip(bounds.tolist(), divisors.tolist(), counts.tolist(), strict=True):
        assert sorted(row[:count]) == [n for n in range(1, bound + 1) if bound % n == 0]
        assert row[0] == 1
        # the divisor at the other end makes the bound
        assert all(a * b == bound for a, b in zip(row[:count], row[:count][::-1], strict=True))
        products = list_products(np.array(row[:count]), bound)
        assert len(set(products)) == len(products)
        expected = {(a, b) for a in row[:count] for b in row[:count] if bound % (a * b) == 0}
        assert {(row[i], row[j]) for i, j, _ in products} == expected
        assert all(row[i] * row[j] == row[k] for i, j, k in products)


def test_a_space_beyond_counting_says_so() -> None:
    late = Deadline(0.0, iter(range(10**6)).__next__)
    machine, problem = load_architecture("procrustes_16x16"), load_problem("vgg_s/conv3_2")
    assert Space(machine, problem, Constraints(), None, late).size() is None
    with pytest.raises(SpecError, match="use the method 'optimal'"):
        search(machine, problem, method="exhaustive")


def test_a_dimension_may_stand_once_in_an_order() -> None:
    rules: Any = {"constraints": {"levels": [{"level": "DRAM", "temporal": {"order": ["K", "C", "K"]}}]}}
    with pytest.raises(SpecError, match="'K' stands twice; once is enough"):
        search("procrustes_16x16", "vgg_s/conv3_2", rules)
