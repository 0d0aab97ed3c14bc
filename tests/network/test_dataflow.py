"""Dataflows on layers and machines of every kind."""

from __future__ import annotations

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.network.dataflow import dataflow_constraints
from procrustes_model.network.request import check_dataflow
from procrustes_model.spec.load import load_architecture, load_problem
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.problem import Problem
from procrustes_model.vocabulary import PHASES
from procrustes_model.workloads.layer import training_problem
from procrustes_model.workloads.problem_layers import (
    convolution,
    einsum,
    problem_layer,
    recurrent_product,
    transposed_convolution,
)

MACHINE = load_architecture("procrustes_16x16")


def _problem(shape: str) -> Problem:
    bounds = {
        "conv": "R S P Q C K N",
        "depthwise": "R S P Q C N",
        "grouped": "R S P Q C K N G",
        "fully_connected": "C K N",
    }
    dimensions = dict.fromkeys(bounds[shape].split(), 2)
    return load_problem({"problem": {"name": "p", "shape": shape, "dimensions": dimensions}})


@pytest.mark.parametrize(
    ("shape", "dataflow", "columns", "rows"),
    [
        ("conv", "KN", "K", "N"),
        ("conv", "CN", "C", "N"),
        ("conv", "CK", "C", "K"),
        ("conv", "PQ", "P", "Q"),
        ("depthwise", "KN", "C", "N"),
        ("depthwise", "CN", "C", "N"),
        ("depthwise", "CK", "C", "N"),
        ("depthwise", "PQ", "P", "Q"),
        ("grouped", "KN", "KG", "N"),
        ("grouped", "CK", "CG", "KG"),
        ("fully_connected", "CK", "C", "K"),
        ("fully_connected", "PQ", "", ""),
    ],
)
def test_what_is_spread(shape: str, dataflow: str, columns: str, rows: str) -> None:
    constraints, note = dataflow_constraints(dataflow, MACHINE, _problem(shape))
    (level,) = constraints.levels
    assert level.level == "GlobalBuffer"
    assert level.loops["spatial_x"].dimensions == tuple(columns)
    assert level.loops["spatial_y"].dimensions == tuple(rows)
    assert (note == "") == (columns + rows == dataflow)


SIZES = dict.fromkeys("bhqkd", 2)
OWN = {
    "transposed": transposed_convolution("t", weight=(2, 2, 2, 2), size=(2, 2), stride=(2, 2)),
    "transposed_grouped": transposed_convolution("t", weight=(4, 2, 2), size=(2,), groups=2),
    "volume": convolution("v", weight=(2, 2, 2, 2, 2), size=(3, 3, 3)),
    "recurrent": recurrent_product("r", inputs=2, outputs=2, steps=2),
    "matmul": problem_layer("m", "matmul", dict.fromkeys("MKN", 2), batch_dimension="M"),
    "scores": einsum("s", "bhqd,bhkd->bhqk", SIZES, weights=None, batch="b"),
    "tokens": einsum("e", "bqd,kd->bqk", SIZES, weights=1, batch="b"),
    "products": einsum("p", "bd,d->bd", SIZES, weights=1, batch="b"),
}


@pytest.mark.parametrize(
    ("name", "dataflow", "columns", "rows"),
    [
        ("transposed", "KN", "K", "N"),
        ("transposed", "CK", "C", "K"),
        ("transposed", "PQ", "P", "Q"),
        ("transposed_grouped", "CK", "CG", "KG"),
        ("volume", "CN", "C", "N"),
        ("volume", "PQ", "P", "Q"),
        ("recurrent", "KN", "K", "N"),
        ("recurrent", "PQ", "", ""),
        ("matmul", "KN", "N", "M"),  # its N are outputs, its K is summed over, its M are rows
        ("matmul", "CK", "K", "N"),
        ("scores", "KN", "kbh", "q"),
        ("scores", "CK", "dbh", "kbh"),
        ("tokens", "KN", "k", "bq"),
        ("tokens", "CN", "d", "bq"),
        ("products", "KN", "d", "b"),
        ("products", "CK", "d", "b"),
    ],
)
@pytest.mark.parametrize("phase", PHASES)
def test_roles_say_what_is_spread(name: str, dataflow: str, columns: str, rows: str, phase: str) -> None:
    layer: ProblemLayer = OWN[name]
    constraints, note = dataflow_constraints(dataflow, MACHINE, training_problem(layer, phase, batch=2))
    (level,) = constraints.levels
    assert level.loops["spatial_x"].dimensions == tuple(columns)
    assert level.loops["spatial_y"].dimensions == tuple(rows)
    sides = ("+".join(columns) or "1", "+".join(rows) or "1")
    spread = f"{dataflow}: {sides[0]} over columns, {sides[1]} over rows"
    assert note == ("" if columns + rows == dataflow else spread)


def test_any_is_free_and_the_array_is_found() -> None:
    assert dataflow_constraints("any", MACHINE, _problem("conv"))[0].levels == ()
    eyeriss = load_architecture("eyeriss_like")
    (level,) = dataflow_constraints("KN", eyeriss, _problem("conv"))[0].levels
    index = [one.name for one in eyeriss.levels].index(level.level)
    assert eyeriss.fanout(index) != (1, 1)


def test_names() -> None:
    assert check_dataflow("nk") == "KN"
    assert check_dataflow("Any") == "any"
    with pytest.raises(SpecError, match="unknown dataflow 'KP'"):
        check_dataflow("KP")


def test_a_machine_without_an_array() -> None:
    level = {"name": "DRAM", "word_bits": 8, "energy_pj": {"read": 1, "write": 1}}
    machine = load_architecture(
        {"architecture": {"name": "one", "levels": [level], "compute": {"energy_pj": 1}}}
    )
    with pytest.raises(SpecError, match="one has no array to spread a dataflow over"):
        dataflow_constraints("KN", machine, _problem("conv"))
