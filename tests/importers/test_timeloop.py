"""Designs of Timeloop are translated to the same model from every dialect, and what is dropped is said."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.importers.timeloop import Translation, translate
from procrustes_model.importers.timeloop.output import check_translation, file_texts, report_lines
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.model.evaluator import Evaluator
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from tests.importers.sets import MACHINE, MAPPING, PROBLEM

DIALECTS = ("tree", "nodes", "flat")


def read(data: Path, dialect: str, **options: Any) -> Translation:
    folder = data / "timeloop"
    return translate([folder / dialect, folder / "ERT.yaml"], **options)


def evaluated(files: dict[str, dict[str, Any]]) -> Any:
    evaluator = Evaluator(files["architecture.yaml"], files["problem.yaml"], sparsity=files.get("rules.yaml"))
    return evaluator.evaluate(files["mapping.yaml"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_machine_written_by_hand(data: Path, dialect: str) -> None:
    found = read(data, dialect)
    check_translation(found)
    machine = load_architecture(found.files["architecture.yaml"])
    own = load_architecture(MACHINE)
    holding = [level for level in machine.levels if level.tensors != ()]
    for level, wanted in zip(holding, own.levels, strict=True):
        assert level.model_copy(update={"kind": ""}) == wanted
    assert machine.compute == own.compute
    leaks = {one.name: (one.instances, one.power_pj_per_cycle) for one in machine.components}
    assert leaks == {"Near leakage": (1, 0.125), "Regs leakage": (8, 0.0625)}
    problem = load_problem(found.files["problem.yaml"])
    ranks = [(tensor.name, tensor.is_output, tensor.ranks) for tensor in problem.tensors]
    wanted_problem = load_problem(PROBLEM)
    assert problem.dimensions == wanted_problem.dimensions
    assert ranks == [(one.name, one.is_output, one.ranks) for one in wanted_problem.tensors]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_numbers_of_the_machine_written_by_hand(data: Path, dialect: str) -> None:
    result = evaluated(read(data, dialect).files)
    own = copy.deepcopy(MACHINE)
    wanted = evaluated({"architecture.yaml": own, "problem.yaml": PROBLEM, "mapping.yaml": MAPPING})
    found = {level.name: level for level in result.levels if level.tensors}
    assert found.keys() == {level.name for level in wanted.levels}
    for level in wanted.levels:
        assert found[level.name].tensors == level.tensors
        assert found[level.name].cycles == level.cycles
    leakage = (0.125 + 8 * 0.0625) * wanted.cycles
    assert result.energy_pj == pytest.approx(wanted.energy_pj + leakage, rel=1e-12)


def test_rules_of_older_versions_change_what_the_years_say(data: Path) -> None:
    years = {year: read(data, "tree", rules=year) for year in ("2020", "2022", "2025")}
    rules = {
        year: one.files.get("rules.yaml", {}).get("sparsity", {}).get("rules") for year, one in years.items()
    }
    assert rules == {
        "2020": {"output_fills": "all", "access_energy": "largest"},
        "2022": {"output_fills": "all"},
        "2025": None,
    }
    near = {
        year: one.files["architecture.yaml"]["architecture"]["levels"][1]["energy_pj"]
        for year, one in years.items()
    }
    assert near["2025"] == {"read": 5.5, "write": 6.25, "update": 6.5}
    assert near["2022"] == {"read": 5.5, "write": 6.25}
    assert near["2020"] == {"read": 6.5, "write": 6.5}
    assert [
        bool(one.files["architecture.yaml"]["architecture"].get("components")) for one in years.values()
    ] == [
        False,
        False,
        True,
    ]


def test_what_is_written_reads_back_and_says_where_it_is_from(data: Path, tmp_path: Path) -> None:
    found = read(data, "nodes", name="mine", rules="2022")
    for name, text in file_texts(found).items():
        assert text.startswith("# From Timeloop, rules 2022: procrustes import timeloop\nversion: 1\n")
        (tmp_path / name).write_text(text, encoding="utf-8")
    machine = load_architecture(tmp_path / "architecture.yaml")
    problem = load_problem(tmp_path / "problem.yaml")
    assert (machine.name, problem.name) == ("mine", "mine")
    assert load_mapping(tmp_path / "mapping.yaml", machine, problem).name == "mine"
    limits = load_constraints(tmp_path / "constraints.yaml", machine, problem)
    by_level = {level.level: level for level in limits.levels}
    fan = by_level["inter_PE_spatial"].loops
    assert (fan["spatial_x"].dimensions, fan["spatial_y"].dimensions) == (("K",), ("C", "R", "P"))
    assert fan["temporal"].dimensions == ()
    assert by_level["Near"].keep == ("X", "Y")
    assert by_level["Regs"].loops["temporal"].order == ("C", "K", "R", "P")


def test_the_report_says_what_was_dropped(data: Path) -> None:
    report = "\n".join(report_lines(read(data, "tree")))
    assert "levels Far, Near, Regs; compute MAC; Near leakage, Regs leakage;" in report
    assert "compound_components: how the tables of energies were made: classes.yaml" in report
    assert "attributes that only the estimator of energies reads: type, n_banks" in report
    assert "leakage of compute units: that tool does not charge it: MAC" in report


def test_coefficients_that_no_rank_uses_are_dropped(data: Path, tmp_path: Path) -> None:
    layer = (data / "timeloop" / "tree" / "layer.yaml").read_text(encoding="utf-8")
    (tmp_path / "layer.yaml").write_text(layer.replace("[R, Gap]", "[R]"), encoding="utf-8")
    files = [one for one in sorted((data / "timeloop" / "tree").iterdir()) if one.name != "layer.yaml"]
    found = translate([*files, tmp_path / "layer.yaml", data / "timeloop" / "ERT.yaml"])
    assert found.files["problem.yaml"]["problem"]["shape"]["coefficients"] == {"Step": 1}
    assert "sizes that the shape does not use: Gap" in "\n".join(report_lines(found))
    check_translation(found)


def test_without_a_mapping_leakage_of_several_instances_cannot_be_said(data: Path) -> None:
    folder = data / "timeloop"
    files = [folder / "tree" / name for name in ("machine.yaml", "layer.yaml")]
    with pytest.raises(SpecError, match=r"machine\.yaml:22:19: leakage of 'Regs'"):
        translate([*files, folder / "ERT.yaml"])
    found = translate([*files, folder / "ERT.yaml"], partial=True)
    assert "mapping.yaml" not in found.files
    machine = found.files["architecture.yaml"]["architecture"]
    assert [one["name"] for one in machine["components"]] == ["Near leakage"]
    assert "left out: leakage of 'Regs'" in machine["description"]


def test_leakage_is_that_of_the_instances_in_use(data: Path, tmp_path: Path) -> None:
    nest = (data / "timeloop" / "tree" / "nest.yaml").read_text(encoding="utf-8")
    changed = nest.replace("factors: C=2 K=4,", "factors: C=1 K=4,").replace("R=3 C2", "R=3 C4")
    (tmp_path / "nest.yaml").write_text(changed, encoding="utf-8")
    found = read(data, "tree", mapping=tmp_path / "nest.yaml")
    components = found.files["architecture.yaml"]["architecture"]["components"]
    assert {one["name"]: one["instances"] for one in components} == {"Near leakage": 1, "Regs leakage": 4}
    (note,) = found.findings.notes
    assert note.startswith("leakage of 'Regs' is that of 4 of 8 instances, those that this mapping uses;")


def test_a_last_pass_may_be_shorter(data: Path, tmp_path: Path) -> None:
    nest = (data / "timeloop" / "tree" / "nest.yaml").read_text(encoding="utf-8")
    changed = nest.replace("factors: P=4,", "factors: 'P=5,3',")
    assert changed != nest
    (tmp_path / "nest.yaml").write_text(changed, encoding="utf-8")
    found = read(data, "tree", mapping=tmp_path / "nest.yaml")
    assert found.files["mapping.yaml"]["mapping"]["levels"][2]["temporal"] == "P=5/3"
    check_translation(found)
    (tmp_path / "nest.yaml").write_text(nest.replace("factors: P=4,", "factors: 'P=5,2',"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"cannot be read: .*the loops of P cover 7"):
        check_translation(read(data, "tree", mapping=tmp_path / "nest.yaml"))


def test_what_a_parallel_branch_keeps_passes_by(data: Path, tmp_path: Path) -> None:
    for name in ("machine", "layer", "nest"):
        text = (data / "timeloop" / "nodes" / f"{name}.yaml").read_text(encoding="utf-8")
        text = text.replace("{dataspace: {keep: []}}", "{dataspace: {keep: [X]}}")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    table = data / "timeloop" / "ERT.yaml"
    with pytest.raises(SpecError, match="the mapping keeps X at 'Regs', constraints forbid it"):
        translate([tmp_path, table])
    with (tmp_path / "nest.yaml").open("a", encoding="utf-8") as file:
        file.write("  - {target: Regs, type: bypass, bypass: [X]}\n")
    limits = translate([tmp_path, table]).files["constraints.yaml"]["constraints"]["levels"]
    assert [one["bypass"] for one in limits if one["level"] == "Regs"] == [["X"]]


def test_a_component_may_fan_out_itself(data: Path, tmp_path: Path) -> None:
    folder = data / "timeloop" / "nodes"
    machine = (folder / "machine.yaml").read_text(encoding="utf-8")
    start, end = machine.index("    - !Container\n      name: PE"), machine.index("    - !Parallel")
    moved = machine[:start] + machine[end:]
    moved = moved.replace(
        "          name: Regs\n", "          name: Regs\n          spatial: {meshX: 4, meshY: 2}\n"
    )
    moved = moved.replace("    - !Parallel\n      nodes:", "    - !Hierarchical\n      nodes:")
    (tmp_path / "machine.yaml").write_text(moved, encoding="utf-8")
    nest = (folder / "nest.yaml").read_text(encoding="utf-8").replace("target: PE", "target: Regs")
    (tmp_path / "nest.yaml").write_text(nest, encoding="utf-8")
    own = translate([tmp_path, folder / "layer.yaml", data / "timeloop" / "ERT.yaml"])
    usual = read(data, "nodes")
    names = [level["name"] for level in own.files["architecture.yaml"]["architecture"]["levels"]]
    assert names == ["Far", "Near", "inter_Regs_spatial", "Regs"]
    assert evaluated(own.files).energy_pj == evaluated(usual.files).energy_pj


def changed(data: Path, folder: Path, **replaced: tuple[str, str]) -> Path:
    """Return a folder with the design in nodes, some text of its files replaced."""
    shutil.copytree(data / "timeloop" / "nodes", folder)
    shutil.copy(data / "timeloop" / "ERT.yaml", folder)
    for name, (old, new) in replaced.items():
        file = folder / f"{name}.yaml"
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        file.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def test_what_streams_through_a_level_is_read_and_written_there_in_older_versions(
    data: Path, tmp_path: Path
) -> None:
    folder = changed(data, tmp_path / "streams", nest=("bypass: [W]}", "bypass: [W], stream: [W]}"))
    newer = evaluated(translate([folder], rules="2025").files)
    assert [one.tensor for one in newer.level("Near").tensors] == ["X", "Y"]
    older = evaluated(translate([folder], rules="2022").files)
    passing, sent = older.tensor("Near", "W"), older.tensor("Far", "W")
    assert (passing.reads, passing.fills, passing.tile_words) == (sent.reads, sent.reads, 0)
    assert passing.energy_pj > 0
    assert older.level("Near").used_words == newer.level("Near").used_words


def test_clusters_share_a_port(data: Path, tmp_path: Path) -> None:
    new = "width: 64, cluster_size: 4, write_bandwidth: 4"
    folder = changed(data, tmp_path / "cluster", machine=("width: 16, write_bandwidth: 4", new))
    plain, shared = evaluated(read(data, "nodes").files), evaluated(translate([folder]).files)
    level = {one.name: one for one in translate_levels(folder)}["Regs"]
    assert (level.cluster_size, level.words_per_access) == (4, 1)
    for one, other in zip(plain.level("Regs").tensors, shared.level("Regs").tensors, strict=True):
        assert (one.reads, one.fills, one.updates) == (other.reads, other.fills, other.updates)
        assert other.energy_pj == pytest.approx(one.energy_pj / 4)


def translate_levels(folder: Path) -> Any:
    return load_architecture(translate([folder]).files["architecture.yaml"]).levels


def test_a_tensor_that_the_outermost_level_does_not_keep_begins_further_in(
    data: Path, tmp_path: Path
) -> None:
    line = "  - {target: Near, type: dataspace, keep: [X, Y], bypass: [W]}"
    folder = changed(
        data,
        tmp_path / "resident",
        nest=(line, f"{line}\n  - {{target: Far, type: dataspace, keep: [X, Y], bypass: [W]}}"),
    )
    levels = {one.name: one for one in translate_levels(folder)}
    assert levels["Regs"].resident == ("W",)
    with pytest.raises(SpecError, match="not whole where it begins and ends"):
        evaluated(translate([folder]).files)  # K=2 lies outside
