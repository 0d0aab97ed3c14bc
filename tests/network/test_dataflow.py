"""Dataflows on layers and machines of every kind."""

from __future__ import annotations

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.network.dataflow import dataflow_constraints
from procrustes_model.network.request import check_dataflow
from procrustes_model.spec.load import load_architecture, load_problem
from procrustes_model.spec.problem import Problem

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
