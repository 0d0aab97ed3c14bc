"""What the tests of the sparse model share."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import Architecture, Mapping, Problem, load_architecture, load_mapping, load_problem

Case = tuple[Architecture, Problem, Mapping]


@pytest.fixture(scope="session")
def forward() -> Case:
    """Return a 3x3 convolution on procrustes_16x16, dataflow KN."""
    return shipped("vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")


@pytest.fixture(scope="session")
def update() -> Case:
    """Return its weight update, dataflow CK."""
    return shipped("vgg_s/conv3_2_wu", "procrustes_16x16/vgg_s_conv3_2_wu_ck")


def shipped(problem_name: str, mapping_name: str) -> Case:
    """Return a shipped problem and mapping on procrustes_16x16."""
    architecture, problem = load_architecture("procrustes_16x16"), load_problem(problem_name)
    return architecture, problem, load_mapping(mapping_name, architecture, problem)


@pytest.fixture
def design() -> dict[str, Any]:
    """Return the content of a sparse design for a matmul on levels L0, L1, ... that skips zeros of A."""
    return {
        "name": "test",
        "densities": {"A": 0.5},
        "formats": {"A": {"*": "bitmask"}},
        "compute": {"skip": "A"},
        "balancing": {"policy": "half_tile", "tensor": "A"},
    }
