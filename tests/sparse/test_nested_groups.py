"""Groups through several ranks, and groups of groups, against every pattern that they allow."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.densities.series import kept_share
from procrustes_model.kernels.sparse.nested import OF_BLOCKS, OF_REST, nested_empty, nested_quantile
from procrustes_model.model.sparse.masks import tensor_shape
from tests.amount import amount
from tests.naive.nested import empty_share, least_fitting, mask_patterns, nested_patterns
from tests.sparse.means import MACHINE, check_means
from tests.strategies import Spec, architectures, mappings

MOST_PATTERNS = 3000
Case = tuple[list[tuple[int, int]], list[int], list[int], bool]


def number_of(levels: list[tuple[int, int]], length: int, summed: bool = False) -> int:
    """Return how many patterns there are; 0 where there are fewer elements than are to be kept."""
    ways, size, kept = 1, 1, 0
    for n, m in reversed(levels):
        size, kept = size * m, kept * m
        if summed and n > size - kept:
            return 0
        ways = math.comb(size - kept, n) * ways**m if summed else math.comb(m, n) * ways**n
        kept += n
    whole, rest = divmod(length, math.prod(m for _, m in levels))
    n = levels[0][0]
    return int(ways**whole * (math.comb(rest, min(n, rest)) if len(levels) == 1 else 1))


@st.composite
def group_levels(draw: st.DrawFn) -> list[tuple[int, int]]:
    count = draw(st.integers(1, 3))
    found = []
    for _ in range(count):
        m = draw(st.integers(1, 6 if count == 1 else 4))
        found.append((draw(st.integers(1, m)), m))
    return found


@st.composite
def nests(draw: st.DrawFn) -> Case:
    """Draw levels of groups, ranks that they divide or have plain groups, and a box."""
    levels, summed = draw(group_levels()), draw(st.booleans())
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    block = math.prod(m for _, m in levels)
    if len(levels) > 1:
        lengths[0] *= block // math.gcd(block, math.prod(lengths))
    summed = summed and len(levels) > 1
    assume(1 <= number_of(levels, math.prod(lengths), summed) <= MOST_PATTERNS)
    return levels, lengths, [draw(st.integers(1, length)) for length in lengths], summed


def arrays(case: Case) -> tuple[Any, ...]:
    levels, lengths, sides, summed = case
    stride = [math.prod(lengths[k + 1 :]) for k in range(len(lengths))]
    nest = [(*level, OF_REST if summed else OF_BLOCKS) for level in levels]
    unused = (0, 0, 0)  # of a tensor with more levels
    return (np.array([*nest, unused]), *map(np.array, (sides, lengths, stride)))


@pytest.mark.quick
@settings(max_examples=amount(300, 60), deadline=None)
@given(nests(), st.integers(1, 3))
def test_empty_boxes_are_those_of_all_patterns(case: Case, fibres: int) -> None:
    levels, lengths, sides, summed = case
    patterns = nested_patterns(levels, math.prod(lengths), summed)
    found = nested_empty(*arrays(case), fibres)
    assert found == pytest.approx(float(empty_share(patterns, lengths, sides, fibres)), rel=1e-12, abs=1e-15)


@pytest.mark.quick
@settings(max_examples=amount(300, 60), deadline=None)
@given(nests(), st.integers(1, 3), st.sampled_from([0.3, 0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_those_of_all_patterns(case: Case, fibres: int, share: float) -> None:
    levels, lengths, sides, summed = case
    patterns = nested_patterns(levels, math.prod(lengths), summed)
    found = nested_quantile(*arrays(case), fibres, 0.5, share)
    exact = Fraction(share).limit_denominator(100)
    assert found == least_fitting(patterns, lengths, sides, fibres, exact)


SHAPE: dict[str, Any] = {
    "name": "three",
    "dimensions": ["K", "C", "R", "N"],
    "tensors": {
        "W": {"projection": ["K", "C", "R"]},
        "X": {"projection": ["N", "C", "R"]},
        "Y": {"projection": ["K", "N"], "output": True},
    },
}


@st.composite
def layers(draw: st.DrawFn) -> tuple[Spec, Spec, Spec, Spec, list[int]]:
    bounds = {name: draw(st.integers(1, 4)) for name in "KCRN"}
    problem = {"problem": {"name": "three", "shape": SHAPE, "dimensions": bounds}}
    axes = draw(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True))
    levels = draw(group_levels())
    assume(len(axes) > 1 or len(levels) > 1)
    length = math.prod(bounds["KCR"[axis]] for axis in axes)
    assume(len(levels) == 1 or length % math.prod(m for _, m in levels) == 0)
    rows = math.prod(bounds[name] for name in "KCR") // length
    summed = len(levels) > 1 and draw(st.booleans())
    assume(1 <= number_of(levels, length, summed) ** rows <= 60)
    mapping = draw(mappings(problem, draw(st.integers(1, 3))))
    for level in mapping["mapping"]["levels"]:
        level["keep"] = ["W", "X", "Y"]
    machine = draw(architectures(mapping))
    for level in machine["architecture"]["levels"]:
        level["words_per_access"] = 1
    along = ["KCR"[axis] for axis in axes]
    density: Spec = {"model": "structured", "nonzeros": levels[0][0], "group": levels[0][1]}
    if summed:
        size = 1
        terms = []
        for n, m in reversed(levels):
            size *= m
            terms.append(f"{n}:{size}")
        density = {"model": "series", "terms": terms}
    density["along"] = along if len(along) > 1 else along[0]
    if len(levels) > 1 and not summed:
        density["of"] = [f"{n}:{m}" for n, m in levels[1:]]
    return machine, problem, mapping, density, axes


@pytest.mark.quick
@settings(max_examples=amount(120, 15), deadline=None)
@given(layers(), st.data())
def test_expected_counts_are_the_mean_over_all_patterns(
    case: tuple[Spec, Spec, Spec, Spec, list[int]], data: st.DataObject
) -> None:
    density, axes = case[3], case[4]
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    level = data.draw(st.sampled_from([one.name for one in architecture.levels]))
    action = {"level": level, data.draw(st.sampled_from(["skip", "gate"])): data.draw(st.sampled_from("XY"))}
    ranked = {"ranks": [{"kind": "CP", "of": ["K"]}, {"kind": "B", "of": ["C", "R"]}]}
    stored = data.draw(st.sampled_from(["bitmask", "coordinate", "csr", ranked]))
    content = {
        "name": "nested",
        "densities": {"W": density},
        "formats": {"W": {"*": stored}},
        "actions": [action | {"on": "W"}],
        "compute": {"skip": "W"},
        "capacity": {"size": "average"},
    }
    design = load_sparsity({"sparsity": content})
    levels, summed = design.forward.densities["W"].levels, density["model"] == "series"
    shape = tensor_shape(problem, "W")
    patterns = nested_patterns(levels, math.prod(shape[axis] for axis in axes), summed)
    expected = evaluate(architecture, problem, mapping, sparsity=design, check_capacity=False)
    counted = [
        evaluate(architecture, problem, mapping, sparsity=design, masks={"W": mask}, check_capacity=False)
        for mask in mask_patterns(patterns, shape, axes)
    ]
    check_means(expected, counted)


LAYER: Spec = {"problem": {"name": "l", "shape": SHAPE, "dimensions": {"K": 4, "C": 8, "R": 3, "N": 2}}}
NEST = {
    "levels": [
        {"level": "Far", "temporal": "K=2 N=2", "spatial_x": "K=2"},
        {"level": "Near", "temporal": "C=8 R=3"},
    ]
}
GROUPS: Spec = {"model": "structured", "nonzeros": 2, "group": 4, "along": ["R", "C"]}


def outcome(density: Spec, **sections: Any) -> Any:
    content = {"name": "d", "densities": {"W": density}, "formats": {"W": {"*": "bitmask"}}} | sections
    return evaluate(MACHINE, LAYER, {"mapping": NEST}, sparsity={"sparsity": content})


def test_the_fullest_tile_is_that_of_its_own_groups() -> None:
    # A tile is a filter of 24 elements in a row: six groups of 2:4; of 2:4 of 1:3, two of 12 elements.
    for density, most in ((GROUPS, 12), (GROUPS | {"of": "1:3"}, 4)):
        found = outcome(density, capacity={"size": "maximum"}, formats={"W": {"Near": "coordinate"}})
        assert dict(found.densities)["W"] == most / 24
        assert found.sparse("Near", "W").stored_words >= most
        least = outcome(density, capacity={"size": "average"}, formats={"W": {"Near": "coordinate"}})
        assert least.sparse("Near", "W").stored_words == found.sparse("Near", "W").stored_words


@pytest.mark.parametrize(
    ("density", "sections", "said"),
    [
        ({"model": "series", "terms": ["2:4", "1:6"]}, {}, "has groups of 6 after 4, no multiple of that"),
        ({"model": "series", "terms": ["2:4", "5:8"]}, {}, "keeps 9 of 8 elements: more than there are"),
        (
            {"model": "series", "terms": ["2:4", "1:16"]},
            {},
            "groups of 16 elements do not divide the 24 of 'W'",
        ),
        ({"along": ["R", "R"]}, {}, "'along' has 'R' twice"),
        (
            {"along": ["R", "N"]},
            {},
            "tensor 'W' has no dimension 'N' for its groups; its dimensions are C, K, R",
        ),
        ({"of": "5:4"}, {}, "has more nonzeros than its group has elements"),
        ({"of": 248}, {}, "must be n:m in quotes, such as '4:8', or a list of these"),
        ({"of": "4:7"}, {}, "groups of 28 elements do not divide the 24 of 'W' that they run through"),
        ({"of": "1:9999"}, {}, "groups of 'W' have 39,996 elements; at most 4,096 can be counted"),
        (
            {},
            {"balancing": {"tensor": "W"}},
            "groups of 'W' through several ranks, of blocks, or summed are not followed",
        ),
        ({}, {"formats": {"W": {"Near": "run_length"}}}, "runs of zeros in groups of 'W'"),
        ({}, {"formats": {"W": {"Near": {"ranks": [{"kind": "RLE"}]}}}}, "runs of zeros in groups of 'W'"),
        (
            {},
            {
                "formats": {"W": {"Near": {"ranks": [{"kind": "CP"}]}}},
                "rules": {"format_ranks": "loops", "rounding": "whole_words"},
            },
            "are not known to formats whose ranks are loops",
        ),
    ],
)
def test_what_is_not_counted_is_refused(density: Spec, sections: Spec, said: str) -> None:
    whole = GROUPS | density
    if "terms" in whole:
        whole = {key: whole[key] for key in ("model", "terms", "along")}
    with pytest.raises(SpecError) as error:
        outcome(whole, **sections)
    assert said in str(error.value)


def test_a_rank_that_sums_dimensions_has_no_groups_through_it() -> None:
    shape = {
        "dimensions": ["P", "R", "C"],
        "tensors": {"X": {"projection": ["C", "P + R"]}, "Y": {"projection": ["P"], "output": True}},
    }
    problem = {"problem": {"name": "l", "shape": shape, "dimensions": {"P": 4, "R": 3, "C": 2}}}
    density = GROUPS | {"along": ["C", "P"]}
    nest = {"mapping": {"levels": [{"level": "Far", "temporal": "P=4 R=3 C=2"}, {"level": "Near"}]}}
    content = {"sparsity": {"name": "d", "densities": {"X": density}, "formats": {"X": {"*": "bitmask"}}}}
    with pytest.raises(SpecError, match="groups of 'X' run through a rank that P and R move"):
        evaluate(MACHINE, problem, nest, sparsity=content)


def test_short_groups_may_be_left_dense() -> None:
    assert outcome(GROUPS | {"group": 5, "short_groups": "dense"}).densities[0] == ("W", 1)
    assert outcome(GROUPS | {"short_groups": "dense"}).densities[0] == ("W", 0.5)
    # Of 24 elements four groups of five keep two each, and the last one of four.
    assert outcome(GROUPS | {"group": 5}).densities[0] == ("W", 10 / 24)


@pytest.mark.parametrize(
    ("terms", "density", "published"),
    [([(2, 4)], 0.1, 0.9905), ([(2, 4), (1, 4)], 0.2, 0.9980), ([(2, 4), (1, 8)], 0.5, 0.944)],
)
def test_a_series_keeps_what_is_published(
    terms: list[tuple[int, int]], density: float, published: float
) -> None:
    # TASD, arXiv 2403.07953; by arithmetic from its rule.
    found = kept_share(terms, density)
    assert found == pytest.approx(published, abs=0.0005)
    rng = np.random.default_rng(1)
    drawn = rng.random((20_000, 8)) < density
    left = drawn.copy()
    for n, m in terms:
        groups = left.reshape(-1, m)
        groups[(np.cumsum(groups, axis=1) <= n) & groups] = False
        left = groups.reshape(-1, 8)
    assert found == pytest.approx(1 - left.sum() / drawn.sum(), abs=0.003)


def test_shares_that_are_kept_have_limits() -> None:
    assert kept_share([(2, 4)], 0.0) == 1.0
    assert kept_share([(4, 4)], 0.7) == pytest.approx(1.0)
    assert kept_share([(1, 2), (1, 4), (1, 4)], 1.0) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="groups of 6 are not made of those of 4"):
        kept_share([(2, 4), (1, 6)], 0.5)
