"""Random models, written as Timeloop's files in any spelling, are imported as what they were."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from procrustes_model.importers.timeloop import translate
from procrustes_model.importers.timeloop.output import check_translation
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from tests.importers import writer
from tests.strategies import Spec, cases, imperfect_cases, unequal_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


@given(
    drawn=(cases() | imperfect_cases() | unequal_cases()),
    chance=st.randoms(use_true_random=False),
)
def test_what_is_written_is_imported(
    folder: Path, drawn: tuple[Spec, Spec, Spec], chance: random.Random
) -> None:
    architecture, problem = load_architecture(drawn[0]), load_problem(drawn[1])
    mapping = load_mapping(drawn[2], architecture, problem)
    for level in mapping.levels:
        names = [loop.dimension for loop in (*level.spatial_x, *level.spatial_y)]
        assume(len(set(names)) == len(names))  # a dimension lies on one axis there
    content = drawn[1]["problem"]
    parts = [
        writer.tree(architecture),
        writer.table(architecture),
        writer.layer(problem, content["shape"], content.get("coefficients", {})),
        writer.nest(mapping, problem, chance),
    ]
    files = []
    for index, part in enumerate(parts):
        files.append(folder / f"{index}.yaml")
        files[-1].write_text(json.dumps(part), encoding="utf-8")
    found = translate(files)
    check_translation(found)
    machine = load_architecture(found.files["architecture.yaml"])
    for level, wanted in zip(machine.levels, architecture.levels, strict=True):
        assert level.model_copy(update={"kind": "", "source": ""}) == wanted.model_copy(
            update={"kind": "", "source": ""}
        )
    assert machine.compute.model_copy(update={"source": "drawn"}) == architecture.compute
    work = load_problem(found.files["problem.yaml"])
    assert (work.dimensions, work.tensors) == (problem.dimensions, problem.tensors)
    loops = load_mapping(found.files["mapping.yaml"], machine, work)
    for level, wanted in zip(loops.levels, mapping.levels, strict=True):
        assert set(level.keep) == set(wanted.keep)
        assert (level.temporal, level.spatial_x, level.spatial_y) == (
            wanted.temporal,
            wanted.spatial_x,
            wanted.spatial_y,
        )
