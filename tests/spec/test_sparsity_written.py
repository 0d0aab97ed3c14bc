"""What is written of a sparse design is read back as the same."""

from __future__ import annotations

import random

import pytest

from procrustes_model import load_sparsity
from procrustes_model.shipped import list_shipped
from tests.mapper.cases import make_case
from tests.mapper.sparse_cases import list_ranks, make_design


@pytest.mark.parametrize("name", list_shipped("sparsity"))
def test_designs_that_ship(name: str) -> None:
    design = load_sparsity(name)
    assert load_sparsity(design.to_dict()) == design


def test_random_designs() -> None:
    for seed in range(60):
        rng = random.Random(seed)  # noqa: S311
        _, problem, _ = make_case(seed)
        content = make_design(rng, problem, ["Far", "Near"])
        if seed % 2:
            list_ranks(rng, content)
        design = load_sparsity(content)
        assert load_sparsity(design.to_dict()) == design, seed


def test_text_is_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("design") / "design.yaml"
    design = load_sparsity("procrustes")
    path.write_text(design.to_yaml(), encoding="utf-8")
    assert load_sparsity(path) == design
