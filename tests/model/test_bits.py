"""Elements that are narrower or wider than a level's word: one table for every way to evaluate and search."""

from __future__ import annotations

import copy
import itertools
import math
import operator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import (
    Evaluator,
    SpecError,
    evaluate,
    evaluate_batch,
    load_architecture,
    load_mapping,
    load_problem,
    search,
)
from procrustes_model.model.lower import lower_mapping
from procrustes_model.model.sparse.result import sparse_of
from tests.amount import amount
from tests.model.test_evaluator import HALF, LITTLE, MACHINE, PROBLEM
from tests.naive import dense as naive
from tests.naive.compare import assert_same
from tests.strategies import Spec, cases

TINY = {"problem": {"name": "tiny", "shape": "matmul", "dimensions": {"M": 4, "K": 2, "N": 2}}}
ALL_WIDTHS = {"A": 4, "B": 12, "Z": 40}
"""Of words of 16 bits: narrower, no divisor of an access, wider than one of the inner level."""


def machine_of(bits: dict[str, Any]) -> Any:
    content = copy.deepcopy(MACHINE)
    content["architecture"]["bits"] = bits
    return load_architecture(content)


@pytest.mark.quick
@settings(max_examples=amount(100, 40))
@given(cases(), st.data())
def test_energy_and_cycles_equal_the_naive_twin(case: tuple[Spec, Spec, Spec], data: st.DataObject) -> None:
    problem = load_problem(case[1])
    widths = st.sampled_from([1, 4, 7, 16, 17, 48, 300])
    names = st.sampled_from([tensor.name for tensor in problem.tensors])
    case[0]["architecture"]["bits"] = data.draw(st.dictionaries(names, widths))
    architecture = load_architecture(case[0])
    mapping = load_mapping(case[2], architecture, problem)
    assert_same(evaluate(architecture, problem, mapping), naive.evaluate(architecture, problem, mapping))


@pytest.mark.parametrize("design", [None, HALF])
def test_all_evaluations_agree_and_counts_stay(design: Any) -> None:
    problem, machine = load_problem(PROBLEM), machine_of({**ALL_WIDTHS, "B": "4 * 3"})
    mapping = load_mapping(LITTLE, machine, problem)
    result = evaluate(machine, problem, mapping, sparsity=design)
    evaluator = Evaluator(machine, problem, sparsity=design)
    for batch in (
        evaluate_batch(machine, problem, *lower_mapping(problem, mapping), sparsity=design),
        evaluator.evaluate_batch(*lower_mapping(problem, mapping)),
    ):
        assert batch.energy_pj[0] == pytest.approx(result.energy_pj, rel=1e-12)
    before = evaluate(machine_of({}), problem, mapping, sparsity=design)
    assert result.cycles > before.cycles
    prices = {"Far": (100, 90, 90), "Near": (5, 4, 6)}
    packs = {"Far": {"A": 12, "B": 4, "Z": 1}, "Near": {"A": 4, "B": 1, "Z": 1}}
    for level, name in itertools.product(prices, ALL_WIDTHS):
        one, old = result.tensor(level, name), before.tensor(level, name)
        words = one.reads, one.fills, one.updates
        assert words == (old.reads, old.fills, old.updates)
        assert one.tile_words == old.tile_words
        accesses = [math.ceil(count / packs[level][name]) for count in words]
        if (level, name) == ("Near", "Z"):
            accesses = [3 * count for count in accesses]
        expected = sum(map(operator.mul, accesses, prices[level])) * (4 if level == "Near" else 1)
        metadata = sum(sparse_of(one).metadata_energy_pj) if design else 0.0
        assert one.energy_pj - metadata == pytest.approx(expected, rel=1e-12), (level, name)
    if design:
        new, old = (sparse_of(one.tensor("Near", "B")) for one in (result, before))
        assert sum(new.metadata) > 0
        assert new.metadata == old.metadata
        assert new.metadata_energy_pj == old.metadata_energy_pj


def narrow(**near: Any) -> Any:
    """Return a machine of two levels, the near one of words of 16 bits, on which A has 4 bits and Z 32."""
    energy = {"energy_pj": {"read": 1, "write": 1}}
    levels = [
        {"name": "Far", "word_bits": 64, **energy},
        {"name": "Near", "word_bits": 16, **energy, **near},
    ]
    content = {"name": "m", "bits": {"A": 4, "Z": 32}, "levels": levels, "compute": {"energy_pj": 1}}
    return load_architecture({"architecture": content})


NARROW = {
    "mapping": {"levels": [{"level": "Far", "temporal": "K=2"}, {"level": "Near", "temporal": "M=4 N=2"}]}
}
"""Of TINY: tiles of 4 elements of A, 2 of B and 8 of Z, which are 16, 32 and 256 bits."""


@pytest.mark.parametrize("design", [None, "dense", "average"])
@pytest.mark.parametrize(("words", "fits"), [(19, True), (18, False)])
def test_capacity_is_of_bits(words: int, fits: bool, design: str | None) -> None:
    """In all 304 bits, 19 words of the level."""
    machine, problem = narrow(capacity_words=words), load_problem(TINY)
    mapping = load_mapping(NARROW, machine, problem)
    sparsity = None if design is None else {"sparsity": {"name": "d", "capacity": {"size": design}}}
    batch = evaluate_batch(machine, problem, *lower_mapping(problem, mapping), sparsity=sparsity)
    assert bool(batch.valid[0]) is fits
    if fits:
        found = evaluate(machine, problem, mapping, sparsity=sparsity)
        assert found.levels[1].used_words == 19
    else:
        with pytest.raises(SpecError, match=r"take 19 words.*its capacity is 18"):
            evaluate(machine, problem, mapping, sparsity=sparsity)


