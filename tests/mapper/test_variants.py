"""Orders and splits that the search tries once, and those that it measures where something is zero."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, load_architecture, load_problem, load_sparsity, search
from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.kernels.dense.nest import flatten
from procrustes_model.kernels.search.candidates import settle_orders
from procrustes_model.kernels.sparse.boxes import find_boxes, find_joined_boxes
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.incumbent import select
from procrustes_model.mapper.lattice import list_primes
from procrustes_model.mapper.optimal import variants
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.optimal.variants import Variants
from procrustes_model.mapper.orders import Order
from procrustes_model.mapper.space import Space
from procrustes_model.model.sparse.buffers import make_buffers
from procrustes_model.model.sparse.lower import lower_sparsity
from tests.amount import amount, first_quick
from tests.mapper.cases import make_case
from tests.mapper.test_sparse_search import case, compare, random_nests, small_case


def _space(seed: int) -> Space:
    machine, problem, constraints, sparsity = case(seed)
    return Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))


def _loops(nests: NestArrays, n: int, level: int) -> Order:
    """Return the loops of a level, innermost first."""
    return tuple(int(d) for d in nests.order[n, level][::-1] if nests.temporal[n, level, d] > 1)


def _with_order(nests: NestArrays, level: int, order: Order) -> NestArrays:
    """Return copies of mappings with other orders of a level's loops."""
    changed = select(nests, np.arange(len(nests.temporal)))
    rest = [d for d in range(nests.order.shape[2]) if d not in order]
    changed.order[:, level] = [*order[::-1], *rest]
    return changed


def _join(mappings: list[NestArrays]) -> NestArrays:
    return NestArrays(*(np.concatenate(parts) for parts in zip(*mappings, strict=True)))


@pytest.mark.parametrize("seed", first_quick(range(12), 3))
def test_every_order_is_in_one_group(seed: int) -> None:
    specs = make_case(seed)
    machine, problem = load_architecture(specs[0]), load_problem(specs[1])
    space = Space(machine, problem, load_constraints(specs[2], machine, problem))
    dimensions = len(space.model.bounds)
    for level in range(space.levels):
        outside = space.rules.outside[level]
        for loops in range(1 << dimensions):
            inside = [d for d in range(dimensions) if loops >> d & 1]
            allowed = {
                order
                for order in itertools.permutations(inside)
                if not any(outside[a, b] for a, b in itertools.combinations(order, 2))
            }
            groups = space.group_orders(level, loops)
            members = [order for group in groups.values() for order in group]
            assert len(members) == len(set(members))
            assert set(members) == allowed
            assert all(leader in group for leader, group in groups.items())


@pytest.mark.parametrize("first", first_quick(range(0, 60, 20), 1))
def test_without_actions_no_order_costs_less_than_the_one_of_its_group(first: int) -> None:
    compared = 0
    for seed in range(first, first + 20):
        space = _space(seed)
        if space.cost is None or len(space.cost.design.actions.level):
            continue
        rng = random.Random(seed)  # noqa: S311
        for nests in random_nests(space, amount(6, 2)):
            level = rng.randrange(space.levels)
            for n in range(0, len(nests.temporal), 4):
                one, order = select(nests, np.array([n])), _loops(nests, n, level)
                groups = space.group_orders(level, sum(1 << d for d in order))
                leader = next((leader for leader, group in groups.items() if order in group), None)
                if leader is None:
                    continue  # the walk passes orders that are not allowed
                mine, best = (space.cost.measure(_with_order(one, level, of)) for of in (order, leader))
                if mine.valid[0]:
                    assert best.energy_pj[0] <= mine.energy_pj[0] * (1 + 1e-9), (seed, n)
                    assert best.cycles[0] <= mine.cycles[0], (seed, n)
                    compared += order != leader
    assert compared >= amount(5, 0)


