"""Mappings whose tensors stand at several loops of a level, against a walk with a boundary per tensor."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings

from procrustes_model import (
    Result,
    SpecError,
    evaluate,
    explain,
    load_architecture,
    load_mapping,
    load_problem,
)
from tests.amount import amount
from tests.naive import uneven as naive
from tests.naive.compare import assert_same
from tests.strategies import Spec, uneven_cases, with_drains

pytestmark = pytest.mark.quick

MACHINE = {
    "architecture": {
        "name": "three",
        "clock": "1 GHz",
        "levels": [
            {"name": "DRAM", "word_bits": 16, "energy_pj": {"read": 200, "write": 210}},
            {"name": "Buffer", "word_bits": 16, "energy_pj": {"read": 6, "write": 7}}
            | {"capacity_words": 100, "shared_bandwidth": 8, "leakage_mw": 2.0},
            {"name": "Reg", "word_bits": 16, "energy_pj": {"read": 0.9, "write": 1.1}, "mesh_x": 4},
        ],
        "compute": {"energy_pj": 1},
    }
}
PROBLEM = {"problem": {"name": "mm", "shape": "matmul", "dimensions": {"M": 4, "K": 6, "N": 8}}}
EVEN = [
    {"level": "DRAM", "temporal": "K=2"},
    {"level": "Buffer", "temporal": "N=4 K=3", "spatial_x": "M=4", "keep": ["A", "B", "Z"]},
    {"level": "Reg", "temporal": "N=2", "keep": ["Z"]},
]


def _nest(*levels: Spec) -> Spec:
    return {"mapping": {"name": "nest", "levels": list(levels)}}


def _split(*entries: Spec) -> Spec:
    """Return `EVEN` with other entries of the buffer."""
    return _nest(EVEN[0], *({"level": "Buffer"} | one for one in entries), EVEN[2])


UNEVEN = _split(
    {"temporal": "N=4", "keep": ["A", "Z"]}, {"temporal": "K=3", "spatial_x": "M=4", "keep": ["B"]}
)


@settings(max_examples=amount(80, 60))
@given(uneven_cases().flatmap(with_drains))
def test_counts_energy_and_cycles_equal_the_naive_twin(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    result = evaluate(architecture, problem, mapping)
    assert_same(result, naive.evaluate(architecture, problem, mapping))
    again = load_mapping(mapping.to_dict(), architecture, problem)
    assert again == mapping


@settings(max_examples=amount(20, 15))
@given(uneven_cases(60))
def test_explained_as_it_is_counted(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    result = evaluate(architecture, problem, case[2])
    for level in result.levels:
        for one in level.tensors:
            found = explain(architecture, problem, case[2], level.name, one.tensor)
            counted = one.tile_words, one.reads, one.fills, one.updates, one.instances
            parts = found.tile, found.reads, found.fills, found.updates, found.instances
            assert tuple(part.value for part in parts) == counted


def _numbers(result: Result) -> tuple[Any, ...]:
    rows = [(one["level"], one["tensor"], one["action"], one["count"]) for one in result.to_records()]
    return result.energy_pj, result.cycles, rows, [level.used_words for level in result.levels]


def test_entries_that_share_a_place_are_one() -> None:
    """Where no loop lies between the tiles of a level, how many entries it has says nothing."""
    even = _numbers(evaluate(MACHINE, PROBLEM, _nest(*EVEN)))
    loops = {"temporal": "N=4 K=3", "spatial_x": "M=4"}
    for keeps in ((["B"], ["A", "Z"]), (["A"], ["Z"], ["B"]), ([], ["A", "B", "Z"])):
        entries = [{"keep": keep} for keep in keeps]
        entries[-1] |= loops
        assert _numbers(evaluate(MACHINE, PROBLEM, _split(*entries))) == even


def test_a_tile_inside_of_a_loop_is_smaller() -> None:
    """B has 3 x 8 words outside of N=4 and 3 x 2 inside; both visit each element once for every K=2."""
    even, uneven = evaluate(MACHINE, PROBLEM, _nest(*EVEN)), evaluate(MACHINE, PROBLEM, UNEVEN)
    assert even.tensor("Buffer", "B").tile_words == 24
    assert uneven.tensor("Buffer", "B").tile_words == 6
    assert even.tensor("Buffer", "B").fills == uneven.tensor("Buffer", "B").fills == 48
    assert uneven.level("Buffer").used_words == 12 + 32 + 6 == even.level("Buffer").used_words - 18
    assert even.tensor("Buffer", "A") == uneven.tensor("Buffer", "A")


def test_one_memory_has_one_capacity_and_leaks_once() -> None:
    content = copy.deepcopy(MACHINE)
    content["architecture"]["levels"][1]["capacity_words"] = 50
    result = evaluate(content, PROBLEM, UNEVEN)
    assert [level.name for level in result.levels] == ["DRAM", "Buffer", "Reg"]
    assert result.level("Buffer").instances == 1
    assert [one.energy_pj for one in result.leakage] == [2.0 * result.cycles]
    assert evaluate(content, PROBLEM, _nest(*EVEN), check_capacity=False).leakage == result.leakage
    content["architecture"]["levels"][1]["capacity_words"] = 49
    with pytest.raises(SpecError, match="take 50 words, its capacity is 49: 1 too many"):
        evaluate(content, PROBLEM, UNEVEN)


def test_one_memory_has_one_set_of_ports() -> None:
    """Words of all entries take of one bandwidth."""
    content = copy.deepcopy(MACHINE)
    content["architecture"]["levels"][1] |= {"capacity_words": 64, "shared_bandwidth": 0.5}
    found = evaluate(content, PROBLEM, UNEVEN).level("Buffer")
    words = sum(one.reads + one.fills + one.updates for one in found.tensors)
    assert found.cycles == words / 0.5
    assert found.limited_by == "shared bandwidth"


def test_beside_plain_storage() -> None:
    """Networks, components, waiting, shared ports and words that pass: of levels, not of their entries.

    Where no loop lies between tiles, they are what they are in the even mapping.
    """
    content = copy.deepcopy(MACHINE)
    levels = content["architecture"]["levels"]
    levels[1] |= {"double_buffered": False, "write_bandwidth": 2, "words_per_access": 4}
    levels[1]["network"] = {"topology": "bus", "energy_pj_per_bit": 0.1, "bits_per_cycle": 7}
    levels[1] |= {"through": ["A"], "leakage_gated": True, "drain_read": True}
    levels[1]["energy_pj"]["idle"] = 0.5
    content["architecture"]["components"] = [
        {"name": "check", "energy_pj": 3, "per_cycle": 0.25}
        | {"use": {"level": "Buffer", "action": "read"}, "instances": 2}
    ]
    content["architecture"]["compute"]["fill_drain_cycles"] = 5
    loops = {"temporal": "N=4 K=3", "spatial_x": "M=4"}
    for kept in (["A", "B", "Z"], ["B", "Z"], ["Z"], []):
        even = evaluate(content, PROBLEM, _nest(EVEN[0], EVEN[1] | {"keep": kept}, EVEN[2]))
        apart = [{"keep": kept[:1]}, {"keep": kept[1:]} | loops]
        uneven = evaluate(content, PROBLEM, _split(*apart))
        assert _numbers(uneven) == _numbers(even)
        assert (uneven.networks, uneven.components, uneven.leakage) == (
            even.networks,
            even.components,
            even.leakage,
        )
        assert [level.cycles for level in uneven.levels] == [level.cycles for level in even.levels]


def test_wide_sums() -> None:
    content = copy.deepcopy(MACHINE)
    content["architecture"]["sum_bits"] = 32
    loops = {"temporal": "N=4 K=3", "spatial_x": "M=4"}
    even = evaluate(content, PROBLEM, _nest(*EVEN))
    assert even.level("Buffer").used_words == 12 + 24 + 64
    for keeps in ((["B"], ["A", "Z"]), (["Z"], ["A", "B"])):
        entries = [{"keep": keep} for keep in keeps]
        entries[-1] |= loops
        assert _numbers(evaluate(content, PROBLEM, _split(*entries))) == _numbers(even)


def test_shorter_last_passes() -> None:
    """Loops of an entry may be shorter in the last pass; tiles and words are those of the even mapping."""
    product = {"problem": {"name": "mm", "shape": "matmul", "dimensions": {"M": 4, "K": 5, "N": 8}}}
    dram, inner = {"level": "DRAM", "temporal": "K=2"}, {"temporal": "N=4 K=3/2", "spatial_x": "M=4"}
    even = evaluate(MACHINE, product, _nest(dram, {"level": "Buffer", "keep": ["B"]} | inner, EVEN[2]))
    apart = ({"level": "Buffer", "keep": []}, {"level": "Buffer", "keep": ["B"]} | inner)
    assert _numbers(evaluate(MACHINE, product, _nest(dram, *apart, EVEN[2]))) == _numbers(even)


def test_a_sparse_design_is_refused() -> None:
    design = {"sparsity": {"name": "some", "densities": {"B": 0.5}, "formats": {"B": {"*": "bitmask"}}}}
    with pytest.raises(SpecError, match="this mapping is uneven: a sparse design is counted"):
        evaluate(MACHINE, PROBLEM, UNEVEN, sparsity=design)


def test_explanations_say_where_the_tile_stands() -> None:
    text = " ".join(explain(MACHINE, PROBLEM, UNEVEN, "Buffer", "B").to_text().split())
    assert "that of B is outside of K_Buffer, M_Buffer_x, inside N_Buffer." in text
    text = " ".join(explain(MACHINE, PROBLEM, UNEVEN, "Buffer", "A").to_text().split())
    assert "that of A is outside of N_Buffer, K_Buffer, M_Buffer_x, inside no loop." in text
    assert "at several loops" not in explain(MACHINE, PROBLEM, UNEVEN, "DRAM", "A").to_text()