@pytest.mark.parametrize("design", [None, {"sparsity": {"name": "d"}}])
def test_bandwidth_is_of_bits(design: Any) -> None:
    """A reads 16 elements of 4 bits, B 16 of 16, Z 8 of 32 once it has been begun: 36 words; 3 a cycle."""
    machine, problem = narrow(read_bandwidth=1), load_problem(TINY)
    mapping = load_mapping(NARROW, machine, problem)
    found = evaluate(machine, problem, mapping, sparsity=design)
    assert [found.tensor("Near", name).reads for name in "ABZ"] == [16, 16, 8]
    assert found.levels[1].cycles == found.cycles == 4 + 16 + 16


def test_compressed_elements_take_their_bits() -> None:
    """All 4 elements of A in a tile, of 4 bits each, and a bit for each of the positions."""
    machine, problem = narrow(), load_problem(TINY)
    design = {"name": "d", "formats": {"A": {"Near": "bitmask"}}, "capacity": {"size": "average"}}
    mapping = load_mapping(NARROW, machine, problem)
    found = evaluate(machine, problem, mapping, sparsity={"sparsity": design})
    assert sparse_of(found.tensor("Near", "A")).stored_words == (4 * 4 + 4) / 16
    assert found.levels[1].used_words == (4 * 4 + 4) / 16 + 2 + 16


def test_bits_of_a_problem_replace_those_of_the_machine() -> None:
    for design in (None, HALF):
        found = [
            evaluate(machine_of(bits), {"problem": {**PROBLEM["problem"], **own}}, LITTLE, sparsity=design)
            for bits, own in (
                (ALL_WIDTHS, {}),
                ({**ALL_WIDTHS, "B": 32}, {"bits": {"B": 12}}),
                ({}, {"bits": ALL_WIDTHS}),
            )
        ]
        assert found[0].to_dict() == found[1].to_dict() == found[2].to_dict()
    problem = load_problem({"problem": {**PROBLEM["problem"], "bits": {"B": 12}}})
    assert load_problem({"problem": problem.to_dict()}).bits == {"B": 12}


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"C": 8}, "problem.bits.C: the problem little has no tensor 'C' for 'bits'; choose from A, B, Z"),
        ({"A": 0}, "problem.bits.A: .* must be"),
        ({"A": True}, "problem.bits.A: .* must be"),
        ([4], "problem.bits: .* must be"),
    ],
)
def test_wrong_bits_of_a_problem_are_refused(bits: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_problem({"problem": {**PROBLEM["problem"], "bits": bits}})


def test_words_as_wide_as_the_level_change_nothing() -> None:
    for design in (None, HALF):
        found = [
            evaluate(machine_of(bits), PROBLEM, LITTLE, sparsity=design).to_dict()
            for bits in ({}, {"A": 16, "B": 16, "Z": 16})
        ]
        assert found[0] == found[1]


@pytest.mark.parametrize("objective", ["energy", "edp"])
@pytest.mark.parametrize("design", [None, HALF])
def test_search_proves_what_trying_everything_finds(objective: Any, design: Any) -> None:
    machine = machine_of(ALL_WIDTHS)
    best = search(machine, TINY, None, objective, sparsity=design, seconds=None)
    every = search(machine, TINY, None, objective, sparsity=design, method="exhaustive")
    assert best.certificate.value == pytest.approx(every.certificate.value, rel=1e-12)
    assert best.certificate.lower_bound <= every.certificate.value * (1 + 1e-9)
    again = load_mapping(best.mapping.to_dict(), machine, load_problem(TINY))
    assert evaluate(machine, TINY, again, sparsity=design).energy_pj == best.result.energy_pj


@pytest.mark.parametrize("verb", ["evaluate", "sparse", "batch", "evaluator", "search"])
def test_bits_of_no_tensor_are_refused_with_their_place(verb: str, tmp_path: Path) -> None:
    content = copy.deepcopy(MACHINE)
    content["architecture"] = {"bits": {"A": 4, "C": 8}, **content["architecture"]}
    file = tmp_path / "machine.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    problem = load_problem(PROBLEM)
    nest = lower_mapping(problem, load_mapping(LITTLE, load_architecture(file), problem))
    verbs: dict[str, Any] = {
        "evaluate": lambda machine: evaluate(machine, problem, LITTLE),
        "sparse": lambda machine: evaluate(machine, problem, LITTLE, sparsity=HALF),
        "batch": lambda machine: evaluate_batch(machine, problem, *nest),
        "evaluator": lambda machine: Evaluator(machine, problem),
        "search": lambda machine: search(machine, problem),
    }
    message = "the problem little has no tensor 'C' for 'bits'; choose from A, B, Z"
    for machine, place in ((file, f"{file}:4:5"), (content, "architecture served")):
        with pytest.raises(SpecError) as caught:
            verbs[verb](machine)
        assert str(caught.value) == f"{place}: {message}"
