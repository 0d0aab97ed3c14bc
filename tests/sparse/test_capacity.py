"""How full the tiles are that must fit, against all patterns of small tensors; and bounds of searches."""

from __future__ import annotations

import itertools
import math
import random
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from procrustes_model.kernels.sparse.entries import expected_zeros
from procrustes_model.kernels.sparse.fullest import hypergeometric_quantile, structured_quantile
from procrustes_model.kernels.sparse.groups import zeros_in_groups
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.optimal.relaxation import Relaxation
from procrustes_model.model.sparse.lower import lower_sparsity
from tests.amount import amount
from tests.mapper.sparse_cases import drop_idle, make_design
from tests.naive.fullest import least_of, share_of_hypergeometric, shares_of_groups
from tests.strategies import Spec, architectures, mappings, problems

pytestmark = pytest.mark.quick

SHARES = [0.01, 0.3, 0.5, 0.9, 0.99, 0.999, 1 / 3, 1.0]


@settings(max_examples=amount(2000, 200))
@given(st.integers(1, 150), st.data(), st.sampled_from(SHARES))
def test_quantiles_of_a_known_total(size: int, data: st.DataObject, share: float) -> None:
    nonzeros, elements = data.draw(st.integers(0, size)), data.draw(st.integers(1, size))
    found = hypergeometric_quantile(size, nonzeros, elements, share, 0.0)
    assert found == least_of(share_of_hypergeometric(size, nonzeros, elements), share)


@pytest.mark.parametrize("elements", [9, 1_000, 100_000, 1_000_000])
@pytest.mark.parametrize("density", [0.001, 0.1, 0.7])
def test_quantiles_of_a_large_tensor(elements: int, density: float) -> None:
    """In logarithms: no more tiles are fuller than may be, and with a nonzero less there would be."""
    size = 2_359_296
    nonzeros = round(size * density)

    def share_above(most: int) -> float:
        def ways(n: int, k: int) -> float:
            return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

        last = min(elements, nonzeros, most + 20_000)
        logs = [ways(nonzeros, k) + ways(size - nonzeros, elements - k) for k in range(most + 1, last + 1)]
        return math.fsum(math.exp(one - ways(size, elements)) for one in logs)

    found = hypergeometric_quantile(size, nonzeros, elements, 0.99, 2.326)
    assert share_above(found) <= 0.01 < share_above(found - 1)


