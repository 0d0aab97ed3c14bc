"""Formats that list their ranks: what is counted is what is written, and presets are such lists."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.errors import SpecError
from procrustes_model.model.sparse.result import SparseCounts
from tests.amount import first_quick
from tests.naive import ranks as twin
from tests.naive.ranks import RankSpec

SHAPE = {"I": 3, "J": 2, "K": 4}
TILES: list[dict[str, int]] = [{"I": 3, "J": 2, "K": 2}, {"J": 2, "K": 4}, {"K": 2}, SHAPE]
VALUE = 7
"""Bits of an element."""
RUN = 1
"""Bits of a run."""
POINTER = 6

KINDS = [
    kinds
    for count in (1, 2, 3)
    for kinds in itertools.product(("U", "B", "UB", "CP", "RLE", "UOP"), repeat=count)
    if "RLE" not in kinds[:-1] and kinds[-1] != "UOP"
]
"""All lists of one to three ranks; the innermost takes what is left of a tensor of three."""

each_tile = pytest.mark.parametrize("tile", first_quick(TILES[:2], 1), ids="x".join)
each_list = pytest.mark.parametrize("kinds", first_quick(((kinds,) for kinds in KINDS), 10), ids=" ".join)


def listed(kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the ranks of a format as a design lists them."""
    ranks: list[dict[str, Any]] = [{"kind": kind} for kind in kinds]
    for rank in ranks:
        if rank["kind"] == "RLE":
            rank["metadata_bits"] = RUN
        if rank["kind"] in ("B", "CP", "UB"):
            rank["payload_bits"] = POINTER
    return ranks


def specs(kinds: tuple[str, ...], sides: tuple[int, ...], words: int) -> list[RankSpec]:
    """Return the same with the bits that each field takes."""
    index = [(side - 1).bit_length() for side in sides]
    width = {"B": 1, "UB": 1, "RLE": RUN}
    return [
        RankSpec(
            kind,
            width.get(kind, index[r] if kind == "CP" else 0),
            words.bit_length() if kind == "UOP" else POINTER,
        )
        for r, kind in enumerate(kinds)
    ]


