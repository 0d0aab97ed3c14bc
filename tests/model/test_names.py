"""Names, paths, dicts and objects, and short names of tensors, are taken everywhere."""

from __future__ import annotations

import numpy as np
import pytest

import procrustes_model
from procrustes_model import (
    SpecError,
    evaluate,
    explain,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    measure_imbalance,
)
from procrustes_model.cli.shipped import Kind
from procrustes_model.mapper.request import SearchRequest
from procrustes_model.shipped import list_shipped

NAMES = ("procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")


def test_letters_stand_for_tensors() -> None:
    by_name = evaluate(*NAMES, sparsity="procrustes", densities={"Weights": 0.1, "Inputs": 0.5})
    for given in ({"W": 0.1, "x": 0.5}, "W=0.1,X=0.5", {"Weights": 0.1, "X": 0.5}):
        assert evaluate(*NAMES, sparsity="procrustes", densities=given) == by_name
    mask = np.ones((256, 256, 3, 3), np.bool_)
    masked = evaluate(*NAMES, sparsity="procrustes", masks={"W": mask})
    assert masked == evaluate(*NAMES, sparsity="procrustes", masks={"Weights": mask})
    with pytest.raises(SpecError, match="Weights of vgg_s/conv3_2 is given twice, also as Weights"):
        evaluate(*NAMES, sparsity="procrustes", densities={"W": 0.1, "Weights": 0.1})
    with pytest.raises(SpecError, match="is no density"):
        evaluate(*NAMES, sparsity="procrustes", densities="W=2")
    assert SearchRequest(*NAMES[:2], sparsity="procrustes", densities="W=0.1").densities == "W=0.1"


def test_names_do_as_objects_do() -> None:
    machine, problem = load_architecture(NAMES[0]), load_problem(NAMES[1])
    mapping, design = load_mapping(NAMES[2], machine, problem), load_sparsity("procrustes")
    told = explain(*NAMES, "RegFile", "Weights")
    assert told.to_text() == explain(machine, problem, mapping, "RegFile", "Weights").to_text()
    work = measure_imbalance(*NAMES, "procrustes", densities="W=0.1", samples=1)
    same = measure_imbalance(machine, problem, mapping, design, densities={"Weights": 0.1}, samples=1)
    assert work.of == same.of and (work.before == same.before).all()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_list(kind: Kind) -> None:
    assert getattr(procrustes_model, f"list_{kind.value}")() == list_shipped(kind.singular)
