"""The search of uneven mappings against every one of them, on small problems."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, search
from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.incumbent import Progress
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.uneven.space import UnevenSpace, unfold_space
from tests.amount import amount, first_quick
from tests.mapper.cases import SHAPES, find
from tests.naive.nests import list_nests

CASES, LARGEST = 40, amount(30_000, 4_000)


def _case(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a machine of two or three levels, small memories, and a problem of a few iterations."""
    rng = random.Random(seed)  # noqa: S311
    name = rng.choice(["matmul", "matmul", "matmul", "vector", "slide", "depthwise"])
    dimensions, tensors = SHAPES[name]
    bounds = {d: rng.choice([2, 3, 4, 4, 6] if len(tensors) == 3 else [1, 2, 4]) for d in dimensions}
    coefficients = {"s": rng.choice([1, 2]), "d": 1} if "R" in bounds else {}
    projections: dict[str, Any] = {one: {"projection": ranks.split()} for one, ranks in tensors.items()}
    projections[list(tensors)[-1]]["output"] = True
    shape = {"name": "case", "dimensions": dimensions, "coefficients": coefficients, "tensors": projections}
    problem = {"problem": {"name": "case", "shape": shape, "dimensions": bounds}}
    count, levels = rng.choice([2, 2, 2, 3]), []
    for i in range(count):
        energy = rng.uniform(1, 9) * 5 ** (count - 1 - i)
        level: dict[str, Any] = {"name": f"L{i}", "word_bits": 16}
        level["energy_pj"] = {"read": energy, "write": energy * rng.uniform(0.5, 1.5)}
        level["words_per_access"] = rng.choice([1, 1, 1, 2])
        level["drain_read"] = rng.random() < 0.2
        if i:
            level["capacity_words"] = rng.randint(4, 24)
        if i and count > 2:
            level["tensors"] = rng.sample(list(tensors), 2)
        if i == 1 and rng.random() < 0.3:
            level["mesh_x"] = 2
        if rng.random() < 0.15:
            level["shared_bandwidth"] = rng.choice([0.5, 1, 2])
        if rng.random() < 0.15:
            level["network"] = {"topology": "bus", "energy_pj_per_bit": 0.1}
        levels.append(level)
    return {"architecture": {"name": "case", "levels": levels, "compute": {"energy_pj": 1}}}, problem


def _space(seed: int) -> UnevenSpace:
    content, product = _case(seed)
    architecture, problem = load_architecture(content), load_problem(product)
    return unfold_space(Space(architecture, problem, load_constraints(None, architecture, problem)))


def _count(space: UnevenSpace) -> int:
    splits = [
        math.prod(math.comb(e + space.levels - 1, e) for e in _exponents(int(bound)))
        for bound in space.model.bounds
    ]
    return math.prod(splits) * sum(1 for _ in space.patterns()) * 3


def _exponents(number: int) -> list[int]:
    found = [sum(1 for k in range(1, 20) if number % p**k == 0) for p in (2, 3, 5, 7, 11)]
    return [one for one in found if one]


def _try_all(space: UnevenSpace) -> dict[str, float]:
    """Return the least energy, cycles, and product of both, of every valid mapping."""
    found = list(list_nests(space))
    nests, dimensions = space.nests(len(found)), len(space.model.bounds)
    for n, (spread, temporal, orders) in enumerate(found):
        nests.temporal[n] = temporal
        nests.spatial[n, :, 0] = spread
        for level, order in enumerate(orders):
            nests.order[n, level] = [*(d for d in range(dimensions) if d not in order), *order]
    least = {"energy": math.inf, "edp": math.inf, "cycles": math.inf}
    for keep in space.patterns():
        every = NestArrays(nests.temporal, nests.order, nests.spatial, np.tile(keep, (len(found), 1, 1)))
        result = space.evaluator.evaluate(*every)
        valid = result.status == 0
        if valid.any():
            energy, cycles = result.energy_pj[valid], result.cycles[valid]
            least["energy"] = min(least["energy"], float(energy.min()))
            least["cycles"] = min(least["cycles"], float(cycles.min()))
            least["edp"] = min(least["edp"], float((energy * cycles).min()))
    return least


@pytest.mark.parametrize("first", first_quick(range(0, CASES, 20), 1))
def test_as_good_as_every_mapping(first: int) -> None:
    tried = 0
    for seed in range(first, first + 20):
        space = _space(seed)
        if _count(space) > LARGEST:
            continue
        tried += 1
        assert space.even is not None
        given, best = (space.even.architecture, space.problem), _try_all(space)
        for objective in ("energy", "edp", "cycles")[: 3 if seed % 3 == 0 else 2]:
            even = find(*given, None, objective, method="optimal")
            if even is None:
                assert best[objective] == math.inf
                break
            found = search(*given, objective=objective, uneven=True, threads=1)
            assert found.certificate.value <= even.certificate.value * (1 + 1e-12), (seed, objective)
            assert found.certificate.lower_bound <= best[objective] * (1 + 1e-9), (seed, objective)
            assert found.certificate.proven, (seed, objective)
            assert found.certificate.value == pytest.approx(best[objective], rel=1e-9), (seed, objective)
            again = load_mapping(found.mapping.to_dict(), *given)
            assert evaluate(*given, again).energy_pj == found.result.energy_pj
    assert tried > amount(3, 0)


