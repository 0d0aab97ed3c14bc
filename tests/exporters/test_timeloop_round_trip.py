"""What is exported as Timeloop's files and imported again evaluates to the same numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from procrustes_model import Evaluator, SpecError
from procrustes_model.exporters.timeloop import export_timeloop
from procrustes_model.exporters.timeloop.model import Model
from procrustes_model.importers.timeloop import translate
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem, load_sparsity
from tests.strategies import Spec, cases, imperfect_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


def round_trip(folder: Path, model: Model, rules: str = "2025") -> dict[str, Spec]:
    for file in folder.iterdir():
        file.unlink()
    for name, text in export_timeloop(model, rules).texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return translate([folder], rules=rules).files


def same(mine: Any, theirs: Any) -> None:
    assert mine.cycles == theirs.cycles
    assert math.isclose(mine.energy_pj, theirs.energy_pj, rel_tol=1e-12)
    assert mine.compute.computes == theirs.compute.computes
    others = {level.name: level for level in theirs.levels}
    for level in mine.levels:
        other = others[level.name]
        assert (level.instances, level.instances_used) == (other.instances, other.instances_used)
        if not level.tensors:
            continue
        assert (level.cycles, level.used_words) == (other.cycles, other.used_words)
        found = {one.tensor: one for one in other.tensors}
        assert found.keys() == {one.tensor for one in level.tensors}
        for one in level.tensors:
            twin = found[one.tensor]
            keys = ("reads", "fills", "updates", "tile_words", "instances")
            assert [getattr(one, key) for key in keys] == [getattr(twin, key) for key in keys]
            assert math.isclose(one.energy_pj, twin.energy_pj, rel_tol=1e-12)


@st.composite
def machines(draw: st.DrawFn, drawn: tuple[Spec, Spec, Spec]) -> tuple[Spec, Spec, Spec]:
    """Add what a machine may have besides: capacities, double buffers, clusters, idle energy, homes."""
    machine = drawn[0]["architecture"]
    for index, level in enumerate(machine["levels"]):
        if draw(st.booleans()):
            level["capacity_words"] = draw(st.sampled_from([10**6, 10**6 + 7]))
            level["double_buffered"] = draw(st.sampled_from([True, None]))
        level["word_bits"] = draw(st.sampled_from([1, 8, 16, 24]))
        level["energy_pj"]["idle"] = draw(st.sampled_from([0, 0.3]))
        meshes = [one["mesh_x"] * one["mesh_y"] for one in machine["levels"][: index + 1]]
        level["cluster_size"] = draw(st.sampled_from([1, math.prod(meshes)]))
    _settle(draw, machine["levels"], drawn[2]["mapping"]["levels"])
    return drawn


def _settle(draw: st.DrawFn, levels: list[Spec], nest: list[Spec]) -> None:
    """Let a tensor begin further in, and levels that keep nothing only fan out."""
    name = draw(st.sampled_from([*nest[0]["keep"], None, None]))
    home = draw(st.integers(0, len(levels) - 1))
    if name is not None and home > 0:
        for one in nest[:home]:
            one["keep"] = [other for other in one["keep"] if other != name]
        nest[home]["keep"] = sorted({*nest[home]["keep"], name})
        levels[home] |= {"resident": [name], "loaded": True}
    for storage, one in zip(levels, nest, strict=True):
        if not one["keep"] and draw(st.booleans()):
            storage |= {"tensors": [], "energy_pj": {"read": 0, "write": 0}}


@given(drawn=(cases() | imperfect_cases()).flatmap(machines))
def test_dense_models_come_back(folder: Path, drawn: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(drawn[0]), load_problem(drawn[1])
    mapping = load_mapping(drawn[2], architecture, problem)
    for level in mapping.levels:
        names = [loop.dimension for loop in (*level.spatial_x, *level.spatial_y)]
        assume(len(set(names)) == len(names))  # a dimension lies on one axis there
    try:
        mine = Evaluator(architecture, problem).evaluate(mapping)
    except SpecError:
        assume(False)  # loops divide a tensor where it begins
    files = round_trip(folder, Model(architecture, problem, mapping))
    theirs = Evaluator(files["architecture.yaml"], files["problem.yaml"]).evaluate(files["mapping.yaml"])
    same(mine, theirs)


def rules_of(design: Spec) -> Spec:
    """Return the rules by which Timeloop counts a design."""
    rules = {"rounding": "whole_words"}
    kinds = {kind for action in design["actions"] for kind in action}
    if kinds & {"gate", "skip"}:
        rules |= {"access_box": "joined", "several_actions": "strongest"}
    if "gate" in kinds:
        rules["gated_operands"] = "dropped"
    ranks = [
        rank["kind"]
        for levels in design["formats"].values()
        for one in levels.values()
        for rank in one["ranks"]
    ]
    if any(one["model"] == "hypergeometric" for one in design["densities"].values()):
        rules["probabilities"] = "boost"
    if "RLE" in ranks:
        rules["stored_zeros"] = "metadata_only"
    if ranks:
        rules |= {"format_ranks": "loops", "metadata_ports": "shared", "partial_sums": "compressed"}
        rules |= {"empty_tiles": "unused", "absent_operands": "absent", "last_accesses": "by_tile"}
    return rules


@st.composite
def designs(draw: st.DrawFn, drawn: tuple[Spec, Spec, Spec]) -> tuple[Spec, Spec, Spec, Spec]:
    """Draw a sparse design in words that both programs have, and what the machine needs for it."""
    machine, problem = drawn[0]["architecture"], drawn[1]["problem"]["shape"]
    levels = drawn[2]["mapping"]["levels"]
    operands = sorted(name for name, one in problem["tensors"].items() if "output" not in one)
    ranked = st.sampled_from(["U", "B", "UB", "CP", "RLE", "UOP"])
    design: Spec = {"name": "drawn", "densities": {}, "formats": {}, "actions": [], "compute": {}}
    for name in operands:
        model = draw(st.sampled_from(["fixed", "hypergeometric"]))
        design["densities"][name] = {"model": model, "density": draw(st.sampled_from([0.1, 0.25, 0.5]))}
    for level, storage in zip(levels, machine["levels"], strict=True):
        bits = draw(st.sampled_from([1, 2, 4]))
        for name in level["keep"]:
            if draw(st.integers(0, 2)) == 0:
                ranks = [
                    {"kind": kind} | ({} if kind == "U" else {"metadata_bits": bits, "payload_bits": bits})
                    for kind in draw(st.lists(ranked, min_size=1, max_size=2))
                ]
                design["formats"].setdefault(name, {})[level["level"]] = {"ranks": ranks}
            others = [one for one in operands if one != name]
            if others and draw(st.integers(0, 2)) == 0:
                action = {
                    draw(st.sampled_from(["gate", "skip"])): name,
                    "on": [draw(st.sampled_from(others))],
                }
                design["actions"].append({"level": level["level"]} | action)
        storage["metadata"] = {"word_bits": 8}
        price = st.sampled_from([0, 0.5, 2])
        triple = st.fixed_dictionaries({"read": price, "write": price, "update": price})
        storage["energy_pj"] |= {"gated": draw(triple), "skipped": draw(triple)}
        metadata = draw(triple) | {"gated": draw(triple), "skipped": draw(triple)}
        storage["energy_pj"]["metadata"] = metadata
    kinds = draw(st.sampled_from([[], ["skip"], ["gate"], ["gate", "skip"]]))
    known = [name for name in operands if name in design["formats"]] if "skip" in kinds else []
    rest = [name for name in operands if name not in known] if "gate" in kinds else []
    design["compute"] = {kind: names for kind, names in (("skip", known), ("gate", rest)) if names}
    machine["compute"]["gated_energy_pj"] = draw(price)
    machine["compute"]["skipped_energy_pj"] = draw(price)
    saves = bool(design["formats"] or design["actions"] or design["compute"])
    useful = {one for action in design["actions"] for one in action["on"]} | set(design["formats"])
    useful |= {name for names in design["compute"].values() for name in names}
    design["densities"] = {name: one for name, one in design["densities"].items() if name in useful}
    if saves:
        design["rules"] = rules_of(design)
    if design["formats"]:
        design["capacity"] = {"size": "maximum"}
    return (*drawn, {"sparsity": {key: value for key, value in design.items() if value}})


@given(drawn=cases().flatmap(designs))
def test_sparse_designs_come_back(folder: Path, drawn: tuple[Spec, Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(drawn[0]), load_problem(drawn[1])
    mapping = load_mapping(drawn[2], architecture, problem)
    for level in mapping.levels:
        names = [loop.dimension for loop in (*level.spatial_x, *level.spatial_y)]
        assume(len(set(names)) == len(names))
    try:
        design = load_sparsity(drawn[3])
        mine = Evaluator(architecture, problem, sparsity=design).evaluate(mapping)
    except SpecError:
        assume(False)
    files = round_trip(folder, Model(architecture, problem, mapping, design, design.forward.densities))
    assert "sparsity.yaml" in files or len(drawn[3]["sparsity"]) == 1
    theirs = Evaluator(
        files["architecture.yaml"],
        files["problem.yaml"],
        sparsity=files.get("sparsity.yaml", {"sparsity": {"name": "none"}}),
    ).evaluate(files["mapping.yaml"])
    same(mine, theirs)
    if hasattr(mine.levels[0].tensors[0], "sparse"):
        for level, other in zip(mine.levels, theirs.levels, strict=True):
            for one, twin in zip(level.tensors, other.tensors, strict=True):
                assert one.sparse == twin.sparse
