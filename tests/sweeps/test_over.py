"""A family of machines: the best of all members is found, and every bound holds."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest

from procrustes_model import SpecError, evaluate, search, search_over
from procrustes_model.report.terminal.over import format_over
from procrustes_model.spec.load import edit
from procrustes_model.spec.text.changes import Change, Said, parse_path
from procrustes_model.sweeps.over_result import OverResult, Standing
from tests.sweeps.conftest import BUFFER

WIDTH = "architecture.compute.mesh_x"
AXES: dict[str, Any] = {BUFFER: ["8 words", "16 words", "32 words"], WIDTH: [1, 2, 4]}
WORDS = "architecture.levels.Buffer.words_per_access"


def family(**content: Any) -> dict[str, Any]:
    """Return the content of a family's file."""
    return {"sweep": {"name": "little", **({} if "points" in content else {"axes": AXES}), **content}}


def machine(values: dict[str, Any]) -> Any:
    """Return the machine of a member."""
    changes = [Change(parse_path(path, Said(None)), value) for path, value in values.items()]
    return edit("machine.yaml", changes, "architecture")


def check(result: OverResult, objective: str) -> None:
    """Hold a family to a search of each member by itself."""
    alone = {}
    for one in result.members:
        try:
            alone[one.number] = search(machine(one.values), "little.yaml", objective=objective)
        except SpecError:  # none is valid
            assert one.value is None
    values = {number: found.certificate.value for number, found in alone.items()}
    assert result.proven and result.value == pytest.approx(min(values.values()), rel=1e-12)
    for one in (one for one in result.members if one.number in values):
        assert one.lower_bound <= values[one.number] * (1 + 1e-12)
        if one.value is not None and one.standing is Standing.SEARCHED:
            assert one.value == pytest.approx(values[one.number], rel=1e-12)
    best = alone[result.best].result
    assert (result.found.result.energy_pj, result.found.result.cycles) == (best.energy_pj, best.cycles)


@pytest.mark.parametrize("objective", ["edp", "energy, cycles<=150"])
def test_the_best_member_is_that_of_single_searches(objective: str) -> None:
    result = search_over("machine.yaml", "little.yaml", family(), objective=objective, threads=1)
    assert len(result.members) == 9
    check(result, objective)
    again = evaluate(result.architecture, "little.yaml", result.found.mapping)
    assert (again.energy_pj, again.cycles) == (result.found.result.energy_pj, result.found.result.cycles)


def test_points_and_conditions_choose_members() -> None:
    listed = [{BUFFER: "16 words", WIDTH: 2}, {BUFFER: "32 words", WIDTH: 4}]
    result = search_over("machine.yaml", "little.yaml", family(points=listed))
    assert [one.values for one in result.members] == listed
    result = search_over("machine.yaml", "little.yaml", family(where="mesh_x <= 2"))
    assert {one.values[WIDTH] for one in result.members} == {1, 2}
    check(result, "edp")


def test_a_cut_search_states_a_bound() -> None:
    whole = search_over("machine.yaml", "little.yaml", family(), threads=1)
    cut = search_over("machine.yaml", "little.yaml", family(), threads=1, seconds=1e-9)
    assert cut.lower_bound <= whole.value <= cut.value
    assert not cut.proven and cut.claim.startswith("Not proven") and cut.gap > 0
    assert {one.standing for one in cut.members} & {Standing.OPEN}


def test_members_may_differ_in_the_design() -> None:
    design: dict[str, Any] = {
        "sparsity": {"name": "d", "densities": {"B": 0.5}, "formats": {"B": {"*": "bitmask"}}}
    }
    design["sparsity"]["compute"] = {"skip": "B"}
    axes = {"densities.B": [0.25, 0.5, 1.0]}
    result = search_over("machine.yaml", "little.yaml", family(axes=axes), sparsity=design, threads=1)
    values = {}
    for one in result.members:
        given = {"B": one.values["densities.B"]}
        values[one.number] = search("machine.yaml", "little.yaml", sparsity=design, densities=given)
        assert one.lower_bound <= values[one.number].certificate.value * (1 + 1e-9)
    assert result.value == pytest.approx(min(one.certificate.value for one in values.values()), rel=1e-9)
    assert result.sparsity is not None


def test_members_that_no_mapping_fits_are_said() -> None:
    level = {"level": "Buffer", "temporal": "M=2 K=2 N=2", "keep": ["A", "B"]}
    rules = {"constraints": {"levels": [level]}}
    result = search_over(
        "machine.yaml", "little.yaml", family(axes={BUFFER: ["1 words", "32 words"]}), constraints=rules
    )
    assert [one.standing for one in result.members] == [Standing.INVALID, Standing.SEARCHED]
    assert result.proven and math.isinf(result.members[0].lower_bound) and result.members[0].error
    with pytest.raises(SpecError, match="fatal"):
        search_over("machine.yaml", "little.yaml", family(axes={BUFFER: ["1 words"]}), constraints=rules)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"search": {}}, "what is run is said beside this file, not by 'search'"),
        ({"axes": {"problem.dimensions.M": [2, 4]}}, "a family shares its 'problem'"),
        ({"axes": {"objective": ["edp", "energy"]}}, "a family shares its 'objective'"),
        ({"pareto": "cycles"}, "'pareto' is of sweeps"),
        ({"axes": {"architecture.levels.Bufer.capacity": ["1 words"]}}, "did you mean 'Buffer'"),
        ({"most_area_um2": 5}, "no area is stated of"),
    ],
)
def test_what_is_no_family_is_refused(content: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        search_over("machine.yaml", "little.yaml", family(**content))


def test_tables_and_text() -> None:
    result = search_over("machine.yaml", "little.yaml", family(), threads=1)
    rows = list(csv.DictReader(io.StringIO(result.csv_text())))
    assert [row[BUFFER] for row in rows[::3]] == AXES[BUFFER]
    assert [row["member"] for row in rows if row["best"] == "True"] == [str(result.best)]
    content = result.to_dict()
    assert content["proven"] and sum(content["standings"].values()) == 9
    text = format_over(result)
    assert "Proven" in text and f"member {result.best}: capacity" in text
    assert result.machine is not None
