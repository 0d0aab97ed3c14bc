"""Expected values against the mean over many random masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.kernels.imbalance.expected import expected_largest, expected_largest_pair
from procrustes_model.kernels.imbalance.memo import expected_work, make_memo
from procrustes_model.kernels.imbalance.policies import FOLD, OWN
from procrustes_model.kernels.imbalance.sampled import sampled_largest
from procrustes_model.kernels.sparse.arrays import HYPERGEOMETRIC, BalanceArrays, DensityArrays, TileArrays
from procrustes_model.kernels.sparse.chances import hypergeometric_empty
from tests.amount import amount, first_quick

DENSITIES = amount((0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9), (0.05, 0.5))
VOLUMES = amount((8, 12, 16, 18, 32, 36, 64, 72, 128, 256, 288, 512), (8, 72, 512))


def mean_of_masks(
    half: int, density: float, parts: int, rounds: int, masks: int
) -> tuple[float, float, float]:
    """Return the density and the mean slowest tile and pair of random masks with exactly as many nonzeros.

    Every mask has `rounds` array-level tiles of 2 * `parts` halves of `half` elements.
    """
    rng = np.random.default_rng(7)
    pieces = 2 * parts * rounds
    nonzeros = round(pieces * half * density)
    drawn = rng.multivariate_hypergeometric([half] * pieces, nonzeros, size=masks, method="marginals")
    tiles = drawn.reshape(masks * rounds, 2 * parts)
    ordered = np.sort(tiles, axis=1)
    pairs = ordered[:, :parts] + ordered[:, ::-1][:, :parts]
    whole = tiles[:, 0::2] + tiles[:, 1::2]
    return nonzeros / (pieces * half), float(whole.max(axis=1).mean()), float(pairs.max(axis=1).mean())


@pytest.mark.parametrize("parts", first_quick((16, 64, 256), 1))
def test_slowest_element_is_within_two_percent_of_200_masks(parts: int) -> None:
    """Masks of 8 array-level tiles: fewer tell less than 2 % of the mean themselves."""
    for volume in VOLUMES if parts < 256 else VOLUMES[::3]:  # the more elements, the longer masks take
        for density in DENSITIES:
            exact, whole, pair = mean_of_masks(volume // 2, density, parts, 8, 200 if parts > 16 else 800)
            assert expected_largest(volume, exact, parts) == pytest.approx(whole, rel=0.02), (volume, density)
            found = expected_largest_pair(volume // 2, exact, parts)
            assert found == pytest.approx(pair, rel=0.02), (volume, density)


@pytest.mark.parametrize(
    ("volume", "density", "parts"),
    first_quick([(16, 0.3, 8), (8, 0.02, 16), (12, 0.1, 64), (8, 0.5, 256)], 2),
)
def test_a_single_array_level_tile_is_sampled_with_its_known_total(
    volume: int, density: float, parts: int
) -> None:
    exact, whole, pair = mean_of_masks(volume // 2, density, parts, 1, 20_000)
    size = volume * parts
    nonzeros = round(size * exact)
    assert sampled_largest(volume, parts, 1, OWN, nonzeros, size) == pytest.approx(whole, rel=0.02)
    found = sampled_largest(volume // 2, parts, 2, FOLD, nonzeros, size)
    assert found == pytest.approx(pair, rel=0.02)


@pytest.mark.parametrize("nonzeros", [1, 2, 5, 17, 32])
def test_few_nonzeros_are_placed_with_their_known_total(nonzeros: int) -> None:
    """Both sides are samples; their standard errors are below 1 %."""
    for half, parts, rounds in ((1, 4, 3), (2, 16, 3), (8, 2, 4), (1, 64, 2), (50, 4, 1), (3, 6, 16)):
        size = 2 * half * parts * rounds
        if nonzeros > size:
            continue
        exact, whole, pair = mean_of_masks(half, nonzeros / size, parts, rounds, 20_000)
        assert exact == nonzeros / size
        for pieces, assignment, wanted in ((1, OWN, whole), (2, FOLD, pair)):
            tiles = TileArrays(
                *(np.array([number]) for number in (2 * half,) * 4 + (parts, rounds, 0) + (0,) * 4)
            )
            densities = DensityArrays(
                model=np.array([HYPERGEOMETRIC]),
                known_total=np.array([True]),
                varies=np.array([True]),
                size=np.array([size]),
                nonzeros=np.array([nonzeros]),
                average=np.array([exact]),
                met=np.array([exact]),
                group=np.full((1, 3), -1),
                nest=np.zeros((1, 1, 3), np.int64),
                flat=np.full((1, 1), -1, np.int64),
                run_start=np.zeros(2, np.int64),
                runs=np.zeros((0, 2), np.int64),
                library=False,
            )
            work, status = np.zeros(1), np.zeros(1, np.int64)
            balance = BalanceArrays(0, 1, pieces, assignment, -1, 0.0, 1.0)
            expected_work(densities, balance, False, tiles, make_memo(64), status, work)
            assert work[0] * 2 * half == pytest.approx(wanted, rel=0.03), (half, parts, rounds, pieces)


@pytest.mark.quick
@pytest.mark.parametrize("size", [1, 7, 60, 500])
def test_empty_boxes_are_hypergeometric(size: int) -> None:
    for nonzeros in {0, 1, size // 3, size // 2, size}:
        for elements in {1, 2, size // 4 + 1, size}:
            ways = math.comb(size - elements, nonzeros) if nonzeros <= size - elements else 0
            expected = ways / math.comb(size, nonzeros) if elements <= size else 0.0
            if elements <= size:
                assert hypergeometric_empty(size, nonzeros, elements) == pytest.approx(expected, rel=1e-10)


def small_case() -> tuple[Any, Any, Any]:
    """Return a matmul on three levels with a 2 x 4 array."""
    level = {"class": "sram", "word_bits": 16, "energy_pj": {"read": 1, "write": 2}, "source": "test"}
    levels = [{"name": f"L{i}"} | level for i in range(3)]
    levels[2] |= {"mesh_x": 2, "mesh_y": 4}
    compute = {"energy_pj": 3, "source": "test"}
    architecture = load_architecture(
        {"architecture": {"name": "small", "levels": levels, "compute": compute}}
    )
    problem = load_problem(
        {"problem": {"name": "m", "shape": "matmul", "dimensions": {"M": 16, "K": 24, "N": 8}}}
    )
    nest = [
        {"level": "L0", "temporal": "N=2 M=4 K=2"},
        {"level": "L1", "temporal": "K=3 N=2 M=2", "spatial_x": "N=2", "spatial_y": "M=2"},
        {"level": "L2", "temporal": "K=4"},
    ]
    return architecture, problem, load_mapping({"mapping": {"levels": nest}}, architecture, problem)


SMALL_DESIGN: dict[str, Any] = {
    "name": "small",
    "densities": {"A": 0.25},
    "formats": {
        "A": {
            "L0": "coordinate",
            "L1": {"kind": "csb", "pointer_bits": 8, "block": "half_tile"},
            "L2": "bitmask",
        }
    },
    "actions": [{"level": "L1", "skip": "B", "on": "A"}, {"level": "L2", "gate": "Z", "on": "A"}],
    "compute": {"skip": "A"},
    "balancing": {"policy": "half_tile", "tensor": "A"},
}


def test_expected_counts_equal_the_mean_over_masks() -> None:
    """Standard errors of 300 masks with exactly as many nonzeros; five of them are allowed."""
    architecture, problem, mapping = small_case()
    design = load_sparsity({"sparsity": SMALL_DESIGN})
    expected = evaluate(architecture, problem, mapping, sparsity=design)
    rng = np.random.default_rng(3)
    size = 16 * 24
    masks = [(rng.permutation(size) < size // 4).reshape(16, 24) for _ in range(300)]
    counted = [evaluate(architecture, problem, mapping, sparsity=design, masks={"A": mask}) for mask in masks]
    for level in ("L0", "L1", "L2"):
        for tensor in ("A", "B", "Z"):
            for kind in ("actual", "gated", "skipped", "metadata"):
                wanted = np.array(getattr(expected.sparse(level, tensor), kind))
                found = np.array([getattr(one.sparse(level, tensor), kind) for one in counted])
                error = found.std(axis=0) / math.sqrt(len(masks))
                np.testing.assert_array_less(
                    np.abs(found.mean(axis=0) - wanted), 5 * error + 1e-9 * (1 + wanted)
                )
    cycles = np.array([one.cycles for one in counted])
    assert expected.cycles == pytest.approx(cycles.mean(), rel=0.02)
    energies = np.array([one.energy_pj for one in counted])
    assert expected.energy_pj == pytest.approx(energies.mean(), rel=0.01)


def test_a_sliding_tensor_is_expected_as_its_masks_are_counted(update: Any) -> None:
    architecture, problem, mapping = update
    design = load_sparsity("procrustes")
    for density in (0.2, 0.5):
        expected = evaluate(architecture, problem, mapping, sparsity=design, densities={"Inputs": density})
        rng = np.random.default_rng(5)
        counted = [
            evaluate(
                architecture,
                problem,
                mapping,
                sparsity=design,
                masks={"Inputs": rng.random((16, 256, 9, 9)) < density},
            )
            for _ in range(3)
        ]
        assert expected.cycles == pytest.approx(np.mean([one.cycles for one in counted]), rel=0.02)
        assert expected.energy_pj == pytest.approx(np.mean([one.energy_pj for one in counted]), rel=0.01)
