"""What holds for all balancing policies: adding one adds its cases here."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
import yaml

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    measure_imbalance,
)
from procrustes_model.kernels.imbalance.memo import expected_work, make_memo
from procrustes_model.kernels.imbalance.policies import BUCKETS, assign
from procrustes_model.kernels.imbalance.sampled import drawn_largest
from procrustes_model.kernels.sparse.arrays import HYPERGEOMETRIC, BalanceArrays, DensityArrays, TileArrays
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.space import Space
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.policies import NO_POLICY, POLICIES, Policy
from procrustes_model.report.tables.imbalance import imbalance_text
from procrustes_model.report.terminal.imbalance import format_imbalance
from procrustes_model.report.terminal.sparse import format_sparse
from procrustes_model.vocabulary import Assignment
from tests.naive import sparse as naive
from tests.naive.policies import TWINS

pytestmark = pytest.mark.quick

ALL = pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))


def loads_of(policy: Policy, works: np.ndarray, most: int) -> tuple[int, np.ndarray]:
    """Return the largest load and all loads, of work int64[parts, pieces]."""
    loads = np.zeros(len(works), np.int64)
    bucket = np.empty(BUCKETS, np.int64)
    return assign(int(policy.assignment), policy.pieces, works.flatten(), most, bucket, loads), loads


def random_works(policy: Policy, parts: int, density: float, seed: int, elements: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).binomial(elements, density, (parts, policy.pieces))


def small_case(policy: Policy) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return a matmul on a 3 x 4 array, tiles of A of 12 x 12 elements, and a design with the policy."""
    level = {"class": "sram", "word_bits": 16, "energy_pj": {"read": 1, "write": 2}, "source": "test"}
    levels: list[dict[str, Any]] = [{"name": f"L{i}"} | level for i in range(2)]
    levels[1] |= {"mesh_x": 3, "mesh_y": 4}
    compute = {"energy_pj": 3, "source": "test"}
    machine = load_architecture({"architecture": {"name": "small", "levels": levels, "compute": compute}})
    bounds = {"M": 72, "K": 48, "N": 4}
    problem = load_problem({"problem": {"name": "m", "shape": "matmul", "dimensions": bounds}})
    nest = [
        {"level": "L0", "temporal": "M=2 N=4", "spatial_x": "M=3", "spatial_y": "K=4"},
        {"level": "L1", "temporal": "M=12 K=12"},
    ]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    balancing = {"policy": policy.name, "tensor": "A", "pointer_level": "L0", "pointer_reads": 2}
    design = {"name": "d", "densities": {"A": 0.25}, "compute": {"skip": "A"}, "formats": {"A": {"*": "csr"}}}
    return machine, problem, mapping, {"sparsity": design | {"balancing": balancing}}


@ALL
@pytest.mark.parametrize("parts", [1, 2, 7, 16, 64])
def test_loads_are_those_of_the_twin_and_conserve_work(policy: Policy, parts: int) -> None:
    for seed in range(20):
        works = random_works(policy, parts, (0.05, 0.3, 0.9)[seed % 3], seed)
        largest, loads = loads_of(policy, works, 9)
        assert sorted(loads) == sorted(TWINS[policy.name].loads(works.tolist()))
        assert TWINS[policy.name].pieces == policy.pieces
        assert largest == loads.max()
        assert loads.sum() == works.sum()
        assert largest >= max(works.max(), works.sum() / parts)


@ALL
def test_much_work_is_sorted_like_little(policy: Policy) -> None:
    works = random_works(policy, 16, 0.3, 1)
    assert loads_of(policy, works * 1000, 9000)[0] == 1000 * loads_of(policy, works, 9)[0]


@ALL
def test_balancing_pays_on_average(policy: Policy) -> None:
    before = after = 0
    for seed in range(200):
        works = random_works(policy, 8, 0.3, seed)
        before += int(works.sum(axis=1).max())
        after += loads_of(policy, works, 9)[0]
    assert after < before if policy.balances else after == before


@ALL
def test_few_pieces_that_are_not_empty_have_an_element_each(policy: Policy) -> None:
    if not policy.balances:
        return
    for nonempty in range(1, 7):
        works = np.zeros((6, policy.pieces), np.int64)
        works.flat[:nonempty] = range(3, 3 + nonempty)
        assert loads_of(policy, works, 9)[0] == works.max()


