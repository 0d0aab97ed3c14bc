"""Every kind of file states its version; newer ones are refused by name, those without one are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import yaml

from procrustes_model import load_architecture, load_mapping, load_problem
from procrustes_model.errors import SpecError
from procrustes_model.files import csv_text
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.model.tidy import TIDY_COLUMNS
from procrustes_model.network.files import write_run
from procrustes_model.network.plan import Entry
from procrustes_model.network.record import CaseRecord
from procrustes_model.network.result import NetworkResult, Row, load_run
from procrustes_model.network.store import CaseStore
from procrustes_model.report.tables import csv as tables
from procrustes_model.report.tables import masks as masks_table
from procrustes_model.report.tables import network as network_tables
from procrustes_model.report.tables import train_cost as train_cost_table
from procrustes_model.report.tables.front import FRONT_COLUMNS, front_text
from procrustes_model.report.tables.imbalance import IMBALANCE_COLUMNS
from procrustes_model.reproduction.rows import COLUMNS as REPRODUCED_COLUMNS
from procrustes_model.spec.load import load_network, load_rules, load_schedule, load_sparsity
from procrustes_model.spec.network_density import load_density
from procrustes_model.spec.shape import load_shape
from procrustes_model.spec.sweep import load_sweep
from procrustes_model.training.masks import load_mask_densities, load_masks, only_masks, save_masks
from procrustes_model.versions import SPECIFICATIONS, VERSION_COLUMN, VERSIONS, check_version, with_version
from procrustes_model.vocabulary import Phase

ROOM = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
CONTENT: dict[str, dict[str, Any]] = {
    "architecture": {"name": "a", "levels": [{"name": "DRAM", **ROOM}], "compute": {"energy_pj": 1}},
    "problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 2, "K": 3, "N": 5}},
    "mapping": {"levels": [{"level": "DRAM", "temporal": "M=2 K=3 N=5"}]},
    "shape": {"dimensions": ["M"], "tensors": {"Z": {"projection": ["M"], "output": True}}},
    "sparsity": {"name": "s"},
    "constraints": {"name": "c"},
    "network": {
        "name": "n",
        "layers": [{"name": "l", "kind": "fully_connected", "channels": 2, "input_channels": 3}],
    },
    "density": {"name": "d"},
    "schedule": {"name": "t", "parts": [{"iterations": 1}]},
    "rules": {"overlap": "innermost"},
    "sweep": {
        "name": "w",
        "search": {"architecture": "simple_3level", "problem": "matmul/512"},
        "axes": {"seed": [1]},
    },
}


RUN_1 = {
    "network": {"name": "n", "layers": []},
    "constraints": None,
    "designs": [{"name": "dense", "dataflow": "any", "sparsity": None}],
    "densities": {},
}
"""What a run of version 1 tells of its inputs, as far as reading it needs."""


def _mapping(source: Any) -> Any:
    parts = ({kind: CONTENT[kind]} for kind in ("architecture", "problem"))
    return load_mapping(source, load_architecture(next(parts)), load_problem(next(parts)))


LOADERS: dict[str, Callable[[Any], Any]] = {
    "architecture": load_architecture,
    "problem": load_problem,
    "mapping": _mapping,
    "shape": load_shape,
    "sparsity": load_sparsity,
    "constraints": load_constraints,
    "network": load_network,
    "density": load_density,
    "schedule": load_schedule,
    "rules": load_rules,
    "sweep": load_sweep,
}


def newer(kind: str) -> str:
    """Return what is said of a file of the version after this program's."""
    current = VERSIONS[kind]
    reads = f"this program reads up to {current}: upgrade procrustes_model"
    return f"written for version {current + 1} of {kind} files; {reads}"