def test_quantiles_of_wide_distributions() -> None:
    """Where quantiles are those of normal distributions: right to a nonzero or two."""

    def ways(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    size, nonzeros, elements, share = 40_000_000, 12_000_000, 8_000_000, 0.99
    found = hypergeometric_quantile(size, nonzeros, elements, share, NormalDist().inv_cdf(share))
    above = [
        math.exp(ways(nonzeros, k) + ways(size - nonzeros, elements - k) - ways(size, elements))
        for k in range(found - 2, found + 15_000)
    ]
    assert sum(above[3:]) <= 0.01 < sum(above)
    fibers = 80_000  # of a single position of a group of 1:2 each
    found = structured_quantile(1, 2, np.array([1, 1]), fibers, 1, share, 0)
    above = [math.exp(ways(fibers, k) - fibers * math.log(2)) for k in range(found - 1, found + 2_000)]
    assert sum(above[3:]) <= 0.01 < sum(above)


@settings(max_examples=amount(300, 60), deadline=None)
@given(st.integers(1, 5), st.data(), st.sampled_from(SHARES))
def test_quantiles_of_groups(m: int, data: st.DataObject, share: float) -> None:
    """Of tiles side by side along a row, which cut groups in different places, and of several rows."""
    n, side, fibers = data.draw(st.integers(1, m)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
    extent = data.draw(st.sampled_from([one for one in range(1, side + 1) if side % one == 0]))
    starts = np.bincount(np.arange(0, side, extent) % m, minlength=m)
    found = structured_quantile(n, m, starts, fibers, extent, share, 0)
    assert found == least_of(shares_of_groups(n, m, side, fibers, extent), share)


@pytest.mark.parametrize("model", ["hypergeometric", "structured", "fixed"])
@pytest.mark.parametrize("size", ["average", 0.5, 0.9, 0.99, "maximum"])
def test_the_model_asks_the_density_model(model: str, size: Any) -> None:
    """Tiles of 4 x 3 of a matrix of 8 x 12 in words of 16 bits, by a bitmask."""
    density = {
        "hypergeometric": {"density": 0.25},
        "structured": {"nonzeros": 1, "group": 4, "along": "K"},
        "fixed": {"density": 0.25},
    }[model]
    level = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **level}, {"name": "Near", **level}]
    content = {"architecture": {"name": "m", "levels": levels, "compute": {"energy_pj": 1}}}
    machine = load_architecture(content)
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 8, "K": 12, "N": 1}}}
    )
    nest = [{"level": "Far", "temporal": "M=2 K=4"}, {"level": "Near", "temporal": "M=4 K=3"}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    capacity = {"size": "quantile", "quantile": size} if isinstance(size, float) else {"size": size}
    design = {
        "name": "d",
        "densities": {"A": {"model": model, **density}},
        "formats": {"A": {"*": "bitmask"}},
        "capacity": capacity,
    }
    found = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": design}))
    nonzeros = found.sparse("Near", "A").stored_words - 12 / 16
    share = 1.0 if size == "maximum" else size
    if size == "average" or model == "fixed":
        assert nonzeros == 3
    elif model == "hypergeometric":
        assert nonzeros == max(3, least_of(share_of_hypergeometric(96, 24, 12), share))
    else:
        assert nonzeros == max(3, least_of(shares_of_groups(1, 4, 12, 4, 3), share))


@settings(max_examples=amount(300, 60))
@given(st.integers(1, 10), st.data(), st.sampled_from([2, 4]))
def test_zeros_that_end_a_run(size: int, data: st.DataObject, run: int) -> None:
    """In the mean over all placements, in a fiber that is a part of the tensor."""
    nonzeros, length = data.draw(st.integers(0, size)), data.draw(st.integers(1, size))
    ends = tries = 0
    for places in itertools.combinations(range(size), nonzeros):
        zeros, tries = 0, tries + 1
        for position in range(length):
            zeros = 0 if position in places else zeros + 1
            ends += zeros > 0 and zeros % run == 0
    found = expected_zeros(1, size, nonzeros, nonzeros / size, length, run)
    assert found == pytest.approx(ends / tries, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("percent", [0, 3, 10, 25, 40, 90])
@pytest.mark.parametrize(("length", "run"), [(1, 2), (7, 2), (40, 8), (64, 32)])
def test_zeros_that_end_a_run_elsewhere(percent: int, length: int, run: int) -> None:
    """Nonzeros as far apart as they can be, the first one anywhere; and independent ones, run by run."""
    ends = 0
    for phase in range(100):
        zeros = 0
        for i in range(length):
            low, high = ((2 * percent * k + 2 * phase + 1) // 200 for k in (i, i + 1))
            zeros = 0 if high > low else zeros + 1
            ends += zeros > 0 and zeros % run == 0
    density = percent / 100
    assert expected_zeros(2, length, 0, density, length, run) == pytest.approx(ends / 100, abs=1e-12)
    state, expected = {0: 1.0}, 0.0
    for _ in range(length):
        state = {zeros + 1: p * (1 - density) for zeros, p in state.items()} | {0: density}
        expected += sum(p for zeros, p in state.items() if zeros and zeros % run == 0)
    assert expected_zeros(3, length, 0, density, length, run) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=amount(200, 40), deadline=None)
@given(st.sampled_from([(1, 2), (1, 3), (2, 3), (1, 4), (3, 4)]), st.data(), st.sampled_from([2, 4]))
def test_zeros_that_end_a_run_of_groups(group: tuple[int, int], data: st.DataObject, run: int) -> None:
    """In the mean over all placements of groups down the columns of one or two blocks of rows."""
    (n, m), start = group, data.draw(st.integers(0, group[1] - 1))
    blocks, side, inner = (data.draw(st.integers(1, most)) for most in (2, 6, 3))
    chosen, groups = list(itertools.combinations(range(m), n)), -(-(start + side) // m)
    assume(len(chosen) ** (groups * inner * blocks) <= 4_000)
    ends = tries = 0
    for picked in itertools.product(chosen, repeat=groups * inner * blocks):
        tensor = np.zeros((blocks, groups, inner, m), np.int64)
        for one, places in zip(tensor.reshape(-1, m), picked, strict=True):
            one[list(places)] = 1
        rows = np.swapaxes(tensor, 2, 3).reshape(blocks, groups * m, inner)[:, start : start + side]
        zeros, tries = 0, tries + 1
        for value in rows.ravel().tolist():
            zeros = 0 if value else zeros + 1
            ends += zeros > 0 and zeros % run == 0
    starts = np.eye(m, dtype=np.int64)[start]
    found = zeros_in_groups(n, m, starts, side, inner, blocks * side * inner, run, 0, side)
    assert found == pytest.approx(ends / tries, rel=1e-12, abs=1e-15)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Spec, Spec, Spec, Spec]:
    """Draw a machine, a problem, a mapping that keeps everything, and a design in which tiles have a size."""
    problem = draw(problems(100).filter(lambda spec: spec["problem"]["name"] != "diagonal"))
    mapping = draw(mappings(problem, draw(st.integers(2, 3))))
    for level in mapping["mapping"]["levels"]:
        level["keep"] = sorted(problem["problem"]["shape"]["tensors"])
    architecture = draw(architectures(mapping))
    levels = architecture["architecture"]["levels"]
    names = [level["name"] for level in levels]
    rng = random.Random(draw(st.integers(0, 10_000)))  # noqa: S311
    design = make_design(rng, problem, names)
    design["sparsity"]["capacity"] = {"size": draw(st.sampled_from(["average", "quantile", "maximum"]))}
    architecture["architecture"]["bits"] = draw(
        st.dictionaries(st.sampled_from(list(design["sparsity"]["densities"])), st.sampled_from([1, 8]))
    )
    return architecture, problem, mapping, design


@settings(max_examples=amount(200, 8), deadline=None)
@given(cases())
def test_bounds_of_searches_are_below_what_is_stored(case: tuple[Spec, Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    drop_idle(case[3], architecture, problem, load_constraints(None))
    innermost = architecture.levels[-1].name
    if skipped := case[3]["sparsity"].get("compute", {}).get("skip"):
        case[3]["sparsity"]["formats"][skipped].setdefault(innermost, "bitmask")
    sparsity = load_sparsity(case[3])
    design = lower_sparsity(architecture, problem, sparsity)
    kept = np.ones((len(architecture.levels), len(problem.tensors)), np.int64)
    relaxation = Relaxation(design, kept)
    result = evaluate(architecture, problem, mapping, sparsity=sparsity)
    for level, one in enumerate(result.levels):
        for t, tensor in enumerate(problem.tensors):
            words = np.array([result.tensor(one.name, tensor.name).tile_words])
            bound = float(relaxation.stored(level, t, words)[0])
            assert bound <= result.sparse(one.name, tensor.name).stored_words * (1 + 1e-12)


@pytest.mark.parametrize("size", ["dense", "average", "maximum"])
def test_partial_sums_take_their_own_bits(size: str) -> None:
    """A sum of 34 bits takes 4.25 words of 8, whatever of the operands is zero."""
    levels: list[dict[str, Any]] = [
        {"name": name, "word_bits": 8, "energy_pj": {"read": 1, "write": 1}} for name in ("Far", "Near")
    ]
    levels[1]["capacity_words"] = 4
    compute = {"energy_pj": 1}
    machine = load_architecture(
        {"architecture": {"name": "m", "sum_bits": 34, "levels": levels, "compute": compute}}
    )
    bounds = {"M": 2, "K": 4, "N": 2}
    problem = load_problem({"problem": {"name": "p", "shape": "matmul", "dimensions": bounds}})
    nest = [{"level": "Far", "temporal": "K=4 M=2 N=2"}, {"level": "Near", "keep": ["Z"]}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    formats = {"A": {"Far": "bitmask"}}
    content = {"name": "d", "densities": {"A": 0.5}, "formats": formats, "capacity": {"size": size}}
    with pytest.raises(SpecError, match="fit" if size == "dense" else "take 4.25 words"):
        evaluate(machine, problem, mapping, sparsity={"sparsity": content})
