"""Recurrent cells: their products and gates, and steps that wait for each other."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from procrustes_model import SpecError, load_network
from procrustes_model.network.run import run_network
from procrustes_model.workloads.problem_layers import recurrent_product

STEPS, INPUTS, STATE, BATCH = 5, 6, 4, 2
ASKED: dict[str, Any] = {"seconds": None, "workers": 1}


def machine(buffer_words: int | None) -> dict[str, Any]:
    levels = [{"name": "DRAM", "word_bits": 16, "energy_pj": {"read": 100, "write": 100}}]
    if buffer_words:
        free = {"read": 0, "write": 0}
        levels.append({"name": "Buffer", "word_bits": 16, "capacity_words": buffer_words, "energy_pj": free})
    return {"architecture": {"name": "m", "levels": levels, "compute": {"energy_pj": 0}}}


def cell(kind: str, **keys: Any) -> dict[str, Any]:
    one = {"name": "r", "kind": "recurrent", "cell": kind, "channels": STATE, "input_channels": INPUTS}
    return {"network": {"name": "n", "batch": BATCH, "layers": [{**one, "steps": STEPS, **keys}]}}


@pytest.mark.parametrize(
    ("kind", "gates", "operations", "states"), [("rnn", 1, 2, 0), ("gru", 3, 11, 1), ("lstm", 4, 13, 1)]
)
def test_a_cell_is_two_products_and_its_gates(kind: str, gates: int, operations: int, states: int) -> None:
    network = load_network(cell(kind))
    ours = {layer.name: layer for layer in network.layers}
    for name, inputs in (("r_input", INPUTS), ("r_state", STATE)):
        theirs = recurrent_product(name, inputs=inputs, outputs=gates * STATE, steps=STEPS)
        assert ours[name].weights == theirs.weights == gates * STATE * inputs
        assert ours[name].macs == theirs.macs
    (gate,) = network.elementwise
    assert gate.total(BATCH) == STATE * STEPS * BATCH
    assert gate.operations == operations
    assert len(gate.reads) == 2 * gates + states
    assert "Hidden" in gate.writes
    assert load_network(yaml.safe_load(network.to_yaml())) == network


def test_steps_wait_for_each_other() -> None:
    """Where weights do not fit, every step reads them again; where they do, all steps read them once."""
    weights = 4 * STATE * STATE
    reads = {}
    for words in (16, 4096):
        run = run_network(machine(words), cell("lstm"), **ASKED)
        for row in run.rows:
            if row.layer == "r_state":
                found = {
                    one["tensor"]: one["count"]
                    for one in row.case.rows
                    if (one["level"], one["action"]) == ("DRAM", "read")
                }
                reads[words, row.phase.short] = found["Weights"]
                outer = row.case.mapping["mapping"]["levels"][0]["temporal"].split()
                if row.phase.short != "wu":
                    assert outer[0] == f"T={STEPS}"
    for phase in ("fw", "bw"):
        assert reads[16, phase] >= STEPS * weights
        assert reads[4096, phase] == weights


def test_the_product_with_the_input_does_not_wait() -> None:
    run = run_network(machine(40), cell("lstm"), phases=["fw"], **ASKED)
    plain = recurrent_product("r_input", inputs=INPUTS, outputs=4 * STATE, steps=STEPS)
    alone = load_network(cell("lstm")).model_copy(update={"layers": (plain,), "elementwise": ()})
    theirs = run_network(machine(40), alone, phases=["fw"], **ASKED)
    assert run.rows[0].case.energy_pj == theirs.rows[0].case.energy_pj
    waiting = plain.model_copy(update={"sequence": "T"})
    bound = run_network(machine(40), alone.model_copy(update={"layers": (waiting,)}), phases=["fw"], **ASKED)
    assert bound.totals().energy_pj > theirs.totals().energy_pj


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cell": "lst"}, "'cell' must be one of 'rnn', 'gru' or 'lstm'"),
        ({"steps": 0}, "'steps' must be at least 1"),
        ({"kernel": 1}, "unknown key 'kernel'"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_network(cell("lstm", **keys))
    assert message in str(caught.value)


def test_a_sequence_is_a_dimension_of_the_problem() -> None:
    item = {
        "name": "e",
        "kind": "problem",
        "shape": "fully_connected",
        "dimensions": {"C": 2, "K": 2, "N": 2},
    }
    for name in ("T", "N"):
        layer = {**item, "batch_dimension": "N", "sequence": name}
        with pytest.raises(SpecError, match=f"'{name}' is no dimension whose steps wait"):
            load_network({"network": {"name": "n", "layers": [layer]}})
