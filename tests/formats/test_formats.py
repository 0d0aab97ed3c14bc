"""What holds for all storage formats at once: names, keys, prices, bounds, and twins that really store."""

from __future__ import annotations

import itertools
import json
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import procrustes_model.formats
from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.formats import FORMATS, describe_formats
from procrustes_model.formats.rank import (
    ALL,
    FIRST,
    REST,
    StorageFormat,
    bits,
    coordinates,
    offset_pairs,
    runs,
    uncompressed,
)
from procrustes_model.kernels.sparse.arrays import HYPERGEOMETRIC
from procrustes_model.kernels.sparse.entries import expected_zeros
from procrustes_model.kernels.sparse.formats import block_bits, data_of, least_bits, tile_bits
from procrustes_model.model.sparse.formats import is_implied, lower_terms
from procrustes_model.spec.schema import keys_of
from procrustes_model.spec.sparsity import Format
from tests.conftest import ROOT
from tests.naive import formats as twins
from tests.naive.formats import TWINS

VALUES: dict[str, Any] = {"pointer_bits": 9, "block": 4, "run_bits": 3, "partial_blocks": "whole"}
"""A value of every key, other than its default."""
SHAPES = [(8,), (4, 6), (3, 4, 2), (2, 3, 2, 4), (1,), (1, 1), (16, 1, 1), (1, 7), (5, 3), (1, 40)]
"""Of one element, of one row, of rows shorter than a run and than a block, of rows longer than two runs."""
PATTERNED = {name for name, one in FORMATS.items() if one.runs}
"""Formats whose size depends on where the nonzeros are, not on their number only."""

each_format = pytest.mark.parametrize("name", FORMATS)


def stated(name: str, **other: Any) -> dict[str, Any]:
    """Return the keys that a format takes, all of them stated."""
    return {key: {**VALUES, **other}[key] for key in FORMATS[name].keys}