def near(
    form: dict[str, Any] | str,
    tile: dict[str, int],
    zeros: dict[str, Any],
    mask: Any = None,
    bits: int = VALUE,
) -> SparseCounts:
    """Return what an inner level, of words of one element, stores and moves of a tensor of three ranks."""
    level = {"word_bits": bits, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **level}, {"name": "Near", **level}]
    machine = load_architecture(
        {"architecture": {"name": "m", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    tensors = {
        "A": {"projection": ["I", "J", "K"]},
        "B": {"projection": ["K"]},
        "Z": {"projection": ["I", "J"], "output": True},
    }
    shape = {"name": "three", "dimensions": list(SHAPE), "tensors": tensors}
    problem = load_problem({"problem": {"name": "p", "shape": shape, "dimensions": SHAPE}})
    far = " ".join(f"{d}={bound // tile.get(d, 1)}" for d, bound in SHAPE.items())
    inner = " ".join(f"{d}={bound}" for d, bound in tile.items())
    nest = [{"level": "Far", "temporal": far}, {"level": "Near", "temporal": inner}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    design = load_sparsity({"sparsity": {"name": "d", "formats": {"A": {"*": form}}, **zeros}})
    masks = None if mask is None else {"A": mask}
    return evaluate(machine, problem, mapping, sparsity=design, masks=masks).sparse("Near", "A")


def sides_of(kinds: tuple[str, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the positions of the fibers of each rank in a tile of three axes."""
    if len(kinds) == 1:
        return (int(np.prod(shape)),)
    return shape if len(kinds) == 3 else (shape[0], shape[1] * shape[2])


def written(kinds: tuple[str, ...], tile: Any) -> tuple[int, int]:
    """Return the bits of metadata and the elements of data of a tile, once it has been read back."""
    sides = sides_of(kinds, tile.shape)
    ranks = specs(kinds, sides, tile.size)
    found = twin.write(tile.reshape(sides), ranks)
    if _can_be_read(kinds):
        assert (twin.read(found, ranks, sides).reshape(tile.shape) == tile).all()
    return twin.bits_of(found, ranks), len(found.data)


def _can_be_read(kinds: tuple[str, ...]) -> bool:
    """Return whether what is written says where fibers of indices end: not where U is outside of them."""
    return all(one != "U" or two not in ("CP", "RLE") for one, two in itertools.pairwise(kinds))


def patterns(shape: tuple[int, ...], nonzeros: int) -> Any:
    """Yield every tile of a shape with so many nonzeros."""
    size = int(np.prod(shape))
    for places in itertools.combinations(range(size), nonzeros):
        tile = np.zeros(size, np.int64)
        tile[list(places)] = 3
        yield tile.reshape(shape)


def tiles_of(tensor: Any, tile: dict[str, int]) -> list[Any]:
    """Return the tiles of a tensor."""
    sides = [tile.get(d, 1) for d in SHAPE]
    starts = (range(0, bound, side) for bound, side in zip(tensor.shape, sides, strict=True))
    corners = itertools.product(*starts)
    return [
        tensor[tuple(slice(at, at + side) for at, side in zip(corner, sides, strict=True))]
        for corner in corners
    ]


@each_list
def test_sizes_are_the_mean_over_all_patterns(kinds: tuple[str, ...]) -> None:
    shape = tuple(SHAPE.values())
    for nonzeros in (0, 1, 2, 24):
        found = [written(kinds, tile) for tile in patterns(shape, nonzeros)]
        counts = near({"ranks": listed(kinds)}, SHAPE, {"densities": {"A": nonzeros / 24}})
        mean = np.array(found, float).mean(axis=0)
        assert counts.stored_words == pytest.approx(mean[1] + mean[0] / VALUE, rel=1e-12)
        assert counts.metadata[1] == pytest.approx(mean[0] / VALUE, rel=1e-12)


@each_list
@each_tile
def test_sizes_on_masks_are_counted(kinds: tuple[str, ...], tile: dict[str, int]) -> None:
    rng = np.random.default_rng(5)
    for density in (0.1, 0.4):
        mask = rng.random(tuple(SHAPE.values())) < density
        found = [written(kinds, one) for one in tiles_of(mask.astype(np.int64), tile)]
        sizes = [data + bits / VALUE for bits, data in found]
        for size, wanted in (("average", np.mean(sizes)), ("maximum", np.max(sizes))):
            counts = near({"ranks": listed(kinds)}, tile, {"capacity": {"size": size}}, mask)
            assert counts.stored_words == pytest.approx(wanted, rel=1e-12)
            assert counts.actual[1] == pytest.approx(sum(data for _, data in found))
            assert counts.metadata[1] == pytest.approx(sum(bits for bits, _ in found) / VALUE)


@each_list
def test_the_largest_tile_that_can_occur_fits(kinds: tuple[str, ...]) -> None:
    """Where a tile with most nonzeros is the largest, its size is found; else it is not exceeded."""
    tile = {"J": 2, "K": 4}
    for nonzeros in (2, 5):
        zeros = {"densities": {"A": nonzeros / 24}, "capacity": {"size": "maximum"}}
        counts = near({"ranks": listed(kinds)}, tile, zeros)
        found = [written(kinds, one) for one in patterns((1, 2, 4), nonzeros)]
        most = max(data + bits / VALUE for bits, data in found)
        assert counts.stored_words >= most * (1 - 1e-12)
        assert counts.stored_words == pytest.approx(most) or "RLE" in kinds


@pytest.mark.parametrize(
    ("preset", "ranks"),
    [
        ("bitmask", [{"kind": "B"}]),
        ("coordinate", [{"kind": "CP"}]),
        ({"kind": "run_length", "run_bits": 2}, [{"kind": "RLE", "metadata_bits": 2}]),
        ("csr", [{"kind": "UOP"}, {"kind": "CP"}]),
        (
            {"kind": "delta", "run_bits": 2},
            [{"kind": "UOP", "of": ["I"]}, {"kind": "RLE", "metadata_bits": 2}],
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("bits", [1, 8])
@pytest.mark.parametrize(
    "zeros",
    [
        {"densities": {"A": 0.3}},
        {"densities": {"A": {"model": "fixed", "density": 0.3}}},
        {"densities": {"A": {"model": "structured", "nonzeros": 1, "group": 2, "along": "K"}}},
        {"densities": {"A": 0.3}, "capacity": {"size": "quantile", "quantile": 0.9}},
    ],
    ids=str,
)
def test_presets_are_lists_of_ranks(preset: Any, ranks: list[Any], bits: int, zeros: dict[str, Any]) -> None:
    if "structured" in str(zeros) and "RLE" in str(ranks):
        pytest.skip("zeros that end runs are those of independent positions")
    for tile in TILES:
        one, other = near(preset, tile, zeros, bits=bits), near({"ranks": ranks}, tile, zeros, bits=bits)
        assert other.stored_words == pytest.approx(one.stored_words, rel=1e-13)
        assert other.metadata == pytest.approx(one.metadata, rel=1e-13)
        assert other.actual == pytest.approx(one.actual, rel=1e-13)


def test_ranks_may_be_in_another_order_than_the_tensor_s() -> None:
    mask = np.random.default_rng(3).random(tuple(SHAPE.values())) < 0.3
    form = {"ranks": [{"kind": "CP", "of": ["K"], "payload_bits": POINTER}, {"kind": "CP", "of": ["J", "I"]}]}
    turned = mask.transpose(2, 0, 1).reshape(4, 6).astype(np.int64)
    ranks = [RankSpec("CP", 2, POINTER), RankSpec("CP", 3)]
    found = twin.write(turned, ranks)
    assert (twin.read(found, ranks, turned.shape) == turned).all()
    counts = near(form, SHAPE, {}, mask)
    assert counts.metadata[1] == pytest.approx(twin.bits_of(found, ranks) / VALUE)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"ranks": []}, "needs a 'kind'"),
        ({"ranks": [{"kind": "CP"}], "kind": "csr"}, "takes no 'kind'"),
        ({"ranks": [{"kind": "CP"}], "run_bits": 3}, "takes no 'run_bits'"),
        ({"ranks": [{"kind": "U", "payload_bits": 3}]}, "takes no 'payload_bits'"),
        ({"ranks": [{"kind": "XY"}]}, "XY"),
        ({"kind": "csr", "begin": "innermost"}, "takes no 'begin'"),
        ({"ranks": [{"kind": "CP", "of": ["Q", "QQ"]}, {"kind": "CP"}]}, "no dimension 'QQ'"),
        ({"ranks": [{"kind": "CP", "of": ["I"]}]}, "no rank of the format is that of J"),
        ({"ranks": [{"kind": "CP", "of": ["I"]}, {"kind": "B", "of": ["I", "J", "K"]}]}, "in two ranks"),
        ({"ranks": [{"kind": "RLE"}, {"kind": "CP"}]}, "cannot have ranks further in"),
        ({"ranks": [{"kind": "CP"}, {"kind": "UOP"}]}, "cannot be the innermost"),
        ({"ranks": [{"kind": "CP", "of": [["I"], ["J"]]}, {"kind": "B"}]}, "several lists"),
        ({"ranks": [{"kind": "CP"}], "begin": "innermost"}, "'begin' has no effect"),
    ],
    ids=str,
)
def test_lists_that_mean_nothing_are_errors(form: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        near(form, SHAPE, {"densities": {"A": 0.5}})
