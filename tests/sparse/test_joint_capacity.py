"""What tensors with masks take in a level together: every place of their tiles written out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import SpecError, evaluate, load_mapping, load_problem, load_sparsity
from procrustes_model.kernels.cache import COMPILED
from procrustes_model.spec.problem import Tensor
from tests.amount import amount
from tests.naive import formats as twins
from tests.naive import fullest as naive
from tests.sparse.test_joint_masks import draw_masks, machine
from tests.strategies import mappings, problems

WORD = 16
FORMATS: dict[str, dict[str, Any]] = {
    "bitmask": {},
    "coordinate": {},
    "run_length": {"run_bits": 1},
    "csr": {},
    "delta": {"run_bits": 2},
}
"""Those whose size follows from the tile alone, with keys of theirs."""


def size_at(tensor: Tensor, mask: Any, extent: dict[str, int], form: str) -> Any:
    """Return a function that says what an encoder makes, in words, of the tile that starts at a position."""

    def size(at: dict[str, int]) -> float:
        corner = tuple(
            slice(
                sum(term.coefficient * at[term.dimension] for term in rank),
                1
                + sum(term.coefficient * (at[term.dimension] + extent[term.dimension] - 1) for term in rank),
            )
            for rank in tensor.ranks
        )
        keys = FORMATS[form] | {"value_bits": WORD}
        return len(twins.write(form, mask[corner].astype(np.int64), keys).text) / WORD

    return size


def extents(levels: list[dict[str, Any]], first: int, dimensions: list[str]) -> dict[str, int]:
    """Return what the loops of a level and those further in cover."""
    covered = dict.fromkeys(dimensions, 1)
    for level in levels[first:]:
        for loop in [*level["temporal"], *level.get("spatial_x", []), *level.get("spatial_y", [])]:
            dimension, factor = loop.split("=")
            covered[dimension] *= int(factor)
    return covered


@pytest.mark.quick
@settings(max_examples=amount(150, 20))
@given(st.data(), st.sampled_from([0.2, 0.5, 0.9, 0.99, 1.0]))
def test_sizes_are_those_of_tiles_that_lie_together(data: Any, share: float) -> None:
    spec = data.draw(problems(100).filter(lambda spec: spec["problem"]["name"] != "diagonal"))
    nest = data.draw(mappings(spec, 3))
    for level in nest["mapping"]["levels"]:
        level["keep"] = sorted(spec["problem"]["shape"]["tensors"])
        level["temporal"] += level.pop("spatial_x", []) + level.pop("spatial_y", [])
        level["temporal"] = [
            f"{d}={np.prod([int(one.split('=')[1]) for one in level['temporal'] if one.startswith(f'{d}=')])}"
            for d in dict.fromkeys(one.split("=")[0] for one in level["temporal"])
        ]
    architecture, problem = machine(3), load_problem(spec)
    mapping = load_mapping(nest, architecture, problem)
    names = data.draw(st.permutations([t.name for t in problem.tensors]))[: data.draw(st.integers(2, 3))]
    masks = draw_masks(problem, names, data.draw(st.integers(0, 999)), data.draw(st.sampled_from([0.2, 0.6])))
    chosen = {name: data.draw(st.sampled_from(list(FORMATS))) for name in names}
    forms = {name: {"*": {"kind": kind, **FORMATS[kind]}} for name, kind in chosen.items()}
    used = {}
    for size in ("average", "most"):
        capacity = {"size": "maximum"} if share == 1 else {"size": "quantile", "quantile": share}
        capacity = capacity if size == "most" else {"size": "average"}
        design = load_sparsity({"sparsity": {"name": "drawn", "formats": forms, "capacity": capacity}})
        used[size] = evaluate(architecture, problem, mapping, sparsity=design, masks=masks)
    for i in range(3):
        extent = extents(nest["mapping"]["levels"], i, list(problem.dimensions))
        sizes = {
            tensor.name: size_at(tensor, masks[tensor.name], extent, chosen[tensor.name])
            for tensor in problem.tensors
            if tensor.name in names
        }
        wanted = naive.least_together(problem, extent, sizes, share)
        mean = sum(used["average"].sparse(f"L{i}", name).stored_words for name in names)
        found = used["most"].levels[i]
        others = sum(one.tile_words for one in found.tensors if one.tensor not in names)
        assert found.used_words == pytest.approx(max(wanted, mean) + others, rel=1e-12)


def halves() -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Return 8 products, two at a time, of operands that are full at different times, and a design."""
    shape = {
        "name": "pairs",
        "dimensions": ["K"],
        "tensors": {
            "A": {"projection": ["K"]},
            "B": {"projection": ["K"]},
            "Z": {"projection": ["K"], "output": True},
        },
    }
    problem = load_problem({"problem": {"name": "pairs", "shape": shape, "dimensions": {"K": 8}}})
    masks = {name: np.zeros(8, np.bool_) for name in "AB"}
    masks["A"][:4] = masks["B"][4:] = True
    design = {
        "name": "halves",
        "formats": {name: {"L1": "bitmask"} for name in "AB"},
        "capacity": {"size": "maximum"},
    }
    nest = [{"level": "L0", "temporal": "K=4"}, {"level": "L1", "temporal": "K=2", "keep": ["A", "B"]}]
    return problem, {"mapping": {"levels": nest}}, masks, design


