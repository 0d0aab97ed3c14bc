"""What training keeps off the chip: beside a walk of operations, and counts by hand."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from procrustes_model import SpecError, load_network, training_memory
from procrustes_model.cli import app
from procrustes_model.network.memory import PARTS, SAVED
from procrustes_model.network.run import run_network
from procrustes_model.report.terminal.memory import format_memory
from procrustes_model.spec.network import Network, NetworkLayer
from tests.naive.memory import live_tensors, training_step


def chain(widths: list[int], **keys: Any) -> Network:
    layers = tuple(
        NetworkLayer(name=f"l{i}", kind="fully_connected", in_channels=a, out_channels=b)
        for i, (a, b) in enumerate(pairwise(widths))
    )
    return Network(name="chain", layers=layers, **keys)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_is_what_a_walk_of_operations_keeps(data: st.DataObject) -> None:
    widths = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=8))
    layers, batch = len(widths) - 1, data.draw(st.integers(1, 5))
    starts = [0, *sorted(data.draw(st.sets(st.integers(1, layers - 1)) if layers > 1 else st.just(set())))]
    bits = data.draw(st.sampled_from([8, 16, 32]))
    kept = [f"l{i}" for i in starts]
    found = training_memory(chain(widths), batch=batch, bits=bits, states=2, state_bits=32, kept=kept)
    sizes = {f"{kind}{i}": batch * width * bits for i, width in enumerate(widths) for kind in "xg"}
    for i in range(layers):
        count = widths[i] * widths[i + 1]
        sizes |= {f"w{i}": count * bits, f"d{i}": count * bits, f"s{i}": 2 * 32 * count}
    step = training_step(layers, starts)
    for moment, one, live in zip(found.moments, step, live_tensors(step), strict=True):
        assert f"{moment.phase} {moment.layer[1:]}".strip() == one.name
        assert moment.total == sum(sizes[name] for name in live), one
        for part, kind in zip(PARTS[:3], "wsd", strict=True):
            own = [size for name, size in sizes.items() if name in live and name[0] == kind]
            assert moment.bits[part] == sum(own)
    again = [one for one in step if one.name.startswith("again")]
    macs = [batch * a * b for a, b in pairwise(widths)]
    assert found.again_macs == sum(macs[int(one.name.split()[1])] for one in again)
    assert found.macs == sum(macs)
    reads = dict.fromkeys("wd", 0)
    for one in step:
        for name in one.reads:
            if name[0] in reads:
                reads[name[0]] += sizes[name]
    assert found.traffic["weights"].read == reads["w"]
    assert found.traffic["weight gradients"].read == reads["d"]
    # What is saved is read by its weight update, and where layers after it are computed again, once more.
    starting = {i for i in starts if f"again {i}" in {one.name for one in again}}
    saved = sum(sizes[f"x{i}"] for i in range(layers))
    assert found.traffic[SAVED].written == saved
    assert found.traffic[SAVED].read == saved + sum(sizes[f"x{i}"] for i in starting)


def net(*layers: dict[str, Any], **keys: Any) -> Network:
    return load_network({"network": {"name": "n", "batch": 2, "layers": list(layers), **keys}})


def test_a_shortcut_has_the_input_of_the_next_layer() -> None:
    both = net(
        {"name": "short", "kind": "conv", "channels": 8, "kernel": 1, "branch": True},
        {"name": "conv", "kind": "conv", "channels": 8, "kernel": 1},
        input={"channels": 4, "height": 3, "width": 3},
    )
    assert training_memory(both).traffic[SAVED].stored == 2 * 4 * 9 * 32
    assert load_network(yaml.safe_load(both.to_yaml())) == both


def test_what_else_is_saved_by_hand() -> None:
    """Both operands of two activations, what a neuron keeps of all steps, no input of a graph."""
    mixed = net(
        {"name": "scores", "kind": "matmul", "m": 3, "k": 4, "n": 5, "weights": False, "count": 2},
        {"name": "agg", "kind": "spmm", "m": 6, "k": 6, "n": 2, "nonzeros": 9},
        {"name": "fc", "kind": "matmul", "m": 3, "k": 4, "n": 5, "bits": {"Inputs": 1, "Weights": 8}},
        {
            "name": "lif",
            "kind": "elementwise",
            "elements": 15,
            "steps": 7,
            "reads": ["Currents"],
            "writes": ["Spikes"],
            "states": ["Membrane"],
            "saved": ["Membrane"],
            "bits": {"Membrane": 16, "Spikes": 1},
        },
        {
            "name": "adam",
            "kind": "elementwise",
            "phase": "weight_update",
            "weights_of": "all",
            "reads": ["Gradients"],
            "states": ["Weights", "Momentum", "Variance"],
            "bits": {"Momentum": 16},
        },
    )
    found = training_memory(mixed)
    saved = (3 * 4 + 4 * 5) * 2 * 32 + 0 + 3 * 4 * 1 + 15 * 7 * 16
    assert found.traffic[SAVED].stored == 2 * saved
    assert found.traffic["weights"].stored == 20 * 8
    assert found.traffic["weight gradients"].stored == 20 * 8
    assert found.traffic["optimizer states"].stored == 20 * (16 + 32)
    assert training_memory(mixed, states=1).traffic["optimizer states"].stored == 20 * 32


def test_a_run_counts_what_is_computed_again() -> None:
    """Segments of two layers: the first layer of each but the last one."""
    once, twice = chain([4, 4, 4, 4, 4, 4]), {"every": 2}
    again = Network(**{**dict(once), "checkpointing": twice})
    asked: dict[str, Any] = {"seconds": None, "workers": 1}
    plain, more = (run_network("simple_3level", one, **asked) for one in (once, again))
    names = [row.layer for row in more.rows if row.layer not in plain.layers]
    assert names == ["l0 (again)", "l2 (again)"]
    assert more.totals("dense", "forward").macs == 7 * 16
    forward = {row.layer: row.case.energy_pj for row in plain.select(phase="forward")}
    assert more.totals().energy_pj == pytest.approx(plain.totals().energy_pj + forward["l0"] + forward["l2"])
    assert training_memory(again).again_macs == 2 * 16
    assert run_network("simple_3level", again, phases=["fw"], **asked).layers == plain.layers
    assert load_network(yaml.safe_load(again.to_yaml())) == again


def test_the_command_writes_tables(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("m.csv", "m.json")]
    words = ["memory", "resnet18", "--batch", "4", "--states", "1", "--checkpoint-every", "4"]
    done = CliRunner().invoke(app, [*words, "--csv", files[0], "--json", files[1]])
    assert done.exit_code == 0
    found = training_memory("resnet18", batch=4, states=1, every=4)
    assert format_memory(found) in done.output
    data = json.loads(Path(files[1]).read_text(encoding="utf-8"))
    assert data["peak"]["bytes"] == found.peak_bytes
    with Path(files[0]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.moments)
    (peak,) = (row for row in rows if row["peak"] == "true")
    assert int(peak["total_bits"]) == found.peak.total == max(int(row["total_bits"]) for row in rows)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"every": 2, "kept": "l0"}, "--checkpoint-every and --checkpoint are both given"),
        ({"state_bits": 16}, "--state-bits are those of --states"),
        ({"kept": "l9"}, "chain has no layer 'l9' for --checkpoint"),
        ({"kept": "l0,"}, "kept must be names of layers"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        training_memory(chain([2, 2, 2]), **asked)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"checkpointing": {}}, "no layer is kept"),
        ({"checkpointing": {"every": 2, "layers": ["a"]}}, "'every' and 'layers' are both given"),
        ({"checkpointing": {"layers": ["b"]}}, "no layer with multiply-accumulates is called 'b'"),
        ({"checkpointing": {"evry": 2}}, "unknown key 'evry'; did you mean 'every'"),
    ],
)
def test_wrong_files_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        net({"name": "a", "kind": "matmul", "m": 2, "k": 2, "n": 2}, **keys)
    assert message in str(caught.value)


def _small(*layers: tuple[str, int, list[str]], **keys: Any) -> Network:
    """Return fully connected layers with their outputs and phases, the first of 1 or more inputs."""
    inputs = keys.pop("inputs", 1)
    items: list[dict[str, Any]] = [
        {
            "name": name,
            "kind": "fully_connected",
            "channels": channels,
            **({"phases": phases} if phases else {}),
        }
        for name, channels, phases in layers
    ]
    items[0]["input_channels"] = inputs
    return load_network({"network": {"name": "small", "layers": items, **keys}})


def test_the_input_of_a_segment_is_kept_whatever_is_trained() -> None:
    """At the backward phase of d: 3 kept inputs of trained layers, and that of f, which begins a segment."""
    network = _small(("a", 1000, []), ("f", 2, ["forward", "backward"]), ("b", 2, []), ("d", 900, []))
    memory = training_memory(network, batch=1000, bits=1, kept=["f", "d"])
    (moment,) = (one for one in memory.moments if (one.layer, one.phase) == ("d", "backward"))
    assert moment.bits[SAVED] == 1000 * (1 + 1000 + 2)


def test_frozen_layers_take_no_part_in_the_update() -> None:
    """Their weights are not written, have no state, and no gradient reaches what lies before the first."""
    network = _small(("a", 100, ["forward"]), ("b", 100, ["forward"]), ("c", 2, []), inputs=100)
    memory = training_memory(network, batch=10, bits=8, states=2)
    trained, frozen = 2 * 100 * 8, 2 * 100 * 100 * 8
    weights, states = memory.traffic["weights"], memory.traffic["optimizer states"]
    assert (weights.stored, weights.written, weights.read) == (
        trained + frozen,
        trained,
        3 * trained + frozen,
    )
    assert states.stored == 2 * trained
    assert [one.layer for one in memory.moments if one.phase == "backward"] == ["c"]


def test_an_update_of_all_weights_is_of_those_that_are_trained() -> None:
    layers = [
        {"name": "a", "kind": "fully_connected", "input_channels": 8, "channels": 4, "phases": ["forward"]},
        {"name": "b", "kind": "fully_connected", "channels": 2},
        {"name": "sgd", "kind": "elementwise", "phase": "weight_update", "weights_of": "all"}
        | {"reads": ["Gradients"], "states": ["Weights"]},
    ]
    (update,) = load_network({"network": {"name": "n", "layers": layers}}).elementwise
    assert update.elements == 4 * 2