@pytest.mark.parametrize("kind", SPECIFICATIONS)
def test_yaml(kind: str, tmp_path: Path) -> None:
    load, file = LOADERS[kind], tmp_path / "file.yaml"
    body = yaml.safe_dump({kind: CONTENT[kind]})
    file.write_text(body)
    read = load(file)
    for version in range(1, VERSIONS[kind] + 1):
        file.write_text(f"version: {version}\n{body}")
        assert kind == "shape" or load(file) == read
    file.write_text(f"{body}version:  {VERSIONS[kind] + 1}\nunheard_of: [1]\n")
    with pytest.raises(SpecError) as caught:
        load(file)
    line = body.count("\n") + 1
    assert str(caught.value) == f"{file}:{line}:11: {newer(kind)}"


@pytest.mark.parametrize("kind", SPECIFICATIONS)
def test_dicts(kind: str) -> None:
    content = {kind: CONTENT[kind]}
    written = with_version(content)
    assert list(written) == ["version", kind]
    assert kind == "shape" or LOADERS[kind](written) == LOADERS[kind](content)
    with pytest.raises(SpecError) as caught:
        LOADERS[kind](written | {"version": VERSIONS[kind] + 1, kind: {"unheard_of": 1}})
    assert str(caught.value) == f"version: {newer(kind)}"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0", "0"), ("-3", "-3"), ("1.0", "1.0"), ("true", "true"), ("'1'", "'1'"), ("", "empty"),
        ("[1]", "[1]"), ("latest", "'latest'"),
    ],
)  # fmt: skip
def test_versions_are_whole_numbers(written: str, shown: str, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(f"version: {written}\ndensity: {{name: d, wieghts: {{}}}}\n")
    with pytest.raises(SpecError) as caught:
        load_density(file)
    first, second = map(str, caught.value.issues)
    assert f"'version' must be a whole number of at least 1, is {shown}; such as version: 1" in first
    assert first.startswith(f"{file}:1:") and "did you mean 'weights'?" in second


def test_a_file_of_another_kind_is_named_as_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("version: 70000000000\nproblem: {}\n")
    with pytest.raises(SpecError, match=r"file.yaml:1:10: written for version beyond 10\^9 of problem files"):
        load_architecture(file)
    for endless in (10**5000, -(10**5000)):
        with pytest.raises(SpecError, match=r"^version: .* beyond 10\^9"):
            load_density({"version": endless, "density": {"name": "d"}})


def test_written_specifications_state_their_version() -> None:
    mapping = _mapping({"mapping": CONTENT["mapping"]})
    network = load_network({"network": CONTENT["network"]})
    for kind, spec in (("mapping", mapping), ("network", network)):
        data = yaml.safe_load(spec.to_yaml())
        assert list(data) == ["version", kind] and data["version"] == VERSIONS[kind]
        assert LOADERS[kind](data) == spec
    assert mapping.to_dict()["version"] == VERSIONS["mapping"]
    assert _mapping(mapping.to_dict()) == mapping


@pytest.fixture
def run(tmp_path: Path) -> NetworkResult:
    """Return a run with one case, made by hand and written."""
    mapping = _mapping({"mapping": CONTENT["mapping"]})
    problem = {"name": "p", "shape": "matmul", "phase": "forward", "dimensions": {"M": 2, "K": 3, "N": 5}}
    record = CaseRecord(
        key="0" * 32, problem=problem, objective="edp", mapping=mapping.to_dict(), rows=(),
        result={
            "energy_pj": 1.5, "cycles": 2, "edp_j_cycles": 3e-12, "utilization": 1.0,
            "array_utilization": 1.0, "bottleneck": "MAC", "compute": {"computes": 2, "instances": 1},
        },
        energy_by_level={}, proven=True, gap=0.0, limit=None,
    )  # fmt: skip
    entry = Entry(
        layer="l", kind="matmul", phase=Phase.FORWARD, design="dense", problem=CONTENT["problem"],
        key=record.key, densities={}, assumed=False, note="",
    )  # fmt: skip
    result = NetworkResult(
        architecture="a", network="n", batch=1, phases=(Phase.FORWARD,), designs=("dense",), objective="edp",
        inputs={}, rows=(Row(entry, record),),
    )  # fmt: skip
    CaseStore(tmp_path).put(record)
    write_run(result, tmp_path)
    return result


def test_runs(run: NetworkResult, tmp_path: Path) -> None:
    assert load_run(tmp_path).rows == run.rows
    for folder, kind in (("problems", "problem"), ("mappings", "mapping")):
        (file,) = (tmp_path / folder).iterdir()
        assert yaml.safe_load(file.read_text())["version"] == VERSIONS[kind]
        LOADERS[kind](file)
    case = tmp_path / "cases" / f"{'0' * 32}.json"
    for file, kind in ((case, "case"), (tmp_path / "run.json", "run")):
        text = file.read_text()
        stated = f'"version": {VERSIONS[kind]}'
        assert text.count(f"\n {stated}") == 1
        without = json.loads(text)
        del without["version"]
        if kind == "run":
            without["inputs"] = RUN_1
        else:
            del without["checksum"]
            without["seconds"] = 0.1
        file.write_text(json.dumps(without))
        assert load_run(tmp_path).rows == run.rows
        file.write_text(text.replace(f"\n {stated}", f'\n "version": {VERSIONS[kind] + 1}'))
        line = text[: text.index(f"\n {stated}")].count("\n") + 2
        with pytest.raises(SpecError) as caught:
            load_run(tmp_path)
        assert str(caught.value) == f"{file}:{line}:13: {newer(kind)}"
        if file == case:
            with pytest.raises(SpecError, match="version"):
                CaseStore(tmp_path).get("0" * 32)
        file.write_text(text)


def test_masks(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    save_masks(path, only_masks([("l", np.eye(3, dtype=np.bool_))], "a test"))
    with np.load(path) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    metadata = json.loads(str(arrays["metadata"]))
    assert metadata.pop("version") == VERSIONS["mask"]
    np.savez(path, **arrays | {"metadata": np.array(json.dumps(metadata))})
    assert load_masks(path).mask("l").sum() == 3
    newest = metadata | {"version": VERSIONS["mask"] + 1}
    np.savez(path, metadata=np.array(json.dumps(newest)), unheard_of=np.ones(3))
    for load in (load_masks, load_mask_densities):
        with pytest.raises(SpecError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: {newer('mask')}"


def test_tables(tmp_path: Path) -> None:
    always = [
        TIDY_COLUMNS,
        tables.WIDE_COLUMNS,
        network_tables.TIDY_COLUMNS,
        network_tables.LAYER_COLUMNS,
        network_tables.TOTAL_COLUMNS,
        network_tables.RATIO_COLUMNS,
        masks_table.COLUMNS,
        train_cost_table.COLUMNS,
        IMBALANCE_COLUMNS,
        REPRODUCED_COLUMNS,
        FRONT_COLUMNS,
    ]
    assert {tuple(columns)[-1] for columns in always} == set(VERSION_COLUMN)
    path = tmp_path / "masks.npz"
    save_masks(path, only_masks([("l", np.eye(3, dtype=np.bool_))], "a test"))
    found = SimpleNamespace(energy_pj=1.5, cycles=2, edp_j_cycles=3.0, utilization=0.5)
    point = SimpleNamespace(result=found, certificate=SimpleNamespace(proven=True))
    texts = [
        masks_table.masks_text(load_mask_densities(path)),
        front_text(cast("Any", [point])),
        csv_text(["x", *VERSION_COLUMN], [{"x": 1}, {}]),
    ]
    for text in texts:
        header, *rows = [line.split(",") for line in text.splitlines()]
        assert header[-1] == "version"
        assert {(len(row), row[-1]) for row in rows} == {(len(header), str(VERSIONS["CSV"]))}
    with pytest.raises(ValueError, match="version"):
        csv_text(["x"], [{"x": 1}])
    with pytest.raises(SpecError, match="of CSV files"):
        check_version("CSV", {"version": 99})