@pytest.mark.quick
def test_a_saving_of_a_quarter() -> None:
    """Of a product 4 x 4 x 4 with room for 22 words: two tensors whole inside, the third word by word.

    Far away is what comes and goes once, 3 x 16 words; near every word of it and of each operation.
    """
    levels = [
        {"name": "Far", "word_bits": 16, "energy_pj": {"read": 20, "write": 20}},
        {"name": "Near", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}, "capacity_words": 22},
    ]
    machine = {"architecture": {"name": "two", "levels": levels, "compute": {"energy_pj": 1}}}
    problem = {"problem": {"name": "mm", "shape": "matmul", "dimensions": dict.fromkeys("MKN", 4)}}
    found = search(machine, problem, objective="energy", uneven=True, threads=1)
    assert found.certificate.proven
    assert found.mapping.uneven
    assert found.certificate.even is not None
    assert 1 - found.certificate.value / found.certificate.even > 0.2
    far = found.result.level("Far")
    assert sum(one.reads + one.fills + one.updates for one in far.tensors) == 3 * 16
    assert found.result.level("Near").used_words <= 22


def test_layouts_of_three_tensors() -> None:
    """A level that may keep three tensors has 1 + 3 + 6 + 6 layouts, by how many it keeps."""
    machine = {
        "architecture": {
            "name": "two",
            "levels": [
                {"name": "Far", "word_bits": 16, "energy_pj": {"read": 9, "write": 9}},
                {"name": "Near", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}},
            ],
            "compute": {"energy_pj": 1},
        }
    }
    architecture = load_architecture(machine)
    problem = load_problem(
        {"problem": {"name": "mm", "shape": "matmul", "dimensions": {"M": 2, "K": 2, "N": 2}}}
    )
    space = unfold_space(Space(architecture, problem, load_constraints(None, architecture, problem)))
    assert space.entries == (0, 1, 1, 1)
    laid = list(space.patterns())
    assert len(laid) == 16
    assert len({one.tobytes() for one in laid}) == 16
    assert all((one[1:].sum(axis=1) <= 1).all() for one in laid)
    for one in laid:
        used = one[1:].any(axis=1)
        assert list(used) == sorted(used)
        assert list(space.idle(one)) == [False, *(not here for here in used[:2]), False]


TWO = {"K": 8, "M": 6, "N": 4}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"imperfect": True}, "uneven mappings are searched with proof and whole passes"),
        ({"method": "random"}, "uneven mappings are searched with proof and whole passes"),
        ({"sparsity": "procrustes"}, "uneven mappings are searched where nothing is zero"),
        (
            {"constraints": {"constraints": {"levels": [{"level": "L1", "temporal": {"factors": "K<=2"}}]}}},
            "temporal loops of L1 are constrained, and may stand at several places",
        ),
    ],
)
def test_what_is_not_searched_is_refused(more: dict[str, Any], message: str) -> None:
    content, _ = _case(1)
    content["architecture"]["levels"][1].pop("tensors", None)
    problem = {"problem": {"name": "mm", "shape": "matmul", "dimensions": TWO}}
    with pytest.raises(SpecError, match=message):
        search(content, problem, uneven=True, **more)


def test_a_limit_of_work_and_an_interruption_leave_a_gap() -> None:
    """What is found then is no worse than the best even mapping so far, and evaluates to the same."""
    content, _ = _case(1)
    problem = {"problem": {"name": "mm", "shape": "matmul", "dimensions": {"K": 36, "M": 24, "N": 30}}}
    short = search(content, problem, objective="energy", uneven=True, effort=1, threads=1)
    assert not short.certificate.proven
    assert short.certificate.gap > 0
    whole = search(content, problem, objective="energy", uneven=True, threads=1)
    assert short.certificate.lower_bound <= whole.certificate.value <= short.certificate.value
    calls = []

    def stop(progress: Progress) -> None:
        calls.append(progress)
        if len(calls) == 3:
            raise KeyboardInterrupt

    stopped = search(content, problem, objective="energy", uneven=True, threads=1, progress=stop)
    assert stopped.interrupted
    assert not stopped.certificate.proven
    again = evaluate(content, problem, stopped.mapping.to_dict())
    assert again.energy_pj == stopped.result.energy_pj >= whole.result.energy_pj


def test_words_that_pass_through_are_refused() -> None:
    content, _ = _case(1)
    content["architecture"]["levels"][1]["through"] = ["A"]
    problem = {"problem": {"name": "mm", "shape": "matmul", "dimensions": TWO}}
    with pytest.raises(SpecError, match="words pass through levels"):
        search(content, problem, uneven=True)


@pytest.mark.quick
def test_constraints_that_hold_for_entries() -> None:
    """What is kept, dimensions of loops and spatial factors are obeyed by uneven mappings, too."""
    content, _ = _case(1)
    levels = content["architecture"]["levels"] = content["architecture"]["levels"][:2]
    for level in levels:
        for key in ("tensors", "shared_bandwidth", "mesh_x"):
            level.pop(key, None)
    levels[1] |= {"capacity_words": 12, "mesh_x": 2}
    problem = load_problem({"problem": {"name": "mm", "shape": "matmul", "dimensions": TWO}})
    rules = [
        {"level": "L0", "spatial_x": {"factors": "M=2"}},
        {"level": "L1", "keep": ["A", "Z"], "bypass": ["B"], "temporal": {"dimensions": ["M", "N"]}},
    ]
    found = search(
        content, problem, {"constraints": {"levels": rules}}, objective="energy", uneven=True, threads=1
    )
    near = [level for level in found.mapping.levels if level.level == "L1"]
    assert sorted(itertools.chain(*(level.keep for level in near))) == ["A", "Z"]
    assert {loop.dimension for level in near for loop in level.temporal} <= {"M", "N"}
    assert [str(loop) for loop in found.mapping.levels[0].spatial_x] == ["M=2"]
    assert found.claim.startswith(
        "Proven: no mapping with factors that divide the bounds, even or uneven, has"
    )
