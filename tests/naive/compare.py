"""Holds a result to what a naive twin says."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import Result


def assert_same(result: Result, expected: dict[str, Any]) -> None:
    """Assert that counts and cycles are the twin's exactly, and energies to 1e-9."""
    found = {
        (level.name, t.tensor): {
            "tile_words": t.tile_words,
            "reads": t.reads,
            "fills": t.fills,
            "updates": t.updates,
            "instances": t.instances,
        }
        for level in result.levels
        for t in level.tensors
    }
    assert found == expected["counts"]
    for level in result.levels:
        assert level.cycles == expected["cycles"][level.name]
        for tensor in level.tensors:
            assert tensor.energy_pj == pytest.approx(expected["energy"][level.name, tensor.tensor], rel=1e-9)
    assert result.compute.cycles == expected["steps"]
    assert result.cycles == expected["total_cycles"]
    assert result.energy_pj == pytest.approx(expected["total_energy"], rel=1e-9)
