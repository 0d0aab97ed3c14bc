"""Phases of training follow from the roles that a shape declares, whatever its tensors are called."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.network.sparse_options import parse_densities
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.load import load_problem
from procrustes_model.spec.problem import Problem, Tensor
from procrustes_model.spec.shape import load_shape
from procrustes_model.vocabulary import PHASES, Phase, Role
from procrustes_model.workloads.phases import KNOWN_IN, SPARSE_ROLES, in_phase

NAMES = {Role.WEIGHTS: "theta", Role.INPUT: "x", Role.OUTPUT: "y"}


def convolution(names: dict[Role, str], *, stated: bool, **changes: Any) -> Problem:
    """Return a convolution of one axis whose tensors have these names."""
    projections = {Role.WEIGHTS: ["K", "C", "R"], Role.INPUT: ["C", "2*P + R"], Role.OUTPUT: ["K", "P"]}
    tensors = {
        names[role]: {"projection": projections[role]}
        | ({"output": True} if role == Role.OUTPUT else {})
        | ({"role": role.value} if stated else {})
        for role in Role
    }
    shape = {"name": "own", "dimensions": ["R", "P", "C", "K"], "tensors": tensors} | changes
    bounds = {"R": 3, "P": 4, "C": 2, "K": 5}
    return load_problem({"problem": {"name": "layer", "shape": shape, "dimensions": bounds}})


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("stated", [True, False])
def test_names_do_not_matter(phase: Phase, stated: bool) -> None:
    own = in_phase(convolution(NAMES, stated=True), phase)
    usual = in_phase(convolution({role: role.tensor for role in Role}, stated=stated), phase)
    assert own.output.name == NAMES[phase.writes]
    assert usual.output.name == phase.writes.tensor
    assert [(tensor.ranks, tensor.is_output) for tensor in own.tensors] == [
        (tensor.ranks, tensor.is_output) for tensor in usual.tensors
    ]
    assert own.shape == f"own{phase.suffix}" and own.phase == phase
    assert in_phase(own, Phase.FORWARD).output.name == "y"
    assert own.roles == NAMES


def test_a_stated_role_wins_over_a_name() -> None:
    odd = {Role.WEIGHTS: "Inputs", Role.INPUT: "Weights", Role.OUTPUT: "Z"}
    assert in_phase(convolution(odd, stated=True), "wu").output.name == "Inputs"


def test_every_shape_that_ships_states_roles() -> None:
    for name in list_shipped("shape"):
        shape = load_shape(name)
        roles = {tensor.role: tensor for tensor in shape.tensors}
        assert set(roles) == set(Role), name
        assert roles[(shape.phase or Phase.FORWARD).writes].is_output, name


def test_a_matrix_product_is_a_layer() -> None:
    product = load_problem("matmul/512")
    assert product.phase is None
    assert product.roles == {Role.INPUT: "A", Role.WEIGHTS: "B", Role.OUTPUT: "Z"}
    assert [in_phase(product, phase).output.name for phase in PHASES] == ["Z", "A", "B"]
    assert parse_densities("w=0.1,X=0.5", product) == {"B": 0.1, "A": 0.5}
    assert parse_densities("W=0.1,I=0.5,O=1", convolution(NAMES, stated=True)) == {
        "theta": 0.1,
        "x": 0.5,
        "y": 1,
    }


def test_every_phase_and_role_is_told_of() -> None:
    assert sorted(phase.writes for phase in PHASES) == sorted(Role)
    assert set(SPARSE_ROLES) == set(PHASES) and set(KNOWN_IN) == set(Role)
    for phase, role in SPARSE_ROLES.items():
        assert role != phase.writes and phase in KNOWN_IN[role]
    letters = "".join(role.letters for role in Role)
    assert len(set(letters)) == len(letters)
    for role in Role:
        assert Role.of_tensor(role.tensor) == role
        assert {Role.of_letter(letter) for letter in role.letters + role.letters.lower()} == {role}
    assert Role.of_letter("") is None and Role.of_letter("XI") is None and Role.of_tensor("A") is None


def test_a_problem_without_roles_has_no_phases() -> None:
    own = convolution(NAMES, stated=False)
    assert own.roles == {}
    message = (
        "layer has no training phases: none of its tensors theta, x, y has the role weights or input or "
        "output; state them in shape own, such as 'role: weights' beside a projection"
    )
    with pytest.raises(SpecError, match=message):
        in_phase(own, "backward")
    some = own.tensors[0].model_copy(update={"role": Role.WEIGHTS})
    with pytest.raises(SpecError, match="has the role input or output; state them"):
        in_phase(own.model_copy(update={"tensors": (some, *own.tensors[1:])}), "backward")


def test_mistakes_in_roles() -> None:
    names = {"theta": "weights", "x": "weights", "y": "outputs"}
    tensors: dict[str, Any] = {
        name: {"projection": ["P"], "role": role, "output": name == "y"} for name, role in names.items()
    }
    with pytest.raises(SpecError) as caught:
        load_shape({"shape": {"dimensions": ["P"], "tensors": tensors}})
    assert [str(issue) for issue in caught.value.issues] == [
        "shape.tensors.y.role: unknown role 'outputs'; did you mean 'output'?",
        "shape.tensors.x.role: tensor 'theta' has the role weights already; each role stands once",
    ]
    with pytest.raises(SpecError, match="the backward phase writes the tensor of role input, 'y' has output"):
        convolution(NAMES, stated=True, phase="backward")
    tensor = Tensor(name="a", ranks=(), role=Role.INPUT)
    other = Tensor(name="b", ranks=(), role=Role.INPUT, is_output=True)
    with pytest.raises(ValueError, match="tensors share a role: input, input"):
        Problem(name="p", shape="s", dimensions={"P": 1}, tensors=(tensor, other))
