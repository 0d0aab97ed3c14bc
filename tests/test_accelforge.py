"""AccelForge's optima: its mappings cost here what they cost there, and searches find nothing dearer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, search
from tests import accelforge

CLOSE = 1e-6
"""Relative: of single precision."""

DATA = accelforge.read_cases(Path(__file__).parent / "data")
CASES: list[dict[str, Any]] = DATA["cases"]
VALUES = {"energy": "energy_pj", "edp": "edp_pj_cycles"}
UNEVEN = ((6, 0.00849), (20, 0.04222), (26, 0.03237))
"""Cases in which the best mapping is uneven, and what that saves."""


def _specs(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return accelforge.make_machine(DATA["machines"], case), accelforge.make_problem(case)


@pytest.mark.quick
def test_their_mappings_cost_the_same() -> None:
    """Uneven ones, too, and with reads of sums that are sent up; two have levels that interleave."""
    compared = apart = 0
    for case in CASES:
        machine, problem = _specs(case)
        for found in case["accelforge"].values():
            nest = accelforge.make_mapping(DATA["machines"], case, found["mapping"])
            if nest is None:
                apart += 1
                continue
            # There, tiles of a window that slides by one take less room.
            fits = case["problem"]["shape"] != "conv1d"
            result = evaluate(machine, problem, nest, check_capacity=fits)
            assert result.energy_pj == pytest.approx(found["energy_pj"], rel=CLOSE)
            assert result.cycles == found["cycles"]
            compared += 1
    assert (len(CASES), compared, apart) == (39, 46, 2)


@pytest.mark.parametrize("first", range(0, 39, 13))
def test_even_mappings(first: int) -> None:
    """The best even mapping is proven, and never dearer than theirs with one place for all tensors."""
    for case in CASES[first : first + 13]:
        machine, problem = _specs(case)
        rules = accelforge.make_constraints(DATA["machines"], case)
        found = search(machine, problem, rules, objective=case["objective"], threads=1)
        value = VALUES[case["objective"]]
        assert found.certificate.proven
        assert found.certificate.value == pytest.approx(case["even"][value], rel=1e-9)
        for mapspace in ("one_boundary", "any_order"):
            if mapspace in case["accelforge"]:
                assert found.certificate.value <= case["accelforge"][mapspace][value] * (1 + CLOSE)


@pytest.mark.parametrize(("number", "saved"), UNEVEN)
def test_uneven_optima(number: int, saved: float) -> None:
    case = CASES[number]
    machine, problem = _specs(case)
    found = search(machine, problem, objective="energy", uneven=True, threads=1)
    theirs = case["accelforge"]["default"]["energy_pj"]
    assert found.certificate.proven
    assert found.certificate.value == pytest.approx(theirs, rel=CLOSE)
    assert found.certificate.even == pytest.approx(case["even"]["energy_pj"], rel=1e-9)
    assert 1 - found.certificate.value / case["even"]["energy_pj"] == pytest.approx(saved, abs=1e-5)
    assert found.mapping.uneven
    again = load_mapping(found.mapping.to_dict(), load_architecture(machine), load_problem(problem))
    assert again == found.mapping
    assert evaluate(machine, problem, found.mapping).energy_pj == found.result.energy_pj


@pytest.mark.parametrize("number", [0, 5, 10, 14, 30, 33])
def test_where_the_best_mapping_is_even(number: int) -> None:
    """Uneven mappings are no better, and never dearer than theirs."""
    case = CASES[number]
    machine, problem = _specs(case)
    found = search(machine, problem, objective=case["objective"], uneven=True, threads=1)
    value = VALUES[case["objective"]]
    assert found.certificate.proven
    assert found.certificate.value == pytest.approx(case["even"][value], rel=1e-9)
    assert found.certificate.value <= case["accelforge"]["default"][value] * (1 + CLOSE)
    assert not found.mapping.uneven
