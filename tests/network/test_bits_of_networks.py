"""Bits that networks, layers, phases and parts of schedules state, from files to tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import SpecError, evaluate, load_architecture, load_network, load_problem, train_cost
from procrustes_model.model.lower import lower_bits
from procrustes_model.network.plan import Plan, make_plan
from procrustes_model.network.request import RunRequest
from procrustes_model.network.result import NetworkResult, load_run
from procrustes_model.network.run import run_network
from procrustes_model.network.work import load_work, states_of
from procrustes_model.report.tables.csv import wide_text
from procrustes_model.report.tables.network import layers_text
from procrustes_model.report.tables.train_cost import train_cost_text
from procrustes_model.report.terminal.train_cost import format_train_cost
from procrustes_model.spec.load import load_schedule
from procrustes_model.spec.widths import Bits, bits_in_phase
from procrustes_model.vocabulary import PHASES, Phase, Role
from procrustes_model.workloads.problem_layers import problem_layer
from tests.amount import amount
from tests.naive.widths import find_bits

MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "wide",
        "levels": [
            {"name": "DRAM", "word_bits": 32, "energy_pj": {"read": 8, "write": 8}},
            {
                "name": "Near",
                "word_bits": 32,
                "capacity_words": 64,
                "words_per_access": 2,
                "mesh_x": 2,
                "energy_pj": {"read": 1, "write": 1},
            },
        ],
        "compute": {"energy_pj": 1},
    }
}
TENSORS = [role.tensor for role in Role]
ASKED: dict[str, Any] = {"batch": 4, "dataflow": "any", "seconds": None, "workers": 1}


def network(shared: Any = None, **layer: Any) -> Any:
    content: dict[str, Any] = {
        "name": "two",
        "layers": [
            {"name": "a", "kind": "fully_connected", "input_channels": 4, "channels": 4, **layer},
            {"name": "b", "kind": "fully_connected", "channels": 4},
        ],
    }
    return {"network": content | ({} if shared is None else {"bits": shared})}


def plan(written: Any, machine: Any = MACHINE, **more: Any) -> Plan:
    work = load_work(RunRequest(machine, written, **ASKED))
    return make_plan(work, states_of(work), **more)


FLAT = st.dictionaries(st.sampled_from(TENSORS), st.integers(1, 64), max_size=2)
STATEMENTS = st.builds(
    lambda plain, phases: {**plain, **phases},
    FLAT,
    st.dictionaries(st.sampled_from([phase.value for phase in PHASES]), FLAT, max_size=2),
)


@settings(max_examples=amount(200, 60), deadline=None)
@given(FLAT, STATEMENTS, STATEMENTS, STATEMENTS)
def test_the_later_statement_wins(of_machine: Any, of_network: Any, of_layer: Any, of_part: Any) -> None:
    """All the way from the written statements to the table that kernels read."""
    machine = load_architecture({"architecture": {**MACHINE["architecture"], "bits": of_machine}})
    found = plan(network(of_network, bits=of_layer), machine, bits=Bits.model_validate(of_part))
    for entry in found.entries:
        case = found.cases[entry.key]
        table = lower_bits(case.architecture, case.problem)
        for t, tensor in enumerate(case.problem.tensors):
            expected = find_bits(
                tensor.name,
                entry.phase,
                word=32,
                architecture=of_machine,
                problem={},
                network=of_network,
                layer=of_layer if entry.layer == "a" else {},
                part=of_part,
            )
            assert set(table[:, t]) == {expected}, (entry.layer, entry.phase, tensor.name)


def test_the_order_of_places_is_the_documented_one() -> None:
    """Each place against the one before it."""
    phase = Phase.BACKWARD
    plain, phased = Bits.model_validate({"Weights": 3}), Bits.model_validate({"backward": {"Weights": 5}})
    other = Bits.model_validate({"Weights": 7, "forward": {"Weights": 9}})
    assert bits_in_phase(phase, {"Weights": 2}) == {"Weights": 2}
    assert bits_in_phase(phase, {"Weights": 2}, network=plain) == {"Weights": 3}
    assert bits_in_phase(phase, {}, network=plain, layer=other) == {"Weights": 7}
    assert bits_in_phase(phase, {}, network=phased, layer=other) == {"Weights": 5}
    assert bits_in_phase(phase, {}, network=phased, layer=other, part=plain) == {"Weights": 3}
    assert bits_in_phase(Phase.FORWARD, {}, network=plain, layer=other) == {"Weights": 9}


def test_layers_share_a_case_only_with_equal_bits() -> None:
    def keys(written: Any) -> dict[tuple[str, str], str]:
        return {(entry.layer, entry.phase.short): entry.key for entry in plan(written).entries}

    same = keys(network({"Weights": 8}))
    assert same["a", "fw"] == same["b", "fw"]
    assert same["a", "fw"] != keys(network())["a", "fw"]
    own = keys(network({"Weights": 8}, bits={"Weights": 8, "backward": {"Outputs": 16}}))
    assert own["a", "fw"] == own["b", "fw"] == same["a", "fw"]
    assert own["a", "bw"] != own["b", "bw"] == same["b", "bw"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[NetworkResult, Path]:
    folder = tmp_path_factory.mktemp("bits")
    written = network({"Weights": 8, "Inputs": 32}, bits={"backward": {"Outputs": 16}})
    return run_network(MACHINE, written, out=folder, **ASKED), folder


def test_a_run_costs_what_its_problems_cost(ran: tuple[NetworkResult, Path]) -> None:
    """Files of a run hold the bits: what they say is evaluated again, and read again."""
    result, folder = ran
    for row in result.rows:
        problem = load_problem({"problem": row.entry.problem})
        wide = row.layer == "a" and row.phase == Phase.BACKWARD
        assert problem.bits == {"Weights": 8, "Inputs": 32} | ({"Outputs": 16} if wide else {})
        again = evaluate(MACHINE, problem, row.case.mapping)
        assert again.energy_pj == row.case.energy_pj
        assert again.bits == row.case.result["bits"] == {"Weights": 8} | ({"Outputs": 16} if wide else {})
    assert load_run(folder).rows == result.rows
    written = run_network(
        MACHINE,
        network({"Weights": 8, "Inputs": 32}, bits={"backward": {"Outputs": 16}}),
        out=folder,
        **ASKED,
    )
    assert written.rows == result.rows


def test_tables_say_the_bits(ran: tuple[NetworkResult, Path]) -> None:
    rows = list(csv.DictReader(io.StringIO(layers_text(ran[0]))))
    found = {(row["layer"], row["phase"]): [row[f"bits_{name.lower()}"] for name in TENSORS] for row in rows}
    assert found["a", "backward"] == ["8", "", "16"]
    assert found["a", "forward"] == found["b", "backward"] == ["8", "", ""]
    one = ran[0].rows[1]
    results = [
        evaluate(MACHINE, {"problem": {**one.entry.problem, "bits": bits}}, one.case.mapping)
        for bits in ({}, {"Outputs": 16, "Inputs": 32})
    ]
    assert "bits" not in results[0].to_dict()
    assert json.loads(json.dumps(results[1].to_dict()))["bits"] == {"Outputs": 16}
    wide = list(csv.DictReader(io.StringIO(wide_text(results))))
    assert [row["bits_Outputs"] for row in wide] == ["", "16"]
    assert "bits_Outputs" not in wide_text(results[:1])


def test_bits_of_a_words_width_change_no_number() -> None:
    plain, stated = (
        run_network(MACHINE, network(bits), **ASKED) for bits in (None, dict.fromkeys(TENSORS, 32))
    )
    for before, after in zip(plain.rows, stated.rows, strict=True):
        assert before.case.result == after.case.result


def test_a_network_with_bits_is_written_and_read_again() -> None:
    bits = {"Weights": 4, "backward": {"Outputs": 16, "Weights": 6}, "weight_update": {"Outputs": 16}}
    written = network({"Inputs": 8}, bits=bits)
    written["network"]["layers"].append(
        {
            "name": "mix",
            "kind": "problem",
            "shape": {
                "dimensions": ["m", "k", "n"],
                "tensors": {
                    "X": {"role": "input", "projection": ["m", "k"]},
                    "W": {"role": "weights", "projection": ["k", "n"]},
                    "Scale": {"projection": ["n"]},
                    "Y": {"role": "output", "projection": ["m", "n"], "output": True},
                },
            },
            "dimensions": {"m": 2, "k": 4, "n": 4},
            "batch_dimension": "m",
            "bits": {"Weights": 4, "Scale": 16, "backward": {"Scale": 32}},
        }
    )
    read = load_network(written)
    again = load_network(_yaml(read.to_yaml()))
    assert again == read
    assert read.layers[0].bits.written == {**bits, "backward": {"Outputs": 16, "Weights": 6}}
    assert type(read).model_validate(read.model_dump(mode="json")) == read
    assert len({*read.layers, *again.layers}) == 3
    content = plan(written).entries[-2].problem
    assert content["bits"] == {"Inputs": 8, "Weights": 4, "Scale": 32}


def _yaml(text: str) -> Any:
    import yaml

    return {key: value for key, value in yaml.safe_load(text).items() if key != "version"}


def test_bits_of_a_problem_follow_its_tensors_names() -> None:
    """Tensors of a layer's problem are called by their roles, and so are its bits."""
    layer = problem_layer("one", "matmul", {"M": 2, "K": 4, "N": 4}, batch_dimension="M")
    bits = {layer.roles[Role.WEIGHTS]: 4, layer.roles[Role.INPUT]: 8}
    own = layer.model_copy(update={"problem": layer.problem.model_copy(update={"bits": bits})})
    net = load_network(network()).model_copy(update={"layers": (own,)})
    assert plan(net).entries[0].problem["bits"] == {"Weights": 4, "Inputs": 8}


