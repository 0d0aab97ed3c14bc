"""Networks on several machines, or on replicas of one, and what goes over the link between them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from procrustes_model import SpecError, load_network
from procrustes_model.network.links import link_costs
from procrustes_model.network.result import load_run
from procrustes_model.network.run import run_network
from procrustes_model.network.system import system_of
from procrustes_model.report.page.inputs import input_files, repeat_request
from procrustes_model.report.page.network import html_text
from procrustes_model.report.tables.network import write_tables
from procrustes_model.report.terminal.network import format_run
from procrustes_model.vocabulary import PHASES, Phase
from tests.network.test_html import Page


def machine(name: str, read: float, **keys: Any) -> dict[str, Any]:
    level = {"name": "DRAM", "word_bits": 16, "energy_pj": {"read": read, "write": read}}
    return {"name": name, "levels": [level], "compute": {"energy_pj": 1, "mesh_x": 4}, **keys}


EDGE = {"architecture": machine("small", 100, clock="1 GHz")}
CLOUD = machine("large", 10, clock="2 GHz")
LAYERS: list[dict[str, Any]] = [
    {"name": "head", "kind": "conv", "channels": 3, "kernel": 1},
    {"kind": "pool", "kernel": 2},
    {"name": "mid", "kind": "conv", "channels": 2, "kernel": 1, "machine": "cloud"},
    {"name": "back", "kind": "fully_connected", "channels": 5},
]
LINK = {"energy_pj_per_bit": 50, "bits_per_second": 1e9, "bits": 8}
ASKED: dict[str, Any] = {"seconds": None, "workers": 1}


def network(layers: list[dict[str, Any]] | None = None, **keys: Any) -> dict[str, Any]:
    content = {"name": "split", "batch": 4, "input": {"channels": 2, "height": 4, "width": 4}}
    content |= {"machines": {"cloud": CLOUD}, "link": LINK, "layers": layers or LAYERS, **keys}
    return {"network": {key: value for key, value in content.items() if value is not None}}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("split")
    result = run_network(EDGE, network(), out=folder, **ASKED)
    write_tables(result, folder)
    return result, folder


def test_layers_cost_what_they_cost_on_their_machine(ran: Any) -> None:
    result, _ = ran
    alone = network(machines=None, link=None)
    alone["network"]["layers"] = [
        {key: value for key, value in layer.items() if key != "machine"} for layer in LAYERS
    ]
    edge = run_network(EDGE, alone, **ASKED)
    cloud = run_network({"architecture": CLOUD}, alone, **ASKED)
    for row in result.rows:
        there = cloud if row.layer == "mid" else edge
        (same,) = there.select(phase=row.phase, layer=row.layer)
        assert row.case.energy_pj == same.case.energy_pj
        assert row.entry.machine == ("cloud" if row.layer == "mid" else "")


def test_maps_cross_once_and_their_gradients_come_back(ran: Any) -> None:
    """3 channels of 2x2 after pooling, then 2 of 2x2, of 4 samples, at 8 bits and 50 pJ a bit."""
    result, folder = ran
    there, again = 3 * 4 * 4 * 8, 2 * 4 * 4 * 8
    sent = {(one.name, one.phase): (one.bits, one.energy_pj, one.seconds) for one in result.links}
    assert sent == {
        ("small > cloud", Phase.FORWARD): (there, there * 50, there / 1e9),
        ("cloud > small", Phase.BACKWARD): (there, there * 50, there / 1e9),
        ("cloud > small", Phase.FORWARD): (again, again * 50, again / 1e9),
        ("small > cloud", Phase.BACKWARD): (again, again * 50, again / 1e9),
    }
    system = system_of(result)
    assert [one.name for one in system.machines] == ["small", "cloud"]
    assert system.energy_pj == result.totals().energy_pj + 2 * (there + again) * 50
    cycles = [one.totals.cycles for one in system.machines]
    assert system.seconds == pytest.approx(cycles[0] / 1e9 + cycles[1] / 2e9 + 2 * (there + again) / 1e9)
    assert result.clock_ghz is None
    with (folder / "system.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    links = [one for one in table if one["kind"] == "link"]
    assert sum(float(one["energy_pj"]) for one in links) == 2 * (there + again) * 50
    assert float(table[-1]["energy_pj"]) == system.energy_pj
    assert "small > cloud" in format_run(result)
    shown = Page(html_text(result)).rows("machines")
    assert [float(cells[3][1]) for cells in shown] == [
        *(one.energy_pj for one in system.parts),
        system.energy_pj,
    ]
    assert [cells[0][0] for cells in shown] == [*(one.name for one in system.parts), "all"]
    assert sum(float(cells[5][1] or 0) for cells in shown) == sum(one.bits for one in system.links)


def test_a_folder_and_its_files_say_the_same(ran: Any, tmp_path: Path) -> None:
    result, folder = ran
    assert load_run(folder).links == result.links
    assert load_run(folder).rows == result.rows
    for name, text in input_files(result).items():
        (tmp_path / name).write_text(text)
    assert load_network(tmp_path / "network.yaml") == load_network(network())
    request = repeat_request(result)
    assert str(request.network) == "network.yaml"


def test_only_a_trained_part_gets_gradients_back() -> None:
    layers = [
        {"name": "scores", "kind": "matmul", "m": 2, "k": 2, "n": 2, "weights": False},
        {"kind": "link", "elements": 4, "bits": 3},
        {"name": "fc", "kind": "matmul", "m": 2, "k": 2, "n": 2, "machine": "cloud"},
    ]
    costs = link_costs(load_network(network(layers, input=None)), "edge", 2, PHASES)
    assert [(one.phase, one.bits) for one in costs] == [(Phase.FORWARD, 4 * 3 * 2)]


def test_what_crosses_is_what_flows_where_the_link_stands() -> None:
    before = [LAYERS[0], {"kind": "link"}, LAYERS[1], *LAYERS[2:]]
    assert load_network(network(before)).crossings[0].elements == 3 * 16
    assert load_network(network()).crossings[0].elements == 3 * 4


def test_replicas_exchange_gradients_in_a_ring() -> None:
    """Each of N sends 2 (N - 1) / N of them; a naive ring counts them part by part."""
    layers = [{key: value for key, value in layer.items() if key != "machine"} for layer in LAYERS]
    net = load_network(network(layers, machines=None, replicas=4))
    (cost,) = link_costs(net, "edge", 4, PHASES)
    parts, sent = 4, 0
    for _ in range(2):  # first sums go round, then results
        for _ in range(parts - 1):
            sent += parts * (net.weights * 8 // parts)  # every replica sends a part to the next
    assert net.weights * 8 % parts == 0
    assert cost.bits == sent
    assert cost.energy_pj == sent * 50
    assert cost.seconds == sent / 4 / 1e9
    assert link_costs(net, "edge", 4, [Phase.FORWARD]) == ()
    result = run_network(EDGE, net, phases=["wu"], **ASKED)
    assert system_of(result).energy_pj == 4 * result.totals().energy_pj + cost.energy_pj
    assert "all-reduce" in format_run(result)


def test_the_run_may_name_a_machine_of_the_network() -> None:
    placed = [{"machine": "edge", **layer} if "name" in layer else layer for layer in LAYERS]
    both = network(placed, machines={"edge": EDGE, "cloud": CLOUD})
    named = run_network("edge", both, phases=["fw"], **ASKED)
    given = run_network(EDGE, both, phases=["fw"], **ASKED)
    assert named.rows == given.rows
    assert named.links[0].name == "edge > cloud"
    with pytest.raises(SpecError, match="every layer of split has a machine, and none is left"):
        run_network("simple_3level", both, **ASKED)


def test_machines_are_files_beside_the_network(tmp_path: Path) -> None:
    (tmp_path / "cloud.yaml").write_text(yaml.safe_dump({"architecture": CLOUD}))
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(network(machines={"cloud": "cloud.yaml"})))
    found = load_network(tmp_path / "net.yaml")
    assert found == load_network(network())
    assert load_network(yaml.safe_load(found.to_yaml())) == found
    inner = {key: value for key, value in LAYERS[2].items() if key != "machine"}
    group = [*LAYERS[:2], {"name": "g", "machine": "cloud", "layers": [inner]}]
    assert [one.machine for one in load_network(network(group)).layers] == [None, "cloud"]


@pytest.mark.parametrize(
    ("layers", "keys", "message"),
    [
        (None, {"link": None}, "'mid' runs on another machine than 'head': a 'link' is missing"),
        (None, {"machines": None}, "'cloud' is none of the machines of the network"),
        (None, {"machines": {"cloud": CLOUD, "edge": CLOUD}}, "no layer runs on the machine 'edge'"),
        (None, {"machines": {"cloud": "tpu_lik"}}, "did you mean 'tpu_like'"),
        (None, {"machines": []}, "'machines' must be"),
        (None, {"machines": {"cloud": 3}}, "'cloud' must be a file, a name or"),
        (None, {"replicas": 2}, "'replicas' and 'machines' are both given"),
        (LAYERS[:1], {"machines": None}, "'link' has no effect"),
        (LAYERS[:1], {"machines": None, "link": None, "replicas": 2}, "there is no 'link'"),
        (
            [LAYERS[0], {"kind": "link"}, LAYERS[0] | {"name": "b"}],
            {"machines": None},
            "nothing crosses here",
        ),
        (None, {"link": {"energy_pj_per_bit": 1}}, "missing key 'bits'"),
        (None, {"link": {**LINK, "bits_per_sec": 1}}, "unknown key 'bits_per_sec'; did you mean"),
    ],
)
def test_what_makes_no_sense_is_refused(layers: Any, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_network(network(layers, **keys))
    assert message in str(caught.value)


def test_constraints_are_of_one_machine() -> None:
    with pytest.raises(SpecError, match="constraints name levels of one machine"):
        run_network(EDGE, network(), constraints="dataflow_kn", **ASKED)


def test_only_weights_that_are_trained_are_exchanged() -> None:
    layers = [
        {"name": "a", "kind": "fully_connected", "input_channels": 100, "channels": 100},
        {"name": "b", "kind": "fully_connected", "channels": 1},
    ]
    layers[0]["phases"] = ["forward"]
    content = network(layers, machines=None, input=None, replicas=2)
    (cost,) = link_costs(load_network(content), "run", 4, PHASES)
    assert (cost.elements, cost.bits) == (100, 2 * (2 - 1) * 100 * 8)


def test_nothing_crosses_to_the_machine_of_the_run() -> None:
    """All layers on one machine: of the run and of the network."""
    assert link_costs(load_network(network()), "cloud", 4, PHASES) == ()
    alone = run_network("cloud", network(), **ASKED)
    assert alone.links == ()
