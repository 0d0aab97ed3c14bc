"""One evaluator: what it takes, one total energy for all ways to evaluate, components, rules."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    Evaluator,
    Rules,
    SpecError,
    evaluate,
    evaluate_batch,
    find_pareto_front,
    load_architecture,
    load_mapping,
    load_problem,
    load_rules,
    search,
)
from procrustes_model.model.lower import lower_mapping

NEST = "procrustes_16x16/vgg_s_conv3_2_kn"
MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "served",
        "levels": [
            {"name": "Far", "word_bits": 16, "energy_pj": {"read": 100, "write": 90}, "words_per_access": 3},
            {"name": "Near", "word_bits": 16, "capacity_words": 64, "mesh_x": 4, "read_bandwidth": 0.5}
            | {"energy_pj": {"read": 5, "write": 4, "update": 6}},
        ],
        "compute": {"name": "MAC", "energy_pj": 1},
        "components": [
            {"name": "Decoder", "energy_pj": 50, "use": {"level": "Near", "tensor": "A", "action": "fill"}},
            {"name": "Adder", "energy_pj": 0.25, "use": {"level": "MAC", "action": "compute"}},
            {"name": "Unpacker", "energy_pj": 7, "when": "compression", "power_pj_per_cycle": 2}
            | {"use": {"level": "Near", "tensor": "B", "action": "fill"}},
            {"name": "Leak", "power_pj_per_cycle": 3, "instances": 2},
        ],
    }
}
PROBLEM = {"problem": {"name": "little", "shape": "matmul", "dimensions": {"M": 8, "K": 6, "N": 4}}}
LITTLE = {
    "mapping": {
        "levels": [
            {"level": "Far", "temporal": "M=2 N=2 K=3", "spatial_x": "M=2 N=2"},
            {"level": "Near", "temporal": "M=2 K=2"},
        ]
    }
}
HALF = {"sparsity": {"name": "half", "densities": {"B": 0.5}, "formats": {"B": {"Near": "bitmask"}}}}


def little() -> tuple[Any, Any, Any]:
    architecture, problem = load_architecture(MACHINE), load_problem(PROBLEM)
    return architecture, problem, load_mapping(LITTLE, architecture, problem)


def by_hand(result: Any) -> float:
    """Add up what every row of the CSV says."""
    return sum(row["energy_pj"] for row in result.to_records())


def test_every_verb_takes_names_dicts_and_objects() -> None:
    named = evaluate("procrustes_16x16", "vgg_s/conv3_2", NEST)
    architecture, problem = load_architecture("procrustes_16x16"), load_problem("vgg_s/conv3_2")
    mapping = load_mapping(NEST, architecture, problem)
    evaluator = Evaluator(architecture, problem)
    for given in (NEST, mapping, mapping.to_dict()):
        assert evaluator.evaluate(given).to_dict() == named.to_dict() | {"mapping": mapping.name}
    batch = evaluate_batch("procrustes_16x16", "vgg_s/conv3_2", *lower_mapping(problem, mapping))
    assert batch.energy_pj[0] == pytest.approx(named.energy_pj, rel=1e-12)
    sparse = evaluate("procrustes_16x16", "vgg_s/conv3_2", NEST, sparsity="procrustes")
    assert sparse.energy_pj < named.energy_pj


def test_a_mapping_of_other_levels_is_refused_with_what_is_wrong() -> None:
    _, _, mapping = little()
    with pytest.raises(SpecError, match="unknown level 'Far'"):
        evaluate("procrustes_16x16", "matmul/512", mapping)


def test_the_energy_of_a_dense_evaluation_holds_components() -> None:
    architecture, problem, mapping = little()
    result = evaluate(architecture, problem, mapping)
    bare = architecture.model_copy(update={"components": ()})
    without = evaluate(bare, problem, mapping)
    fills = result.tensor("Near", "A").fills * 4
    expected = 50 * fills + 0.25 * problem.computes + (2 + 3 * 2) * result.cycles
    assert result.cycles == without.cycles
    assert result.energy_pj == pytest.approx(without.energy_pj + expected, rel=1e-12)
    assert by_hand(result) == pytest.approx(result.energy_pj, rel=1e-12)
    used = {one.name: one.uses for one in result.components}
    assert used == {"Decoder": fills, "Adder": problem.computes, "Unpacker": 0, "Leak": 0}


@pytest.mark.parametrize("design", [None, HALF, {"sparsity": {"name": "nothing"}}])
def test_one_total_energy_for_one_mapping_and_for_batches(design: Any) -> None:
    architecture, problem, mapping = little()
    evaluator = Evaluator(architecture, problem, sparsity=design)
    result = evaluator.evaluate(mapping)
    batch = evaluator.evaluate_batch(*lower_mapping(problem, mapping))
    assert batch.energy_pj[0] == pytest.approx(result.energy_pj, rel=1e-12)
    assert batch.cycles[0] == result.cycles
    near = result.tensor("Near", "B")
    assert batch.accesses[0, 1, 1].tolist() == [near.reads, near.fills, near.updates]
    assert by_hand(result) == pytest.approx(result.energy_pj, rel=1e-12)


def test_a_component_works_where_what_it_serves_is_done() -> None:
    architecture, problem, mapping = little()
    stored = evaluate(architecture, problem, mapping, sparsity=HALF)
    plain = {"sparsity": {"name": "plain", "densities": {"B": 0.5}}}
    loose = evaluate(architecture, problem, mapping, sparsity=plain)
    uses = [{one.name: one.uses for one in result.components}["Unpacker"] for result in (stored, loose)]
    assert uses == [stored.tensor("Near", "B").fills * 4, 0]
    nothing = evaluate(architecture, problem, mapping, sparsity={"sparsity": {"name": "nothing"}})
    assert nothing.energy_pj == pytest.approx(evaluate(architecture, problem, mapping).energy_pj, rel=1e-12)


@pytest.mark.parametrize("objective", ["energy", "edp", "cycles"])
@pytest.mark.parametrize("design", [None, HALF])
def test_search_minimises_and_proves_the_energy_that_is_reported(objective: Any, design: Any) -> None:
    problem = load_problem(
        {"problem": {"name": "tiny", "shape": "matmul", "dimensions": {"M": 4, "K": 2, "N": 2}}}
    )
    best = search(MACHINE, problem, None, objective, sparsity=design, seconds=None)
    every = search(MACHINE, problem, None, objective, sparsity=design, method="exhaustive")
    score = {"energy": (1, 0), "edp": (1, 1), "cycles": (0, 1)}[objective]
    for found in (best, every):
        value = found.result.energy_pj ** score[0] * float(found.result.cycles) ** score[1]
        assert found.certificate.value == pytest.approx(value, rel=1e-12)
    assert best.certificate.value == pytest.approx(every.certificate.value, rel=1e-12)
    assert best.certificate.lower_bound <= every.certificate.value * (1 + 1e-9)


def test_a_decoder_that_is_dearer_than_a_write_changes_the_best_mapping() -> None:
    """What a component spends per word, and a write that costs as much more, lead to the same energy."""
    served, written = copy.deepcopy(MACHINE), copy.deepcopy(MACHINE)
    served["architecture"]["components"] = served["architecture"]["components"][:1]
    served["architecture"]["levels"][1]["tensors"] = written["architecture"]["levels"][1]["tensors"] = ["A"]
    written["architecture"].pop("components")
    written["architecture"]["levels"][1]["energy_pj"]["write"] += 50
    values = [search(one, PROBLEM, None, "energy", seconds=None).certificate for one in (served, written)]
    assert values[0].proven
    assert values[1].proven
    assert values[0].value == pytest.approx(values[1].value, rel=1e-12)


def test_counts_are_the_expected_values_that_energies_come_from() -> None:
    result = evaluate(
        "procrustes_16x16",
        "vgg_s/conv3_2",
        NEST,
        sparsity="procrustes",
        densities={"Weights": 1e-5, "Inputs": 0.5},
    )
    for row in result.to_records():
        if row["energy_pj"] > 0:
            assert row["count"] > 0
    counts = result.tensor("RegFile", "Weights")
    assert (counts.reads, counts.fills, counts.updates) == counts.sparse.actual
    assert result.compute.computes == result.computes.actual


def test_rules_hold_without_a_sparse_design() -> None:
    published = {"rules": {"output_fills": "all", "access_energy": "largest"}}
    ours = evaluate("procrustes_16x16", "vgg_s/conv3_2", NEST)
    theirs = evaluate("procrustes_16x16", "vgg_s/conv3_2", NEST, rules=published)
    design = {"sparsity": {"name": "rules", **published}}
    as_design = evaluate("procrustes_16x16", "vgg_s/conv3_2", NEST, sparsity=design)
    assert theirs.energy_pj == pytest.approx(as_design.energy_pj, rel=1e-12)
    assert theirs.energy_pj > ours.energy_pj
    assert load_rules(published) == Rules(output_fills="all", access_energy="largest")
    kept = evaluate("procrustes_16x16", "vgg_s/conv3_2", NEST, sparsity=design, rules=Rules())
    assert kept.energy_pj == pytest.approx(ours.energy_pj, rel=1e-12)


def test_wrong_rules_are_refused_with_what_would_be_right() -> None:
    with pytest.raises(SpecError, match="'rounding' must be one of 'exact' or 'whole_words'"):
        load_rules({"rules": {"rounding": "up"}})


def test_last_passes_and_sparse_designs_do_not_mix() -> None:
    architecture, problem, mapping = little()
    nests = lower_mapping(problem, mapping)
    with pytest.raises(ValueError, match="last must be None"):
        evaluate_batch(architecture, problem, *nests, last=np.ones_like(nests.temporal), sparsity=HALF)


def test_a_level_that_keeps_nothing_costs_nothing() -> None:
    architecture, problem, _ = little()
    nest = {
        "mapping": {"levels": [{"level": "Far", "temporal": "M=8 N=4 K=6"}, {"level": "Near", "keep": []}]}
    }
    dense = evaluate(architecture, problem, nest)
    sparse = evaluate(architecture, problem, nest, sparsity={"sparsity": {"name": "nothing"}})
    assert sparse.energy_pj == pytest.approx(dense.energy_pj, rel=1e-12)
    assert sparse.level("Near").used_words == 0


def test_compression_serves_the_words_of_compressed_tensors() -> None:
    machine = copy.deepcopy(MACHINE)
    machine["architecture"]["components"] = [
        {"name": "Codec", "energy_pj": 1, "when": "compression", "use": {"level": "Far", "action": "read"}}
    ]
    result = evaluate(machine, PROBLEM, LITTLE, sparsity=HALF)
    assert result.components[0].uses == result.tensor("Far", "B").reads


def test_sliding_tiles_that_forget_are_defined_for_whole_passes() -> None:
    shape = {
        "name": "slide",
        "dimensions": ["P", "R"],
        "tensors": {
            "W": {"projection": ["R"]},
            "I": {"projection": ["P + R"]},
            "O": {"projection": ["P"], "output": True},
        },
    }
    problem = load_problem({"problem": {"name": "s", "shape": shape, "dimensions": {"P": 7, "R": 1}}})
    nest = {
        "mapping": {"levels": [{"level": "Far", "temporal": "P=2"}, {"level": "Near", "temporal": "P=4/3"}]}
    }
    machine = load_architecture(MACHINE).model_copy(update={"components": ()})  # they work on other tensors
    evaluator = Evaluator(machine, problem, rules={"rules": {"overlap": "innermost"}})
    with pytest.raises(SpecError, match="overlap: innermost"):
        evaluator.evaluate(nest)
    mapping = load_mapping(nest, machine, problem)
    arrays = lower_mapping(problem, mapping)
    with pytest.raises(ValueError, match="last must be None"):
        evaluator.evaluate_batch(*arrays, last=np.ones_like(arrays.temporal))


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"energy_pj": 1}, "works on nothing"),
        ({"use": {"level": "MAC", "action": "compute", "tensor": "A"}}, "takes no 'tensor'"),
        ({"name": "balancing", "power_pj_per_cycle": 1}, "the name 'balancing'"),
    ],
)
def test_what_a_component_states_is_used_or_refused(component: dict[str, Any], message: str) -> None:
    machine = copy.deepcopy(MACHINE)
    machine["architecture"]["components"] = [{"name": "Unit"} | component]
    with pytest.raises(SpecError, match=message):
        load_architecture(machine)


def test_the_front_ends_at_one_cycle() -> None:
    problem = {"problem": {"name": "one", "shape": "matmul", "dimensions": {"M": 1, "K": 1, "N": 1}}}
    (point,) = find_pareto_front(MACHINE | {}, problem)
    assert point.result.cycles >= 1
