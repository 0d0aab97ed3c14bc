"""Expected counts held to the mean of those that are counted, mask by mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from procrustes_model.model.sparse.result import SparseResult
from tests.strategies import Spec

MACHINE: Spec = {
    "architecture": {
        "name": "row",
        "levels": [
            {"name": "Far", "word_bits": 16, "energy_pj": {"read": 10, "write": 10}},
            {"name": "Near", "word_bits": 16, "mesh_x": 2, "energy_pj": {"read": 1, "write": 1}},
        ],
        "compute": {"energy_pj": 1},
    }
}
"""Two levels, of which the inner one has two instances."""


def check_means(expected: SparseResult, counted: Sequence[SparseResult]) -> None:
    """Compare an evaluation by densities with the mean over all masks that these allow."""
    mean = sum(one.computes.actual for one in counted) / len(counted)
    assert expected.computes.actual == pytest.approx(mean, rel=1e-9)
    for level in expected.levels:
        for counts in level.tensors:
            found = expected.sparse(level.name, counts.tensor)
            each = [result.sparse(level.name, counts.tensor) for result in counted]
            for what in ("actual", "gated", "skipped", "metadata"):
                wanted = np.mean([getattr(part, what) for part in each], axis=0)
                np.testing.assert_allclose(getattr(found, what), wanted, rtol=1e-9, atol=1e-12)
            stored_words = float(np.mean([part.stored_words for part in each]))
            assert found.stored_words == pytest.approx(stored_words, rel=1e-9)