@pytest.mark.parametrize("first", first_quick(range(0, 60, 20), 1))
def test_variants_are_as_good_as_all_orders(first: int) -> None:
    compared = 0
    for seed in range(first, first + 20):
        space = _space(seed)
        if space.cost is None or not len(space.cost.design.actions.level):
            continue
        for nests in random_nests(space, amount(4, 1))[1:]:
            for n in range(0, len(nests.temporal), amount(4, 8)):
                one = select(nests, np.array([n]))
                minds = Variants(space, nests.keep[n]).minds
                choices: list[list[Any]] = []
                for level in range(space.levels):
                    order = _loops(nests, n, level)
                    groups = space.group_orders(level, sum(1 << d for d in order))
                    leader = next((leader for leader, group in groups.items() if order in group), None)
                    if leader is None:
                        break
                    one = _with_order(one, level, leader)
                    choices.append([(level, order) for order in groups[leader]])
                if len(choices) < space.levels or np.prod([len(of) for of in choices]) > amount(300, 40):
                    continue
                every = []
                for chosen in itertools.product(*choices):
                    changed = one
                    for level, order in chosen:
                        changed = _with_order(changed, level, order)
                    every.append(changed)
                listed = [one]
                if minds.innermost:  # the search itself lists each loop of the innermost level as innermost
                    listed = [_with_order(one, space.levels - 1, order) for _, order in choices[-1]]
                made = [part for nest in listed for part in Variants(space, nests.keep[n]).expand(nest)]
                best, found = (
                    space.cost.measure(
                        NestArrays(*(np.concatenate(parts) for parts in zip(*of, strict=True)))
                    )
                    for of in (every, made)
                )
                if best.valid.any():
                    least = best.energy_pj[best.valid].min()
                    assert found.energy_pj[found.valid].min() <= least * (1 + 1e-9), (seed, n)
                    compared += len(every) > 1
    assert compared >= amount(5, 0)


def _any_nests(space: Space, rng: random.Random, count: int) -> NestArrays:
    """Return mappings whose spatial factors fit, with loops wherever they may be."""
    nests, patterns = space.nests(count), list(itertools.islice(space.patterns(), 200))
    dimensions = len(space.model.bounds)
    for n in range(count):
        nests.keep[n] = rng.choice(patterns)
        for level in range(space.levels):
            nests.order[n, level] = rng.sample(range(dimensions), dimensions)
        for d, bound in enumerate(space.model.bounds.tolist()):
            for prime in list_primes(bound):
                level, axis = rng.randrange(space.levels), rng.choice([-1, -1, -1, 0, 1])
                spread = nests.spatial[n, level, axis]
                if axis >= 0 and spread.prod() * prime <= space.architecture.fanout(level)[axis]:
                    spread[d] *= prime
                else:
                    nests.temporal[n, level, d] *= prime
    return nests


def _boxes(space: Space, nests: NestArrays) -> list[Any]:
    """Return for each mapping how much of every leader actions look at."""
    assert space.cost is not None
    design, found = space.cost.design, []
    settle_orders(nests)
    buffers = make_buffers(design, len(nests.temporal))
    flatten(nests, buffers.loops)
    find = find_joined_boxes if design.actions.joined else find_boxes
    find(design.problem, nests, buffers.loops, design.machine.pack, design.actions, buffers.boxes)
    for extent, effective in zip(buffers.boxes.extent, buffers.boxes.effective, strict=True):
        mine = []
        for a, t in np.argwhere(design.actions.leaders):
            own = np.minimum(extent[a, t], design.problem.bounds)[design.problem.rank[t] >= 0]
            mine.append(tuple(own.tolist()) if effective[a, t] else None)
        found.append(tuple(mine))
    return found


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("first", first_quick(range(0, 240, 60), 1))
def test_for_all_orders_and_splits_a_variant_has_the_boxes_and_costs_no_more(
    first: int, joined: bool
) -> None:
    compared = 0
    for seed in range(first, first + amount(60, 12)):
        machine, problem, constraints, sparsity = case(seed)
        rules = sparsity.forward.rules.model_copy(update={"access_box": "joined" if joined else "met"})
        sparsity = sparsity.model_copy(
            update={"forward": sparsity.forward.model_copy(update={"rules": rules})}
        )
        space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
        if space.cost is None or not len(space.cost.design.actions.level):
            continue
        nests = _any_nests(space, random.Random(seed), amount(60, 12))  # noqa: S311
        for n in range(len(nests.temporal)):
            one, variants = select(nests, np.array([n])), Variants(space, nests.keep[n])
            choices: list[list[Any]] = []
            for level in range(space.levels):
                order = _loops(nests, n, level)
                groups = space.group_orders(level, sum(1 << d for d in order))
                leader = next((leader for leader, group in groups.items() if order in group), None)
                splits = variants._splits_of(level, tuple(nests.spatial[n, level].prod(axis=0).tolist()))
                if leader is None or not len(splits):
                    break
                one = _with_order(one, level, leader)
                one.spatial[0, level] = splits[0]
                choices += [[(level, of) for of in groups[leader]], [(level, of) for of in splits]]
            many = int(np.prod([len(of) for of in choices]))
            if len(choices) < 2 * space.levels or not 1 < many <= 600:
                continue
            every = []
            for chosen in itertools.product(*choices):
                changed = select(one, np.array([0]))
                for (level, order), (_, split) in zip(chosen[::2], chosen[1::2], strict=True):
                    changed = _with_order(changed, level, order)
                    changed.spatial[0, level] = split
                every.append(changed)
            listed = [one]
            if variants.minds.innermost:  # the search itself lists each loop of the innermost level
                listed = [_with_order(one, space.levels - 1, order) for _, order in choices[-2]]
            given = _join(every), _join([part for nest in listed for part in variants.expand(nest)])
            boxes, theirs = (_boxes(space, of) for of in given)
            measured, found = (space.cost.measure(of) for of in given)
            least: dict[Any, float] = {}
            for box, energy in zip(theirs, np.where(found.valid, found.energy_pj, np.inf), strict=True):
                least[box] = min(least.get(box, np.inf), energy)
            for i in np.flatnonzero(measured.valid):
                assert least.get(boxes[i], np.inf) <= measured.energy_pj[i] * (1 + 1e-9), (seed, n, i)
            compared += len(set(boxes)) > 1
    assert compared >= amount(5, 0)