@pytest.mark.parametrize(
    ("place", "bits", "message"),
    [
        (
            "network",
            {"Weight": 8},
            "network.bits.Weight: no tensor 'Weight' for 'bits'; did you mean 'Weights'?",
        ),
        ("network", {"Weights": 0}, "network.bits.Weights: the bits of Weights must be at least 1, is 0"),
        ("network", {"Weights": True}, "the bits of Weights must be a whole number, is true"),
        ("network", [8], "network.bits: 'bits' must be .*, is a list of 1 item"),
        ("network", {"backward": 8}, "network.bits.backward: 'backward' must be bits by tensor, is 8"),
        (
            "network",
            {"backwards": {"Outputs": 8}},
            "no tensor 'backwards' for 'bits'; did you mean 'backward'?",
        ),
        (
            "layer",
            {"forward": {"W": 8}},
            r"layers\[0\].bits.forward.W: no tensor 'W' for 'bits'; choose from",
        ),
        (
            "part",
            {"weight_update": {"Outputs": 2.5}},
            r"parts\[0\].bits.weight_update.Outputs: .* whole number",
        ),
    ],
)
def test_wrong_bits_are_refused_where_they_stand(place: str, bits: Any, message: str) -> None:
    verbs: dict[str, Any] = {
        "part": lambda: load_schedule(
            {"schedule": {"name": "run", "parts": [{"iterations": 1, "bits": bits}]}}
        ),
        "network": lambda: load_network(network(bits)),
        "layer": lambda: load_network(network(bits=bits)),
    }
    with pytest.raises(SpecError, match=message.replace("?", r"\?")):
        verbs[place]()