def price(name: str, shape: tuple[int, ...], nonzeros: float, value_bits: int = 0, **other: Any) -> float:
    """Return the bits that the model gives a tile with so many nonzeros anywhere, data included."""
    keys = stated(name, **other)
    terms = lower_terms([[Format(kind=name, **keys)]], [len(shape)])
    spans = np.concatenate([[1], np.cumprod(shape)])
    size, run = int(spans[-1]), int(terms.run[0, 0])
    entries = nonzeros
    if run:
        fibers = int(spans[terms.fibers[0, 0]])
        density = nonzeros / size
        entries += fibers * expected_zeros(HYPERGEOMETRIC, size, int(nonzeros), density, size // fibers, run)
    held = (float(nonzeros), float(entries))
    bits = tile_bits(terms, 0, 0, spans, size, held, int(keys.get("block", 1)))
    if not FORMATS[name].compressed:
        return bits + value_bits * size
    implied = value_bits == 1 and is_implied(Format(kind=name, **keys))
    return float(bits + value_bits * data_of(run > 0, implied, held, bits))


def draw(rng: np.random.Generator, shape: tuple[int, ...], density: float, value_bits: int = 7) -> Any:
    """Return a tile of values above 0 with zeros at random."""
    return rng.integers(1, 1 << value_bits, shape) * (rng.random(shape) < density)


def patterns(shape: tuple[int, ...], nonzeros: int) -> Iterator[Any]:
    """Yield every tile of a shape with so many ones."""
    size = int(np.prod(shape))
    for places in itertools.combinations(range(size), nonzeros):
        tile = np.zeros(size, np.int64)
        tile[list(places)] = 1
        yield tile.reshape(shape)


def test_every_file_is_a_format_with_a_twin() -> None:
    files = {module.name for module in pkgutil.iter_modules(procrustes_model.formats.__path__)}
    assert files - {"rank"} == FORMATS.keys() == TWINS.keys()
    assert set(VALUES) | {"kind", "ranks", "begin"} == set(keys_of(Format))
    assert {key for one in FORMATS.values() for key in one.keys} == set(VALUES)


@each_format
@pytest.mark.parametrize("value_bits", [1, 7])
def test_tiles_are_read_back_from_their_bits(name: str, value_bits: int) -> None:
    rng = np.random.default_rng(1)
    keys = stated(name) | {"value_bits": value_bits}
    for shape in SHAPES:
        for density in (0.0, 0.03, 0.1, 0.5, 1.0):
            stored = twins.write(name, draw(rng, shape, density, value_bits), keys)
            assert len(stored.text) >= stored.data * value_bits


@each_format
@pytest.mark.parametrize("value_bits", [1, 7])
def test_the_size_is_that_of_the_bits_written(name: str, value_bits: int) -> None:
    """Exact for any tile where the size depends on the number of nonzeros; else for empty and full ones."""
    rng = np.random.default_rng(2)
    for shape in SHAPES:
        for block in (1, 2, 5, 64):
            for density in (0.0, 1.0) if name in PATTERNED else (0.0, 0.1, rng.random(), 1.0):
                tile = draw(rng, shape, density, value_bits)
                keys = stated(name, block=block) | {"value_bits": value_bits}
                found = len(twins.write(name, tile, keys).text)
                assert price(name, shape, np.count_nonzero(tile), value_bits, block=block) == found


@pytest.mark.parametrize("name", sorted(PATTERNED))
@pytest.mark.parametrize("run_bits", [1, 2])
def test_the_size_is_the_mean_over_all_patterns(name: str, run_bits: int) -> None:
    for shape in ((9,), (3, 4), (2, 5), (1, 1), (5, 2)):
        for nonzeros in range(int(np.prod(shape)) + 1):
            keys = {"run_bits": run_bits, "value_bits": 3}
            sizes = [len(twins.write(name, tile, keys).text) for tile in patterns(shape, nonzeros)]
            mean = sum(sizes) / len(sizes)
            assert price(name, shape, nonzeros, 3, run_bits=run_bits) == pytest.approx(mean, rel=1e-13)


@pytest.mark.parametrize("name", [name for name in FORMATS if "block" in FORMATS[name].keys])
def test_pointers_of_blocks_in_proportion(name: str) -> None:
    """The whole pointer that an encoder writes of a last block, or the share of it that the tile has."""
    for shape in SHAPES:
        for block in (1, 2, 5, 64):
            written = price(name, shape, 1, block=block)
            share = price(name, shape, 1, block=block, partial_blocks="in_proportion")
            assert written - VALUES["pointer_bits"] < share <= written
            assert share == written or np.prod(shape) % block


@each_format
@pytest.mark.parametrize("density", [0.02, 0.2, 0.6])
def test_mean_of_random_tiles(name: str, density: float) -> None:
    """Of tiles drawn from a larger tensor, within five standard errors."""
    rng = np.random.default_rng(3)
    shape, size, run = (8, 32), 1024, 1 << VALUES["run_bits"]
    found = []
    for _ in range(300):
        mask = rng.permutation(size) < round(density * size)
        found.append(
            len(twins.write(name, mask[:256].reshape(shape) * 5, stated(name) | {"value_bits": 7}).text)
        )
    error = 5 * np.std(found) / np.sqrt(len(found))
    nonzeros = 256 * round(density * size) / size
    model = price(name, shape, nonzeros, 7)
    if name in PATTERNED:
        fibers = int(np.prod(shape[: FORMATS[name].ranks[-1].cover[0]]))
        for total, sign in ((size, 1), (256, -1)):  # price() takes the tile to be all of the tensor
            many = round(density * size) if total == size else int(nonzeros)
            zeros = expected_zeros(HYPERGEOMETRIC, total, many, many / total, 256 // fibers, run)
            model += sign * fibers * zeros * (7 + VALUES["run_bits"])
    assert model == pytest.approx(np.mean(found), abs=error + 1e-9)


@each_format
def test_bound_is_not_above_any_size(name: str) -> None:
    """Neither of what the model gives, nor of what is written, at the densities and blocks that it is for."""
    rng = np.random.default_rng(4)
    for _ in range(300):
        shape = tuple(int(side) for side in rng.choice([1, 2, 3, 7, 16], size=rng.integers(1, 5)))
        size = int(np.prod(shape))
        least = rng.choice([0.0, 1e-6, 0.1, 0.5, 1.0])
        nonzeros = math.ceil(size * (least + (1 - least) * rng.choice([0.0, rng.random(), 1.0])))
        block = int(rng.choice([1, 2, 5, 64]))
        largest = block * int(rng.choice([1, 2, 10]))
        for partial in ("whole", "in_proportion"):
            terms = lower_terms([[Format(kind=name, **stated(name, partial_blocks=partial))]], [len(shape)])
            bound = least_bits(terms, 0, 0, least, largest) * size
            assert (
                0 <= bound <= price(name, shape, nonzeros, block=block, partial_blocks=partial) * (1 + 1e-12)
            )
        if name != "none" and size < 200:
            tile = (rng.permutation(size) < nonzeros).astype(int).reshape(shape)
            stored = twins.write(name, tile, stated(name, block=block) | {"value_bits": 7})
            assert bound <= len(stored.text) - 7 * stored.data


@pytest.mark.parametrize(
    ("name", "bits"),
    [("bitmask", 1.0), ("csb", 1 + 9 / 4), ("run_length", 1.5), ("csr", 0.0), ("delta", 1.5)],
)
def test_bounds_by_hand(name: str, bits: float) -> None:
    terms = lower_terms([[Format(kind=name, **stated(name))]], [2])
    assert least_bits(terms, 0, 0, 0.5, 4) == pytest.approx(bits, rel=1e-15)


@each_format
def test_bits_of_a_full_block(name: str) -> None:
    """Blocks can be dropped where their bits are those of a tile that is one block, whatever is in it."""
    one = FORMATS[name]
    assert one.in_blocks == ("partial_blocks" in one.keys)
    if one.in_blocks:
        terms = lower_terms([[Format(kind=name, **stated(name))]], [1])
        for nonzeros in (0, 1, 4):
            assert block_bits(terms, 0, 0, 4) == price(name, (4,), nonzeros)


def small() -> tuple[Any, Any, Any]:
    """Return a matmul of 8 x 8 on a level of memory and one of registers that hold all."""
    levels = [
        {"name": name, "class": "sram", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}, "source": "t"}
        for name in ("Far", "Near")
    ]
    compute = {"energy_pj": 1, "source": "t"}
    machine = load_architecture({"architecture": {"name": "two", "levels": levels, "compute": compute}})
    sizes = {"M": 8, "K": 8, "N": 2}
    problem = load_problem({"problem": {"name": "m", "shape": "matmul", "dimensions": sizes}})
    nest = {"mapping": {"levels": [{"level": "Far"}, {"level": "Near", "temporal": "M=8 K=8 N=2"}]}}
    return machine, problem, load_mapping(nest, machine, problem)


def design_of(form: Any) -> dict[str, Any]:
    return {"sparsity": {"name": "t", "densities": {"A": 0.25}, "formats": {"A": {"Near": form}}}}


@each_format
def test_names_read_back_equal(name: str, tmp_path: Path) -> None:
    file = tmp_path / "design.yaml"
    for form in (name, {"kind": name, **stated(name)}):
        file.write_text(yaml.safe_dump(design_of(form)))
        design = load_sparsity(file)
        dumped = design.model_dump(mode="json")
        near = dumped["forward"]["formats"]["A"]["Near"]
        assert near["kind"] == name and set(near) == {"kind", *FORMATS[name].keys}
        assert type(design).model_validate(json.loads(json.dumps(dumped))) == design
        result = evaluate(*small(), sparsity=design)
        names = {"Near": name, "Far": "none"}
        assert {level: result.sparse(level, "A").format for level in names} == names
        written = json.loads(json.dumps(result.to_dict()))
        tensors = [one for level in written["levels"] for one in level["tensors"] if one["tensor"] == "A"]
        assert [one["sparse"]["format"] for one in tensors] == ["none", name]


@each_format
@pytest.mark.parametrize("key", VALUES)
def test_keys_of_other_formats_are_refused_with_their_place(name: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "design.yaml"
    file.write_text(yaml.safe_dump(design_of({"kind": name, key: VALUES[key]}), sort_keys=False))
    if key in FORMATS[name].keys:
        load_sparsity(file)
        return
    with pytest.raises(
        SpecError, match=rf"yaml:\d+:\d+: of kind '{name}' takes no '{key}', a key of "
    ) as caught:
        load_sparsity(file)
    assert len(caught.value.issues) == 1


@pytest.mark.parametrize(
    ("kind", "near"),
    [("bitmsk", r"; did you mean 'bitmask'\?"), ("zzz", "")],
)
def test_unknown_names_are_refused(kind: str, near: str) -> None:
    known = ", ".join(FORMATS)
    with pytest.raises(SpecError, match=f"'kind' must be one of {known}, is '{kind}'{near}"):
        load_sparsity(design_of({"kind": kind}))


@pytest.mark.parametrize("kind", [5, None, []])
def test_what_is_no_name_is_refused(kind: Any) -> None:
    with pytest.raises(
        SpecError, match=r"'kind' must be text \(in quotes where it looks like a number\), is "
    ):
        load_sparsity(design_of({"kind": kind}))


def test_texts_and_documents_name_all() -> None:
    text = (ROOT / "docs" / "explanation" / "sparse.md").read_text()
    text += (ROOT / "docs" / "reference" / "sparsity.md").read_text()
    for name, one in FORMATS.items():
        assert one.name == name
        assert f"{name}: {one.text}" in describe_formats()
        assert f"`{name}`" in text
        assert f"\n| {name} |" in text or not one.ranks


def all_zero(count: int) -> float:
    """Return how likely so many of 64 positions are zero, of which 16 are not."""
    return math.comb(48, count) / math.comb(64, count)


RUNS_OF_ROWS = 16 + 8 * (all_zero(4) + 4 * (all_zero(4) - all_zero(5)) + all_zero(8))
"""Entries of 8 rows: nonzeros, and zeros that end the first or the second run of four."""

MADE_UP = [
    (
        StorageFormat("made_up", "offsets, and bits", (offset_pairs(FIRST), bits(REST))),
        16 + (9 * 7 + 64) / 16,
    ),
    (StorageFormat("made_up", "rows in order", (uncompressed(FIRST), coordinates(REST))), 16 + 16 * 3 / 16),
    (StorageFormat("made_up", "rows of runs", (uncompressed(FIRST), runs(REST, 2))), RUNS_OF_ROWS * 18 / 16),
]


@pytest.mark.parametrize(("made_up", "words"), MADE_UP)
def test_a_format_is_data(made_up: StorageFormat, words: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 x 8 elements, 16 of them nonzero: a list of ranks is all that a new format takes."""
    monkeypatch.setitem(FORMATS, made_up.name, made_up)
    result = evaluate(*small(), sparsity=load_sparsity(design_of(made_up.name)))
    assert result.sparse("Near", "A").format == made_up.name
    assert result.sparse("Near", "A").stored_words == pytest.approx(words, rel=1e-14)


def test_fibers_multiply_from_rank_to_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets of 3 x (4 + 1) in the second rank: bits for 0 to 24."""
    ranks = (uncompressed((0, 1)), offset_pairs((1, 2)), coordinates((2, None)))
    monkeypatch.setitem(FORMATS, "made_up", StorageFormat("made_up", "two deep", ranks))
    assert price("made_up", (3, 4, 2), 12) == 3 * 5 * 5 + 12 * 1


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ((bits(FIRST),), "do not cover all"),
        ((bits(REST),), "does not begin"),
        ((offset_pairs(FIRST), coordinates(ALL)), "does not begin"),
        ((coordinates(FIRST), coordinates(REST)), "only the innermost"),
        ((offset_pairs(ALL),), "no metadata are needed"),
    ],
)
def test_ranks_that_do_not_fit_are_refused(ranks: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StorageFormat("wrong", "", ranks)