def test_splits_are_all_ways_to_lay_factors_over_both_axes() -> None:
    levels: list[dict[str, Any]] = [
        {"name": name, "word_bits": 8, "energy_pj": {"read": 1, "write": 1}} for name in ("Far", "Near")
    ]
    levels[1] |= {"mesh_x": 6, "mesh_y": 4}
    architecture = {"name": "case", "levels": levels, "compute": {"name": "MAC", "energy_pj": 1}}
    machine = load_architecture({"architecture": architecture})
    content = {"problem": {"name": "case", "shape": "matmul", "dimensions": {"M": 12, "K": 2, "N": 1}}}
    problem = load_problem(content)
    sparsity = load_sparsity({"sparsity": {"name": "case", "densities": {"A": 0.5}}})
    constraints = load_constraints(None, machine, problem)
    space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
    made = Variants(space, np.ones_like(space.rules.keep, np.bool_))._splits_of(0, (12, 1, 1))
    assert sorted(on[:, 0].tolist() for on in made) == [[3, 4], [4, 3], [6, 2]]


def _find_by_split(bounds: dict[str, int], fixed: str, words: int, rules: dict[str, str]) -> list[str]:
    """Return the dimensions on x and y of the best product on 2 x 2 units where B lets accesses to A go."""
    levels: list[dict[str, Any]] = [
        {"name": name, "word_bits": 8, "energy_pj": {"read": energy, "write": energy}}
        for name, energy in (("Far", 100), ("Near", 1))
    ]
    levels[0] |= {"words_per_access": words}
    levels[1] |= {"mesh_x": 2, "mesh_y": 2}
    architecture = {"name": "case", "levels": levels, "compute": {"name": "MAC", "energy_pj": 1}}
    machine = load_architecture({"architecture": architecture})
    problem = load_problem({"problem": {"name": "case", "shape": "matmul", "dimensions": bounds}})
    design: dict[str, Any] = {"name": "case", "densities": {"B": 0.25}, "rules": rules}
    design |= {"actions": [{"level": "Far", "skip": "A", "on": "B"}]}
    sparsity = load_sparsity({"sparsity": design})
    factors = {"level": "Far"} | {f"spatial_{axis}": {"factors": f"{fixed}=1"} for axis in "xy"}
    constraints = load_constraints(
        {"constraints": {"levels": [factors], "min_utilization": 1}}, machine, problem
    )
    found = compare((machine, problem, constraints, sparsity), "energy", 0)
    assert found is not None
    level = next(level for level in found.mapping.levels if level.spatial_x)
    return [loop.dimension for loop in (*level.spatial_x, *level.spatial_y)]


def test_a_split_on_which_an_action_depends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Optimal, "_warm_up", lambda *_: None)  # no walk may find it by chance
    # Where the loop over K stands inside that over N, parts of A meet B in turn, and nothing is saved.
    joined = {"access_box": "joined"}
    assert _find_by_split({"M": 4, "K": 2, "N": 2}, "M", 1, joined)[0] == "N"
    # What is on x shares an access first: better elements of A that meet the same of B.
    assert _find_by_split({"M": 2, "K": 2, "N": 2}, "N", 2, {}) == ["M", "K"]


def test_what_has_too_many_variants_lowers_the_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "MOST", 0)
    open_ = compared = 0
    for seed in range(amount(60, 15)):
        given = small_case(seed, amount(10_000, 150))
        if not given:
            continue
        *specs, sparsity = given
        try:
            best, found = (
                search(*specs, "energy", sparsity=sparsity, method=method, threads=1)  # type: ignore[arg-type]
                for method in ("exhaustive", "optimal")
            )
        except SpecError:
            continue
        assert found.certificate.complete
        assert found.certificate.lower_bound <= best.certificate.value * (1 + 1e-9), seed
        open_ += not found.certificate.proven
        compared += 1
    assert open_ >= amount(1, 0)
    assert compared - open_ >= amount(1, 0)