def test_tensors_that_are_full_at_different_times_need_room_for_one() -> None:
    """Two words of data and two bits for each of the masks; each alone would take two words of data."""
    problem, nest, masks, content = halves()
    design = load_sparsity({"sparsity": content})
    together = evaluate(
        machine(2), problem, load_mapping(nest, machine(2), problem), sparsity=design, masks=masks
    )
    assert together.levels[1].used_words == 2 + 2 * 2 / 16
    assert [together.sparse("L1", name).stored_words for name in "AB"] == [2 + 2 / 16] * 2
    added = load_sparsity({"sparsity": content | {"rules": {"capacity": "added"}}})
    alone = evaluate(
        machine(2), problem, load_mapping(nest, machine(2), problem), sparsity=added, masks=masks
    )
    assert alone.levels[1].used_words == 2 * (2 + 2 / 16)
    assert alone.energy_pj == together.energy_pj


def test_sizes_of_fewer_than_two_masks_are_not_added() -> None:
    problem, nest, masks, content = halves()
    added = load_sparsity({"sparsity": content | {"rules": {"capacity": "added"}}})
    mapping = load_mapping(nest, machine(2), problem)
    del masks["B"]
    with pytest.raises(SpecError, match="'capacity: added' has no effect on fewer than two masks"):
        evaluate(machine(2), problem, mapping, sparsity=added, masks=masks)


@pytest.mark.parametrize("overflow", ["reject", "spill"])
def test_what_lies_together_is_what_has_to_fit(overflow: str) -> None:
    problem, nest, masks, content = halves()
    content["capacity"] |= {"overflow": overflow}
    small = machine(2)
    levels = list(small.levels)
    levels[1] = levels[1].model_copy(update={"capacity_words": 3})
    small = small.model_copy(update={"levels": tuple(levels)})
    mapping = load_mapping(nest, small, problem)
    found = evaluate(small, problem, mapping, sparsity=load_sparsity({"sparsity": content}), masks=masks)
    assert found.levels[1].used_words == 2 + 2 * 2 / 16
    added = load_sparsity({"sparsity": content | {"rules": {"capacity": "added"}}})
    if overflow == "reject":
        with pytest.raises(
            SpecError, match=re.escape("take 4 words (maximum size), its capacity is 3 (A 2, B 2)")
        ):
            evaluate(small, problem, mapping, sparsity=added, masks=masks)
    else:
        spilled = evaluate(small, problem, mapping, sparsity=added, masks=masks)
        assert spilled.levels[1].used_words == 3
        assert spilled.sparse("L0", "A").actual[0] > found.sparse("L0", "A").actual[0]


@pytest.mark.skipif(not COMPILED, reason="takes minutes as plain Python")
def test_more_tiles_than_are_listed_at_a_time() -> None:
    """Elements are tiles, 1.2 million of them: of each tensor 30 % are not zero, and together 9 %."""
    shape = {
        "name": "pairs",
        "dimensions": ["I", "J"],
        "tensors": {
            "A": {"projection": ["I", "J"]},
            "B": {"projection": ["I", "J"]},
            "Z": {"projection": ["I"], "output": True},
        },
    }
    problem = load_problem({"problem": {"name": "p", "shape": shape, "dimensions": {"I": 1200, "J": 1000}}})
    rng = np.random.default_rng(0)
    masks = {name: rng.random((1200, 1000)) < 0.3 for name in "AB"}
    nest = {
        "mapping": {
            "levels": [{"level": "L0", "temporal": "I=1200 J=1000"}, {"level": "L1", "keep": ["A", "B"]}]
        }
    }
    mapping = load_mapping(nest, machine(2), problem)
    for share, alone, both in ((0.6, 0, 1), (0.8, 1, 1), (0.95, 1, 2)):
        content = {
            "name": "d",
            "formats": {name: {"L1": {"kind": "run_length", "run_bits": 1}} for name in "AB"},
            "capacity": {"size": "quantile", "quantile": share},
        }
        design = load_sparsity({"sparsity": content})
        found = evaluate(machine(2), problem, mapping, sparsity=design, masks=masks)
        entry = 1 + 1 / 16
        mean = [masks[name].mean() * entry for name in "AB"]
        assert found.levels[1].used_words == pytest.approx(max(both * entry, sum(mean)))
        for name, one in zip("AB", mean, strict=True):
            assert found.sparse("L1", name).stored_words == pytest.approx(max(alone * entry, one))