@ALL
@pytest.mark.parametrize(("elements", "parts", "density"), [(12, 4, 0.5), (24, 18, 0.1)])
def test_expected_work_is_that_of_random_masks(
    policy: Policy, elements: int, parts: int, density: float
) -> None:
    """Masks of eight array-level tiles with exactly as many nonzeros, carried out by the twin."""
    pieces, rounds, masks = policy.pieces, 8, 100
    size = elements * parts * rounds
    nonzeros = round(size * density)
    colors = [elements // pieces] * (parts * pieces * rounds)
    drawn = np.random.default_rng(3).multivariate_hypergeometric(colors, nonzeros, size=masks)
    tiles = drawn.reshape(masks * rounds, parts, pieces)
    wanted = np.mean([max(TWINS[policy.name].loads(tile)) for tile in tiles.tolist()])
    found = expect(policy, elements, parts, rounds, nonzeros)
    assert found == pytest.approx(wanted, rel=0.02)
    drawn_work = drawn_largest(elements // pieces, parts, pieces, int(policy.assignment), nonzeros / size)
    assert drawn_work == pytest.approx(found, rel=0.01)


def expect(policy: Policy, elements: int, parts: int, rounds: int, nonzeros: int) -> float:
    """Return the expected work of the slowest element, in elements."""
    size = elements * parts * rounds
    cut = 0 if policy.pieces > 1 else -1
    numbers = (elements,) * 4 + (parts, rounds, cut) + (0,) * 4
    tiles = TileArrays(*(np.array([number]) for number in numbers))
    densities = DensityArrays(
        model=np.array([HYPERGEOMETRIC]),
        known_total=np.array([True]),
        varies=np.array([True]),
        size=np.array([size]),
        nonzeros=np.array([nonzeros]),
        average=np.array([nonzeros / size]),
        met=np.array([nonzeros / size]),
        group=np.full((1, 3), -1),
        nest=np.zeros((1, 1, 3), np.int64),
        flat=np.full((1, 1), -1, np.int64),
        run_start=np.zeros(2, np.int64),
        runs=np.zeros((0, 2), np.int64),
        library=False,
    )
    work, status = np.zeros(1), np.zeros(1, np.int64)
    balance = BalanceArrays(0, 1, policy.pieces, int(policy.assignment), -1, 0.0, 1.0)
    expected_work(densities, balance, False, tiles, make_memo(64), status, work)
    return float(work[0]) * elements


@ALL
@pytest.mark.parametrize("elements", [24, 288])
def test_expected_work_lies_between_mean_and_work_without(policy: Policy, elements: int) -> None:
    found = expect(policy, elements, 4, 3, round(elements * 12 * 0.25))
    assert elements * 0.25 * (1 - 1e-9) <= found <= expect(NO_POLICY, elements, 4, 3, elements * 3)


@ALL
def test_counted_work_is_that_of_the_walk(policy: Policy) -> None:
    machine, problem, mapping, design = small_case(policy)
    mask = np.random.default_rng(2).random((72, 48)) < 0.25
    result = evaluate(machine, problem, mapping, sparsity=load_sparsity(design), masks={"A": mask})
    tensor = next(one for one in problem.tensors if one.name == "A")
    share = naive.slowest_share(problem, mapping, [(tensor, mask)], 1, policy.name)
    balance = result.imbalance
    assert balance is not None
    assert (balance.policy, balance.cut is not None) == (policy.name, policy.balances)
    assert balance.after * mask.mean() == pytest.approx(float(share), rel=1e-12)
    assert 1 <= balance.after <= balance.before
    pointers = 2 * balance.rounds * balance.parts * policy.pieces if policy.balances else 0
    times = result.sparse("L0", "A").dense[0] / mask.size
    assert balance.pointer_reads == pytest.approx(pointers * times, rel=1e-12)


@ALL
def test_names_come_back_from_files(policy: Policy) -> None:
    machine, problem, mapping, content = small_case(policy)
    design = load_sparsity(yaml.safe_load(yaml.safe_dump(content)))
    assert design.forward.balancing.policy == policy.name
    assert design.with_balancing("none").with_balancing(policy.name) == design
    result = evaluate(machine, problem, mapping, sparsity=design)
    written = json.loads(json.dumps(result.to_dict()))
    assert POLICIES[written["imbalance"]["policy"]] is policy
    assert ("after balancing" in format_sparse(result)) == policy.balances
    work = measure_imbalance(machine, problem, mapping, design, samples=2).histogram()
    rows = list(csv.DictReader(io.StringIO(imbalance_text([work]))))
    assert {row["policy"] for row in rows} == {policy.name}
    for text in (format_sparse(result), format_imbalance(work)):
        assert (policy.text in text) == policy.balances


@ALL
def test_bounds_of_searches_hold(policy: Policy) -> None:
    machine, problem, mapping, content = small_case(policy)
    sparsity = load_sparsity(content)
    design = lower_sparsity(machine, problem, sparsity)
    space = Space(machine, problem, load_constraints(None, machine, problem), design)
    assert space.cost is not None
    child, spread = (
        np.flatnonzero((space.lattice.value == numbers).all(axis=1)) for numbers in ((12, 12, 1), (3, 4, 1))
    )
    bound = float(space.cost.least_work(space.lattice, child, spread)[0])
    result = evaluate(machine, problem, mapping, sparsity=sparsity)
    steps = problem.computes / 12
    assert 0.25 * steps < bound * steps <= result.cycles * (1 + 1e-9)


def test_every_policy_has_a_twin_and_a_name_of_its_own() -> None:
    assert TWINS.keys() == POLICIES.keys()
    assert all(name == one.name for name, one in POLICIES.items())
    with pytest.raises(ValueError, match="if and only if"):
        Policy("odd", "", "", 2, Assignment.OWN)


def test_an_unknown_policy_is_refused_with_the_nearest() -> None:
    for wrong, hint in (("half_tiles", "; did you mean 'half_tile'"), ("thirds", "")):
        content = {"name": "d", "balancing": {"policy": wrong}}
        with pytest.raises(SpecError, match=f"must be one of none, half_tile.*, is '{wrong}'{hint}"):
            load_sparsity({"sparsity": content})
    with pytest.raises(SpecError, match="no balancing policy 'half'; did you mean 'half_tile'"):
        load_sparsity("procrustes").with_balancing("half")