def test_wrong_bits_have_a_line_and_all_are_told(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "network:\n  name: n\n  bits: {Weihgts: 8, Inputs: -1}\n  layers:\n"
        "    - {name: a, kind: fully_connected, input_channels: 4, channels: 4, bits: {X: 4}}\n"
        "    - {name: p, kind: pool, kernel: 2, bits: {Inputs: 4}}\n",
        encoding="utf-8",
    )
    with pytest.raises(SpecError) as caught:
        load_network(file)
    lines = [str(issue) for issue in caught.value.issues]
    assert [line.split(": ")[0] for line in lines] == [
        f"{file}:3:10",
        f"{file}:3:30",
        f"{file}:5:79",
        f"{file}:6:40",
    ]
    assert "a layer of kind pool takes no 'bits'" in lines[-1]


PARTS: list[dict[str, Any]] = [
    {"iterations": 10, "bits": {"Weights": 8, "Inputs": 8, "Outputs": 8}},
    {"iterations": 20, "bits": {"Weights": 8, "Inputs": 8, "Outputs": 8, "backward": {"Outputs": 16}}},
    {"iterations": 30, "bits": {"Weights": 8, "Inputs": 8, "Outputs": 8}},
    {"iterations": 40},
]


def schedule(*parts: dict[str, Any]) -> Any:
    return {"schedule": {"name": "growing", "parts": list(parts)}}


@pytest.mark.parametrize("mappings", ["each", "dense"])
@pytest.mark.parametrize("sparsity", [None, "dense"])
def test_a_training_run_whose_bits_grow(mappings: Any, sparsity: str | None) -> None:
    cost = train_cost(
        MACHINE, network(), schedule(*PARTS), sparsity=sparsity, mappings=mappings, batch=4, workers=1
    )
    assert cost.states == 3
    assert cost.design == "dense"
    for part, written in zip(cost.parts, PARTS, strict=True):
        step = 0.0
        for row in part.rows:
            stated = {name: own for name, own in written.get("bits", {}).items() if name in TENSORS}
            stated |= written.get("bits", {}).get(row.phase.value, {})
            problem = load_problem({"problem": row.entry.problem})
            assert problem.bits == stated == row.case.problem.get("bits", {})
            step += evaluate(MACHINE, problem, row.case.mapping).energy_pj
        assert part.step().energy_pj == pytest.approx(step, rel=1e-12)
    first, second, third, last = (part.step().energy_pj for part in cost.parts)
    assert first == third < second < last == cost.dense.step().energy_pj
    rows = list(csv.DictReader(io.StringIO(train_cost_text(cost))))
    assert [row["bits"] for row in rows[3:6]] == [
        "Inputs=8;Outputs=8;Weights=8",
        "Inputs=8;Outputs=16;Weights=8",
        "Inputs=8;Outputs=8;Weights=8",
    ]
    assert "Bits in part 2: Inputs 8, Outputs 8, Weights 8, backward Outputs 16." in format_train_cost(cost)


def test_a_sparse_design_and_bits_go_together() -> None:
    parts = [{**part, "weights": {"overall": 0.5}} for part in PARTS[:2]]
    cost = train_cost("procrustes_16x16", network(), schedule(*parts), mappings="dense", batch=16, workers=1)
    assert cost.states == 2
    for part in cost.parts:
        assert all(row.case.result["bits"]["Weights"] == 8 for row in part.rows)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"iterations": 5}], "dense training costs what the comparison says; name a sparse design, or give"),
        (
            [PARTS[0], {"iterations": 5, "weights": {"overall": 0.5}}],
            "part 2: 'weights' has zeros, and no sparse design says what they save; such as --sparsity",
        ),
    ],
)
def test_dense_training_needs_bits_and_has_no_zeros(parts: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        train_cost(MACHINE, network(), schedule(*parts), sparsity=None, workers=1)
