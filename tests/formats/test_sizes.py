"""What `evaluate` gives a tile, against tiles that are really written: in all patterns, and on masks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.formats import FORMATS
from procrustes_model.model.sparse.result import SparseCounts
from tests.amount import first_quick
from tests.naive import formats as twins

VALUES: dict[str, Any] = {"pointer_bits": 7, "block": 4, "run_bits": 1, "partial_blocks": "whole"}
SHAPE = {"I": 3, "J": 2, "K": 4}
TILES = [{"J": 2, "K": 2}, {}, {"I": 3}, {"K": 4}, {"I": 3, "J": 2, "K": 4}]
"""Of parts of two rows, of one element, of elements of three rows, of one row, of all."""

each_format = pytest.mark.parametrize("name", FORMATS)
each_tile = pytest.mark.parametrize("tile", first_quick(TILES, 1), ids=lambda tile: "x".join(tile) or "one")


def keys_of(name: str) -> dict[str, Any]:
    """Return the keys that a format takes, all of them stated."""
    return {key: VALUES[key] for key in FORMATS[name].keys}


def near(
    name: str,
    tile: dict[str, int],
    value_bits: int,
    zeros: dict[str, Any],
    mask: Any = None,
    bounds: dict[str, int] | None = None,
) -> SparseCounts:
    """Return what an inner level, of words of one element, stores and moves of a tensor of three ranks."""
    bounds = bounds or SHAPE
    level = {"word_bits": value_bits, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **level}, {"name": "Near", **level}]
    machine = load_architecture(
        {"architecture": {"name": "m", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    tensors = {
        "A": {"projection": ["I", "J", "K"]},
        "B": {"projection": ["K"]},
        "Z": {"projection": ["I", "J"], "output": True},
    }
    shape = {"name": "three", "dimensions": list(bounds), "tensors": tensors}
    problem = load_problem({"problem": {"name": "p", "shape": shape, "dimensions": bounds}})
    far = " ".join(f"{d}={bound // tile.get(d, 1)}" for d, bound in bounds.items())
    inner = " ".join(f"{d}={bound}" for d, bound in tile.items())
    nest = [{"level": "Far", "temporal": far}, {"level": "Near", "temporal": inner}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    form = {"kind": name, **keys_of(name)}
    content = {"name": "d", "formats": {"A": {"*": form}}, **zeros}
    masks = None if mask is None else {"A": mask}
    design = load_sparsity({"sparsity": content})
    return evaluate(machine, problem, mapping, sparsity=design, masks=masks).sparse("Near", "A")


def tiles_of(tensor: Any, tile: dict[str, int]) -> Iterator[Any]:
    """Yield the tiles of a tensor."""
    sides = [tile.get(d, 1) for d in SHAPE]
    starts = (range(0, bound, side) for bound, side in zip(tensor.shape, sides, strict=True))
    for corner in itertools.product(*starts):
        yield tensor[tuple(slice(at, at + side) for at, side in zip(corner, sides, strict=True))]


def written(name: str, tensor: Any, tile: dict[str, int], value_bits: int) -> list[int]:
    """Return the bits of every tile of a tensor."""
    keys = keys_of(name) | {"value_bits": value_bits}
    return [len(twins.write(name, one, keys).text) for one in tiles_of(tensor, tile)]


@each_format
@each_tile
@pytest.mark.parametrize("value_bits", [1, 5])
def test_sizes_on_masks(name: str, tile: dict[str, int], value_bits: int) -> None:
    """The mean, a quantile and the largest of what the tiles of a mask take, and the bits that are moved."""
    rng = np.random.default_rng(1)
    for density in (0.0, 0.1, 0.4, 0.8, 1.0):
        tensor = (rng.random(tuple(SHAPE.values())) < density) * rng.integers(1, 1 << value_bits)
        sizes = written(name, tensor, tile, value_bits)
        mean = near(name, tile, value_bits, {"capacity": {"size": "average"}}, tensor)
        assert mean.stored_words * value_bits == pytest.approx(np.mean(sizes), rel=1e-12)
        moved = (mean.actual[1] + mean.metadata[1]) * value_bits
        assert moved == pytest.approx(sum(sizes), rel=1e-12)
        for q in (0.5, 0.9):
            limit = {"size": "quantile", "quantile": q}
            least = sorted(sizes)[-(-len(sizes) * Fraction(q).limit_denominator(10) // 1) - 1]
            found = near(name, tile, value_bits, {"capacity": limit}, tensor).stored_words * value_bits
            assert found == pytest.approx(max(least, np.mean(sizes)), rel=1e-12)
        largest = near(name, tile, value_bits, {"capacity": {"size": "maximum"}}, tensor)
        assert largest.stored_words * value_bits == pytest.approx(max(sizes), rel=1e-12)


@each_format
@pytest.mark.parametrize(
    "tile", [{}, {"K": 3}, {"I": 3}, {"I": 3, "K": 3}], ids=lambda t: "x".join(t) or "one"
)
@pytest.mark.parametrize("value_bits", [1, 5])
def test_sizes_in_all_patterns(name: str, tile: dict[str, int], value_bits: int) -> None:
    """Of 9 elements with a known number of nonzeros, all placements are written, and each tile of them."""
    bounds = SHAPE | {"J": 1, "K": 3}
    for nonzeros in (0, 1, 4, 9):
        sizes = []
        for places in itertools.combinations(range(9), nonzeros):
            tensor = np.zeros(9, np.int64)
            tensor[list(places)] = 1
            sizes += written(name, tensor.reshape(3, 1, 3), tile, value_bits)
        zeros = {"densities": {"A": {"model": "hypergeometric", "density": nonzeros / 9}}}

        def stored(capacity: dict[str, Any], zeros: dict[str, Any] = zeros) -> float:
            design = zeros | {"capacity": capacity}
            return near(name, tile, value_bits, design, bounds=bounds).stored_words * value_bits

        assert stored({"size": "average"}) == pytest.approx(np.mean(sizes), rel=1e-12)
        assert stored({"size": "maximum"}) == pytest.approx(max(sizes), rel=1e-12)
        sizes.sort()
        for q in (0.5, 0.9, 0.99):
            least = max(np.mean(sizes), sizes[-(-len(sizes) * Fraction(q).limit_denominator(100) // 1) - 1])
            found = stored({"size": "quantile", "quantile": q})
            if FORMATS[name].runs is None:
                assert found == pytest.approx(least, rel=1e-12)
            else:  # as many entries as so many nonzeros can have
                assert least * (1 - 1e-12) <= found <= max(sizes) * (1 + 1e-12)


@each_format
@pytest.mark.parametrize("tile", [{"K": 4}, {"I": 2, "K": 2}, {"I": 2, "K": 4}], ids="x".join)
@pytest.mark.parametrize(("along", "group"), [("K", (1, 4)), ("K", (1, 2)), ("I", (1, 2)), ("K", (2, 3))])
def test_sizes_of_groups(name: str, tile: dict[str, int], along: str, group: tuple[int, int]) -> None:
    """Of 2 x 4 elements in n:m groups, the last perhaps shorter, in the mean over all masks of this kind."""
    (n, m), bounds = group, {"I": 2, "J": 1, "K": 4}
    length, lines = bounds[along], 8 // bounds[along]
    groups = [range(first, min(first + m, length)) for first in range(0, length, m)]
    chosen = [itertools.combinations(group, min(n, len(group))) for group in groups]
    fibers = [sum(picked, ()) for picked in itertools.product(*chosen)]
    sizes = []
    for picked in itertools.product(fibers, repeat=lines):
        rows = np.zeros((lines, length), np.int64)
        for row, places in zip(rows, picked, strict=True):
            row[list(places)] = 1
        sizes += written(name, (rows if along == "K" else rows.T).reshape(2, 1, 4), tile, 5)
    density = {"model": "structured", "nonzeros": n, "group": m, "along": along}
    found = near(name, tile, 5, {"densities": {"A": density}, "capacity": {"size": "average"}}, bounds=bounds)
    assert found.stored_words * 5 == pytest.approx(np.mean(sizes), rel=1e-12)


@pytest.mark.quick
@each_format
def test_a_tensor_of_one_bit_pays_once(name: str) -> None:
    """2,508,800 elements of 1 bit, a tenth of them nonzero, in words of 16: 156,800 words of bitmask."""
    level = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **level, "words_per_access": 1}, {"name": "Near", **level}]
    content = {"name": "m", "levels": levels, "compute": {"energy_pj": 1}, "bits": {"A": 1}}
    machine = load_architecture({"architecture": content})
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 3200, "K": 784, "N": 1}}}
    )
    nest = [{"level": "Far"}, {"level": "Near", "temporal": "M=3200 K=784"}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    form = {"kind": name, **keys_of(name)}
    design = {"name": "d", "densities": {"A": 0.1}, "formats": {"A": {"*": form}}}
    found = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": design}))
    one = found.sparse("Near", "A")
    implied = FORMATS[name].compressed and FORMATS[name].runs is None
    assert (one.actual[1] == 0) == implied
    if name == "bitmask":
        assert one.metadata[1] == one.stored_words == 156_800
    if "partial_blocks" in FORMATS[name].keys:
        design["formats"] = {"A": {"*": form | {"partial_blocks": "dropped"}}}
        found = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": design}))
        assert found.sparse("Near", "A").actual[1] == 250_880


@pytest.mark.parametrize(("balanced", "spread", "halved"), [(None, "N", 1), ("B", "N", 1), ("A", "K", 2)])
@pytest.mark.parametrize("block", ["tile", "half_tile"])
def test_a_block_that_is_a_tile_is_one_of_the_tensor_that_is_stored(
    block: str, balanced: str | None, spread: str, halved: int
) -> None:
    """Of A, 4 x 2 elements a unit; halves where balancing cuts K, but not where it cuts N."""
    level = {"word_bits": 1, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", "mesh_x": 1, **level}, {"name": "Unit", "mesh_x": 2, **level}]
    machine = load_architecture(
        {"architecture": {"name": "m", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 8, "K": 4, "N": 4}}}
    )
    rest = "N" if spread == "K" else "K"
    nest = [
        {"level": "Far", "temporal": f"M=2 {rest}=2", "spatial_x": f"{spread}=2"},
        {"level": "Unit", "temporal": "M=4 K=2 N=2"},
    ]
    content: dict[str, Any] = {
        "name": "d",
        "formats": {"A": {"Far": {"kind": "csb", "pointer_bits": 60, "block": block}}},
        "capacity": {"size": "average"},
    }
    if balanced:
        content["balancing"] = {"policy": "half_tile", "tensor": balanced}
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    found = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content}))
    blocks = 4 * (halved if block == "half_tile" else 1)
    assert found.sparse("Far", "A").stored_words == 32 + blocks * 60  # of one bit, where it is says all
