"""A result made by hand, and small specs."""

from __future__ import annotations

import pytest

from procrustes_model.model.result import ComputeResult, LevelResult, Result, TensorCounts


def counts(level: str, tensor: str, words: tuple[int, int, int, int], instances: int = 1) -> TensorCounts:
    """Return counts of (tile, reads, fills, updates) at a tenth of a pJ per word."""
    tile, reads, fills, updates = words
    energies = (0.1 * reads * instances, 0.1 * fills * instances, 0.1 * updates * instances)
    return TensorCounts(level, tensor, tensor == "Z", instances, tile, reads, fills, updates, *energies)


@pytest.fixture
def result() -> Result:
    """Return a result in which the buffer limits and no number is round."""
    return Result(
        architecture="toy",
        problem='odd "name", with comma',
        phase=None,
        mapping="by hand",
        levels=(
            LevelResult("DRAM", 1, 1, None, 3_000_000, 65_536, "compute", (
                counts("DRAM", "A", (1_000_000, 4_000_003, 0, 0)),
                counts("DRAM", "Z", (2_000_000, 0, 0, 2_000_000)),
            )),
            LevelResult("Buffer", 4, 16, 100, 42, 131_072, "read bandwidth", (
                counts("Buffer", "A", (42, 123_456_789, 4_000_003, 0), 4),
            )),
        ),
        compute=ComputeResult("MAC", 8, 16, 524_288, 1e12 / 3, 65_536),
        cycles=131_072,
        bottleneck="Buffer",
        components=(),
    )  # fmt: skip
