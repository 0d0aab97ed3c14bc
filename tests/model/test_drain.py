"""Sums that are read where they lie before they are sent up."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import SpecError, evaluate, explain, load_architecture, load_mapping, load_problem
from tests.amount import amount
from tests.naive import dense as naive
from tests.naive.compare import assert_same
from tests.strategies import Spec, cases

pytestmark = pytest.mark.quick


def _machine(drains: tuple[bool, ...], **more: Any) -> Spec:
    levels = [
        {"name": f"L{i}", "class": "memory", "word_bits": 16, "source": "test", "drain_read": drain}
        | {"energy_pj": {"read": 4.0 - i, "write": 5.0 - i}}
        for i, drain in enumerate(drains)
    ]
    return {
        "architecture": {"name": "drained", "levels": levels, "compute": {"energy_pj": 1, "source": "test"}}
        | more
    }


PROBLEM = {"problem": {"name": "mm", "shape": "matmul", "dimensions": {"M": 2, "K": 6, "N": 4}}}
NEST = {
    "mapping": {
        "levels": [
            {"level": "L0", "temporal": "K=3 M=2"},
            {"level": "L1", "temporal": "N=2 K=2"},
            {"level": "L2", "temporal": "N=2", "keep": ["Z"]},
        ]
    }
}


def test_a_read_for_every_sum_that_is_sent_up() -> None:
    """Z has 8 elements. L1 sends its tile of 4 up six times, L2 its tile of 2 up 12 times, K outermost.

    Of the 24 words that L1 is updated with none is read again but for the sums that L0 has begun.
    """
    plain, drained = (evaluate(_machine((on, on, on)), PROBLEM, NEST) for on in (False, True))
    sent = {name: drained.tensor(name, "Z").reads - plain.tensor(name, "Z").reads for name in ("L1", "L2")}
    assert sent == {"L1": 3 * 2 * 4, "L2": 3 * 2 * 2 * 2}
    assert drained.tensor("L0", "Z").reads == plain.tensor("L0", "Z").reads
    assert drained.tensor("L1", "A").reads == plain.tensor("L1", "A").reads
    assert drained.energy_pj - plain.energy_pj == 24 * 3.0 + 24 * 2.0


@settings(max_examples=amount(50, 40))
@given(cases(), st.lists(st.booleans(), min_size=4, max_size=4))
def test_counts_equal_the_naive_twin(case: tuple[Spec, Spec, Spec], drains: list[bool]) -> None:
    content = copy.deepcopy(case[0])
    for level, drain in zip(content["architecture"]["levels"], drains, strict=False):
        level["drain_read"] = drain
    architecture, problem = load_architecture(content), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    result = evaluate(architecture, problem, mapping)
    assert_same(result, naive.evaluate(architecture, problem, mapping))
    output = problem.output.name
    for level in mapping.levels:
        if output in level.keep:
            found = explain(architecture, problem, mapping, level.level, output)
            assert found.reads.value == result.tensor(level.level, output).reads


def test_what_goes_up_is_not_sent_down() -> None:
    """A network below a level carries sums that come, and those that go back; not what is read for above."""
    machine = _machine((True, True, True))
    for level in machine["architecture"]["levels"]:
        level["network"] = {"topology": "link", "energy_pj_per_bit": 1.0}
    drained = evaluate(machine, PROBLEM, NEST)
    for level in machine["architecture"]["levels"]:
        level["drain_read"] = False
    plain = evaluate(machine, PROBLEM, NEST)
    assert [one.energy_pj for one in drained.networks] == [one.energy_pj for one in plain.networks]


def test_what_goes_up_of_instances_that_differ_is_not_sent_down() -> None:
    """Of five rows the first column takes three, the other two."""
    problem = {"problem": {"name": "mm", "shape": "matmul", "dimensions": {"M": 5, "K": 6, "N": 4}}}
    levels = [
        {"level": "L0", "temporal": "K=3 N=4"},
        {"level": "L1", "spatial_x": "M=2"},
        {"level": "L2", "temporal": "K=2 M=3/2", "keep": ["Z"]},
    ]
    found = []
    for on in (False, True):
        machine = _machine((on, on, on))
        machine["architecture"]["levels"][2]["mesh_x"] = 2
        for level in machine["architecture"]["levels"]:
            level["network"] = {"topology": "link", "energy_pj_per_bit": 1.0}
        found.append(evaluate(machine, problem, {"mapping": {"levels": levels}}))
    plain, drained = found
    assert drained.tensor("L2", "Z").reads > plain.tensor("L2", "Z").reads
    for one, other in zip(plain.networks, drained.networks, strict=True):
        assert other.energy_pj == pytest.approx(one.energy_pj, rel=1e-12)


def test_refused_where_it_is_not_counted() -> None:
    with pytest.raises(SpecError, match="L1 reads what it sends up, and partial sums have a width of"):
        evaluate(_machine((False, True, False), sum_bits=32), PROBLEM, NEST)
    design = {"sparsity": {"name": "some", "densities": {"B": 0.5}, "compute": {"skip": "B"}}}
    design["sparsity"]["formats"] = {"B": {"*": "bitmask"}}
    machine = _machine((False, True, False))
    machine["architecture"]["levels"][0]["network"] = {"topology": "link", "energy_pj_per_bit": 1.0}
    with pytest.raises(SpecError, match="L1 reads what it sends up, and networks would carry that down"):
        evaluate(machine, PROBLEM, NEST, sparsity=design)


@pytest.mark.parametrize("what", ["nothing of the output", "updates", "zeros of the output"])
def test_under_a_sparse_design_as_many_as_arrive(what: str) -> None:
    """All 24 sums of either level; half of them where updates are skipped; those stored, where compressed."""
    content: dict[str, Any] = {"name": "some", "densities": {"B": 0.5}, "formats": {"B": {"*": "bitmask"}}}
    if what == "updates":
        content["actions"] = [{"level": "L1", "skip": "Z", "on": "B"}]
    if what == "zeros of the output":
        content["densities"]["Z"] = 0.25
        content["formats"]["Z"] = {"L0": "bitmask", "*": "none"}
    design = {"sparsity": content}
    plain, drained = (
        evaluate(_machine((on, on, on)), PROBLEM, NEST, sparsity=design) for on in (False, True)
    )
    dense = evaluate(_machine((True, True, True)), PROBLEM, NEST)
    for parent, level in (("L0", "L1"), ("L1", "L2")):
        more = drained.tensor(level, "Z").reads - plain.tensor(level, "Z").reads
        arrive = plain.tensor(parent, "Z").updates / dense.tensor(parent, "Z").updates
        assert more == pytest.approx(24 * arrive)
        assert 0 < arrive <= 1
        spent = drained.tensor(level, "Z").energy_pj - plain.tensor(level, "Z").energy_pj
        # accesses are whole ones
        assert spent == pytest.approx(more * {"L1": 3.0, "L2": 2.0}[level], abs=3.0)
    arrivals = [plain.tensor(name, "Z").updates / 24 for name in ("L0", "L1")]
    assert (min(arrivals) < 1) == (what != "nothing of the output")


@pytest.mark.parametrize("words", [100, 10, 2])
def test_what_spills_is_not_read_to_be_sent_up(words: int) -> None:
    """Z is sent up once, 8 words; L1 is updated 48 times, of which what does not fit is left to L0."""
    nest = {
        "mapping": {
            "levels": [
                {"level": "L0", "temporal": "K=3"},
                {"level": "L1", "temporal": "N=4 K=2 M=2"},
                {"level": "L2", "keep": []},
            ]
        }
    }
    content = {"name": "some", "densities": {"B": 0.5}, "capacity": {"size": "average", "overflow": "spill"}}
    found = []
    for on in (False, True):
        machine = _machine((on, on, on))
        machine["architecture"]["levels"][1]["capacity_words"] = words
        found.append(evaluate(machine, PROBLEM, nest, sparsity={"sparsity": content}))
    plain, drained = (one.tensor("L1", "Z") for one in found)
    fits = plain.updates / 48
    assert (fits < 1) == (words < 100)
    assert drained.reads - plain.reads == pytest.approx(8 * fits)
    assert found[0].tensor("L0", "Z").reads == found[1].tensor("L0", "Z").reads
